import { expect, it } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { every } from './clock.ts'
import { duration } from './time.ts'

it('runs at no time that is still to come when the clock is set back, and goes on at once where it is', async () => {
  const clock = new FakeClock(10_000_000)
  const stop = new AbortController()
  const runs: { readonly dueAt: number; readonly nowAt: number }[] = []
  const run = (dueAt: number): void => void runs.push({ dueAt, nowAt: clock.now() })
  const failed = (error: unknown): never => {
    throw error
  }
  every(clock, duration(1000), run, { signal: stop.signal, failed })
  await clock.advance(3000)
  expect(runs.map((r) => r.dueAt)).toEqual([10_001_000, 10_002_000, 10_003_000])
  clock.jump(5_000_000)
  await clock.advance(3000)
  stop.abort()
  for (const { dueAt, nowAt } of runs) expect(dueAt).toBeLessThanOrEqual(nowAt)
  expect(runs.slice(3).map((r) => r.dueAt)).toEqual([5_002_000, 5_003_000])
})
