// Debian's Prometheus scrapes node_exporter and remote-writes to the running product: both must give the same answers, in the same shapes.
import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allThere, freePort, type Peer, startPeer } from '../kit/debian.ts'
import { type HttpSink, startSink } from '../kit/http-sink.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const there = allThere('prometheus', 'prometheus-node-exporter', 'promtool', 'amtool')
const run = promisify(execFile)

const rules = `
groups:
  - name: node
    interval: 1s
    rules:
      - record: job:cpu_seconds:rate5s
        expr: sum by (job, mode) (rate(node_cpu_seconds_total[5s]))
      - alert: NodeThere
        expr: up{job="node"} == 1
        labels: { severity: info }
        annotations: { summary: '{{ $labels.job }} answers' }
      - alert: Muted
        expr: work_items{job="app"} > 5
        labels: { severity: warning, team: app }
        annotations: { summary: '{{ $value }} wait' }
`
const airboss = (app: string): string => `
global: { evaluation_interval: 1s, scrape_interval: 1s }
host: { enabled: false }
rule_files: [rules.yaml]
alertmanager: alertmanager.yaml
access: {}
actions: { webhooks: { deployer: { url: 'http://127.0.0.1:9/', secret: not-to-be-shown } } }
scrape_configs:
  - job_name: app
    static_configs: [{ targets: ['${app}'], labels: { zone: east } }]
`
const alertmanager = (url: string): string => `
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 0s
  group_interval: 1s
  routes: [{ receiver: app, matchers: [team="app"] }]
receivers: [{ name: nobody }, { name: app, webhook_configs: [{ url: '${url}/app' }] }]
`

interface Answered {
  readonly status: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever an API answers
  readonly data: any
  readonly errorType?: string
  readonly error?: string
}

