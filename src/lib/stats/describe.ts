// Describes one sample of numbers: mean, variance, quantiles, how much each point resembles the one before.

/** NaN of nothing. */
export const mean = (values: Float64Array): number => {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]!
  return sum / values.length
}

/** Unbiased (n − 1); NaN of fewer than two. */
export const variance = (values: Float64Array): number => {
  const m = mean(values)
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += (values[i]! - m) ** 2
  return values.length < 2 ? Number.NaN : sum / (values.length - 1)
}

/** The `p` quantile (0 … 1) of ascending values, linear between neighbours (Hyndman and Fan's type 7); NaN of nothing. */
export const quantileSorted = (sorted: Float64Array, p: number): number => {
  if (sorted.length === 0) return Number.NaN
  const place = (sorted.length - 1) * Math.min(Math.max(p, 0), 1)
  const below = Math.floor(place)
  const low = sorted[below]!
  const high = sorted[Math.min(below + 1, sorted.length - 1)]!
  return low === high ? low : low + (high - low) * (place - below)
}

/** Correlation of each value with the one before it, −1 … 1; 0 where it cannot be told (fewer than 3, or all equal). */
export const autocorrelation = (values: Float64Array): number => {
  // All equal is told here: their mean may be off by a rounding, and that would resemble itself perfectly.
  if (values.length < 3 || values.every((v) => v === values[0])) return 0
  const m = mean(values)
  let shared = 0
  let whole = 0
  for (let i = 0; i < values.length; i++) {
    const d = values[i]! - m
    whole += d * d
    if (i > 0) shared += d * (values[i - 1]! - m)
  }
  return whole > 0 ? shared / whole : 0
}

/** Without values further than `factor` interquartile ranges outside the quartiles. */
export const withoutOutliers = (values: Float64Array, factor: number): Float64Array => {
  const sorted = values.toSorted()
  const low = quantileSorted(sorted, 0.25)
  const high = quantileSorted(sorted, 0.75)
  const reach = factor * (high - low)
  return values.filter((v) => v >= low - reach && v <= high + reach)
}
