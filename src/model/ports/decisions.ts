// Where decisions are written down before anything is done about them.
import type { Decision } from '../decision.ts'

export interface Decisions {
  /** Records in the ledger and as a series, then hands the action, if there is one, to the guard. Resolves when recorded. */
  record(decision: Decision, signal: AbortSignal): Promise<void>
}
