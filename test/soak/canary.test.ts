import { expect, test } from 'vitest'
import { run, scenarios } from './canary.ts'

const of = (name: string) => scenarios.find((s) => s.name === name)!

test('a version that is no worse is not rolled back', () => {
  const { rolledBack, promoted } = run(of('A/A'), 40, 20260101)
  // Were the true rate 1 %, more than 2 of 40 would come once in 120 runs of new seeds; this seed is fixed.
  expect(rolledBack).toBeLessThanOrEqual(2 / 40)
  expect(promoted).toBeGreaterThanOrEqual(38 / 40)
}, 60_000)

test('a version with ten times the errors is rolled back, as soon as there are points enough', () => {
  const { rolledBack, median } = run(of('errors 2 % → 20 %'), 15, 20260102)
  expect(rolledBack).toBe(1)
  // 50 points every 5 s, then three judgements every 30 s.
  expect(median).toBeGreaterThanOrEqual(250)
  expect(median).toBeLessThanOrEqual(390)
}, 60_000)

test('one that breaks half-way is never promoted', () => {
  const { promoted, rolledBack } = run(of('errors 2 % → 20 % after 5 min'), 10, 20260103)
  expect(promoted).toBe(0)
  expect(rolledBack).toBe(1)
}, 60_000)
