import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { createHttp } from '../../src/lib/http.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration } from '../../src/lib/time.ts'
import { readYaml } from '../../src/lib/yaml.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { defaultScrapeGlobal, scrapeConfigsSchema } from '../../src/receive/scrape/config.ts'
import { createScraper, type Scraper } from '../../src/receive/scrape/receiver.ts'
import { CollectingSink } from '../kit/collecting-sink.ts'
import { fakeMetrics } from '../kit/metrics.ts'

type Page = (request: IncomingMessage, response: ServerResponse) => void
const servers: Server[] = []
const serve = async (page: Page): Promise<string> => {
  const server = createServer(page)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
const text =
  (body: () => string, type = 'text/plain; version=0.0.4'): Page =>
  (_, response) => {
    response.setHeader('content-type', type)
    response.end(body())
  }

let scraper: Scraper
let http: ReturnType<typeof createHttp>
let table: SeriesTable
let sink: CollectingSink
const configs = (yaml: string) => readYaml(scrapeConfigsSchema({ TOKEN: 'sesame' }), yaml, 'airboss.yaml')
const global = { ...defaultScrapeGlobal, scrape_interval: duration(200), scrape_timeout: duration(150) }
const begin = async (yaml: string): Promise<void> => {
  scraper = createScraper({
    configs: configs(yaml),
    global,
    table,
    sink,
    limits: defaultAdmission,
    send: http.send,
    connect: createHttp,
    clock: systemClock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await scraper.start()
}
beforeEach(() => {
  http = createHttp()
  table = new SeriesTable(10_000)
  sink = new CollectingSink(table)
})
afterEach(async () => {
  await scraper.drain()
  await http.close()
  for (const server of servers.splice(0)) {
    server.closeAllConnections()
    server.close()
  }
})
const until = async (done: () => boolean): Promise<void> => {
  const endAt = Date.now() + 5000
  while (!done()) {
    if (Date.now() > endAt) throw new Error(`waited in vain; last: ${JSON.stringify(sink.last(), null, 1)}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
const last = (series: string): number | 'stale' | undefined => sink.last()[series]

test.each(['text', 'openmetrics'] as const)(
  'a prom-client registry in %s, gzipped, as the client itself lists it',
  async (format) => {
    const registry = new Registry()
    if (format === 'openmetrics') registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE as never)
    const calls = new Counter({
      name: 'calls_total',
      help: 'All "calls"\nand more',
      labelNames: ['path'],
      registers: [registry],
    })
    calls.inc({ path: '/a"b\\c\nd}' }, 7)
    new Gauge({ name: 'temp', help: 't', registers: [registry] }).set(-1.5e-7)
    new Histogram({ name: 'took_seconds', help: 'h', buckets: [0.1, 1], registers: [registry] }).observe(0.3)
    let asked: IncomingMessage['headers'] = {}
    const address = await serve((request, response) => {
      asked = request.headers
      void registry.metrics().then((body) => {
        response.setHeader('content-type', registry.contentType)
        response.setHeader('content-encoding', 'gzip')
        response.end(gzipSync(body))
      })
    })
    await begin(`- {job_name: shop, static_configs: [{targets: ['${address}'], labels: {team: a}}]}`)
    await until(() => sink.batches.length > 0)
    const rest = `instance="${address}", job="shop"`
    expect(last(`calls_total{${rest}, path="/a\\"b\\\\c\\nd}", team="a"}`)).toBe(7)
    expect(last(`temp{${rest}, team="a"}`)).toBe(-1.5e-7)
    expect(last(`took_seconds_bucket{${rest}, le="1", team="a"}`)).toBe(1)
    expect(last(`took_seconds_bucket{${rest}, le="+Inf", team="a"}`)).toBe(1)
    expect(last(`up{${rest}, team="a"}`)).toBe(1)
    const listed = (await registry.metrics()).split('\n').filter((l) => l !== '' && !l.startsWith('#')).length
    expect(last(`scrape_samples_scraped{${rest}, team="a"}`)).toBe(listed)
    expect(last(`scrape_samples_post_metric_relabeling{${rest}, team="a"}`)).toBe(listed)
    expect(last(`scrape_duration_seconds{${rest}, team="a"}`)).toBeGreaterThan(0)
    expect(sink.batches[0]!.metadata).toContainEqual({
      metric: 'calls_total',
      type: 'counter',
      help: 'All "calls"\nand more',
      unit: '',
    })
    expect(asked.accept).toContain('application/openmetrics-text;version=1.0.0')
    expect(asked['x-prometheus-scrape-timeout-seconds']).toBe('0.15')
  },
)

test('one that hangs is cut off at its timeout and delays nobody; one that fails is down with its reason', async () => {
  const hanging = await serve(() => undefined)
  const good = await serve(text(() => 'x 1\n'))
  const broken = await serve(text(() => 'x 1\nx{ 1\n'))
  const missing = await serve((_, response) => {
    response.statusCode = 404
    response.end()
  })
  const html = await serve(text(() => '<html>', 'text/html'))
  await begin(
    `- {job_name: j, static_configs: [{targets: ['${[hanging, good, broken, missing, html, '127.0.0.1:1'].join("','")}']}]}`,
  )
  const ups = (address: string) =>
    sink.samples().filter((s) => s.series === `up{instance="${address}", job="j"}`)
  await until(() => ups(hanging).length >= 3)
  // Both loops have the same interval; where in it each begins is its own, so they may be one apart.
  expect(ups(good).length).toBeGreaterThanOrEqual(ups(hanging).length - 1)
  expect(ups(good).map((s) => s.value)).not.toContain(0)
  expect(ups(hanging).map((s) => s.value)).not.toContain(1)
  const gaps = ups(good)
    .slice(1)
    .map((s, i) => s.at - ups(good)[i]!.at)
  expect(new Set(gaps)).toEqual(new Set([200]))
  const state = (address: string) => scraper.targets().find((t) => Object.values(t.labels).includes(address))
  expect(state(good)).toMatchObject({
    health: 'up',
    lastError: '',
    scrapePool: 'j',
    scrapeUrl: `http://${good}/metrics`,
  })
  expect(state(good)?.discoveredLabels).toHaveProperty('__address__', good)
  expect(state(hanging)?.lastError).toContain('scrape_timeout')
  expect(state(broken)?.lastError).toMatch(/^line 2: /)
  expect(state(missing)?.lastError).toContain('answered 404')
  expect(state(html)?.lastError).toContain('text/html')
  expect(state('127.0.0.1:1')).toMatchObject({ health: 'down' })
})

test('series that vanish, of a failed and of a removed target, end with a stale marker', async () => {
  let body = 'a 1\nb 1\n'
  const address = await serve(text(() => body))
  const yaml = `- {job_name: j, static_configs: [{targets: ['${address}']}]}`
  await begin(yaml)
  const named = (name: string) => `${name}{instance="${address}", job="j"}`
  await until(() => last(named('b')) === 1)
  body = 'a 2\n'
  await until(() => last(named('b')) === 'stale')
  expect(last(named('a'))).toBe(2)
  body = 'a {'
  await until(() => last(named('up')) === 0)
  expect(last(named('a'))).toBe('stale')
  body = 'a 3\n'
  await until(() => last(named('a')) === 3)
  await scraper.apply(configs(yaml))
  expect(last(named('a'))).toBe(3)
  const lastAt = Math.max(...sink.samples().map((s) => s.at))
  await scraper.apply([])
  expect(scraper.targets()).toEqual([])
  // The target could still come back: its series end after two more intervals, at the time of the first missed scrape.
  expect(last(named('a'))).toBe(3)
  await until(() => last(named('a')) === 'stale' && last(named('up')) === 'stale')
  expect(
    sink
      .samples()
      .filter((s) => s.value === 'stale' && s.at > lastAt)
      .map((s) => s.at - lastAt),
  ).toEqual(Array(6).fill(200))
})

test('labels that clash, honor_labels, relabelling, params, authorization', async () => {
  const seen: string[] = []
  const address = await serve((request, response) => {
    seen.push(`${request.url} ${request.headers.authorization}`)
    text(() => 'm{job="own",instance=""} 1\nsecret 2\n')(request, response)
  })
  await begin(`
- job_name: plain
  metrics_path: /probe
  params: {module: [a, b]}
  authorization: {credentials: {env: TOKEN}}
  static_configs: [{targets: ['${address}']}]
  relabel_configs:
    - {source_labels: [__address__], target_label: instance, replacement: box}
    - {source_labels: [job], target_label: __param_extra}
  metric_relabel_configs: [{source_labels: [__name__], regex: 'sec.*', action: drop}]
- job_name: honest
  honor_labels: true
  basic_auth: {username: u, password: p}
  static_configs: [{targets: ['${address}']}]
`)
  await until(
    () => last('m{job="own"}') === 1 && last('m{exported_job="own", instance="box", job="plain"}') === 1,
  )
  expect(Object.keys(sink.last()).filter((s) => s.startsWith('secret'))).toEqual([
    `secret{instance="${address}", job="honest"}`,
  ])
  expect(last('scrape_samples_scraped{instance="box", job="plain"}')).toBe(2)
  expect(last('scrape_samples_post_metric_relabeling{instance="box", job="plain"}')).toBe(1)
  expect(seen).toContain('/probe?module=a&module=b&extra=plain Bearer sesame')
  expect(seen).toContain(`/metrics Basic ${Buffer.from('u:p').toString('base64')}`)
})

test('limits fail the scrape by name', async () => {
  const big = await serve((_, response) => {
    response.setHeader('content-type', 'text/plain')
    response.setHeader('content-encoding', 'gzip')
    response.end(gzipSync(`x 1\n#${'z'.repeat(5000)}\n`))
  })
  const wide = await serve(text(() => 'x{a="1",b="2"} 1\ny 1\n'))
  await begin(`
- {job_name: body, body_size_limit: 1KB, static_configs: [{targets: ['${big}']}]}
- {job_name: labels, label_limit: 4, static_configs: [{targets: ['${wide}']}]}
- {job_name: samples, sample_limit: 1, static_configs: [{targets: ['${wide}']}]}
`)
  await until(() => scraper.targets().every((t) => t.health === 'down'))
  expect(scraper.targets().map((t) => t.lastError)).toEqual([
    expect.stringContaining('body_size_limit'),
    expect.stringContaining('label_limit'),
    expect.stringContaining('sample_limit'),
  ])
})

test('the configuration: unsupported keys by name, typos as unknown, doubles, timeouts', async () => {
  await begin('[]')
  const why = (yaml: string): string => {
    try {
      configs(yaml)
      return ''
    } catch (error) {
      return (error as Error).message
    }
  }
  expect(why('- job_name: a\n  consul_sd_configs: [{server: x}]')).toMatch(
    /^airboss.yaml:2: .*consul_sd_configs: not supported; .*file_sd_configs/,
  )
  expect(why('- job_name: a\n  convert_classic_histograms_to_nhcb: true')).toContain('custom buckets')
  expect(why('- job_name: a\n  scrape_protocols: [Proto]')).toContain('scrape_protocols')
  expect(why('- job_name: a\n  scrape_intervall: 5s')).toContain('unknown key')
  expect(why('- job_name: a\n- job_name: a')).toContain('used twice')
  expect(why('- {job_name: a, scrape_interval: 5s, scrape_timeout: 10s}')).toContain(
    'longer than scrape_interval',
  )
  expect(why('- {job_name: a, bearer_token: x, basic_auth: {username: u}}')).toContain('at most one')
  expect(why('- job_name: a\n  metric_relabel_configs: [{action: drop, regex: "("}]')).toMatch(
    /^airboss.yaml:2: .*metric_relabel_configs\[0\].regex: .*no RE2/,
  )
  expect(why('- {job_name: a, body_size_limit: 10 apples}')).toContain('10MB')
  expect(why('- {job_name: a, bearer_token: {env: NOPE}}')).toContain('NOPE')
})
