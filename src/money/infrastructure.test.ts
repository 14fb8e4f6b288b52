import { expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { CollectingSink } from '../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { silentLogger } from '../lib/log.ts'
import { labelsOf } from '../model/labels.ts'
import type { Querier } from '../model/ports/querier.ts'
import { SeriesTable } from '../model/series.ts'
import { chargesOf, createInfrastructure } from './infrastructure.ts'
import { pricesConfigSchema } from './prices-config.ts'

const { infrastructure: config } = pricesConfigSchema.parse({
  infrastructure: {
    provider: 'cloud',
    rates: [
      { match: ['node=~"gpu-.*"'], cpu_core_hour: 0.1, gpu_hour: 2 },
      { cpu_core_hour: 0.05, memory_gib_hour: 0.01 },
    ],
  },
})
const of = (value: number, labels: Record<string, string>) => ({ labels: labelsOf(labels), value })

test('workload and idle together are what the machines cost, each at the rate of its node', () => {
  const used = [
    of(2, { agent: 'a', node: 'gpu-1' }),
    of(1, { agent: 'a', node: 'n1' }),
    of(1, { agent: 'b', node: 'n1' }),
    of(Number.NaN, { agent: 'c', node: 'n1' }),
  ]
  const has = [of(8, { node: 'gpu-1' }), of(4, { node: 'n1' })]
  const charges = chargesOf('cpu', config.rates, used, has, 0.5)
  expect(charges).toEqual([
    { agent: 'a', quantity: 1.5, usd: expect.closeTo(0.125, 12) },
    { agent: 'b', quantity: 0.5, usd: expect.closeTo(0.025, 12) },
    { agent: '', quantity: 4, usd: expect.closeTo(0.35, 12) },
  ])
  expect(charges.reduce((sum, c) => sum + c.usd, 0)).toBeCloseTo((8 * 0.1 + 4 * 0.05) / 2, 12)
  expect(chargesOf('memory', config.rates, [of(3, { agent: 'a', node: 'gpu-1' })], [], 1)).toEqual([])
})

test('traffic by the second and storage by the month', () => {
  const rates = pricesConfigSchema.parse({
    infrastructure: { rates: [{ egress_gb: 0.09, storage_gib_month: 0.73 }] },
  }).infrastructure.rates
  expect(chargesOf('egress', rates, [of(0.001, { agent: 'a' })], [], 1)).toMatchObject([
    { quantity: 3.6, usd: expect.closeTo(0.324, 9) },
  ])
  expect(chargesOf('storage', rates, [of(10, { agent: 'a' })], [], 1)).toMatchObject([
    { usd: expect.closeTo(0.01, 9) },
  ])
})

test('every window once; one that fails is tried again', async () => {
  const table = new SeriesTable(100)
  const sink = new CollectingSink(table)
  const clock = new FakeClock()
  let broken = true
  const asked: number[] = []
  const querier = {
    instant: async (expr: string, at: number) => {
      if (broken) throw new Error('away')
      asked.push(at)
      const used = expr === config.cpu.used
      const labels = used ? [labelsOf({ agent: 'a', node: 'n' })] : []
      return { value: { kind: 'vector' as const, labels, values: Float64Array.from(used ? [2] : []) } }
    },
  } as unknown as Querier
  const made = createInfrastructure({
    config,
    querier,
    sink,
    clock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await made.start()
  await clock.advance(120_000)
  expect(sink.batches).toEqual([])
  broken = false
  await clock.advance(600_000)
  await made.drain()
  const rows = sink.batches.flatMap((b) => b.costs)
  expect(new Set(rows.map((r) => r.id)).size).toBe(rows.length)
  // An hour back, and what has gone by since.
  expect(rows.length).toBeGreaterThanOrEqual(12)
  expect(rows[0]).toMatchObject({
    agent: 'a',
    provider: 'cloud',
    service: 'infrastructure',
    unit: 'Core-Hours',
    usd: expect.closeTo((2 * 0.05) / 12, 12),
  })
})
