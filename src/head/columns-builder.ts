// Puts series together sample run by sample run; values keep their bits.
import type { SeriesColumns } from '../model/columns.ts'
import type { Labels } from '../model/labels.ts'

export class ColumnsBuilder {
  #at: Float64Array
  #value: Float64Array
  #length = 0
  #start = 0
  readonly #labels: Labels[] = []
  readonly #starts: number[] = []
  readonly #ends: number[] = []

  /** @param samples how many there will be, as far as one can tell */
  constructor(samples = 1024) {
    this.#at = new Float64Array(samples)
    this.#value = new Float64Array(samples)
  }

  /** Appends samples `from … to - 1` of two columns to the series under way. */
  copy(at: Float64Array, value: Float64Array, from: number, to: number): void {
    const n = to - from
    if (n <= 0) return
    if (this.#length + n > this.#at.length) this.#widen(this.#length + n)
    this.#at.set(at.subarray(from, to), this.#length)
    this.#value.set(value.subarray(from, to), this.#length)
    this.#length += n
  }

  /** Ends the series under way, which is left out when it has no sample; `last` keeps only its newest. */
  end(labels: Labels, last = false): void {
    if (this.#length > this.#start) {
      this.#labels.push(labels)
      this.#starts.push(last ? this.#length - 1 : this.#start)
      this.#ends.push(this.#length)
    }
    this.#start = this.#length
  }

  build(): SeriesColumns {
    return {
      labels: this.#labels,
      start: Uint32Array.from(this.#starts),
      end: Uint32Array.from(this.#ends),
      at: this.#at.subarray(0, this.#length),
      value: this.#value.subarray(0, this.#length),
      own: true,
    }
  }

  #widen(least: number): void {
    const length = Math.max(least, this.#at.length * 2)
    const at = new Float64Array(length)
    at.set(this.#at)
    const value = new Float64Array(length)
    value.set(this.#value)
    this.#at = at
    this.#value = value
  }
}
