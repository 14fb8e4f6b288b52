// The real OpenTelemetry exporters against our receivers: JSON, protobuf and gRPC, plain and gzip, cumulative and delta.
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js'
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
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { AppError } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/log.ts'
import type { Batch } from '../../src/model/batch.ts'
import { printLabels } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createOtlpGrpc } from '../../src/receive/otlp/receiver-grpc.ts'
import { createOtlpHttp } from '../../src/receive/otlp/receiver-http.ts'
import { otlpDoors } from '../kit/otlp-doors.ts'

const table = new SeriesTable(10_000)
let batches: Batch[] = []
let failures: AppError[] = []
const doors = otlpDoors({
  table,
  sink: {
    push: async (batch) => {
      const failure = failures.shift()
      if (failure) throw failure
      batches.push(batch)
    },
  },
})
const handler = createOtlpHttp({ ...doors, log: silentLogger() })
const grpc = createOtlpGrpc({
  ...doors,
  listen: '127.0.0.1:0',
  authenticate: (headers) =>
    new Map(Object.entries(headers)).get('authorization') === 'Bearer wrong'
      ? null
      : { id: 'anonymous:loopback', kind: 'anonymous' },
  clock: systemClock,
  log: silentLogger(),
})
let http: Server
let base = ''
const seen: string[] = []

beforeAll(async () => {
  http = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      seen.push(`${request.headers['content-type']} ${request.headers['content-encoding'] ?? 'plain'}`)
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
        .then((answer) => response.writeHead(answer.status, { ...answer.headers }).end(answer.body))
    })
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(http.address() as AddressInfo).port}/v1/metrics`
  await grpc.start()
})
afterAll(async () => {
  http.close()
  http.closeAllConnections()
  await grpc.drain()
})
beforeEach(() => {
  batches = []
  failures = []
  seen.length = 0
})

/** The last value of every series, without its time. */
const values = (): Record<string, number> => {
  const out: Record<string, number> = {}
  for (const b of batches)
    for (let i = 0; i < b.ref.length; i++) out[printLabels(table.labels(b.ref[i]!))] = b.value[i]!
  return out
}

const fleet = (exporter: PushMetricExporter, service: string) => {
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.instance.id': 'i-1',
      'host.name': 'h',
    }),
    readers: [reader],
    views: [
      {
        instrumentName: 'task.duration',
        aggregation: {
          type: AggregationType.EXPLICIT_BUCKET_HISTOGRAM,
          options: { boundaries: [0.5, 1, 2.5] },
        },
      },
    ],
  })
  const meter = provider.getMeter('fleet', '1.0.0')
  const tasks = meter.createCounter('agent.tasks', { unit: '{task}', description: 'Tasks done.' })
  const depth = meter.createUpDownCounter('queue.depth')
  const took = meter.createHistogram('task.duration', { unit: 's' })
  meter.createObservableGauge('memory.used', { unit: 'By' }).addCallback((r) => r.observe(1.5e9))
  const work = (n: number): void => {
    tasks.add(n, { 'agent.name': 'scout', ok: true, tags: ['a', 'b'] })
    depth.add(n - 5)
    took.record(0.7 * n)
  }
  return { work, flush: () => provider.forceFlush(), stop: () => provider.shutdown() }
}

const expected = (service: string): Record<string, number> => {
  const of = (labels = ''): string => `{${labels}instance="i-1", job="${service}"`
  return {
    [`agent_tasks_total{agent_name="scout", instance="i-1", job="${service}", ok="true", tags="[\\"a\\",\\"b\\"]"}`]: 3,
    [`queue_depth${of()}}`]: -7,
    [`memory_used_bytes${of()}}`]: 1.5e9,
    [`task_duration_seconds_bucket${of()}, le="0.5"}`]: 0,
    [`task_duration_seconds_bucket${of()}, le="1"}`]: 1,
    [`task_duration_seconds_bucket${of()}, le="2.5"}`]: 2,
    [`task_duration_seconds_bucket${of()}, le="+Inf"}`]: 2,
    [`task_duration_seconds_count${of()}}`]: 2,
    [`task_duration_seconds_sum${of()}}`]: 0.7 + 1.4,
    [`target_info${of('host_name="h", ')}}`]: 1,
  }
}

const gzip = 'gzip' as never
const makers: [string, (temporality: AggregationTemporality) => PushMetricExporter, string][] = [
  [
    'JSON',
    (t) => new JsonExporter({ url: base, temporalityPreference: t as never }),
    'application/json plain',
  ],
  [
    'JSON, gzip',
    (t) => new JsonExporter({ url: base, compression: gzip, temporalityPreference: t as never }),
    'application/json gzip',
  ],
  [
    'protobuf',
    (t) => new ProtoExporter({ url: base, temporalityPreference: t as never }),
    'application/x-protobuf plain',
  ],
  [
    'protobuf, gzip',
    (t) => new ProtoExporter({ url: base, compression: gzip, temporalityPreference: t as never }),
    'application/x-protobuf gzip',
  ],
  [
    'gRPC',
    (t) => new GrpcExporter({ url: `http://${grpc.address()}`, temporalityPreference: t as never }),
    '',
  ],
  [
    'gRPC, gzip',
    (t) =>
      new GrpcExporter({
        url: `http://${grpc.address()}`,
        compression: gzip,
        temporalityPreference: t as never,
      }),
    '',
  ],
]

