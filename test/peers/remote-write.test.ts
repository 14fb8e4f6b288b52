// A real Prometheus remote-writes to our receiver: what it scrapes arrives, with metadata, and with a stale marker when the target goes.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { type Batch, isStaleAt, wordsOf } from '../../src/model/batch.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { printLabels } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createRemoteWrite } from '../../src/receive/remote-write/receiver.ts'
import { fakeMetrics } from '../kit/metrics.ts'

const installed = spawnSync('prometheus', ['--version']).status === 0
const table = new SeriesTable(10_000)
const batches: Batch[] = []
const statuses: number[] = []
const handler = createRemoteWrite({
  table,
  sink: { push: async (batch) => void batches.push(batch) },
  limits: defaultAdmission,
  clock: systemClock,
  log: silentLogger(),
  metrics: fakeMetrics(),
})

const listen = async (server: Server): Promise<number> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

describe.skipIf(!installed)('a real Prometheus', () => {
  const dir = mkdtempSync(join(tmpdir(), 'airboss-peer-'))
  let receiver: Server
  let target: Server
  let prometheus: ChildProcess
  let passengers = true

  beforeAll(async () => {
    receiver = createServer((request, response) => {
      const parts: Buffer[] = []
      request.on('data', (part: Buffer) => parts.push(part))
      request.on('end', () => {
        void handler
          .handle(
            {
              method: request.method ?? '',
              path: request.url ?? '',
              query: new URLSearchParams(),
              headers: request.headers as Record<string, string>,
              body: Buffer.concat(parts),
            },
            new AbortController().signal,
          )
          .then((answer) => {
            statuses.push(answer.status)
            response.writeHead(answer.status, { ...answer.headers }).end(answer.body)
          })
      })
    })
    target = createServer((_, response) =>
      response
        .writeHead(200, { 'content-type': 'text/plain; version=0.0.4' })
        .end(
          `# HELP flights_total Flights so far.\n# TYPE flights_total counter\nflights_total{to="köln"} 7\n${passengers ? 'passengers 3\n' : ''}`,
        ),
    )
    const config = join(dir, 'prometheus.yml')
    const write = `http://127.0.0.1:${await listen(receiver)}/api/v1/write`
    writeFileSync(
      config,
      `global: { scrape_interval: 300ms }
remote_write: [{ url: '${write}', metadata_config: { send_interval: 1s }, queue_config: { batch_send_deadline: 200ms } }]
scrape_configs: [{ job_name: air, static_configs: [{ targets: ['127.0.0.1:${await listen(target)}'] }] }]
`,
    )
    prometheus = spawn(
      'prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(dir, 'data')}`,
        '--web.listen-address=127.0.0.1:0',
      ],
      { stdio: 'ignore' },
    )
  })
  afterAll(async () => {
    const gone = new Promise((resolve) => prometheus.once('exit', resolve))
    prometheus.kill('SIGKILL')
    await gone
    for (const server of [receiver, target]) {
      server.close()
      server.closeAllConnections()
    }
    rmSync(dir, { recursive: true, force: true })
  })

  const last = (start: string): { value: number; stale: boolean; series: string } | null => {
    for (const b of batches.toReversed())
      for (let i = b.ref.length - 1; i >= 0; i--) {
        const series = printLabels(table.labels(b.ref[i]!))
        if (series.startsWith(start))
          return { series, value: b.value[i]!, stale: isStaleAt(wordsOf(b.value), i) }
      }
    return null
  }

  it('writes what it scrapes, metadata, and a stale marker for what is gone', async () => {
    await expect
      .poll(() => last('flights_total'), { timeout: 20_000, interval: 100 })
      .toMatchObject({
        value: 7,
        stale: false,
        series: expect.stringMatching(/^flights_total\{instance="127.0.0.1:\d+", job="air", to="köln"\}$/),
      })
    await expect.poll(() => last('passengers')?.value, { timeout: 5000 }).toBe(3)
    await expect
      .poll(() => batches.flatMap((b) => [...b.metadata]).find((m) => m.metric === 'flights_total'), {
        timeout: 10_000,
      })
      .toEqual({ metric: 'flights_total', type: 'counter', help: 'Flights so far.', unit: '' })
    passengers = false
    await expect.poll(() => last('passengers')?.stale, { timeout: 10_000, interval: 100 }).toBe(true)
    expect(last('up')).toMatchObject({ value: 1 })
    expect(new Set(statuses)).toEqual(new Set([204]))
  })
})
