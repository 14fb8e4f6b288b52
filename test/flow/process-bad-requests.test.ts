// Every HTTP entry of the running product meets what is malformed or too large: its protocol's own error, and nothing changed.
import { gzipSync } from 'node:zlib'
import snappy from 'snappyjs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { writeBody, writeRequest } from '../kit/write-request.ts'

let product: Product
beforeAll(async () => {
  product = await startProduct({
    files: {
      'airboss.yaml':
        'rule_files: []\nhost: { enabled: false }\nself: { interval: 1h }\nstorage: { out_of_order_time_window: 1h }\n',
    },
  })
})
afterAll(() => product?.dispose())

const protobuf = { 'content-type': 'application/x-protobuf' }
const json = { 'content-type': 'application/json' }
const form = { 'content-type': 'application/x-www-form-urlencoded' }
const remote = { ...protobuf, 'content-encoding': 'snappy', 'x-prometheus-remote-write-version': '0.1.0' }
const gzipped = { ...protobuf, 'content-encoding': 'gzip' }
const bytes = (raw: Buffer): Uint8Array<ArrayBuffer> => new Uint8Array(raw)
const noise = bytes(Buffer.from(Array.from({ length: 400 }, (_, i) => (i * 7919 + 13) % 251)))
const good = { labels: { __name__: 'bad_one' }, samples: [[1, Date.now()]] as const }
const old = { labels: { __name__: 'bad_old' }, samples: [[1, Date.now() - 7 * 86_400_000]] as const }
const truncated = bytes(snappy.compress(writeRequest([good]).subarray(0, -3)))
const bomb = bytes(gzipSync(Buffer.alloc(80 << 20)))
/** A snappy block that says it holds 4 GiB. */
const claim = bytes(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]))
const mb = (n: number): string => 'x'.repeat(n << 20)

type Form = 'text' | 'prometheus' | 'alertmanager' | 'ops' | 'status' | 'statusJson' | 'html' | 'clickhouse'
/** Where, what, and the answer that is due: status, in which form, saying what. */
type Row = readonly [
  name: string,
  where: 'http' | 'otlpHttp' | 'clickhouse',
  method: string,
  path: string,
  headers: Readonly<Record<string, string>>,
  body: string | Uint8Array<ArrayBuffer> | null,
  status: number,
  form: Form,
  says: RegExp,
]

