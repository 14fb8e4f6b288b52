// The head, the rows on their way to the store, and the store, read as one: nothing missing, nothing twice, never silently partial.
import { AppError } from '../lib/errors.ts'
import { type Instant, instant } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import { type Labels, labelsKey } from '../model/labels.ts'
import { decodeHistogram } from '../model/native-histogram.ts'
import { rowBytes } from '../model/packed-rows.ts'
import type { Scan } from '../model/plan.ts'
import type { TimeSpan } from '../model/ports/series-index.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { SeriesTable } from '../model/series.ts'
import { ColumnsBuilder } from './columns-builder.ts'
import type { Head } from './head.ts'
import { overLimit } from './over-limit.ts'

export interface WholeReaderOptions {
  readonly head: Pick<Head, 'scan' | 'coveredFromAt' | 'index' | 'table'>
  readonly store: SeriesReader
  /** Rows accepted and not known to be stored, in the order of acceptance; `missing` = between these times more of them are only on disk. */
  readonly pending: () => { readonly batches: readonly Batch[]; readonly missing: TimeSpan | null }
}

/**
 * A plan within the head's coverage never touches the store. Any other reads the store up to where the head begins and the head from there
 * on. Rows on their way are noted before the store is asked: whatever is stored in between is then known twice and counted once. Throws
 * `unavailable` when the store is needed and away, or when rows that only the log's disk holds would be missing.
 */
export const createWholeReader = (options: WholeReaderOptions): SeriesReader => {
  const { head } = options
  const read = async function* (plan: Scan, signal: AbortSignal): AsyncGenerator<SeriesColumns> {
    signal.throwIfAborted()
    if (plan.fromAt >= head.coveredFromAt()) {
      const columns = head.scan(plan)
      if (columns) yield columns
      return
    }
    yield* readBoth(options, plan, signal)
  }
  return { read }
}

async function* readBoth(
  options: WholeReaderOptions,
  plan: Scan,
  signal: AbortSignal,
): AsyncGenerator<SeriesColumns> {
  const { head, store, pending } = options
  const { batches, missing } = pending()
  const border = instant(Math.min(plan.toAt, Math.max(plan.fromAt, head.coveredFromAt())))
  if (missing && missing.toAt > plan.fromAt && missing.fromAt <= border)
    throw new AppError(
      'unavailable',
      'the store is behind: rows of this window wait on disk to be stored; try again later',
      {
        retryAfter: 5000,
      },
    )
  const recent = copyOf(border < plan.toAt ? head.scan({ ...plan, fromAt: border }) : null)
  let newer: NewerRows | null = null
  // Only once the store has answered: while it is away there may be much to look through, for nothing.
  const newerRows = (): NewerRows => {
    newer ??= new NewerRows(recent, lateRows(head, batches, plan, border))
    return newer
  }
  const count = { series: 0, samples: 0 }
  const checked = (columns: SeriesColumns): SeriesColumns => {
    count.series += columns.labels.length
    count.samples += samplesIn(columns)
    if (count.series > plan.limits.series) throw overLimit(plan, true)
    if (count.samples > plan.limits.samples) throw overLimit(plan, false)
    return columns
  }
  for await (const older of store.read({ ...plan, toAt: border }, signal)) {
    const rows = newerRows()
    yield checked(rows.empty ? older : joined(older, rows, plan))
  }
  const rest = newerRows().rest(plan)
  if (rest) yield checked(rest)
}

const samplesIn = ({ start, end, histograms }: SeriesColumns): number => {
  let samples = 0
  for (const run of histograms ?? []) samples += run?.at.length ?? 0
  for (let s = 0; s < end.length; s++) samples += end[s]! - start[s]!
  return samples
}

/** The head's samples as they are now: its memory moves while the store answers. */
const copyOf = (columns: SeriesColumns | null): SeriesColumns | null => {
  if (!columns) return null
  const out = new ColumnsBuilder(samplesIn(columns))
  for (let s = 0; s < columns.labels.length; s++) {
    out.copy(columns.at, columns.value, columns.start[s]!, columns.end[s]!)
    out.histograms(columns.histograms?.[s])
    out.end(columns.labels[s]!)
  }
  return out.build()
}

const spans = new WeakMap<Batch, { fromAt: number; toAt: number }>()
const spanOf = (batch: Batch): { fromAt: number; toAt: number } => {
  let span = spans.get(batch)
  if (span) return span
  span = { fromAt: Number.POSITIVE_INFINITY, toAt: Number.NEGATIVE_INFINITY }
  for (const times of [batch.at, batch.histograms?.at ?? []])
    for (let i = 0; i < times.length; i++) {
      if (times[i]! < span.fromAt) span.fromAt = times[i]!
      if (times[i]! > span.toAt) span.toAt = times[i]!
    }
  spans.set(batch, span)
  return span
}

/** A row on its way: a sample of its batch, or one of its histograms. */
interface Late {
  readonly at: number
  readonly batch: Batch
  readonly i: number
  readonly histogram: boolean
}

