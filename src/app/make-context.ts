// What every stage is handed: clock, log, metrics, the table of series and its limits.
import { systemClock } from '../lib/clock.ts'
import { createHttp } from '../lib/http.ts'
import type { Logger } from '../lib/log.ts'
import { defaultAdmission } from '../model/batch-builder.ts'
import { Cardinality } from '../model/cardinality.ts'
import { MetadataTable } from '../model/metadata-table.ts'
import { SeriesTable } from '../model/series.ts'
import type { Settings } from './config.ts'
import type { Context } from './context.ts'
import { createOwnMetrics } from './own-metrics.ts'
import { version } from './package-root.ts'
import { createTracing } from './tracing.ts'

/** Series beyond storage.max_series that Airboss may make of its own. */
const ownSeries = 10_000

const makeCardinality = ({ config }: Settings, table: SeriesTable): Cardinality => {
  const { per_metric: perMetric, per_source: perSource, overrides } = config.storage.cardinality
  return new Cardinality(table, { perMetric, perSource, ...overrides })
}

export const makeContext = (
  settings: Settings,
  log: Logger,
  stop: AbortSignal,
  externalURL: () => string,
): Context => {
  const { storage } = settings.config
  const clock = systemClock
  const metrics = createOwnMetrics()
  const table = new SeriesTable(storage.max_series, ownSeries)
  const cardinality = makeCardinality(settings, table)
  return {
    settings,
    clock,
    log,
    metrics,
    tracing: createTracing({
      config: settings.config.tracing,
      version,
      clock,
      log: log.child({ room: 'tracing' }),
      metrics,
    }),
    send: createHttp().send,
    table,
    cardinality,
    metadata: new MetadataTable(),
    limits: {
      ...defaultAdmission,
      maxAge: storage.out_of_order_time_window,
      maxAhead: storage.max_ahead,
      labels: storage.max_labels,
      cardinality,
    },
    startedAt: clock.now(),
    externalURL,
    stop,
  }
}
