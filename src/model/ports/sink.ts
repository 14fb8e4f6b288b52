// Where received data goes.
import type { Batch } from '../batch.ts'

/**
 * `push` resolves when the batch is safe on disk, or rejects with an AppError: `storage_full` or `unavailable` (503, Retry-After) when it
 * cannot be taken now; nothing of a rejected batch is kept. `admit(sink)` and other wrappers have this type too.
 */
export interface Sink<B = Batch> {
  push(batch: B, signal: AbortSignal): Promise<void>
}
