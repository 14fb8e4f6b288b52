import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createFleet } from '../../src/fleet/fleet.ts'
import { type OpenLedger, openLedger } from '../../src/ledger/ledger.ts'
import { AppError } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { day, fromIso, hour, type Instant, minute, second } from '../../src/lib/time.ts'
import type { Alert } from '../../src/model/alert.ts'
import type { Batch } from '../../src/model/batch.ts'
import type { Decision } from '../../src/model/decision.ts'
import { deploymentSchema } from '../../src/model/deployment.ts'
import { printLabels } from '../../src/model/labels.ts'
import type { Querier } from '../../src/model/ports/querier.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createBudgets } from '../../src/money/budget.ts'
import { budgetsSchema } from '../../src/money/budget-config.ts'
import { createRollouts } from '../../src/rollout/rollout.ts'
import { autoscaleSchema } from '../../src/scale/config.ts'
import { createScaler } from '../../src/scale/scale.ts'
import { FakeClock, settle } from '../kit/clock.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { scriptedQuerier } from '../kit/scripted-querier.ts'
import { generator } from '../soak/canary.ts'

const log = silentLogger()
const metrics = fakeMetrics()
const mara = { id: 'user:mara', kind: 'user' } as const
let dir: string
let clock: FakeClock
let ledger: OpenLedger
let decided: Decision[]
const ledgers: OpenLedger[] = []
const decisions = { record: async (d: Decision) => void decided.push(d) }
const reopened = async (): Promise<OpenLedger> => {
  const made = openLedger({ dir, clock, log, metrics })
  ledgers.push(made)
  await made.start()
  const put = made.put.bind(made)
  made.put = (...asked: Parameters<typeof put>) => {
    writing++
    return put(...asked).finally(() => writing--) as never
  }
  return made
}
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'airboss-decide-'))
  clock = new FakeClock()
  decided = []
  ledger = await reopened()
})
afterEach(async () => {
  for (const l of ledgers.splice(0)) await l.drain()
  await rm(dir, { recursive: true })
})
/** Ledger writes under way: the clock stands still while the disk is at work. */
let writing = 0
/** Moves time in small steps, letting everything come to rest between them. */
const live = async (length: number, step = 1000): Promise<void> => {
  for (let t = 0; t < length; t += step) {
    await clock.advance(Math.min(step, length - t))
    await settle()
    while (writing > 0) await settle()
    await settle()
  }
}
const verdicts = (): string[] => decided.map((d) => d.verdict)

describe('a fleet', () => {
  test('is what the file and the API declare; the file wins', async () => {
    const pilot = deploymentSchema.parse({ agent: 'pilot', version: '1.0.0', dependencies: { search: '^2' } })
    const fleet = createFleet({ ledger, configured: [pilot], clock })
    expect(fleet.compatibility()).toMatchObject([{ needs: 'search', problem: 'missing' }])
    await fleet.declare({ agent: 'search', version: '2.1.0', resources: { replicas: 3 } }, mara, 'new')
    await fleet.declare({ agent: 'pilot', version: '1.10.0' }, mara, 'new')
    expect(fleet.compatibility('pilot')).toEqual([])
    expect(fleet.list().map((e) => `${e.id} ${e.source}`)).toEqual([
      'pilot@1.10.0 api',
      'pilot@1.0.0 file',
      'search@2.1.0 api',
    ])
    expect([fleet.replicas('search'), fleet.replicas('pilot')]).toEqual([3, null])
    await expect(fleet.declare({ agent: 'x' }, mara, '')).rejects.toMatchObject({
      code: 'bad_data',
      message: expect.stringMatching(/^version: /),
    })
    await expect(fleet.remove('pilot', '1.0.0', mara, '')).rejects.toMatchObject({ code: 'conflict' })
    await expect(fleet.remove('pilot', '9.0.0', mara, '')).rejects.toMatchObject({ code: 'not_found' })
    await fleet.remove('search', '2.1.0', mara, 'gone')
    expect(fleet.get('search')).toEqual([])
    expect(createFleet({ ledger: await reopened(), configured: [], clock }).list()).toHaveLength(1)
    expect(fleet.difference('pilot', '1.0.0', '1.10.0').dependencies.removed).toEqual(['search'])
  })
})

