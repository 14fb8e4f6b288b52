// Where exemplars are read from: memory, ClickHouse, or the two together.
import type { SeriesExemplars } from '../exemplar.ts'
import type { Matcher } from '../matcher.ts'
import type { TimeSpan } from './series-index.ts'

export interface ExemplarsFound {
  /** Sorted by their labels. */
  readonly series: readonly SeriesExemplars[]
  /** There were more than may be answered: the newest are given. */
  readonly truncated: boolean
}

export interface ExemplarReader {
  /**
   * Exemplars of every series that one of the selectors matches, `fromAt` and `toAt` both within. Throws `limit_exceeded` when too many
   * series match, `unavailable` when the store is needed and does not answer.
   */
  read(
    selectors: readonly (readonly Matcher[])[],
    span: TimeSpan,
    signal: AbortSignal,
  ): Promise<ExemplarsFound>
}
