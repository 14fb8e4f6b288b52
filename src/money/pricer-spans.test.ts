import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { resourceOf, spanBatch, spanOf } from '../../test/kit/call-span.ts'
import { FakeClock } from '../../test/kit/clock.ts'
import { CollectingSink } from '../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { silentLogger } from '../lib/log.ts'
import { type Duration, duration, plus } from '../lib/time.ts'
import { type Batch, sampleBatch } from '../model/batch.ts'
import { labelsOf } from '../model/labels.ts'
import { SeriesTable } from '../model/series.ts'
import type { Attributes, Span } from '../model/span.ts'
import { createPricer } from './pricer.ts'
import { createPrices } from './prices.ts'
import { pricesConfigSchema } from './prices-config.ts'

const never = new AbortController().signal
const make = (settle: Duration = duration(0)) => {
  const table = new SeriesTable(10_000)
  const sink = new CollectingSink(table)
  const clock = new FakeClock()
  const metrics = fakeMetrics()
  const config = { models: [{ model: 'flat', input_mtok: 1e6, output_mtok: 1e6 }] }
  const prices = createPrices(pricesConfigSchema.parse(config))
  const create = () => createPricer({ sink, table, clock, metrics, log: silentLogger(), prices, settle })
  return { table, sink, clock, metrics, create, pricer: create() }
}
let kit: ReturnType<typeof make>
beforeEach(() => {
  kit = make()
})

const usage = (input: number, output: number, more: Attributes = {}): Attributes => ({
  'gen_ai.operation.name': 'chat',
  'gen_ai.request.model': 'flat',
  'gen_ai.usage.input_tokens': String(input),
  'gen_ai.usage.output_tokens': String(output),
  ...more,
})
const call = (input: number, output: number, over: Partial<Span> & { endAt?: number } = {}): Span =>
  spanOf({ endAt: kit.clock.now(), attributes: usage(input, output), ...over })
const counter = (
  kind: string,
  value: number,
  at = kit.clock.now(),
  more: Record<string, string> = {},
): readonly [Record<string, string>, number, number] => [
  {
    __name__: `gen_ai_client_inference_usage_${kind}_tokens_total`,
    job: 'shop',
    instance: 'i1',
    gen_ai_request_model: 'flat',
    ...more,
  },
  at,
  value,
]
const samples = (...all: (readonly [Record<string, string>, number, number])[]): Batch =>
  sampleBatch(
    all.map(([labels]) => kit.table.intern(labelsOf(labels))),
    all.map(([, at]) => at),
    all.map(([, , value]) => value),
  )
const rows = () => kit.sink.batches.flatMap((b) => b.costs)
const billed = (): number => Math.round(rows().reduce((sum, row) => sum + row.usd, 0) * 1e6) / 1e6
const counted = (name = 'airboss_cost_usd_total'): number =>
  Object.entries(kit.sink.last())
    .filter(([series]) => series.startsWith(name))
    .reduce((sum, [, value]) => sum + Number(value), 0)

