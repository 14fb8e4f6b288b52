// Native histograms computed with: brought to one layout, added, scaled, compared, and whether a counter began anew between two.
import { exponentialBound } from './native-bounds.ts'
import {
  atSchema,
  type Buckets,
  isCustom,
  type NativeHistogram,
  noBuckets,
  type ResetHint,
} from './native-histogram.ts'

const same = (a: readonly number[], b: readonly number[]): boolean => {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false
  return true
}

/** Whether two histograms are the same to the bit, hints aside. */
export const sameHistogram = (a: NativeHistogram, b: NativeHistogram): boolean =>
  a.schema === b.schema &&
  Object.is(a.count, b.count) &&
  Object.is(a.sum, b.sum) &&
  a.zeroThreshold === b.zeroThreshold &&
  Object.is(a.zeroCount, b.zeroCount) &&
  same(a.positive.index, b.positive.index) &&
  same(a.positive.count, b.positive.count) &&
  same(a.negative.index, b.negative.index) &&
  same(a.negative.count, b.negative.count) &&
  same(a.bounds, b.bounds)

const from = (side: Buckets, first: number): Buckets =>
  first === 0 ? side : { index: side.index.slice(first), count: side.count.slice(first) }

/**
 * The histogram with a zero bucket at least as wide as `threshold`: what lies within goes into it. A threshold inside a bucket is widened to
 * that bucket's end.
 */
export const widened = (h: NativeHistogram, threshold: number): NativeHistogram => {
  if (threshold <= h.zeroThreshold) return h
  const { schema, positive, negative } = h
  let wide = threshold
  // Widening for one side may reach a further bucket of the other.
  for (let before = -1; before !== wide; ) {
    before = wide
    for (const { index } of [positive, negative])
      for (const at of index) {
        if (exponentialBound(at - 1, schema) >= wide) break
        wide = Math.max(wide, exponentialBound(at, schema))
      }
  }
  let zeroCount = h.zeroCount
  const rest = (side: Buckets): Buckets => {
    let i = 0
    while (i < side.index.length && exponentialBound(side.index[i]! - 1, schema) < wide)
      zeroCount += side.count[i++]!
    return from(side, i)
  }
  const sides = { positive: rest(positive), negative: rest(negative) }
  return { ...h, ...sides, zeroThreshold: wide, zeroCount }
}

const shared = (a: readonly number[], b: readonly number[]): number[] => {
  const out: number[] = []
  let j = 0
  for (const bound of a) {
    while (j < b.length && b[j]! < bound) j++
    if (j < b.length && b[j] === bound) out.push(bound)
  }
  return out
}

/** Custom buckets joined so that only the `kept` of their bounds are left. */
const withBounds = (h: NativeHistogram, kept: readonly number[]): NativeHistogram => {
  if (kept.length === h.bounds.length) return { ...h, bounds: kept }
  const index: number[] = []
  const count: number[] = []
  let into = 0
  h.positive.index.forEach((at, i) => {
    const bound = at < h.bounds.length ? h.bounds[at]! : Number.POSITIVE_INFINITY
    while (into < kept.length && kept[into]! < bound) into++
    if (index.at(-1) === into) count[count.length - 1]! += h.positive.count[i]!
    else {
      index.push(into)
      count.push(h.positive.count[i]!)
    }
  })
  return { ...h, bounds: kept, positive: { index, count } }
}

/** A histogram brought to the layout of one that it can be brought to. */
export const inLayoutOf = (h: NativeHistogram, like: NativeHistogram): NativeHistogram =>
  isCustom(h) ? withBounds(h, like.bounds) : atSchema(widened(h, like.zeroThreshold), like.schema)

interface Aligned {
  readonly a: NativeHistogram
  readonly b: NativeHistogram
  /** Custom bounds differed: only those that both have are left. */
  readonly reconciled: boolean
}

/** Both in one layout, the finest that both can be brought to; null when one has custom buckets and the other has not. */
export const aligned = (a: NativeHistogram, b: NativeHistogram): Aligned | null => {
  if (isCustom(a) !== isCustom(b)) return null
  if (isCustom(a)) {
    if (same(a.bounds, b.bounds)) return { a, b, reconciled: false }
    const kept = shared(a.bounds, b.bounds)
    return { a: withBounds(a, kept), b: withBounds(b, kept), reconciled: true }
  }
  let [x, y] = [a, b]
  while (x.zeroThreshold !== y.zeroThreshold) {
    x = widened(x, y.zeroThreshold)
    y = widened(y, x.zeroThreshold)
  }
  const schema = Math.min(x.schema, y.schema)
  return { a: atSchema(x, schema), b: atSchema(y, schema), reconciled: false }
}

