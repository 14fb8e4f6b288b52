import { createHmac } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { secretSchema } from '../../lib/config.ts'
import { AppError } from '../../lib/errors.ts'
import { silentLogger } from '../../lib/log.ts'
import { memoryRowLog } from '../../lib/row-log.ts'
import { iso } from '../../lib/time.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { recordOf } from '../../model/labels.ts'
import type { PostedAlert } from '../../model/ports/alert-manager.ts'
import { SeriesTable } from '../../model/series.ts'
import { hooksSchema } from './config.ts'
import { parsePath, readPath } from './path.ts'
import { createHooks } from './receiver.ts'

const schema = hooksSchema(secretSchema({}))
const now = Date.parse('2026-01-01T00:00:00Z')

const kit = (yaml: string, rows = memoryRowLog()) => {
  const clock = new FakeClock(now)
  const table = new SeriesTable(1000)
  const sink = new CollectingSink(table)
  const alerts: PostedAlert[] = []
  const events: Record<string, unknown>[] = []
  const metrics = fakeMetrics()
  let fail: AppError | null = null
  const hooks = createHooks({
    hooks: schema.parse(parse(yaml)),
    alerts: {
      post: (posted) => {
        if (fail) return Promise.reject(fail)
        alerts.push(...posted)
        return Promise.resolve()
      },
    },
    events: {
      maxBytes: 1,
      handle: ({ body }) => {
        events.push(...JSON.parse(body.toString()))
        return Promise.resolve({ status: 200, body: '{"accepted":1,"rejected":[]}' })
      },
    },
    ...{ table, sink, limits: defaultAdmission, clock, log: silentLogger(), metrics },
    openRows: () => Promise.resolve({ rows, close: () => Promise.resolve() }),
  })
  const post = async (name: string, body: unknown, headers: Record<string, string> = {}) => {
    const raw = typeof body === 'string' ? body : JSON.stringify(body)
    const answer = await hooks.handle(
      {
        method: 'POST',
        path: `/api/ops/v1/hooks/${name}`,
        query: new URLSearchParams(),
        headers: { 'content-type': 'application/json', ...headers },
        body: Buffer.from(raw),
      },
      new AbortController().signal,
    )
    return { status: answer.status, said: JSON.parse(String(answer.body)) }
  }
  const samples = () =>
    sink.batches.flatMap((b) =>
      [...b.ref].map((ref, i) => ({ ...recordOf(table.labels(ref)), value: b.value[i], at: b.at[i]! - now })),
    )
  return {
    hooks,
    post,
    alerts,
    events,
    samples,
    clock,
    metrics,
    rows,
    fail: (e: AppError | null) => (fail = e),
  }
}

describe('paths', () => {
  const value = { a: { 'b c': [1, { d: null }] }, __proto__: { x: 1 } }
  test.each([
    ['$', value],
    ['$.a["b c"][0]', 1],
    ['$.a["b c"][1].d', null],
    ['$.a["b c"][2].d', undefined],
    ['$.a.constructor', undefined],
    ['$.toString', undefined],
  ])('%s', (text, expected) => {
    const path = parsePath(text)
    expect(typeof path === 'string' ? path : readPath(path, value, {})).toEqual(expected)
  })
  test.each(['a.b', '$.a[', '$.a..b', '$[-1]', '$.a["b]'])('%s is none', (text) =>
    expect(typeof parsePath(text)).toBe('string'),
  )
})

const deploys = `
deploys:
  auth: { hmac: { scheme: github, secret: its a secret } }
  id: { header: X-GitHub-Delivery }
  match: { $.action: [completed, failed] }
  items: $.jobs
  event: { name: deploy, agent: $.name, version: $$.sha, value: $.seconds, outcome: '{{ .result | toUpper }}', attributes: { by: { path: $$.user, default: nobody } } }
  sample: { metric: deploy_seconds, labels: { job: $.name }, value: $.seconds, time: $.at }
`
const sign = (body: string): Record<string, string> => ({
  'x-hub-signature-256': `sha256=${createHmac('sha256', 'its a secret').update(body).digest('hex')}`,
})
const payload = JSON.stringify({
  action: 'completed',
  sha: 'abc',
  jobs: [
    { name: 'research', seconds: 12.5, result: 'ok', at: now / 1000 - 5, action: 'completed' },
    { name: 'other', seconds: '3', result: 'ok', at: iso(now as never), action: 'skipped' },
  ],
})

