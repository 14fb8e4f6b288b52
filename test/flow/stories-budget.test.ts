// The story of money: costs are posted, tokens are counted and priced, a budget is passed, and somebody is paged for it once.
import { rmSync } from 'node:fs'
import { calcPrice } from '@pydantic/genai-prices'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type FakePagerduty, startFakePagerduty } from '../kit/fake-pagerduty.ts'
import { type HttpSink, startSink } from '../kit/http-sink.ts'
import { sendOtlp } from '../kit/otlp-json.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const airboss = `
global: { evaluation_interval: 1s }
host: { enabled: false }
rule_files: []
alertmanager: alertmanager.yaml
budgets:
  - { name: search, amount: 10, period: annual, thresholds: [0.5, 1], projected: false, interval: 1s, filter: ['owner="search"'], labels: { team: search } }
  - { name: all, amount: 1000, period: annual, thresholds: [0.9], projected: false, interval: 1s }
`
const alertmanager = (pagerduty: string, sink: string): string => `
global: { pagerduty_url: '${pagerduty}' }
route:
  receiver: nobody
  group_by: [alertname, budget, threshold]
  group_wait: 0s
  group_interval: 1s
  routes: [{ receiver: money, matchers: ['alertname="BudgetThreshold"', 'team="search"'] }]
receivers:
  - name: nobody
    webhook_configs: [{ url: '${sink}/nobody' }]
  - name: money
    pagerduty_configs: [{ routing_key: 0123456789abcdef0123456789abcdef }]
    webhook_configs: [{ url: '${sink}/money' }]
