// How sealed ranges of the log become durable rows.
import type { Batch } from '../batch.ts'

export interface BatchWriter {
  /**
   * Resolves when the rows are durably in. The same token twice changes nothing. Rejects `unavailable` (try again later) or
   * `bad_data` (these rows can never be stored: cut the batch down).
   */
  write(batch: Batch, token: string, signal: AbortSignal): Promise<void>
}