/** a + sign·b, bucket by bucket, without what comes out empty. */
const merged = (a: Buckets, b: Buckets, sign: 1 | -1): Buckets => {
  if (b.index.length === 0) return a
  const index: number[] = []
  const count: number[] = []
  const put = (at: number, n: number): void => {
    if (n === 0) return
    index.push(at)
    count.push(n)
  }
  let i = 0
  let j = 0
  while (i < a.index.length || j < b.index.length) {
    const x = a.index[i] ?? Number.POSITIVE_INFINITY
    const y = b.index[j] ?? Number.POSITIVE_INFINITY
    if (x < y) put(x, a.count[i++]!)
    else if (y < x) put(y, sign * b.count[j++]!)
    else put(x, a.count[i++]! + sign * b.count[j++]!)
  }
  return index.length === 0 ? noBuckets : { index, count }
}

/** The hint of a sum: of a gauge and anything a gauge, of unlike counters unknown. `collision`: one says reset, the other not. */
export const hintOf = (a: ResetHint, b: ResetHint): { hint: ResetHint; collision: boolean } => {
  if (a === b) return { hint: a, collision: false }
  if (a === 'gauge' || b === 'gauge') return { hint: 'gauge', collision: false }
  return { hint: 'unknown', collision: a !== 'unknown' && b !== 'unknown' }
}

export interface Sum {
  readonly value: NativeHistogram
  /** One hint said that a counter was reset, the other that it was not. */
  readonly collision: boolean
  readonly reconciled: boolean
}

/** a + b, or a - b with `sign` -1; null when one has custom buckets and the other exponential ones. */
export const added = (left: NativeHistogram, right: NativeHistogram, sign: 1 | -1 = 1): Sum | null => {
  const both = aligned(left, right)
  if (!both) return null
  const { a, b, reconciled } = both
  const { hint, collision } = hintOf(a.hint, b.hint)
  const value: NativeHistogram = {
    schema: a.schema,
    hint,
    count: a.count + sign * b.count,
    sum: a.sum + sign * b.sum,
    zeroThreshold: a.zeroThreshold,
    zeroCount: a.zeroCount + sign * b.zeroCount,
    positive: merged(a.positive, b.positive, sign),
    negative: merged(a.negative, b.negative, sign),
    bounds: a.bounds,
  }
  return { value, collision, reconciled }
}

const mapped = (side: Buckets, f: (n: number) => number): Buckets => {
  const index: number[] = []
  const count: number[] = []
  for (let i = 0; i < side.index.length; i++) {
    const n = f(side.count[i]!)
    if (n === 0) continue
    index.push(side.index[i]!)
    count.push(n)
  }
  return { index, count }
}

const each = (h: NativeHistogram, f: (n: number) => number, hint: ResetHint): NativeHistogram => ({
  ...h,
  hint,
  count: f(h.count),
  sum: f(h.sum),
  zeroCount: f(h.zeroCount),
  positive: mapped(h.positive, f),
  negative: mapped(h.negative, f),
})

/** Every count and the sum times `factor`; by a negative one it is a gauge. */
export const times = (h: NativeHistogram, factor: number): NativeHistogram =>
  each(h, (n) => n * factor, factor < 0 ? 'gauge' : h.hint)

/** Every count and the sum divided; divided by zero no bucket is left. */
export const over = (h: NativeHistogram, divisor: number): NativeHistogram => {
  const whole = divisor === 0 ? { ...h, positive: noBuckets, negative: noBuckets } : h
  return each(whole, (n) => n / divisor, divisor < 0 ? 'gauge' : h.hint)
}

/** Whether any bucket of `before` holds more than the same of `now`, both in one layout. */
const fell = (now: Buckets, before: Buckets): boolean => {
  let i = 0
  for (let j = 0; j < before.index.length; j++) {
    const at = before.index[j]!
    while (i < now.index.length && now.index[i]! < at) i++
    const n = now.index[i] === at ? now.count[i]! : 0
    if (n < before.count[j]!) return true
  }
  return false
}

/**
 * Whether a counter histogram began anew between `before` and `now`: as its hint says, or because a count fell, the resolution rose, or the zero
 * bucket shrank or now ends inside what was a bucket.
 */
export const isReset = (now: NativeHistogram, before: NativeHistogram): boolean => {
  if (now.hint === 'reset') return true
  if (now.hint === 'not_reset') return false
  if (now.count < before.count) return true
  if (isCustom(now)) {
    if (!isCustom(before)) return true
    const { a, b } = aligned(now, before)!
    return fell(a.positive, b.positive)
  }
  if (now.schema > before.schema || now.zeroThreshold < before.zeroThreshold) return true
  const wide = widened(before, now.zeroThreshold)
  if (wide.zeroThreshold !== now.zeroThreshold || now.zeroCount < wide.zeroCount) return true
  const same = atSchema(wide, now.schema)
  return fell(now.positive, same.positive) || fell(now.negative, same.negative)
}
