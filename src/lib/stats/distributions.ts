// Normal, Student's t and chi-square: cumulative distributions and their quantiles.
import { betaRatio, lowerGamma, upperGamma } from './gamma.ts'

/** Φ(x), with full relative precision in the lower tail. */
export const normalCdf = (x: number): number => {
  const tail = upperGamma(0.5, (x * x) / 2) / 2
  return x < 0 ? tail : 1 - tail
}

/** Student's t with `df` > 0 degrees of freedom. */
export const studentCdf = (t: number, df: number): number => {
  const square = t * t
  // Near the middle df / (df + t²) rounds to 1: there the mass around 0 is taken instead of the tail.
  if (square < df) return 0.5 + (Math.sign(t) * betaRatio(square / (df + square), 0.5, df / 2)) / 2
  const tail = betaRatio(df / (df + square), df / 2, 0.5) / 2
  return t < 0 ? tail : 1 - tail
}

/** Chi-square with `df` > 0 degrees of freedom. */
export const chiSquareCdf = (x: number, df: number): number => lowerGamma(df / 2, x / 2)
/** The probability of more than `x`. */
export const chiSquareTail = (x: number, df: number): number => upperGamma(df / 2, x / 2)

/** Where a growing `f` reaches `p`, between `low` and `high`, by bisection to the last representable digit. */
const invert = (f: (x: number) => number, p: number, low: number, high: number): number => {
  let lo = low
  let hi = high
  for (let i = 0; i < 400; i++) {
    const mid = (lo + hi) / 2
    if (mid <= lo || mid >= hi) return mid
    if (f(mid) < p) lo = mid
    else hi = mid
  }
  return (lo + hi) / 2
}

/** Widens by doubling until `f` passes `p`. */
const reach = (f: (x: number) => number, p: number): number => {
  let x = 1
  while (x < 1e300 && f(x) < p) x *= 2
  return x
}

const symmetricQuantile = (cdf: (x: number) => number, p: number): number => {
  if (!(p >= 0 && p <= 1)) return Number.NaN
  if (p === 0.5) return 0
  if (p === 0 || p === 1) return p === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  // The lower tail is where cdf keeps its precision; the upper one is its mirror.
  const tail = Math.min(p, 1 - p)
  let low = -1
  while (low > -1e300 && cdf(low) > tail) low *= 2
  const x = invert(cdf, tail, low, 0)
  return p < 0.5 ? x : -x
}

/** The x with Φ(x) = p; NaN outside 0 … 1. */
export const normalQuantile = (p: number): number => symmetricQuantile(normalCdf, p)

export const studentQuantile = (p: number, df: number): number =>
  symmetricQuantile((t) => studentCdf(t, df), p)

export const chiSquareQuantile = (p: number, df: number): number => {
  if (!(p >= 0 && p <= 1)) return Number.NaN
  if (p === 0) return 0
  if (p === 1) return Number.POSITIVE_INFINITY
  const cdf = (x: number): number => chiSquareCdf(x, df)
  return invert(cdf, p, 0, reach(cdf, p))
}
