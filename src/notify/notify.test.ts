import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { FakeClock, settle } from '../../test/kit/clock.ts'
import { type FakePagerduty, startFakePagerduty } from '../../test/kit/fake-pagerduty.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { until } from '../../test/kit/until.ts'
import { secretSchema, textSecret } from '../lib/config.ts'
import { createHttp } from '../lib/http.ts'
import { silentLogger } from '../lib/log.ts'
import { duration, instant } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import type { ChannelContext, ChannelGlobals } from '../model/ports/channel.ts'
import { deliveryOf, retryAfter } from './answer.ts'
import { channelKinds, createChannels, globalHttpSchema } from './channels.ts'
import { deliver } from './deliver.ts'
import { truncate } from './lenient-text.ts'
import { dedupKey } from './pagerduty.ts'
import { createTemplates, humanizeDuration } from './templates.ts'

const at = Date.parse('2026-01-01T00:00:00Z')
const notification = (change: Partial<Notification> = {}): Notification => ({
  receiver: 'ops',
  groupKey: '{}:{alertname="Hot"}',
  status: 'firing',
  reason: 'first notification',
  groupLabels: { alertname: 'Hot' },
  commonLabels: { alertname: 'Hot', severity: 'critical' },
  commonAnnotations: {},
  routeLabels: {},
  externalURL: 'http://airboss',
  truncatedAlerts: 0,
  at: instant(at),
  alerts: ['a', 'b'].map((unit) => ({
    labels: { alertname: 'Hot', severity: 'critical', unit },
    annotations: { summary: `heat on ${unit}` },
    startsAt: instant(at - 60_000),
    endsAt: instant(0),
    generatorURL: 'http://airboss/g',
    status: 'firing' as const,
    fingerprint: unit.repeat(16),
  })),
  ...change,
})

const context: ChannelContext = { secret: secretSchema({ KEY: 'k'.repeat(32) }), path: (p) => p }
const { send, close } = createHttp()
const clock = new FakeClock(at)
const live = (): AbortSignal => new AbortController().signal
let pagerduty: FakePagerduty
interface Call {
  readonly headers: IncomingHttpHeaders
  readonly body: Record<string, unknown> & { alerts: Record<string, unknown>[] }
}
const calls: Call[] = []
let status = 200
const hook = createServer(async (request, response) => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  calls.push({ headers: request.headers, body: JSON.parse(Buffer.concat(parts).toString()) })
  response.writeHead(status, { 'retry-after': '7' }).end('words of the receiver')
})
let hookURL = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => hook.listen(0, '127.0.0.1', resolve))
  hookURL = `http://127.0.0.1:${(hook.address() as AddressInfo).port}/hook`
})
afterAll(async () => {
  hook.closeAllConnections()
  hook.close()
  await close()
})
beforeEach(async () => {
  calls.length = 0
  status = 200
  pagerduty = await startFakePagerduty()
})
afterEach(() => pagerduty.close())

const channels = (globals: Partial<ChannelGlobals> = {}) =>
  createChannels({
    globals: {
      resolveTimeout: duration(300_000),
      pagerdutyURL: pagerduty.url,
      http: undefined,
      templates: [],
      ...globals,
    },
    ...{ send, clock, log: silentLogger(), metrics: fakeMetrics() },
  })
const make = (kind: 'pagerduty' | 'webhook', config: object, globals: Partial<ChannelGlobals> = {}) => {
  const read = channelKinds
    .find((k) => k.name === kind)!
    .schema(context)
    .parse(config)
  return channels(globals).notifier('ops', { kind, index: 0, sendResolved: true, config: read })
}
const key = { routing_key: { env: 'KEY' } }

