// Airboss's own traces, from a request to a page and an action: the right spans under the right parents.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { tracesURL } from '../../src/app/tracing.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { type SentSpan, startTraceSink, type TraceSink } from '../kit/trace-sink.ts'
import { until } from '../kit/until.ts'
import { startWebhookSink, type WebhookSink } from '../kit/webhook-sink.ts'

let product: Product
let traces: TraceSink
let world: WebhookSink
beforeAll(async () => {
  traces = await startTraceSink()
  world = await startWebhookSink()
  product = await startProduct({
    files: {
      'airboss.yaml': `
global: { evaluation_interval: 1s }
rule_files: [rules.yaml]
alertmanager: alertmanager.yaml
host: { enabled: false }
tracing: { endpoint: '${traces.url}' }
oncall:
  users: { mara: { notify: [{ webhook: '${world.url}/mara' }] } }
  policies: { day: { steps: [{ users: [mara] }] } }
actions:
  mode: live
  webhooks: { deploy: { url: '${world.url}/deploy' } }
deployments:
  - { agent: pilot, version: 1.0.0, resources: { replicas: 1 } }
autoscale:
  - agent: pilot
    min_replicas: 1
    max_replicas: 5
    interval: 1s
    metrics: [{ query: sum(heat), target: { type: AverageValue, value: 50 } }]
`,
      'rules.yaml': `
groups:
  - { name: g, interval: 1s, rules: [{ alert: Hot, expr: heat > 90 }, { record: heat:half, expr: heat / 2 }] }
`,
      'alertmanager.yaml': `
route: { receiver: both, group_wait: 2s, group_interval: 1s }
receivers: [{ name: both, oncall_configs: [{ policy: day }], webhook_configs: [{ url: '${world.url}/hook/secret' }] }]
`,
    },
  })
  await until('tracing', () => product.said().includes('own traces are sent'), 10_000)
})
afterAll(async () => {
  await product?.dispose()
  await world?.close()
  await traces?.close()
})

const find = (name: string, about: (s: SentSpan) => boolean = () => true): SentSpan | undefined =>
  traces.spans().find((s) => s.name === name && about(s))
const parentOf = (span: SentSpan): SentSpan | undefined =>
  traces.spans().find((s) => s.id === span.parent && s.trace === span.trace)
/** The names from a span up to where its trace begins. */
const line = (span: SentSpan): string[] => {
  const up = parentOf(span)
  return [span.name, ...(up ? line(up) : [])]
}

it('follows one sample from its request to the page, and the action', async () => {
  const send = () => product.remoteWrite([{ labels: { __name__: 'heat' }, samples: [[95, Date.now()]] }])
  await send()
  const timer = setInterval(() => void send().catch(() => {}), 1000)
  try {
    await until('the page', () => world.got.find((g) => g.path === '/mara'), 15_000)
    await until('the hook', () => world.got.find((g) => g.path === '/hook/secret'), 10_000)
    await until('the action', () => world.got.find((g) => g.path === '/deploy'), 15_000)
    await until(
      'the spans',
      () =>
        traces.spans().filter((s) => s.name === 'delivery').length >= 2 &&
        find('action', (s) => s.attributes['airboss.outcome'] === 'done') &&
        find('page'),
      10_000,
    )
  } finally {
    clearInterval(timer)
  }

  const request = find('POST /api/v1/write')!
  expect(request).toMatchObject({ parent: '', attributes: { 'http.response.status_code': 204 } })
  const push = traces.spans().find((s) => s.name === 'log push' && s.parent === request.id)!
  expect(push.attributes).toMatchObject({ 'airboss.samples': 1 })

  // Waited two seconds for its group, and still belongs to the evaluation that raised the alert.
  const deliveries = traces.spans().filter((s) => s.name === 'delivery')
  expect(deliveries.map((d) => line(d).join(' < ')).sort()).toEqual([
    'delivery < notification < alert push < rule group',
    'delivery < page < alert push < rule group',
  ])
  for (const delivery of deliveries) expect(delivery.attributes['http.response.status_code']).toBe(200)
  const [delivery] = deliveries
  const group = traces.spans().find((s) => s.trace === delivery!.trace && s.name === 'rule group')!
  expect(group).toMatchObject({
    parent: '',
    attributes: { 'airboss.rule_group': expect.stringContaining('g') },
  })
  const under = traces.spans().filter((s) => s.parent === group.id)
  expect(under.filter((s) => s.name === 'query').map((s) => s.attributes['db.query.text'])).toEqual([
    'heat > 90',
    'heat / 2',
  ])
  expect(under.filter((s) => s.name === 'log push').length).toBeGreaterThan(0)
  // Each evaluation is a trace of its own.
  const groups = traces.spans().filter((s) => s.name === 'rule group')
  expect(new Set(groups.map((s) => s.trace)).size).toBe(groups.length)
  expect(groups.every((s) => s.parent === '')).toBe(true)

  expect(find('action')!.attributes).toMatchObject({
    'airboss.action.kind': 'scale',
    'airboss.outcome': 'done',
  })
}, 60_000)

it('names no path that may be a secret, and marks what failed', async () => {
  await product.fetch('/oncall/ack/a-token-that-is-none')
  await product.query('sum(').catch(() => {})
  const ack = await until('the span', () => find('GET /oncall/ack/:token'), 10_000)
  expect(ack.parent).toBe('')
  const failed = await until('the failed query', () => find('query', (q) => q.failed), 10_000)
  expect(failed.attributes['db.query.text']).toBe('sum(')
  expect(JSON.stringify(traces.spans())).not.toMatch(/a-token-that-is-none|\/secret/)
  expect(find('GET /-/healthy')).toBeUndefined()
})

it('sends the last spans when it ends', async () => {
  await product.fetch('/api/v1/labels')
  expect(await product.stop()).toBe(0)
  expect(find('GET /api/v1/labels')).toBeDefined()
})

it('gives a base address the path of OTLP', () => {
  expect(tracesURL('http://collector:4318')).toBe('http://collector:4318/v1/traces')
  expect(tracesURL('https://x.example/otlp/v1/traces?key=1')).toBe('https://x.example/otlp/v1/traces?key=1')
})
