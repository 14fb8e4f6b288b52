// Every function over a range vector, as a kernel.
import { AppError } from '../lib/errors.ts'
import { type Kernel, type KernelSpec, perWindow, type SeriesView } from './kernel.ts'
import { mixedKernel } from './native-windows.ts'
import { isInfinite, meanOf, quantileOf, Sum, sumOf, varianceOf } from './numeric.ts'
import { lastSlope, slope } from './rate.ts'

type PerWindow = (s: SeriesView, lo: number, hi: number) => number | null

const extreme =
  (better: (a: number, b: number) => boolean, give: 'value' | 'at', orEqual: boolean): PerWindow =>
  ({ value, at }, lo, hi) => {
    let best = lo
    for (let i = lo + 1; i < hi; i++) {
      const v = value[i]!
      const held = value[best]!
      if (better(v, held) || Number.isNaN(held) || (orEqual && v === held)) best = i
    }
    return give === 'value' ? value[best]! : at[best]! / 1000
  }
const below = (a: number, b: number): boolean => a < b
const above = (a: number, b: number): boolean => a > b

const changes: PerWindow = ({ value }, lo, hi) => {
  let n = 0
  for (let i = lo + 1; i < hi; i++) {
    const a = value[i - 1]!
    const b = value[i]!
    if (a !== b && !(Number.isNaN(a) && Number.isNaN(b))) n++
  }
  return n
}
const resets: PerWindow = ({ value }, lo, hi) => {
  let n = 0
  for (let i = lo + 1; i < hi; i++) if (value[i]! < value[i - 1]!) n++
  return n
}

const medianDistance: PerWindow = ({ value }, lo, hi) => {
  const copy = value.slice(lo, hi)
  // One NaN leaves the median undefined.
  if (copy.some(Number.isNaN)) return Number.NaN
  const median = quantileOf(0.5, copy)
  for (let i = 0; i < copy.length; i++) copy[i] = Math.abs(copy[i]! - median)
  return quantileOf(0.5, copy)
}

const line = { slope: 0, intercept: 0 }
/** Least squares over a window, x in seconds from `zeroAt`; the answer is in `line` until the next call. */
const leastSquares = ({ at, value }: SeriesView, lo: number, hi: number, zeroAt: number): typeof line => {
  const n = hi - lo
  const x = new Sum()
  const y = new Sum()
  const xy = new Sum()
  const xx = new Sum()
  let level = true
  for (let i = lo; i < hi; i++) {
    const dx = (at[i]! - zeroAt) / 1000
    const v = value[i]!
    if (v !== value[lo]!) level = false
    x.add(dx)
    y.add(v)
    xy.add(dx * v)
    xx.add(dx * dx)
  }
  if (level) {
    const flat = isInfinite(value[lo]!) ? Number.NaN : 0
    line.slope = flat
    line.intercept = value[lo]! + flat
    return line
  }
  const covariance = xy.value - (x.value * y.value) / n
  const variance = xx.value - (x.value * x.value) / n
  line.slope = covariance / variance
  line.intercept = y.value / n - (line.slope * x.value) / n
  return line
}

const deriv: PerWindow = (s, lo, hi) => (hi - lo < 2 ? null : leastSquares(s, lo, hi, s.at[lo]!).slope)

const predict = (ahead: Float64Array): Kernel =>
  perWindow((s, lo, hi, t, { grid }) => {
    if (hi - lo < 2) return null
    const { slope: k, intercept } = leastSquares(s, lo, hi, grid.startAt + t * grid.step)
    return k * ahead[t]! + intercept
  })

const factor = (value: number, what: string): number => {
  if (value > 0 && value < 1) return value
  throw new AppError('execution', `invalid ${what} factor. Expected: 0 < factor < 1, got: ${value}`)
}

/** Holt's linear method: a level smoothed by `sf`, a trend by `tf`. */
const smooth = (sfs: Float64Array, tfs: Float64Array): Kernel =>
  perWindow(({ value }, lo, hi, t) => {
    const sf = factor(sfs[t]!, 'smoothing')
    const tf = factor(tfs[t]!, 'trend')
    if (hi - lo < 2) return null
    let before = 0
    let level = value[lo]!
    let trend = value[lo + 1]! - value[lo]!
    for (let i = lo + 1; i < hi; i++) {
      if (i > lo + 1) trend = tf * (level - before) + (1 - tf) * trend
      const next = sf * value[i]! + (1 - sf) * (level + trend)
      before = level
      level = next
    }
    return level
  })

const plain: Readonly<Record<string, Kernel>> = {
  rate: slope(true, true),
  increase: slope(true, false),
  delta: slope(false, false),
  irate: perWindow(lastSlope(true)),
  idelta: perWindow(lastSlope(false)),
  changes: perWindow(changes),
  resets: perWindow(resets),
  deriv: perWindow(deriv),
  sum_over_time: perWindow((s, lo, hi) => sumOf(s.value, lo, hi)),
  avg_over_time: perWindow((s, lo, hi) => meanOf(s.value, lo, hi)),
  min_over_time: perWindow(extreme(below, 'value', false)),
  max_over_time: perWindow(extreme(above, 'value', false)),
  count_over_time: perWindow((_s, lo, hi) => hi - lo),
  last_over_time: perWindow((s, _lo, hi) => s.value[hi - 1]!),
  first_over_time: perWindow((s, lo) => s.value[lo]!),
  present_over_time: perWindow(() => 1),
  absent_over_time: perWindow(() => 1),
  stddev_over_time: perWindow((s, lo, hi) => Math.sqrt(varianceOf(s.value, lo, hi))),
  stdvar_over_time: perWindow((s, lo, hi) => varianceOf(s.value, lo, hi)),
  mad_over_time: perWindow(medianDistance),
  ts_of_first_over_time: perWindow((s, lo) => s.at[lo]! / 1000),
  ts_of_last_over_time: perWindow((s, _lo, hi) => s.at[hi - 1]! / 1000),
  ts_of_max_over_time: perWindow(extreme(above, 'at', true)),
  ts_of_min_over_time: perWindow(extreme(below, 'at', true)),
}

/** Kernels that look at a window's ends only. */
const moving: ReadonlySet<string> = new Set([
  'rate',
  'increase',
  'delta',
  'irate',
  'idelta',
  'count_over_time',
  'last_over_time',
  'first_over_time',
  'present_over_time',
  'absent_over_time',
  'ts_of_first_over_time',
  'ts_of_last_over_time',
])

/** The kernel of a function over a range vector; `params` are its scalar arguments, one value a step. */
export const windowKernel = (name: string, params: readonly Float64Array[]): KernelSpec => {
  const known = plain[name]
  const mixed = mixedKernel(name)
  if (known) return { kernel: known, mixed, seesStale: false, rescans: !moving.has(name) }
  const [a, b] = params as [Float64Array, Float64Array]
  if (name === 'predict_linear') return { kernel: predict(a), mixed, seesStale: false, rescans: true }
  if (name === 'double_exponential_smoothing')
    return { kernel: smooth(a, b), mixed, seesStale: false, rescans: true }
  if (name === 'quantile_over_time')
    return {
      kernel: perWindow((s, lo, hi, t) => quantileOf(a[t]!, s.value.slice(lo, hi))),
      mixed,
      seesStale: false,
      rescans: true,
    }
  throw new AppError('internal', `no kernel for ${name}`)
}

/** Functions over windows that keep the metric's name. */
export const keepsName: ReadonlySet<string> = new Set(['last_over_time', 'first_over_time'])
