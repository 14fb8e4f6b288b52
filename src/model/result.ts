// What a PromQL expression evaluates to.
import type { Instant } from '../lib/time.ts'
import type { SeriesColumns } from './columns.ts'
import type { Labels } from './labels.ts'
import type { NativeHistogram } from './native-histogram.ts'

export interface Vector {
  readonly kind: 'vector'
  readonly at: Instant
  readonly labels: readonly Labels[]
  readonly values: Float64Array
  /** Where there are any: the native histogram that is the value of row i, NaN stands in `values` then. */
  readonly histograms?: readonly (NativeHistogram | undefined)[] | undefined
}
export interface Matrix extends SeriesColumns {
  readonly kind: 'matrix'
}
export interface Scalar {
  readonly kind: 'scalar'
  readonly at: Instant
  readonly value: number
}
export interface Text {
  readonly kind: 'string'
  readonly at: Instant
  readonly value: string
}

export type Value = Vector | Matrix | Scalar | Text
/** A value with what Prometheus calls warnings (something may be missing) and infos (the query may be meant otherwise). */
export interface Answer<V extends Value = Value> {
  readonly value: V
  readonly warnings: readonly string[]
  readonly infos: readonly string[]
}