describe('pagerduty', () => {
  test('a trigger as PagerDuty wants it, and a resolve of the same alert', async () => {
    const pd = make('pagerduty', {
      ...key,
      severity: '{{ .CommonLabels.severity }}',
      component: '{{ .CommonLabels.nope }}',
      links: [{ href: '{{ .ExternalURL }}/x', text: 'look' }],
    })
    expect(await pd.notify(notification(), live())).toEqual({ outcome: 'sent' })
    expect(await pd.notify(notification({ status: 'resolved' }), live())).toEqual({ outcome: 'sent' })
    const [trigger, resolve] = pagerduty.events
    expect(trigger).toMatchObject({
      routing_key: 'k'.repeat(32),
      event_action: 'trigger',
      dedup_key: dedupKey('{}:{alertname="Hot"}'),
      client: 'Airboss',
      client_url: 'http://airboss/alerts?receiver=ops',
      links: [{ href: 'http://airboss/x', text: 'look' }],
      payload: { severity: 'critical', source: 'Airboss', timestamp: '2025-12-31T23:59:00.000Z' },
    })
    expect(trigger!.payload!.summary).toMatch(/FIRING 2.*Hot/)
    expect(trigger!.payload).not.toHaveProperty('component')
    expect(trigger!.payload!.custom_details).toMatchObject({ num_firing: '2', num_resolved: '0' })
    expect(resolve).toMatchObject({ event_action: 'resolve', dedup_key: trigger!.dedup_key })
    expect(pagerduty.alerts).toHaveLength(1)
  })

  test('the dedup key is pinned: it must be the same in every release', () => {
    expect(dedupKey('{}:{alertname="Hot"}')).toMatch(/^[0-9a-f]{64}$/)
    expect(dedupKey('x')).toBe('2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881')
  })

  test('a text that these alerts cannot fill costs its words, not the page', async () => {
    const pd = make('pagerduty', {
      ...key,
      description: '{{ (index .Alerts 7).Labels.unit }}',
      class: '{{ index .Alerts 7 }}',
      details: { unit: '{{ (index .Alerts 7).Labels.unit }}' },
    })
    expect(await pd.notify(notification(), live())).toEqual({ outcome: 'sent' })
    const { payload } = pagerduty.events[0]!
    expect(payload!.summary).toMatch(/FIRING 2.*Hot/)
    expect(payload).not.toHaveProperty('class')
    expect(payload!.custom_details).toMatchObject({
      num_firing: '2',
      unit: expect.stringMatching(/^this text could not be made: .*pagerduty details unit/),
    })
  })

  test('a template that is not there is found when the receiver is made', () => {
    expect(() => make('pagerduty', { ...key, description: '{{ template "gone" . }}' })).toThrow(
      /template "gone" is not defined/,
    )
  })

  test('long and odd values are made to fit', async () => {
    const pd = make('pagerduty', {
      ...key,
      description: `${'🙂'.repeat(2000)}`,
      severity: 'page-me',
      details: { big: 'x'.repeat(600_000) },
    })
    expect(await pd.notify(notification(), live())).toEqual({ outcome: 'sent' })
    const { payload } = pagerduty.events[0]!
    expect([...payload!.summary]).toHaveLength(1024)
    expect(payload!.severity).toBe('error')
    expect(payload!.custom_details).toMatchObject({ error: expect.stringContaining('left out') })
    expect(truncate('abc', 3)).toBe('abc')
    expect(truncate('abcd', 3)).toBe('ab…')
  })

  test('what PagerDuty calls invalid is not tried again, and its reasons are told', async () => {
    const pd = make('pagerduty', { routing_key: 'short' })
    const delivery = await pd.notify(notification(), live())
    expect(delivery).toMatchObject({ outcome: 'refused', why: expect.stringMatching(/400.*routing_key/) })
    expect(pagerduty.attempts()).toBe(1)
  })

  test('429 and 5xx are tried again, not before the time they ask for', async () => {
    pagerduty.next.push({ status: 429, retryAfter: 90 }, { status: 503 })
    const done = make('pagerduty', key).notify(notification(), live())
    await until('the first answer', () => pagerduty.next.length === 1)
    await new Promise((r) => setTimeout(r, 30))
    await clock.advance(89_000)
    expect(pagerduty.attempts()).toBe(1)
    await clock.advance(1000)
    await until('the second answer', () => pagerduty.next.length === 0)
    await new Promise((r) => setTimeout(r, 30))
    await clock.advance(1000)
    expect(await done).toEqual({ outcome: 'sent' })
    expect(pagerduty.attempts()).toBe(3)
    expect(pagerduty.alerts).toHaveLength(1)
  })

  test.each([
    [{}, 'routing_key'],
    [{ ...key, routing_key_file: 'x' }, 'one of routing_key'],
    [{ service_key: 'x' }, 'Events v1'],
    [{ ...key, description: '{{ .Nope' }, 'template'],
    [{ ...key, http_config: { oauth2: {} } }, 'oauth2 is not yet supported'],
    [{ ...key, http_config: { basic_auth: {}, bearer_token: 'x' } }, 'only one of'],
  ])('configuration %o is refused', (config, why) => expect(() => make('pagerduty', config)).toThrow(why))
})

