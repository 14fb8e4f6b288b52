// The story of a night: a reactor heats up, PagerDuty and two people hear of it, one answers, it cools down, and all hear that too.
import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type FakePagerduty, startFakePagerduty } from '../kit/fake-pagerduty.ts'
import { type HttpSink, startSink } from '../kit/http-sink.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const teamKey = '0123456789abcdef0123456789abcdef'
const maraKey = 'ffffffffffffffffffffffffffffffff'

const airboss = `
global: { evaluation_interval: 1s, external_labels: { site: north } }
listen: { external_url: 'https://airboss.example/' }
host: { enabled: false }
rule_files: [rules.yaml]
alertmanager: alertmanager.yaml
oncall:
  users:
    mara: { name: Mara, notify: [{ pagerduty: ${maraKey} }, { webhook: 'SINK/mara' }] }
    noor: { notify: [{ webhook: 'SINK/noor' }] }
  policies:
    night: { repeat: 20, steps: [{ users: [mara] }, { after: 1s, users: [noor] }] }
`
const rules = `
groups:
  - name: reactor
    interval: 1s
    rules:
      - record: job:heat:max
        expr: max by (job) (heat)
      - alert: Hot
        expr: job:heat:max > 90
        labels: { severity: critical }
        annotations:
          summary: 'heat is {{ $value | humanize }} in {{ $labels.job }}'
          runbook_url: 'https://runbooks.example/hot'
`
const alertmanager = `
global: { pagerduty_url: 'PAGERDUTY' }
route: { receiver: night, group_by: [alertname, job], group_wait: 0s, group_interval: 1s, repeat_interval: 1h }
receivers:
  - name: night
    pagerduty_configs:
      - routing_key: ${teamKey}
        severity: '{{ .CommonLabels.severity }}'
        details: { runbook: '{{ .CommonAnnotations.runbook_url }}' }
    webhook_configs: [{ url: 'SINK/hook' }]
    oncall_configs: [{ policy: night }]
`

let pagerduty: FakePagerduty
let sink: HttpSink
let product: Product

beforeAll(async () => {
  ;[pagerduty, sink] = await Promise.all([startFakePagerduty(), startSink()])
  const text = (template: string) =>
    template.replaceAll('SINK', sink.url).replaceAll('PAGERDUTY', pagerduty.url)
  product = await startProduct({
    files: {
      'airboss.yaml': text(airboss),
      'rules.yaml': rules,
      'alertmanager.yaml': text(alertmanager),
    },
  })
})
afterAll(async () => {
  await product?.dispose()
  await Promise.all([sink?.close(), pagerduty?.close()])
})

const heat = (value: number): Promise<void> =>
  product.remoteWrite([
    { labels: { __name__: 'heat', job: 'reactor', unit: 'u1' }, samples: [[value, Date.now()]] },
    { labels: { __name__: 'heat', job: 'reactor', unit: 'u2' }, samples: [[value / 2, Date.now()]] },
  ])
const groupKey = '{}:{alertname="Hot", job="reactor"}'
const labels = { alertname: 'Hot', job: 'reactor', severity: 'critical', site: 'north' }
const annotations = { summary: 'heat is 95 in reactor', runbook_url: 'https://runbooks.example/hot' }
const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const atLeast = <T>(n: number, list: T[]): T[] | null => (list.length >= n ? list : null)
const team = () => pagerduty.events.filter((e) => e.routing_key === teamKey)
const mara = () => pagerduty.events.filter((e) => e.routing_key === maraKey)
const escalations = async () =>
  ((await (await product.fetch('/api/ops/v1/escalations')).json()) as { escalations: Escalation[] })
    .escalations
interface Escalation {
  readonly status: string
  readonly nextAt: string | null
  readonly acknowledgedBy: string | null
  readonly pages: readonly {
    readonly user: string
    readonly about: string
    readonly state: string
    readonly at: string
  }[]
}

const allDelivered = async (): Promise<boolean> =>
  (await escalations()).every((e) => e.pages.every((p) => p.state !== 'asked'))