describe('a canary', () => {
  const deployment = (more: object = {}, canary: object = {}) =>
    deploymentSchema.parse({
      agent: 'pilot',
      version: '2.0.0',
      canary: {
        baseline: '1.0.0',
        actuator: 'deploy',
        analysis: {
          interval: '5s',
          step: '1s',
          duration: '2m',
          metrics: [
            {
              name: 'errors',
              query: 'sum(rate(errors{version="$version"}[5s]))',
              direction: 'increase',
              critical: true,
            },
          ],
          ...more,
        },
        ...canary,
      },
    })
  const random = generator(42)
  /** Errors around `base` for the old version, `level()` for the new one. */
  const source = (level: () => number | null, heard?: (s: string, at: Instant) => number | null) =>
    scriptedQuerier(
      (expr) => [
        {
          labels: {},
          value: () => {
            const mean = expr.includes('2.0.0') ? level() : 0.02
            return mean === null ? null : mean * Math.exp(0.3 * random.normal())
          },
        },
      ],
      heard,
    )
  const watch = (querier: Querier, d = deployment(), from = ledger) =>
    createRollouts({
      fleet: createFleet({ ledger: from, configured: [d], clock }),
      querier,
      decisions,
      ledger: from,
      clock,
      log,
      metrics,
    })

  test('that breaks is rolled back once, with the numbers, and stays so over a restart', async () => {
    let level = 0.02
    const rollouts = watch(source(() => level))
    await rollouts.start()
    await live(minute)
    expect(verdicts()).toEqual(['hold'])
    expect(decided[0]?.reason).toMatch(
      /pilot 2.0.0 is held beside 1.0.0. errors cannot be judged: \d+ of 50 points for 2.0.0, \d+ of 50 points for 1.0.0: hold/,
    )
    level = 0.2
    await live(3 * minute)
    expect(verdicts()).toEqual(['hold', 'rollback'])
    expect(decided[1]).toMatchObject({
      kind: 'rollout',
      subject: 'pilot',
      action: {
        id: `${decided[1]!.id}:do`,
        kind: 'rollback',
        params: { version: '2.0.0', from: '2.0.0', to: '1.0.0' },
        actuator: 'deploy',
        causes: [decided[1]!.id],
      },
      inputs: { outcome: 'fail', score: 0 },
    })
    expect(decided[1]?.reason).toMatch(
      /errors is higher, which is worse: 0\.\d+ in the new version against 0.02\d* in the old/,
    )
    expect(rollouts.list()).toMatchObject([{ id: 'pilot@2.0.0', progress: { phase: 'rolled_back' } }])
    await rollouts.drain()
    const again = watch(
      source(() => level),
      deployment(),
      await reopened(),
    )
    await again.start()
    await live(minute)
    expect(decided).toHaveLength(2)
    expect(again.list()[0]?.progress.phase).toBe('rolled_back')
    await again.drain()
  })
  test('that does well is promoted after its duration, restart or not', async () => {
    const first = watch(source(() => 0.02))
    await first.start()
    await live(80 * second)
    await first.drain()
    const again = watch(
      source(() => 0.02),
      deployment(),
      await reopened(),
    )
    await again.start()
    await live(30 * second)
    expect(verdicts()).toEqual(['hold'])
    await live(40 * second)
    expect(verdicts()).toEqual(['hold', 'promote'])
    expect(decided[1]?.action).toMatchObject({ kind: 'promote', params: { from: '1.0.0', to: '2.0.0' } })
    await again.restart('pilot', '2.0.0', mara, 'once more')
    expect(again.list()[0]?.progress).toMatchObject({ phase: 'watching' })
    await expect(again.restart('pilot', '3', mara, '')).rejects.toMatchObject({ code: 'not_found' })
    await again.drain()
  })
  test.each([
    ['has no data', source(() => null)],
    [
      'fell silent',
      source(
        () => 0.02,
        (s, at) => (s.includes('2.0.0') ? at - 3 * minute : at),
      ),
    ],
    [
      'cannot be read',
      scriptedQuerier(() => {
        throw new AppError('unavailable', 'the store is away')
      }),
    ],
    [
      'gives two series',
      scriptedQuerier(() => [
        { labels: { a: '1' }, value: () => 1 },
        { labels: { a: '2' }, value: () => 1 },
      ]),
    ],
  ])('that %s is never promoted', async (_, querier) => {
    const rollouts = watch(querier)
    await rollouts.start()
    await live(8 * minute)
    expect(new Set(verdicts())).toEqual(new Set(['hold']))
    // Once when it began, once when its time was up.
    expect(decided).toHaveLength(2)
    expect(decided[1]?.reason).toMatch(/was not promoted within 6m/)
    await rollouts.drain()
  })
})