/** Rows on their way that match and lie in `(fromAt, border]`, by series, the first accepted of each time, ascending. */
const lateRows = (
  head: { readonly index: Head['index']; readonly table: SeriesTable },
  batches: readonly Batch[],
  plan: Scan,
  border: Instant,
): Map<Labels, Late[]> => {
  const found = new Map<number, Map<number, Late>>()
  const wanted = new Uint8Array(head.table.size)
  for (const ref of head.index.matching(plan.matchers)) wanted[ref] = 1
  for (const batch of batches) {
    const span = spanOf(batch)
    if (span.toAt <= plan.fromAt || span.fromAt > border) continue
    const take = (refs: Uint32Array, times: Float64Array, histogram: boolean): void => {
      for (let i = 0; i < refs.length; i++) {
        const at = times[i]!
        if (at <= plan.fromAt || at > border || wanted[refs[i]!] !== 1) continue
        const known = found.getOrInsertComputed(refs[i]!, () => new Map())
        if (!known.has(at)) known.set(at, { at, batch, i, histogram })
      }
    }
    take(batch.ref, batch.at, false)
    if (batch.histograms) take(batch.histograms.ref, batch.histograms.at, true)
  }
  const out = new Map<Labels, Late[]>()
  for (const [ref, times] of found)
    out.set(
      head.table.labels(ref),
      [...times.values()].sort((a, b) => a.at - b.at),
    )
  return out
}

/** A series' histograms: those of the store and those on their way by time, then the head's. */
const joinedRun = (
  older: HistogramRun | undefined,
  late: readonly Late[],
  recent: HistogramRun | undefined,
): HistogramRun | undefined => {
  if (late.length === 0 && (!older || !recent)) return older ?? recent
  const all = late.map(({ at, batch, i }) => ({ at, value: decodeHistogram(rowBytes(batch.histograms!, i)) }))
  for (const run of [older, recent])
    for (const [i, value] of (run?.value ?? []).entries()) all.push({ at: run!.at[i]!, value })
  all.sort((a, b) => a.at - b.at)
  return { at: Float64Array.from(all, (s) => s.at), value: all.map((s) => s.value) }
}

/** What comes after the store's samples, looked up by label set and handed out once. */
class NewerRows {
  readonly #recent: SeriesColumns | null
  readonly #late: Map<Labels, Late[]>
  /** Label sets mostly are the same array; where a store makes its own, their text finds them. */
  readonly #left = new Map<Labels, number>()
  #byText: Map<string, Labels> | null = null

  constructor(recent: SeriesColumns | null, late: Map<Labels, Late[]>) {
    this.#recent = recent
    this.#late = late
    for (const labels of late.keys()) this.#left.set(labels, -1)
    recent?.labels.forEach((labels, s) => {
      this.#left.set(labels, s)
    })
  }

  get empty(): boolean {
    return this.#left.size === 0
  }
  /** About how many samples `series` of them have. */
  samples(series: number): number {
    const recent = this.#recent
    if (!recent) return 0
    // A little more, because growing by one sample costs twice the memory of all.
    return Math.ceil(recent.at.length * Math.min(1, (series * 1.1) / recent.labels.length)) + 64
  }

  #own(labels: Labels): Labels | null {
    if (this.#left.has(labels)) return labels
    this.#byText ??= new Map([...this.#left.keys()].map((l) => [labelsKey(l), l]))
    const same = this.#byText.get(labelsKey(labels))
    return same && this.#left.has(same) ? same : null
  }

  /** Adds what there is of this series behind the `older` samples, which win where times meet. */
  take(labels: Labels, older: SeriesColumns | null, s: number, into: ColumnsBuilder): void {
    const own = this.#own(labels)
    const start = older ? older.start[s]! : 0
    const end = older ? older.end[s]! : 0
    const late = own ? (this.#late.get(own) ?? []) : []
    let from = start
    const stored = older?.histograms?.[s]
    const held = new Set(stored?.at)
    const histograms: Late[] = []
    for (const row of late) {
      const { at, batch, i } = row
      let to = from
      while (to < end && older!.at[to]! < at) to++
      if (older) into.copy(older.at, older.value, from, to)
      from = to
      if ((from < end && older!.at[from] === at) || held.has(at)) continue
      if (row.histogram) histograms.push(row)
      else into.copy(batch.at, batch.value, i, i + 1)
    }
    if (older) into.copy(older.at, older.value, from, end)
    const r = own ? this.#left.get(own)! : -1
    if (own) this.#left.delete(own)
    const recent = r >= 0 ? this.#recent!.histograms?.[r] : undefined
    into.histograms(joinedRun(stored, histograms, recent))
    if (r >= 0)
      into.copy(this.#recent!.at, this.#recent!.value, this.#recent!.start[r]!, this.#recent!.end[r]!)
  }

  rest(plan: Scan): SeriesColumns | null {
    if (this.empty) return null
    const out = new ColumnsBuilder(this.samples(this.#left.size))
    for (const labels of [...this.#left.keys()]) {
      this.take(labels, null, 0, out)
      out.end(labels, plan.pick === 'last')
    }
    return out.build()
  }
}

const joined = (older: SeriesColumns, newer: NewerRows, plan: Scan): SeriesColumns => {
  const out = new ColumnsBuilder(samplesIn(older) + newer.samples(older.labels.length))
  for (let s = 0; s < older.labels.length; s++) {
    newer.take(older.labels[s]!, older, s, out)
    out.end(older.labels[s]!, plan.pick === 'last')
  }
  return out.build()
}
