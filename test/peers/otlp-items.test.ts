// The OpenTelemetry JavaScript SDK's traces and logs, exported to the running product and read back from its ClickHouse, field by field.
import {
  type Context,
  context,
  type Link,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { OTLPLogExporter as GrpcLogs } from '@opentelemetry/exporter-logs-otlp-grpc'
import { OTLPLogExporter as JsonLogs } from '@opentelemetry/exporter-logs-otlp-http'
import { OTLPLogExporter as ProtoLogs } from '@opentelemetry/exporter-logs-otlp-proto'
import { OTLPTraceExporter as GrpcTraces } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as JsonTraces } from '@opentelemetry/exporter-trace-otlp-http'
import { OTLPTraceExporter as ProtoTraces } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { BatchLogRecordProcessor, LoggerProvider, type LogRecordExporter } from '@opentelemetry/sdk-logs'
import {
  BatchSpanProcessor,
  type ReadableSpan,
  type SpanExporter,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { askClickHouse } from '../kit/ask-clickhouse.ts'
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
interface Door {
  traces(): SpanExporter
  logs(): LogRecordExporter
}
const doors: readonly (readonly [string, Door])[] = [
  [
    'json',
    {
      traces: () => new JsonTraces({ url: `${product.otlpHttp}/v1/traces` }),
      logs: () => new JsonLogs({ url: `${product.otlpHttp}/v1/logs` }),
    },
  ],
  [
    'proto',
    {
      traces: () => new ProtoTraces({ url: `${product.otlpHttp}/v1/traces`, compression: gzip }),
      logs: () => new ProtoLogs({ url: `${product.otlpHttp}/v1/logs`, compression: gzip }),
    },
  ],
  [
    'main',
    {
      traces: () => new ProtoTraces({ url: `${product.http}/api/v1/otlp/v1/traces` }),
      logs: () => new JsonLogs({ url: `${product.http}/api/v1/otlp/v1/logs`, compression: gzip }),
    },
  ],
  [
    'grpc',
    {
      traces: () => new GrpcTraces({ url: `http://${product.otlpGrpc}`, compression: gzip }),
      logs: () => new GrpcLogs({ url: `http://${product.otlpGrpc}` }),
    },
  ],
]

const resourceOf = (service: string) => ({
  'service.name': service,
  'service.namespace': 'fleet',
  'service.version': '1.2.3',
  'service.instance.id': 'i-1',
  'host.cpus': 2,
})

/** Spans as agents make them, with GenAI attributes of both generations. */
const makeSpans = async (service: string, exporter: SpanExporter): Promise<ReadableSpan[]> => {
  const ended: ReadableSpan[] = []
  const provider = new TracerProvider({
    resource: resourceFromAttributes(resourceOf(service)),
    spanProcessors: [
      new BatchSpanProcessor({ exporter }),
      {
        onStart: () => {},
        onEnd: (span: ReadableSpan) => void ended.push(span),
        forceFlush: async () => {},
        shutdown: async () => {},
      },
    ],
  })
  const tracer = provider.getTracer('agents', '0.9.0')
  const root = tracer.startSpan('invoke_agent größe', {
    kind: SpanKind.SERVER,
    attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'research', retries: 3 },
  })
  const under: Context = trace.setSpan(context.active(), root)
  const link: Link = {
    context: {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.SAMPLED,
    },
    attributes: { why: 'retry' },
  }
  const chat = tracer.startSpan(
    'chat gpt-5-mini',
    {
      kind: SpanKind.CLIENT,
      links: [link],
      attributes: {
        'gen_ai.provider.name': 'openai',
        'gen_ai.request.model': 'gpt-5-mini',
        'gen_ai.usage.input_tokens': 1200,
        'gen_ai.usage.output_tokens': 85,
        'gen_ai.request.temperature': 0.25,
        'gen_ai.response.finish_reasons': ['stop', 'tool "x"'],
        streamed: true,
        'gen_ai.input.messages': 'a secret prompt',
      },
    },
    under,
  )
  chat.addEvent('first token', { 'ttft.ms': 310 })
  chat.addEvent('gen_ai.user.message', { 'gen_ai.system': 'openai', content: 'a secret prompt' })
  chat.setStatus({ code: SpanStatusCode.OK })
  chat.end()
  const old = tracer.startSpan(
    'chat',
    {
      kind: SpanKind.CLIENT,
      attributes: {
        'gen_ai.system': 'anthropic',
        'gen_ai.usage.prompt_tokens': 10,
        'gen_ai.completion.0.content': 'a secret answer',
      },
    },
    under,
  )
  old.recordException(new Error('overloaded'))
  old.setStatus({ code: SpanStatusCode.ERROR, message: 'overloaded' })
  old.end()
  root.end()
  await provider.forceFlush()
  await provider.shutdown()
  return ended
}