test('a signed delivery becomes events and samples, once, also over a restart', async () => {
  const k = kit(deploys)
  await k.hooks.start()
  const headers = { ...sign(payload), 'x-github-delivery': 'd-1' }
  expect(await k.post('deploys', payload, headers)).toEqual({
    status: 200,
    said: { accepted: { alerts: 0, events: 1, samples: 1 }, ignored: 1 },
  })
  expect(k.events).toEqual([
    {
      ...{ id: 'd-1/0', name: 'deploy', value: 12.5, agent: 'research', version: 'abc', outcome: 'OK' },
      attributes: { by: 'nobody' },
    },
  ])
  expect(k.samples()).toEqual([{ __name__: 'deploy_seconds', job: 'research', value: 12.5, at: -5000 }])
  expect((await k.post('deploys', payload, headers)).said).toEqual({ duplicate: true, id: 'd-1' })
  const again = kit(deploys, k.rows)
  await again.hooks.start()
  expect((await again.post('deploys', payload, headers)).said).toEqual({ duplicate: true, id: 'd-1' })
  expect(again.events).toEqual([])
  expect(k.metrics.values.get('airboss_hook_deliveries_total{hook="deploys",outcome="duplicate"}')).toBe(1)
})

test('what is wrong is said, with the path and the item', async () => {
  const k = kit(deploys)
  const tell = async (body: unknown, headers?: Record<string, string>) => {
    const raw = typeof body === 'string' ? body : JSON.stringify(body)
    const { status, said } = await k.post('deploys', raw, {
      'x-github-delivery': 'x',
      ...(headers ?? sign(raw)),
    })
    return `${status} ${said.error?.message}`
  }
  expect(await tell(payload, {})).toBe('401 the header x-hub-signature-256 is missing')
  expect(await tell(payload, sign(`${payload} `))).toContain('does not fit the body')
  expect(await tell('{')).toContain('400 the body is no JSON')
  expect(await tell({})).toBe('400 items: there is no list at $.jobs')
  expect(await tell({ jobs: [{ action: 'failed', name: 'a' }] })).toMatch(
    /^400 item 0: sample\.value: nothing at \$\.seconds/,
  )
  expect(await tell({ jobs: [{ action: 'failed', name: 'a', seconds: 'x' }] })).toBe(
    '400 item 0: sample.value: "x" is no number',
  )
  expect((await k.post('nope', {})).status).toBe(404)
  expect(k.events).toEqual([])
})

test('two deliveries at once are one, and one that failed may come again', async () => {
  const k = kit('h: { auth: { bearer: tok }, alert: { labels: { alertname: $.name } } }')
  const headers = { authorization: 'Bearer tok', 'idempotency-key': 'k' }
  k.fail(new AppError('unavailable', 'away'))
  expect((await k.post('h', { name: 'A' }, headers)).status).toBe(503)
  k.fail(null)
  const answers = await Promise.all([
    k.post('h', { name: 'A' }, headers),
    k.post('h', { name: 'A' }, headers),
  ])
  expect(answers.map((a) => a.said.duplicate === true)).toEqual([false, true])
  expect(k.alerts).toHaveLength(1)
  expect((await k.post('h', {}, { authorization: 'Bearer no' })).status).toBe(401)
})

describe('signatures', () => {
  const at = String(now / 1000)
  const hmac = (text: string, encoding: 'hex' | 'base64' = 'hex') =>
    createHmac('sha256', 's').update(text).digest(encoding)
  const body = '{"name":"A"}'
  test.each([
    [
      'scheme: slack',
      { 'x-slack-signature': `v0=${hmac(`v0:${at}:${body}`)}`, 'x-slack-request-timestamp': at },
      200,
    ],
    [
      'scheme: slack',
      { 'x-slack-signature': `v0=${hmac(`v0:1:${body}`)}`, 'x-slack-request-timestamp': '1' },
      401,
    ],
    ['scheme: grafana', { 'x-grafana-alerting-signature': hmac(body) }, 200],
    [
      'scheme: grafana, timestamp_header: X-T',
      { 'x-grafana-alerting-signature': hmac(`${at}:${body}`), 'x-t': at },
      200,
    ],
    ['scheme: grafana, timestamp_header: X-T', { 'x-grafana-alerting-signature': hmac(body) }, 401],
    ['scheme: airboss', { 'x-airboss-signature': `t=${at},v1=${hmac(`${at}.${body}`)}` }, 200],
    ['scheme: airboss', { 'x-airboss-signature': `v1=${hmac(`.${body}`)}` }, 401],
    ['scheme: custom, header: X-Sig, encoding: base64', { 'x-sig': hmac(body, 'base64') }, 200],
    ['scheme: custom, header: X-Sig, encoding: base64', { 'x-sig': hmac(body) }, 401],
  ])('%s %#', async (scheme, headers, status) => {
    const k = kit(`h: { auth: { hmac: { secret: s, ${scheme} } }, alert: { labels: { alertname: $.name } } }`)
    expect((await k.post('h', body, headers)).status).toBe(status)
  })
  test('a time that is signed and old', async () => {
    const k = kit('h: { auth: { hmac: { secret: s } }, alert: { labels: { alertname: $.name } } }')
    k.clock.jump(now + 301_000)
    const headers = { 'x-airboss-signature': `t=${at},v1=${hmac(`${at}.${body}`)}` }
    expect((await k.post('h', body, headers)).said.error.message).toContain('too far from now')
  })
})

