// A receiver of traces by OTLP/HTTP on loopback that keeps the spans it gets.
import protobuf from 'protobufjs'
import { startWebhookSink } from './webhook-sink.ts'

export interface SentSpan {
  readonly trace: string
  readonly id: string
  /** '' where it begins a trace. */
  readonly parent: string
  readonly name: string
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  readonly failed: boolean
}

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Request { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { Resource resource = 1; repeated ScopeSpans scope_spans = 2; }
  message Resource { repeated KeyValue attributes = 1; }
  message ScopeSpans { repeated Span spans = 2; }
  message Status { int32 code = 3; }
  message KeyValue { string key = 1; AnyValue value = 2; }
  message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }
  message Span {
    bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5;
    repeated KeyValue attributes = 9; Status status = 15;
  }
`)
const request = root.lookupType('Request')

interface Told {
  readonly resourceSpans?: readonly {
    readonly scopeSpans?: readonly {
      readonly spans?: readonly {
        readonly traceId: Buffer
        readonly spanId: Buffer
        readonly parentSpanId?: Buffer
        readonly name: string
        readonly attributes?: readonly { readonly key: string; readonly value: Record<string, unknown> }[]
        readonly status?: { readonly code?: number }
      }[]
    }[]
  }[]
}

const spansOf = (raw: Buffer): SentSpan[] => {
  const told = request.toObject(request.decode(raw), { bytes: Buffer, longs: Number }) as Told
  const spans = told.resourceSpans?.flatMap((r) => r.scopeSpans ?? []).flatMap((s) => s.spans ?? []) ?? []
  return spans.map((s) => ({
    trace: s.traceId.toString('hex'),
    id: s.spanId.toString('hex'),
    parent: s.parentSpanId?.toString('hex') ?? '',
    name: s.name,
    attributes: Object.fromEntries(
      s.attributes?.map(({ key, value }) => [key, Object.values(value)[0] as string]) ?? [],
    ),
    failed: s.status?.code === 2,
  }))
}

export interface TraceSink {
  readonly url: string
  /** All spans so far. */
  spans(): SentSpan[]
  close(): Promise<void>
}

export const startTraceSink = async (): Promise<TraceSink> => {
  const sink = await startWebhookSink()
  return {
    url: sink.url,
    spans: () => sink.got.filter((g) => g.path === '/v1/traces').flatMap((g) => spansOf(g.raw)),
    close: sink.close,
  }
}