const nanosOf = ([seconds, nanos]: readonly [number, number]): string =>
  String(BigInt(seconds) * 1_000_000_000n + BigInt(nanos))
const textOf = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value))
const secret = (key: string): boolean => /input\.messages|completion\.|^content$/.test(key)
const textsOf = (attributes: object): Record<string, string> =>
  Object.fromEntries(
    Object.entries(attributes)
      .filter(([key]) => !secret(key))
      .map(([key, value]) => [key, textOf(value)]),
  )
const kinds = ['Internal', 'Server', 'Client', 'Producer', 'Consumer']

const rowOf = (span: ReadableSpan, service: string) => ({
  start: nanosOf(span.startTime),
  TraceId: span.spanContext().traceId,
  SpanId: span.spanContext().spanId,
  ParentSpanId: span.parentSpanContext?.spanId ?? '',
  SpanName: span.name,
  SpanKind: kinds[span.kind],
  ServiceName: service,
  ResourceAttributes: textsOf(resourceOf(service)),
  ScopeName: 'agents',
  ScopeVersion: '0.9.0',
  SpanAttributes: textsOf(span.attributes),
  Duration: nanosOf(span.duration),
  StatusCode: ['Unset', 'Ok', 'Error'][span.status.code],
  StatusMessage: span.status.message ?? '',
  'Events.Name': span.events.map((e) => e.name),
  'Events.Attributes': span.events.map((e) => textsOf(e.attributes ?? {})),
  events: span.events.map((e) => nanosOf(e.time)),
  'Links.TraceId': span.links.map((l) => l.context.traceId),
  'Links.SpanId': span.links.map((l) => l.context.spanId),
  'Links.Attributes': span.links.map((l) => textsOf(l.attributes ?? {})),
})

const spanColumns = [
  'toString(toUnixTimestamp64Nano(Timestamp)) AS start, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName',
  'ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, toString(Duration) AS Duration, StatusCode, StatusMessage',
  'Events.Name, Events.Attributes, arrayMap(t -> toString(toUnixTimestamp64Nano(t)), Events.Timestamp) AS events',
  'Links.TraceId, Links.SpanId, Links.Attributes',
].join(', ')

