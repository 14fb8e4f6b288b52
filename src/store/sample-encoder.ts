// Turns the samples of a batch into Native blocks, and finds on the way which series rows must be written first.
import { type Batch, wordsOf } from '../model/batch.ts'
import type { SeriesRows } from '../model/packed-rows.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { nativeBlock } from './native.ts'

/** Rows an insert carries at most. */
export const insertRows = 200_000
/** A server refuses an insert into more partitions (days) than this. */
const partitions = 100
const dayMillis = 86_400_000
/** Range of DateTime64(3). */
const earliest = -2_208_988_800_000
const latest = 10_413_791_999_999

/** Rows of a batch that one insert takes: `null` for all in order, or their positions. */
export interface Slice {
  readonly rows: Uint32Array | null
  readonly from: number
  readonly to: number
}

/** The first row whose time no column can hold; -1 when all are good. */
export const firstBadTime = (at: Float64Array): number => {
  for (let i = 0; i < at.length; i++) if (!(at[i]! >= earliest && at[i]! <= latest)) return i
  return -1
}

/** Grows with the table of series; `undefined`-free lookups by reference. */
export class SeenSeries {
  /** Last time each series was seen by the batch being looked at, and by which batch. */
  #lastAt = new Float64Array(1024)
  #round = new Uint32Array(1024)
  /** What the store says of each series' last_seen; NaN when it has no row. */
  #storedAt = new Float64Array(1024).fill(Number.NaN)
  #rounds = 0
  /** Series whose row says that they have histograms. */
  readonly #histograms = new Set<SeriesRef>()

