// Native histograms of real senders: the OpenTelemetry SDK's exponential aggregation, and a Prometheus that scrapes and remote-writes them.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtoExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  AggregationType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { bytesField, varintField } from '../../src/lib/protobuf.ts'
import { allThere, freePort, type Peer, startPeer } from '../kit/debian.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

let product: Product
beforeAll(async () => {
  product = await startProduct({ files: { 'airboss.yaml': 'host: { enabled: false }\nrule_files: []\n' } })
})
afterAll(() => product?.dispose())

const gzip = 'gzip' as never
const exporters: readonly (readonly [string, (t: never) => PushMetricExporter])[] = [
  ['json', (t) => new JsonExporter({ url: `${product.otlpHttp}/v1/metrics`, temporalityPreference: t })],
  [
    'proto',
    (t) =>
      new ProtoExporter({
        url: `${product.otlpHttp}/v1/metrics`,
        compression: gzip,
        temporalityPreference: t,
      }),
  ],
  ['grpc', (t) => new GrpcExporter({ url: `http://${product.otlpGrpc}`, temporalityPreference: t })],
]

/** What was observed: from fractions of a millisecond to minutes, and none at all. */
const observed = Array.from({ length: 400 }, (_, i) => (i % 40 === 0 ? 0 : 0.0002 * 1.035 ** i))

describe.each(exporters)('the SDK’s exponential histograms over %s', (protocol, make) => {
  it.each([
    ['cumulative', AggregationTemporality.CUMULATIVE],
    ['delta', AggregationTemporality.DELTA],
  ])('%s: counts, sums and quantiles are those of what was observed', async (kind, temporality) => {
    const service = `${protocol}-${kind}`
    const exporter = make(temporality as never)
    const selected: PushMetricExporter = Object.assign(exporter, {
      selectAggregation: () => ({ type: AggregationType.EXPONENTIAL_HISTOGRAM }) as const,
    })
    const provider = new MeterProvider({
      resource: resourceFromAttributes({ 'service.name': service }),
      readers: [new PeriodicExportingMetricReader({ exporter: selected, exportIntervalMillis: 3_600_000 })],
    })
    const histogram = provider.getMeter('agent').createHistogram('run.time', { unit: 's' })
    // In two pieces, so that delta points must be added up, at two scales.
    for (const value of observed.slice(0, 100)) histogram.record(value)
    await provider.forceFlush()
    for (const value of observed.slice(100)) histogram.record(value)
    await provider.shutdown()
    const metric = `run_time_seconds{job="${service}"}`
    expect(await product.value(`histogram_count(${metric})`)).toBe(400)
    const sum = observed.reduce((a, b) => a + b, 0)
    expect(await product.value(`histogram_sum(${metric})`)).toBeCloseTo(sum, 6)
    const sorted = observed.toSorted((a, b) => a - b)
    for (const q of [0.1, 0.5, 0.9, 0.99]) {
      const exact = sorted[Math.ceil(q * sorted.length) - 1]!
      const got = (await product.value(`histogram_quantile(${q}, ${metric})`))!
      // A bucket of the coarsest scale that 160 buckets can have here is 2^(1/8) wide.
      expect(got / exact, `quantile ${q}: ${got} for ${exact}`).toBeGreaterThan(2 ** -0.25)
      expect(got / exact, `quantile ${q}: ${got} for ${exact}`).toBeLessThan(2 ** 0.25)
    }
    const answer = (await (
      await product.fetch(`/api/v1/query?query=${encodeURIComponent(metric)}`)
    ).json()) as {
      data: {
        result: { histogram: [number, { count: string; buckets: [number, string, string, string][] }] }[]
      }
    }
    const [, shown] = answer.data.result[0]!.histogram
    expect(shown.count).toBe('400')
    expect(shown.buckets.reduce((n, [, , , count]) => n + Number(count), 0)).toBe(400)
  })
})

const there = allThere('prometheus')

/** A target that speaks protobuf, as Prometheus's own client libraries do for native histograms. */
const signed = (field: number, value: number): Buffer =>
  varintField(field, value < 0 ? -value * 2 - 1 : value * 2)
