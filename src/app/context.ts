// What every stage is made with.
import type { Clock } from '../lib/clock.ts'
import type { HttpSend } from '../lib/http.ts'
import type { Logger } from '../lib/log.ts'
import type { Instant } from '../lib/time.ts'
import type { AdmissionLimits } from '../model/batch-builder.ts'
import type { Cardinality } from '../model/cardinality.ts'
import type { MetadataTable } from '../model/metadata-table.ts'
import type { SeriesTable } from '../model/series.ts'
import type { Settings } from './config.ts'
import type { OwnMetrics } from './own-metrics.ts'
import type { Tracing } from './tracing.ts'

export interface Context {
  readonly settings: Settings
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: OwnMetrics
  readonly send: HttpSend
  readonly table: SeriesTable
  readonly cardinality: Cardinality
  readonly metadata: MetadataTable
  readonly limits: AdmissionLimits
  readonly tracing: Tracing
  readonly startedAt: Instant
  /** How people reach this Airboss: stands in pages and links; known for certain once the console listens. */
  readonly externalURL: () => string
  /** Aborted when the process is to end. */
  readonly stop: AbortSignal
}
