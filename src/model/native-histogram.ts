// The native histogram: a distribution in exponential or custom buckets, as one sample of a series.
import { RowReader, RowWriter } from '../lib/row-binary.ts'

/** What the producer knows of counter resets between the sample before and this one; a gauge has none. */
export const resetHints = ['unknown', 'reset', 'not_reset', 'gauge'] as const
export type ResetHint = (typeof resetHints)[number]

/** Buckets of one side that hold something, by ascending index; `count[i]` observations (not cumulative) are in bucket `index[i]`. */
export interface Buckets {
  readonly index: readonly number[]
  readonly count: readonly number[]
}

/**
 * Prometheus's FloatHistogram, without its empty buckets. With schema s from -4 to 8 bucket i of the positive side is
 * (2^((i-1)·2^-s), 2^(i·2^-s)], that of the negative side its mirror; what lies within ±`zeroThreshold` is in `zeroCount`. With schema -53
 * bucket i is (`bounds[i-1]`, `bounds[i]`], the first from -Inf, the one past the last to +Inf, and there is no zero bucket and no negative
 * side. Never mutated.
 */
export interface NativeHistogram {
  readonly schema: number
  readonly hint: ResetHint
  readonly count: number
  readonly sum: number
  readonly zeroThreshold: number
  readonly zeroCount: number
  readonly positive: Buckets
  readonly negative: Buckets
  /** Upper bounds of custom buckets, ascending, without +Inf; empty for the exponential schemas. */
  readonly bounds: readonly number[]
}

export const customSchema = -53
export const leastSchema = -4
export const mostSchema = 8
/** Schemas that are defined beyond those that are kept: their resolution is reduced on the way in. */
const mostReadSchema = 52
/** Indexes past these lie beyond every double at the finest schema that is read. */
const widestIndex = 2 ** 31 - 1

/** Counts of one side that are read, empty ones too: a byte on the wire each, and many times that in memory. */
export const mostCounts = 100_000

export const noBuckets: Buckets = { index: [], count: [] }

export const isCustom = (h: NativeHistogram): boolean => h.schema === customSchema

/** Spans as the protocols carry them: each begins `offset` empty buckets after the one before (the first: at that index). */
export interface Spans {
  readonly offsets: readonly number[]
  readonly lengths: readonly number[]
}

/**
 * Buckets from spans and their counts, one count a bucket: absolute, or (`deltas`) each the difference from the one before. A text says why
 * they are none: spans and counts that do not fit, an index out of range.
 */
export const bucketsOf = (
  { offsets, lengths }: Spans,
  counts: readonly number[],
  deltas: boolean,
): Buckets | string => {
  const index: number[] = []
  const count: number[] = []
  let at = 0
  let n = 0
  let held = 0
  for (let s = 0; s < lengths.length; s++) {
    const offset = offsets[s]!
    const length = lengths[s]!
    if (s > 0 && offset < 0) return `span ${s + 1} begins before the one before it ends`
    at += offset
    if (n + length > counts.length)
      return `its spans hold more than the ${counts.length} buckets that are there`
    if (!(Math.abs(at) + length <= widestIndex)) return `bucket ${at} is out of range`
    for (let i = 0; i < length; i++) {
      const given = counts[n++]!
      held = deltas ? held + given : given
      if (held !== 0) {
        index.push(at)
        count.push(held)
      }
      at++
    }
  }
  if (n < counts.length) return `its spans hold ${n} buckets, ${counts.length} are there`
  return index.length === 0 ? noBuckets : { index, count }
}

/** Spans of buckets, for those who must write them: runs of neighbours. */
export const spansOf = ({ index }: Buckets): Spans => {
  const offsets: number[] = []
  const lengths: number[] = []
  let next = 0
  for (const at of index) {
    if (lengths.length > 0 && at === next) lengths[lengths.length - 1]! += 1
    else {
      offsets.push(at - next)
      lengths.push(1)
    }
    next = at + 1
  }
  return { offsets, lengths }
}

const total = ({ count }: Buckets): number => count.reduce((sum, n) => sum + n, 0)

const wrongSide = (side: Buckets, which: string): string | null => {
  for (let i = 0; i < side.count.length; i++)
    if (side.count[i]! < 0)
      return `${which} bucket ${side.index[i]} has the count ${side.count[i]}, below zero`
  const [first = 0, last = 0] = [side.index[0], side.index.at(-1)]
  if (first < -widestIndex || last > widestIndex)
    return `${which} bucket ${last > widestIndex ? last : first} is out of range`
  return null
}

