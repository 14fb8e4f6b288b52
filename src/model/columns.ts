// Series with their samples as columns: how a store answers, and how a range query's result is carried.
import type { Labels } from './labels.ts'
import type { NativeHistogram } from './native-histogram.ts'

/** Native histograms of one series, ascending in time. */
export interface HistogramRun {
  readonly at: Float64Array
  readonly value: readonly NativeHistogram[]
}

/**
 * Series `i` has labels `labels[i]` and the samples `at[start[i]] … at[end[i] - 1]` with values beside them, ascending in time, one a
 * time. Columns may be views of live memory: use them before the next await, or copy, unless they are the reader's `own` and will not change.
 */
export interface SeriesColumns {
  readonly labels: readonly Labels[]
  readonly start: Uint32Array
  readonly end: Uint32Array
  readonly at: Float64Array
  readonly value: Float64Array
  /**
   * The native histograms of each series beside its samples, where any series has some (it may have nothing else); no time is among both. They do
   * not change, whatever becomes of the columns.
   */
  readonly histograms?: readonly (HistogramRun | undefined)[] | undefined
  /** Made for this answer alone. */
  readonly own?: boolean
}
