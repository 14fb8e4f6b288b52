// A span as metrics and costs look at it: not all that was sent, but what is reckoned with.
import type { PackedRows } from './packed-rows.ts'

export type SpanKind = 'unspecified' | 'internal' | 'server' | 'client' | 'producer' | 'consumer'
export type SpanStatus = 'unset' | 'ok' | 'error'

/**
 * Values as the table keeps them, so that a span that was read back from its row is the one that was received: text plainly, numbers and
 * booleans as their text (`12`, `0.25`, `true`), lists and maps as JSON (`["stop"]`), bytes as base64.
 */
export type Attributes = Readonly<Record<string, string>>

/** What sent the span; one object for all spans of a resource in a request. */
export interface SpanResource {
  /** `service.name`, '' when it was not said. */
  readonly service: string
  /** `job` and `instance` as the metrics of the same resource have them. */
  readonly job: string
  readonly instance: string
  /** `service.version` */
  readonly version: string
  readonly attributes: Attributes
}

export interface SpanEvent {
  readonly name: string
  /** Milliseconds, with fractions. */
  readonly at: number
  readonly attributes: Attributes
}

export interface Span {
  /** Lower-case hexadecimal. */
  readonly traceId: string
  readonly spanId: string
  /** '' for a root. */
  readonly parentSpanId: string
  readonly name: string
  readonly kind: SpanKind
  readonly status: SpanStatus
  /** Milliseconds, with fractions. */
  readonly startAt: number
  /** Seconds; never negative. */
  readonly duration: number
  readonly resource: SpanResource
  /** Only those that the reader of `Span` asked for. */
  readonly attributes: Attributes
  readonly events: readonly SpanEvent[]
}

/** Spans on their way to the store: rows of `otel_traces` (span-rows.ts), and the same spans as they are reckoned with. */
export interface SpanRows extends PackedRows {
  /** One for each row, in order; not there once the batch came back from disk or waits for the store. */
  readonly read?: readonly Span[]
}
