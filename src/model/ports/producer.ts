// A maker of cumulative series whose state must outlive the process: delta sums, event counters, prices.
import type { Batch } from '../batch.ts'

/**
 * The log stores `checkpoint()` at each seal and, after a restart, calls `restore` with the last one and `replay` with every batch
 * logged after it, in order. A producer puts its output into the same batch as its input, and makes a change of state final only when `push`
 * has resolved; so what `replay` sees is what was acknowledged, and setting a series to the value in a replayed sample is idempotent.
 */
export interface Producer {
  /** Stable: the key of its checkpoint. */
  readonly name: string
  /** Anything JSON can carry. */
  checkpoint(): unknown
  restore(state: unknown): void
  replay(batch: Batch): void
}