describe('an autoscaler', () => {
  const config = (more: object = {}) =>
    autoscaleSchema.parse([
      {
        agent: 'pilot',
        max_replicas: 50,
        current: 'count(up{job="pilot"})',
        metrics: [{ query: 'sum(waiting{})', target: { value: 30 }, means: 'runs wait' }],
        ...more,
      },
    ])
  let load: number | null
  let replicas: number
  let silentSince: Instant | null
  beforeEach(() => {
    load = 240
    replicas = 8
    silentSince = null
  })
  const querier = scriptedQuerier(
    (expr) => [{ labels: {}, value: () => (expr.startsWith('count') ? replicas : load) }],
    (selector, at) => (selector.includes('waiting') && silentSince !== null ? silentSince : at),
  )
  const scaler = (c = config(), from = ledger) =>
    createScaler({ config: c, querier, decisions, ledger: from, declared: () => null, clock, log, metrics })

  test('scales up at once and says why', async () => {
    const s = scaler()
    await s.start()
    await live(30 * second)
    expect(decided).toEqual([])
    load = 340
    await live(30 * second)
    expect(decided).toHaveLength(1)
    expect(decided[0]).toMatchObject({
      kind: 'scale',
      verdict: 'scale_up',
      reason: '340 runs wait, goal 30 a replica: ceil(8 × 340/240) = 12.',
      action: { kind: 'scale', subject: 'pilot', params: { from: 8, replicas: 12 } },
    })
    replicas = 12
    await live(minute)
    expect(decided).toHaveLength(1)
    expect(s.list()[0]).toMatchObject({ status: 'steady', current: 12, desired: 12 })
    await s.drain()
  })
  test('is limited, step by step, in words', async () => {
    const up = { policies: [{ type: 'Pods', value: 4, period: '1m' }] }
    const s = scaler(config({ behavior: { scale_up: up } }))
    await s.start()
    load = 3000
    await live(15 * second)
    expect(decided[0]?.reason).toMatch(/ceil\(8 × 3000\/240\) = 100, limited to 12: at most \+4 in 1m\.$/)
    replicas = 12
    await live(30 * second)
    expect(decided).toHaveLength(1)
    await live(minute)
    expect(decided.map((d) => d.action?.params['replicas'])).toEqual([12, 16])
    await s.drain()
  })
  test('scales down only after five minutes of less, over a restart', async () => {
    const s = scaler()
    await s.start()
    await live(minute)
    load = 60
    await live(2 * minute)
    await s.drain()
    const again = scaler(config(), await reopened())
    await again.start()
    await live(2 * minute)
    expect(decided).toEqual([])
    expect(again.list()[0]?.reason).toMatch(/kept at 8: the highest recommendation of the last 5m counts/)
    await live(3 * minute)
    expect(decided).toMatchObject([{ verdict: 'scale_down', action: { params: { from: 8, replicas: 2 } } }])
    await again.drain()
  })
  test.each([
    ['gone', () => (load = null)],
    ['stale', () => (silentSince = clock.now())],
    ['not a number', () => (load = Number.NaN)],
  ])('never scales down on data that is %s, and says so once', async (_, spoil) => {
    const s = scaler()
    await s.start()
    load = 10
    await live(minute)
    spoil()
    await live(20 * minute, 15_000)
    expect(verdicts()).toEqual(['hold'])
    expect(s.list()[0]).toMatchObject({ status: 'held', desired: 8 })
    await s.drain()
  })
  test('an unknown replica count holds', async () => {
    const s = scaler(config({ current: undefined }))
    await s.start()
    await live(minute)
    expect(decided).toMatchObject([
      { verdict: 'hold', reason: expect.stringMatching(/give the autoscaler `current`/) },
    ])
    await s.drain()
  })
})

