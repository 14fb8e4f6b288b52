// What passes from a receiver to the log: columns of samples, and the rows that are not samples.
import type { Instant } from '../lib/time.ts'
import type { PackedRows, SeriesRows } from './packed-rows.ts'
import type { SeriesRef } from './series.ts'
import type { SpanRows } from './span.ts'

export type MetricType =
  | 'counter'
  | 'gauge'
  | 'histogram'
  | 'gaugehistogram'
  | 'summary'
  | 'info'
  | 'stateset'
  | 'unknown'

export interface Metadata {
  readonly metric: string
  readonly type: MetricType
  readonly help: string
  readonly unit: string
}

/** A business event as it was received, kept as a row beside the counters it makes. */
export interface EventRow {
  readonly id: string
  readonly at: Instant
  readonly name: string
  readonly value: number
  readonly agent: string
  readonly version: string
  readonly outcome: string
  readonly attributes: Readonly<Record<string, string>>
}

/** One priced thing: what was spent, by whom, on what. `id` makes it count once. */
export interface CostRow {
  readonly id: string
  readonly at: Instant
  readonly agent: string
  readonly version: string
  readonly model: string
  readonly provider: string
  readonly service: string
  readonly owner: string
  readonly usd: number
  /** Tokens, requests, seconds …; 0 where there is none. */
  readonly quantity: number
  readonly unit: string
  /** Which price list made it; '' when it came priced, `stated` when the span that caused it said its cost and no list knew a price. */
  readonly priceVersion: string
  /** The span it was spent in, lower-case hexadecimal. */
  readonly traceId?: string
  readonly spanId?: string
  /** What the source itself said it cost, kept beside `usd`. */
  readonly statedUsd?: number
  /** What else is known: tokens by kind, tags, columns of a bill. */
  readonly attributes?: Readonly<Record<string, string>>
}

/** Samples as columns of one length: `ref[i]`, `at[i]` (milliseconds, may be fractional-free doubles), `value[i]`. */
export interface Batch {
  readonly ref: Uint32Array
  readonly at: Float64Array
  readonly value: Float64Array
  readonly metadata: readonly Metadata[]
  readonly events: readonly EventRow[]
  readonly costs: readonly CostRow[]
  /** Native histograms (model/native-histogram.ts). */
  readonly histograms?: SeriesRows | undefined
  /** Exemplars (model/exemplar.ts). */
  readonly exemplars?: SeriesRows | undefined
  readonly spans?: SpanRows | undefined
  /** Rows of `otel_logs` in the table's column order. */
  readonly logs?: PackedRows | undefined
}

export const sampleBatch = (
  ref: readonly SeriesRef[],
  at: readonly number[],
  value: readonly number[],
): Batch => ({
  ref: Uint32Array.from(ref),
  at: Float64Array.from(at),
  value: Float64Array.from(value),
  metadata: [],
  events: [],
  costs: [],
})

/** Bits of Prometheus's stale marker: the NaN that says a series has ended. */
export const staleHigh = 0x7ff00000
export const staleLow = 0x00000002
const probe = new Float64Array(1)
const probeWords = new Uint32Array(probe.buffer)
probeWords[0] = staleLow
probeWords[1] = staleHigh
/** Write it through a typed array: JavaScript may canonicalise a NaN that is passed about as a number, so test with `isStale` on the array. */
export const staleMarker = (into: Float64Array, i: number): void => {
  const words = new Uint32Array(into.buffer, into.byteOffset + i * 8, 2)
  words[0] = staleLow
  words[1] = staleHigh
}
/** Whether `column[i]` is the stale marker, by its bits. `words` is a Uint32Array over the same memory. */
export const isStaleAt = (words: Uint32Array, i: number): boolean =>
  words[i * 2 + 1] === staleHigh && words[i * 2] === staleLow
export const wordsOf = (column: Float64Array): Uint32Array =>
  new Uint32Array(column.buffer, column.byteOffset, column.length * 2)
