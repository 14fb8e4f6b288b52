// Traces and logs as they are read back for people: whole, with everything that was kept of them.
import type { Instant } from '../lib/time.ts'
import type { Attributes } from './span.ts'

export interface StoredSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  /** `Client`, `Server` …, as the table has it. */
  readonly kind: string
  readonly service: string
  /** Milliseconds, with fractions. */
  readonly startAt: number
  /** Seconds. */
  readonly duration: number
  readonly status: 'Unset' | 'Ok' | 'Error'
  readonly statusMessage: string
  readonly scope: string
  readonly resource: Attributes
  readonly attributes: Attributes
  readonly events: readonly { readonly name: string; readonly at: number; readonly attributes: Attributes }[]
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
}

export interface TraceSummary {
  readonly traceId: string
  /** Of the span that began it, as far as it is here. */
  readonly name: string
  readonly service: string
  readonly startAt: number
  /** Seconds from its first span's start to its last one's end. */
  readonly duration: number
  readonly spans: number
  readonly errors: number
  readonly agents: readonly string[]
  readonly models: readonly string[]
}

export interface StoredLog {
  readonly at: number
  readonly traceId: string
  readonly spanId: string
  /** OpenTelemetry's number, 1 to 24; 0 where it was not said. */
  readonly severity: number
  readonly severityText: string
  readonly service: string
  readonly body: string
  readonly event: string
  readonly scope: string
  readonly resource: Attributes
  readonly attributes: Attributes
}

/** Times are of a trace's spans; `limit` bounds the answer. */
export interface TraceQuery {
  readonly fromAt: Instant
  readonly toAt: Instant
  /** `gen_ai.agent.name` of a span, or the service's name. */
  readonly agent?: string | undefined
  readonly service?: string | undefined
  /** Seconds that its longest span takes at least. */
  readonly minDuration?: number | undefined
  readonly error?: boolean | undefined
  readonly limit: number
}

export interface LogQuery {
  readonly fromAt: Instant
  readonly toAt: Instant
  readonly service?: string | undefined
  /** Least severity number. */
  readonly severity?: number | undefined
  /** Text that the body holds, in either case. */
  readonly text?: string | undefined
  readonly traceId?: string | undefined
  readonly limit: number
}

export interface ReadTrace {
  /** By their start; empty where nothing is known of the trace. */
  readonly spans: readonly StoredSpan[]
  /** Whether there are more than were read. */
  readonly cut: boolean
}

/** The most spans of one trace that are read. */
export const mostSpansOfTrace = 5000