const time = Math.floor(Date.now() / 1000)
const rows: readonly Row[] = [
  ['remote write: no snappy', 'http', 'POST', '/api/v1/write', remote, noise, 400, 'text', /snappy/i],
  ['remote write: cut off', 'http', 'POST', '/api/v1/write', remote, truncated, 400, 'text', /./],
  ['remote write: claims 4 GiB', 'http', 'POST', '/api/v1/write', remote, claim, 413, 'text', /bytes/],
  ['remote write: too large', 'http', 'POST', '/api/v1/write', remote, mb(65), 413, 'text', /at most/],
  ['remote write: JSON', 'http', 'POST', '/api/v1/write', json, '{}', 415, 'text', /protobuf/],
  [
    'remote write: too old',
    'http',
    'POST',
    '/api/v1/write',
    remote,
    writeBody([old]).body,
    400,
    'text',
    /out_of_order_time_window/,
  ],
  ['remote write: GET', 'http', 'GET', '/api/v1/write', {}, null, 404, 'prometheus', /\/api\/v1\/write/],
  ['OTLP: noise', 'otlpHttp', 'POST', '/v1/metrics', protobuf, noise, 400, 'status', /./],
  [
    'OTLP: no JSON',
    'otlpHttp',
    'POST',
    '/v1/metrics',
    json,
    '{"resourceMetrics": [',
    400,
    'statusJson',
    /JSON/,
  ],
  [
    'OTLP: wrong shape',
    'otlpHttp',
    'POST',
    '/v1/metrics',
    json,
    '{"resourceMetrics": 5}',
    400,
    'statusJson',
    /resourceMetrics/,
  ],
  ['OTLP: a bomb', 'otlpHttp', 'POST', '/v1/metrics', gzipped, bomb, 413, 'status', /unpacked/],
  ['OTLP: no gzip', 'otlpHttp', 'POST', '/v1/metrics', gzipped, noise, 400, 'status', /gzip/],
  [
    'OTLP: text',
    'otlpHttp',
    'POST',
    '/v1/metrics',
    { 'content-type': 'text/plain' },
    'x',
    415,
    'statusJson',
    /application\/x-protobuf/,
  ],
  [
    'OTLP: profiles',
    'otlpHttp',
    'POST',
    '/v1/profiles',
    json,
    '{}',
    404,
    'statusJson',
    /received at \/v1\/metrics/,
  ],
  ['OTLP: elsewhere', 'otlpHttp', 'POST', '/nowhere', json, '{}', 404, 'text', /nothing at/],
  [
    'OTLP on the main address',
    'http',
    'POST',
    '/api/v1/otlp/v1/metrics',
    protobuf,
    noise,
    400,
    'status',
    /./,
  ],
  ['query: bad PromQL', 'http', 'GET', '/api/v1/query?query=sum(', {}, null, 400, 'prometheus', /./],
  ['query: none', 'http', 'GET', '/api/v1/query', {}, null, 400, 'prometheus', /query/],
  [
    'query: no time',
    'http',
    'GET',
    '/api/v1/query?query=up&time=noon',
    {},
    null,
    400,
    'prometheus',
    /"time"/,
  ],
  ['query: too large', 'http', 'POST', '/api/v1/query', form, `query=${mb(2)}`, 413, 'prometheus', /bytes/],
  [
    'query range: no step',
    'http',
    'GET',
    `/api/v1/query_range?query=up&start=${time - 60}&end=${time}`,
    {},
    null,
    400,
    'prometheus',
    /"step"/,
  ],
  [
    'query range: too many points',
    'http',
    'GET',
    `/api/v1/query_range?query=up&start=0&end=${time}&step=1`,
    {},
    null,
    400,
    'prometheus',
    /11000 points/,
  ],
  ['series: no matcher', 'http', 'GET', '/api/v1/series', {}, null, 400, 'prometheus', /match/],
  ['labels: bad matcher', 'http', 'GET', '/api/v1/labels?match[]={', {}, null, 400, 'prometheus', /./],
  [
    'Prometheus API: unknown',
    'http',
    'GET',
    '/api/v1/nothing',
    {},
    null,
    404,
    'prometheus',
    /\/api\/v1\/nothing/,
  ],
  ['alerts: no JSON', 'http', 'POST', '/api/v2/alerts', json, '[{', 400, 'alertmanager', /JSON/],
  ['alerts: no list', 'http', 'POST', '/api/v2/alerts', json, '{}', 400, 'alertmanager', /./],
  [
    'alerts: no labels',
    'http',
    'POST',
    '/api/v2/alerts',
    json,
    '[{"labels": {}}]',
    400,
    'alertmanager',
    /label/,
  ],
  ['alerts: too large', 'http', 'POST', '/api/v2/alerts', json, mb(65), 413, 'alertmanager', /bytes/],
  ['alerts: bad matcher', 'http', 'GET', '/api/v2/alerts?filter=%7B%7B', {}, null, 400, 'alertmanager', /./],
  ['silence: none of it', 'http', 'POST', '/api/v2/silences', json, '{}', 400, 'alertmanager', /./],
  [
    'silence: matches all',
    'http',
    'POST',
    '/api/v2/silences',
    json,
    JSON.stringify({
      matchers: [{ name: 'bad', value: '.*', isRegex: true, isEqual: true }],
      startsAt: '2026-01-01T00:00:00Z',
      endsAt: '2036-01-01T00:00:00Z',
      createdBy: 'x',
      comment: 'y',
    }),
    400,
    'alertmanager',
    /empty/,
  ],
  [
    'silence: unknown',
    'http',
    'DELETE',
    '/api/v2/silence/8f6c1b1e-0000-4000-8000-000000000000',
    {},
    null,
    404,
    'alertmanager',
    /./,
  ],
  ['events: no JSON', 'http', 'POST', '/api/ops/v1/events', json, '[{', 400, 'ops', /JSON/],
  ['events: text', 'http', 'POST', '/api/ops/v1/events', form, 'a=b', 415, 'ops', /application\/json/],
  ['events: too large', 'http', 'POST', '/api/ops/v1/events', json, mb(9), 413, 'ops', /at most/],
  ['costs: no JSON', 'http', 'POST', '/api/ops/v1/costs', json, 'null', 400, 'ops', /./],
  ['costs: too large', 'http', 'POST', '/api/ops/v1/costs', json, mb(9), 413, 'ops', /at most/],
  ['deployments: no JSON', 'http', 'POST', '/api/ops/v1/deployments', json, '{', 400, 'ops', /JSON/],
  [
    'deployments: a list',
    'http',
    'POST',
    '/api/ops/v1/deployments',
    json,
    '[]',
    400,
    'ops',
    /expected object/i,
  ],
  [
    'escalations: unknown',
    'http',
    'POST',
    '/api/ops/v1/escalations/none/acknowledge',
    json,
    '{}',
    404,
    'ops',
    /none/,
  ],
  [
    'operations API: foreign origin',
    'http',
    'POST',
    '/api/ops/v1/actions/stop',
    { ...json, origin: 'https://evil.example' },
    '{"why":"x"}',
    403,
    'ops',
    /evil\.example/,
  ],
  [
    'Prometheus API: foreign origin',
    'http',
    'GET',
    '/api/v1/query?query=1',
    { origin: 'https://evil.example' },
    null,
    403,
    'prometheus',
    /evil\.example/,
  ],
  [
    'Alertmanager API: foreign origin',
    'http',
    'POST',
    '/api/v2/alerts',
    { ...json, origin: 'https://evil.example' },
    '[]',
    403,
    'alertmanager',
    /evil\.example/,
  ],
  ['signed link: forged', 'http', 'POST', '/oncall/ack/forged', {}, null, 403, 'html', /./],
  [
    'ClickHouse: a write',
    'clickhouse',
    'POST',
    '/',
    {},
    'INSERT INTO samples VALUES (1, now(), 2)',
    500,
    'clickhouse',
    /Code: \d+/,
  ],
  ['ClickHouse: bad SQL', 'clickhouse', 'POST', '/', {}, 'SELECT (1', 400, 'clickhouse', /Code: 62/],
  ['ClickHouse: too large', 'clickhouse', 'POST', '/', {}, mb(2), 413, 'clickhouse', /./],
]

