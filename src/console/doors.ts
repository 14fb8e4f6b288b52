// What the console asks of the rest: narrow doors, all of them answered from memory but the querier's.
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import type { Instant } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { Metadata } from '../model/batch.ts'
import type { CardinalityView } from '../model/cardinality.ts'
import type { AlertManager } from '../model/ports/alert-manager.ts'
import type { CostReports } from '../model/ports/cost-reports.ts'
import type { ExemplarReader } from '../model/ports/exemplars.ts'
import type { LedgerVersion } from '../model/ports/ledger.ts'
import type { OnCall } from '../model/ports/on-call.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { SeriesIndex } from '../model/ports/series-index.ts'
import type { TraceReader } from '../model/ports/trace-reader.ts'
import type { RuleGroupState } from '../model/rule-group.ts'
import type {
  ActionsView,
  BudgetView,
  DecisionView,
  FleetView,
  KeepView,
  RolloutView,
  ScaleView,
  TargetView,
} from '../model/views.ts'

export interface ConsoleDoors {
  readonly clock: Clock
  readonly log: Logger
  readonly version: string
  /** What this installation calls itself, shown in the rail's foot. */
  readonly name: string
  /** Where the browser modules are kept once they are made; may be emptied at any time. */
  readonly cacheDir: string
  readonly actorOf: (request: Request) => Actor
  readonly querier: Querier
  readonly index: SeriesIndex
  readonly metadata: (metric: string) => Metadata | undefined
  /** When the newest sample was taken in; null before the first. */
  readonly newestAt: () => Instant | null
  readonly ruleGroups: () => readonly RuleGroupState[]
  readonly alerts: AlertManager
  readonly oncall: OnCall
  readonly decisions: (most: number) => readonly DecisionView[]
  readonly approve: (action: string, by: Actor, why: string) => Promise<void>
  readonly actions: () => ActionsView
  readonly stopActions: (by: Actor, why: string) => Promise<void>
  readonly resumeActions: (by: Actor, why: string) => Promise<void>
  readonly fleet: () => readonly FleetView[]
  readonly rollouts: () => readonly RolloutView[]
  readonly scalers: () => readonly ScaleView[]
  readonly budgets: () => readonly BudgetView[]
  readonly costs: CostReports
  readonly targets: () => readonly TargetView[]
  readonly keep: () => KeepView
  /** The largest metrics and sources by active series, at most so many of each. */
  readonly cardinality: (most: number) => CardinalityView
  readonly traces: TraceReader
  readonly exemplars: ExemplarReader
  readonly history: (most: number) => readonly LedgerVersion[]
}
