// What is read off a native histogram: quantiles, the share between two values, the spread.
import { type Bucket, bucketsAscending } from '../model/native-bounds.ts'
import { isCustom, type NativeHistogram } from '../model/native-histogram.ts'
import { Sum } from './numeric.ts'

/**
 * A bucket for interpolating in: the zero bucket begins or ends at 0 when nothing was observed on that side, the first custom one at 0 when its
 * bound is above.
 */
const within = (h: NativeHistogram, b: Bucket): { lower: number; upper: number } => {
  if (isCustom(h))
    return { lower: b.lower === Number.NEGATIVE_INFINITY && b.upper > 0 ? 0 : b.lower, upper: b.upper }
  if (b.lower > 0 || b.upper < 0) return b
  const [up, down] = [h.positive.index.length > 0, h.negative.index.length > 0]
  return { lower: up && !down ? 0 : b.lower, upper: down && !up ? 0 : b.upper }
}

/** The share of a bucket at or below a value inside it: linear in custom buckets and across zero, else on a scale of logarithms. */
const below = (h: NativeHistogram, lower: number, upper: number, value: number): number => {
  if (isCustom(h) || (lower <= 0 && upper >= 0)) return (value - lower) / (upper - lower)
  const low = Math.log2(Math.abs(lower))
  const high = Math.log2(Math.abs(upper))
  const at = Math.log2(Math.abs(value))
  return value > 0 ? (at - low) / (high - low) : 1 - (at - high) / (low - high)
}

export interface Quantile {
  readonly value: number
  /** NaN was observed, which is in no bucket: the quantile lies among them, or is higher than that of the numbers. */
  readonly nan: 'none' | 'result' | 'skewed'
}

const plain = (value: number): Quantile => ({ value, nan: 'none' })

/** Where in a bucket its share `part` ends. */
const inside = (h: NativeHistogram, lower: number, upper: number, part: number): number => {
  if (isCustom(h) || (lower <= 0 && upper >= 0)) return lower + (upper - lower) * part
  const low = Math.log2(Math.abs(lower))
  const high = Math.log2(Math.abs(upper))
  return lower > 0 ? 2 ** (low + (high - low) * part) : -(2 ** (high + (low - high) * (1 - part)))
}

/** The q-quantile as Prometheus reckons it: the lower half counted from below, the upper from above. */
export const nativeQuantile = (q: number, h: NativeHistogram): Quantile => {
  if (q < 0) return plain(Number.NEGATIVE_INFINITY)
  if (q > 1) return plain(Number.POSITIVE_INFINITY)
  if (h.count === 0 || Number.isNaN(q)) return plain(Number.NaN)
  const buckets = bucketsAscending(h)
  const withNaN = Number.isNaN(h.sum)
  const upwards = withNaN || q < 0.5
  let rank = (upwards ? q : 1 - q) * h.count
  let count = 0
  let at = upwards ? -1 : buckets.length
  const step = upwards ? 1 : -1
  while (buckets[at + step]) {
    at += step
    count += buckets[at]!.count
    if (count >= rank) break
  }
  const bucket: Bucket = buckets[at] ?? { lower: 0, upper: 0, count: 0, ends: 3 }
  if (isCustom(h)) {
    if (bucket.lower === Number.NEGATIVE_INFINITY && bucket.upper <= 0) return plain(bucket.upper)
    if (bucket.lower !== Number.NEGATIVE_INFINITY && bucket.upper === Number.POSITIVE_INFINITY)
      return plain(bucket.lower)
  }
  const { lower, upper } = within(h, bucket)
  count = Math.min(count, h.count)
  if (count < rank) return withNaN ? { value: Number.NaN, nan: 'result' } : plain(upper)
  rank = upwards ? rank - (count - bucket.count) : count - rank
  let all = count
  if (withNaN) for (let i = at + 1; i < buckets.length; i++) all += buckets[i]!.count
  return {
    value: inside(h, lower, upper, rank / bucket.count),
    nan: withNaN && all < h.count ? 'skewed' : 'none',
  }
}

export interface Fraction {
  readonly value: number
  readonly nan: boolean
}

/** The share of all observations between two values, interpolated as for quantiles. */
export const nativeFraction = (lower: number, upper: number, h: NativeHistogram): Fraction => {
  if (h.count === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return { value: Number.NaN, nan: false }
  if (lower >= upper) return { value: 0, nan: false }
  const buckets = bucketsAscending(h)
  const numbers = Number.isNaN(h.sum) ? buckets.reduce((n, b) => n + b.count, 0) : h.count
  const rankOf = (v: number): number => {
    let rank = 0
    for (const b of buckets) {
      const ends = within(h, b)
      if (ends.lower >= v) return Math.min(rank, numbers)
      if (ends.upper > v) {
        // Without a lower end it cannot be cut: all of it counts as below.
        const share = ends.lower === Number.NEGATIVE_INFINITY ? 1 : below(h, ends.lower, ends.upper, v)
        return Math.min(rank + b.count * share, numbers)
      }
      rank += b.count
    }
    return numbers
  }
  return { value: (rankOf(upper) - rankOf(lower)) / h.count, nan: numbers < h.count }
}

/** The variance, every observation taken for its bucket's middle: geometric, arithmetic in custom buckets, 0 in the zero bucket. */
export const nativeVariance = (h: NativeHistogram): number => {
  const mean = h.sum / h.count
  const sum = new Sum()
  for (const { lower, upper, count } of bucketsAscending(h)) {
    const middle = isCustom(h)
      ? (upper + lower) / 2
      : lower <= 0 && upper >= 0
        ? 0
        : Math.sign(upper) * Math.sqrt(upper * lower)
    sum.add(count * (middle - mean) * (middle - mean))
  }
  return sum.value / h.count
}
