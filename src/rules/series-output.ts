// What rules write: samples and stale markers collected into one batch, put into the sink at once.
import { AppError } from '../lib/errors.ts'
import { RowWriter } from '../lib/row-binary.ts'
import type { Instant } from '../lib/time.ts'
import { type Batch, staleMarker } from '../model/batch.ts'
import { labelOf, metricName } from '../model/labels.ts'
import { encodeHistogram, type NativeHistogram } from '../model/native-histogram.ts'
import type { SeriesRows } from '../model/packed-rows.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import type { Recorded } from './recording.ts'

/** One evaluation's samples of one rule, not yet pushed. */
interface Pending {
  readonly owner: object
  readonly ref: SeriesRef
  readonly at: Instant
  readonly value: number | NativeHistogram
  readonly stale: boolean
}

export class SeriesOutput {
  readonly #table: SeriesTable
  #pending: Pending[] = []
  readonly #names = new Set<string>()
  samples = 0

  constructor(table: SeriesTable) {
    this.#table = table
  }

  /** Metric names that are waiting to be pushed: a rule that reads one of them must wait for the push. */
  get names(): ReadonlySet<string> {
    return this.#names
  }
  get size(): number {
    return this.#pending.length
  }

  /**
   * Takes what a rule returned at `at`, and marks the series it returned before and does not now as stale. Gives the references now
   * live. Series past the table's limit are left out and counted in `refused`.
   */
  add(
    owner: object,
    series: readonly Recorded[],
    before: ReadonlySet<SeriesRef>,
    at: Instant,
  ): { live: ReadonlySet<SeriesRef>; refused: number } {
    const live = new Set<SeriesRef>()
    let refused = 0
    for (const { labels, value } of series) {
      const ref = this.#table.intern(labels, true)
      if (ref < 0) {
        refused++
        continue
      }
      live.add(ref)
      this.#put(owner, ref, at, value, false)
    }
    for (const ref of before) if (!live.has(ref)) this.#put(owner, ref, at, 0, true)
    return { live, refused }
  }

  #put(owner: object, ref: SeriesRef, at: Instant, value: number | NativeHistogram, stale: boolean): void {
    this.#pending.push({ owner, ref, at, value, stale })
    this.#names.add(labelOf(this.#table.labels(ref), metricName))
    this.samples++
  }

  /** The batch of all that was added since the last call, and the rules it came from; null when there is none. */
  take(): { batch: Batch; owners: ReadonlySet<object> } | null {
    const all = this.#pending
    if (all.length === 0) return null
    const rows = all.filter((row) => typeof row.value === 'number')
    const batch: Batch = {
      ref: Uint32Array.from(rows, (r) => r.ref),
      at: Float64Array.from(rows, (r) => r.at),
      value: Float64Array.from(rows, (r) => r.value as number),
      metadata: [],
      events: [],
      costs: [],
      histograms: histogramRows(all),
    }
    for (const [i, row] of rows.entries()) if (row.stale) staleMarker(batch.value, i)
    this.#pending = []
    this.#names.clear()
    return { batch, owners: new Set(all.map((r) => r.owner)) }
  }
}

const histogramRows = (all: readonly Pending[]): SeriesRows | undefined => {
  const own = all.filter((row) => typeof row.value === 'object')
  if (own.length === 0) return undefined
  const rows = new RowWriter(own.length * 256)
  const ends = own.map((row) => {
    encodeHistogram(row.value as NativeHistogram, rows)
    return rows.length
  })
  return {
    ref: Uint32Array.from(own, (r) => r.ref),
    at: Float64Array.from(own, (r) => r.at),
    ends: Uint32Array.from(ends),
    bytes: rows.bytes(),
  }
}

export const refusedError = (refused: number, table: SeriesTable): AppError =>
  new AppError(
    'limit_exceeded',
    `${refused} series could not be written: the limit of series is reached (${table.size}); raise storage.max_series or record fewer labels`,
  )