describe('spans', () => {
  test('a call is a row with its span, tokens by kind and who it was for; sent again it changes nothing', async () => {
    const span = call(100, 20, {
      attributes: usage(100, 20, {
        'gen_ai.agent.name': 'planner',
        'gen_ai.provider.name': 'house',
        'gen_ai.usage.cost': '0.5',
        'gen_ai.usage.cache_read.input_tokens': '40',
      }),
    })
    await kit.pricer.push(spanBatch([span, span]), never)
    await kit.pricer.push(spanBatch([span]), never)
    expect(rows()).toMatchObject([
      {
        id: `span:${span.traceId}:${span.spanId}`,
        traceId: span.traceId,
        spanId: span.spanId,
        agent: 'planner',
        version: '1.0.0',
        model: 'flat',
        service: 'shop',
        usd: 120,
        statedUsd: 0.5,
        quantity: 120,
        attributes: { input_tokens: '100', output_tokens: '20', cache_read_tokens: '40', agent: 'planner' },
      },
    ])
    expect(counted()).toBe(120)
  })

  test('a span id that comes again in another trace is another call; one that is its own parent is billed', async () => {
    const spanId = '1'.repeat(16)
    const wrapped = call(30, 0, { spanId, traceId: 'a'.repeat(32) })
    const inner = call(30, 0, { parentSpanId: spanId, traceId: 'b'.repeat(32) })
    const other = call(70, 0, { spanId, traceId: 'c'.repeat(32) })
    await kit.pricer.push(spanBatch([wrapped, inner]), never)
    await kit.pricer.push(spanBatch([other]), never)
    await kit.pricer.push(
      spanBatch([call(5, 0, { spanId: '2'.repeat(16), parentSpanId: '2'.repeat(16) })]),
      never,
    )
    expect(rows().map((r) => r.usd)).toEqual([30, 30, 70, 5])
  })

  test('what the span states is used only where there is no price, and the row says so', async () => {
    const of = (model: string, more: Attributes) =>
      call(10, 0, { attributes: { ...usage(10, 0, more), 'gen_ai.request.model': model } })
    await kit.pricer.push(spanBatch([of('flat', { 'gen_ai.usage.cost': '3' })]), never)
    await kit.pricer.push(spanBatch([of('nobody-7b', { 'gen_ai.usage.cost': '3' })]), never)
    await kit.pricer.push(spanBatch([of('nobody-8b', {})]), never)
    expect(rows().map((r) => [r.usd, r.statedUsd, r.priceVersion.split('@')[0]])).toEqual([
      [10, 3, 'own'],
      [3, 3, 'stated'],
      [0, undefined, 'unpriced'],
    ])
    expect(kit.pricer.unpriced()).toMatchObject([{ model: 'nobody-8b', tokens: 10 }])
  })

  test('sums that agents carry, tools and spans without usage cost nothing; failed calls do, and are told apart', async () => {
    const role = (name: string) => ({ attributes: { ...usage(500, 500), 'gen_ai.operation.name': name } })
    await kit.pricer.push(
      spanBatch([
        call(0, 0, role('invoke_agent')),
        call(0, 0, role('execute_tool')),
        spanOf({ attributes: {} }),
        call(7, 0, { status: 'error' }),
        call(3, 0),
      ]),
      never,
    )
    expect(counted()).toBe(10)
    expect(counted('airboss_cost_failed_usd_total')).toBe(7)
  })

  const wrapped = () => {
    const traceId = 'f'.repeat(32)
    const outer = call(100, 50, { traceId })
    const http = spanOf({ traceId, parentSpanId: outer.spanId, endAt: kit.clock.now() })
    const inner = call(100, 50, { traceId, parentSpanId: http.spanId })
    return { outer, http, inner }
  }
  test.each([
    ['inner first', ['inner', 'http', 'outer']],
    ['outer first', ['outer', 'http', 'inner']],
    ['the middle last', ['inner', 'outer', 'http']],
  ] as const)('a call told by its wrapper too is billed once: %s', async (_, order) => {
    const spans = wrapped()
    // The middle one is what says that the others belong together.
    if (order[2] === 'http') await kit.pricer.push(spanBatch(order.map((name) => spans[name])), never)
    else for (const name of order) await kit.pricer.push(spanBatch([spans[name]]), never)
    expect(billed()).toBe(150)
  })

  test('calls beneath a tool or a sub-agent are calls of their own', async () => {
    const outer = call(100, 50)
    const tool = spanOf({
      parentSpanId: outer.spanId,
      attributes: { 'gen_ai.operation.name': 'execute_tool' },
    })
    const inner = call(60, 0, { parentSpanId: tool.spanId })
    await kit.pricer.push(spanBatch([inner, tool, outer]), never)
    expect(billed()).toBe(210)
  })

  test('service tiers: a price of its own, else the configured share of the standard one', async () => {
    const prices = createPrices(
      pricesConfigSchema.parse({
        models: [
          { model: 'm', input_mtok: 10, output_mtok: 10 },
          { model: 'm', service_tier: 'priority', input_mtok: 18, output_mtok: 18 },
        ],
      }),
    )
    const at = kit.clock.now()
    const usd = (tier: string) => prices.request({ input_tokens: 1e6 }, 'm', '', at, tier)
    expect(usd('')).toMatchObject({ usd: 10 })
    expect(usd('default')).toMatchObject({ usd: 10 })
    expect(usd('batch')).toMatchObject({ usd: 5, priceVersion: expect.stringContaining('*batch') })
    expect(usd('priority')).toMatchObject({ usd: 18 })
  })
})

