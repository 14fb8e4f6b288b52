// The native histograms of every series in memory, packed as they came: ascending in time, one a time, decoded when they are read.
import type { HistogramRun } from '../model/columns.ts'
import { decodeHistogram } from '../model/native-histogram.ts'

interface Series {
  readonly at: number[]
  readonly rows: Uint8Array[]
  /** The newest time it ever had. */
  lastAt: number
}

/** What one costs beside its bytes. */
const overhead = 120

export class HistogramStore {
  readonly #series = new Map<number, Series>()
  bytes = 0
  samples = 0
  /** Series with at least one. */
  get series(): number {
    let n = 0
    for (const { at } of this.#series.values()) if (at.length > 0) n++
    return n
  }

  /** Puts one where it belongs in time; false when its time has one. The bytes are copied. */
  put(ref: number, at: number, row: Uint8Array): boolean {
    const series = this.#series.getOrInsertComputed(ref, () => ({ at: [], rows: [], lastAt: at }))
    let place = series.at.length
    while (place > 0 && series.at[place - 1]! > at) place--
    if (place > 0 && series.at[place - 1] === at) return false
    const own = new Uint8Array(row)
    if (place === series.at.length) {
      series.at.push(at)
      series.rows.push(own)
    } else {
      series.at.splice(place, 0, at)
      series.rows.splice(place, 0, own)
    }
    if (at > series.lastAt) series.lastAt = at
    this.bytes += own.length + overhead
    this.samples++
    return true
  }

  holds(ref: number): boolean {
    return this.#series.has(ref)
  }

  has(ref: number, at: number): boolean {
    const series = this.#series.get(ref)
    return series !== undefined && at <= series.lastAt && series.at.includes(at)
  }

  lastAt(ref: number): number {
    return this.#series.get(ref)?.lastAt ?? Number.NEGATIVE_INFINITY
  }

  newestAt(): number {
    let newest = Number.NEGATIVE_INFINITY
    for (const { lastAt } of this.#series.values()) if (lastAt > newest) newest = lastAt
    return newest
  }

  /**
   * Those of a series in `(fromAt, toAt]`, or only the last of them; undefined when there are none. `taken`: times to leave out, because a
   * float has them.
   */
  run(
    ref: number,
    fromAt: number,
    toAt: number,
    last: boolean,
    taken: (at: number) => boolean,
  ): HistogramRun | undefined {
    const series = this.#series.get(ref)
    if (!series || series.lastAt <= fromAt) return undefined
    let to = series.at.length
    while (to > 0 && series.at[to - 1]! > toAt) to--
    let from = to
    while (from > 0 && series.at[from - 1]! > fromAt && !(last && from < to)) from--
    if (from === to) return undefined
    const at: number[] = []
    const value = []
    for (let i = from; i < to; i++) {
      if (taken(series.at[i]!)) continue
      at.push(series.at[i]!)
      value.push(decodeHistogram(series.rows[i]!))
    }
    return at.length === 0 ? undefined : { at: Float64Array.from(at), value }
  }

  /** Lets go of those at or before `floor`; returns how many went, the newest time among them, and the series that have none left. */
  trim(floor: number): { gone: number; newestAt: number; emptied: readonly number[] } {
    const emptied: number[] = []
    let gone = 0
    let newestAt = Number.NEGATIVE_INFINITY
    for (const [ref, series] of this.#series) {
      let keep = 0
      while (keep < series.at.length && series.at[keep]! <= floor) keep++
      if (keep === 0) continue
      newestAt = Math.max(newestAt, series.at[keep - 1]!)
      for (const row of series.rows.splice(0, keep)) this.bytes -= row.length + overhead
      series.at.splice(0, keep)
      gone += keep
      if (series.at.length > 0) continue
      this.#series.delete(ref)
      emptied.push(ref)
    }
    this.samples -= gone
    return { gone, newestAt, emptied }
  }
}
