// `airboss migrate`: brings ClickHouse's tables up to this version, and stops.

import { systemClock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { minute } from '../lib/time.ts'
import { SeriesTable } from '../model/series.ts'
import type { Settings } from './config.ts'
import { lockData } from './data-lock.ts'
import { createOwnMetrics } from './own-metrics.ts'
import { makeStore } from './wire-keep.ts'

/** Nothing is read, so no series are looked up. */
const noSeries = { select: () => [], names: () => [], values: () => [] }

const words = (applied: readonly number[], where: string): string =>
  applied.length === 0
    ? `${where}: the tables are up to date`
    : `${where}: applied ${applied.length === 1 ? 'version' : 'versions'} ${applied.join(', ')}`

/** Gives in words what was applied. Throws what the store says; `conflict` while an Airboss runs on the same data. */
export const migrateStore = async (settings: Settings, log: Logger, stop: AbortSignal): Promise<string> => {
  const { storage } = settings.config
  const lock = storage.clickhouse ? null : await lockData(settings.dataDir)
  const { engine, store } = makeStore(
    {
      settings,
      clock: systemClock,
      log,
      metrics: createOwnMetrics(),
      table: new SeriesTable(storage.max_series),
    },
    noSeries,
  )
  try {
    await engine?.start()
    const applied = await store.migrate(systemClock.timeout(minute, stop))
    return words(applied, storage.clickhouse?.url ?? settings.dataDir)
  } finally {
    await store.close()
    await engine?.drain()
    lock?.release()
  }
}
