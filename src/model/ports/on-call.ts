// What the console and the API ask of on-call.
import type { Instant } from '../../lib/time.ts'
import type { Actor } from '../actor.ts'
import type { Notification } from '../alert.ts'

export interface Escalation {
  readonly id: string
  readonly policy: string
  readonly groupKey: string
  readonly status: 'open' | 'acknowledged' | 'resolved'
  readonly startedAt: Instant
  readonly notification: Notification
  /** Null when nobody is to be paged any more. */
  readonly nextAt: Instant | null
  readonly acknowledgedBy: string | null
  readonly acknowledgedAt: Instant | null
  readonly endedAt: Instant | null
  readonly pages: readonly {
    readonly id: string
    readonly user: string
    /** From 1. */
    readonly step: number
    readonly about: 'firing' | 'resolved'
    readonly state: 'asked' | 'sent' | 'failed'
    readonly at: Instant
    readonly why: string
  }[]
}

/** Whom a signed link speaks for, and about what. */
export interface AckLink {
  readonly escalation: Escalation
  readonly user: string
}

export interface OnCall {
  /** Escalations that are not over, the newest first. */
  open(): Escalation[]
  /** Open ones and those that ended lately. */
  all(): Escalation[]
  /** Nobody else is paged from now on. Resolves when recorded. Throws `not_found`; `conflict` when it is over already. */
  acknowledge(id: string, by: Actor): Promise<Escalation>
  /** Ends it by hand; those paged are told. Throws `not_found`. */
  resolve(id: string, by: Actor): Promise<Escalation>
  /** Reads a link's token without doing anything: showing a page must not acknowledge. Throws `forbidden`, `not_found`. */
  verifyLink(token: string): AckLink
}
