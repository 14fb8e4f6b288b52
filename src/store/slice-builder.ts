// Gathers rows of (id, time, value), in whatever order blocks bring them, as runs of one series each, into series with ascending times, one sample a time.
import type { SeriesColumns } from '../model/columns.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { type Block, millisOf } from './native.ts'

/** A time that a series has twice with different values: the store must say which came first. */
export interface Conflict {
  readonly ref: SeriesRef
  readonly at: number
}

const grown = (column: Float64Array, size: number): Float64Array<ArrayBuffer> => {
  const wider = new Float64Array(Math.max(size, column.length * 2))
  // Through words, so that no NaN loses its bits.
  new Uint32Array(wider.buffer).set(new Uint32Array(column.buffer))
  return wider
}

/** How rows of a slice come over the wire: few bytes each, because every one of them is copied several times on its way. */
export interface SliceForm {
  /** Milliseconds that the times count from. */
  readonly base: number
  /** Times are UInt32 (else Int64). */
  readonly narrow: boolean
}

/** Widths of the columns (low word of the id, time from the base, value) in bytes. */
export const widthsOf = ({ narrow }: SliceForm): readonly number[] => [4, narrow ? 4 : 8, 8]

/** The low word of a series' id: series that share one may not share a slice. */
export const lowWord = (table: SeriesTable, ref: SeriesRef): number => table.idWords[ref * 2]!

/** Where rows are gathered; may be used again for the next slice. */
export interface SliceMemory {
  readonly at: Float64Array<ArrayBuffer>
  readonly value: Float64Array<ArrayBuffer>
}

export const sliceMemory = (rows: number): SliceMemory => ({
  at: new Float64Array(rows),
  value: new Float64Array(rows),
})

export class SliceBuilder {
  readonly #table: SeriesTable
  readonly #form: SliceForm
  /** Place of each wanted series in the slice, by the low word of its id. */
  readonly #places = new Map<number, number>()
  readonly #refs: readonly SeriesRef[]
  readonly #counts: Uint32Array
  /** Runs of rows of one series: its place, and where the run begins. */
  readonly #runPlace: number[] = []
  readonly #runFrom: number[] = []
  #at: Float64Array<ArrayBuffer>
  #value: Float64Array<ArrayBuffer>
  #rows = 0

  /**
   * @param refs series that differ in the low words of their ids
   * @param memory nobody else's until this is built; it grows when there are more rows
   */
  constructor(table: SeriesTable, refs: readonly SeriesRef[], form: SliceForm, memory = sliceMemory(1024)) {
    this.#table = table
    this.#form = form
    this.#at = memory.at
    this.#value = memory.value
    this.#refs = refs
    this.#counts = new Uint32Array(refs.length)
    refs.forEach((ref, place) => {
      this.#places.set(lowWord(table, ref), place)
    })
  }

