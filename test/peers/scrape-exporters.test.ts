// A Prometheus user's own configuration, unchanged: Debian's exporters found through files, scraped by the product and by Debian's Prometheus.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { allThere, freePort, type Peer, startPeer } from '../kit/debian.ts'
import { startProduct } from '../kit/product.ts'
import { startScraping } from '../kit/scraping.ts'
import { tempDir } from '../kit/temp-dir.ts'
import { until } from '../kit/until.ts'

const there = allThere(
  'prometheus',
  'prometheus-node-exporter',
  'prometheus-pushgateway',
  'prometheus-blackbox-exporter',
)
const patience = 90_000

const config = (blackbox: string, external: string): string => `
global:
  scrape_interval: 1s
  scrape_timeout: 1s
  evaluation_interval: 1s
  external_labels: {datacenter: ${external}}
rule_files: []
scrape_configs:
  - job_name: node
    file_sd_configs:
      - files: ['targets/node-*.yml']
        refresh_interval: 1s
    metric_relabel_configs:
      # What one scrape has and the next has not.
      - {source_labels: [__name__], regex: 'node_(arp|schedstat|softnet|network|netstat|nf).*', action: drop}
  - job_name: pushgateway
    honor_labels: true
    file_sd_configs:
      - files: ['targets/pushgateway.json']
  - job_name: blackbox
    metrics_path: /probe
    params: {module: [http_2xx]}
    file_sd_configs:
      - files: ['targets/probes.yml']
    relabel_configs:
      - {source_labels: [__address__], target_label: __param_target}
      - {source_labels: [__param_target], target_label: instance}
      - {source_labels: [module], regex: (.+), target_label: __param_module}
      - {target_label: __address__, replacement: '${blackbox}'}
  - job_name: blackbox_exporter
    static_configs:
      - targets: ['${blackbox}']
`

interface Row {
  readonly metric: Record<string, string>
  readonly value: [number, string]
}
const ask = async (base: string, query: string): Promise<Row[]> => {
  const answer = await fetch(`${base}/api/v1/query?query=${encodeURIComponent(query)}`)
  const said = (await answer.json()) as { data?: { result: Row[] } }
  return said.data?.result ?? []
}
const labelSets = (rows: readonly Row[]): string[] =>
  rows.map((r) => JSON.stringify(Object.entries(r.metric).sort())).sort()
const jobs = '{job=~"node|pushgateway|blackbox|blackbox_exporter|nightly"}'

const peer = async (program: string, args: (address: string) => string[], path: string): Promise<Peer> => {
  const address = `127.0.0.1:${await freePort()}`
  const made = await startPeer(program, args(address), `http://${address}`, path)
  onTestFinished(() => made.stop())
  return made
}