`
const model = 'claude-sonnet-4-5'
const provider = 'anthropic'

let pagerduty: FakePagerduty
let sink: HttpSink
let product: Product
beforeAll(async () => {
  ;[pagerduty, sink] = await Promise.all([startFakePagerduty(), startSink()])
  product = await startProduct({
    files: { 'airboss.yaml': airboss, 'alertmanager.yaml': alertmanager(pagerduty.url, sink.url) },
  })
})
afterAll(async () => {
  await product?.dispose()
  if (product) rmSync(product.dir, { recursive: true, force: true })
  await Promise.all([sink?.close(), pagerduty?.close()])
})

const post = (costs: unknown): Promise<Response> =>
  product.fetch('/api/ops/v1/costs', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(costs),
  })
const spent = (selector: string): Promise<number | null> =>
  product.value(`sum(airboss_cost_usd_total{${selector}})`)

/** Tokens so far, as an SDK tells them: cumulative, by type. */
const tokens = (input: number, output: number, cached: number): Promise<void> => {
  const of = (type: string, value: number) => ({
    at: Date.now(),
    value,
    attributes: {
      'gen_ai.token.type': type,
      'gen_ai.request.model': model,
      'gen_ai.provider.name': provider,
      'gen_ai.agent.name': 'finder',
    },
  })
  return sendOtlp(
    product.otlpHttp,
    { 'service.name': 'search-api', 'service.version': '1.4.0', owner: 'search' },
    [
      {
        name: 'gen_ai.client.inference.token',
        unit: '{token}',
        kind: 'counter',
        points: [of('input', input), of('output', output), of('cache_read', cached)],
      },
    ],
  )
}

it('counts posted costs once each, and prices those that come with tokens', async () => {
  const usage = { input_tokens: 120_000, output_tokens: 8_000, cache_read_tokens: 100_000 }
  const costs = [
    { id: 'c1', usd: 2.5, agent: 'finder', owner: 'search', service: 'vectors' },
    { id: 'c2', usage, model, provider, agent: 'finder', owner: 'search' },
    { id: 'c3', usd: -1, owner: 'search' },
  ]
  const answer = await post(costs)
  // The bad one is named, the others are kept.
  expect(answer.status).toBeLessThan(300)
  expect(JSON.stringify(await answer.json())).toContain('c3')
  await post(costs.slice(0, 2))
  const price = calcPrice(usage, model, { providerId: provider })!.total_price
  expect(price).toBeGreaterThan(0)
  await until('the costs', async () => (await spent('owner="search"')) !== null)
  expect(await spent('owner="search", service="vectors"')).toBe(2.5)
  expect(await spent(`owner="search", model="${model}"`)).toBeCloseTo(price, 9)
})

it('prices the tokens that instrumented agents count, cached ones at their own price', async () => {
  await tokens(1000, 100, 500)
  const before = (await spent('owner="search"'))!
  await tokens(1000 + 600_000, 100 + 20_000, 500 + 400_000)
  const usage = { input_tokens: 600_000, output_tokens: 20_000, cache_read_tokens: 400_000 }
  // Sums do not say how long each request was: priced as many short ones.
  const parts = 1000
  const one = {
    input_tokens: usage.input_tokens / parts,
    output_tokens: usage.output_tokens / parts,
    cache_read_tokens: usage.cache_read_tokens / parts,
  }
  const price = calcPrice(one, model, { providerId: provider })!.total_price * parts
  await until('the price', async () => (await spent('owner="search"'))! > before)
  expect(((await spent('owner="search"'))! - before) as number).toBeCloseTo(price, 6)
  const [row] = await product.query(`airboss_cost_usd_total{service="search-api"}`)
  expect(row!.metric).toMatchObject({
    agent: 'finder',
    version: '1.4.0',
    model,
    provider,
    owner: 'search',
  })
})

it('is silent below the first threshold', async () => {
  await until(
    'a look at the budget',
    async () => (await product.value('airboss_budget_spent_usd{budget="search"}')) !== null,
  )
  const total = (await spent('owner="search"'))!
  expect(total).toBeLessThan(5)
  await until(
    'a look at all of it',
    async () => Math.abs((await product.value('airboss_budget_spent_usd{budget="search"}'))! - total) < 1e-9,
    10_000,
  )
  expect(pagerduty.attempts() + sink.calls.length).toBe(0)
})

it('pages when half of it is spent, with the numbers in words', async () => {
  await post({ id: 'c4', usd: 3, agent: 'finder', owner: 'search' })
  const [event] = await until(
    'the page',
    () => (pagerduty.events.length > 0 ? pagerduty.events : null),
    15_000,
  )
  expect(event!.payload).toMatchObject({ summary: expect.stringMatching(/Budget search has passed 50\s?%/) })
  const [call] = await until('the webhook', () => (sink.to('/money').length > 0 ? sink.to('/money') : null))
  expect(call!.body).toMatchObject({
    status: 'firing',
    alerts: [
      {
        labels: { alertname: 'BudgetThreshold', budget: 'search', threshold: '0.5', team: 'search' },
        annotations: { description: expect.stringMatching(/of \$10(\.00)? \(\d+(\.\d+)?\s?%\) is spent/) },
      },
    ],
  })
  expect(
    await product.value('airboss_decisions_total{kind="budget", subject="search", verdict="page"}'),
  ).toBe(1)
})

it('pages again at the whole, and only then', async () => {
  await post({ id: 'c5', usd: 6, agent: 'finder', owner: 'search' })
  await until('the second page', () => pagerduty.events.length > 1 && sink.to('/money').length > 1, 15_000)
  const thresholds = sink
    .to('/money')
    .flatMap((c) => c.body.alerts.map((a: { labels: { threshold: string } }) => a.labels.threshold))
  expect(thresholds.sort()).toEqual(['0.5', '1'])
  expect(pagerduty.alerts.map((a) => a.state)).toEqual(['triggered', 'triggered'])
  // The budget for everything has room left, and nobody else heard of it.
  expect(sink.to('/nobody')).toEqual([])
  expect(await product.value('airboss_budget_spent_ratio{budget="all"}')).toBeLessThan(0.02)
})

it('knows it after kill -9: what was spent is spent once, and nobody is paged again', async () => {
  const before = (await spent('owner="search"'))!
  product.signal('SIGKILL', 'all')
  await product.stop()
  const { dir } = product
  product = await startProduct({ dir })
  await until('the costs of before', async () => (await spent('owner="search"')) !== null, 10_000)
  expect(await spent('owner="search"')).toBeCloseTo(before, 9)
  await post({ id: 'c6', usd: 0.25, owner: 'search' })
  await until(
    'the budget to see it',
    async () =>
      Math.abs((await product.value('airboss_budget_spent_usd{budget="search"}'))! - before - 0.25) < 1e-6,
    15_000,
  )
  expect(pagerduty.events.map((e) => e.event_action)).toEqual(['trigger', 'trigger'])
})