const wrongBounds = ({
  bounds,
  positive,
  negative,
  zeroCount,
  zeroThreshold,
}: NativeHistogram): string | null => {
  for (let i = 0; i < bounds.length; i++) {
    if (!Number.isFinite(bounds[i]!)) return `custom bound ${i + 1} is ${bounds[i]}; bounds are finite`
    if (i > 0 && !(bounds[i]! > bounds[i - 1]!))
      return `custom bound ${bounds[i]} does not come after ${bounds[i - 1]}`
  }
  if (zeroCount !== 0 || zeroThreshold !== 0) return 'custom buckets have no zero bucket'
  if (negative.index.length > 0) return 'custom buckets have no negative side'
  if (positive.index.length > 0 && (positive.index[0]! < 0 || positive.index.at(-1)! > bounds.length))
    return `buckets lie outside the ${bounds.length + 1} that ${bounds.length} custom bounds make`
  return null
}

/**
 * Why a histogram may not be taken, null when it may. Of integer ones the buckets must add up to the count: less than it only when the sum is
 * NaN, because then NaN was observed, which is in no bucket.
 */
export const wrongWith = (h: NativeHistogram, integers: boolean): string | null => {
  if (h.schema === customSchema) {
    const why = wrongBounds(h)
    if (why) return why
  } else if (!Number.isInteger(h.schema) || h.schema < leastSchema || h.schema > mostReadSchema)
    return `its schema is ${h.schema}; ${leastSchema} to ${mostSchema} and ${customSchema} are known`
  else if (h.bounds.length > 0) return 'exponential buckets have no custom bounds'
  const why = wrongSide(h.positive, 'positive') ?? wrongSide(h.negative, 'negative')
  if (why) return why
  if (h.zeroCount < 0) return `its zero bucket has the count ${h.zeroCount}, below zero`
  if (h.zeroThreshold < 0 || Number.isNaN(h.zeroThreshold)) return `its zero threshold is ${h.zeroThreshold}`
  if (h.count < 0) return `its count is ${h.count}, below zero`
  if (!integers) return null
  const inBuckets = total(h.positive) + total(h.negative) + h.zeroCount
  if (Number.isNaN(h.sum) ? inBuckets > h.count : inBuckets !== h.count)
    return `its buckets hold ${inBuckets} observations, its count is ${h.count}`
  return null
}

const coarser = (side: Buckets, shift: number): Buckets => {
  const index: number[] = []
  const count: number[] = []
  const by = 2 ** shift
  for (let i = 0; i < side.index.length; i++) {
    const at = Math.floor((side.index[i]! - 1) / by) + 1
    if (index.at(-1) === at) count[count.length - 1]! += side.count[i]!
    else {
      index.push(at)
      count.push(side.count[i]!)
    }
  }
  return { index, count }
}

/** The same at a lower resolution: each step of the schema down joins two buckets. `schema` is at most the histogram's own, both exponential. */
export const atSchema = (h: NativeHistogram, schema: number): NativeHistogram =>
  schema === h.schema
    ? h
    : {
        ...h,
        schema,
        positive: coarser(h.positive, h.schema - schema),
        negative: coarser(h.negative, h.schema - schema),
      }

/** The histogram in at most `most` buckets, at a lower resolution if need be; null when it cannot be. Finer schemas than are kept are brought down. */
export const fitted = (h: NativeHistogram, most: number): NativeHistogram | null => {
  let held = h.schema > mostSchema ? atSchema(h, mostSchema) : h
  while (held.positive.index.length + held.negative.index.length > most) {
    if (isCustom(held) || held.schema === leastSchema) return null
    held = atSchema(held, held.schema - 1)
  }
  return held
}

/**
 * Adds a histogram in its packed form, the columns of the table `histograms` after id, timestamp and seq: schema Int8, hint UInt8 (its place in
 * `resetHints`), count, sum, zero_threshold, zero_count Float64, then of the positive and the negative side index Array(Int32) and count
 * Array(Float64), and custom_bounds Array(Float64).
 */
export const encodeHistogram = (h: NativeHistogram, into: RowWriter): void => {
  into.uint8(h.schema & 255).uint8(resetHints.indexOf(h.hint))
  into.float64(h.count).float64(h.sum).float64(h.zeroThreshold).float64(h.zeroCount)
  for (const side of [h.positive, h.negative]) into.int32s(side.index).float64s(side.count)
  into.float64s(h.bounds).endRow()
}

export const packHistogram = (h: NativeHistogram): Uint8Array => {
  const into = new RowWriter(
    64 + (h.positive.index.length + h.negative.index.length) * 12 + h.bounds.length * 8,
  )
  encodeHistogram(h, into)
  return into.bytes()
}

/** Reads what `encodeHistogram` wrote. */
export const readHistogram = (r: RowReader): NativeHistogram => {
  const schema = (r.uint8() << 24) >> 24
  const hint = resetHints[r.uint8()] ?? 'unknown'
  const [count, sum, zeroThreshold, zeroCount] = [r.float64(), r.float64(), r.float64(), r.float64()]
  const positive = { index: r.int32s(), count: r.float64s() }
  const negative = { index: r.int32s(), count: r.float64s() }
  return { schema, hint, count, sum, zeroThreshold, zeroCount, positive, negative, bounds: r.float64s() }
}

export const decodeHistogram = (bytes: Uint8Array): NativeHistogram => readHistogram(RowReader.over(bytes))