describe('webhook', () => {
  test('the version 4 payload', async () => {
    const webhook = make('webhook', { url: hookURL, max_alerts: 1 })
    const resolved = { ...notification().alerts[0]!, status: 'resolved' as const, endsAt: instant(at) }
    const n = notification({ alerts: [resolved, notification().alerts[1]!] })
    expect(await webhook.notify(n, live())).toEqual({ outcome: 'sent' })
    expect(calls[0]!.body).toEqual({
      version: '4',
      groupKey: '{}:{alertname="Hot"}',
      truncatedAlerts: 1,
      status: 'firing',
      receiver: 'ops',
      groupLabels: { alertname: 'Hot' },
      commonLabels: { alertname: 'Hot', severity: 'critical' },
      commonAnnotations: {},
      externalURL: 'http://airboss',
      notification_reason: 'first notification',
      routeLabels: {},
      alerts: [
        {
          status: 'resolved',
          labels: { alertname: 'Hot', severity: 'critical', unit: 'a' },
          annotations: { summary: 'heat on a' },
          startsAt: '2025-12-31T23:59:00.000Z',
          endsAt: '2026-01-01T00:00:00.000Z',
          generatorURL: 'http://airboss/g',
          fingerprint: 'a'.repeat(16),
        },
      ],
    })
    await make('webhook', { url: hookURL }).notify(notification(), live())
    expect(calls[1]!.body.alerts[1]).toMatchObject({ endsAt: '0001-01-01T00:00:00Z' })
  })

  test('says who it is, from files that may be rotated, and keys its retries', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'notify-'))
    const file = join(dir, 'token')
    writeFileSync(file, 'one\n')
    const webhook = make('webhook', {
      url: hookURL,
      http_config: { authorization: { credentials_file: file } },
    })
    await webhook.notify(notification(), live())
    writeFileSync(file, 'two\n')
    await webhook.notify(notification(), live())
    await webhook.notify(notification({ at: instant(at + 1) }), live())
    expect(calls.map((c) => c.headers.authorization)).toEqual(['Bearer one', 'Bearer two', 'Bearer two'])
    const keys = calls.map((c) => c.headers['idempotency-key'])
    expect(keys[0]).toBe(keys[1])
    expect(keys[2]).not.toBe(keys[0])
    const http = globalHttpSchema(context).parse({ basic_auth: { username: 'u', password: 'p' } })
    await make('webhook', { url: hookURL }, { http }).notify(notification(), live())
    expect(calls[3]!.headers.authorization).toBe(`Basic ${Buffer.from('u:p').toString('base64')}`)
  })

  test('a refusal carries the receiver’s words', async () => {
    status = 404
    const delivery = await make('webhook', { url: hookURL }).notify(notification(), live())
    expect(delivery).toEqual({ outcome: 'refused', why: 'answered 404: words of the receiver' })
    expect(calls).toHaveLength(1)
  })

  test('retries end with the caller’s time, and count', async () => {
    status = 500
    const metrics = fakeMetrics()
    const notifier = { notify: async () => ({ outcome: 'retry', why: 'down', after: null }) as const }
    const names = { receiver: 'r', integration: 'webhook[0]' }
    const patient = deliver(notifier, names, { clock, log: silentLogger(), metrics, random: () => 1 })
    const done = patient.notify(notification(), clock.timeout(duration(10_000)))
    await settle()
    await clock.advance(10_000)
    await settle()
    expect(await done).toMatchObject({ outcome: 'retry', why: 'down' })
    // 0.5, 1, 2, 4 s and the one that no longer fits.
    expect(
      metrics.values.get('airboss_notification_retries_total{receiver="r",integration="webhook[0]"}'),
    ).toBe(4)
    expect(
      metrics.values.get(
        'airboss_notifications_failed_total{receiver="r",integration="webhook[0]",reason="deadline"}',
      ),
    ).toBe(1)
  })

  test('a url must be one', () => expect(() => make('webhook', { url: 'ftp://x' })).toThrow('http://'))
})

