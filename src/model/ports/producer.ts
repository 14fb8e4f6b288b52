// A maker of cumulative series whose state must outlive the process: delta sums, event counters, prices.
import type { Batch } from '../batch.ts'

/**
 * The log stores `checkpoint()` at each seal and, after a restart, calls `restore` with the last one and `replay` with every batch
 * logged after it, in order. There are two ways to be right over a crash:
 * - Output beside input: the output goes into the same batch as its input, and a change of state is final only when `push` has resolved.
 *   What `replay` sees is what was acknowledged, and setting a series to the value in a replayed sample is idempotent.
 * - State from what was accepted: the state changes in `accepted` alone, which is called for every batch in the order of the log, before
 *   any later seal. `checkpoint` keeps the last `position` that was accepted, and `replay` passes over batches up to it: then every batch
 *   counts exactly once, and output can go its own way, at its own pace.
 */
export interface Producer {
  /** Stable: the key of its checkpoint. */
  readonly name: string
  /** Anything JSON can carry. */
  checkpoint(): unknown
  restore(state: unknown): void
  replay(batch: Batch, position: number): void
  /** The batch is safe on disk at this place of the log. Must not throw. */
  accepted?(batch: Batch, position: number): void
}
