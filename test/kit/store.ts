// A store over a real embedded engine in a directory of its own, for tests and measurements.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import type { Instant } from '../../src/lib/time.ts'
import { labelsTest } from '../../src/model/matcher.ts'
import type { SeriesIndex } from '../../src/model/ports/series-index.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createEngine, type Engine } from '../../src/store/engine/supervisor.ts'
import { retentionSchema } from '../../src/store/schema.ts'
import { createStore, type Store } from '../../src/store/store.ts'
import { fakeMetrics } from './metrics.ts'

/** Every series of a table that matches, whatever the span. */
export const wholeIndex = (table: SeriesTable): SeriesIndex => ({
  select: (matchers) => {
    const test = labelsTest(matchers)
    return Array.from({ length: table.size }, (_, ref) => ref).filter((ref) => test(table.labels(ref)))
  },
  names: () => [],
  values: () => [],
})

export const testEngine = async (
  dir = mkdtempSync(join(tmpdir(), 'airboss-store-')),
): Promise<Engine & { dir: string; remove(): Promise<void> }> => {
  const engine = createEngine({
    dir,
    memoryBytes: 2 * 1024 ** 3,
    clock: systemClock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await engine.start()
  const remove = async (): Promise<void> => {
    await engine.drain()
    rmSync(dir, { recursive: true, force: true })
  }
  return Object.assign(engine, { dir, remove })
}

let databases = 0
/** A store in a fresh database of an engine. */
export const testStore = async (
  engine: Pick<Engine, 'url' | 'credentials'>,
  options: { table?: SeriesTable; database?: string; metricsFor?: string; index?: SeriesIndex } = {},
): Promise<{ store: Store; table: SeriesTable; database: string }> => {
  const table = options.table ?? new SeriesTable(1_000_000)
  const database = options.database ?? `test_${process.pid}_${++databases}`
  const store = createStore({
    url: () => engine.url(),
    credentials: engine.credentials,
    database,
    table,
    index: options.index ?? wholeIndex(table),
    clock: systemClock,
    log: silentLogger(),
    metrics: fakeMetrics(),
    retention: retentionSchema.parse({ metrics: options.metricsFor ?? '10y', events: '10y', costs: '10y' }),
  })
  await store.migrate(new AbortController().signal)
  return { store, table, database }
}

export const never = new AbortController().signal
export const at = (ms: number): Instant => ms as Instant
