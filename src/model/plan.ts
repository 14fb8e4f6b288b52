// What a query asks of a store, as data: a small algebra that both the head and ClickHouse can answer.
import type { Duration, Instant } from '../lib/time.ts'
import type { Matcher } from './matcher.ts'

/**
 * The samples of every series that matches, in `(fromAt, toAt]`, stale markers included. `pick: 'last'` says that only the last sample of each
 * series in that window is needed (a reader may give more). `limits` are hard: passing one is an AppError `limit_exceeded`.
 */
export interface Scan {
  readonly kind: 'scan'
  readonly matchers: readonly Matcher[]
  /** Exclusive. */
  readonly fromAt: Instant
  /** Inclusive. */
  readonly toAt: Instant
  readonly pick: 'all' | 'last'
  readonly limits: { readonly series: number; readonly samples: number }
}

/** A range query's grid: `fromAt`, `fromAt + step` … up to and with `toAt`. */
export interface Span {
  readonly fromAt: Instant
  readonly toAt: Instant
  readonly step: Duration
}
