// Every script in this folder is run over a plain reader in memory, the head, ClickHouse, and a short head over ClickHouse.
import { globSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createHead } from '../../src/head/head.ts'
import { createWholeReader } from '../../src/head/whole-reader.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { day, duration, hour, instant, minute } from '../../src/lib/time.ts'
import { sampleBatch, staleMarker, wordsOf } from '../../src/model/batch.ts'
import type { SeriesColumns } from '../../src/model/columns.ts'
import { type Labels, labelsOf } from '../../src/model/labels.ts'
import type { Querier } from '../../src/model/ports/querier.ts'
import type { SeriesReader } from '../../src/model/ports/series-reader.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createQuerier } from '../../src/query/querier.ts'
import { FakeClock } from '../kit/clock.ts'
import { createMemoryReader, type Sample } from '../kit/memory-reader.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { histogramRows } from '../kit/native-histograms.ts'
import { runScript, type ScriptStore } from '../kit/promql-script.ts'
import { never, testEngine, testStore } from '../kit/store.ts'

const scripts = globSync(join(import.meta.dirname, '*.test')).sort()
const dayOfScripts = Date.parse('2026-01-01T00:00:00Z')
const epochLabel = '__epoch__'

let engine: Awaited<ReturnType<typeof testEngine>>
beforeAll(async () => {
  engine = await testEngine()
})
afterAll(async () => {
  await engine?.remove()
})

interface Way {
  readonly store: ScriptStore
  readonly reader: SeriesReader
  /** Resolves when everything added can be read. */
  readonly settle: () => Promise<void>
  readonly close: () => Promise<void>
}

/** A slice with the times and labels of the script. Its columns may be views of all the head's memory: only the series' own part is copied. */
const asLoaded = (slice: SeriesColumns): SeriesColumns => {
  const size = slice.labels.reduce((n, _, s) => n + slice.end[s]! - slice.start[s]!, 0)
  const at = new Float64Array(size)
  const value = new Float64Array(size)
  const start = new Uint32Array(slice.labels.length)
  const end = new Uint32Array(slice.labels.length)
  // Through words, so that no NaN loses its bits on the way.
  const [from, to] = [wordsOf(slice.value), wordsOf(value)]
  let n = 0
  const labels = slice.labels.map((all, s) => {
    start[s] = n
    to.set(from.subarray(slice.start[s]! * 2, slice.end[s]! * 2), n * 2)
    for (let i = slice.start[s]!; i < slice.end[s]!; i++) at[n++] = slice.at[i]! - dayOfScripts
    end[s] = n
    return all.filter((_, i) => all[i - (i % 2)] !== epochLabel)
  })
  const histograms = slice.histograms?.map(
    (run) => run && { ...run, at: run.at.map((t) => t - dayOfScripts) },
  )
  return { labels, start, end, at, value, histograms }
}

/**
 * Scripts begin at time 0 and `clear` at will: below, their samples stand on a day of this century, and what was cleared has another epoch's
 * label, so that a store that forgets by age keeps them and nothing need be dropped.
 */
const placed = (inner: SeriesReader, epoch: () => number): SeriesReader => ({
  read: async function* (plan, signal) {
    const there = {
      ...plan,
      matchers: [...plan.matchers, { name: epochLabel, op: '=', value: String(epoch()) } as const],
      fromAt: instant(plan.fromAt + dayOfScripts),
      toAt: instant(plan.toAt + dayOfScripts),
    }
    for await (const slice of inner.read(there, signal)) yield asLoaded(slice)
  },
})

interface Loaded {
  readonly table: SeriesTable
  readonly epoch: () => number
  readonly store: ScriptStore
  /** Hands out what was added since, as one batch; null where there is nothing. */
  readonly take: () => ReturnType<typeof sampleBatch> | null
}