describe.each(makers)('the OpenTelemetry exporter over %s', (name, make, header) => {
  it.each([
    ['cumulative', AggregationTemporality.CUMULATIVE],
    ['delta', AggregationTemporality.DELTA],
  ] as const)('arrives as Prometheus series, %s', async (mode, temporality) => {
    const service = `${name} ${mode}`
    const { work, flush, stop } = fleet(make(temporality), service)
    work(1)
    await flush()
    work(2)
    await flush()
    const want = expected(service)
    const got = values()
    for (const [key, value] of Object.entries(want))
      expect(got[key], `${key} of ${Object.keys(got).join('\n')}`).toBeCloseTo(value, 9)
    expect(Object.keys(got).length).toBe(Object.keys(want).length)
    if (header) expect(new Set(seen)).toEqual(new Set([header]))
    await stop()
  })
})

describe('a receiver that cannot take it now', () => {
  it('is asked again by the exporter over HTTP', async () => {
    failures = [new AppError('storage_full', 'the log is full', { retryAfter: 50 })]
    const { work, flush, stop } = fleet(new ProtoExporter({ url: base }), 'again')
    work(1)
    await flush()
    expect(values()['queue_depth{instance="i-1", job="again"}']).toBe(-4)
    await stop()
  })
})

describe('gRPC codes', () => {
  const path = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export'
  const same = (bytes: Buffer): Buffer => bytes
  const call = (body: Buffer, options: { path?: string; token?: string } = {}) => {
    const client = new Client(grpc.address(), credentials.createInsecure())
    const metadata = new Metadata()
    if (options.token) metadata.set('authorization', `Bearer ${options.token}`)
    return new Promise<{ error: ServiceError | null; answer: Buffer | undefined }>((resolve) =>
      client.makeUnaryRequest(options.path ?? path, same, same, body, metadata, (error, answer) => {
        client.close()
        resolve({ error, answer })
      }),
    )
  }

  it('answers an empty request with an empty response', async () => {
    const { error, answer } = await call(Buffer.alloc(0))
    expect(error).toBeNull()
    expect(answer).toHaveLength(0)
  })

  it('says UNAVAILABLE with RetryInfo when the disk cannot take it', async () => {
    failures = [new AppError('storage_full', 'the log is full', { retryAfter: 2500 })]
    const bytes: Buffer[] = []
    const sending = createServer((request, response) => {
      request.on('data', (part: Buffer) => bytes.push(part))
      request.on('end', () => response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end())
    })
    await new Promise<void>((resolve) => sending.listen(0, '127.0.0.1', resolve))
    const url = `http://127.0.0.1:${(sending.address() as AddressInfo).port}/v1/metrics`
    const { work, flush, stop } = fleet(new ProtoExporter({ url }), 'raw')
    work(1)
    await flush()
    const body = Buffer.concat(bytes)
    await stop()
    sending.close()
    sending.closeAllConnections()
    const { error } = await call(body)
    expect(error).toMatchObject({ code: status.UNAVAILABLE, details: 'the log is full' })
    const [details] = error!.metadata.get('grpc-status-details-bin') as Buffer[]
    // RetryInfo { retry_delay { seconds: 2, nanos: 500_000_000 } }
    expect(details!.includes('type.googleapis.com/google.rpc.RetryInfo')).toBe(true)
    expect(details!.toString('hex').endsWith('0802' + '1080cab5ee01')).toBe(true)
  })

  it('says INVALID_ARGUMENT, UNAUTHENTICATED, UNIMPLEMENTED', async () => {
    expect((await call(Buffer.from([10, 99]))).error).toMatchObject({ code: status.INVALID_ARGUMENT })
    expect((await call(Buffer.alloc(0), { token: 'wrong' })).error).toMatchObject({
      code: status.UNAUTHENTICATED,
    })
    const profiles = path.replaceAll('metrics', 'profiles').replaceAll('Metrics', 'Profiles')
    expect((await call(Buffer.alloc(0), { path: profiles })).error).toMatchObject({
      code: status.UNIMPLEMENTED,
    })
  })
})
