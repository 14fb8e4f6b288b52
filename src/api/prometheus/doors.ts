// What the Prometheus surface asks of the rest: narrow doors, and the shapes it shows.
import type { Clock } from '../../lib/clock.ts'
import type { Duration, Instant } from '../../lib/time.ts'
import type { ActiveAlert } from '../../model/alert.ts'
import type { Metadata } from '../../model/batch.ts'
import type { Labels } from '../../model/labels.ts'
import type { HttpHandler } from '../../model/ports/http-handler.ts'
import type { Querier } from '../../model/ports/querier.ts'
import type { SeriesIndex } from '../../model/ports/series-index.ts'
import type { SeriesRef } from '../../model/series.ts'

interface RuleStatus {
  readonly name: string
  readonly query: string
  readonly labels: Readonly<Record<string, string>>
  readonly health: 'ok' | 'err' | 'unknown'
  readonly lastError: string
  readonly evaluationTime: Duration
  readonly lastEvaluationAt: Instant | null
}
export type RuleView =
  | (RuleStatus & { readonly kind: 'recording' })
  | (RuleStatus & {
      readonly kind: 'alerting'
      readonly state: 'inactive' | 'pending' | 'firing' | 'unknown'
      readonly hold: Duration
      readonly keepFiringFor: Duration
      readonly annotations: Readonly<Record<string, string>>
      readonly alerts: readonly ActiveAlert[]
    })

export interface RuleGroupView {
  readonly name: string
  readonly file: string
  readonly interval: Duration
  readonly limit: number
  readonly evaluationTime: Duration
  readonly lastEvaluationAt: Instant | null
  readonly rules: readonly RuleView[]
}

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

export interface PrometheusDoors {
  readonly clock: Clock
  readonly querier: Querier
  readonly index: SeriesIndex
  readonly labelsOf: (ref: SeriesRef) => Labels
  readonly metadata: () => readonly Metadata[]
  readonly ruleGroups: () => readonly RuleGroupView[]
  readonly targets: () => readonly TargetView[]
  readonly remoteWrite: HttpHandler
  readonly otlpMetrics: HttpHandler
  readonly version: string
  readonly startedAt: Instant
  /** The longest a query may take. */
  readonly timeout: Duration
  /** The configuration in force, secrets hidden. */
  readonly configText: () => string
  readonly flags: () => Readonly<Record<string, string>>
  readonly retention: string
}