const double = (field: number, value: number): Buffer => {
  const out = Buffer.alloc(9)
  out[0] = field * 8 + 1
  out.writeDoubleLE(value, 1)
  return out
}
const family = (n: number): Buffer => {
  // Counts of buckets -1, 0, 1 and 5 of schema 1, written as differences.
  const counts = [n, 2 * n, n, 3 * n]
  const deltas = counts.map((c, i) => c - (counts[i - 1] ?? 0))
  const zigzag = deltas.map((d) => (d < 0 ? -d * 2 - 1 : d * 2))
  const packed = Buffer.concat(zigzag.map((z) => Buffer.from(z < 128 ? [z] : [(z & 127) | 128, z >> 7])))
  const histogram = Buffer.concat([
    varintField(1, 8 * n),
    double(2, 12.5 * n),
    signed(5, 1),
    double(6, 0.001),
    varintField(7, n),
    bytesField(12, Buffer.concat([signed(1, -1), varintField(2, 3)])),
    bytesField(12, Buffer.concat([signed(1, 3), varintField(2, 1)])),
    bytesField(13, packed),
  ])
  const message = Buffer.concat([
    bytesField(1, 'lat_seconds'),
    bytesField(2, 'Latency.'),
    varintField(3, 4),
    bytesField(4, bytesField(7, histogram)),
  ])
  return Buffer.concat([
    Buffer.from(
      message.length < 128 ? [message.length] : [(message.length & 127) | 128, message.length >> 7],
    ),
    message,
  ])
}

describe.skipIf(!there)('a Prometheus that scrapes native histograms and remote-writes them', () => {
  const dir = mkdtempSync(join(tmpdir(), 'airboss-native-'))
  let target: Server
  let prometheus: Peer
  let base = ''
  let scraped = 0

  beforeAll(async () => {
    target = createServer((_, response) => {
      scraped++
      response
        .writeHead(200, {
          'content-type':
            'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
        })
        .end(family(Math.min(scraped, 30)))
    })
    await new Promise<void>((resolve) => target.listen(0, '127.0.0.1', resolve))
    const config = join(dir, 'prometheus.yml')
    writeFileSync(
      config,
      `global: { scrape_interval: 1s }
scrape_configs: [{ job_name: app, static_configs: [{ targets: ['127.0.0.1:${(target.address() as AddressInfo).port}'] }] }]
remote_write: [{ url: '${product.http}/api/v1/write', send_native_histograms: true, queue_config: { batch_send_deadline: 200ms } }]
`,
    )
    const at = `127.0.0.1:${await freePort()}`
    base = `http://${at}`
    prometheus = await startPeer(
      'prometheus',
      [
        `--config.file=${config}`,
        `--storage.tsdb.path=${join(dir, 'data')}`,
        `--web.listen-address=${at}`,
        '--enable-feature=native-histograms',
      ],
      base,
      '/-/ready',
    )
  })
  afterAll(async () => {
    await prometheus?.stop()
    target?.close()
    rmSync(dir, { recursive: true, force: true })
  })

  it('both answer the same, in the same JSON', { timeout: 120_000 }, async () => {
    await until('a dozen scrapes', () => scraped > 12, 60_000)
    const at = Math.floor(Date.now() / 1000) - 2
    await until('the samples', async () => (await product.value('timestamp(lat_seconds)'))! > at, 30_000)
    const ask = async (origin: string, expr: string): Promise<unknown> => {
      const url = `${origin}/api/v1/query?time=${at}.5&query=${encodeURIComponent(expr)}`
      const { data } = (await (await fetch(url)).json()) as { data: { result: { metric: object }[] } }
      return data.result
    }
    // What Debian's 2.42 knew of them already and reckoned as later ones do.
    for (const expr of [
      'lat_seconds',
      'sum(lat_seconds) + sum(lat_seconds)',
      'histogram_count(lat_seconds)',
      'histogram_sum(lat_seconds)',
      'count(lat_seconds)',
      'resets(lat_seconds[8s])',
    ]) {
      const [ours, theirs] = [await ask(product.http, expr), await ask(base, expr)]
      expect(theirs, expr).not.toEqual([])
      expect(ours, expr).toEqual(theirs)
    }
  })
})