describe('the same tokens as spans and as counters', () => {
  test('spans first, then the counter: only what the counter has beyond them', async () => {
    await kit.pricer.push(spanBatch([call(100, 10)]), never)
    await kit.clock.advance(1000)
    await kit.pricer.push(samples(counter('input', 130), counter('output', 10)), never)
    expect(billed()).toBe(140)
    expect(counted()).toBe(140)
  })

  test('the counter first, then spans: rows say the truth at once, the counter of dollars works the difference off', async () => {
    await kit.pricer.push(samples(counter('input', 100)), never)
    const span = call(100, 0, { attributes: usage(100, 0, { 'gen_ai.agent.name': 'planner' }) })
    await kit.pricer.push(spanBatch([span]), never)
    expect(billed()).toBe(100)
    expect(rows().map((r) => [r.agent, r.usd])).toEqual([
      ['shop', 100],
      ['planner', 100],
      ['shop', -100],
    ])
    expect(counted()).toBe(200)
    await kit.clock.advance(60_000)
    await kit.pricer.push(samples(counter('input', 180)), never)
    expect(counted()).toBe(200)
    expect(billed()).toBe(180)
  })

  test('an agent named on both sides must agree', async () => {
    const of = (agent: string) => call(100, 0, { attributes: usage(100, 0, { 'gen_ai.agent.name': agent }) })
    await kit.pricer.push(spanBatch([of('a')]), never)
    await kit.pricer.push(samples(counter('input', 100, undefined, { gen_ai_agent_name: 'b' })), never)
    expect(billed()).toBe(200)
    await kit.pricer.push(samples(counter('input', 100, undefined, { gen_ai_agent_name: 'a' })), never)
    expect(billed()).toBe(200)
  })

  test('instances are not mixed; where a scrape names them otherwise, the job is known to do so after five minutes', async () => {
    const second = { resource: resourceOf('shop', 'i2') }
    await kit.pricer.push(spanBatch([call(100, 0), call(50, 0, second)]), never)
    const other = counter('input', 90, undefined, { instance: 'i2' })
    await kit.pricer.push(samples(counter('input', 30), other), never)
    // i1: 100 of spans hold the 30; i2: 90 of the counter hold the 50.
    expect(billed()).toBe(190)
    kit = make()
    const scraped = { instance: '10.0.0.1:9464' }
    let minute = 0
    for (; minute < 20; minute++) {
      await kit.clock.advance(60_000)
      await kit.pricer.push(spanBatch([call(100, 0)]), never)
      await kit.pricer.push(samples(counter('input', 100 * (minute + 1), undefined, scraped)), never)
    }
    expect(billed()).toBe(2500)
    const third = { instance: '10.0.0.2:9464' }
    await kit.pricer.push(spanBatch([call(70, 0, { resource: resourceOf('shop', 'new') })]), never)
    await kit.pricer.push(samples(counter('input', 70, undefined, third)), never)
    expect(billed()).toBe(2570)
  })

  test('a dated spelling of the model on one side is the same model', async () => {
    const attributes = {
      ...usage(1000, 0),
      'gen_ai.request.model': 'gpt-4o',
      'gen_ai.response.model': 'gpt-4o-2024-08-06',
      'gen_ai.provider.name': 'openai',
    }
    await kit.pricer.push(spanBatch([call(0, 0, { attributes })]), never)
    const before = billed()
    await kit.pricer.push(
      samples(
        counter('input', 1000, undefined, {
          gen_ai_request_model: 'gpt-4o-2024-08-06',
          gen_ai_provider_name: 'openai',
        }),
      ),
      never,
    )
    expect(billed()).toBe(before)
    expect(before).toBeGreaterThan(0)
  })
})

interface Told {
  readonly at: number
  readonly batch: () => Batch
}

/** One run of a fleet: calls, what of them came as spans, what counters said, and in which order it all arrived. */
const scenario = fc.record({
  calls: fc.array(
    fc.record({
      at: fc.integer({ min: 1, max: 900_000 }),
      tokens: fc.integer({ min: 1, max: 1000 }),
      instance: fc.integer({ min: 0, max: 2 }),
      draw: fc.double({ min: 0, max: 0.999, noNaN: true }),
      delay: fc.integer({ min: 0, max: 1_200_000 }),
      again: fc.boolean(),
    }),
    { minLength: 1, maxLength: 60 },
  ),
  sampling: fc.constantFrom(0, 0.1, 0.5, 1),
  metrics: fc.boolean(),
  restarts: fc.array(fc.integer({ min: 0, max: 900_000 }), { maxLength: 2 }),
  metricDelay: fc.integer({ min: 0, max: 300_000 }),
  skips: fc.array(fc.integer({ min: 0, max: 15 }), { maxLength: 5 }),
  kills: fc.array(fc.tuple(fc.integer({ min: 0, max: 120 }), fc.integer({ min: 0, max: 5 })), {
    maxLength: 2,
  }),
})
type Scenario = typeof scenario extends fc.Arbitrary<infer T> ? T : never

