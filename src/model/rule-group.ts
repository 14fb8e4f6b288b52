// Rule groups as the rules API and the console show them.
import type { Duration, Instant } from '../lib/time.ts'
import type { ActiveAlert, AlertState } from './alert.ts'

export type RuleHealth = 'unknown' | 'ok' | 'err'

interface EvaluatedRule {
  readonly name: string
  /** The expression as Prometheus prints it. */
  readonly query: string
  readonly labels: Readonly<Record<string, string>>
  readonly health: RuleHealth
  /** '' while all is well. */
  readonly lastError: string
  /** How long the last evaluation took. */
  readonly evaluationTime: Duration
  /** Null before the first evaluation. */
  readonly lastEvaluationAt: Instant | null
}
export interface AlertingRuleState extends EvaluatedRule {
  readonly type: 'alerting'
  /** The worst state of its alerts. */
  readonly state: AlertState
  readonly for: Duration
  readonly keepFiringFor: Duration
  readonly annotations: Readonly<Record<string, string>>
  readonly alerts: readonly ActiveAlert[]
}
export interface RecordingRuleState extends EvaluatedRule {
  readonly type: 'recording'
}
export interface RuleGroupState {
  readonly name: string
  readonly file: string
  readonly interval: Duration
  readonly limit: number
  readonly queryOffset: Duration
  readonly evaluationTime: Duration
  readonly lastEvaluationAt: Instant | null
  readonly rules: readonly (AlertingRuleState | RecordingRuleState)[]
}
