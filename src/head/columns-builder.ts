// Puts series together sample run by sample run; values keep their bits.
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import type { Labels } from '../model/labels.ts'

const lastOf = ({ at, value }: HistogramRun): HistogramRun => ({ at: at.slice(-1), value: value.slice(-1) })

export class ColumnsBuilder {
  #at: Float64Array
  #value: Float64Array
  #length = 0
  #start = 0
  readonly #labels: Labels[] = []
  readonly #starts: number[] = []
  readonly #ends: number[] = []
  readonly #runs: (HistogramRun | undefined)[] = []
  #run: HistogramRun | undefined
  #mixed = false

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

  /** The histograms of the series under way, all of them. */
  histograms(run: HistogramRun | undefined): void {
    this.#run = run && run.at.length > 0 ? run : undefined
    if (this.#run) this.#mixed = true
  }

  /** Ends the series under way, which is left out when it has no sample; `last` keeps only its newest. */
  end(labels: Labels, last = false): void {
    const run = this.#run
    if (this.#length > this.#start || run) {
      this.#labels.push(labels)
      this.#runs.push(run && last ? lastOf(run) : run)
      this.#starts.push(last && this.#length > this.#start ? this.#length - 1 : this.#start)
      this.#ends.push(this.#length)
    }
    this.#start = this.#length
    this.#run = undefined
  }

  build(): SeriesColumns {
    return {
      labels: this.#labels,
      start: Uint32Array.from(this.#starts),
      end: Uint32Array.from(this.#ends),
      at: this.#at.subarray(0, this.#length),
      value: this.#value.subarray(0, this.#length),
      histograms: this.#mixed ? this.#runs : undefined,
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
