// Exponential backoff with full jitter.
import { type Duration, duration } from './time.ts'

export interface Backoff {
  readonly first: Duration
  readonly most: Duration
}

/** The wait before attempt `n` (1 = the first retry): uniform in (half, whole] of `first · 2^(n-1)`, capped by `most`. */
export const backoff = (
  { first, most }: Backoff,
  n: number,
  random: () => number = Math.random,
): Duration => {
  const whole = Math.min(first * 2 ** Math.min(n - 1, 30), most)
  return duration(whole / 2 + (random() * whole) / 2)
}
