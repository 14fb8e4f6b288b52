// Where the buckets of native histograms begin and end.
import { isCustom, type NativeHistogram } from './native-histogram.ts'

/**
 * How far Prometheus's table of 2^(i/256) lies from the nearest doubles, in units in the last place, plus 4: bounds are printed, so the last digit
 * must be its.
 */
const strayed =
  '4444443444344444443244333333333344344434433344334433453344334433444444333322342344344434444344444443454434224433433344343422333334' +
  '343322332334333333332323222322443344343322342233223433232233233312332322122212222222111100120133233222231133222312332222012211'
const parts = 256

const exact = new Float64Array(1)
const bits = new BigInt64Array(exact.buffer)
const fractions = Float64Array.from({ length: parts }, (_, i) => {
  exact[0] = 2 ** (i / parts)
  bits[0]! += BigInt(Number(strayed[i]) - 4)
  return exact[0]!
})

/**
 * The upper bound of bucket `index` of an exponential schema from -4 to 8, in absolute terms: 2^(index·2^-schema). That of the last bucket of
 * finite numbers is the largest double, the one after it +Inf.
 */
export const exponentialBound = (index: number, schema: number): number => {
  const whole = schema <= 0 ? index * 2 ** -schema : Math.floor(index / 2 ** schema)
  const within = schema <= 0 ? 0 : (index - whole * 2 ** schema) * 2 ** (8 - schema)
  if (whole === 1024 && within === 0) return Number.MAX_VALUE
  return fractions[within]! * 2 ** whole
}

/** A bucket as values see it: over the positive side lower < x ≤ upper, over the negative lower ≤ x < upper, the zero bucket closed. */
export interface Bucket {
  readonly lower: number
  readonly upper: number
  readonly count: number
  /** What it includes, numbered as in Prometheus's API: 0 its upper end, 1 its lower end, 3 both. */
  readonly ends: 0 | 1 | 3
}

const endsOf = (lower: number, upper: number): 0 | 1 | 3 => (lower < 0 ? (upper > 0 ? 3 : 1) : 0)

const customBuckets = ({ bounds, positive }: NativeHistogram): Bucket[] =>
  positive.index.map((at, i) => {
    const lower = at === 0 ? Number.NEGATIVE_INFINITY : bounds[at - 1]!
    const upper = at < bounds.length ? bounds[at]! : Number.POSITIVE_INFINITY
    return { lower, upper, count: positive.count[i]!, ends: endsOf(lower, upper) }
  })

/** All buckets that hold something, in ascending order of value. What overlaps the zero bucket begins where that ends. */
export const bucketsAscending = (h: NativeHistogram): Bucket[] => {
  if (isCustom(h)) return customBuckets(h)
  const { schema, zeroThreshold, zeroCount, positive, negative } = h
  const out: Bucket[] = []
  const inner = (bound: number, outer: number): number =>
    bound < zeroThreshold && outer > 0 ? zeroThreshold : bound
  for (let i = negative.index.length - 1; i >= 0; i--) {
    const at = negative.index[i]!
    const far = exponentialBound(at, schema)
    out.push({
      lower: -far,
      upper: -inner(exponentialBound(at - 1, schema), far),
      count: negative.count[i]!,
      ends: 1,
    })
  }
  if (zeroCount > 0) out.push({ lower: -zeroThreshold, upper: zeroThreshold, count: zeroCount, ends: 3 })
  for (let i = 0; i < positive.index.length; i++) {
    const at = positive.index[i]!
    const far = exponentialBound(at, schema)
    out.push({
      lower: inner(exponentialBound(at - 1, schema), far),
      upper: far,
      count: positive.count[i]!,
      ends: 0,
    })
  }
  return out
}
