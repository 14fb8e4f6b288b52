import { calcPrice } from '@pydantic/genai-prices'
import { beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { CollectingSink } from '../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { silentLogger } from '../lib/log.ts'
import { duration, instant } from '../lib/time.ts'
import { type Batch, type CostRow, sampleBatch } from '../model/batch.ts'
import { labelsOf } from '../model/labels.ts'
import { SeriesTable } from '../model/series.ts'
import { createPricer } from './pricer.ts'
import { createPrices } from './prices.ts'
import { pricesConfigSchema } from './prices-config.ts'

const never = new AbortController().signal
const make = (config: unknown = {}) => {
  const table = new SeriesTable(10_000)
  const sink = new CollectingSink(table)
  const clock = new FakeClock()
  const metrics = fakeMetrics()
  const create = () =>
    createPricer({
      sink,
      table,
      clock,
      metrics,
      log: silentLogger(),
      prices: createPrices(pricesConfigSchema.parse(config)),
    })
  return { table, sink, clock, metrics, create, pricer: create() }
}
let kit: ReturnType<typeof make>
beforeEach(() => {
  kit = make()
})

const base = {
  job: 'shop/helper',
  instance: 'i1',
  gen_ai_agent_name: 'helper',
  gen_ai_request_model: 'gpt-4o',
  gen_ai_provider_name: 'openai',
}
const usage = (kind: string) => ({ ...base, __name__: `gen_ai_client_inference_usage_${kind}_tokens_total` })
const batch = (...samples: [Record<string, string>, number][]): Batch =>
  sampleBatch(
    samples.map(([labels]) => kit.table.intern(labelsOf(labels))),
    samples.map(() => kit.clock.now()),
    samples.map(([, value]) => value),
  )
const send = async (...samples: [Record<string, string>, number][]): Promise<void> => {
  await kit.pricer.push(batch(...samples), never)
  await kit.clock.advance(1000)
}
const dollars = (): number =>
  Object.entries(kit.sink.last())
    .filter(([name]) => name.startsWith('airboss_cost_usd_total'))
    .reduce((sum, [, value]) => sum + Number(value), 0)
const rowsUsd = (): number => kit.sink.batches.flatMap((b) => b.costs).reduce((sum, row) => sum + row.usd, 0)
const costRow = (id: string, usd: number): CostRow => ({
  id,
  at: kit.clock.now(),
  agent: 'a',
  version: '1',
  model: '',
  provider: '',
  service: '',
  owner: 'mara',
  usd,
  quantity: 0,
  unit: '',
  priceVersion: '',
})
const costs = (...rows: CostRow[]): Batch => ({ ...sampleBatch([], [], []), costs: rows })
const oracle = (tokens: Record<string, number>, model = 'gpt-4o', providerId = 'openai'): number =>
  calcPrice(tokens, model, { providerId })!.total_price

describe('tokens', () => {
  test('a first sight is the baseline, increases are priced as the library does, labels say who', async () => {
    await send([usage('input'), 10_000], [usage('output'), 500])
    expect(dollars()).toBe(0)
    await send([usage('input'), 30_000], [usage('output'), 1500])
    expect(dollars()).toBeCloseTo(oracle({ input_tokens: 20_000, output_tokens: 1000 }), 12)
    expect(Object.keys(kit.sink.last()).find((s) => s.startsWith('airboss_cost'))).toBe(
      'airboss_cost_usd_total{agent="helper", model="gpt-4o", provider="openai", service="shop/helper"}',
    )
    const rows = kit.sink.batches.flatMap((b) => b.costs)
    expect(rows.map((r) => [r.unit, r.quantity, r.priceVersion])).toEqual([
      ['input_tokens', 20_000, 'genai-prices@0.1.8'],
      ['output_tokens', 1000, 'genai-prices@0.1.8'],
    ])
  })

  test('cached and reasoning tokens are part of input and output: billed once, at their own price', async () => {
    const kinds = ['input', 'output', 'cache_read_input', 'reasoning_output']
    await send(...kinds.map((k): [Record<string, string>, number] => [usage(k), 0]))
    await send(
      [usage('input'), 9000],
      [usage('output'), 800],
      [usage('cache_read_input'), 6000],
      [usage('reasoning_output'), 300],
    )
    expect(dollars()).toBeCloseTo(
      oracle({ input_tokens: 9000, cache_read_tokens: 6000, output_tokens: 800 }),
      12,
    )
  })

  test('cached tokens that come later are worked off, and the counter never falls', async () => {
    await send([usage('input'), 0], [usage('cache_read_input'), 0])
    await send([usage('input'), 9000])
    const before = dollars()
    await send([usage('cache_read_input'), 6000])
    expect(dollars()).toBe(before)
    await send([usage('input'), 39_000])
    expect(dollars()).toBeCloseTo(oracle({ input_tokens: 39_000, cache_read_tokens: 6000 }), 12)
    expect(rowsUsd()).toBeCloseTo(dollars(), 12)
    const values = kit.sink
      .samples()
      .filter((s) => s.series.startsWith('airboss_cost'))
      .map((s) => Number(s.value))
    expect(values).toEqual([...values].sort((a, b) => a - b))
  })

  test('long-context tiers do not apply to a sum of many requests', async () => {
    const gemini = {
      ...usage('input'),
      gen_ai_request_model: 'gemini-2.5-pro',
      gen_ai_provider_name: 'gcp.vertex_ai',
    }
    await send([gemini, 0])
    await send([gemini, 1_000_000])
    expect(dollars()).toBeCloseTo(10 * oracle({ input_tokens: 100_000 }, 'gemini-2.5-pro', 'google'), 9)
  })

  test('a reset counts what came after it; a repeated or older sample counts nothing', async () => {
    await send([usage('output'), 1000])
    await send([usage('output'), 400])
    const once = dollars()
    expect(once).toBeCloseTo(oracle({ output_tokens: 400 }), 12)
    const again = batch([usage('output'), 700])
    await kit.pricer.push(again, never)
    await kit.pricer.push(again, never)
    expect(dollars()).toBeCloseTo(oracle({ output_tokens: 700 }), 12)
  })

  test('after the first five minutes a new counter counts from zero', async () => {
    await kit.clock.advance(301_000)
    await send([usage('output'), 1000])
    expect(dollars()).toBeCloseTo(oracle({ output_tokens: 1000 }), 12)
    const zero = kit.sink.samples().filter((s) => s.series.startsWith('airboss_cost'))
    expect(zero.map((s) => s.value === 0)).toEqual([true, false])
    expect(zero[1]!.at - zero[0]!.at).toBe(30_000)
  })

  const spellings: [string, Record<string, string>][] = [
    ['histogram', { __name__: 'gen_ai_client_token_usage_sum', gen_ai_token_type: 'input' }],
    ['histogram with unit', { __name__: 'gen_ai_client_token_usage_tokens_sum', gen_ai_token_type: 'input' }],
    ['dotted', { __name__: 'gen_ai.client.token.usage_sum', 'gen_ai.token.type': 'input' }],
    ['by type', { __name__: 'gen_ai_client_inference_tokens_total', gen_ai_token_type: 'input' }],
    ['by kind', { __name__: 'gen_ai_client_inference_usage_input_tokens_total' }],
    ['by kind with unit', { __name__: 'gen_ai_client_inference_usage_input_tokens_token_total' }],
  ]
  test.each(spellings)('spelling: %s', async (_, labels) => {
    await send([{ ...base, ...labels }, 0])
    await send([{ ...base, ...labels }, 1000])
    expect(dollars()).toBeCloseTo(oracle({ input_tokens: 1000 }), 12)
  })

  test('one application that sends the old and the new spelling is charged once', async () => {
    const all = spellings.map(([, labels]) => ({ ...base, ...labels })).slice(0, 5)
    await send(...all.map((l): [Record<string, string>, number] => [l, 0]))
    await send(...all.map((l): [Record<string, string>, number] => [l, 1000]))
    expect(dollars()).toBeCloseTo(oracle({ input_tokens: 1000 }), 12)
  })

  test('buckets, counts and the per-request histograms are not tokens', async () => {
    const names = [
      'gen_ai_client_token_usage_bucket',
      'gen_ai_client_token_usage_count',
      'gen_ai_client_inference_operation_input_tokens_sum',
    ]
    const all = names.map((n) => ({ ...base, __name__: n, gen_ai_token_type: 'input' }))
    await send(...all.map((l): [Record<string, string>, number] => [l, 0]))
    await send(...all.map((l): [Record<string, string>, number] => [l, 1000]))
    expect(kit.sink.batches.flatMap((b) => b.costs)).toEqual([])
  })

  test('target_info says version and owner where the series does not', async () => {
    const info = {
      __name__: 'target_info',
      job: base.job,
      instance: 'i1',
      service_version: '1.2.0',
      team: 'shop',
    }
    await send([info, 1], [usage('input'), 0])
    await send([usage('input'), 10])
    expect(kit.sink.batches[1]!.costs[0]).toMatchObject({ version: '1.2.0', owner: 'shop' })
  })

  test('a model without a price is counted as such, and priced once it has one', async () => {
    const mine = { ...usage('input'), gen_ai_request_model: 'mine-7b', gen_ai_provider_name: 'vllm' }
    await send([mine, 0])
    await send([mine, 1000])
    expect(dollars()).toBe(0)
    expect(kit.metrics.values.get('airboss_unpriced_tokens_total{model="mine-7b",provider="vllm"}')).toBe(
      1000,
    )
    kit = make({ models: [{ model: 'mine-*', input_mtok: 2, output_mtok: 4 }] })
    await send([mine, 0])
    await send([mine, 1_000_000])
    expect(dollars()).toBeCloseTo(2, 9)
  })
})

describe('safety', () => {
  test('a reported cost counts once by its id, across batches too', async () => {
    await kit.pricer.push(costs(costRow('x', 1), costRow('x', 1), costRow('y', 2)), never)
    await kit.pricer.push(costs(costRow('x', 1)), never)
    expect(dollars()).toBe(3)
    expect(kit.sink.batches.map((b) => b.costs.length)).toEqual([2, 0])
  })

  test('what the log refuses changes nothing and can be sent again', async () => {
    await send([usage('input'), 0])
    const more = { ...batch([usage('input'), 1000]), costs: [costRow('x', 1)] }
    kit.sink.refuse = new Error('full')
    await expect(kit.pricer.push(more, never)).rejects.toThrow('full')
    kit.sink.refuse = null
    await kit.pricer.push(more, never)
    expect(dollars()).toBeCloseTo(1 + oracle({ input_tokens: 1000 }), 12)
  })

  test.each(
    [0, 1, 2, 3, 4, 5, 6].flatMap(
      (n) =>
        [
          [n, 0],
          [n, 2],
        ] as const,
    ),
  )(
    'killed after a checkpoint at batch %i, replayed from %i before: nothing lost, nothing double',
    async (sealed, overlap) => {
      let checkpoint: unknown = null
      const steps: (() => Promise<void>)[] = [
        () => send([usage('input'), 100], [usage('cache_read_input'), 0]),
        () => send([usage('input'), 5100]),
        () => kit.pricer.push(costs(costRow('x', 1)), never),
        () => send([usage('cache_read_input'), 4000]),
        () => kit.pricer.push(costs(costRow('x', 1), costRow('y', 0.5)), never),
        () => send([usage('input'), 6100]),
      ]
      for (const [i, step] of steps.entries()) {
        if (i === sealed) checkpoint = kit.pricer.checkpoint()
        await step()
      }
      if (sealed === steps.length) checkpoint = kit.pricer.checkpoint()
      kit.pricer = kit.create()
      // A log may replay one range more than the checkpoint needs.
      kit.sink.revive(kit.pricer, checkpoint, checkpoint === null ? 0 : Math.max(sealed - overlap, 0))
      await kit.pricer.push(costs(costRow('y', 0.5), costRow('x', 1)), never)
      await send([usage('input'), 9100])
      const tokens = oracle({ input_tokens: 9000, cache_read_tokens: 4000 })
      expect(dollars()).toBeCloseTo(1.5 + tokens, 12)
      expect(rowsUsd()).toBeCloseTo(1.5 + tokens, 12)
    },
  )

  test('pushes side by side are counted one after the other', async () => {
    await send([usage('input'), 0])
    const all: Promise<void>[] = []
    for (let i = 1; i <= 20; i++) {
      all.push(kit.pricer.push({ ...batch([usage('input'), i * 100]), costs: [costRow(`c${i}`, 1)] }, never))
      await kit.clock.advance(1)
    }
    await Promise.all(all)
    expect(dollars()).toBeCloseTo(20 + oracle({ input_tokens: 2000 }), 9)
    const times = kit.sink
      .samples()
      .filter((s) => s.series.includes('owner="mara"'))
      .map((s) => s.at)
    expect(new Set(times).size).toBe(times.length)
  })

  test('the counter is written between changes, and stale markers pass unharmed', async () => {
    await kit.pricer.start()
    await kit.pricer.push(costs(costRow('x', 1)), never)
    await kit.clock.advance(61_000)
    expect(kit.sink.samples().map((s) => s.value)).toEqual([0, 1, 1, 1])
    const marked = batch([usage('input'), 0])
    new Uint32Array(marked.value.buffer).set([2, 0x7ff00000])
    await kit.pricer.push({ ...marked, costs: [costRow('z', 1)] }, never)
    expect(kit.sink.samplesOf(kit.sink.batches.at(-1)!).map((s) => s.value)).toEqual(['stale', 2])
    await kit.pricer.drain()
  })
})

describe('prices', () => {
  const at = instant(Date.parse('2026-06-01T00:00:00Z'))
  const prices = createPrices(pricesConfigSchema.parse({}))

  // The well-known values of gen_ai.provider.name.
  test.each([
    ['openai', 'gpt-4o-mini'],
    ['anthropic', 'claude-sonnet-4-20250514'],
    ['aws.bedrock', 'claude-sonnet-4-20250514'],
    ['gcp.gemini', 'gemini-2.5-flash'],
    ['gcp.gen_ai', 'gemini-2.5-flash'],
    ['gcp.vertex_ai', 'gemini-2.5-flash'],
    ['azure.ai.openai', 'gpt-4o'],
    ['azure.ai.inference', 'gpt-4o'],
    ['mistral_ai', 'mistral-large-latest'],
    ['deepseek', 'deepseek-chat'],
    ['groq', 'llama-3.3-70b-versatile'],
    ['x_ai', 'grok-3'],
    ['cohere', 'command-r-plus'],
    ['perplexity', 'sonar'],
  ])('provider %s is known', (provider, model) => {
    expect(prices.tokens('input', 'text', 1e6, model, provider, at)?.usd).toBeGreaterThan(0)
  })

  test('a request is priced with its tiers, and says why it cannot be', () => {
    const long = { input_tokens: 300_000, output_tokens: 10 }
    expect(prices.request(long, 'gemini-2.5-pro', 'google', at)).toMatchObject({
      usd: oracle(long, 'gemini-2.5-pro', 'google'),
    })
    expect(prices.request(long, 'nope', '', at)).toContain('prices.models')
    expect(prices.request({ input_tokens: 1, cache_read_tokens: 2 }, 'gpt-4o', 'openai', at)).toContain(
      'cannot be priced',
    )
  })

  test('the list version is that of the package', async () => {
    const { createRequire } = await import('node:module')
    const { readFileSync } = await import('node:fs')
    const main = createRequire(import.meta.url).resolve('@pydantic/genai-prices')
    const { version } = JSON.parse(readFileSync(new URL('../package.json', `file://${main}`), 'utf8'))
    expect(prices.tokens('input', 'text', 1, 'gpt-4o', 'openai', at)?.priceVersion).toBe(
      `genai-prices@${version}`,
    )
  })

  test('own prices: per provider, cache prices, before the list', () => {
    const own = createPrices(
      pricesConfigSchema.parse({
        models: [
          { model: 'gpt-4o', provider: 'azure', input_mtok: 1, output_mtok: 2, cache_read_mtok: 0.25 },
        ],
      }),
    )
    expect(own.tokens('cache_read', 'text', 1e6, 'gpt-4o', 'azure', at)?.usd).toBeCloseTo(-0.75, 12)
    expect(own.tokens('input', 'text', 1e6, 'gpt-4o', 'openai', at)?.usd).toBeCloseTo(2.5, 12)
    expect(
      pricesConfigSchema.safeParse({ models: [{ model: 'x', input_mtok: -1, output_mtok: 1 }] }).success,
    ).toBe(false)
  })
  test('settle can be set', async () => {
    const { table, sink, clock, metrics } = kit
    kit.pricer = createPricer({
      sink,
      table,
      clock,
      metrics,
      log: silentLogger(),
      prices,
      settle: duration(0),
    })
    await send([usage('output'), 1000])
    expect(dollars()).toBeGreaterThan(0)
  })
})

test('requests that wait are priced and logged in one turn, each thing still once; one that is refused is told to all', async () => {
  const row = (id: string, usd: number): Batch => ({ ...batch(), costs: [costRow(id, usd)] })
  await Promise.all(['a', 'b', 'c', 'b'].map((id) => kit.pricer.push(row(id, 1), never)))
  expect(kit.sink.batches.map((b) => b.costs.map((c) => c.id))).toEqual([['a'], ['b', 'c']])
  expect(dollars()).toBe(3)
  kit.sink.refuse = new Error('the disk is full')
  const aborted = AbortSignal.abort()
  const ends = await Promise.allSettled([
    ...['d', 'e'].map((id) => kit.pricer.push(row(id, 1), never)),
    kit.pricer.push(row('f', 1), aborted),
  ])
  expect(ends.map((e) => e.status === 'rejected' && String(e.reason.message))).toEqual([
    'the disk is full',
    'the disk is full',
    'the request was canceled before it was priced',
  ])
  kit.sink.refuse = null
  await kit.pricer.push(row('d', 1), never)
  await kit.clock.advance(1000)
  expect(dollars()).toBe(4)
})