test('a page to a user’s device carries where to acknowledge', async () => {
  const page = {
    ...{ id: 'p1', user: 'mara', notification: notification(), at: instant(at) },
    ...{ escalation: { id: 'e1', policy: 'day', step: 1 }, ackURL: 'http://airboss/oncall/ack/t' },
  }
  const own = channels()
  await own.pager('mara', 0, { webhook: textSecret(hookURL) }).page(page, live())
  expect(calls[0]!.body).toMatchObject({
    version: '4',
    user: 'mara',
    ack_url: page.ackURL,
    escalation: page.escalation,
  })
  expect(calls[0]!.headers['idempotency-key']).toBe('p1')
  const device = own.pager('mara', 1, { pagerduty: textSecret('u'.repeat(32)) })
  await device.page(page, live())
  await device.page({ ...page, notification: notification({ status: 'resolved' }), ackURL: null }, live())
  expect(pagerduty.refused).toEqual([])
  expect(pagerduty.alerts).toMatchObject([{ state: 'resolved' }])
  expect(pagerduty.events[0]!.links).toEqual([{ href: page.ackURL, text: 'Acknowledge' }])
})

describe('templates', () => {
  const render = (text: string, files: { name: string; text: string }[] = []) =>
    createTemplates(files, () => instant(at)).compile(text, 't')(notification())
  test.each([
    ['{{ len .Alerts }} {{ .Alerts.Firing | len }} {{ len .Alerts.Resolved }}', '2 2 0'],
    [
      '{{ range .Alerts }}{{ .Labels.unit | toUpper }} {{ .Annotations.summary }};{{ end }}',
      'A heat on a;B heat on b;',
    ],
    ['{{ .CommonLabels.SortedPairs.Names | join "," }}', 'alertname,severity'],
    ['{{ (.CommonLabels.Remove .GroupLabels.Names).Values | join "," }}', 'critical'],
    [
      '{{ range .CommonLabels.SortedPairs }}{{ .Name }}={{ .Value }} {{ end }}',
      'alertname=Hot severity=critical ',
    ],
    ['{{ range $k, $v := .GroupLabels }}{{ $k }}:{{ $v }}{{ end }}', 'alertname:Hot'],
    ['{{ if .CommonAnnotations }}y{{ else }}n{{ end }}{{ .CommonLabels.none }}', 'n'],
    [
      '{{ reReplaceAll "(H)ot" "$1-ost" .CommonLabels.alertname }} {{ title "a b" }} {{ match "^a" "abc" }}',
      'H-ost A B true',
    ],
    ['{{ stringSlice "a" "b" | join "-" }} {{ "<b>" | safeHtml }}', 'a-b <b>'],
    [
      '{{ (index .Alerts 0).StartsAt.Format "15:04:05" }} {{ since (index .Alerts 0).StartsAt }}',
      '23:59:00 1m0s',
    ],
    ['{{ (index .Alerts 0).StartsAt | tz "Europe/Berlin" | date "15:04 MST" }}', '00:59 GMT+1'],
    [
      '{{ humanizeDuration 3723 }} {{ .Status }} {{ .Receiver }} {{ .ExternalURL }}',
      '1h 2m 3s firing ops http://airboss',
    ],
  ])('%s', (text, wanted) => expect(render(text)).toBe(wanted))

  test('a user file defines and redefines', () => {
    const text =
      '{{ define "mine" }}{{ .GroupLabels.alertname }}!{{ end }}{{ define "pagerduty.default.client" }}Ops{{ end }}'
    expect(
      render('{{ template "mine" . }} {{ template "pagerduty.default.client" . }}', [{ name: 'f', text }]),
    ).toBe('Hot! Ops')
  })

  test.each([
    [0, '0s'],
    [0.02, '20ms'],
    [1.5, '1.5s'],
    [61, '1m 1s'],
    [90_061, '1d 1h 1m 1s'],
    [-3600, '-1h 0m 0s'],
  ])('%d seconds are %s', (seconds, wanted) => expect(humanizeDuration(seconds)).toBe(wanted))
})

test('what an answer asks for', () => {
  expect(retryAfter('120', instant(at))).toBe(120_000)
  expect(retryAfter('Thu, 01 Jan 2026 00:00:30 GMT', instant(at))).toBe(30_000)
  expect(retryAfter('soon', instant(at))).toBeNull()
  const answer = { headers: {}, body: Buffer.from('') }
  expect(deliveryOf({ ...answer, status: 202 }, instant(at)).outcome).toBe('sent')
  expect(deliveryOf({ ...answer, status: 301 }, instant(at)).outcome).toBe('refused')
  expect(z.enum(['retry']).parse(deliveryOf({ ...answer, status: 502 }, instant(at)).outcome)).toBe('retry')
})
