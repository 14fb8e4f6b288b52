import { expect, test } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { AppError } from '../../lib/errors.ts'
import { silentLogger } from '../../lib/log.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { createCosts } from './receiver.ts'

const sink = new CollectingSink(new SeriesTable(10))
const clock = new FakeClock()
const costs = createCosts({
  sink,
  clock,
  limits: defaultAdmission,
  log: silentLogger(),
  metrics: fakeMetrics(),
  price: (usage, model) =>
    model === 'known' ? { usd: usage.input_tokens / 1000, priceVersion: 'list@1' } : `no price for ${model}`,
})
const post = async (body: unknown) => {
  const answer = await costs.handle(
    {
      method: 'POST',
      path: '/',
      query: new URLSearchParams(),
      headers: {},
      body: Buffer.from(JSON.stringify(body)),
    },
    new AbortController().signal,
  )
  return { status: answer.status, ...JSON.parse(String(answer.body)) }
}

test('rows with dollars and rows to be priced go on; bad items are named', async () => {
  const usage = { input_tokens: 500, output_tokens: 20, cache_read_tokens: 100 }
  const answer = await post({
    costs: [
      { id: '1', usd: 0.5, agent: 'a', owner: 'mara', quantity: 3, unit: 'calls' },
      { id: '2', model: 'known', usage },
      { id: '3', model: 'other', usage },
      { id: '4' },
      { id: '5', usd: 1, usage },
      { id: '6', usd: -1 },
      { id: '7', model: 'known', usage: { input_tokens: 1, cache_read_tokens: 2 } },
      { id: '8', model: 'known', usage: { prompt_tokens: 1 } },
    ],
  })
  expect(answer).toMatchObject({ status: 200, accepted: 2 })
  expect(answer.rejected.map((r: { id: string; field: string }) => [r.id, r.field])).toEqual([
    ['3', 'usage'],
    ['4', 'usd'],
    ['5', 'usd'],
    ['6', 'usd'],
    ['7', 'usage.input_tokens'],
    ['8', 'usage.prompt_tokens'],
  ])
  expect(sink.batches[0]!.costs).toMatchObject([
    { id: '1', usd: 0.5, quantity: 3, unit: 'calls', priceVersion: '', owner: 'mara', at: clock.now() },
    { id: '2', usd: 0.5, quantity: 520, unit: 'tokens', priceVersion: 'list@1' },
  ])
})

test('all bad is 400, a full log 503, and neither leaves anything', async () => {
  const before = sink.batches.length
  expect((await post([{ id: '' }])).status).toBe(400)
  sink.refuse = new AppError('storage_full', 'full')
  expect((await post({ id: '9', usd: 1 })).status).toBe(503)
  expect(sink.batches.length).toBe(before)
})
