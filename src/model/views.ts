// What the rooms show of themselves to the API and the console: plain data, made when asked for.
import type { Duration, Instant } from '../lib/time.ts'
import type { Decision } from './decision.ts'
import type { Deployment } from './deployment.ts'

export interface TargetView {
  readonly discoveredLabels: Readonly<Record<string, string>>
  readonly labels: Readonly<Record<string, string>>
  readonly scrapePool: string
  readonly scrapeUrl: string
  readonly lastError: string
  readonly lastScrapeAt: Instant | null
  readonly lastScrapeDuration: Duration
  readonly health: 'up' | 'down' | 'unknown'
  readonly scrapeInterval: Duration
  readonly scrapeTimeout: Duration
}

export interface DroppedTargetsView {
  /** Those that are kept to be shown. */
  readonly kept: readonly {
    readonly discoveredLabels: Readonly<Record<string, string>>
    readonly scrapePool: string
  }[]
  /** All of them, by job. */
  readonly counts: Readonly<Record<string, number>>
}

export interface DecisionView {
  readonly decision: Decision
  /** What became of its action; `none` where it asks for nothing. */
  readonly status: 'none' | 'asked' | 'held' | 'doing' | 'done' | 'failed' | 'superseded' | 'expired'
  /** What was answered, or why it waits. */
  readonly detail: string
  /** Whether a person's approval would let it go on. */
  readonly approvable: boolean
  readonly approval: { readonly by: string; readonly why: string } | null
}

export interface ActionsView {
  readonly mode: 'dry_run' | 'live'
  /** Set while the big red switch is thrown. */
  readonly stopped: { readonly by: string; readonly why: string } | null
}

export interface RolloutView {
  readonly agent: string
  readonly version: string
  readonly baseline: string
  readonly phase: 'watching' | 'held' | 'promoted' | 'rolled_back'
  readonly startedAt: Instant
  /** '' before the first look. */
  readonly outcome: 'pass' | 'marginal' | 'fail' | 'nodata' | ''
  readonly reason: string
  readonly lookedAt: Instant | null
  /** When it may be promoted at the earliest. */
  readonly dueAt: Instant
}

export interface ScaleView {
  readonly name: string
  readonly agent: string
  readonly min: number
  readonly max: number
  /** Null when it could not be told. */
  readonly current: number | null
  readonly desired: number | null
  readonly reason: string
  readonly status: 'steady' | 'scaling' | 'held' | 'waiting'
  readonly checkedAt: Instant | null
}

export interface BudgetView {
  readonly name: string
  readonly amount: number
  readonly period: string
  /** Null before it was first added up. */
  readonly spent: number | null
  /** Null while too little of the period has passed. */
  readonly projected: number | null
  /** Why the last look failed, '' when it did not. */
  readonly problem: string
}

export interface FleetView {
  readonly deployment: Deployment
  readonly declaredAt: Instant
  /** Dependencies that are missing or do not fit, in words. */
  readonly problems: readonly string[]
}

/** What keeps the data: the write-ahead log, the head, and ClickHouse behind them. */
export interface KeepView {
  readonly logBytes: number
  readonly logMaxBytes: number
  readonly pendingRows: number
  readonly headSeries: number
  readonly headSamples: number
  readonly headBytes: number
  readonly series: number
  readonly seriesLimit: number
  /** Why ClickHouse does not answer; '' while it does. */
  readonly storeError: string
}
