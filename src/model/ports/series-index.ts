// The label index: which series match, and what names and values there are.
import type { Instant } from '../../lib/time.ts'
import type { Matcher } from '../matcher.ts'
import type { SeriesRef } from '../series.ts'

export interface TimeSpan {
  readonly fromAt: Instant
  readonly toAt: Instant
}

export interface SeriesIndex {
  /** References of the series that match and were seen within the span, in no given order. */
  select(matchers: readonly Matcher[], span: TimeSpan): SeriesRef[]
  /** Sorted label names of the matching series (all series when there are no matchers). */
  names(matchers: readonly Matcher[], span: TimeSpan): string[]
  /** Sorted values of one label. */
  values(name: string, matchers: readonly Matcher[], span: TimeSpan): string[]
}
