// Targets come and go as files, URLs and DNS records say, over real files, HTTP and DNS packets.
import { createSocket } from 'node:dgram'
import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { candidates, createDnsLookup, searchOf } from '../../src/receive/scrape/discovery/dns-lookup.ts'
import { metricsPage, type Scraping, serve, startScraping } from '../kit/scraping.ts'
import { tempDir } from '../kit/temp-dir.ts'
import { until } from '../kit/until.ts'

const patience = 20_000
const pools = ({ scraper }: Scraping): string[] =>
  scraper
    .targets()
    .map((t) => `${t.scrapePool} ${t.labels['instance']}${t.labels['team'] ? ` ${t.labels['team']}` : ''}`)
    .sort()
const shows = (s: Scraping, ...wanted: string[]): Promise<unknown> =>
  until(
    `targets ${wanted.join(', ')} (there are ${pools(s).join(', ')})`,
    () => JSON.stringify(pools(s)) === JSON.stringify(wanted.sort()),
    patience,
  )

test('files: JSON and YAML by pattern, changed, broken, renamed into place, gone; a vanished target ends its series', async () => {
  const address = await serve(metricsPage(() => 'm 1\n'))
  const dir = tempDir()
  mkdirSync(join(dir, 'targets'))
  const file = (name: string, text: string): void => writeFileSync(join(dir, 'targets', name), text)
  file('a.json', JSON.stringify([{ targets: [address, 'localhost:1'], labels: { team: 'shop' } }]))
  const s = await startScraping(
    `- job_name: files
  file_sd_configs: [{files: ['targets/*.json', 'targets/*.yml'], refresh_interval: 1s}]
  relabel_configs:
    - {source_labels: [__meta_filepath], regex: '.*/(.*)', target_label: file}
    - {source_labels: [__address__], regex: '.*:9', action: drop}`,
    { base: dir },
  )
  // What is near is read before the scraper says it has started.
  expect(pools(s)).toEqual([`files ${address} shop`, 'files localhost:1 shop'])
  const series = `m{file="a.json", instance="${address}", job="files", team="shop"}`
  await until('a scrape', () => s.last(series) === 1, patience)
  expect(s.scraper.targets()[0]!.discoveredLabels).toMatchObject({
    __meta_filepath: join(dir, 'targets/a.json'),
    __address__: address,
    team: 'shop',
  })

  file('b.yml', '- targets: [localhost:2, localhost:9]\n')
  await shows(s, `files ${address} shop`, 'files localhost:1 shop', 'files localhost:2')
  expect(s.scraper.dropped()).toMatchObject({
    kept: [{ scrapePool: 'files', discoveredLabels: { __address__: 'localhost:9', job: 'files' } }],
    counts: { files: 1 },
  })
  expect(s.metrics.values.get('airboss_scrape_targets{job="files",state="active"}')).toBe(3)

  file('a.json', '[{"targets": [')
  file('b.yml', '- targets: [localhost:3]\n')
  await shows(s, `files ${address} shop`, 'files localhost:1 shop', 'files localhost:3')
  expect(s.metrics.values.get('airboss_sd_failing_sources{mechanism="file"}')).toBe(1)
  expect(s.metrics.values.get('airboss_sd_failures_total{mechanism="file"}')).toBeGreaterThan(0)

  writeFileSync(join(dir, 'new'), '[{"targets": ["localhost:1"]}]')
  renameSync(join(dir, 'new'), join(dir, 'targets/a.json'))
  await shows(s, 'files localhost:1', 'files localhost:3')
  expect(s.metrics.values.get('airboss_sd_failing_sources{mechanism="file"}')).toBe(0)
  await until('the end of its series', () => s.last(series) === 'stale', patience)

  rmSync(join(dir, 'targets/b.yml'))
  await shows(s, 'files localhost:1')
})

test('two jobs share one discovery; a reload that leaves it as it is keeps targets and their series', async () => {
  let asked = 0
  const address = await serve(metricsPage(() => 'm 1\n'))
  const sd = await serve((_, response) => {
    asked++
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify([{ targets: [address] }]))
  })
  const both = `
- {job_name: a, http_sd_configs: [{url: 'http://${sd}/x', refresh_interval: 1h}]}
- {job_name: b, http_sd_configs: [{url: 'http://${sd}/x', refresh_interval: 1h}], metrics_path: /b}`
  const s = await startScraping(both)
  await until('scrapes', () => s.last(`m{instance="${address}", job="b"}`) === 1, patience)
  expect(asked).toBe(1)
  await s.apply(`${both}\n- {job_name: c, static_configs: [{targets: ['localhost:1']}]}`)
  expect(pools(s)).toEqual([`a ${address}`, `b ${address}`, 'c localhost:1'])
  expect(asked).toBe(1)
  // The job scrapes otherwise now: its loop is a new one, its series go on without an end between.
  await s.apply(both.replace('metrics_path: /b', 'metrics_path: /b, scrape_timeout: 100ms'))
  const seen = s.sink.batches.length
  await until('ten more batches', () => s.sink.batches.length > seen + 10, patience)
  expect(s.sink.samples().filter((x) => x.series.startsWith('m{') && x.value === 'stale')).toEqual([])
})

