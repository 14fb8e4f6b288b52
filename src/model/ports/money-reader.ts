// What was spent, read back from the store.
import type { Instant } from '../../lib/time.ts'

export type CostGroup = 'agent' | 'version' | 'model' | 'provider' | 'service' | 'owner' | 'price_version'

export interface CostSum {
  readonly group: Readonly<Record<string, string>>
  /** Dollars as exact decimal numbers. */
  readonly usd: string
  readonly failedUsd: string
  /** Calls of models that were billed from their spans. */
  readonly calls: number
  readonly rows: number
}
export interface TraceSum {
  readonly traceId: string
  readonly usd: string
  readonly calls: number
  readonly at: Instant
  readonly agents: readonly string[]
}
export interface TraceCost {
  readonly spanId: string
  readonly at: Instant
  readonly agent: string
  readonly version: string
  readonly model: string
  readonly provider: string
  readonly usd: number
  readonly statedUsd: number
  readonly quantity: number
  readonly unit: string
  readonly priceVersion: string
  readonly attributes: Readonly<Record<string, string>>
}
export interface TraceSpan {
  readonly spanId: string
  readonly parentSpanId: string
  readonly name: string
  readonly service: string
  readonly failed: boolean
  /** Milliseconds. */
  readonly startAt: number
  readonly duration: number
  readonly attributes: Readonly<Record<string, string>>
}
/** What was spent on one thing in one day of UTC. */
export interface DayCost {
  /** `2026-01-31` */
  readonly day: string
  readonly agent: string
  readonly version: string
  readonly model: string
  readonly provider: string
  readonly service: string
  readonly owner: string
  readonly unit: string
  readonly priceVersion: string
  readonly kind: 'model' | 'infra' | 'focus'
  /** Its id where it came as a line of a bill. */
  readonly bill: string
  readonly attributes: Readonly<Record<string, string>>
  readonly usd: string
  readonly quantity: number
  readonly rows: number
}
export interface Within {
  readonly fromAt: Instant
  /** Not included. */
  readonly toAt: Instant
}

/** Throws `unavailable` while the store does not answer, `timeout`, `limit_exceeded`. */
export interface MoneyReader {
  /** The largest sums first. */
  sums(
    query: Within & { readonly by: readonly CostGroup[]; readonly limit: number },
    signal: AbortSignal,
  ): Promise<CostSum[]>
  topTraces(query: Within & { readonly limit: number }, signal: AbortSignal): Promise<TraceSum[]>
  /** At most `most` of each. */
  trace(
    traceId: string,
    most: number,
    signal: AbortSignal,
  ): Promise<{ readonly spans: readonly TraceSpan[]; readonly costs: readonly TraceCost[] }>
  /** Which of these rows are stored. */
  known(ids: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string>>
  /** Columns of their own (`x_…`) that bills brought. */
  broughtColumns(query: Within, signal: AbortSignal): Promise<string[]>
  days(query: Within, signal: AbortSignal): Promise<DayCost[]>
}
