import { beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { memoryLedger } from '../../test/kit/memory-ledger.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { scriptedQuerier } from '../../test/kit/scripted-querier.ts'
import { AppError } from '../lib/errors.ts'
import { silentLogger } from '../lib/log.ts'
import { fromIso, minute } from '../lib/time.ts'
import type { Alert } from '../model/alert.ts'
import type { Decision } from '../model/decision.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import { SeriesTable } from '../model/series.ts'
import { createBudgets } from './budget.ts'
import { budgetsSchema } from './budget-config.ts'

let clock: FakeClock
let ledger: Ledger
let away: boolean
let alerts: Alert[]
beforeEach(() => {
  clock = new FakeClock(fromIso('2026-03-10T12:00:00Z'))
  ledger = memoryLedger()
  away = false
  alerts = []
})
const querier = scriptedQuerier(() => {
  if (away) throw new AppError('unavailable', 'the store is away', { retryable: true })
  return [{ labels: { agent: 'pilot' }, value: (at) => (at <= fromIso('2026-03-10T00:00:00Z') ? null : 90) }]
})
const start = async () => {
  const budgets = createBudgets({
    config: budgetsSchema.parse([{ name: 'all', amount: 100, period: 'daily', thresholds: [0.5, 0.8, 1] }]),
    querier,
    table: new SeriesTable(100),
    sink: { push: async () => {} },
    alerts: { push: async (a) => void alerts.push(...a) },
    decisions: {
      record: async (d: Decision) => {
        await ledger.put('decision', d.id, d, { by: { id: 'system:budget', kind: 'system' }, why: '' })
      },
    },
    ledger,
    clock,
    log: silentLogger(),
    metrics: fakeMetrics(),
    externalURL: () => 'http://airboss',
  })
  await budgets.start()
  return budgets
}
const firing = (): string[] => {
  const latest = new Map(alerts.map((a) => [a.labels['threshold']!, a]))
  return [...latest]
    .filter(([, a]) => a.endsAt > clock.now())
    .map(([t]) => t)
    .sort()
}

test('spending that cannot be read resolves nothing, for however long', async () => {
  const budgets = await start()
  await clock.advance(2 * minute)
  expect(firing()).toEqual(['0.5', '0.8', 'projected'])
  away = true
  await clock.advance(60 * minute)
  expect(budgets.list()[0]!.problem).toBe('the store is away')
  expect(firing()).toEqual(['0.5', '0.8', 'projected'])
  await budgets.drain()
})

test('nor after a restart: what was passed in this period stays passed', async () => {
  const budgets = await start()
  await clock.advance(2 * minute)
  await budgets.drain()
  const labels = alerts.map((a) => JSON.stringify(a.labels))
  alerts = []
  away = true
  const again = await start()
  await clock.advance(30 * minute)
  expect(firing()).toEqual(['0.5', '0.8'])
  // The same alerts, so that nobody is told of others.
  for (const a of alerts) expect(labels).toContain(JSON.stringify(a.labels))
  expect(alerts.at(-1)!.annotations['description']).toMatch(/^Budget all has passed 80 %: \$90.00 of/)
  await again.drain()
})

test('the period ends its alerts, read or not', async () => {
  const budgets = await start()
  await clock.advance(2 * minute)
  away = true
  await clock.advance(12 * 60 * minute)
  expect(firing()).toEqual([])
  await budgets.drain()
})
