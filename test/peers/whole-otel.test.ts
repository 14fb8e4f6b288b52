// The OpenTelemetry JavaScript SDK as agents run it, exporting to the running product over JSON, protobuf and gRPC.
import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtoExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AggregationTemporality,
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
} from '@opentelemetry/sdk-metrics'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

let product: Product
beforeAll(async () => {
  product = await startProduct({
    files: { 'airboss.yaml': 'host: { enabled: false }\nrule_files: []\n' },
  })
})
afterAll(() => product?.dispose())

const gzip = 'gzip' as never
const makers: readonly (readonly [string, (temporalityPreference: never) => PushMetricExporter])[] = [
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
  // Prometheus's own path for OTLP, on the main port.
  [
    'prometheus',
    (t) => new ProtoExporter({ url: `${product.http}/api/v1/otlp/v1/metrics`, temporalityPreference: t }),
  ],
  [
    'grpc',
    (t) =>
      new GrpcExporter({ url: `http://${product.otlpGrpc}`, compression: gzip, temporalityPreference: t }),
  ],
]

/** An agent with the instruments that agents have. */
const agent = (service: string, exporter: PushMetricExporter) => {
  const provider = new MeterProvider({
    resource: resourceFromAttributes({
      'service.name': service,
      'service.namespace': 'fleet',
      'service.version': '1.2.3',
      'service.instance.id': 'i-1',
    }),
    readers: [new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })],
  })
  const meter = provider.getMeter('agent', '1.0.0')
  const runs = meter.createCounter('agent.runs', { unit: '{run}', description: 'Runs so far.' })
  const took = meter.createHistogram('agent.run.duration', { unit: 's' })
  const waiting = meter.createUpDownCounter('agent.queue')
  meter.createObservableGauge('agent.temperature', { unit: 'Cel' }).addCallback((r) => r.observe(-3.5))
  return {
    run: (seconds: number, outcome = 'ok') => {
      runs.add(1, { outcome })
      took.record(seconds, { outcome })
      waiting.add(outcome === 'ok' ? -1 : 1)
    },
    flush: () => provider.forceFlush(),
    stop: () => provider.shutdown(),
  }
}

describe.each(makers)('over %s', (name, make) => {
  it.each([
    ['cumulative', AggregationTemporality.CUMULATIVE],
    ['delta', AggregationTemporality.DELTA],
  ] as const)('its metrics become the series that Prometheus would make, %s', async (mode, temporality) => {
    const service = `${name}-${mode}`
    const { run, flush, stop } = agent(service, make(temporality as never))
    run(0.2)
    run(7)
    await flush()
    run(0.3, 'error')
    run(0.4)
    await flush()
    const self = `job="fleet/${service}", instance="i-1"`
    await until('both exports', async () => (await product.value(`sum(agent_runs_total{${self}})`)) === 4)
    const value = (expr: string) => product.value(expr)
    expect(await value(`agent_runs_total{${self}, outcome="error"}`)).toBe(1)
    expect(await value(`agent_queue{${self}}`)).toBe(-2)
    expect(await value(`agent_temperature_celsius{${self}}`)).toBe(-3.5)
    expect(await value(`agent_run_duration_seconds_count{${self}, outcome="ok"}`)).toBe(3)
    expect(await value(`agent_run_duration_seconds_sum{${self}, outcome="ok"}`)).toBeCloseTo(7.6, 9)
    expect(await value(`agent_run_duration_seconds_bucket{${self}, outcome="ok", le="5"}`)).toBe(2)
    expect(await value(`agent_run_duration_seconds_bucket{${self}, outcome="ok", le="+Inf"}`)).toBe(3)
    const [info] = await product.query(`target_info{${self}}`)
    expect(info!.metric['service_version']).toBe('1.2.3')
    await stop()
  })
})

it('knows their types and descriptions', async () => {
  const answer = await (await product.fetch('/api/v1/metadata?metric=agent_runs_total')).json()
  expect((answer as { data: unknown }).data).toEqual({
    agent_runs_total: [{ type: 'counter', help: 'Runs so far.', unit: expect.any(String) }],
  })
})

it('keeps them over kill -9, the deltas too: nothing lost, nothing twice', async () => {
  const exporter = makers[0]![1](AggregationTemporality.DELTA as never)
  const { run, flush, stop } = agent('survivor', exporter)
  for (let i = 0; i < 5; i++) run(1)
  await flush()
  await stop()
  const { dir } = product
  product.signal('SIGKILL', 'all')
  await product.stop()
  const next = await startProduct({ dir })
  try {
    await until(
      'its counter',
      async () => (await next.value('sum(agent_runs_total{job="fleet/survivor"})')) === 5,
    )
    const again = agent(
      'survivor',
      new JsonExporter({
        url: `${next.otlpHttp}/v1/metrics`,
        temporalityPreference: AggregationTemporality.DELTA as never,
      }),
    )
    again.run(1)
    await again.flush()
    await again.stop()
    await until(
      'the sixth',
      async () => (await next.value('sum(agent_runs_total{job="fleet/survivor"})')) === 6,
    )
    expect(await next.value('sum(agent_runs_total{job="fleet/json-delta"})')).toBe(4)
  } finally {
    await next.dispose()
  }
})
