import fc from 'fast-check'
import { beforeEach, expect, test } from 'vitest'
import { spanBatch, spanOf } from '../../test/kit/call-span.ts'
import { FakeClock } from '../../test/kit/clock.ts'
import { CollectingSink } from '../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { silentLogger } from '../lib/log.ts'
import { instant } from '../lib/time.ts'
import type { Batch, CostRow } from '../model/batch.ts'
import type { CostNode } from '../model/ports/cost-reports.ts'
import { SeriesTable } from '../model/series.ts'
import type { Span } from '../model/span.ts'
import { createInclusive } from './inclusive.ts'
import { costTrees } from './trace-costs.ts'

const make = () => {
  const table = new SeriesTable(10_000, 100)
  const sink = new CollectingSink(table)
  const clock = new FakeClock()
  const metrics = fakeMetrics()
  const fresh = (batch: Batch) => batch.spans?.read ?? []
  const create = () => createInclusive({ sink, table, fresh, clock, metrics, log: silentLogger() })
  return { table, metrics, sink, clock, create, made: create() }
}
let kit: ReturnType<typeof make>
beforeEach(() => {
  kit = make()
})

const traceId = 'a'.repeat(32)
const agent = (name: string, parent = ''): Span =>
  spanOf({
    traceId,
    parentSpanId: parent,
    attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': name },
  })
const model = (parent: Span, over: Partial<Span> = {}): Span =>
  spanOf({
    traceId,
    parentSpanId: parent.spanId,
    attributes: { 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'm' },
    ...over,
  })
const cost = (span: Span, usd: number, who: string): CostRow => ({
  id: `span:${span.traceId}:${span.spanId}`,
  at: instant(0),
  agent: who,
  version: '',
  model: 'm',
  provider: '',
  service: '',
  owner: '',
  usd,
  quantity: 1,
  unit: 'tokens',
  priceVersion: '',
  traceId: span.traceId,
  spanId: span.spanId,
  attributes: span.status === 'error' ? { outcome: 'error' } : {},
})
const batchOf = (spans: readonly Span[], costs: readonly CostRow[] = []): Batch => ({
  ...spanBatch(spans),
  costs,
})
const shown = async (name = 'airboss_cost_inclusive_usd_total'): Promise<Record<string, number>> => {
  await kit.made.start()
  await kit.clock.advance(1000)
  await kit.made.drain()
  return Object.fromEntries(
    Object.entries(kit.sink.last())
      .filter(([series]) => series.startsWith(name))
      .map(([series, value]) => [/agent="([^"]*)"/.exec(series)![1]!, Number(value)]),
  )
}

/** planner ─▶ (chat 1) and writer ─▶ (chat 2, failed; chat 3) */
const story = () => {
  const planner = agent('planner')
  const writer = agent('writer', planner.spanId)
  const a = model(planner)
  const b = model(writer, { status: 'error', startAt: 1000 })
  const c = model(writer, { startAt: 2000 })
  const spans = [a, b, c, writer, planner]
  return { spans, costs: [cost(a, 1, 'planner'), cost(b, 2, 'writer'), cost(c, 3, 'writer')] }
}

test('whatever the order in which spans and costs come, each agent has all beneath it, once', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
      fc.integer({ min: 0, max: 5 }),
      async (order, killed) => {
        kit = make()
        const { spans, costs } = story()
        for (const [position, i] of order.entries()) {
          const span = spans[i]!
          const batch = batchOf(
            [span],
            costs.filter((c) => c.spanId === span.spanId),
          )
          kit.sink.batches.push(batch)
          kit.made.accepted!(batch, position)
          if (position !== killed) continue
          const checkpoint: unknown = JSON.parse(JSON.stringify(kit.made.checkpoint()))
          kit.made = kit.create()
          kit.made.restore(checkpoint)
          // The log gives again what the checkpoint holds already.
          for (const [p, b] of kit.sink.batches.entries()) kit.made.replay(b, p)
        }
        expect(await shown()).toEqual({ planner: 6, writer: 5 })
        expect(await shown('airboss_cost_retried_usd_total')).toEqual({ writer: 2 })
      },
    ),
    { numRuns: 60 },
  )
})