const interval = 60_000
/** A source that begins anew is a new instance, as pods are. */
const instanceAt = (s: Scenario, instance: number, at: number): string =>
  `i${instance}-${s.restarts.filter((r) => r < at).length}`

const run = async (s: Scenario) => {
  kit = make()
  const base = kit.clock.now()
  const told: Told[] = []
  const bySpan = new Set<number>()
  const byCounter = new Set<number>()
  s.calls.forEach((c, i) => {
    if (c.draw >= s.sampling) return
    bySpan.add(i)
    const resource = resourceOf('shop', instanceAt(s, c.instance, c.at))
    const span = call(c.tokens, 0, { endAt: base + c.at, resource })
    const batch = () => spanBatch([span])
    told.push({ at: c.at + c.delay, batch })
    if (c.again) told.push({ at: c.at + c.delay + 5000, batch })
  })
  for (let instance = 0; s.metrics && instance < 3; instance++) {
    for (let t = interval; t <= 960_000; t += interval) {
      if (s.skips.includes(t / interval)) continue
      // A restart loses what was not exported.
      const restart = Math.max(0, ...s.restarts.filter((r) => r < t))
      const held = [...s.calls.entries()].filter(
        ([, c]) => c.instance === instance && c.at > restart && c.at <= t,
      )
      for (const [i] of held) byCounter.add(i)
      const value = held.reduce((sum, [, c]) => sum + c.tokens, 0)
      const sample = counter('input', value, plus(base, t), { instance: instanceAt(s, instance, t) })
      told.push({ at: t + s.metricDelay, batch: () => samples(sample) })
    }
  }
  told.sort((a, b) => a.at - b.at)
  const checkpoints: unknown[] = []
  for (const [i, { at, batch }] of told.entries()) {
    await kit.clock.advance(Math.max(0, base + at - kit.clock.now()))
    checkpoints.push(kit.pricer.checkpoint())
    await kit.pricer.push(batch(), never)
    const kill = s.kills.find(([at]) => at === i)
    if (kill) {
      const from = Math.max(0, i - kill[1])
      kit.pricer = kit.create()
      kit.sink.revive(kit.pricer, checkpoints[from], Math.max(0, from - 1))
    }
  }
  const sum = (which: (i: number) => boolean): number =>
    s.calls.reduce((total, c, i) => total + (which(i) ? c.tokens : 0), 0)
  const near = (at: number): boolean => at % interval < 5001 || at % interval > interval - 5001
  return {
    billed: billed(),
    /** Of calls that ended within five seconds of a sample: when they come late, another may stand in their place. */
    bound: s.calls.reduce((total, c) => total + (near(c.at) ? c.tokens : 0), 0),
    spans: sum((i) => bySpan.has(i)),
    counters: sum((i) => byCounter.has(i)),
    either: sum((i) => bySpan.has(i) || byCounter.has(i)),
  }
}

describe('whatever the order, the sampling, repeated and late spans, restarts of the source and kills of Airboss', () => {
  const most = { numRuns: 300 }
  test('spans that are all there are the truth, counters beside them change nothing', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (s) => {
        const end = await run({ ...s, sampling: 1 })
        expect(end.billed).toBeGreaterThanOrEqual(end.spans)
        expect(end.billed).toBeLessThanOrEqual(end.spans + end.bound)
      }),
      most,
    )
  })

  test('a counter that misses nothing is the truth, sampled spans beside it change nothing', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (s) => {
        const end = await run({ ...s, metrics: true, restarts: [], skips: s.skips.filter((k) => k < 15) })
        expect(end.billed).toBeGreaterThanOrEqual(end.counters)
        expect(end.billed).toBeLessThanOrEqual(end.counters + end.bound)
      }),
      most,
    )
  })

  test('where both miss something, at least the larger and at most what either of them saw', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async (s) => {
        const end = await run(s)
        expect(end.billed).toBeGreaterThanOrEqual(Math.max(end.spans, end.counters))
        expect(end.billed).toBeLessThanOrEqual(end.either + end.bound)
      }),
      most,
    )
  })
})
