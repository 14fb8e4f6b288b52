// Exemplars as they are kept and read: the newest in memory, older ones in the store, none twice.
import { AppError } from '../lib/errors.ts'
import { type Instant, instant } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import type { Exemplar, SeriesExemplars } from '../model/exemplar.ts'
import { labelsKey } from '../model/labels.ts'
import { countRows, rowBytes, type SeriesRows } from '../model/packed-rows.ts'
import type { ExemplarReader, ExemplarsFound } from '../model/ports/exemplars.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { SeriesIndex, TimeSpan } from '../model/ports/series-index.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { ExemplarRing } from './exemplar-ring.ts'

interface ExemplarsDeps {
  /** Most exemplars in memory. */
  readonly most: number
  readonly table: SeriesTable
  readonly index: SeriesIndex
  /** Older ones: up to `limit` of the newest within the span. */
  readonly store: (
    query: { readonly refs: readonly SeriesRef[]; readonly span: TimeSpan; readonly limit: number },
    each: (ref: SeriesRef, exemplar: Exemplar) => void,
    signal: AbortSignal,
  ) => Promise<void>
  readonly metrics: Metrics
}

export interface Exemplars extends ExemplarReader {
  /** The batch without exemplars that are not newer than the last one known of their series: scrapes tell the same ones again and again. */
  admit(batch: Batch): Batch
  /** Takes in what is safe on disk. */
  append(batch: Batch): void
  /** Says that every exemplar accepted later than `at` was given to `append`. */
  coverFrom(at: Instant): void
}

/** Most exemplars in one answer, and most series looked at for one. */
const mostAnswered = 10_000
const mostSeries = 20_000
/** When a series was last seen is known from its samples, after a restart to an hour: exemplars may lie that much beside. */
const slack = 2 * 3_600_000

export const createExemplars = (deps: ExemplarsDeps): Exemplars => {
  const { table, index, store, metrics } = deps
  const ring = new ExemplarRing(deps.most)
  let coverAt = Number.POSITIVE_INFINITY
  const kept = metrics.gauge('airboss_exemplars', 'Exemplars in memory.')
  const passed = metrics.counter(
    'airboss_duplicate_exemplars_total',
    'Exemplars that were not newer than the last one of their series; they are left out.',
  )

  const covered = (): number => Math.max(coverAt, ring.lostAt)

  const read = async (
    selectors: Parameters<ExemplarReader['read']>[0],
    span: TimeSpan,
    signal: AbortSignal,
  ): Promise<ExemplarsFound> => {
    const seen = { fromAt: instant(span.fromAt - slack), toAt: instant(span.toAt + slack) }
    const refs = [...new Set(selectors.flatMap((matchers) => index.select(matchers, seen)))]
    const found = new Answer()
    const from = covered()
    for (const ref of refs) for (const exemplar of ring.read(ref, span)) found.add(ref, exemplar)
    if (span.fromAt <= from && refs.length > 0) {
      if (refs.length > mostSeries)
        throw new AppError(
          'limit_exceeded',
          `${refs.length} series match, exemplars of at most ${mostSeries} are read from the store; narrow the selector`,
        )
      const older = { fromAt: span.fromAt, toAt: instant(Math.min(span.toAt, from)) }
      const query = { refs, span: older, limit: mostAnswered + 1 }
      await store(query, (ref, exemplar) => found.add(ref, exemplar), signal)
    }
    return found.build(table)
  }

  return {
    read,
    admit: (batch) => {
      const { exemplars } = batch
      if (!exemplars || countRows(exemplars) === 0) return batch
      const keep: number[] = []
      for (let i = 0; i < exemplars.ends.length; i++)
        if (exemplars.at[i]! > ring.newestAt(exemplars.ref[i]!)) keep.push(i)
      const left = exemplars.ends.length - keep.length
      if (left === 0) return batch
      passed.add(left)
      return { ...batch, exemplars: only(exemplars, keep) }
    },
    append: ({ exemplars }) => {
      if (!exemplars) return
      ring.take(exemplars)
      kept.set(ring.size)
    },
    coverFrom: (at) => {
      coverAt = at
    },
  }
}

const only = (rows: SeriesRows, keep: readonly number[]): SeriesRows | undefined => {
  if (keep.length === 0) return undefined
  const parts = keep.map((i) => rowBytes(rows, i))
  let end = 0
  const ends = Uint32Array.from(parts, (part) => {
    end += part.length
    return end
  })
  const bytes = new Uint8Array(end)
  for (const [i, part] of parts.entries()) bytes.set(part, ends[i]! - part.length)
  return {
    ref: Uint32Array.from(keep, (i) => rows.ref[i]!),
    at: Float64Array.from(keep, (i) => rows.at[i]!),
    bytes,
    ends,
  }
}

/** Gathers exemplars by series; of two that are equal one stays. */
class Answer {
  readonly #bySeries = new Map<SeriesRef, Map<string, Exemplar>>()

  add(ref: SeriesRef, exemplar: Exemplar): void {
    const known = this.#bySeries.getOrInsertComputed(ref, () => new Map())
    const key = `${exemplar.at} ${exemplar.value} ${labelsKey(exemplar.labels)}`
    if (!known.has(key)) known.set(key, exemplar)
  }

  build(table: SeriesTable): ExemplarsFound {
    const all = [...this.#bySeries].flatMap(([ref, list]) => [...list.values()].map((e) => ({ ref, e })))
    const truncated = all.length > mostAnswered
    const given = truncated ? all.sort((a, b) => b.e.at - a.e.at).slice(0, mostAnswered) : all
    const bySeries = new Map<SeriesRef, Exemplar[]>()
    for (const { ref, e } of given) bySeries.getOrInsertComputed(ref, () => []).push(e)
    const series: SeriesExemplars[] = [...bySeries].map(([ref, list]) => ({
      series: table.labels(ref),
      exemplars: list.sort((a, b) => a.at - b.at),
    }))
    return { series: series.sort((a, b) => compare(a.series, b.series)), truncated }
  }
}

/** The order of label sets as Prometheus has it: name, value, name, value. */
const compare = (a: readonly string[], b: readonly string[]): number => {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i]! < b[i]!) return -1
    if (a[i]! > b[i]!) return 1
  }
  return a.length - b.length
}
