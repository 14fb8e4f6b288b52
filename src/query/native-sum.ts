// Sums and means of many native histograms, every count with its compensation as sums of floats have.
import { aligned, hintOf, inLayoutOf } from '../model/native-arithmetic.ts'
import { type Buckets, type NativeHistogram, noBuckets, type ResetHint } from '../model/native-histogram.ts'
import { isInfinite, Sum } from './numeric.ts'

interface Side {
  index: number[]
  count: number[]
  carry: number[]
}

const scratch = new Sum()

const sideOf = ({ index, count }: Buckets): Side => ({
  index: index.slice(),
  count: count.slice(),
  carry: new Array<number>(index.length).fill(0),
})

/** Makes room for buckets that are not there yet. */
const widen = (side: Side, wanted: readonly number[]): void => {
  const index: number[] = []
  const count: number[] = []
  const carry: number[] = []
  let i = 0
  let j = 0
  while (i < side.index.length || j < wanted.length) {
    const x = side.index[i] ?? Number.POSITIVE_INFINITY
    const y = wanted[j] ?? Number.POSITIVE_INFINITY
    index.push(Math.min(x, y))
    count.push(x <= y ? side.count[i]! : 0)
    carry.push(x <= y ? side.carry[i]! : 0)
    if (x <= y) i++
    if (y <= x) j++
  }
  side.index = index
  side.count = count
  side.carry = carry
}

const addSide = (side: Side, by: Buckets): void => {
  let i = 0
  for (const at of by.index) {
    while (i < side.index.length && side.index[i]! < at) i++
    if (side.index[i] === at) continue
    widen(side, by.index)
    break
  }
  i = 0
  for (let j = 0; j < by.index.length; j++) {
    while (side.index[i]! < by.index[j]!) i++
    scratch.set(side.count[i]!, side.carry[i]!)
    scratch.add(by.count[j]!)
    side.count[i] = scratch.sum
    side.carry[i] = scratch.carry
  }
}

const scaleSide = (side: Side, by: number): void => {
  for (let i = 0; i < side.index.length; i++) {
    side.count[i]! *= by
    side.carry[i]! *= by
  }
}

const bucketsOf = ({ index, count, carry }: Side, divisor: number): Buckets => {
  const out: { index: number[]; count: number[] } = { index: [], count: [] }
  for (let i = 0; i < index.length; i++) {
    const n = count[i]! / divisor + carry[i]! / divisor
    if (n === 0) continue
    out.index.push(index[i]!)
    out.count.push(n)
  }
  return out.index.length === 0 ? noBuckets : out
}

/** Counts above this are looked at bucket by bucket for overflow. */
const large = 1e300

/** A running sum; `mean` divides it, and where the sum would overflow goes on as an incremental mean, as for floats. */
export class HistogramSum {
  #layout: NativeHistogram
  #positive: Side
  #negative: Side
  readonly #count = new Sum()
  readonly #sum = new Sum()
  readonly #zero = new Sum()
  #n = 1
  /** Kept as a mean already. */
  #incremental = false
  #hint: ResetHint
  /** Custom bounds differed along the way. */
  reconciled = false
  #resets = 0
  #noResets = 0

  constructor(first: NativeHistogram) {
    this.#layout = first
    this.#positive = sideOf(first.positive)
    this.#negative = sideOf(first.negative)
    this.#count.set(first.count, 0)
    this.#sum.set(first.sum, 0)
    this.#zero.set(first.zeroCount, 0)
    this.#hint = first.hint
    this.#saw(first)
  }

  #saw({ hint }: NativeHistogram): void {
    if (hint === 'reset') this.#resets++
    else if (hint === 'not_reset') this.#noResets++
  }

  /** Some said that there was a counter reset, some that there was none. */
  get collision(): boolean {
    return this.#resets > 0 && this.#noResets > 0
  }

  /** False when it cannot be added: one has custom buckets, the other exponential ones. `mean`: as one more of a mean. */
  add(given: NativeHistogram, mean: boolean): boolean {
    const h = this.#take(given)
    if (!h) return false
    const before = this.#n++
    this.#hint = hintOf(this.#hint, h.hint).hint
    this.#saw(h)
    if (mean && !this.#incremental && this.#overflows(h)) {
      this.#incremental = true
      this.#scale(1 / before)
    }
    if (this.#incremental) {
      this.#scale(before / this.#n)
      this.#plus(h, this.#n)
    } else this.#plus(h, 1)
    return true
  }

  /** The other in the layout of the sum, which is changed for that where it must be. */
  #take(given: NativeHistogram): NativeHistogram | null {
    const held: NativeHistogram = {
      ...this.#layout,
      zeroCount: this.#zero.sum,
      positive: this.#positive,
      negative: this.#negative,
    }
    const both = aligned(held, given)
    if (!both) return null
    if (both.reconciled) this.reconciled = true
    if (both.a !== held) {
      const carry = inLayoutOf(
        {
          ...held,
          zeroCount: this.#zero.carry,
          positive: { index: this.#positive.index, count: this.#positive.carry },
          negative: { index: this.#negative.index, count: this.#negative.carry },
        },
        both.a,
      )
      this.#zero.set(both.a.zeroCount, carry.zeroCount)
      this.#positive = { ...sideOf(both.a.positive), carry: carry.positive.count.slice() }
      this.#negative = { ...sideOf(both.a.negative), carry: carry.negative.count.slice() }
      this.#layout = both.a
    }
    return both.b
  }

  #overflows(h: NativeHistogram): boolean {
    if (isInfinite(this.#count.sum + h.count) || isInfinite(this.#sum.sum + h.sum)) return true
    if (Math.abs(this.#count.sum) + Math.abs(h.count) < large) return false
    const tops = [this.#positive, this.#negative, h.positive, h.negative].map((side) =>
      side.count.reduce((most, n) => Math.max(most, Math.abs(n)), 0),
    )
    return isInfinite(Math.max(tops[0]!, tops[1]!) + Math.max(tops[2]!, tops[3]!))
  }

  #scale(by: number): void {
    for (const sum of [this.#count, this.#sum, this.#zero]) sum.set(sum.sum * by, sum.carry * by)
    scaleSide(this.#positive, by)
    scaleSide(this.#negative, by)
  }

  #plus(h: NativeHistogram, divisor: number): void {
    this.#count.add(h.count / divisor)
    this.#sum.add(h.sum / divisor)
    this.#zero.add(h.zeroCount / divisor)
    const side = ({ index, count }: Buckets): Buckets =>
      divisor === 1 ? { index, count } : { index, count: count.map((n) => n / divisor) }
    addSide(this.#positive, side(h.positive))
    addSide(this.#negative, side(h.negative))
  }

  value(mean: boolean): NativeHistogram {
    const divisor = mean && !this.#incremental ? this.#n : 1
    const number = ({ sum, carry }: Sum): number => sum / divisor + carry / divisor
    const { schema, zeroThreshold, bounds } = this.#layout
    return {
      schema,
      hint: this.#hint,
      count: number(this.#count),
      sum: number(this.#sum),
      zeroThreshold,
      zeroCount: number(this.#zero),
      positive: bucketsOf(this.#positive, divisor),
      negative: bucketsOf(this.#negative, divisor),
      bounds,
    }
  }
}