test('HTTP: labels, credentials, refresh; whatever fails keeps the old targets', async () => {
  let answer: [status: number, type: string, body: string] = [
    200,
    'application/json; charset=utf-8',
    JSON.stringify([{ targets: ['localhost:1'], labels: { team: 'a' } }, { targets: ['localhost:2'] }]),
  ]
  const headers: Record<string, string | string[] | undefined>[] = []
  const sd = await serve((request, response) => {
    headers.push(request.headers)
    response.statusCode = answer[0]
    response.setHeader('content-type', answer[1])
    response.end(answer[2])
  })
  const s = await startScraping(
    `- job_name: web
  http_sd_configs: [{url: 'http://me:hidden@${sd}/targets', refresh_interval: 100ms, authorization: {credentials: sesame}}]`,
  )
  await shows(s, 'web localhost:1 a', 'web localhost:2')
  expect(headers[0]).toMatchObject({
    authorization: 'Bearer sesame',
    accept: 'application/json',
    'x-prometheus-refresh-interval-seconds': '0.1',
  })
  expect(s.scraper.targets()[0]!.discoveredLabels['__meta_url']).toBe(`http://<secret>@${sd}/targets`)
  const failures = (): number => s.metrics.values.get('airboss_sd_failures_total{mechanism="http"}') ?? 0
  for (const bad of [
    [500, 'application/json', '[]'],
    [200, 'text/html', '[]'],
    [200, 'application/json', '[{"targets": 7}]'],
  ] as const) {
    answer = [...bad]
    const before = failures()
    await until(`a failure by ${bad.join(' ')}`, () => failures() > before + 1, patience)
    expect(pools(s)).toEqual(['web localhost:1 a', 'web localhost:2'])
  }
  answer = [200, 'application/json', JSON.stringify([{ targets: ['localhost:3'] }])]
  await shows(s, 'web localhost:3')
  answer = [200, 'application/json', '[]']
  await shows(s)
})

/** A name server over UDP that answers from a table of `TYPE name` to record data; null fails, a missing name is NXDOMAIN. */
const nameServer = async (table: Map<string, Buffer[] | null>): Promise<string> => {
  const socket = createSocket('udp4')
  const types: Record<number, string> = { 1: 'A', 2: 'NS', 15: 'MX', 28: 'AAAA', 33: 'SRV' }
  socket.on('message', (query, from) => {
    const parts: string[] = []
    let at = 12
    for (; query[at] !== 0; at += 1 + query[at]!)
      parts.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
    const type = query.readUInt16BE(at + 1)
    const found = table.get(`${types[type]} ${parts.join('.').toLowerCase()}`)
    const records = (found ?? []).map((data) => {
      const head = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 1, 0, 0])
      head.writeUInt16BE(data.length, 10)
      return Buffer.concat([head, data])
    })
    const reply = Buffer.concat([query.subarray(0, at + 5), ...records])
    reply.writeUInt16BE(0x8180 | (found === null ? 2 : found === undefined ? 3 : 0), 2)
    reply.writeUInt16BE(records.length, 6)
    reply.writeUInt32BE(0, 8)
    socket.send(reply, from.port, from.address)
  })
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  onTestFinished(() => void socket.close())
  return `127.0.0.1:${(socket.address() as AddressInfo).port}`
}
const dnsName = (name: string): Buffer =>
  Buffer.concat([
    ...name.split('.').map((part) => Buffer.concat([Buffer.from([part.length]), Buffer.from(part)])),
    Buffer.from([0]),
  ])
const word = (n: number): Buffer => Buffer.from([n >> 8, n & 255])