it('is calm at first: the rule is evaluated and nobody is called', async () => {
  await heat(42)
  await until('the recorded series', async () => (await product.value('job:heat:max')) === 42)
  await until('an evaluation', async () => {
    const answer = await (await product.fetch('/api/v1/rules?type=alert')).json()
    const [rule] = (answer as { data: { groups: { rules: { state: string; health: string }[] }[] } }).data
      .groups[0]!.rules
    return rule!.health === 'ok' && rule!.state === 'inactive'
  })
  expect(pagerduty.attempts() + sink.calls.length).toBe(0)
})

it('crosses the threshold: PagerDuty is triggered with the right body', async () => {
  await heat(95)
  const [event] = await until('the trigger', () => atLeast(1, team()), 10_000)
  expect(event).toEqual({
    routing_key: teamKey,
    event_action: 'trigger',
    dedup_key: createHash('sha256').update(groupKey).digest('hex'),
    client: 'Airboss',
    client_url: 'https://airboss.example/alerts?receiver=night',
    payload: {
      summary: 'FIRING 1: Hot reactor: heat is 95 in reactor',
      source: 'Airboss',
      severity: 'critical',
      timestamp: expect.stringMatching(time),
      custom_details: {
        firing: [
          'alertname=Hot job=reactor severity=critical site=north ',
          '  runbook_url: https://runbooks.example/hot',
          '  summary: heat is 95 in reactor',
          '  https://airboss.example/explore?expr=job%3Aheat%3Amax%20%3E%2090',
          '',
        ].join('\n'),
        resolved: '',
        num_firing: '1',
        num_resolved: '0',
        runbook: 'https://runbooks.example/hot',
      },
    },
  })
  expect(pagerduty.refused).toEqual([])
})

it('posts the webhook as Alertmanager does', async () => {
  const [call] = await until('the webhook', () => atLeast(1, sink.to('/hook')))
  expect(call!.method).toBe('POST')
  expect(call!.headers['content-type']).toBe('application/json')
  expect(call!.body).toEqual({
    version: '4',
    groupKey,
    truncatedAlerts: 0,
    status: 'firing',
    receiver: 'night',
    groupLabels: { alertname: 'Hot', job: 'reactor' },
    commonLabels: labels,
    commonAnnotations: annotations,
    externalURL: 'https://airboss.example',
    notification_reason: 'first notification',
    routeLabels: {},
    alerts: [
      {
        status: 'firing',
        labels,
        annotations,
        startsAt: expect.stringMatching(time),
        endsAt: '0001-01-01T00:00:00Z',
        generatorURL: 'https://airboss.example/explore?expr=job%3Aheat%3Amax%20%3E%2090',
        fingerprint: expect.stringMatching(/^[0-9a-f]{16}$/),
      },
    ],
  })
})

it('pages Mara on both her devices, and Noor when she does not answer', async () => {
  const [first] = await until('the page for Mara', () => atLeast(1, sink.to('/mara')))
  expect(first!.body).toMatchObject({
    version: '4',
    status: 'firing',
    user: 'mara',
    escalation: { policy: 'night', step: 1 },
    ack_url: expect.stringMatching(/^https:\/\/airboss\.example\/oncall\/ack\/[\w-]+\.[\w-]+$/),
  })
  const [event] = await until('her PagerDuty', () => atLeast(1, mara()))
  expect(event).toMatchObject({
    event_action: 'trigger',
    payload: { summary: 'Hot: heat is 95 in reactor', severity: 'critical' },
    links: [{ text: 'Acknowledge', href: event!.client_url }],
  })
  const [second] = await until('the page for Noor', () => atLeast(1, sink.to('/noor')))
  expect(second!.body).toMatchObject({ user: 'noor', escalation: { policy: 'night', step: 2 } })
  const [{ pages }] = (await escalations()) as [Escalation]
  const [one, two] = ['mara', 'noor'].map((user) => Date.parse(pages.find((p) => p.user === user)!.at))
  expect(two! - one!).toBeGreaterThanOrEqual(1000)
})

