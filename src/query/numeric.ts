// Sums that keep their precision, quantiles, and Go's arithmetic where JavaScript's differs.

/** A running sum with Neumaier's compensation (Kahan–Babuška): `sum + carry` is the value. */
export class Sum {
  sum = 0
  carry = 0
  add(by: number): void {
    const t = this.sum + by
    if (t === Number.POSITIVE_INFINITY || t === Number.NEGATIVE_INFINITY) this.carry = 0
    else if (Math.abs(this.sum) >= Math.abs(by)) this.carry += this.sum - t + by
    else this.carry += by - t + this.sum
    this.sum = t
  }
  set(sum: number, carry: number): void {
    this.sum = sum
    this.carry = carry
  }
  get value(): number {
    return this.sum + this.carry
  }
}

const shared = new Sum()
export const isInfinite = (v: number): boolean =>
  v === Number.POSITIVE_INFINITY || v === Number.NEGATIVE_INFINITY

/** The compensated sum of `values[lo] … values[hi - 1]`. */
export const sumOf = (values: Float64Array, lo: number, hi: number): number => {
  let sum = 0
  let carry = 0
  for (let i = lo; i < hi; i++) {
    const by = values[i]!
    const t = sum + by
    if (isInfinite(t)) carry = 0
    else if (Math.abs(sum) >= Math.abs(by)) carry += sum - t + by
    else carry += by - t + sum
    sum = t
  }
  return sum + carry
}

/** The mean; where the sum would overflow it goes on as an incremental mean. */
export const meanOf = (values: Float64Array, lo: number, hi: number): number => {
  const n = hi - lo
  shared.set(values[lo]!, 0)
  for (let i = lo + 1; i < hi; i++) {
    const { sum, carry } = shared
    shared.add(values[i]!)
    if (isInfinite(shared.sum)) {
      const count = i - lo
      shared.set(sum / count, carry / count)
      return incrementalMean(values, i, hi, count)
    }
  }
  return shared.sum / n + shared.carry / n
}

const incrementalMean = (values: Float64Array, from: number, hi: number, before: number): number => {
  let count = before
  for (let i = from; i < hi; i++) {
    count++
    const q = (count - 1) / count
    shared.set(q * shared.sum, q * shared.carry)
    shared.add(values[i]! / count)
  }
  return shared.value
}

/** The population variance, by Welford's method with compensated sums. */
export const varianceOf = (values: Float64Array, lo: number, hi: number): number => {
  const mean = new Sum()
  const squares = new Sum()
  for (let i = lo; i < hi; i++) {
    const v = values[i]!
    const delta = v - mean.value
    mean.add(delta / (i - lo + 1))
    squares.add(delta * (v - mean.value))
  }
  return squares.value / (hi - lo)
}

/** Sorts in place ascending with NaN first, as Go does. */
export const sortNanFirst = (values: Float64Array): Float64Array => {
  values.sort()
  let nans = 0
  for (let i = values.length - 1; i >= 0 && Number.isNaN(values[i]!); i--) nans++
  if (nans > 0 && nans < values.length) {
    values.copyWithin(nans, 0, values.length - nans)
    values.fill(Number.NaN, 0, nans)
  }
  return values
}

/** The q-quantile by linear interpolation between the two nearest ranks; sorts `values`. -Inf below 0, +Inf above 1. */
export const quantileOf = (q: number, values: Float64Array): number => {
  const n = values.length
  if (n === 0 || Number.isNaN(q)) return Number.NaN
  if (q < 0) return Number.NEGATIVE_INFINITY
  if (q > 1) return Number.POSITIVE_INFINITY
  sortNanFirst(values)
  const rank = q * (n - 1)
  const low = Math.max(0, Math.floor(rank))
  const weight = rank - Math.floor(rank)
  // Exactly on a rank its neighbour, which may be infinite, has no say.
  if (weight === 0) return values[low]!
  return values[low]! * (1 - weight) + values[Math.min(n - 1, low + 1)]! * weight
}

/** Go's math.Pow: 1 to any power, and ±1 to an infinite one, is 1. */
export const power = (a: number, b: number): number => {
  if (a === 1 || (a === -1 && isInfinite(b))) return 1
  return a ** b
}
