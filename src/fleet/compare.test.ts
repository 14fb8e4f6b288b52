import { expect, test } from 'vitest'
import { deploymentSchema } from '../model/deployment.ts'
import { byVersion, differenceOf, unmetBy } from './compare.ts'
import { deploymentsSchema } from './config.ts'

const deployment = (agent: string, version: string, more: object = {}) =>
  deploymentSchema.parse({ agent, version, ...more })

test('a dependency is met, missing, unsatisfied, or cannot be checked', () => {
  const running = [
    deployment('search', '1.4.0'),
    deployment('planner', '2.0.0'),
    deployment('planner', '3.0.0-rc.1'),
    deployment('memory', 'nightly'),
  ]
  const problems = (dependencies: Record<string, string>) =>
    unmetBy(deployment('pilot', '4.0.0', { dependencies }), running).map((u) => [u.needs, u.problem])
  expect(problems({ search: '^1.2.0' })).toEqual([])
  expect(problems({ search: '>=1 <3', planner: '>=2' })).toEqual([])
  expect(
    problems({ search: '^2.0.0', planner: '^2.0.0', mail: '*', memory: '^1', search2: '1', x: 'new' }),
  ).toEqual([
    ['search', 'unsatisfied'],
    ['planner', 'unsatisfied'],
    ['mail', 'missing'],
    ['memory', 'bad_version'],
    ['search2', 'missing'],
    ['x', 'bad_range'],
  ])
  const [planner] = unmetBy(deployment('pilot', '4.0.0', { dependencies: { planner: '^2.0.0' } }), running)
  expect(planner?.why).toBe('pilot 4.0.0 needs planner ^2.0.0, and planner 3.0.0-rc.1 runs beside 2.0.0')
})

test('two versions differ in what they can and need', () => {
  const from = deployment('a', '1.0.0', {
    capabilities: ['read', 'search'],
    dependencies: { x: '^1', y: '1' },
  })
  const to = deployment('a', '2.0.0', {
    capabilities: ['write', 'read'],
    dependencies: { x: '^2', z: '1' },
    model: 'm2',
  })
  expect(differenceOf(from, to)).toEqual({
    capabilities: { added: ['write'], removed: ['search'] },
    dependencies: { added: ['z'], removed: ['y'], changed: ['x: ^1 → ^2'] },
    model: { from: '', to: 'm2' },
  })
})

test('newest first', () => {
  const sorted = ['1.9.0', '1.10.0', '1.10.0-rc.1'].map((v) => deployment('a', v)).sort(byVersion)
  expect(sorted.map((d) => d.version)).toEqual(['1.10.0', '1.10.0-rc.1', '1.9.0'])
})

test('the configuration names its mistakes', () => {
  const wrong = (value: unknown): string => JSON.stringify(deploymentsSchema.safeParse(value).error?.issues)
  const metrics = [{ name: 'errors', query: 'sum(rate(errors{version="$version"}[1m]))' }]
  const canary = { baseline: '1.0.0', analysis: { metrics } }
  expect(deploymentsSchema.parse([{ agent: 'a', version: '2.0.0', canary }])[0]?.canary).toMatchObject({
    on_fail: 'rollback',
    analysis: { min_points: 50, interval: 30_000, pass: 95, failures: 3 },
  })
  expect(wrong([{ agent: 'a', version: '1.0.0', canary }])).toMatch(/is the version itself/)
  expect(
    wrong([
      { agent: 'a', version: '1' },
      { agent: 'a', version: '1' },
    ]),
  ).toMatch(/a@1 is declared twice/)
  const less = { ...canary, analysis: { metrics, min_points: 20 } }
  expect(wrong([{ agent: 'a', version: '2', canary: less }])).toMatch(/fewer than 50/)
  const blind = { ...canary, analysis: { metrics: [{ name: 'x', query: 'up' }] } }
  expect(wrong([{ agent: 'a', version: '2', canary: blind }])).toMatch(/\$version/)
  const short = { ...canary, analysis: { metrics, step: '1m', window: '10m' } }
  expect(wrong([{ agent: 'a', version: '2', canary: short }])).toMatch(/too short/)
})
