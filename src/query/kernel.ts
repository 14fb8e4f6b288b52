// How a function over windows sees one series: its samples, and a walk over the windows with two moving indexes.
import { isStaleAt } from '../model/batch.ts'
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import type { Cells } from './block.ts'
import type { Windows } from './grid.ts'

/** Samples `from … to - 1` of one series, ascending in time. The object is reused from series to series. */
export interface SeriesView {
  at: Float64Array
  value: Float64Array
  words: Uint32Array
  from: number
  to: number
}

/** Writes one series' answers for all windows to `out[base + t]`, and 1 to `present` beside each that is there. */
export type Kernel = (
  series: SeriesView,
  windows: Windows,
  out: Float64Array,
  present: Uint8Array,
  base: number,
) => void

/** What a function over windows has to say, about which metric. */
export interface Notes {
  readonly metric: string
  warn(message: string): void
  inform(message: string): void
}

/** One series with histograms: its floats, its histograms, and what the kernel made of the floats alone. */
export interface Mixed {
  readonly floats: SeriesView
  readonly run: HistogramRun
  readonly windows: Windows
  readonly out: Float64Array
  readonly present: Uint8Array
  readonly cells: Cells
  readonly base: number
  readonly notes: Notes
}

/** Amends the kernel's answers for one series at every step where a histogram has a say. */
export type MixedKernel = (mixed: Mixed) => void

export interface KernelSpec {
  readonly kernel: Kernel
  readonly mixed: MixedKernel
  /** Stale markers are left in for the kernel to see; otherwise they are taken out before. */
  readonly seesStale: boolean
  /** Each window's samples are gone over again, however much windows overlap. */
  readonly rescans: boolean
  /** The same for all rows of a slice at a single step, where a call a row would cost more than the work. */
  readonly once?: (
    columns: SeriesColumns,
    words: Uint32Array,
    windows: Windows,
    rows: { readonly from: number; readonly to: number },
    out: Float64Array,
    present: Uint8Array,
  ) => void
}

/** A kernel from a function of one window's samples `lo … hi - 1` (never empty), evaluated at step t. NaN is a value; null is none. */
export const perWindow =
  (answer: (s: SeriesView, lo: number, hi: number, t: number, w: Windows) => number | null): Kernel =>
  (s, w, out, present, base) => {
    const { at, to } = s
    let lo = s.from
    let hi = s.from
    for (let t = 0; t < w.count; t++) {
      const endAt = w.endAt + t * w.endStep
      const startAt = endAt - w.range
      while (hi < to && at[hi]! <= endAt) hi++
      while (lo < hi && at[lo]! <= startAt) lo++
      if (lo === hi) continue
      const v = answer(s, lo, hi, t, w)
      if (v === null) continue
      out[base + t] = v
      present[base + t] = 1
    }
  }

/** The last sample of each window, or none where that one is a stale marker: an instant selector. */
const lastSample =
  (column: 'at' | 'value'): Kernel =>
  (s, w, out, present, base) => {
    const { at, value, words, from, to } = s
    let hi = from
    for (let t = 0; t < w.count; t++) {
      const endAt = w.endAt + t * w.endStep
      while (hi < to && at[hi]! <= endAt) hi++
      const i = hi - 1
      if (i < from || at[i]! <= endAt - w.range) continue
      const v = value[i]!
      if (Number.isNaN(v) && isStaleAt(words, i)) continue
      out[base + t] = column === 'value' ? v : at[i]! / 1000
      present[base + t] = 1
    }
  }

/** One step, many rows: a tight loop, so that the memory reads of many rows are under way at once. */
const lastOnce: NonNullable<KernelSpec['once']> = (columns, words, w, { from, to }, out, present) => {
  const { start, end, at, value } = columns
  const { endAt, range } = w
  const startAt = endAt - range
  for (let row = from; row < to; row++) {
    let i = end[row]! - 1
    const first = start[row]!
    while (i >= first && at[i]! > endAt) i--
    if (i < first || at[i]! <= startAt) continue
    const v = value[i]!
    if (Number.isNaN(v) && isStaleAt(words, i)) continue
    out[row - from] = v
    present[row - from] = 1
  }
}

/** Takes the last histogram of each window where it is newer than the last float or stale marker. */
const lastOfBoth =
  (give: 'at' | 'value'): MixedKernel =>
  ({ floats, run, windows: w, out, present, cells, base }) => {
    let hi = 0
    let f = floats.from
    for (let t = 0; t < w.count; t++) {
      const endAt = w.endAt + t * w.endStep
      while (hi < run.at.length && run.at[hi]! <= endAt) hi++
      while (f < floats.to && floats.at[f]! <= endAt) f++
      if (hi === 0 || run.at[hi - 1]! <= endAt - w.range) continue
      if (f > floats.from && floats.at[f - 1]! > run.at[hi - 1]!) continue
      present[base + t] = 1
      if (give === 'at') out[base + t] = run.at[hi - 1]! / 1000
      else cells[base + t] = run.value[hi - 1]!
    }
  }

export const latest: KernelSpec = {
  kernel: lastSample('value'),
  mixed: lastOfBoth('value'),
  seesStale: true,
  rescans: false,
  once: lastOnce,
}
export const latestTime: KernelSpec = {
  kernel: lastSample('at'),
  mixed: lastOfBoth('at'),
  seesStale: true,
  rescans: false,
}

let scratchAt = new Float64Array(0)
let scratchValue = new Float64Array(0)

/** Takes stale markers out of a view: it then points at a shared scratch, valid until the next call. */
export const withoutStale = (s: SeriesView): void => {
  const { value, words, from, to } = s
  let i = from
  while (i < to && !(Number.isNaN(value[i]!) && isStaleAt(words, i))) i++
  if (i === to) return
  if (scratchAt.length < to - from) {
    scratchAt = new Float64Array((to - from) * 2)
    scratchValue = new Float64Array((to - from) * 2)
  }
  let n = 0
  for (let k = from; k < to; k++) {
    if (Number.isNaN(value[k]!) && isStaleAt(words, k)) continue
    scratchAt[n] = s.at[k]!
    scratchValue[n] = value[k]!
    n++
  }
  s.at = scratchAt
  s.value = scratchValue
  s.from = 0
  s.to = n
}