  #grow(size: number): void {
    if (size <= this.#lastAt.length) return
    const wider = Math.max(size, this.#lastAt.length * 2)
    const lastAt = new Float64Array(wider)
    lastAt.set(this.#lastAt)
    const round = new Uint32Array(wider)
    round.set(this.#round)
    const storedAt = new Float64Array(wider).fill(Number.NaN)
    storedAt.set(this.#storedAt)
    this.#lastAt = lastAt
    this.#round = round
    this.#storedAt = storedAt
  }

  stored(ref: SeriesRef, lastSeenAt: number, histograms: boolean): void {
    this.#grow(ref + 1)
    this.#storedAt[ref] = lastSeenAt
    if (histograms) this.#histograms.add(ref)
  }

  /** Adds to `write` the series of a batch's histograms that must be written: also those whose row does not speak of any yet. */
  lookHistograms(
    { ref, at }: SeriesRows,
    tableSize: number,
    every: number,
    write: Map<SeriesRef, { firstAt: number; lastAt: number }>,
  ): void {
    this.#grow(tableSize)
    for (let i = 0; i < ref.length; i++) {
      const r = ref[i]!
      const t = at[i]!
      if (this.#histograms.has(r) && t < this.#storedAt[r]! + every) continue
      const known = write.get(r)
      if (!known) write.set(r, { firstAt: t, lastAt: t })
      else {
        known.firstAt = Math.min(known.firstAt, t)
        known.lastAt = Math.max(known.lastAt, t)
      }
    }
  }

  /**
   * Looks at a batch once. `write`: series without a row, or whose last_seen is older than `every` ms. `suspects`: series with a sample that is
   * not later than the one before it, so that one of two for the same time may have to go.
   */
  look(
    batch: Batch,
    tableSize: number,
    every: number,
  ): { write: Map<SeriesRef, { firstAt: number; lastAt: number }>; suspects: Set<SeriesRef> } {
    this.#grow(tableSize)
    const round = ++this.#rounds
    const { ref, at } = batch
    const write = new Map<SeriesRef, { firstAt: number; lastAt: number }>()
    const suspects = new Set<SeriesRef>()
    const lastAt = this.#lastAt
    const rounds = this.#round
    const storedAt = this.#storedAt
    for (let i = 0; i < ref.length; i++) {
      const r = ref[i]!
      const t = at[i]!
      if (rounds[r] === round && t <= lastAt[r]!) suspects.add(r)
      else {
        rounds[r] = round
        lastAt[r] = t
      }
      // True for NaN too: no row yet.
      if (!(t < storedAt[r]! + every)) {
        const known = write.get(r)
        if (!known) write.set(r, { firstAt: t, lastAt: t })
        else {
          if (t < known.firstAt) known.firstAt = t
          if (t > known.lastAt) known.lastAt = t
        }
      }
    }
    return { write, suspects }
  }
}

/** Rows to keep when the first of several samples for one series and time wins; null when all may stay. */
const firstOnly = (batch: Batch, suspects: ReadonlySet<SeriesRef>): Uint32Array | null => {
  if (suspects.size === 0) return null
  const seen = new Map<SeriesRef, Set<number>>()
  const keep = new Uint32Array(batch.ref.length)
  let n = 0
  for (let i = 0; i < batch.ref.length; i++) {
    const r = batch.ref[i]!
    if (suspects.has(r)) {
      const times = seen.get(r) ?? new Set()
      if (times.has(batch.at[i]!)) continue
      seen.set(r, times.add(batch.at[i]!))
    }
    keep[n++] = i
  }
  return n === batch.ref.length ? null : keep.slice(0, n)
}

/** Cuts a batch into inserts: at most 200k rows and 100 days each, always the same cuts for the same batch. */
export const slicesOf = (batch: Batch, suspects: ReadonlySet<SeriesRef>): Slice[] => {
  let rows = firstOnly(batch, suspects)
  const { at } = batch
  const count = rows?.length ?? at.length
  if (count === 0) return []
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (let i = 0; i < at.length; i++) {
    if (at[i]! < low) low = at[i]!
    if (at[i]! > high) high = at[i]!
  }
  const group = (t: number): number => Math.floor(Math.floor(t / dayMillis) / partitions)
  const cuts: Slice[] = []
  const cut = (from: number, to: number): void => {
    for (let i = from; i < to; i += insertRows) cuts.push({ rows, from: i, to: Math.min(i + insertRows, to) })
  }
  if (group(low) === group(high)) {
    cut(0, count)
    return cuts
  }
  rows = Uint32Array.from(rows ?? at.keys()).sort((a, b) => group(at[a]!) - group(at[b]!) || a - b)
  let from = 0
  for (let i = 1; i <= count; i++) {
    if (i < count && group(at[rows[i]!]!) === group(at[rows[from]!]!)) continue
    cut(from, i)
    from = i
  }
  return cuts
}

/** Words that `encodeSlice` needs of its memory for each row. */
export const wordsPerRow = 8

/**
 * A slice as one Native block; `seq` is the batch's place in the order of acceptance. The block lies in `memory`, fresh where none
 * is given, and is good until that is written again.
 */
export const encodeSlice = (
  batch: Batch,
  table: SeriesTable,
  slice: Slice,
  seq: number,
  memory = new Uint32Array((slice.to - slice.from) * wordsPerRow),
): Buffer[] => {
  const n = slice.to - slice.from
  const idWords = table.idWords
  const column = (i: number): Uint32Array => memory.subarray(i * n * 2, (i + 1) * n * 2)
  const ids = column(0)
  const times = column(1)
  const values = column(2)
  const seqs = column(3)
  const { ref, at } = batch
  const seqLow = seq >>> 0
  const seqHigh = Math.floor(seq / 4294967296)
  const { rows } = slice
  for (let i = 0, w = 0; i < n; i++, w += 2) {
    const row = rows ? rows[slice.from + i]! : slice.from + i
    const r = ref[row]! * 2
    ids[w] = idWords[r]!
    ids[w + 1] = idWords[r + 1]!
    const t = Math.round(at[row]!)
    times[w] = t >>> 0
    times[w + 1] = Math.floor(t / 4294967296)
    seqs[w] = seqLow
    seqs[w + 1] = seqHigh
  }
  putValues(values, batch, slice)
  return nativeBlock(n, [
    { name: 'id', type: 'UInt64', data: ids },
    { name: 'timestamp', type: 'DateTime64(3)', data: times },
    { name: 'value', type: 'Float64', data: values },
    { name: 'seq', type: 'UInt64', data: seqs },
  ])
}

/** Values go as bits: a stale marker is a NaN whose bits count. */
const putValues = (out: Uint32Array, batch: Batch, { rows, from, to }: Slice): void => {
  const source = wordsOf(batch.value)
  if (!rows) {
    out.set(source.subarray(from * 2, to * 2))
    return
  }
  for (let i = from, w = 0; i < to; i++, w += 2) {
    out[w] = source[rows[i]! * 2]!
    out[w + 1] = source[rows[i]! * 2 + 1]!
  }
}
