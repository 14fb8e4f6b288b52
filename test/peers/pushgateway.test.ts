// The same pushes to a real Pushgateway and to us: what a real Prometheus scrapes from it (honor_labels) is what we stored.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Counter, Gauge, Histogram, Pushgateway, Registry, Summary } from 'prom-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { allThere, freePort, type Peer, startPeer } from '../kit/debian.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

interface Row {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

describe.skipIf(!allThere('prometheus-pushgateway', 'prometheus'))('Pushgateway', () => {
  const dir = mkdtempSync(join(tmpdir(), 'push-'))
  let gateway: Peer
  let prometheus: Peer
  let product: Product
  beforeAll(async () => {
    const at = `127.0.0.1:${await freePort()}`
    gateway = await startPeer(
      'prometheus-pushgateway',
      [`--web.listen-address=${at}`],
      `http://${at}`,
      '/-/ready',
    )
    writeFileSync(
      join(dir, 'prometheus.yml'),
      `scrape_configs: [{ job_name: push, honor_labels: true, scrape_interval: 1s, static_configs: [{ targets: ['${at}'] }] }]`,
    )
    const web = `127.0.0.1:${await freePort()}`
    prometheus = await startPeer(
      'prometheus',
      [
        `--config.file=${dir}/prometheus.yml`,
        `--storage.tsdb.path=${dir}/data`,
        `--web.listen-address=${web}`,
      ],
      `http://${web}`,
      '/-/ready',
    )
    product = await startProduct({
      files: { 'airboss.yaml': 'host: { enabled: false }\nrule_files: []\npushgateway: { interval: 1s }\n' },
    })
  })
  afterAll(async () => {
    await product?.dispose()
    await prometheus?.stop()
    await gateway?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  const rows = (list: readonly Row[]): Record<string, string> =>
    Object.fromEntries(
      list
        .filter(({ metric }) => !/^(push_|pushgateway_|go_|process_|scrape_|up$)/.test(metric['__name__']!))
        .map(({ metric, value }) => [JSON.stringify(Object.entries(metric).sort()), value[1]]),
    )
  const expr = '{job=~"t-.*"}'
  const theirs = async (): Promise<Record<string, string>> => {
    const answer = await fetch(`${prometheus.url}/api/v1/query?query=${encodeURIComponent(expr)}`)
    return rows(((await answer.json()) as { data: { result: Row[] } }).data.result)
  }
  const ours = async () => rows(await product.query(expr))
  const same = async (count: number): Promise<void> => {
    let said = ''
    await until(
      `${count} equal series`,
      async () => {
        const [a, b] = [await theirs(), await ours()]
        said = JSON.stringify({ theirs: a, ours: b })
        return (
          Object.keys(b).length === count &&
          JSON.stringify(Object.entries(a).sort()) === JSON.stringify(Object.entries(b).sort())
        )
      },
      20_000,
    ).catch((error: unknown) => {
      throw new Error(`${(error as Error).message}: ${said}`)
    })
  }
  const both = async (method: string, path: string, body?: string): Promise<[number, number]> => {
    const init = { method, ...(body === undefined ? {} : { body }) }
    const answers = await Promise.all([gateway.url, product.http].map((url) => fetch(url + path, init)))
    return answers.map((a) => a.status) as [number, number]
  }
  interface Shown {
    readonly labels: Record<string, string>
    readonly last_push_successful: boolean
  }
  /** Times, helps of the two time metrics and the empty instance label apart. */
  const listed = async (url: string) => {
    const { data } = (await (await fetch(`${url}/api/v1/metrics`)).json()) as { data: Shown[] }
    const plain = JSON.stringify(data, (key, value: unknown) => {
      if (key === 'time_stamp' || key.startsWith('push_')) return undefined
      if (key === 'instance' && value === '') return undefined
      if (value !== null && typeof value === 'object' && !Array.isArray(value))
        return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      return value
    })
    const text = (g: Shown): string => JSON.stringify(g.labels)
    return (JSON.parse(plain) as Shown[]).sort((a, b) => (text(a) < text(b) ? -1 : 1))
  }

  test('prom-client pushes, adds and deletes', async () => {
    const registry = new Registry()
    const counter = new Counter({ name: 't_total', help: 'c', labelNames: ['kind'], registers: [registry] })
    const gauge = new Gauge({ name: 't_gauge', help: 'g', registers: [registry] })
    const histogram = new Histogram({
      name: 't_seconds',
      help: 'h',
      buckets: [0.1, 1, 10],
      registers: [registry],
    })
    const summary = new Summary({ name: 't_size', help: 's', percentiles: [0.5, 0.9], registers: [registry] })
    counter.inc({ kind: 'a b"c' }, 3)
    gauge.set(-0.25)
    for (const v of [0.05, 0.5, 5, 50]) {
      histogram.observe(v)
      summary.observe(v)
    }
    const clients = [gateway.url, product.http].map((url) => new Pushgateway(url, {}, registry))
    for (const client of clients) {
      await client.push({ jobName: 't-a', groupings: { instance: 'i', zone: 'é' } })
      await client.pushAdd({ jobName: 't-b' })
    }
    await same(24)
    expect(await listed(product.http)).toEqual(await listed(gateway.url))
    registry.removeSingleMetric('t_size')
    counter.inc({ kind: 'a b"c' })
    for (const client of clients) {
      await client.push({ jobName: 't-a', groupings: { instance: 'i', zone: 'é' } })
      await client.pushAdd({ jobName: 't-b' })
    }
    // The one lost its summary, the other keeps it.
    await same(20)
    for (const client of clients) await client.delete({ jobName: 't-b' })
    await same(8)
  })

  test('answers, base64, refusals', async () => {
    const all: [string, string, string?][] = [
      ['PUT', '/metrics/job/t-c/path@base64/L3Zhci90bXA', 'x{job="mine",instance="own"} 1\n'],
      ['POST', '/metrics/job@base64/dC1k/e@base64/=', '# TYPE y counter\ny 2\n'],
      ['PUT', '/metrics/job/t-e', 'x 1 1700000000000\n'],
      ['PUT', '/metrics/job/t-e', 'x{a="1"} 1\nx{a="1"} 2\n'],
      ['PUT', '/metrics/job/t-e', '# TYPE y gauge\ny 2\n'],
      ['PUT', '/metrics/job/t-e', 'x 1'],
      ['PUT', '/metrics/job/t-e', 'x y\n'],
      ['PUT', '/metrics/job/t-e/odd', 'x 1\n'],
      ['PUT', '/metrics/job/t-e/__a/b', 'x 1\n'],
      ['PUT', '/metrics/job@base64/dC1k/f/1', ''],
      ['DELETE', '/metrics/job/t-none'],
    ]
    for (const [method, path, body] of all) {
      const [a, b] = await both(method, path, body)
      expect([path, body, b]).toEqual([path, body, a])
    }
    const failed = async (url: string) => {
      const { data } = (await (await fetch(`${url}/api/v1/metrics`)).json()) as { data: Shown[] }
      return data.filter((g) => !g.last_push_successful).map((g) => g.labels)
    }
    expect(await failed(product.http)).toEqual(await failed(gateway.url))
    await same(10)
  })

  test('what was pushed is there after a restart', async () => {
    const before = await ours()
    product.signal('SIGKILL', 'all')
    const again = await startProduct({ dir: product.dir })
    try {
      await until(
        'the same series',
        async () => {
          const now = rows(await again.query(expr))
          return JSON.stringify(Object.entries(now).sort()) === JSON.stringify(Object.entries(before).sort())
        },
        20_000,
      )
      expect((await fetch(`${again.http}/api/v1/admin/wipe`, { method: 'PUT' })).status).toBe(202)
      expect(rows(await again.query(expr))).toEqual({})
      expect(await (await fetch(`${again.http}/api/v1/metrics`)).json()).toEqual({
        status: 'success',
        data: [],
      })
    } finally {
      await again.dispose()
    }
  })
})