describe.skipIf(!there)('a Prometheus and Airboss side by side', () => {
  const dir = mkdtempSync(join(tmpdir(), 'airboss-whole-'))
  const registry = new Registry()
  const items = new Gauge({ name: 'work_items', help: 'Items that wait.', registers: [registry] })
  const done = new Counter({
    name: 'work_done_total',
    help: 'Items done.',
    labelNames: ['kind'],
    registers: [registry],
  })
  const took = new Histogram({
    name: 'work_seconds',
    help: 'Time taken.',
    buckets: [0.1, 1],
    registers: [registry],
  })
  let app: Server
  let sink: HttpSink
  let product: Product
  let node: Peer
  let prometheus: Peer

  beforeAll(async () => {
    app = createServer(async (_, response) => {
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics())
    })
    await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve))
    sink = await startSink()
    items.set(2)
    done.inc({ kind: 'a "quoted"\nkind' }, 7)
    took.observe(0.5)
    product = await startProduct({
      files: {
        'airboss.yaml': airboss(`127.0.0.1:${(app.address() as AddressInfo).port}`),
        'rules.yaml': rules,
        'alertmanager.yaml': alertmanager(sink.url),
      },
    })
    const nodeAt = `127.0.0.1:${await freePort()}`
    node = await startPeer(
      'prometheus-node-exporter',
      [`--web.listen-address=${nodeAt}`],
      `http://${nodeAt}`,
      '/metrics',
    )
    const config = join(dir, 'prometheus.yml')
    writeFileSync(
      config,
      `global: { scrape_interval: 1s, evaluation_interval: 1s }
rule_files: ['${join(product.dir, 'rules.yaml')}']
remote_write: [{ url: '${product.http}/api/v1/write', metadata_config: { send_interval: 1s }, queue_config: { batch_send_deadline: 200ms } }]
scrape_configs: [{ job_name: node, static_configs: [{ targets: ['${nodeAt}'] }] }]
`,
    )
    const at = `127.0.0.1:${await freePort()}`
    prometheus = await startPeer(
      'prometheus',
      [`--config.file=${config}`, `--storage.tsdb.path=${join(dir, 'data')}`, `--web.listen-address=${at}`],
      `http://${at}`,
      '/-/ready',
    )
  })
  afterAll(async () => {
    await Promise.all([prometheus?.stop(), node?.stop()])
    await product?.dispose()
    await sink?.close()
    app?.close()
    app?.closeAllConnections()
    rmSync(dir, { recursive: true, force: true })
  })

  const get = async (base: string, path: string, params: Record<string, string> = {}): Promise<Answered> => {
    const answer = await fetch(`${base}${path}?${new URLSearchParams(params)}`)
    return (await answer.json()) as Answered
  }
  const both = (path: string, params: Record<string, string> = {}): Promise<[Answered, Answered]> =>
    Promise.all([get(prometheus.url, path, params), get(product.http, path, params)])
  const sorted = (rows: { metric: object }[]): unknown[] =>
    rows
      .map((r) => ({ ...r, metric: Object.fromEntries(Object.entries(r.metric).sort()) }))
      .sort((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1))

  /** What Prometheus sends, without what our rules make of it. */
  const scraped = '{job="node", __name__!~"ALERTS.*|job:.*"}'
  let settledAt = 0
  it('has every series and value that Prometheus scraped', { timeout: 60_000 }, async () => {
    const last = async (base: string) =>
      Number(
        (await get(base, '/api/v1/query', { query: 'timestamp(up{job="node"})' })).data.result[0]?.value[1] ??
          0,
      )
    const first = await until('the first scrape', () => last(prometheus.url), 15_000)
    // Compared a while back, where both have everything, and off the samples: Prometheus 2 counts the one at a window's very start too.
    settledAt = first + 6.4
    await until('six more', async () => (await last(product.http)) >= settledAt + 1, 20_000)
    const [theirs, ours] = await both('/api/v1/query', { query: scraped, time: String(settledAt) })
    expect(theirs.data.result.length).toBeGreaterThan(200)
    expect(sorted(ours.data.result)).toEqual(sorted(theirs.data.result))
  })

  it.each([
    'sum by (mode) (rate(node_cpu_seconds_total[5s]))',
    'topk(3, node_scrape_collector_duration_seconds)',
    'count by (__name__) ({job="node", __name__=~"node_memory_.+"})',
    '100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)',
    'max_over_time(node_load1[4s]) - min_over_time(node_load1[4s])',
    'quantile_over_time(0.9, scrape_duration_seconds{job="node"}[5s])',
    'label_replace(up{job="node"}, "host", "$1", "instance", "(.*):.*")',
    'avg_over_time((sum(node_context_switches_total))[4s:1s])',
    'absent(nothing{job="node"})',
  ])('answers %s as Prometheus does', async (query) => {
    const [theirs, ours] = await both('/api/v1/query_range', {
      query,
      start: String(settledAt - 3),
      end: String(settledAt),
      step: '1',
    })
    expect(theirs.status).toBe('success')
    const numbers = (answer: Answered) =>
      sorted(answer.data.result).map((r) => {
        const { metric, values } = r as { metric: object; values: [number, string][] }
        return { metric, values: values.map(([at, v]) => [at, Number(v).toPrecision(12)]) }
      })
    expect(numbers(ours)).toEqual(numbers(theirs))
  })

  it('knows the same names, labels, series and metadata', async () => {
    const match = { 'match[]': scraped }
    for (const path of ['/api/v1/labels', '/api/v1/label/__name__/values', '/api/v1/label/mode/values']) {
      const [theirs, ours] = await both(path, match)
      expect(ours, path).toEqual(theirs)
    }
    const [theirs, ours] = await both('/api/v1/series', { 'match[]': 'node_cpu_seconds_total{cpu="0"}' })
    const rows = (a: Answered) => sorted((a.data as object[]).map((metric) => ({ metric })))
    expect(rows(ours)).toEqual(rows(theirs))
    await until('metadata', async () => {
      const [a, b] = await both('/api/v1/metadata', { metric: 'node_load1' })
      return JSON.stringify(a.data) !== '{}' && JSON.stringify(a.data) === JSON.stringify(b.data)
    })
  })

  it('answers in the shapes that Grafana asks of Prometheus', async () => {
    /** A value's shape: keys and types, of lists the first element. */
    const shape = (value: unknown): unknown =>
      Array.isArray(value)
        ? value.slice(0, 2).map(shape)
        : value !== null && typeof value === 'object'
          ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shape(v)]))
          : typeof value
    const at = { time: String(settledAt) }
    const span = { start: String(settledAt - 2), end: String(settledAt), step: '1' }
    for (const [path, params] of [
      ['/api/v1/query', { query: 'up{job="node"}', ...at }],
      ['/api/v1/query', { query: '1 + 1', ...at }],
      ['/api/v1/query', { query: '"text"', ...at }],
      ['/api/v1/query', { query: 'up{job="node"}[3s]', ...at }],
      ['/api/v1/query_range', { query: 'up{job="node"}', ...span }],
      ['/api/v1/query_exemplars', { query: 'up', ...span }],
      ['/api/v1/format_query', { query: 'sum(up)by(job)' }],
      ['/api/v1/status/buildinfo', {}],
    ] as [string, Record<string, string>][]) {
      const [theirs, ours] = await both(path, params)
      expect(shape(ours), path).toEqual(shape(theirs))
    }
    for (const [path, params] of [
      ['/api/v1/query', { query: 'sum(' }],
      ['/api/v1/query', { query: 'up', time: 'yesterday' }],
      ['/api/v1/query_range', { query: 'up', start: '2', end: '1', step: '1' }],
      ['/api/v1/query_range', { query: 'up', start: '0', end: '1000000', step: '1' }],
      ['/api/v1/query_range', { query: 'up[5m]', ...span }],
      ['/api/v1/series', {}],
      ['/api/v1/labels', { 'match[]': '{' }],
    ] as [string, Record<string, string>][]) {
      const [theirs, ours] = await both(path, params)
      expect([ours.status, ours.errorType], `${path} ${JSON.stringify(params)}`).toEqual([
        theirs.status,
        theirs.errorType,
      ])
      expect(ours.error).toBeTruthy()
    }
    const buildinfo = await get(product.http, '/api/v1/status/buildinfo')
    expect(buildinfo.data.features).toBeUndefined()
  })

  it('shows rules and alerts as Prometheus does', async () => {
    // biome-ignore lint/suspicious/noExplicitAny: whatever an API answers
    const steady = (value: any): unknown => {
      if (Array.isArray(value)) return value.map(steady)
      if (value === null || typeof value !== 'object') return value
      const times = ['activeAt', 'lastEvaluation', 'evaluationTime', 'file']
      return Object.fromEntries(
        Object.entries(value).map(([k, v]) => [k, times.includes(k) ? typeof v : steady(v)]),
      )
    }
    await until('the alert on both', async () => {
      const answers = await both('/api/v1/alerts')
      return answers.every((a) => a.data.alerts.length === 1)
    })
    const [theirAlerts, ourAlerts] = await both('/api/v1/alerts')
    expect(steady(ourAlerts)).toEqual(steady(theirAlerts))
    for (const type of ['alert', 'record']) {
      const [theirs, ours] = await both('/api/v1/rules', { type })
      expect(theirs.data.groups[0].rules.length).toBeGreaterThan(0)
      // Newer Prometheus says more than this one: what it says must be the same.
      expect(steady(ours)).toMatchObject(steady(theirs) as object)
    }
    const records = 'count(job:cpu_seconds:rate5s{job="node"})'
    expect(await product.value(records)).toBe(
      Number((await get(prometheus.url, '/api/v1/query', { query: records })).data.result[0].value[1]),
    )
  })

  it('is asked by promtool, and its rules pass promtool', async () => {
    const { stdout } = await run('promtool', [
      'query',
      'instant',
      product.http,
      'up{job="node"}',
      '--time',
      String(settledAt),
    ])
    expect(stdout).toMatch(/^up\{instance="127\.0\.0\.1:\d+", job="node"\} => 1 @\[\d+/)
    const series = await run('promtool', ['query', 'series', '--match=up{job="node"}', product.http])
    expect(series.stdout).toContain('__name__="up"')
    const checked = await run('promtool', ['check', 'rules', join(product.dir, 'rules.yaml')])
    expect(checked.stdout).toContain('SUCCESS: 3 rules found')
  })

  it('scrapes an app instrumented with prom-client', async () => {
    await until('the app', async () => (await product.value('work_items{job="app", zone="east"}')) === 2)
    const [row] = await product.query('work_done_total')
    expect(row!.metric).toMatchObject({ job: 'app', zone: 'east', kind: 'a "quoted"\nkind' })
    expect(await product.value('work_seconds_bucket{le="1.0"} or work_seconds_bucket{le="1"}')).toBe(1)
    expect(await product.value('up{job="app"}')).toBe(1)
    const targets = await get(product.http, '/api/v1/targets')
    expect(targets.data.activeTargets).toContainEqual(
      expect.objectContaining({ scrapePool: 'app', health: 'up', lastError: '' }),
    )
    const { data } = await get(product.http, '/api/v1/metadata', { metric: 'work_done_total' })
    expect(Object.values(data)).toEqual([[{ type: 'counter', help: 'Items done.', unit: '' }]])
  })

  it('keeps quiet about what amtool has silenced, and pages when the silence ends', async () => {
    const amtool = async (...args: string[]): Promise<string> =>
      (await run('amtool', [`--alertmanager.url=${product.http}`, ...args])).stdout.trim()
    const id = await amtool(
      'silence',
      'add',
      'alertname=Muted',
      '--comment=known',
      '--author=mara',
      '--duration=1h',
    )
    items.set(9)
    await until('the alert', async () => (await product.value('ALERTS{alertname="Muted"}')) === 1, 10_000)
    const query = async () =>
      JSON.parse(await amtool('alert', 'query', '--silenced', '-o', 'json', 'alertname=Muted')) as {
        status: { state: string; silencedBy: string[] }
      }[]
    await until('it to be routed', async () => (await query()).length === 1)
    expect((await query())[0]!.status).toMatchObject({ state: 'suppressed', silencedBy: [id] })
    // Two evaluations on, past group_wait and group_interval, nobody was told.
    const at = (await product.value('timestamp(ALERTS{alertname="Muted"})'))!
    await until(
      'evaluations',
      async () => (await product.value('timestamp(ALERTS{alertname="Muted"})'))! >= at + 2,
      10_000,
    )
    expect(sink.to('/app')).toEqual([])
    await amtool('silence', 'expire', id)
    const [call] = await until(
      'the page',
      () => (sink.to('/app').length > 0 ? sink.to('/app') : null),
      10_000,
    )
    expect(call!.body).toMatchObject({ status: 'firing', commonAnnotations: { summary: '9 wait' } })
  })

  it('never shows a secret of its configuration', async () => {
    for (const path of ['/api/v1/status/config', '/api/v2/status', '/metrics', '/api/v1/status/flags'])
      expect(await (await product.fetch(path)).text(), path).not.toContain('not-to-be-shown')
    expect(product.said()).not.toContain('not-to-be-shown')
  })
})
