// Stories of bad senders: times out of reach, values made to break things, more series than may be. The rest goes on, and each is said aloud.
import { rmSync } from 'node:fs'
import snappy from 'snappyjs'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type HttpSink, startSink } from '../kit/http-sink.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'
import { type SentSeries, writeBody, writeRequest } from '../kit/write-request.ts'

const most = 1500
const airboss = `
global: { evaluation_interval: 1s }
host: { enabled: false }
self: { interval: 1s }
storage: { max_series: ${most}, out_of_order_time_window: 10m, max_ahead: 1m, max_labels: 12 }
rule_files: [rules.yaml]
alertmanager: alertmanager.yaml
`
const rules = `
groups:
  - name: g
    interval: 1s
    rules:
      - alert: Hostile
        expr: hostile > 100
        labels: { severity: warning }
        annotations: { summary: 'value {{ $labels.value }} at {{ $value }}' }
      - alert: Late
        expr: known > 5
        labels: { severity: critical }
`
const alertmanager = (url: string): string => `
route: { receiver: all, group_by: ['...'], group_wait: 0s, group_interval: 1s }
receivers: [{ name: all, webhook_configs: [{ url: '${url}/hook' }] }]
`

let sink: HttpSink
let product: Product
beforeAll(async () => {
  sink = await startSink()
  product = await startProduct({
    files: { 'airboss.yaml': airboss, 'rules.yaml': rules, 'alertmanager.yaml': alertmanager(sink.url) },
  })
})
afterAll(async () => {
  await product?.dispose()
  if (product) rmSync(product.dir, { recursive: true, force: true })
  await sink?.close()
})

const second = 1000
const minute = 60 * second
const send = async (series: readonly SentSeries[]): Promise<{ status: number; text: string }> => {
  const answer = await product.fetch('/api/v1/write', { method: 'POST', ...writeBody(series) })
  return { status: answer.status, text: await answer.text() }
}
const sendBytes = async (body: Buffer): Promise<{ status: number; text: string }> => {
  const answer = await product.fetch('/api/v1/write', {
    method: 'POST',
    headers: writeBody([]).headers,
    body: new Uint8Array(snappy.compress(body)),
  })
  return { status: answer.status, text: await answer.text() }
}
const metric = async (name: string, labels: string): Promise<number> => {
  const text = await (await product.fetch('/metrics')).text()
  const line = text.split('\n').find((l) => l.startsWith(`${name}{${labels}}`))
  return line ? Number(line.slice(line.lastIndexOf(' ') + 1)) : 0
}
const refused = (protocol: string, reason: string): Promise<number> =>
  metric('airboss_receive_refused_total', `protocol="${protocol}",reason="${reason}"`)

it('refuses samples too old and too far ahead, counts them, names the mend and keeps the rest', async () => {
  const now = Date.now()
  const at = (i: string, ...times: number[]): SentSeries => ({
    labels: { __name__: 'timed', i },
    samples: times.map((t, n) => [n, now + t]),
  })
  const answer = await send([
    at('a', -11 * minute, -9 * minute, -second),
    at('b', -20 * minute, -15 * minute),
    at('c', 0, 2 * minute),
  ])
  expect(answer.status).toBe(400)
  const [head, ...lines] = answer.text.trim().split('\n')
  expect(head).toBe('4 samples refused, 3 kept')
  expect(lines).toContainEqual(
    expect.stringMatching(/^too_old: 3, the first: timed at \d+ ms .*storage\.out_of_order_time_window/),
  )
  expect(lines).toContainEqual(expect.stringMatching(/^too_far_ahead: 1, the first: timed .*clock/))
  expect(await product.value('count_over_time(timed{i="a"}[10m])')).toBe(2)
  expect(await product.value('timed{i="c"}')).toBe(0)
  expect(await product.query('timed{i="b"}')).toEqual([])
  expect(await refused('remote_write', 'too_old')).toBe(3)
  expect(await refused('remote_write', 'too_far_ahead')).toBe(1)
})

