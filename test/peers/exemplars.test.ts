// Exemplars beside a real Prometheus: the same ones remote-written to both, and those it has scraped itself and sends on, asked of both.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allThere, freePort, type Peer, startPeer } from '../kit/debian.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'
import { type SentSeries, writeBody } from '../kit/write-request.ts'

interface Answered {
  readonly status: string
  readonly errorType?: string
  readonly data?: readonly { readonly seriesLabels: Record<string, string>; readonly exemplars: unknown[] }[]
}

describe.skipIf(!allThere('prometheus'))('exemplars', () => {
  const dir = mkdtempSync(join(tmpdir(), 'airboss-exemplars-'))
  const home = join(dir, 'product')
  const now = Math.floor(Date.now() / 1000) * 1000
  let product: Product
  let prometheus: Peer
  const page = `# TYPE calls counter
calls_total{to="köln"} 17 # {trace_id="0af7651916cd43dd8448eb211c80319c",user="7"} 0.67 ${now / 1000 - 3}
# TYPE took_seconds histogram
took_seconds_bucket{le="0.1"} 1 # {trace_id="aa"} 0.05 ${now / 1000 - 2.5}
took_seconds_bucket{le="+Inf"} 2 # {span_id="bb"} 7 ${now / 1000 - 2.25}
took_seconds_count 2
took_seconds_sum 7.05
# EOF
`
  const target = createServer((_, response) =>
    response
      .writeHead(200, { 'content-type': 'application/openmetrics-text; version=1.0.0; charset=utf-8' })
      .end(page),
  )

  beforeAll(async () => {
    mkdirSync(home)
    product = await startProduct({
      dir: home,
      files: { 'airboss.yaml': 'host: { enabled: false }\nrule_files: []\n' },
    })
    await new Promise<void>((done) => target.listen(0, '127.0.0.1', done))
    const config = join(dir, 'prometheus.yml')
    writeFileSync(
      config,
      `global: { scrape_interval: 500ms }
remote_write: [{ url: '${product.http}/api/v1/write', send_exemplars: true, queue_config: { batch_send_deadline: 200ms } }]
scrape_configs: [{ job_name: air, static_configs: [{ targets: ['127.0.0.1:${(target.address() as AddressInfo).port}'], labels: { instance: here } }] }]
`,
    )
    const port = await freePort()
    const url = `http://127.0.0.1:${port}`
    const args = [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--web.enable-remote-write-receiver',
      '--enable-feature=exemplar-storage',
    ]
    prometheus = await startPeer('prometheus', args, url, '/-/ready')
  }, 90_000)
  afterAll(async () => {
    target.close()
    await prometheus?.stop()
    await product?.dispose()
    rmSync(dir, { recursive: true, force: true })
  })

  const ask = async (url: string, params: Record<string, string>, method = 'GET'): Promise<Answered> => {
    const query = new URLSearchParams(params)
    const answer =
      method === 'GET'
        ? await fetch(`${url}/api/v1/query_exemplars?${query}`)
        : await fetch(`${url}/api/v1/query_exemplars`, { method, body: query })
    return (await answer.json()) as Answered
  }
  const same = async (params: Record<string, string>, method = 'GET'): Promise<Answered> => {
    const [theirs, ours] = [
      await ask(prometheus.url, params, method),
      await ask(product.http, params, method),
    ]
    expect([ours.status, ours.errorType, ours.data], JSON.stringify(params)).toEqual([
      theirs.status,
      theirs.errorType,
      theirs.data,
    ])
    return ours
  }

  it('remote-written to both are answered alike: in order, the first of each, none that is too long', async () => {
    const bucket = (le: string, exemplars: SentSeries['exemplars']): SentSeries => ({
      labels: { __name__: 'wait_seconds_bucket', job: 'sent', le },
      samples: [[1, now]],
      exemplars: exemplars!,
    })
    const exemplar = (trace: string, value: number, at: number, more: Record<string, string> = {}) => ({
      labels: { trace_id: trace, ...more },
      value,
      at,
    })
    const requests: SentSeries[][] = [
      [
        bucket('1', [exemplar('t1', 0.5, now - 4000), exemplar('t2', 0.25, now - 3000, { span_id: 's' })]),
        bucket('+Inf', [exemplar('t3', 9, now - 3500), { labels: {}, value: -0, at: now - 3400 }]),
        {
          labels: { __name__: 'plain', job: 'sent' },
          samples: [[1, now]],
          exemplars: [exemplar('x', 1e-9, now - 1)],
        },
      ],
      // Again, one older than the last, one with more than 128 characters, and a new one.
      [
        bucket('1', [exemplar('t2', 0.25, now - 3000, { span_id: 's' }), exemplar('old', 1, now - 3500)]),
        bucket('+Inf', [exemplar('t4', 8, now - 1000, { long: 'x'.repeat(128) })]),
        bucket('1', [exemplar('t5', 1e21, now - 500)]),
      ],
    ]
    for (const request of requests)
      for (const url of [prometheus.url, product.http]) {
        const answer = await fetch(`${url}/api/v1/write`, { method: 'POST', ...writeBody(request) })
        expect(answer.status, url).toBe(204)
      }
    const span = { start: String(now / 1000 - 10), end: String(now / 1000) }
    const found = await same({ query: 'wait_seconds_bucket', ...span })
    expect(found.data!.map((s) => s.exemplars.length)).toEqual([2, 3])
    const quantile =
      'histogram_quantile(0.9, sum by (le) (rate(wait_seconds_bucket{job="sent"}[5m]))) + plain'
    expect((await same({ query: quantile, ...span }, 'POST')).data).toHaveLength(3)
    await same({ query: 'wait_seconds_bucket{le="1"}', start: String(now / 1000 - 3), end: span.end })
    await same({ query: '{__name__=~"wait.*|plain"}', start: span.start, end: String(now / 1000 - 3) })
    await same({ query: 'nothing_here', ...span })
    await same({ query: 'plain', start: new Date(now - 10_000).toISOString(), end: span.end })
    for (const wrong of [{ ...span }, { query: 'sum(', ...span }, { query: 'plain', start: 'soon' }])
      await same(wrong as Record<string, string>)
  })

  it('scraped by Prometheus and sent on are the same here', async () => {
    const span = { start: String(now / 1000 - 60), end: String(now / 1000 + 60) }
    const all = { query: '{job="air"}', ...span }
    await until(
      'the exemplars on both',
      async () => {
        const [theirs, ours] = [await ask(prometheus.url, all), await ask(product.http, all)]
        return theirs.data?.length === 3 && ours.data?.length === 3
      },
      20_000,
    )
    const found = await same(all)
    expect(found.data!.every((s) => s.exemplars.length === 1)).toBe(true)
  })

  it('are still there after a restart, and when memory has let them go, out of ClickHouse', async () => {
    const span = { start: String(now / 1000 - 60), end: String(now / 1000 + 60) }
    const before = await ask(product.http, { query: 'wait_seconds_bucket', ...span })
    await until(
      'the store to have them',
      async () => {
        const [row] = await product.query('sum(airboss_store_rows_total{table="exemplars"})')
        return Number(row?.value[1] ?? 0) >= 5
      },
      40_000,
    )
    expect(await product.stop()).toBe(0)
    product = await startProduct({
      dir: home,
      files: {
        'airboss.yaml': 'host: { enabled: false }\nrule_files: []\nstorage: { exemplars: { max: 1 } }\n',
      },
    })
    const after = await ask(product.http, { query: 'wait_seconds_bucket', ...span })
    expect(after).toEqual(before)
  }, 90_000)
})
