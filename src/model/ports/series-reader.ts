// Where samples are read from: the head, ClickHouse, or the two together.
import type { SeriesColumns } from '../columns.ts'
import type { Scan } from '../plan.ts'

export interface SeriesReader {
  /**
   * Yields the series that match, in slices; a series stands whole in one slice, and in no two. One sample per series and time. Throws
   * `limit_exceeded` past the plan's limits, `unavailable` when the store does not answer.
   */
  read(plan: Scan, signal: AbortSignal): AsyncIterable<SeriesColumns>
}