  get rows(): number {
    return this.#rows
  }
  get memory(): SliceMemory {
    return { at: this.#at, value: this.#value }
  }

  /** Takes a block of (low word of the id, time, value); rows of series that were not asked for fall away. */
  add({ rows, columns }: Block): void {
    const needed = this.#rows + rows
    if (needed > this.#at.length) {
      this.#at = grown(this.#at, needed)
      this.#value = grown(this.#value, needed)
    }
    const ids = new Uint32Array(columns[0]!, 0, rows)
    const values = new Uint32Array(columns[2]!, 0, rows * 2)
    const to = new Uint32Array(this.#value.buffer)
    for (let from = 0; from < rows; ) {
      const id = ids[from]!
      let end = from + 1
      while (end < rows && ids[end] === id) end++
      const place = this.#places.get(id)
      if (place !== undefined) {
        this.#runPlace.push(place)
        this.#runFrom.push(this.#rows)
        this.#counts[place]! += end - from
        to.set(values.subarray(from * 2, end * 2), this.#rows * 2)
        this.#times(columns[1]!, from, end)
        this.#rows += end - from
      }
      from = end
    }
  }

  #times(column: ArrayBuffer, from: number, end: number): void {
    const { base, narrow } = this.#form
    const at = this.#at
    let n = this.#rows
    if (narrow) {
      const words = new Uint32Array(column, from * 4, end - from)
      for (let i = 0; i < words.length; i++) at[n++] = base + words[i]!
      return
    }
    const words = new Uint32Array(column, from * 8, (end - from) * 2)
    for (let w = 0; w < words.length; w += 2) at[n++] = base + words[w]! + (words[w + 1]! | 0) * 4294967296
  }

  /** The series with samples, and every time two values contend for. Equal doubles are dropped. */
  build(): { columns: SeriesColumns; refs: SeriesRef[]; conflicts: Conflict[] } {
    const series = this.#refs.length
    const starts = new Uint32Array(series + 1)
    for (let i = 0; i < series; i++) starts[i + 1] = starts[i]! + this.#counts[i]!
    const next = starts.slice(0, series)
    const at = new Float64Array(this.#rows)
    const value = new Float64Array(this.#rows)
    const to = new Uint32Array(value.buffer)
    const from = new Uint32Array(this.#value.buffer)
    this.#runPlace.forEach((place, run) => {
      const begin = this.#runFrom[run]!
      const end = this.#runFrom[run + 1] ?? this.#rows
      at.set(this.#at.subarray(begin, end), next[place]!)
      to.set(from.subarray(begin * 2, end * 2), next[place]! * 2)
      next[place]! += end - begin
    })
    const start: number[] = []
    const end: number[] = []
    const refs: SeriesRef[] = []
    const conflicts: Conflict[] = []
    for (let i = 0; i < series; i++) {
      if (starts[i] === starts[i + 1]) continue
      const ref = this.#refs[i]!
      start.push(starts[i]!)
      end.push(tidy(at, to, starts[i]!, starts[i + 1]!, ref, conflicts))
      refs.push(ref)
    }
    const columns: SeriesColumns = {
      labels: refs.map((ref) => this.#table.labels(ref)),
      start: Uint32Array.from(start),
      end: Uint32Array.from(end),
      at,
      value,
      own: true,
    }
    return { columns, refs, conflicts }
  }
}

/** Sorts one series' samples where they are out of order and drops doubles; returns the new end. */
const tidy = (
  at: Float64Array,
  words: Uint32Array,
  start: number,
  end: number,
  ref: SeriesRef,
  conflicts: Conflict[],
): number => {
  let rising = true
  for (let i = start + 1; i < end && rising; i++) rising = at[i]! > at[i - 1]!
  if (rising) return end
  const order = Uint32Array.from({ length: end - start }, (_, i) => start + i).sort((a, b) => at[a]! - at[b]!)
  const times = at.slice(start, end)
  const bits = words.slice(start * 2, end * 2)
  let out = start
  for (const row of order) {
    const t = times[row - start]!
    const low = bits[(row - start) * 2]!
    const high = bits[(row - start) * 2 + 1]!
    if (out > start && at[out - 1] === t) {
      const differs = words[(out - 1) * 2] !== low || words[(out - 1) * 2 + 1] !== high
      if (differs && (conflicts.at(-1)?.ref !== ref || conflicts.at(-1)?.at !== t))
        conflicts.push({ ref, at: t })
      continue
    }
    at[out] = t
    words[out * 2] = low
    words[out * 2 + 1] = high
    out++
  }
  return out
}

/** Puts the value that came first where two contended: blocks of (id, timestamp, value). */
export const settle = (
  columns: SeriesColumns,
  refs: readonly SeriesRef[],
  table: SeriesTable,
  { rows, columns: answer }: Block,
): void => {
  const place = new Map(refs.map((ref, i) => [ref, i]))
  const ids = new BigUint64Array(answer[0]!, 0, rows)
  const times = new Float64Array(rows)
  millisOf(answer[1]!, rows, times, 0)
  const from = new Uint32Array(answer[2]!)
  const to = new Uint32Array(columns.value.buffer)
  for (let i = 0; i < rows; i++) {
    const ref = table.refOf(ids[i]!)
    const series = ref === undefined ? undefined : place.get(ref)
    if (series === undefined) continue
    const at = columns.at.subarray(columns.start[series], columns.end[series])
    let low = 0
    let high = at.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (at[middle]! < times[i]!) low = middle + 1
      else high = middle
    }
    if (at[low] !== times[i]) continue
    const j = columns.start[series]! + low
    to[j * 2] = from[i * 2]!
    to[j * 2 + 1] = from[i * 2 + 1]!
  }
}
