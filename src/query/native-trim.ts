// The operators </ and >/: a native histogram without what was observed above or below a value.
import { type Bucket, bucketsAscending, exponentialBound } from '../model/native-bounds.ts'
import { type Buckets, isCustom, type NativeHistogram, noBuckets } from '../model/native-histogram.ts'

interface Kept {
  readonly count: number
  /** What each observation that is left counts as in the sum. */
  readonly middle: number
}

interface Piece {
  readonly lower: number
  readonly upper: number
  readonly count: number
}

const middleOf = (lower: number, upper: number, linear: boolean): number => {
  if (Math.abs(lower) === Number.POSITIVE_INFINITY) {
    if (Math.abs(upper) === Number.POSITIVE_INFINITY) return 0
    return upper > 0 ? upper / 2 : upper
  }
  if (Math.abs(upper) === Number.POSITIVE_INFINITY) return lower
  if (linear) return (lower + upper) / 2
  return (upper > 0 ? 1 : -1) * Math.sqrt(Math.abs(lower * upper))
}

const finite = (value: number): number => (Number.isFinite(value) ? value : 0)

/** A bucket without one of its ends, cut at `at`: how its observations are spread nobody knows, so that mostly it goes or stays whole. */
const endless = ({ lower, upper, count }: Piece, at: number, above: boolean): Kept => {
  if (lower === Number.NEGATIVE_INFINITY) {
    const down = upper > 0 && Number.isFinite(upper)
    if (above) {
      if (at > 0 && down) return { count: (count * at) / upper, middle: at / 2 }
      return upper <= 0 ? { count, middle: at } : { count: 0, middle: finite(upper) }
    }
    if (at >= 0 && down) return { count: count * (1 - at / upper), middle: (at + upper) / 2 }
    return { count: 0, middle: finite(upper) }
  }
  return above ? { count: 0, middle: finite(lower) } : { count, middle: at }
}

const cut = (b: Piece, at: number, above: boolean, linear: boolean): Kept => {
  const { lower, upper, count } = b
  if (above ? upper <= at : lower >= at) return { count, middle: middleOf(lower, upper, linear) }
  if (above ? lower >= at : upper <= at) return { count: 0, middle: 0 }
  if (!Number.isFinite(lower) || !Number.isFinite(upper)) return endless(b, at, above)
  const log = (v: number): number => Math.log2(Math.abs(v))
  const share = linear
    ? (at - lower) / (upper - lower)
    : at > 0
      ? (log(at) - log(lower)) / (log(upper) - log(lower))
      : 1 - (log(at) - log(upper)) / (log(lower) - log(upper))
  return above
    ? { count: count * share, middle: middleOf(lower, at, linear) }
    : { count: count - count * share, middle: middleOf(at, upper, linear) }
}

const zeroCut = (h: NativeHistogram, at: number, above: boolean): Kept => {
  const up = h.positive.index.length > 0
  const down = h.negative.index.length > 0
  const lower = up && !down ? 0 : -h.zeroThreshold
  const upper = down && !up ? 0 : h.zeroThreshold
  const count = h.zeroCount
  if (above ? at <= lower : at >= upper) return { count: 0, middle: 0 }
  if (above ? at >= upper : at <= lower) return { count, middle: (lower + upper) / 2 }
  return above
    ? { count: (count * (at - lower)) / (upper - lower), middle: (lower + at) / 2 }
    : { count: (count * (upper - at)) / (upper - lower), middle: (at + upper) / 2 }
}

/** Keeps what was observed at or below `at` (`above`: what is above goes), or at or above it. Count and sum are estimated anew from what is left. */
export const trimmed = (h: NativeHistogram, at: number, above: boolean): NativeHistogram => {
  const linear = isCustom(h)
  let [count, sum, changed] = [0, 0, false]
  const take = (kept: Kept, before: number): number => {
    count += kept.count
    sum += kept.middle * kept.count
    if (kept.count !== before) changed = true
    return kept.count
  }
  const piece = (index: number, n: number, sign: 1 | -1): Piece => {
    const [near, far] = [exponentialBound(index - 1, h.schema), exponentialBound(index, h.schema)]
    return sign === 1 ? { lower: near, upper: far, count: n } : { lower: -far, upper: -near, count: n }
  }
  const side = (from: Buckets, pieceAt: (i: number) => Piece): Buckets => {
    const index: number[] = []
    const counts: number[] = []
    from.index.forEach((place, i) => {
      const left = take(cut(pieceAt(i), at, above, linear), from.count[i]!)
      if (left === 0) return
      index.push(place)
      counts.push(left)
    })
    return index.length === 0 ? noBuckets : { index, count: counts }
  }
  const custom: Bucket[] = linear ? bucketsAscending(h) : []
  const { positive: p, negative: n } = h
  const positive = side(p, (i) => (linear ? custom[i]! : piece(p.index[i]!, p.count[i]!, 1)))
  const negative = side(n, (i) => piece(n.index[i]!, n.count[i]!, -1))
  const zeroCount = h.zeroCount > 0 ? take(zeroCut(h, at, above), h.zeroCount) : h.zeroCount
  return changed ? { ...h, count, sum, zeroCount, positive, negative } : h
}
