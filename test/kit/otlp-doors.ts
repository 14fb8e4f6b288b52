// OTLP's receivers as they are wired, with a sink, a clock and metrics of a test's choosing.
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { day } from '../../src/lib/time.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { SeriesTable } from '../../src/model/series.ts'
import type { Wanted } from '../../src/model/span-rows.ts'
import { otlpSchema } from '../../src/receive/otlp/config.ts'
import { DeltaState } from '../../src/receive/otlp/delta.ts'
import { createOtlpIngest, type OtlpIngest } from '../../src/receive/otlp/ingest.ts'
import {
  createSignalIngest,
  type SignalIngest,
  type SignalIngestDeps,
} from '../../src/receive/otlp/signal-ingest.ts'
import { fakeMetrics } from './metrics.ts'

interface Options extends Partial<Omit<SignalIngestDeps, 'config'>> {
  readonly config?: object
  readonly table?: SeriesTable
  readonly delta?: DeltaState
}

/** Both ingests; what is not given is as in the product, with nothing remembered of spans and nothing wanted of them. */
export const otlpDoors = (options: Options = {}): { ingest: OtlpIngest; items: SignalIngest } => {
  const table = options.table ?? new SeriesTable(10_000)
  const wanted: Wanted = options.wanted ?? (() => false)
  const common = {
    config: otlpSchema.parse(options.config ?? {}),
    sink: options.sink ?? { push: async () => {} },
    clock: options.clock ?? systemClock,
    log: silentLogger(),
    metrics: options.metrics ?? fakeMetrics(),
  }
  return {
    ingest: createOtlpIngest({
      ...common,
      table,
      delta: options.delta ?? new DeltaState({ table }),
      limits: defaultAdmission,
    }),
    items: createSignalIngest({
      ...common,
      maxAge: options.maxAge ?? { traces: 7 * day, logs: 7 * day },
      maxAhead: options.maxAhead ?? 600_000,
      wanted,
      accepted: options.accepted ?? (() => false),
    }),
  }
}
