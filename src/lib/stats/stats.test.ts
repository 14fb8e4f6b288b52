import fc from 'fast-check'
import jStat from 'jstat'
import { describe, expect, test } from 'vitest'
import { autocorrelation, mean, quantileSorted, variance, withoutOutliers } from './describe.ts'
import {
  chiSquareCdf,
  chiSquareQuantile,
  chiSquareTail,
  normalCdf,
  normalQuantile,
  studentCdf,
  studentQuantile,
} from './distributions.ts'
import { lnGamma } from './gamma.ts'
import { hodgesLehmann, mannWhitney } from './mann-whitney.ts'

const of = (...values: number[]): Float64Array => Float64Array.from(values)

describe('distributions', () => {
  test('the normal distribution agrees with published values, far tail too', () => {
    expect(normalCdf(0)).toBe(0.5)
    expect(normalCdf(1.96)).toBeCloseTo(0.9750021048517795, 14)
    expect(normalCdf(-10) / 7.619853024160527e-24).toBeCloseTo(1, 10)
    expect(normalQuantile(0.975)).toBeCloseTo(1.959963984540054, 12)
    expect(normalQuantile(0.01)).toBeCloseTo(-2.3263478740408408, 12)
    expect(normalQuantile(1e-20)).toBeCloseTo(-9.26234008979841, 10)
    expect(normalQuantile(1)).toBe(Number.POSITIVE_INFINITY)
    expect(normalQuantile(1.1)).toBeNaN()
  })
  test('t and chi-square agree with the tables printed in textbooks', () => {
    for (const [df, p, t] of [
      [1, 0.975, 12.706],
      [5, 0.95, 2.015],
      [10, 0.995, 3.169],
      [30, 0.975, 2.042],
    ] as const)
      expect(studentQuantile(p, df)).toBeCloseTo(t, 3)
    for (const [df, p, x] of [
      [1, 0.95, 3.841],
      [4, 0.99, 13.277],
      [10, 0.05, 3.94],
      [100, 0.95, 124.342],
    ] as const)
      expect(chiSquareQuantile(p, df)).toBeCloseTo(x, 3)
    expect(chiSquareTail(10.828, 1)).toBeCloseTo(0.001, 6)
  })
  test('they agree with jstat everywhere', () => {
    fc.assert(
      fc.property(fc.double({ min: -6, max: 6, noNaN: true }), fc.integer({ min: 1, max: 200 }), (x, df) => {
        expect(normalCdf(x)).toBeCloseTo(jStat.normal.cdf(x, 0, 1), 9)
        expect(studentCdf(x, df)).toBeCloseTo(jStat.studentt.cdf(x, df), 7)
        expect(chiSquareCdf(Math.abs(x) * df, df)).toBeCloseTo(jStat.chisquare.cdf(Math.abs(x) * df, df), 8)
        expect(lnGamma(df / 3)).toBeCloseTo(jStat.gammaln(df / 3), 8)
      }),
      { numRuns: 200 },
    )
  })
  test('a quantile is undone by its distribution', () => {
    fc.assert(
      fc.property(
        fc.double({ min: 1e-6, max: 1 - 1e-6, noNaN: true }),
        fc.integer({ min: 1, max: 60 }),
        (p, df) => {
          expect(normalCdf(normalQuantile(p))).toBeCloseTo(p, 12)
          expect(studentCdf(studentQuantile(p, df), df)).toBeCloseTo(p, 10)
          expect(chiSquareCdf(chiSquareQuantile(p, df), df)).toBeCloseTo(p, 10)
        },
      ),
      { numRuns: 100 },
    )
  })
})

describe('description', () => {
  test('mean, variance, quantiles', () => {
    const v = of(2, 4, 4, 4, 5, 5, 7, 9)
    expect(mean(v)).toBe(5)
    expect(variance(v)).toBeCloseTo(32 / 7, 12)
    expect(variance(of(1))).toBeNaN()
    expect(quantileSorted(of(1, 2, 3, 4), 0.5)).toBe(2.5)
    expect(quantileSorted(of(1, 2, 3, 4), 0.9)).toBeCloseTo(3.7, 12)
    expect(quantileSorted(of(), 0.5)).toBeNaN()
  })
  test('autocorrelation: a slow wave resembles itself, an alternation opposes itself', () => {
    const wave = Float64Array.from({ length: 100 }, (_, i) => Math.sin(i / 10))
    const zigzag = Float64Array.from({ length: 100 }, (_, i) => i % 2)
    expect(autocorrelation(wave)).toBeGreaterThan(0.95)
    expect(autocorrelation(zigzag)).toBeLessThan(-0.95)
    expect(autocorrelation(of(3, 3, 3, 3))).toBe(0)
  })
  test('outliers go, the rest stays', () => {
    expect([...withoutOutliers(of(1, 2, 3, 4, 5, 1000), 3)]).toEqual([1, 2, 3, 4, 5])
  })
})

