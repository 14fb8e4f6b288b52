// A story of others' alerts: Grafana says that load is high, replicas follow, a repetition changes nothing, and its end brings them back.
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type HttpSink, startSink } from '../kit/http-sink.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const airboss = (url: string): string => `
host: { enabled: false }
rule_files: []
alertmanager: alertmanager.yml
actions: { mode: live, webhooks: { scaler: { url: '${url}/scale', secret: s } } }
hooks:
  grafana:
    source: grafana
    auth: { hmac: { scheme: grafana, secret: what grafana knows } }
    labels: { from: grafana }
  builds:
    auth: { bearer: a-token-for-builds }
    id: $.id
    match: { $.state: done }
    event: { name: build, agent: $.agent, value: $.seconds }
autoscale:
  - agent: pilot
    min_replicas: 1
    max_replicas: 8
    interval: 1s
    current: max(replicas{agent="pilot"})
    metrics:
      - { query: 'max(airboss_external_alert{alertname="LoadHigh", from="grafana"}) * 5 + 1', target: { type: AverageValue, value: 1 }, means: replicas while Grafana says the load is high }
    behavior: { scale_down: { stabilization_window: 0s }, scale_up: { policies: [{ type: Pods, value: 10, period: 15s }] } }
`
const alertmanager = (url: string): string => `
route: { receiver: ops, group_wait: 0s, group_interval: 1s }
receivers: [{ name: ops, webhook_configs: [{ url: '${url}/page' }] }]
`

let sink: HttpSink
let product: Product
beforeAll(async () => {
  sink = await startSink(() => 200)
  product = await startProduct({
    files: { 'airboss.yaml': airboss(sink.url), 'alertmanager.yml': alertmanager(sink.url) },
  })
})
afterAll(async () => {
  await product?.dispose()
  await sink?.close()
})

const hook = async (name: string, body: unknown, headers: Record<string, string> = {}) => {
  const raw = JSON.stringify(body)
  const signature = createHmac('sha256', 'what grafana knows').update(raw).digest('hex')
  const answer = await product.fetch(`/api/ops/v1/hooks/${name}`, {
    method: 'POST',
    body: raw,
    headers: { 'content-type': 'application/json', 'x-grafana-alerting-signature': signature, ...headers },
  })
  return { status: answer.status, said: await answer.json() }
}
const startsAt = new Date(Date.now() - 5000).toISOString()
const grafana = (status: 'firing' | 'resolved') => ({
  ...{
    receiver: 'airboss',
    status,
    orgId: 1,
    version: '1',
    title: `[${status.toUpperCase()}] LoadHigh`,
    state: 'alerting',
  },
  alerts: [
    {
      ...{
        status,
        labels: { alertname: 'LoadHigh', severity: 'warning' },
        annotations: { summary: 'load is high' },
      },
      ...{ startsAt, endsAt: status === 'resolved' ? new Date().toISOString() : '0001-01-01T00:00:00Z' },
      ...{
        generatorURL: 'http://grafana/alerting/1',
        fingerprint: 'f00',
        panelURL: 'http://grafana/d/1',
        values: { A: 9 },
      },
    },
  ],
})
const replicas = (value: number) =>
  product.remoteWrite([{ labels: { __name__: 'replicas', agent: 'pilot' }, samples: [[value, Date.now()]] }])
const calls = () => sink.to('/scale')
const shown = async (): Promise<{ labels: Record<string, string> }[]> =>
  (await product.fetch('/api/v2/alerts')).json() as never

it('an alert of Grafana is shown, routed, seen by PromQL, and asks for replicas', async () => {
  await replicas(1)
  expect((await hook('grafana', grafana('firing'))).said).toEqual({
    accepted: { alerts: 1, events: 0, samples: 0 },
    ignored: 0,
  })
  expect((await shown()).map((a) => a.labels)).toEqual([
    { alertname: 'LoadHigh', severity: 'warning', from: 'grafana' },
  ])
  expect(
    await product.value('count(ALERTS{alertname="LoadHigh", alertstate="firing", alertsource="external"})'),
  ).toBe(1)
  const page = await until('the page', () => sink.to('/page')[0], 10_000)
  expect(page.body).toMatchObject({
    status: 'firing',
    alerts: [
      {
        labels: { alertname: 'LoadHigh' },
        annotations: { summary: 'load is high', dashboard_url: 'http://grafana/d/1' },
      },
    ],
  })
  const call = await until('the scale call', () => calls()[0], 10_000)
  expect(call.body.action).toMatchObject({
    kind: 'scale',
    subject: 'pilot',
    params: { from: 1, replicas: 6 },
  })
  const [, t, v1] = /^t=(\d+),v1=([0-9a-f]+)$/.exec(String(call.headers['x-airboss-signature']))!
  expect(createHmac('sha256', 's').update(`${t}.${call.raw}`).digest('hex')).toBe(v1)
})

it('a repeated delivery changes nothing', async () => {
  await replicas(6)
  await hook('grafana', grafana('firing'))
  const decided = async () =>
    (await product.value('airboss_decisions_total{kind="scale", verdict="scale_up"}')) ?? 0
  expect(await decided()).toBe(1)
  const looked = async (): Promise<string> => {
    const { autoscalers } = (await (await product.fetch('/api/ops/v1/autoscalers')).json()) as {
      autoscalers: { checked_at?: string }[]
    }
    return JSON.stringify(autoscalers)
  }
  const before = await looked()
  await until('another look', async () => (await looked()) !== before, 10_000)
  expect(calls()).toHaveLength(1)
  expect(sink.to('/page')).toHaveLength(1)
  expect(await decided()).toBe(1)
})

it('one that is not signed is turned away', async () => {
  expect((await hook('grafana', grafana('resolved'), { 'x-grafana-alerting-signature': 'ab' })).status).toBe(
    401,
  )
  expect(await shown()).toHaveLength(1)
})

it('its end ends it: replicas come down, the page is taken back', async () => {
  await hook('grafana', grafana('resolved'))
  expect(await product.value('count(ALERTS{alertsource="external"})')).toBeNull()
  const call = await until('the second call', () => calls()[1], 10_000)
  expect(call.body.action.params).toEqual({ from: 6, replicas: 1 })
  await until('the end of the page', () => sink.to('/page').some((p) => p.body.status === 'resolved'), 10_000)
  await replicas(1)
  // Word of the firing that was on its way for long is not believed.
  expect((await hook('grafana', grafana('firing'))).said).toMatchObject({
    accepted: { alerts: 0 },
    ignored: 1,
  })
})

it('a mapped payload is a business event, once', async () => {
  const token = { authorization: 'Bearer a-token-for-builds' }
  const body = { id: 'b-1', state: 'done', agent: 'pilot', seconds: 4 }
  expect((await hook('builds', body, token)).said).toMatchObject({ accepted: { events: 1 } })
  expect((await hook('builds', body, token)).said).toEqual({ duplicate: true, id: 'b-1' })
  expect((await hook('builds', { ...body, id: 'b-2', state: 'running' }, token)).said).toMatchObject({
    ignored: 1,
  })
  expect((await hook('builds', body)).status).toBe(401)
  expect(await product.value('sum(airboss_events_total{name="build"})')).toBe(1)
})
