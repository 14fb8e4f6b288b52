// What a target answers: protobuf where it is asked for, times of its own, and the series that tell about scrapes.
import { expect, test } from 'vitest'
import { encodeFamilies, pairs, protoType } from '../kit/prometheus-proto.ts'
import { metricsPage, serve, startScraping } from '../kit/scraping.ts'
import { until } from '../kit/until.ts'

const patience = 20_000

test('a target that can speak protobuf does so when it is asked first, and text when it is not', async () => {
  const asked = new Map<string, string>()
  const address = await serve((request, response) => {
    const accept = request.headers.accept ?? ''
    asked.set(request.url!, accept)
    if (!accept.startsWith('application/vnd.google.protobuf'))
      return metricsPage(() => '# TYPE m counter\nm{a="b"} 1\n')(request, response)
    const body = encodeFamilies([
      { name: 'm', help: 'M', type: 0, metric: [{ label: pairs({ a: 'b' }), counter: { value: 2 } }] },
      {
        name: 'h',
        help: 'H',
        type: 4,
        metric: [
          { histogram: { sampleCount: 3, sampleSum: 1.5, bucket: [{ cumulativeCount: 2, upperBound: 1 }] } },
        ],
      },
    ])
    metricsPage(() => body, protoType)(request, response)
  })
  const job = (name: string, more: string): string =>
    `- {job_name: ${name}, metrics_path: /${name}, static_configs: [{targets: ['${address}']}]${more}}\n`
  const s = await startScraping(
    job('plain', '') +
      job('native', ', scrape_native_histograms: true') +
      job('proto', ', scrape_protocols: [PrometheusProto, PrometheusText0.0.4]'),
  )
  const value = (name: string, job: string, more = ''): number | 'stale' | undefined =>
    s.last(
      `${name}{${more.startsWith('a') ? `${more}, ` : ''}instance="${address}", job="${job}"${more.startsWith('l') ? `, ${more}` : ''}}`,
    )
  for (const [name, expected] of [
    ['plain', 1],
    ['native', 2],
    ['proto', 2],
  ] as const)
    await until(name, () => value('m', name, 'a="b"') === expected, patience)
  expect(value('h_bucket', 'proto', 'le="1.0"')).toBe(2)
  expect(value('h_bucket', 'proto', 'le="+Inf"')).toBe(3)
  expect(value('h_sum', 'proto')).toBe(1.5)
  expect(asked.get('/proto')).toBe(
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.4',
  )
})

test('a page of no known type is read as fallback_scrape_protocol says', async () => {
  const text = await serve(metricsPage(() => 'm 1\n', 'application/x-custom'))
  const proto = await serve(
    metricsPage(
      () => encodeFamilies([{ name: 'm', type: 1, metric: [{ gauge: { value: 4 } }] }]),
      'application/x-custom',
    ),
  )
  const s = await startScraping(`
- {job_name: none, static_configs: [{targets: ['${text}']}]}
- {job_name: text, fallback_scrape_protocol: PrometheusText0.0.4, static_configs: [{targets: ['${text}']}]}
- {job_name: proto, fallback_scrape_protocol: PrometheusProto, static_configs: [{targets: ['${proto}']}]}`)
  await until(
    'the two',
    () =>
      s.last(`m{instance="${text}", job="text"}`) === 1 &&
      s.last(`m{instance="${proto}", job="proto"}`) === 4,
    patience,
  )
  await until('the third is down', () => s.last(`up{instance="${text}", job="none"}`) === 0, patience)
})

test('series with times of their own end only where that is tracked; honor_timestamps off gives them the time of the scrape', async () => {
  let gone = false
  const ownAt = Date.now() - 60_000
  const address = await serve(metricsPage(() => (gone ? 'other 1\n' : `timed 1 ${ownAt}\nother 1\n`)))
  const job = (name: string, more: string): string =>
    `- {job_name: ${name}, static_configs: [{targets: ['${address}']}], ${more}}\n`
  const s = await startScraping(
    job('default', 'honor_timestamps: true') +
      job('tracked', 'track_timestamps_staleness: true') +
      job('ignored', 'honor_timestamps: false'),
  )
  const timed = (name: string): string => `timed{instance="${address}", job="${name}"}`
  for (const name of ['default', 'tracked', 'ignored'])
    await until(name, () => s.last(timed(name)) === 1, patience)
  const at = (name: string): number => s.sink.samples().find((x) => x.series === timed(name))!.at
  expect([at('default'), at('tracked')]).toEqual([ownAt, ownAt])
  expect(at('ignored')).toBeGreaterThan(ownAt)
  gone = true
  await until(
    'ends',
    () => s.last(timed('tracked')) === 'stale' && s.last(timed('ignored')) === 'stale',
    patience,
  )
  const seen = s.sink.batches.length
  await until('more scrapes', () => s.sink.batches.length > seen + 6, patience)
  expect(s.last(timed('default'))).toBe(1)
})

test('extra_scrape_metrics: timeout, limit and size of the body, -1 where it is too large', async () => {
  const address = await serve(metricsPage(() => 'm 1\n'))
  const s = await startScraping(
    `
- {job_name: fits, sample_limit: 9, static_configs: [{targets: ['${address}']}]}
- {job_name: large, body_size_limit: 2, static_configs: [{targets: ['${address}']}]}
- {job_name: without, extra_scrape_metrics: false, static_configs: [{targets: ['${address}']}]}`,
    { global: { extra_scrape_metrics: true } },
  )
  const value = (name: string, job: string): number | 'stale' | undefined =>
    s.last(`${name}{instance="${address}", job="${job}"}`)
  await until('all', () => ['fits', 'large', 'without'].every((j) => value('up', j) !== undefined), patience)
  expect(value('scrape_timeout_seconds', 'fits')).toBe(0.15)
  expect(value('scrape_sample_limit', 'fits')).toBe(9)
  expect(value('scrape_body_size_bytes', 'fits')).toBe(4)
  expect(value('scrape_body_size_bytes', 'large')).toBe(-1)
  expect(value('scrape_body_size_bytes', 'without')).toBeUndefined()
})

test('names in UTF-8 fail a scrape under the legacy scheme, and say so', async () => {
  const address = await serve(metricsPage(() => '{"a.b"} 1\n'))
  const s = await startScraping(`
- {job_name: new, static_configs: [{targets: ['${address}']}]}
- {job_name: old, metric_name_validation_scheme: legacy, static_configs: [{targets: ['${address}']}]}`)
  await until('new', () => s.last(`a.b{instance="${address}", job="new"}`) === 1, patience)
  const old = () => s.scraper.targets().find((t) => t.scrapePool === 'old')!
  await until('old', () => old().health === 'down', patience)
  expect(old().lastError).toContain('"a.b" is no name under metric_name_validation_scheme legacy')
})