describe('mann-whitney', () => {
  test('exact: critical values of the published table', () => {
    // n = m = 5, two-sided 0.05: critical U is 2, p(U ≤ 2) = 4/252 a side, p(U ≤ 3) = 7/252.
    const x = of(1, 2, 3, 4, 6.5)
    expect(mannWhitney(x, of(5, 6, 7, 8, 9))).toEqual({ u: 2, p: (2 * 4) / 252, exact: true })
    // n = 3, m = 4: all below all.
    expect(mannWhitney(of(1, 2, 3), of(4, 5, 6, 7)).p).toBeCloseTo(2 / 35, 12)
  })
  test('ties: normal with correction, as worked by hand', () => {
    const x = of(1, 2, 2, 3)
    const y = of(2, 3, 4, 4)
    // U counts pairs x > y plus half the ties: 2=2 twice (1), 3>2 and 3=3 (1.5).
    const { u, p, exact } = mannWhitney(x, y)
    expect(u).toBe(2.5)
    expect(exact).toBe(false)
    const sd = Math.sqrt((16 / 12) * (9 - (24 + 6 + 6) / 56))
    expect(p).toBeCloseTo(2 * normalCdf(-(8 - 2.5 - 0.5) / sd), 12)
  })
  test('all equal says nothing', () => {
    expect(mannWhitney(of(1, 1, 1), of(1, 1)).p).toBe(1)
  })
  test('the exact distribution meets the normal one at its edge', () => {
    const x = Float64Array.from({ length: 25 }, (_, i) => i * 1.01)
    const y = Float64Array.from({ length: 25 }, (_, i) => i + 5.503)
    const exact = mannWhitney(x, y)
    const withTie = mannWhitney(of(...x, 24.5), of(...y, 24.5))
    expect(exact.exact).toBe(true)
    expect(withTie.exact).toBe(false)
    expect(exact.p).toBeCloseTo(withTie.p, 2)
  })
  test('U against all pairs counted one by one', () => {
    const sample = fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(sample, sample, (a, b) => {
        let u = 0
        for (const x of a) for (const y of b) u += x > y ? 1 : x === y ? 0.5 : 0
        expect(mannWhitney(of(...a), of(...b)).u).toBe(u)
      }),
    )
  })
})

describe('hodges-lehmann', () => {
  test('a textbook sample: permeability constants of two groups (Hollander and Wolfe)', () => {
    const term = of(0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46)
    const early = of(1.15, 0.88, 0.9, 0.74, 1.21)
    const { estimate, lower, upper } = hodgesLehmann(term, early, 0.95)
    expect(estimate).toBeCloseTo(0.305, 10)
    expect(lower).toBeCloseTo(-0.15, 10)
    expect(upper).toBeCloseTo(0.76, 10)
    expect(mannWhitney(term, early).p).toBeCloseTo(0.2544, 4)
  })
  test('few points give no interval', () => {
    expect(hodgesLehmann(of(1, 2), of(3, 4), 0.98)).toMatchObject({ lower: -Infinity, upper: Infinity })
  })
  test('large samples select the same differences that sorting gives', () => {
    const value = fc.integer({ min: -50, max: 50 })
    const big = fc.array(value, { minLength: 201, maxLength: 220 })
    fc.assert(
      fc.property(big, big, (a, b) => {
        const x = of(...a)
        const y = of(...b)
        const all = Float64Array.from(a.flatMap((v) => b.map((w) => v - w))).sort()
        const n = all.length
        const median = n % 2 ? all[(n - 1) / 2]! : (all[n / 2 - 1]! + all[n / 2]!) / 2
        const shift = hodgesLehmann(x, y, 0.98)
        expect(shift.estimate).toBe(median)
        expect(all.includes(shift.lower) && all.includes(shift.upper)).toBe(true)
        expect(shift.lower).toBeLessThanOrEqual(shift.estimate)
        expect(shift.upper).toBeGreaterThanOrEqual(shift.estimate)
      }),
      { numRuns: 15 },
    )
  })
  test('the interval covers the true shift as often as it says', () => {
    let state = 7
    const random = (): number => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      return (state + 0.5) / 2 ** 32
    }
    let covered = 0
    const rounds = 400
    for (let r = 0; r < rounds; r++) {
      const x = Float64Array.from({ length: 60 }, () => normalQuantile(random()) + 0.5)
      const y = Float64Array.from({ length: 60 }, () => normalQuantile(random()))
      const { lower, upper } = hodgesLehmann(x, y, 0.9)
      if (lower <= 0.5 && upper >= 0.5) covered++
    }
    // Binomial(400, 0.9): six standard deviations either way.
    expect(covered / rounds).toBeGreaterThan(0.81)
    expect(covered / rounds).toBeLessThan(0.99)
  })
  test('inflation widens', () => {
    const x = Float64Array.from({ length: 60 }, (_, i) => i)
    const y = Float64Array.from({ length: 60 }, (_, i) => i + 3)
    const narrow = hodgesLehmann(x, y, 0.98)
    const wide = hodgesLehmann(x, y, 0.98, 3)
    expect(wide.upper - wide.lower).toBeGreaterThan(narrow.upper - narrow.lower)
  })
})
