// What the ledger keeps of an action: its state, from asked to done, and the documents that hold it back or let it go.
import type { Instant } from '../lib/time.ts'
import type { Action, Decision } from '../model/decision.ts'

/** Why an action waits: what must change before it may go. */
export type HoldCause = 'dry_run' | 'approval' | 'switch' | 'cooldown' | 'limit' | 'loop'

export type ActionState = 'asked' | 'held' | 'doing' | 'done' | 'failed' | 'superseded' | 'expired'

/** Ledger kind `action`, id = the action's id. */
export interface ActionRecord {
  readonly action: Action
  readonly state: ActionState
  readonly askedAt: Instant
  /** When it last began to be done; null before. */
  readonly doneAt: Instant | null
  readonly attempts: number
  /** In words: what was answered, why it is held or failed. */
  readonly detail: string
  readonly hold: HoldCause | null
  readonly retryable: boolean
  /** Who asked. */
  readonly by: string
}

/** Ledger kind `approval`, id = the action's id. */
export interface Approval {
  readonly by: string
  readonly why: string
}

/** Ledger kind `switch`, id `actions`: the big red switch. */
export interface Switch {
  readonly stopped: boolean
  readonly why: string
}

/** A decision with what became of its action, for lists. */
export interface DecisionEntry {
  readonly decision: Decision
  readonly action: ActionRecord | null
  readonly approval: Approval | null
}

export const kindOf = {
  action: 'action',
  approval: 'approval',
  decision: 'decision',
  switch: 'switch',
} as const
export const switchId = 'actions'
