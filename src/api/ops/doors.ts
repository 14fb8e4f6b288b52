// What the operations API asks of the rooms: only what it shows and does, as plain data.
import type { Clock } from '../../lib/clock.ts'
import type { Duration, Instant } from '../../lib/time.ts'
import type { Actor } from '../../model/actor.ts'
import type { AgentPods } from '../../model/agent-pod.ts'
import type { CardinalityView } from '../../model/cardinality.ts'
import type { Action, Decision } from '../../model/decision.ts'
import type { Deployment } from '../../model/deployment.ts'
import type { Authorizer } from '../../model/ports/authorizer.ts'
import type { CostReports } from '../../model/ports/cost-reports.ts'
import type { LedgerVersion } from '../../model/ports/ledger.ts'
import type { TraceReader } from '../../model/ports/trace-reader.ts'
import type { ScaleView } from '../../model/views.ts'

export interface DeclaredDeployment {
  readonly id: string
  readonly deployment: Deployment
  readonly source: 'file' | 'api'
  readonly at: Instant
  readonly by: string
}

export interface UnmetDependency {
  readonly agent: string
  readonly version: string
  readonly needs: string
  readonly range: string
  readonly problem: string
  readonly why: string
}

interface Difference {
  readonly capabilities: { readonly added: readonly string[]; readonly removed: readonly string[] }
  readonly dependencies: {
    readonly added: readonly string[]
    readonly removed: readonly string[]
    readonly changed: readonly string[]
  }
  readonly model: { readonly from: string; readonly to: string } | null
}

/** What is declared to run. */
export interface FleetDoor {
  list(): readonly DeclaredDeployment[]
  get(agent: string): readonly DeclaredDeployment[]
  declare(deployment: unknown, by: Actor, why: string): Promise<DeclaredDeployment>
  remove(agent: string, version: string, by: Actor, why: string): Promise<void>
  compatibility(agent?: string): readonly UnmetDependency[]
  difference(agent: string, from: string, to: string): Difference
}

export interface ShownRollout {
  readonly id: string
  readonly agent: string
  readonly version: string
  readonly baseline: string
  readonly progress: {
    readonly phase: 'watching' | 'held' | 'promoted' | 'rolled_back'
    readonly startedAt: Instant
    readonly failures: number
    readonly passes: number
    readonly waiting: 'nodata' | 'marginal' | null
    readonly decidedAt: Instant | null
  }
  readonly judgement: {
    readonly outcome: string
    readonly score: number
    readonly reason: string
    readonly metrics: readonly unknown[]
  } | null
  readonly judgedAt: Instant | null
  readonly dueAt: Instant
}

/** Canaries. */
export interface RolloutsDoor {
  list(): readonly ShownRollout[]
  restart(agent: string, version: string, by: Actor, why: string): Promise<void>
}

export interface ShownBudget {
  readonly name: string
  readonly amount: number
  readonly period: { readonly startAt: Instant; readonly endAt: Instant; readonly label: string }
  readonly spent: number | null
  readonly projected: number | null
  readonly crossed: Readonly<Record<string, Instant>>
  readonly problem: string
  readonly checkedAt: Instant | null
}

export interface ShownAction {
  readonly action: Action
  readonly state: string
  readonly askedAt: Instant
  readonly doneAt: Instant | null
  readonly attempts: number
  readonly detail: string
  readonly hold: string | null
  readonly by: string
}

export interface ShownDecision {
  readonly decision: Decision
  readonly action: ShownAction | null
  readonly approval: { readonly by: string; readonly why: string } | null
}

/** Decisions, and what becomes of their actions. */
export interface DecisionsDoor {
  /** The newest first. */
  list(limit: number): readonly ShownDecision[]
  get(id: string): ShownDecision | null
  action(id: string): ShownAction | null
  /** Actions that wait for somebody or something, the newest first. */
  held(): readonly ShownAction[]
  mode(): 'dry_run' | 'live'
  stopped(): { readonly by: string; readonly why: string } | null
  approve(actionId: string, by: Actor, why: string): Promise<void>
  stop(by: Actor, why: string): Promise<void>
  resume(by: Actor, why: string): Promise<void>
}

/** The audit trail. */
export interface LedgerDoor {
  history(filter: { kind?: string; id?: string; limit: number; before?: number }): readonly LedgerVersion[]
  verify(): Promise<
    | { readonly ok: true; readonly versions: number; readonly hash: string }
    | { readonly ok: false; readonly sequence: number; readonly why: string }
  >
}

export interface Status {
  readonly version: string
  readonly startedAt: Instant
  readonly uptime: Duration
  readonly store: { readonly up: boolean; readonly why: string; readonly engine_pid: number | null }
  readonly log: {
    readonly bytes: number
    readonly max_bytes: number
    readonly pending_rows: number
    readonly pending_ranges: number
  }
  readonly head: {
    readonly series: number
    readonly samples: number
    readonly bytes: number
    readonly max_series: number
  }
  /** When a sample was last accepted. */
  readonly newestAt: Instant | null
  readonly reload: { readonly ok: boolean; readonly why: string; readonly file: string }
}

export interface OpsDoors {
  readonly clock: Clock
  readonly traces: TraceReader
  readonly authorizer: Authorizer
  readonly fleet: FleetDoor
  /** Null where no cluster is watched. */
  readonly pods: AgentPods | null
  readonly rollouts: RolloutsDoor
  readonly autoscalers: () => readonly ScaleView[]
  readonly budgets: () => readonly ShownBudget[]
  readonly decisions: DecisionsDoor
  readonly ledger: LedgerDoor
  readonly costs: CostReports
  readonly now: () => Instant
  readonly status: () => Status
  /** The largest metrics and sources by active series, at most so many of each. */
  readonly cardinality: (most: number) => CardinalityView
  /** Puts the configuration on disk in force; throws `bad_data` and changes nothing when it is wrong. */
  readonly reload: (by: Actor, why: string) => Promise<void>
  readonly version: string
}
