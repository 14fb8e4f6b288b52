// What the write-ahead log is made from and what it offers.
import type { Clock } from '../lib/clock.ts'
import type { JournalFs } from '../lib/journal-fs.ts'
import type { Logger } from '../lib/log.ts'
import type { Duration, Instant } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import type { BatchWriter } from '../model/ports/batch-writer.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesTable } from '../model/series.ts'

export interface LogOptions {
  readonly dir: string
  readonly table: SeriesTable
  readonly writer: BatchWriter
  readonly producers: readonly Producer[]
  /** Most bytes of log on disk; past it `push` rejects `storage_full`. Default 4 GiB. */
  readonly maxBytes?: number
  /** A range is sealed at so many rows, or this long after its first row. Default 200,000 and 1 s. */
  readonly sealRows?: number
  readonly sealAfter?: Duration
  /** Stored rows that stay in the log, in bytes, so that a restart refills the head without the store. Default 128 MiB. */
  readonly keepBytes?: number
  /** Most bytes of rows not yet stored that stay in memory; older ranges are read back from disk. Default 256 MiB. */
  readonly memoryBytes?: number
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Called with each batch when it is on disk, in the order of the log, before `push` resolves. Must not throw. */
  readonly accepted: (batch: Batch) => void
  /** Called at start with every batch still in the log, stored or not, in order. */
  readonly replayed: (batch: Batch) => void
  readonly fs?: JournalFs
}

export interface Pending {
  /** Accepted and not known to be in the store, in the order of acceptance. */
  readonly batches: readonly Batch[]
  /** Times between which samples wait for the store that are only on disk, so much is waiting; null when `batches` is all there is. */
  readonly missing: { readonly fromAt: Instant; readonly toAt: Instant } | null
}

export interface LogStats {
  readonly bytes: number
  readonly pendingRows: number
  readonly pendingRanges: number
  /** Why the store takes nothing now; null while it does. */
  readonly failing: string | null
}

export interface WriteLog extends Sink<Batch>, Service {
  pending(): Pending
  stats(): LogStats
  /** Seals what is open and resolves when everything accepted before the call is stored or set aside. */
  flush(signal: AbortSignal): Promise<void>
  /** After `start`: every accepted sample newer than this was given to `replayed`. */
  heldFromAt(): Instant
}