it('is acknowledged by the signed link: looking does nothing, the button does', async () => {
  const link = new URL(sink.to('/noor')[0]!.body.ack_url as string).pathname
  const looked = await product.fetch(link)
  expect(looked.status).toBe(200)
  expect(await looked.text()).toContain('heat is 95 in reactor')
  expect((await escalations())[0]!.status).toBe('open')
  const forged = `${link.slice(0, -2)}${link.endsWith('AA') ? 'BB' : 'AA'}`
  expect((await product.fetch(forged, { method: 'POST' })).status).toBe(403)
  expect((await escalations())[0]!.status).toBe('open')
  const pressed = await product.fetch(link, { method: 'POST' })
  expect(pressed.status).toBe(200)
  expect(await pressed.text()).toContain('Acknowledged by user:noor')
  expect((await escalations())[0]).toMatchObject({
    status: 'acknowledged',
    acknowledgedBy: 'user:noor',
    nextAt: null,
  })
})

it('is quiet from then on, though it goes on firing', async () => {
  await until('pages on their way', allDelivered)
  const pages = sink.to('/mara').length + sink.to('/noor').length
  // Evaluations go on well past the next step of the policy and the group's interval.
  const evaluatedAt = async () => (await product.value('timestamp(ALERTS{alertname="Hot"})'))!
  const from = await evaluatedAt()
  await until('three more evaluations', async () => (await evaluatedAt()) >= from + 3, 10_000)
  expect(sink.to('/mara').length + sink.to('/noor').length).toBe(pages)
  expect(team()).toHaveLength(1)
  expect(sink.to('/hook')).toHaveLength(1)
})

it('cools down: PagerDuty resolves the same alert, and everyone who was called is told', async () => {
  await heat(10)
  const [, resolve] = await until('the resolve', () => atLeast(2, team()), 10_000)
  expect(resolve).toMatchObject({
    event_action: 'resolve',
    dedup_key: team()[0]!.dedup_key,
    payload: {
      summary: 'RESOLVED: Hot reactor: heat is 95 in reactor',
      custom_details: { num_firing: '0', num_resolved: '1' },
    },
  })
  const [, over] = await until('the webhook', () => atLeast(2, sink.to('/hook')))
  expect(over!.body).toMatchObject({
    status: 'resolved',
    groupKey,
    alerts: [
      {
        status: 'resolved',
        fingerprint: sink.to('/hook')[0]!.body.alerts[0].fingerprint,
        startsAt: sink.to('/hook')[0]!.body.alerts[0].startsAt,
        endsAt: expect.stringMatching(/^20/),
      },
    ],
  })
  await until(
    'the end of the escalation',
    async () =>
      (await escalations())[0]!.status === 'resolved' && sink.to('/noor').at(-1)!.body.status === 'resolved',
  )
  await until('Mara to hear of it', () => sink.to('/mara').at(-1)!.body.status === 'resolved')
  await until('her PagerDuty to resolve', () => mara().at(-1)!.event_action === 'resolve')
  expect(new Set(mara().map((e) => e.dedup_key)).size).toBe(1)
  expect(pagerduty.alerts.map((a) => a.state)).toEqual(['resolved', 'resolved'])
  expect(team()).toHaveLength(2)
  expect(pagerduty.refused).toEqual([])
})

it('can be read afterwards: the alert as series, the escalation with every page', async () => {
  expect(await product.value('max_over_time(ALERTS{alertname="Hot",alertstate="firing"}[5m])')).toBe(1)
  expect(await product.query('ALERTS{alertname="Hot"}')).toEqual([])
  await until('the last pages', allDelivered)
  const [escalation] = await escalations()
  const told = escalation!.pages.map((p) => `${p.user} ${p.about} ${p.state}`)
  expect(told.filter((t) => t.startsWith('noor'))).toEqual(
    expect.arrayContaining(['noor firing sent', 'noor resolved sent']),
  )
  expect(told.every((t) => t.endsWith('sent'))).toBe(true)
})