const loader = (): Loaded => {
  const table = new SeriesTable(1_000_000)
  let epoch = 0
  let rows: { ref: number; at: number; value: Sample['value'] }[] = []
  return {
    table,
    epoch: () => epoch,
    store: {
      add: (labels: Labels, samples: readonly Sample[]) => {
        const record: Record<string, string> = { [epochLabel]: String(epoch) }
        for (let i = 0; i < labels.length; i += 2) record[labels[i]!] = labels[i + 1]!
        const ref = table.intern(labelsOf(record))
        for (const s of samples) rows.push({ ref, at: s.at + dayOfScripts, value: s.value })
      },
      clear: () => {
        epoch++
      },
    },
    take: () => {
      if (rows.length === 0) return null
      const histograms = histogramRows(
        rows.flatMap((r) => (typeof r.value === 'object' ? [{ ...r, value: r.value }] : [])),
      )
      const floats = rows.filter((r) => typeof r.value !== 'object')
      const batch = sampleBatch(
        floats.map((r) => r.ref),
        floats.map((r) => r.at),
        floats.map((r) => (typeof r.value === 'number' ? r.value : 0)),
      )
      floats.forEach((r, i) => {
        if (r.value === 'stale') staleMarker(batch.value, i)
      })
      rows = []
      return { ...batch, histograms }
    },
  }
}

const headOf = (table: SeriesTable, window: number) => {
  const clock = new FakeClock(dayOfScripts + 2 * hour)
  const head = createHead({
    table,
    window: duration(window),
    maxBytes: 256 << 20,
    clock,
    metrics: fakeMetrics(),
  })
  head.coverFrom(instant(0))
  return head
}

const throughMemory = (): Way => {
  const reader = createMemoryReader()
  return { store: reader, reader, settle: async () => undefined, close: async () => undefined }
}

const throughHead = (): Way => {
  const { table, epoch, store, take } = loader()
  const head = headOf(table, 3650 * day)
  const settle = async (): Promise<void> => {
    const batch = take()
    if (batch) head.append(batch)
  }
  return { store, reader: placed(head, epoch), settle, close: async () => undefined }
}

const throughStore = async (window: number | null): Promise<Way> => {
  const { table, epoch, store, take } = loader()
  const { store: clickhouse } = await testStore(engine, { table })
  const head = headOf(table, window ?? minute)
  let token = 0
  const settle = async (): Promise<void> => {
    const batch = take()
    if (!batch) return
    head.append(batch)
    await clickhouse.writer.write(batch, `script-${token++}`, never)
  }
  const pending = () => ({ batches: [], missing: null })
  const reader =
    window === null ? clickhouse.reader : createWholeReader({ head, store: clickhouse.reader, pending })
  return { store, reader: placed(reader, epoch), settle, close: () => clickhouse.close() }
}

const querierOver = (reader: SeriesReader): Querier =>
  createQuerier({
    reader,
    clock: new FakeClock(),
    limits: { timeout: duration(60_000), series: 1_000_000, samples: 50_000_000, concurrency: 4 },
    lookback: duration(5 * minute),
    metrics: fakeMetrics(),
    log: silentLogger(),
  })

const settled = (querier: Querier, settle: () => Promise<void>): Querier => ({
  check: (expr) => querier.check(expr),
  instant: async (...asked) => {
    await settle()
    return querier.instant(...asked)
  },
  range: async (...asked) => {
    await settle()
    return querier.range(...asked)
  },
})

const ways: readonly (readonly [string, () => Way | Promise<Way>])[] = [
  ['memory', throughMemory],
  ['the head', throughHead],
  ['ClickHouse', () => throughStore(null)],
  // Now is two hours after a script begins, so the border lies in the midst of its samples.
  ['a head of 105 minutes over ClickHouse', () => throughStore(105 * minute)],
]

it('finds the scripts', () => {
  const names = scripts.map((s) => basename(s))
  expect(names).toEqual(expect.arrayContaining(['functions.test', 'operators.test', 'readers.test']))
})

describe.each(scripts.map((file) => [basename(file), file] as const))('%s', (_, file) => {
  it.concurrent.each(ways)('holds through %s', { timeout: 60_000 }, async (_, make) => {
    const way = await make()
    const { wrong, evals } = await runScript(
      readFileSync(file, 'utf8'),
      way.store,
      settled(querierOver(way.reader), way.settle),
    )
    await way.close()
    expect(wrong).toEqual([])
    expect(evals).toBeGreaterThan(0)
  })
})
