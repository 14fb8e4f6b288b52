// The newest exemplars of all series in memory: a ring of bounded length, found by series.
import { type Exemplar, readExemplar } from '../model/exemplar.ts'
import { rowBytes, type SeriesRows } from '../model/packed-rows.ts'
import type { TimeSpan } from '../model/ports/series-index.ts'
import type { SeriesRef } from '../model/series.ts'

const none = -1

/**
 * Places are numbered without end; place `n` lies in slot `n % length`. Exemplars of one series are chained backwards from its newest, and
 * a place that the ring has gone past ends the chain. As in Prometheus a series takes only exemplars newer than its last.
 */
export class ExemplarRing {
  readonly #length: number
  readonly #at: Float64Array
  readonly #ref: Uint32Array
  /** The place before of the same series. */
  readonly #before: Float64Array
  readonly #row: (Uint8Array | undefined)[]
  readonly #newest = new Map<SeriesRef, number>()
  #next = 0
  #lostAt = Number.NEGATIVE_INFINITY

  constructor(length: number) {
    this.#length = length
    this.#at = new Float64Array(length)
    this.#ref = new Uint32Array(length)
    this.#before = new Float64Array(length)
    this.#row = new Array(length)
  }

  get size(): number {
    return Math.min(this.#next, this.#length)
  }
  /** How many series have any. */
  get series(): number {
    return this.#newest.size
  }
  /** Everything newer than this that was ever taken is still here. */
  get lostAt(): number {
    return this.#lostAt
  }

  /** Time of a series' newest exemplar; before all time when there is none. */
  newestAt(ref: SeriesRef): number {
    const place = this.#newest.get(ref)
    return place === undefined ? Number.NEGATIVE_INFINITY : this.#at[place % this.#length]!
  }

  /** Takes rows in order and returns how many were not newer than their series' last. */
  take(rows: SeriesRows): number {
    let passed = 0
    for (let i = 0; i < rows.ends.length; i++) {
      const ref = rows.ref[i]!
      const at = rows.at[i]!
      if (at > this.newestAt(ref)) this.#put(ref, at, rowBytes(rows, i))
      else passed++
    }
    return passed
  }

  #put(ref: SeriesRef, at: number, row: Uint8Array): void {
    if (this.#length === 0) return
    const place = this.#next++
    const slot = place % this.#length
    if (place >= this.#length) {
      const gone = this.#ref[slot]!
      if (this.#newest.get(gone) === place - this.#length) this.#newest.delete(gone)
      this.#lostAt = Math.max(this.#lostAt, this.#at[slot]!)
    }
    this.#ref[slot] = ref
    this.#at[slot] = at
    this.#before[slot] = this.#newest.get(ref) ?? none
    // A copy: the batch's bytes are megabytes that must not stay for one row's sake.
    this.#row[slot] = row.slice()
    this.#newest.set(ref, place)
  }

  /** A series' exemplars, `fromAt` and `toAt` both within, newest first. */
  *read(ref: SeriesRef, { fromAt, toAt }: TimeSpan): Generator<Exemplar> {
    const oldest = this.#next - this.#length
    for (let place = this.#newest.get(ref) ?? none; place >= 0 && place >= oldest; ) {
      const slot = place % this.#length
      const at = this.#at[slot]!
      if (at < fromAt) return
      if (at <= toAt) yield readExemplar(this.#row[slot]!, at)
      place = this.#before[slot]!
    }
  }
}