const messageIn: Readonly<Record<Form, (text: string, type: string) => string>> = {
  text: (text, type) => {
    expect(type).toContain('text/plain')
    return text
  },
  html: (text, type) => {
    expect(type).toContain('text/html')
    return text
  },
  prometheus: (text) => {
    const body = JSON.parse(text)
    expect(body).toMatchObject({ status: 'error', errorType: expect.any(String) })
    return body.error
  },
  alertmanager: (text) => {
    const said = JSON.parse(text)
    expect(said).toBeTypeOf('string')
    return said
  },
  ops: (text) => {
    const { error } = JSON.parse(text)
    expect(error.code).toBeTypeOf('string')
    return error.message
  },
  status: (text, type) => {
    expect(type).toBe('application/x-protobuf')
    return text
  },
  statusJson: (text, type) => {
    expect(type).toBe('application/json')
    return JSON.parse(text).message
  },
  clickhouse: (text) => text,
}

const ask = (where: Row[1], path: string, init: RequestInit): Promise<Response> =>
  fetch(`${product[where].startsWith('http') ? '' : 'http://'}${product[where]}${path}`, init)

/** All that a request could have changed. */
const world = async (): Promise<unknown> => {
  const read = async (path: string) => (await product.fetch(path)).json()
  const { versions } = (await read('/api/ops/v1/ledger?limit=1')) as { versions: { sequence: number }[] }
  return {
    series: await read(`/api/v1/series?match[]={__name__=~"bad.*|airboss_(event|cost).*"}`),
    ledger: versions[0]?.sequence ?? 0,
    alerts: await read('/api/v2/alerts'),
    silences: await read('/api/v2/silences'),
    escalations: await read('/api/ops/v1/escalations'),
    actions: await read('/api/ops/v1/actions'),
  }
}

it.each(rows)('%s', async (_name, where, method, path, headers, body, status, form, says) => {
  const before = await world()
  const answer = await ask(where, path, { method, headers, ...(body === null ? {} : { body }) })
  const text = await answer.text()
  expect({ status: answer.status, text: text.slice(0, 300) }).toMatchObject({ status })
  expect(messageIn[form](text, answer.headers.get('content-type') ?? '')).toMatch(says)
  expect(await world()).toEqual(before)
})

it('tells a sender of unknown length that it is too long, too', async () => {
  const before = await world()
  const part = Buffer.alloc(1 << 20, 120)
  const body = ReadableStream.from(Array.from({ length: 10 }, () => part))
  const init = { method: 'POST', headers: json, body, duplex: 'half' } as RequestInit
  const answer = await product.fetch('/api/ops/v1/events', init)
  expect(answer.status).toBe(413)
  expect(((await answer.json()) as { error: { code: string } }).error.code).toBe('too_large')
  expect(await world()).toEqual(before)
})

it('still takes what is good', async () => {
  await product.remoteWrite([{ ...good, samples: [[1, Date.now()]] }])
  expect(await product.value('bad_one')).toBe(1)
  expect(product.said()).not.toContain('request failed')
})
