// Who may do what.
import type { Actor } from '../actor.ts'

export type Verb = 'read' | 'write' | 'act'
export interface Authorizer {
  /** Null when it may; else why not, in words. */
  may(actor: Actor, verb: Verb, thing: string): string | null
}
