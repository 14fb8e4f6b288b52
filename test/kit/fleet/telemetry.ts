// What a demo agent tells about itself: the OpenTelemetry SDK with the GenAI conventions' instruments, over one of the three exporters.
import { OTLPMetricExporter as GrpcExporter } from '@opentelemetry/exporter-metrics-otlp-grpc'
import { OTLPMetricExporter as JsonExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPMetricExporter as ProtoExporter } from '@opentelemetry/exporter-metrics-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'

export type Exporter = 'proto' | 'json' | 'grpc'

export interface Identity {
  readonly agent: string
  readonly version: string
  readonly model: string
  readonly provider: string
  readonly owner: string
  readonly instance: string
}

/** Kinds of tokens that are part of input or output. */
export type Part = 'cache_read.input' | 'cache_write.input' | 'reasoning.output'

interface TelemetryOptions extends Identity {
  readonly exporter: Exporter
  readonly otlpHttp: string
  readonly otlpGrpc: string
  readonly exportEvery: number
  /** Tokens as the newer counters by kind, instead of the histogram by type; parts of input and output as shares of these. */
  readonly counters: Readonly<Partial<Record<Part, number>>> | null
}

// As the conventions advise.
const seconds = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
const tokens = [1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864]

const exporterOf = ({ exporter, otlpHttp, otlpGrpc }: TelemetryOptions) => {
  if (exporter === 'grpc') return new GrpcExporter({ url: `http://${otlpGrpc}` })
  const url = `${otlpHttp}/v1/metrics`
  return exporter === 'json' ? new JsonExporter({ url }) : new ProtoExporter({ url })
}

export interface Call {
  readonly seconds: number
  /** '' = it went well. */
  readonly error: string
}

export const createTelemetry = (options: TelemetryOptions) => {
  const { agent, version, model, provider, owner } = options
  const meters = new MeterProvider({
    resource: resourceFromAttributes({
      'service.namespace': 'demo',
      'service.name': agent,
      'service.version': version,
      'service.instance.id': options.instance,
      owner,
    }),
    readers: [
      new PeriodicExportingMetricReader({
        exporter: exporterOf(options),
        exportIntervalMillis: options.exportEvery,
        exportTimeoutMillis: Math.min(options.exportEvery, 5000),
      }),
    ],
  })
  const meter = meters.getMeter('demo-fleet')
  const base = { 'gen_ai.agent.name': agent, 'gen_ai.agent.version': version }
  const called = {
    ...base,
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model,
    'gen_ai.response.model': model,
  }
  const duration = (name: string) =>
    meter.createHistogram(name, { unit: 's', advice: { explicitBucketBoundaries: seconds } })
  const runs = duration('gen_ai.invoke_agent.duration')
  const calls = duration('gen_ai.client.operation.duration')
  const tools = duration('gen_ai.execute_tool.duration')
  const usage = meter.createHistogram('gen_ai.client.token.usage', {
    unit: '{token}',
    advice: { explicitBucketBoundaries: tokens },
  })
  const counter = (kind: string) =>
    meter.createCounter(`gen_ai.client.inference.usage.${kind}_tokens`, { unit: '{token}' })
  const counted = options.counters && {
    input: counter('input'),
    output: counter('output'),
    parts: Object.entries(options.counters).map(([part, share]) => ({ part, share, counter: counter(part) })),
  }
  const scores = meter.createGauge('gen_ai.evaluation.score')
  const failed = (error: string) => (error === '' ? {} : { 'error.type': error })
  return {
    run: (c: Call) =>
      runs.record(c.seconds, { ...base, 'gen_ai.operation.name': 'invoke_agent', ...failed(c.error) }),
    call: (c: Call) => calls.record(c.seconds, { ...called, ...failed(c.error) }),
    tool: (name: string, c: Call) =>
      tools.record(c.seconds, {
        ...base,
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': name,
        ...failed(c.error),
      }),
    tokens: (input: number, output: number) => {
      if (counted) {
        counted.input.add(input, called)
        counted.output.add(output, called)
        for (const { part, share, counter: of } of counted.parts)
          of.add(Math.floor(share * (part.endsWith('input') ? input : output)), called)
      } else {
        usage.record(input, { ...called, 'gen_ai.token.type': 'input' })
        usage.record(output, { ...called, 'gen_ai.token.type': 'output' })
      }
    },
    score: (name: string, value: number) => scores.record(value, { ...base, 'gen_ai.evaluation.name': name }),
    observe: (name: string, unit: string, read: () => number) => {
      meter.createObservableGauge(name, { unit }).addCallback((result) => result.observe(read(), base))
    },
    end: () => meters.shutdown(),
  }
}
