// A decision Airboss took, and the action that may follow from it.
import type { Instant } from '../lib/time.ts'

export type DecisionKind = 'rollout' | 'scale' | 'budget' | 'flag' | 'model'

/** What was decided, with its inputs and its reason in words. Recorded before anything is done about it. */
export interface Decision {
  readonly id: string
  readonly at: Instant
  readonly kind: DecisionKind
  /** What it is about: an agent, a budget. */
  readonly subject: string
  /** `promote`, `hold`, `rollback`, `scale_up`, `scale_down`, `keep`, `page` … */
  readonly verdict: string
  /** Whole sentences with the numbers in them. */
  readonly reason: string
  readonly inputs: Readonly<Record<string, unknown>>
  /** Ids of what led to it: alerts, decisions, actions. A decision never acts on its own descendants. */
  readonly causes: readonly string[]
  /** The action asked for, null where nothing is to be done. */
  readonly action: Action | null
}

/** Something to be done in the world. `id` is the idempotency key: done once whatever happens. */
export interface Action {
  readonly id: string
  readonly kind: 'rollback' | 'promote' | 'scale' | 'budget' | 'model'
  readonly subject: string
  readonly params: Readonly<Record<string, string | number | boolean>>
  readonly reason: string
  readonly causes: readonly string[]
  /** Webhook name or another actuator's name that shall carry it out; '' = the default one. */
  readonly actuator: string
}