describe('a budget', () => {
  const config = (more: object = {}) =>
    budgetsSchema.parse([
      { name: 'search', amount: 100, filter: ['agent="pilot"'], projected: false, ...more },
    ])
  let alerts: Alert[]
  let batches: Batch[]
  let table: SeriesTable
  beforeEach(() => {
    alerts = []
    batches = []
    table = new SeriesTable(100)
    clock = new FakeClock(fromIso('2026-03-10T00:00:00Z'))
  })
  const budgets = (querier: Querier, c = config(), from = ledger) =>
    createBudgets({
      config: c,
      querier,
      table,
      sink: { push: async (b) => void batches.push(b) },
      alerts: { push: async (a) => void alerts.push(...a) },
      decisions,
      ledger: from,
      clock,
      log,
      metrics,
      externalURL: () => 'http://airboss/',
    })
  const firing = (now = clock.now()): string[] => {
    const latest = new Map(alerts.map((a) => [a.labels['threshold']!, a]))
    return [...latest].filter(([, a]) => a.endsAt > now).map(([t]) => t)
  }
  const lastValues = (): Record<string, number> => {
    const out: Record<string, number> = {}
    for (const b of batches)
      for (let i = 0; i < b.ref.length; i++) out[printLabels(table.labels(b.ref[i]!))] = b.value[i]!
    return out
  }

  test('counts births and restarts of counters, not what was there before', async () => {
    const born = fromIso('2026-03-05T12:02:00Z')
    const reset = fromIso('2026-03-07T00:00:00Z')
    const querier = scriptedQuerier((expr) => [
      // There since February at 500; 10 more this month.
      { labels: { model: 'a' }, value: (at) => (at < fromIso('2026-03-02T00:00:00Z') ? 500 : 510) },
      // Born at 20 in March.
      { labels: { model: 'b' }, value: (at) => (at < born ? null : 20) },
      // At 30 in February, 45 before it starts again, then 5.
      {
        labels: { model: 'c' },
        value: (at) => (at < fromIso('2026-03-03T00:00:00Z') ? 30 : at < reset ? 45 : 5),
      },
      ...(expr.includes('agent="pilot"') ? [] : [{ labels: {}, value: () => 1e9 }]),
    ])
    const b = budgets(querier)
    await b.start()
    await live(2 * minute)
    expect(b.list()[0]).toMatchObject({ spent: 10 + 20 + 15 + 5, period: { label: '2026-03' }, problem: '' })
    expect(lastValues()).toMatchObject({
      'airboss_budget_usd{budget="search", period="monthly"}': 100,
      'airboss_budget_spent_usd{budget="search", period="monthly"}': 50,
      'airboss_budget_spent_ratio{budget="search", period="monthly"}': 0.5,
    })
    // No query is longer than a day but the one that looks back.
    expect(querier.asked.every((e) => /\[(30d|\d+m|\d+s|\d+m\d+s|\d+m\d+s\d+ms)\]/.test(e))).toBe(true)
    await b.drain()
  })
  test('tells once a threshold and period, over a restart, and ends with the period', async () => {
    let spent = 40
    const querier = scriptedQuerier(() => [
      { labels: {}, value: (at) => (at < fromIso('2026-03-01T00:05:00Z') ? 0 : spent) },
    ])
    const b = budgets(querier)
    await b.start()
    await live(2 * minute)
    expect(decided).toEqual([])
    spent = 85
    await live(2 * minute)
    expect(decided.map((d) => d.id)).toEqual(['budget:search:2026-03:0.5', 'budget:search:2026-03:0.8'])
    expect(decided[1]?.reason).toMatch(
      /^Budget search has passed 80 %: \$85.00 of \$100.00 \(85 %\) is spent in 2026-03, with 21d23h5\dm to go\. In a straight line it will be \$\d+\.\d\d\.$/,
    )
    expect(alerts.at(-1)).toMatchObject({
      labels: {
        alertname: 'BudgetThreshold',
        budget: 'search',
        period: '2026-03',
        threshold: '0.8',
        severity: 'warning',
      },
    })
    const startsAt = alerts.at(-1)!.startsAt
    await b.drain()
    const again = budgets(querier, config(), await reopened())
    await again.start()
    await live(5 * minute)
    expect(decided).toHaveLength(2)
    expect(firing()).toEqual(['0.5', '0.8'])
    expect(alerts.at(-1)!.startsAt).toBe(startsAt)
    await clock.advance(22 * day)
    await settle()
    await live(2 * minute)
    expect(again.list()[0]).toMatchObject({ period: { label: '2026-04' }, spent: 0 })
    expect(firing()).toEqual([])
    spent = 150
    await live(2 * minute)
    expect(decided.map((d) => d.id).slice(2)).toEqual(['budget:search:2026-04:0.5'])
    await again.drain()
  })
  test('projects in a straight line, and takes it back', async () => {
    clock = new FakeClock(fromIso('2026-03-10T06:00:00Z'))
    const startAt = fromIso('2026-03-10T00:00:00Z')
    let rate = 6
    const querier = scriptedQuerier(() => [
      { labels: {}, value: (at) => (at <= startAt ? 0 : Math.min(90, ((at - startAt) / hour) * rate)) },
    ])
    const b = budgets(querier, config({ period: 'daily', projected: true }))
    await b.start()
    await live(2 * minute)
    expect(b.list()[0]?.projected).toBeCloseTo(144, 0)
    expect(firing()).toEqual(['projected'])
    expect(decided[0]?.reason).toMatch(
      /In a straight line it will be \$14\d\.\d\d at 2026-03-11T00:00:00.000Z, which is 14\d %/,
    )
    rate = 0
    await live(6 * hour, 600_000)
    expect(firing()).toEqual([])
    await b.drain()
  })
  test('a query that fails neither fires nor resolves, and is made up for', async () => {
    let away = false
    let spent = 60
    const querier = scriptedQuerier(() => {
      if (away) throw new AppError('unavailable', 'the store is away')
      return [{ labels: {}, value: (at) => (at < fromIso('2026-03-01T00:05:00Z') ? 0 : spent) }]
    })
    const b = budgets(querier)
    await b.start()
    await live(2 * minute)
    expect(firing()).toEqual(['0.5'])
    away = true
    await live(3 * minute)
    expect(b.list()[0]).toMatchObject({ problem: 'the store is away', spent: 60 })
    expect(firing()).toEqual(['0.5'])
    away = false
    spent = 101
    await live(2 * minute)
    expect(firing()).toEqual(['0.5', '0.8', '1'])
    expect(alerts.at(-1)?.labels['severity']).toBe('critical')
    await b.drain()
  })
  test('its configuration names mistakes', () => {
    const wrong = (more: object): string =>
      JSON.stringify(budgetsSchema.safeParse([{ name: 'a', amount: 1, ...more }]).error?.issues)
    expect(wrong({ timezone: 'Mars/Olympus' })).toMatch(/not a known time zone/)
    expect(wrong({ filter: ['agent'] })).toMatch(/not a matcher: agent/)
    expect(wrong({ filter: ['agent=~"("'] })).toMatch(/regular expression/)
    expect(wrong({ period: 'weekly' })).toMatch(/monthly/)
    expect(wrong({ amount: 0 })).toMatch(/amount/)
  })
})
