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

/** An alert as the routing stage holds it. */
export interface RoutedAlertView {
  readonly fingerprint: string
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAt: Instant
  readonly endsAt: Instant
  readonly state: 'unprocessed' | 'active' | 'suppressed'
  readonly silencedBy: readonly string[]
  readonly inhibitedBy: readonly string[]
  readonly receivers: readonly string[]
}

/** A running or ended escalation. */
export interface EscalationView {
  readonly id: string
  readonly policy: string
  readonly summary: string
  readonly state: 'paging' | 'acknowledged' | 'resolved' | 'exhausted'
  readonly startedAt: Instant
  readonly acknowledgedBy: string
  readonly acknowledgedAt: Instant | null
  /** Who was paged, in order, and at which step. */
  readonly pages: readonly {
    readonly user: string
    readonly step: number
    readonly at: Instant
    readonly outcome: string
  }[]
  /** Who is next and when; null when nobody is. */
  readonly next: { readonly users: readonly string[]; readonly at: Instant } | null
}

export interface DecisionView {
  readonly decision: Decision
  /** What became of its action. */
  readonly status: 'none' | 'asked' | 'held' | 'doing' | 'done' | 'failed'
  readonly detail: string
  /** Whether a person's approval would let it go on. */
  readonly approvable: boolean
  readonly by: string
}

export interface ActionsView {
  readonly mode: 'dry_run' | 'live'
  /** Set while the big red switch is thrown. */
  readonly stopped: { readonly by: string; readonly why: string; readonly at: Instant } | null
}

export interface RolloutView {
  readonly agent: string
  readonly version: string
  readonly baseline: string
  readonly state: 'watching' | 'promoted' | 'rolled_back' | 'held'
  readonly startedAt: Instant
  readonly reason: string
  readonly lastLookAt: Instant | null
  readonly metrics: readonly { readonly name: string; readonly verdict: string; readonly reason: string }[]
}

export interface ScaleView {
  readonly name: string
  readonly current: number | null
  readonly desired: number | null
  readonly min: number
  readonly max: number
  readonly reason: string
  readonly lastLookAt: Instant | null
}

export interface BudgetView {
  readonly name: string
  readonly period: 'daily' | 'monthly' | 'annual'
  readonly amountUsd: number
  /** Null while it cannot be known. */
  readonly spentUsd: number | null
  readonly projectedUsd: number | null
  readonly periodFromAt: Instant
  readonly periodToAt: Instant
  readonly crossed: readonly number[]
}

export interface FleetView {
  readonly deployment: Deployment
  readonly declaredAt: Instant | null
  readonly problems: readonly string[]
}

export interface IngestSourceView {
  readonly name: string
  readonly samplesPerSecond: number
  readonly lastAt: Instant | null
  readonly rejected: number
  readonly problem: string
}
export interface IngestView {
  readonly sources: readonly IngestSourceView[]
  readonly logBytes: number
  readonly logMaxBytes: number
  readonly series: number
  readonly seriesLimit: number
  /** Whether ClickHouse answers. */
  readonly storeUp: boolean
  readonly storeError: string
  readonly rulesLate: number
}
