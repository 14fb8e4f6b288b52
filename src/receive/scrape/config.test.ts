import { expect, test } from 'vitest'
import { duration } from '../../lib/time.ts'
import { readYaml } from '../../lib/yaml.ts'
import { defaultScrapeGlobal, fingerprint, jobsOf, type ScrapeGlobal, scrapeConfigsSchema } from './config.ts'
import { acceptOf } from './fetch.ts'
import { targetsOf } from './target.ts'

const read = (yaml: string, base = '/etc/prometheus') =>
  readYaml(scrapeConfigsSchema({ HTTPS_PROXY: 'http://proxy:1' }, base), yaml, 'prometheus.yml')
const jobs = (yaml: string, global: Partial<ScrapeGlobal> = {}) =>
  jobsOf(read(yaml), { ...defaultScrapeGlobal, ...global })
const job = (yaml: string, global: Partial<ScrapeGlobal> = {}) => jobs(`- {job_name: j, ${yaml}}`, global)[0]!
const why = (yaml: string): string => {
  try {
    read(`- job_name: j\n  ${yaml}`)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

test('what a job leaves open comes from global, and 0 is open', () => {
  const global = {
    scrape_interval: duration(30_000),
    sample_limit: 5,
    body_size_limit: 1024,
    keep_dropped_targets: 7,
    always_scrape_classic_histograms: true,
    extra_scrape_metrics: true,
  }
  expect(job('sample_limit: 0', global)).toMatchObject({
    scrape_interval: 30_000,
    scrape_timeout: 10_000,
    sample_limit: 5,
    body_size_limit: 1024,
    keep_dropped_targets: 7,
    always_scrape_classic_histograms: true,
    scrape_native_histograms: false,
    extra_scrape_metrics: true,
  })
  expect(job('sample_limit: 2, scrape_interval: 5s, extra_scrape_metrics: false', global)).toMatchObject({
    sample_limit: 2,
    scrape_timeout: 5000,
    extra_scrape_metrics: false,
  })
})

test('protocols are asked for as Prometheus asks', () => {
  const text =
    'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2'
  expect(acceptOf(job(''))).toBe(text)
  expect(acceptOf(job('scrape_native_histograms: true'))).toMatch(
    /^application\/vnd\.google\.protobuf;proto=io\.prometheus\.client\.MetricFamily;encoding=delimited;q=0\.6,application\/openmetrics-text;version=1\.0\.0;escaping=allow-utf-8;q=0\.5,.*\*\/\*;q=0\.1$/,
  )
  expect(
    acceptOf(job('metric_name_validation_scheme: legacy', { scrape_protocols: ['PrometheusText1.0.0'] })),
  ).toBe('text/plain;version=1.0.0;escaping=underscores;q=0.6,*/*;q=0.5')
})

test('paths are meant from the file, proxies may come from the environment', () => {
  const [j] = read(
    "- {job_name: j, proxy_from_environment: true, basic_auth: {password_file: p}, tls_config: {ca_file: /abs/ca}, file_sd_configs: [{files: ['t/*.json']}]}",
  )
  expect(j).toMatchObject({
    basic_auth: { password_file: '/etc/prometheus/p' },
    tls_config: { ca_file: '/abs/ca' },
    environment: { https: 'http://proxy:1', http: '' },
  })
  expect(j!.file_sd_configs[0]!.files).toEqual(['/etc/prometheus/t/*.json'])
})

test.each([
  ['tls_config: {cert_file: a}', 'needs both cert'],
  ['tls_config: {ca: x, ca_file: y}', 'at most one of ca and ca_file'],
  ['tls_config: {min_version: SSL3}', 'TLS12'],
  ['basic_auth: {password: a, password_file: b}', 'at most one of password and password_file'],
  ['authorization: {type: Basic, credentials: x}', 'basic_auth'],
  ['oauth2: {client_id: a, client_secret: b}', 'oauth2.token_url'],
  ['oauth2: {client_id: a, token_url: "http://x", grant_type: password}', 'grant_type'],
  ['no_proxy: x', 'proxy_url'],
  ['proxy_url: x, proxy_from_environment: true'.replace(', ', '\n  '), 'proxy'],
  ['http_headers: {Authorization: {values: [x]}}', 'is set by Airboss itself'],
  ['sigv4: {}', 'sigv4: not supported'],
  ['file_sd_configs: [{files: [a.txt]}]', 'ends in .json'],
  ["file_sd_configs: [{files: ['*/a.json']}]", '* may stand in its last part'],
  ['dns_sd_configs: [{names: [a], type: A}]', 'port'],
  ['dns_sd_configs: [{names: [a], type: TXT}]', 'SRV'],
  ['http_sd_configs: [{url: x}]', 'not a URL'],
  ['ec2_sd_configs: []', 'ec2_sd_configs: not supported'],
  ['scrape_failure_log_file: x', 'not supported'],
  ['native_histogram_bucket_limit: 5', 'not supported'],
  ['scrape_protocols: [PrometheusProto, PrometheusProto]', 'stands twice'],
  ['metric_name_validation_scheme: legacy\n  metric_name_escaping_scheme: allow-utf-8', 'does not go with'],
  ['relabel_configs: [{action: replace, target_label: a, regex: "(?<x"}]', 'relabel_configs[0].regex'],
  ['relabel_configs: [{action: rename}]', 'relabel_configs[0].action'],
])('%s is refused', (yaml, words) => {
  const said = why(yaml)
  expect(said).toMatch(/^prometheus\.yml:\d+: /)
  expect(said).toContain(words)
})

test('a target from its group: own labels over those of the group, meta labels for relabelling alone, no target without an address', () => {
  const j = job(
    "params: {module: [a]}, relabel_configs: [{source_labels: [__meta_x], target_label: x}, {source_labels: [__address__], regex: gone, target_label: __address__, replacement: ''}, {regex: '__meta_(secret)', action: labelmap}]",
  )
  const { targets, problems, dropped } = targetsOf(j, {
    source: 's',
    targets: [
      { __address__: 'h:1', team: 'own', empty: '' },
      { __address__: 'gone' },
      { __address__: 'http://h:1' },
      { __address__: 'h:2', __scrape_interval__: '1s', __scrape_timeout__: '2s' },
      { __address__: 'h:3', __param_module: 'b', instance: 'named', job: 'other', __metrics_path__: '/p' },
    ],
    labels: { team: 'group', __meta_x: 'y', __meta_secret: 'z' },
  })
  expect(targets.map(({ url, labels }) => [url, labels])).toEqual([
    ['http://h:1/metrics?module=a', { instance: 'h:1', job: 'j', secret: 'z', team: 'own', x: 'y' }],
    ['http://h:3/p?module=b', { instance: 'named', job: 'other', secret: 'z', team: 'group', x: 'y' }],
  ])
  expect(problems).toEqual([
    expect.stringContaining('no address'),
    expect.stringContaining('not an address'),
    expect.stringContaining('no valid interval'),
  ])
  expect(dropped).toEqual([])
})

test('a fingerprint changes with a secret and shows none', () => {
  const print = (password: string): string =>
    fingerprint(read(`- {job_name: j, basic_auth: {username: u, password: ${password}}}`))
  expect(print('sesame')).toBe(print('sesame'))
  expect(print('sesame')).not.toBe(print('other'))
  expect(print('sesame')).not.toContain('sesame')
  expect(job('basic_auth: {password: a}').key).toBe(job('basic_auth: {password: b}').key)
  expect(job('scrape_interval: 5s').key).not.toBe(job('scrape_interval: 6s').key)
})