test('DNS: SRV, A, AAAA, MX, NS with their meta labels; a failing server keeps the old targets, an empty answer removes them', async () => {
  const records = new Map<string, Buffer[] | null>([
    ['SRV _web._tcp.test', [Buffer.concat([word(0), word(0), word(8080), dnsName('one.test')])]],
    ['A a.test', [Buffer.from([10, 0, 0, 1]), Buffer.from([10, 0, 0, 2])]],
    ['AAAA six.test', [Buffer.concat([Buffer.alloc(15), Buffer.from([1])])]],
    ['MX mail.test', [Buffer.concat([word(10), dnsName('mx.test')])]],
    ['NS ns.test', [dnsName('ns1.test')]],
    // Found by the search list alone.
    ['A short.search.test', [Buffer.from([10, 0, 0, 9])]],
  ])
  const server = await nameServer(records)
  const resolvConf = join(tempDir(), 'resolv.conf')
  writeFileSync(resolvConf, 'search search.test\noptions ndots:1\n')
  const job = (name: string, type: string, port = 0): string =>
    `- {job_name: ${type}, dns_sd_configs: [{names: ['${name}'], type: ${type}, refresh_interval: 100ms${port ? `, port: ${port}` : ''}}]}\n`
  const s = await startScraping(
    job('_web._tcp.test', 'SRV') +
      job('six.test', 'AAAA', 80) +
      job('mail.test', 'mx', 25) +
      job('ns.test', 'NS', 53) +
      `- {job_name: A, dns_sd_configs: [{names: [a.test, short], type: A, port: 81, refresh_interval: 100ms}]}`,
    { deps: { lookup: createDnsLookup({ servers: [server], resolvConf }) } },
  )
  await shows(
    s,
    'A 10.0.0.1:81',
    'A 10.0.0.2:81',
    'A 10.0.0.9:81',
    'AAAA [::1]:80',
    'NS ns1.test:53',
    'SRV one.test:8080',
    'mx mx.test:25',
  )
  const meta = (job: string): Record<string, string> => {
    const found = s.scraper.targets().find((t) => t.scrapePool === job)!.discoveredLabels
    return Object.fromEntries(Object.entries(found).filter(([k]) => k.startsWith('__meta_')))
  }
  expect(meta('SRV')).toEqual({
    __meta_dns_name: '_web._tcp.test',
    __meta_dns_srv_record_target: 'one.test.',
    __meta_dns_srv_record_port: '8080',
  })
  expect(meta('mx')).toEqual({ __meta_dns_name: 'mail.test', __meta_dns_mx_record_target: 'mx.test.' })
  expect(meta('NS')).toEqual({ __meta_dns_name: 'ns.test', __meta_dns_ns_record_target: 'ns1.test.' })
  records.set('A a.test', null)
  records.set('SRV _web._tcp.test', [])
  await until(
    'no SRV target',
    () =>
      !pools(s).some((p) => p.startsWith('SRV')) &&
      (s.metrics.values.get('airboss_sd_failing_sources{mechanism="dns"}') ?? 0) === 1,
    patience,
  )
  expect(pools(s).filter((p) => p.startsWith('A '))).toEqual([
    'A 10.0.0.1:81',
    'A 10.0.0.2:81',
    'A 10.0.0.9:81',
  ])
})

test('the search list of resolv.conf', () => {
  const search = searchOf('# x\nnameserver 1.2.3.4\nsearch a.b. c.d\noptions rotate ndots:2\n')
  expect(search).toEqual({ domains: ['a.b.', 'c.d'], dots: 2 })
  expect(candidates('x.y', search)).toEqual(['x.y.a.b', 'x.y.c.d', 'x.y'])
  expect(candidates('x.y.z', search)).toEqual(['x.y.z', 'x.y.z.a.b', 'x.y.z.c.d'])
  expect(candidates('x.', search)).toEqual(['x.'])
})

test('limits of targets and of what is kept of dropped ones; a job that is gone ends', async () => {
  const address = await serve(metricsPage(() => 'm 1\n'))
  const yaml = `- job_name: many
  target_limit: 1
  keep_dropped_targets: 1
  static_configs: [{targets: ['${address}', 'localhost:1', 'localhost:8', 'localhost:9', 'a/b']}]
  relabel_configs: [{source_labels: [__address__], regex: 'localhost:[89]', action: drop}]`
  const s = await startScraping(yaml)
  await until('both down', () => s.scraper.targets().every((t) => t.health === 'down'), patience)
  expect(s.scraper.targets().map((t) => t.lastError)).toEqual(
    Array(2).fill(expect.stringContaining('target_limit 1')),
  )
  expect(s.last(`up{instance="${address}", job="many"}`)).toBe(0)
  expect(s.scraper.dropped()).toMatchObject({ kept: [{ scrapePool: 'many' }], counts: { many: 2 } })
  await s.apply(yaml.replace('target_limit: 1', 'target_limit: 2'))
  await until('a scrape', () => s.last(`m{instance="${address}", job="many"}`) === 1, patience)
})