describe.each(doors)('over %s', (name, door) => {
  it('spans are stored as they were sent, without what was said to and by models', async () => {
    const service = `${name}-agent`
    const sent = await makeSpans(service, door.traces())
    expect(sent).toHaveLength(3)
    const ask = () =>
      askClickHouse<{ SpanId: string }>(
        product,
        `SELECT ${spanColumns} FROM otel_traces WHERE ServiceName = '${service}'`,
      )
    const rows = await until('the spans', async () => {
      const found = await ask()
      return found.length >= sent.length ? found : null
    })
    const bySpan = (a: { SpanId: string }, b: { SpanId: string }): number => (a.SpanId < b.SpanId ? -1 : 1)
    expect(rows.toSorted(bySpan)).toEqual(sent.map((s) => rowOf(s, service)).toSorted(bySpan))
    // Grafana's way to a trace by its id; the view's rows come a moment after the table's.
    const byId = `WITH '${sent[0]!.spanContext().traceId}' AS id,
        (SELECT min(Start) FROM otel_traces_trace_id_ts WHERE TraceId = id) AS a,
        (SELECT max(End) + 1 FROM otel_traces_trace_id_ts WHERE TraceId = id) AS b
      SELECT count() AS n FROM otel_traces WHERE TraceId = id AND Timestamp >= a AND Timestamp <= b`
    await until('the trace by its id', async () => {
      const [found] = await askClickHouse<{ n: string }>(product, byId)
      return Number(found?.n) === 3
    })
  })

  it('log records are stored as they were sent, without what was said to and by models', async () => {
    const service = `${name}-logger`
    const provider = new LoggerProvider({
      resource: resourceFromAttributes(resourceOf(service)),
      processors: [new BatchLogRecordProcessor({ exporter: door.logs() })],
    })
    const logger = provider.getLogger('agents', '0.9.0')
    const at = Date.now() - 1000
    const spanContext = {
      traceId: '0af7651916cd43dd8448eb211c80319c',
      spanId: 'b7ad6b7169203331',
      traceFlags: TraceFlags.SAMPLED,
    }
    logger.emit({
      timestamp: at,
      severityNumber: 9,
      severityText: 'INFO',
      body: 'run begins: größe',
      attributes: { run: 7, tags: ['a', 'b'] },
      context: trace.setSpanContext(context.active(), spanContext),
    })
    logger.emit({ timestamp: at + 1, severityNumber: 17, body: { code: 5, why: ['x'] } })
    logger.emit({
      timestamp: at + 2,
      eventName: 'gen_ai.user.message',
      body: { content: 'a secret prompt' },
      attributes: { 'gen_ai.system': 'openai', content: 'a secret prompt' },
    })
    await provider.forceFlush()
    await provider.shutdown()
    const rows = await until('the records', async () => {
      const found = await askClickHouse<Record<string, unknown> & { at: string }>(
        product,
        `SELECT toUnixTimestamp64Milli(Timestamp) AS at, TraceId, SpanId, TraceFlags, SeverityText, SeverityNumber, Body, ResourceAttributes,
          ScopeName, ScopeVersion, LogAttributes, EventName FROM otel_logs WHERE ServiceName = '${service}' ORDER BY Timestamp`,
      )
      return found.length >= 3 ? found : null
    })
    const common = {
      ResourceAttributes: textsOf(resourceOf(service)),
      ScopeName: 'agents',
      ScopeVersion: '0.9.0',
      EventName: '',
      SeverityText: '',
      SeverityNumber: 0,
      TraceId: '',
      SpanId: '',
      TraceFlags: 0,
      LogAttributes: {},
    }
    expect(rows.map((row) => ({ ...row, at: Number(row.at) }))).toEqual([
      {
        ...common,
        at,
        TraceId: spanContext.traceId,
        SpanId: spanContext.spanId,
        TraceFlags: 1,
        SeverityText: 'INFO',
        SeverityNumber: 9,
        Body: 'run begins: größe',
        LogAttributes: { run: '7', tags: '["a","b"]' },
      },
      { ...common, at: at + 1, SeverityNumber: 17, Body: '{"code":5,"why":["x"]}' },
      {
        ...common,
        at: at + 2,
        Body: '',
        EventName: 'gen_ai.user.message',
        LogAttributes: { 'gen_ai.system': 'openai' },
      },
    ])
  })
})

it('says what content was dropped', async () => {
  const metrics = await (await product.fetch('/metrics')).text()
  expect(metrics).toMatch(/airboss_content_dropped_total\{key="gen_ai.input.messages"\} 4/)
  expect(metrics).toMatch(/airboss_content_dropped_total\{key="gen_ai.completion"\} 4/)
  expect(metrics).toMatch(/airboss_content_dropped_total\{key="body"\} 4/)
})
