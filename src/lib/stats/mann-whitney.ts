// Mann–Whitney's U test and Hodges–Lehmann's shift with its confidence interval: do two samples differ, and by how much.
import { normalCdf, normalQuantile } from './distributions.ts'

// Up to here C(n + m, n) is below 2^53, so that the counts are exact.
const exactUpTo = 25

/** How many of the C(n + m, n) orders give U = 0, 1, … n·m (coefficients of the Gaussian binomial). */
const orders = (n: number, m: number): Float64Array => {
  const c = new Float64Array(n * m + 1)
  c[0] = 1
  for (let i = 1; i <= m; i++) {
    for (let u = c.length - 1; u >= n + i; u--) c[u]! -= c[u - n - i]!
    for (let u = i; u < c.length; u++) c[u]! += c[u - i]!
  }
  return c
}

interface Ranked {
  /** Pairs in which x is greater, ties counted half. */
  readonly u: number
  readonly ties: boolean
  /** Variance of U when both come from one distribution, corrected for ties. */
  readonly variance: number
}

const rank = (x: Float64Array, y: Float64Array): Ranked => {
  const n = x.length
  const m = y.length
  let u = 0
  let tied = 0
  let i = 0
  let j = 0
  // Walks both ascending samples by distinct value.
  while (i < n || j < m) {
    const value = Math.min(x[i] ?? Number.POSITIVE_INFINITY, y[j] ?? Number.POSITIVE_INFINITY)
    const before = j
    let inX = 0
    while (i < n && x[i] === value) {
      inX++
      i++
    }
    while (j < m && y[j] === value) j++
    const inY = j - before
    u += inX * (before + inY / 2)
    const t = inX + inY
    tied += t * t * t - t
  }
  const all = n + m
  return { u, ties: tied > 0, variance: ((n * m) / 12) * (all + 1 - tied / (all * (all - 1))) }
}

export interface MannWhitney {
  /** Pairs (x, y) with x > y, ties counted half: n·m / 2 when nothing differs. */
  readonly u: number
  /** Two-sided probability of a U at least this far from the middle. 1 when all values are equal. */
  readonly p: number
  readonly exact: boolean
}

/**
 * Compares two samples without NaN, each of at least one value. Exact for up to 25 a side without ties; otherwise normal, with tie and
 * continuity correction.
 */
export const mannWhitney = (x: Float64Array, y: Float64Array): MannWhitney => {
  const { u, ties, variance } = rank(x.toSorted(), y.toSorted())
  const n = x.length
  const m = y.length
  if (!ties && n <= exactUpTo && m <= exactUpTo) {
    const counts = orders(n, m)
    let total = 0
    let tail = 0
    for (let k = 0; k < counts.length; k++) {
      total += counts[k]!
      if (k <= Math.min(u, n * m - u)) tail += counts[k]!
    }
    return { u, p: Math.min(1, (2 * tail) / total), exact: true }
  }
  if (variance <= 0) return { u, p: 1, exact: false }
  const off = Math.max(Math.abs(u - (n * m) / 2) - 0.5, 0)
  return { u, p: Math.min(1, 2 * normalCdf(-off / Math.sqrt(variance))), exact: false }
}

/** How many of the n·m differences x − y are at most `d`; x and y ascending. */
const differencesUpTo = (x: Float64Array, y: Float64Array, d: number): number => {
  let count = 0
  let from = 0
  // As x grows, fewer y are large enough.
  for (let i = 0; i < x.length && from < y.length; i++) {
    while (from < y.length && x[i]! - y[from]! > d) from++
    count += y.length - from
  }
  return count
}

const largestUpTo = (x: Float64Array, y: Float64Array, d: number): number => {
  let best = Number.NEGATIVE_INFINITY
  let from = 0
  for (let i = 0; i < x.length; i++) {
    while (from < y.length && x[i]! - y[from]! > d) from++
    if (from === y.length) break
    best = Math.max(best, x[i]! - y[from]!)
  }
  return best
}

/** Up to this many differences they are simply sorted. */
const sortable = 40_000

/** Gives the k-th smallest (from 1) of all differences x − y; x and y ascending. */
const differences = (x: Float64Array, y: Float64Array): ((k: number) => number) => {
  if (x.length * y.length <= sortable) {
    const all = new Float64Array(x.length * y.length)
    let at = 0
    for (let i = 0; i < x.length; i++) for (let j = 0; j < y.length; j++) all[at++] = x[i]! - y[j]!
    all.sort()
    return (k) => all[k - 1]!
  }
  return (k) => {
    let lo = x[0]! - y.at(-1)!
    let hi = x.at(-1)! - y[0]!
    if (differencesUpTo(x, y, lo) >= k) return lo
    for (let i = 0; i < 200; i++) {
      const mid = (lo + hi) / 2
      if (mid <= lo || mid >= hi) break
      if (differencesUpTo(x, y, mid) >= k) hi = mid
      else lo = mid
    }
    return largestUpTo(x, y, hi)
  }
}

/** The largest k with P(U < k) ≤ tail, or 0 when even the extremes are more likely than that. */
const exactRank = (n: number, m: number, tail: number): number => {
  const counts = orders(n, m)
  const total = counts.reduce((a, b) => a + b, 0)
  let below = 0
  let k = 0
  while (k < counts.length && below + counts[k]! <= tail * total) below += counts[k++]!
  return k
}

export interface Shift {
  /** The median of all differences x − y. */
  readonly estimate: number
  /** Bounds of the interval that holds the true shift with the asked confidence; infinite when the samples are too small for it. */
  readonly lower: number
  readonly upper: number
}

/**
 * By how much x lies above y (Hodges and Lehmann 1963), with the interval that inverts the Mann–Whitney test. Samples hold no NaN and at
 * least one value each. `inflation` (≥ 1) multiplies the variance of U, for points that are not independent of one another; more than 1
 * always uses the normal approximation.
 */
export const hodgesLehmann = (
  xs: Float64Array,
  ys: Float64Array,
  confidence: number,
  inflation = 1,
): Shift => {
  const x = xs.toSorted()
  const y = ys.toSorted()
  const pairs = x.length * y.length
  const kth = differences(x, y)
  const half = Math.floor((pairs + 1) / 2)
  const estimate = pairs % 2 === 1 ? kth(half) : (kth(half) + kth(half + 1)) / 2
  const { ties, variance } = rank(x, y)
  const tail = (1 - confidence) / 2
  const small = x.length <= exactUpTo && y.length <= exactUpTo
  const k =
    small && !ties && inflation === 1
      ? exactRank(x.length, y.length, tail)
      : Math.floor(pairs / 2 + normalQuantile(tail) * Math.sqrt(variance * inflation))
  if (k < 1) return { estimate, lower: Number.NEGATIVE_INFINITY, upper: Number.POSITIVE_INFINITY }
  return { estimate, lower: kth(k), upper: kth(pairs + 1 - k) }
}
