import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { createHttp } from '../../src/lib/http.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration } from '../../src/lib/time.ts'
import { readYaml } from '../../src/lib/yaml.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { labelsOf, printLabels } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { defaultScrapeGlobal, scrapeConfigsSchema } from '../../src/receive/scrape/config.ts'
import { createScraper } from '../../src/receive/scrape/receiver.ts'
import { CollectingSink } from '../kit/collecting-sink.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { tempDir } from '../kit/temp-dir.ts'

const peer = 'prometheus'
const there = ((): boolean => {
  try {
    execFileSync('which', [peer], { stdio: 'ignore' })
    return true
  } catch {
    process.stderr.write(`SKIPPED: ${peer} is not installed; scrapes are not compared with it\n`)
    return false
  }
})()

const pages: Record<string, [type: string, body: string]> = {
  '/text': [
    'text/plain; version=0.0.4',
    `# HELP odd Odd \\n ones
# TYPE odd counter
odd{a="x\\"y\\\\z\\nw",} 1
odd {b="}"} 2e-3
odd{job="mine",instance="there",exported_job="already"} 3
odd{empty="",kept="é"} +4
nan NaN
inf{sign="minus"} -Inf
http_requests_total{code="200",path="/Items/7"} 12
http_requests_total{code="500",path="/Items/8"} 13
go_gc 1
tmp_secret 5
dup 1
`,
  ],
  '/open': [
    'application/openmetrics-text; version=1.0.0; charset=utf-8',
    `# TYPE calls counter
# HELP calls All
calls_total{a="b"} 17 # {trace_id="abc"} 0.67
calls_created{a="b"} 1520872607.123
# TYPE took_seconds histogram
# UNIT took_seconds seconds
took_seconds_bucket{le="0.1"} 1
took_seconds_bucket{le="+Inf"} 2
took_seconds_count 2
took_seconds_sum 0.5
# EOF
`,
  ],
  '/cut': ['application/openmetrics-text; version=1.0.0; charset=utf-8', 'a 1\n'],
  '/bad': ['text/plain', 'a 1\nb{ 2\n'],
}

const yamlFor = (address: string): string => `
- job_name: text
  metrics_path: /text
  static_configs: [{targets: ['${address}'], labels: {team: shop, zone: ''}}]
  metric_relabel_configs:
    - {source_labels: [__name__], regex: 'go_.*', action: drop}
    - {source_labels: [code], regex: '(.).*', target_label: class, replacement: '\${1}xx'}
    - {regex: 'path', action: labeldrop}
    - {source_labels: [code, team], separator: '/', target_label: shard, modulus: 7, action: hashmod}
    - {source_labels: [__name__], regex: 'tmp_(.*)', target_label: __name__, replacement: 'kept_$1'}
    - {regex: 'exported_(.*)', action: labelmap, replacement: 'was_$1'}
- job_name: honest
  metrics_path: /text
  honor_labels: true
  static_configs: [{targets: ['${address}']}]
- job_name: open
  metrics_path: /open
  params: {module: [m]}
  static_configs: [{targets: ['${address}']}]
  relabel_configs:
    - {source_labels: [__address__, __param_module], target_label: instance, regex: '([^:]+):\\d+;(.*)', replacement: '$1-$2'}
    - {target_label: Upper, replacement: abc}
    - {source_labels: [Upper], target_label: Upper, action: uppercase}
- {job_name: cut, metrics_path: /cut, static_configs: [{targets: ['${address}']}]}
- {job_name: bad, metrics_path: /bad, static_configs: [{targets: ['${address}']}]}
- {job_name: limit, metrics_path: /text, sample_limit: 3, static_configs: [{targets: ['${address}']}]}
- {job_name: labels, metrics_path: /text, label_limit: 4, static_configs: [{targets: ['${address}']}]}
- job_name: none
  static_configs: [{targets: ['${address}']}]
  relabel_configs: [{source_labels: [job], regex: none, action: drop}]
`

const peerValues = async (base: string): Promise<Record<string, string>> => {
  const query = encodeURIComponent('{__name__=~".+"}')
  const answer = (await (await fetch(`${base}/api/v1/query?query=${query}`)).json()) as {
    data: { result: { metric: Record<string, string>; value: [number, string] }[] }
  }
  return Object.fromEntries(answer.data.result.map((r) => [printLabels(labelsOf(r.metric)), r.value[1]]))
}
const shown = (value: number | 'stale'): string =>
  value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : String(value)
// How long a scrape took, and which scrape it was, differ.
const comparable = (values: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(values).filter(([s]) => !/^scrape_(duration_seconds|series_added)/.test(s)),
  )

const startPeer = async (dir: string, address: string): Promise<string> => {
  writeFileSync(
    join(dir, 'prom.yml'),
    `global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:${yamlFor(address)}`,
  )
  const probe = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => probe.once('listening', resolve))
  const { port } = probe.address() as AddressInfo
  await new Promise((resolve) => probe.close(resolve))
  const args = [
    `--config.file=${dir}/prom.yml`,
    `--storage.tsdb.path=${dir}/data`,
    `--web.listen-address=127.0.0.1:${port}`,
  ]
  const child: ChildProcess = spawn(peer, args, { stdio: 'ignore' })
  const ended = new Promise((resolve) => child.once('exit', resolve))
  onTestFinished(async () => {
    child.kill()
    await ended
  })
  return `http://127.0.0.1:${port}`
}

test.runIf(there)(
  'the same configuration over the same targets gives the same series as Prometheus',
  async () => {
    const server = createServer((request, response) => {
      const [type, body] = pages[request.url!.split('?')[0]!] ?? ['text/plain', '']
      response.setHeader('content-type', type)
      response.end(body)
    }).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    onTestFinished(() => void server.close())
    const address = `127.0.0.1:${(server.address() as AddressInfo).port}`
    const base = await startPeer(tempDir(), address)

    const table = new SeriesTable(1000)
    const sink = new CollectingSink(table)
    const http = createHttp()
    const scraper = createScraper({
      configs: readYaml(scrapeConfigsSchema({}), yamlFor(address), 'prom.yml'),
      global: { ...defaultScrapeGlobal, scrape_interval: duration(500), scrape_timeout: duration(500) },
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
    const ups = (values: Record<string, string>): number =>
      Object.keys(values).filter((s) => s.startsWith('up{')).length
    const ours = (): Record<string, string> =>
      Object.fromEntries(Object.entries(sink.last()).map(([series, value]) => [series, shown(value)]))
    let theirs: Record<string, string> = {}
    for (let i = 0; i < 200 && (ups(theirs) < 7 || ups(ours()) < 7); i++) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      theirs = await peerValues(base).catch(() => ({}))
    }
    await scraper.drain()
    await http.close()
    expect(ups(theirs)).toBe(7)
    expect(comparable(ours())).toEqual(comparable(theirs))
  },
)
