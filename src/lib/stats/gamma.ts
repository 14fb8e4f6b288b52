// The gamma and beta functions that the distributions are made of.

// Lanczos's approximation with g = 7 and nine terms: relative error below 1e-14 for positive arguments.
const lanczos = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059,
  12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
]

/** ln Γ(x) for x > 0. */
export const lnGamma = (x: number): number => {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - lnGamma(1 - x)
  const z = x - 1
  let sum = lanczos[0]!
  for (let i = 1; i < lanczos.length; i++) sum += lanczos[i]! / (z + i)
  const t = z + 7.5
  return 0.5 * Math.log(2 * Math.PI) + (z + 0.5) * Math.log(t) - t + Math.log(sum)
}

const tiny = 1e-300
const enough = 1e-16
const most = 10_000

const lowerSeries = (a: number, x: number): number => {
  let term = 1 / a
  let sum = term
  for (let n = 1; n < most; n++) {
    term *= x / (a + n)
    sum += term
    if (term < sum * enough) break
  }
  return sum * Math.exp(a * Math.log(x) - x - lnGamma(a))
}

/** Lentz's evaluation of a continued fraction b0 + a1/(b1 + a2/(b2 + …)), given as `(n) => [an, bn]`. */
const lentz = (b0: number, term: (n: number) => readonly [number, number]): number => {
  let f = b0 === 0 ? tiny : b0
  let c = f
  let d = 0
  for (let n = 1; n < most; n++) {
    const [a, b] = term(n)
    d = b + a * d
    if (d === 0) d = tiny
    c = b + a / c
    if (c === 0) c = tiny
    d = 1 / d
    const step = c * d
    f *= step
    if (Math.abs(step - 1) < enough) break
  }
  return f
}

const upperFraction = (a: number, x: number): number =>
  Math.exp(a * Math.log(x) - x - lnGamma(a)) / lentz(x + 1 - a, (n) => [-n * (n - a), x + 2 * n + 1 - a])

/** P(a, x), the regularised lower incomplete gamma function, for a > 0 and x ≥ 0. */
export const lowerGamma = (a: number, x: number): number => {
  if (x <= 0) return 0
  if (x === Number.POSITIVE_INFINITY) return 1
  return x < a + 1 ? lowerSeries(a, x) : 1 - upperFraction(a, x)
}

/** Q(a, x) = 1 − P(a, x), exact to the last digits in the far tail too. */
export const upperGamma = (a: number, x: number): number => {
  if (x <= 0) return 1
  if (x === Number.POSITIVE_INFINITY) return 0
  return x < a + 1 ? 1 - lowerSeries(a, x) : upperFraction(a, x)
}

const betaFraction = (a: number, b: number, x: number): number =>
  lentz(1, (n) => {
    const m = Math.floor(n / 2)
    const even = n % 2 === 0
    const top = even ? m * (b - m) : -(a + m) * (a + b + m)
    return [(top * x) / ((a + n - 1) * (a + n)), 1]
  })

/** I_x(a, b), the regularised incomplete beta function, for 0 ≤ x ≤ 1. */
export const betaRatio = (x: number, a: number, b: number): number => {
  if (x <= 0) return 0
  if (x >= 1) return 1
  const front = (p: number, q: number, z: number): number =>
    Math.exp(lnGamma(a + b) - lnGamma(a) - lnGamma(b) + p * Math.log(z) + q * Math.log1p(-z)) / p
  return x < (a + 1) / (a + b + 2)
    ? front(a, b, x) / betaFraction(a, b, x)
    : 1 - front(b, a, 1 - x) / betaFraction(b, a, 1 - x)
}
