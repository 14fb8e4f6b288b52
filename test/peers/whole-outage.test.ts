// A real Prometheus goes on writing while Airboss is killed and comes back: nothing is lost, nothing stands twice, and what ended has ended.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { allThere, freePort, type Peer, startPeer } from '../kit/debian.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

interface Series {
  readonly metric: Readonly<Record<string, string>>
  readonly values: readonly (readonly [number, string])[]
}

describe.skipIf(!allThere('prometheus'))('a Prometheus that goes on writing', () => {
  const dir = mkdtempSync(join(tmpdir(), 'airboss-outage-'))
  let target: Server
  let scrapes = 0
  let listen = ''
  let product: Product
  let prometheus: Peer

  beforeAll(async () => {
    target = createServer((_, response) => {
      scrapes++
      const lines = Array.from({ length: 50 }, (_, i) => `flights_total{plane="${i}"} ${scrapes * (i + 1)}`)
      response
        .writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
        .end(`# TYPE flights_total counter\n${lines.join('\n')}\n`)
    })
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
    listen = `127.0.0.1:${await freePort()}`
    product = await startProduct({
      files: { 'airboss.yaml': 'host: { enabled: false }\nrule_files: []\n' },
      args: ['--listen', listen],
    })
    const config = join(dir, 'prometheus.yml')
    writeFileSync(
      config,
      `global: { scrape_interval: 200ms, scrape_timeout: 200ms }
remote_write:
  - url: 'http://${listen}/api/v1/write'
    queue_config: { batch_send_deadline: 100ms, min_backoff: 30ms, max_backoff: 200ms }
scrape_configs: [{ job_name: air, static_configs: [{ targets: ['127.0.0.1:${(target.address() as AddressInfo).port}'] }] }]
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
    await prometheus?.stop()
    await product?.dispose()
    if (product) rmSync(product.dir, { recursive: true, force: true })
    target?.close()
    target?.closeAllConnections()
    rmSync(dir, { recursive: true, force: true })
  })

  const ask = async (base: string, query: string, time: number): Promise<Series[]> => {
    const answer = await fetch(`${base}/api/v1/query?${new URLSearchParams({ query, time: String(time) })}`)
    const { status, data, error } = (await answer.json()) as {
      status: string
      error?: string
      data: { result: Series[] }
    }
    if (status !== 'success') throw new Error(error)
    return data.result
      .map((r) => ({ ...r, metric: Object.fromEntries(Object.entries(r.metric).sort()) }))
      .sort((a, b) => (JSON.stringify(a.metric) < JSON.stringify(b.metric) ? -1 : 1))
  }
  const lastAt = async (base: string): Promise<number> => {
    const [row] = await ask(base, 'max(timestamp(flights_total))', Date.now() / 1000)
    return Number((row as unknown as { value: [number, string] } | undefined)?.value[1] ?? 0)
  }
  const caughtUp = async (): Promise<number> => {
    const at = await until('a scrape', () => lastAt(prometheus.url), 15_000)
    await until('Airboss to have it', async () => (await lastAt(product.http)) >= at + 1, 30_000)
    // Prometheus sends in several shards: of the newest second one may be behind another.
    return at
  }
  /** Every raw sample of the last minutes on both sides. */
  const samples = async (at: number): Promise<[Series[], Series[]]> =>
    Promise.all([ask(prometheus.url, '{job="air"}[5m]', at), ask(product.http, '{job="air"}[5m]', at)])

  it.each(['all of it', 'the main process'])(
    'loses nothing and doubles nothing when %s is killed and started again',
    { timeout: 90_000 },
    async (whom) => {
      await caughtUp()
      product.signal('SIGKILL', whom === 'all of it' ? 'all' : 'main')
      const before = scrapes
      await until('scrapes while it is away', () => scrapes >= before + 5, 10_000)
      await until('the old processes to be gone', () => product.pids().length === 0, 10_000)
      product = await startProduct({ dir: product.dir, args: ['--listen', listen] })
      const at = await caughtUp()
      const [theirs, ours] = await samples(at)
      expect(theirs.length).toBeGreaterThan(50)
      expect(theirs[0]!.values.length).toBeGreaterThan(5)
      expect(ours).toEqual(theirs)
    },
  )

  it('has the same in ClickHouse once it is stored, each sample once', async () => {
    const at = await caughtUp()
    const [theirs] = await samples(at)
    const wanted = theirs.reduce((n, s) => n + s.values.length, 0)
    const count = async (): Promise<number> => {
      const sql = `SELECT count(), uniqExact(id, timestamp) FROM samples WHERE id IN (SELECT id FROM series WHERE labels['job'] = 'air') AND toUnixTimestamp64Milli(timestamp) <= ${Math.round(at * 1000)}`
      const answer = await fetch(`${product.clickhouse}/?default_format=TSV`, { method: 'POST', body: sql })
      const text = await answer.text()
      if (!answer.ok) throw new Error(text)
      const [rows, unique] = text.trim().split('\t').map(Number)
      expect(rows).toBe(unique)
      return rows!
    }
    await until('every row', async () => (await count()) === wanted, 15_000)
  })

  it('ends a series at once when Prometheus says that it is gone', async () => {
    await caughtUp()
    target.close()
    target.closeAllConnections()
    await until('up to be 0', async () => (await product.value('up{job="air"}')) === 0, 10_000)
    await until('the series to end', async () => (await product.query('flights_total')).length === 0, 10_000)
    // Its past is still there.
    expect((await product.query('last_over_time(flights_total[5m])')).length).toBe(50)
  })
})