it('does the same for OTLP, as a partial success', async () => {
  const point = (t: number, i: string) => ({
    timeUnixNano: `${BigInt(Date.now() + t) * 1_000_000n}`,
    asDouble: 1,
    attributes: [{ key: 'i', value: { stringValue: i } }],
  })
  const dataPoints = [point(0, 'a'), point(-30 * minute, 'b'), point(5 * minute, 'c')]
  const metrics = [{ name: 'otlp.timed', gauge: { dataPoints } }]
  const answer = await fetch(`${product.otlpHttp}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ metrics }] }] }),
  })
  expect(answer.status).toBe(200)
  const { partialSuccess } = (await answer.json()) as {
    partialSuccess: { rejectedDataPoints: string | number; errorMessage: string }
  }
  expect(Number(partialSuccess.rejectedDataPoints)).toBe(2)
  expect(partialSuccess.errorMessage).toMatch(/older|ahead/)
  expect((await product.query('otlp_timed')).map((row) => row.metric['i'])).toEqual(['a'])
})

const hostile = [
  `"; DROP TABLE samples; --`,
  `' OR 1=1 -- `,
  `\\', \\" and \\\\`,
  '{{ $labels }} {{ template "x" . }} {{ end }}',
  '</script><script>alert(1)</script>',
  'line\nbreak\ttab\rreturn',
  'nul\u0000inside',
  '\u202Eright to left',
  '🛩️ 日本語 ünïcode',
  '$(rm -rf /) `id` $HOME',
  'a,b=c{d}[e]',
  ' spaces at the ends ',
  '__proto__',
  'constructor',
  '%00%2e%2e/%2e%2e/etc/passwd',
  'x'.repeat(4096),
]

it('takes hostile values as what they are: text', async () => {
  const series = hostile.map(
    (value, i): SentSeries => ({
      labels: { __name__: 'hostile', value, n: String(i) },
      samples: [[i, Date.now()]],
    }),
  )
  expect(await send(series)).toEqual({ status: 204, text: '' })
  const values = async () =>
    (await product.query('hostile'))
      .sort((a, b) => Number(a.value[1]) - Number(b.value[1]))
      .map((r) => r.metric['value'])
  expect(await values()).toEqual(hostile)
  for (const value of hostile)
    expect(await product.query(`hostile{value=${JSON.stringify(value)}}`), value).toHaveLength(1)
  const listed = await (await product.fetch('/api/v1/label/value/values?match[]=hostile')).json()
  expect((listed as { data: string[] }).data).toEqual([...hostile].sort())
  // Through the log and ClickHouse and back.
  await product.stop()
  product = await startProduct({ dir: product.dir })
  expect(await values()).toEqual(hostile)
  const at = Date.now()
  await until('ClickHouse', async () => {
    const answer = await fetch(`${product.clickhouse}/?default_format=TSV`, {
      method: 'POST',
      body: "SELECT count() FROM series WHERE metric = 'hostile'",
    })
    return (await answer.text()).trim() === String(hostile.length)
  })
  // Older than what the head holds: the store is asked.
  expect(await product.query('max_over_time(hostile[9h])', at)).toHaveLength(hostile.length)
})

it('pages about them without being led astray', async () => {
  const { [3]: template, [4]: script } = hostile
  await product.remoteWrite(
    [template, script].map((value, i) => ({
      labels: { __name__: 'hostile', value: value!, n: String(i + 3) },
      samples: [[101, Date.now()]],
    })),
  )
  await until('both pages', () => sink.to('/hook').length >= 2, 10_000)
  const summaries = sink.to('/hook').map((c) => c.body.commonAnnotations.summary as string)
  expect(summaries.sort()).toEqual([`value ${script} at 101`, `value ${template} at 101`].sort())
})

it('refuses what no label may be, and keeps the rest of the request', async () => {
  const fine = (i: string): SentSeries => ({
    labels: { __name__: 'beside', i },
    samples: [[1, Date.now()]],
  })
  const tooLong = {
    labels: { __name__: 'bad', value: 'x'.repeat(5000) },
    samples: [[1, Date.now()]] as const,
  }
  const tooMany = {
    labels: Object.fromEntries([
      ['__name__', 'bad'],
      ...Array.from({ length: 20 }, (_, i) => [`l${i}`, 'v']),
    ]),
    samples: [[1, Date.now()]] as const,
  }
  const answer = await send([
    fine('1'),
    tooLong,
    fine('2'),
    tooMany,
    { labels: { i: 'no name' }, samples: [[1, Date.now()]] },
  ])
  expect(answer.status).toBe(400)
  expect(answer.text).toMatch(/^3 samples refused, 2 kept\n/)
  expect(answer.text).toMatch(
    /label_limit: 2, the first: value of label value has 5000 characters, at most 4096/,
  )
  // Bytes that are no UTF-8.
  const bytes = writeRequest([
    fine('3'),
    { labels: { __name__: 'bad', value: 'REPLACED' }, samples: [[1, Date.now()]] },
  ])
  bytes.set([0xff, 0xfe, 0xc3, 0x28, 0xa0, 0xa1, 0xed, 0xa0], bytes.indexOf('REPLACED'))
  const broken = await sendBytes(bytes)
  expect(broken.status).toBe(400)
  expect(broken.text).toMatch(/^1 samples refused, 1 kept\nbad_labels: 1, .*UTF-8/)
  expect((await product.query('beside')).map((r) => r.metric['i']).sort()).toEqual(['1', '2', '3'])
  expect(await product.query('bad')).toEqual([])
  // What cannot be read at all changes nothing.
  const cut = await sendBytes(bytes.subarray(0, bytes.length - 5))
  expect(cut.status).toBe(400)
  expect(await product.value('count(beside)')).toBe(3)
})

it('says aloud that the limit of series is reached, and what is known goes on', async () => {
  await product.remoteWrite([{ labels: { __name__: 'known' }, samples: [[1, Date.now() - 5000]] }])
  const many = (from: number, n: number): SentSeries[] =>
    Array.from({ length: n }, (_, i) => ({
      labels: { __name__: 'many', i: String(from + i) },
      samples: [[1, Date.now()]],
    }))
  const answer = await send(many(0, 2000))
  expect(answer.status).toBe(400)
  const [, refusedNow, keptNow] = /^(\d+) samples refused, (\d+) kept/.exec(answer.text)!.map(Number)
  expect(refusedNow! + keptNow!).toBe(2000)
  expect(answer.text).toContain(`series_limit: ${refusedNow}`)
  expect(answer.text).toContain('raise storage.max_series')
  expect(await product.value('count(many)')).toBe(keptNow)
  expect(await refused('remote_write', 'series_limit')).toBe(refusedNow)
  await until('the log to say it', () => product.said().includes('the limit of series is reached'), 10_000)
  // What Airboss says of itself finds room even now.
  await until(
    'the gauge',
    async () => ((await product.value('airboss_series / airboss_series_limit')) ?? 0) >= 1,
    20_000,
  )
  // Known series are written, ruled on and paged about.
  expect((await send(many(0, 10))).status).toBe(204)
  await product.remoteWrite([{ labels: { __name__: 'known' }, samples: [[9, Date.now()]] }])
  const page = await until(
    'the page',
    () => sink.to('/hook').find((c) => c.body.commonLabels.alertname === 'Late'),
    10_000,
  )
  expect(page.body.status).toBe('firing')
  expect(await product.value('ALERTS{alertname="Late"}')).toBe(1)
  // Whoever follows the page comes here, whichever port was free.
  expect(page.body.externalURL).toBe(product.http)
  expect((await fetch(page.body.alerts[0].generatorURL)).status).toBe(200)
})