describe('alerts of others', () => {
  const alert = (status: string, more: object = {}) => ({
    ...{ status, labels: { alertname: 'Hot', x: 1 }, annotations: { summary: 's' } },
    ...{
      startsAt: '2025-12-31T23:00:00Z',
      endsAt: '0001-01-01T00:00:00Z',
      generatorURL: 'http://g',
      ...more,
    },
  })
  test('Alertmanager’s, and a late word does not raise again what is over', async () => {
    const k = kit('am: { source: alertmanager, labels: { cluster: a }, expires: 1h }')
    await k.post('am', { version: '4', alerts: [alert('firing')] })
    expect(k.alerts[0]).toEqual({
      labels: { alertname: 'Hot', x: '1', cluster: 'a' },
      annotations: { summary: 's' },
      startsAt: now - 3_600_000,
      endsAt: now + 3_600_000,
      generatorURL: 'http://g',
    })
    await k.post('am', { alerts: [alert('resolved', { endsAt: '2025-12-31T23:30:00Z' })] })
    expect(k.alerts[1]!.endsAt).toBe(now - 1_800_000)
    expect((await k.post('am', { alerts: [alert('firing')] })).said).toEqual({
      accepted: { alerts: 0, events: 0, samples: 0 },
      ignored: 1,
    })
    await k.post('am', { alerts: [alert('firing', { startsAt: '2025-12-31T23:45:00Z' })] })
    expect(k.alerts).toHaveLength(3)
    expect((await k.post('am', { alerts: [{ status: 'odd' }] })).said.error.message).toContain(
      'alerts.0.status',
    )
  })
  test('Grafana’s, unified and legacy', async () => {
    const k = kit('g: { source: grafana }')
    await k.post('g', {
      alerts: [alert('firing', { panelURL: 'http://p', silenceURL: 'http://s', valueString: '[v=1]' })],
      orgId: 1,
      title: 't',
    })
    expect(k.alerts[0]!.annotations).toEqual({
      summary: 's',
      dashboard_url: 'http://p',
      silence_url: 'http://s',
      value: '[v=1]',
    })
    const legacy = (state: string) => ({
      ruleName: 'Load',
      state,
      title: '[Alerting] Load',
      ruleUrl: 'http://r',
      tags: { team: 'a' },
      evalMatches: [{ metric: 'm', value: 3 }],
    })
    await k.post('g', legacy('alerting'))
    await k.post('g', legacy('pending'))
    await k.post('g', legacy('ok'))
    expect(k.alerts.slice(1).map((a) => [a.labels, a.endsAt! - now])).toEqual([
      [{ alertname: 'Load', team: 'a' }, 86_400_000],
      [{ alertname: 'Load', team: 'a' }, 0],
    ])
  })
})

test.each([
  ['h: {}', 'say what the payload becomes'],
  ['h: { source: grafana, alert: { labels: { alertname: x } } }', 'its own mapping'],
  ['h: { alert: { labels: { x: y } } }', 'alertname'],
  ['h: { alert: { labels: { alertname: $.a.. } } }', 'cannot be read'],
  ["h: { alert: { labels: { alertname: '{{ .x' } } }", 'template'],
  ['h: { auth: { hmac: { secret: s, scheme: custom } }, source: grafana }', 'needs header'],
  ['h: { auth: none, source: grafana }', 'auth is access'],
  ["h: { auth: { hmac: { secret: '' } }, source: grafana }", 'the secret is empty'],
  ["h: { auth: { bearer: '' }, source: grafana }", 'the secret is empty'],
  ['"a/b": { source: grafana }', 'letters, digits'],
])('%s is refused', (yaml, why) => {
  const read = schema.safeParse(parse(yaml))
  expect(JSON.stringify(read.error?.issues)).toContain(why)
})

describe('a secret that is not there', () => {
  const body = JSON.stringify({ alerts: [] })
  const signed = { 'x-hub-signature-256': `sha256=${createHmac('sha256', '').update(body).digest('hex')}` }

  test('in a file that became empty lets nobody in who signs with nothing', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hooks-'))
    try {
      const file = join(dir, 'secret')
      await writeFile(file, 'a secret\n')
      const k = kit(`h: { source: grafana, auth: { hmac: { scheme: github, secret: { file: ${file} } } } }`)
      await writeFile(file, '\n')
      expect((await k.post('h', body, signed)).status).toBe(503)
      expect(k.alerts).toEqual([])
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  test('is our trouble, and strangers do not hear where it should be', async () => {
    const k = kit(
      'h: { source: grafana, auth: { hmac: { scheme: github, secret: { file: /nowhere/at/all } } } }',
    )
    const { status, said } = await k.post('h', body, signed)
    expect(status).toBe(503)
    expect(JSON.stringify(said)).not.toContain('/nowhere')
  })
})

test.each([1e300, -1e300, 1e17])('%d is no time that can be shown, and is refused', async (time) => {
  const k = kit('h: { alert: { labels: { alertname: x }, starts_at: $.at } }')
  const { status, said } = await k.post('h', { at: time })
  expect([status, said.error?.message]).toEqual([400, expect.stringContaining('alert.starts_at')])
  expect(k.alerts).toEqual([])
})