test.runIf(there)(
  'node_exporter, pushgateway and blackbox exporter through file discovery: the series, labels and up that Prometheus has',
  async () => {
    const dir = tempDir()
    const node = await peer('prometheus-node-exporter', (a) => [`--web.listen-address=${a}`], '/metrics')
    const push = await peer('prometheus-pushgateway', (a) => [`--web.listen-address=${a}`], '/-/ready')
    writeFileSync(
      join(dir, 'blackbox.yml'),
      'modules: {http_2xx: {prober: http, timeout: 500ms}, tcp_connect: {prober: tcp, timeout: 500ms}}\n',
    )
    const blackbox = await peer(
      'prometheus-blackbox-exporter',
      (a) => [`--web.listen-address=${a}`, `--config.file=${dir}/blackbox.yml`],
      '/-/healthy',
    )
    const pushed = await fetch(`${push.url}/metrics/job/nightly/instance/batch-1`, {
      method: 'PUT',
      body: '# TYPE rows_total counter\nrows_total{table="a"} 42\n',
    })
    expect(pushed.status).toBe(200)
    const bare = (p: Peer): string => p.url.replace('http://', '')
    const product = await startProduct({
      files: { 'airboss.yaml': config(bare(blackbox), 'home'), 'targets/x': '' },
    })
    onTestFinished(() => product.dispose())
    const closed = `127.0.0.1:${await freePort()}`
    const target = (at: string, name: string, text: string): void => {
      mkdirSync(join(at, 'targets'), { recursive: true })
      writeFileSync(join(at, 'targets', name), text)
    }
    const both = (name: string, text: string): void => {
      for (const at of [product.dir, dir]) target(at, name, text)
    }
    both('node-1.yml', `- targets: ['${bare(node)}', '${closed}']\n  labels: {rack: r1}\n`)
    both('pushgateway.json', JSON.stringify([{ targets: [bare(push)] }]))
    both(
      'probes.yml',
      `- targets: ['${node.url}', 'http://${closed}']\n- targets: ['${bare(push)}']\n  labels: {module: tcp_connect}\n`,
    )
    writeFileSync(join(dir, 'prometheus.yml'), config(bare(blackbox), 'home'))
    const prometheus = await peer(
      'prometheus',
      (a) => [
        `--config.file=${dir}/prometheus.yml`,
        `--storage.tsdb.path=${dir}/data`,
        `--web.listen-address=${a}`,
      ],
      '/-/ready',
    )
    const ups = async (base: string): Promise<Record<string, string>> =>
      Object.fromEntries(
        (await ask(base, 'up{job!="airboss"}')).map((r) => [
          `${r.metric['job']} ${r.metric['instance']}`,
          r.value[1],
        ]),
      )
    const wanted = {
      [`node ${bare(node)}`]: '1',
      [`node ${closed}`]: '0',
      [`pushgateway ${bare(push)}`]: '1',
      [`blackbox ${node.url}`]: '1',
      [`blackbox http://${closed}`]: '1',
      [`blackbox ${bare(push)}`]: '1',
      [`blackbox_exporter ${bare(blackbox)}`]: '1',
    }
    const same = (a: object, b: object): boolean =>
      JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort())
    for (const base of [prometheus.url, product.http])
      await until(`up at ${base}`, async () => same(await ups(base), wanted), patience)
    // Both scrape at their own time: what comes and goes between is asked for again.
    let theirs: string[] = []
    let ours: string[] = []
    await until(
      'the same series',
      async () => {
        theirs = labelSets(await ask(prometheus.url, jobs))
        ours = labelSets(await ask(product.http, jobs))
        return theirs.length > 500 && JSON.stringify(theirs) === JSON.stringify(ours)
      },
      patience,
    ).catch(() => undefined)
    expect(ours.filter((s) => !theirs.includes(s))).toEqual([])
    expect(theirs.filter((s) => !ours.includes(s))).toEqual([])
    const values = async (query: string): Promise<string[][]> => [
      (await ask(prometheus.url, query)).map((r) => r.value[1]).sort(),
      (await ask(product.http, query)).map((r) => r.value[1]).sort(),
    ]
    expect(await values('rows_total{job="nightly", instance="batch-1", table="a"}')).toEqual([['42'], ['42']])
    expect(await values('probe_success')).toEqual([
      ['0', '1', '1'],
      ['0', '1', '1'],
    ])

    // A target that leaves the file ends at both, with all its series.
    both('node-1.yml', `- targets: ['${closed}']\n`)
    for (const base of [prometheus.url, product.http])
      await until(
        `the end of the node at ${base}`,
        async () => (await ask(base, `{job="node", instance="${bare(node)}"}`)).length === 0,
        patience,
      )
  },
  5 * 60_000,
)

test.runIf(allThere('prometheus-node-exporter'))(
  'node_exporter in protobuf has the series it has in text',
  async () => {
    const node = await peer('prometheus-node-exporter', (a) => [`--web.listen-address=${a}`], '/metrics')
    const address = node.url.replace('http://', '')
    const job = (name: string, protocol: string): string =>
      `- {job_name: ${name}, scrape_interval: 1s, scrape_protocols: [${protocol}], static_configs: [{targets: ['${address}']}]}\n`
    const s = await startScraping(job('text', 'PrometheusText0.0.4') + job('proto', 'PrometheusProto'))
    // The text has 1 where protobuf's own rule for numbers in labels says 1.0.
    const of = (name: string): string[] =>
      Object.keys(s.sink.last())
        .filter((series) => series.includes(`job="${name}"`) && !series.startsWith('scrape_'))
        .map((series) =>
          series
            .replace(`job="${name}"`, '')
            .replace(/(le|quantile)="([^"]+)"/, (_, label: string, n: string) => `${label}=${Number(n)}`),
        )
        .sort()
    await until(
      'the same series',
      () => of('proto').length > 200 && JSON.stringify(of('proto')) === JSON.stringify(of('text')),
      patience,
    ).catch(() => undefined)
    expect(of('proto').filter((series) => !of('text').includes(series))).toEqual([])
    expect(of('text').filter((series) => !of('proto').includes(series))).toEqual([])
    expect(of('proto').length).toBeGreaterThan(200)
  },
  patience * 2,
)
