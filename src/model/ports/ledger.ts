// Records: versioned documents with compare-and-set; their history is the audit trail.
import type { Instant } from '../../lib/time.ts'
import type { Actor } from '../actor.ts'

export interface LedgerVersion<T = unknown> {
  readonly kind: string
  readonly id: string
  /** 1 for the first. */
  readonly version: number
  /** Null when the document was deleted or its value erased by retention. */
  readonly value: T | null
  readonly by: string
  readonly why: string
  readonly at: Instant
  /** Position in the whole ledger, from 1. */
  readonly sequence: number
  /** SHA-256 over the one before it and this version's head and value digest. */
  readonly hash: string
}

export interface PutOptions {
  readonly by: Actor
  readonly why: string
  /** The version this one replaces; 0 = it must be new; left out = whatever there is. A mismatch is an AppError `conflict`. */
  readonly expect?: number
}

export interface Ledger {
  get<T>(kind: string, id: string): LedgerVersion<T> | null
  /** The newest version of every living document of a kind, newest change first. */
  list<T>(kind: string): readonly LedgerVersion<T>[]
  /** Every version of one document, or of everything, newest first. */
  history(filter: { kind?: string; id?: string; limit: number; before?: number }): readonly LedgerVersion[]
  /** Resolves when it is on disk. `value: null` deletes. */
  put<T>(kind: string, id: string, value: T | null, options: PutOptions): Promise<LedgerVersion<T>>
}
