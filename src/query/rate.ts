// rate, increase and delta: the slope between a window's first and last sample, resets undone, extrapolated to the window's edges.
import type { Windows } from './grid.ts'
import type { Kernel, SeriesView } from './kernel.ts'

let resets = new Int32Array(64)

/** Positions whose value is below the one before; returns how many. */
const findResets = (s: SeriesView): number => {
  const { value, from, to } = s
  let n = 0
  let before = value[from]!
  for (let i = from + 1; i < to; i++) {
    const v = value[i]!
    if (v < before) {
      if (n === resets.length) {
        const wider = new Int32Array(n * 2)
        wider.set(resets)
        resets = wider
      }
      resets[n++] = i
    }
    before = v
  }
  return n
}

/**
 * What a rise between two samples is multiplied by, as Prometheus extrapolates: an edge nearer than 1.1 average sample distances is reached, else
 * half a distance is added; a counter is not taken below zero at the window's start. `share`: the counter's first value over its rise, infinite
 * for what may be below zero. Times in milliseconds.
 */
export const stretch = (
  firstAt: number,
  lastAt: number,
  gaps: number,
  startAt: number,
  endAt: number,
  share: number,
): number => {
  const sampled = (lastAt - firstAt) / 1000
  const average = sampled / gaps
  const threshold = average * 1.1
  let toStart = (firstAt - startAt) / 1000
  let toEnd = (endAt - lastAt) / 1000
  if (toStart >= threshold) toStart = average / 2
  const toZero = sampled * share
  if (toZero < toStart) toStart = toZero
  if (toEnd >= threshold) toEnd = average / 2
  return (sampled + toStart + toEnd) / sampled
}

/** `rise` (last - first with resets undone) over the whole window. */
const extrapolated = (
  s: SeriesView,
  lo: number,
  last: number,
  rise: number,
  startAt: number,
  endAt: number,
  counter: boolean,
): number => {
  const share = counter && rise > 0 && s.value[lo]! >= 0 ? s.value[lo]! / rise : Number.POSITIVE_INFINITY
  return rise * stretch(s.at[lo]!, s.at[last]!, last - lo, startAt, endAt, share)
}

/** One kernel for the three: `counter` undoes resets, `perSecond` divides by the range. At least two samples are needed. */
export const slope =
  (counter: boolean, perSecond: boolean): Kernel =>
  (s, w, out, present, base) => {
    const { at, value, to } = s
    if (to - s.from < 2) return
    const found = counter ? findResets(s) : 0
    const seconds = perSecond ? w.range / 1000 : 1
    let lo = s.from
    let hi = s.from
    let reset = 0
    for (let t = 0; t < w.count; t++) {
      const endAt = w.endAt + t * w.endStep
      const startAt = endAt - w.range
      while (hi < to && at[hi]! <= endAt) hi++
      while (lo < hi && at[lo]! <= startAt) lo++
      if (hi - lo < 2) continue
      const last = hi - 1
      let rise = value[last]! - value[lo]!
      while (reset < found && resets[reset]! <= lo) reset++
      for (let r = reset; r < found && resets[r]! <= last; r++) rise += value[resets[r]! - 1]!
      out[base + t] = extrapolated(s, lo, last, rise, startAt, endAt, counter) / seconds
      present[base + t] = 1
    }
  }

/** irate and idelta: from the last two samples alone; a reset counts from zero. */
export const lastSlope =
  (rate: boolean) =>
  (s: SeriesView, lo: number, hi: number, _t: number, _w: Windows): number | null => {
    if (hi - lo < 2) return null
    const last = s.value[hi - 1]!
    const before = s.value[hi - 2]!
    const apart = s.at[hi - 1]! - s.at[hi - 2]!
    if (apart === 0) return null
    const by = rate && last < before ? last : last - before
    return rate ? by / (apart / 1000) : by
  }
