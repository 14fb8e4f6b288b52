// Decisions change the world through one of these.
import type { Actor } from '../actor.ts'
import type { Action } from '../decision.ts'

export type ActOutcome =
  | { readonly outcome: 'done'; readonly detail: string }
  /** Not now, and why: dry run, cooldown, approval missing, limit, red switch. */
  | { readonly outcome: 'held'; readonly why: string }
  | { readonly outcome: 'failed'; readonly why: string; readonly retryable: boolean }

export interface Actuator {
  act(action: Action, by: Actor, signal: AbortSignal): Promise<ActOutcome>
  /** Asks the world whether it would take the action, and changes nothing: what it said, in words, '' when it cannot be asked. */
  rehearse?(action: Action, by: Actor, signal: AbortSignal): Promise<string>
}