test('a call outside of any agent is inclusive of whom it is charged to', async () => {
  const lone = spanOf({ traceId })
  kit.made.accepted!(batchOf([lone], [cost(lone, 4, 'shop')]), 0)
  expect(await shown()).toEqual({ shop: 4 })
})

test('what a log refuses is written at the next time, nothing twice', async () => {
  const { spans, costs } = story()
  kit.made.accepted!(batchOf(spans, costs), 0)
  kit.sink.refuse = new Error('full')
  await kit.made.start()
  await kit.clock.advance(1000)
  kit.sink.refuse = null
  await kit.clock.advance(1000)
  const lines = kit.sink
    .samples()
    .filter((s) => s.series.includes('writer') && s.series.includes('inclusive'))
  expect(lines.map((s) => s.value)).toEqual([0, 5])
  await kit.made.drain()
})

test('traces that are too many are let go, the oldest first', async () => {
  for (let i = 0; i < 210_000; i += 7000) {
    const spans = Array.from({ length: 7000 }, () => spanOf({ traceId: i.toString(16).padStart(32, '0') }))
    kit.made.accepted!(batchOf(spans), i)
  }
  const state = kit.made.checkpoint() as { traces: unknown[] }
  expect(state.traces).toEqual([])
  const { spans, costs } = story()
  kit.made.accepted!(batchOf(spans, costs), 1e6)
  expect(await shown()).toEqual({ planner: 6, writer: 5 })
})

test('the tree says direct, inclusive, failed and retried for every span; circles end', () => {
  const node = (spanId: string, parentSpanId: string, over: Partial<CostNode> = {}): CostNode => ({
    spanId,
    parentSpanId,
    invokes: '',
    model: false,
    failed: false,
    startAt: 0,
    usd: 0,
    agent: '',
    ...over,
  })
  const [root, ...rest] = costTrees([
    node('root', ''),
    node('router', 'root'),
    node('try1', 'router', { model: true, failed: true, usd: 2, startAt: 1 }),
    node('try2', 'router', { model: true, failed: true, usd: 3, startAt: 2 }),
    node('try3', 'router', { model: true, usd: 5, startAt: 3 }),
    node('alone', 'root', { model: true, failed: true, usd: 1, startAt: 4 }),
    node('a', 'b', { usd: 7, startAt: 6 }),
    node('b', 'a', { startAt: 5 }),
  ])
  expect(root).toMatchObject({ direct: 0, inclusive: 11, failed: 6, retried: 5 })
  expect(root!.children.map((b) => [b.node.spanId, b.inclusive])).toEqual([
    ['router', 10],
    ['alone', 1],
  ])
  expect(rest.map((b) => [b.node.spanId, b.inclusive, b.children.length])).toEqual([['b', 7, 1]])
})

test('a trace as deep or as wide as it has spans is a tree that can be walked and written, nothing of it lost', () => {
  const many = 20_000
  for (const parentOf of [(i: number) => i - 1, () => 0]) {
    const nodes = Array.from({ length: many }, (_, i) => ({
      spanId: `s${i}`,
      parentSpanId: i === 0 ? '' : `s${parentOf(i)}`,
      invokes: '',
      model: true,
      failed: false,
      startAt: i,
      usd: 1,
      agent: 'a',
    }))
    const [root, ...rest] = costTrees(nodes)
    expect(rest).toEqual([])
    expect(root!.inclusive).toBe(many)
    expect(JSON.stringify(root).match(/"spanId"/g)).toHaveLength(many)
  }
})

test('names of agents take no room that is kept for what Airboss says of itself', async () => {
  for (let i = 0; kit.table.size < 10_000; i++) kit.table.intern(['__name__', `other${i}`])
  const lone = spanOf({ traceId })
  kit.made.accepted!(batchOf([lone], [cost(lone, 4, 'flood')]), 0)
  expect(await shown()).toEqual({})
  expect(kit.table.size).toBe(10_000)
  expect(kit.metrics.values.get('airboss_cost_agents_refused_total{reason="series_limit"}')).toBe(1)
})

test('a trace too large to be followed whole counts as one', () => {
  const parent = agent('a')
  kit.made.accepted!(batchOf([parent, ...Array.from({ length: 10_050 }, () => model(parent))]), 0)
  expect(kit.metrics.values.get('airboss_cost_traces_cut_total{}')).toBe(1)
})
