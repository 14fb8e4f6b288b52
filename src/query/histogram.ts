// histogram_quantile, histogram_quantiles and histogram_fraction: over classic buckets (cumulative counts under the label `le`) and native ones.
import { formatFloat } from '../lib/template/float.ts'
import {
  type Labels,
  labelOf,
  labelsKey,
  metricName,
  pick,
  withLabels,
  withoutName,
} from '../model/labels.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import type { CallNode } from './ast.ts'
import { anyPresent, type Block, joinRows, labelsAt } from './block.ts'
import { readNumber } from './literal.ts'
import { fractionWithoutNaN, mixedClassic, quantileIsNaN, quantileIsSkewed } from './native-notes.ts'
import { nativeFraction, nativeQuantile } from './native-quantile.ts'
import type { Run } from './run.ts'
import { warnQuantile } from './select.ts'

interface Histogram {
  readonly labels: Labels
  readonly metric: string
  /** Rows by ascending bound. */
  readonly rows: readonly { readonly row: number; readonly bound: number }[]
}

/** A float as Go's ParseFloat reads it, or null. */
const boundOf = (text: string): number | null => {
  if (/^[+-]?inf(inity)?$/i.test(text))
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  const m = /^([+-]?)(.*)$/.exec(text)!
  if (!/^(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(m[2]!)) return null
  return (m[1] === '-' ? -1 : 1) * (readNumber(m[2]!.replace(/^0+(?=\d)/, ''))?.value ?? Number.NaN)
}

const bucketOnly: ReadonlySet<string> = new Set(['le', metricName])

const anyFloat = (block: Block, row: number): boolean => {
  const { steps, present, cells } = block
  if (!cells) return anyPresent(block, row)
  for (let k = row * steps; k < (row + 1) * steps; k++) if (present[k] === 1 && !cells[k]) return true
  return false
}

/** Groups bucket rows into histograms; rows whose `le` is no number are left out with a warning. */
const histogramsOf = (run: Run, block: Block, from: number): Histogram[] => {
  const found = new Map<string, { labels: Labels; metric: string; rows: { row: number; bound: number }[] }>()
  for (let row = 0; row < block.labels.length; row++) {
    if (!anyFloat(block, row)) continue
    const labels = labelsAt(block, row)
    const metric = labelOf(labels, metricName)
    const le = labelOf(labels, 'le')
    const bound = boundOf(le)
    if (bound === null || Number.isNaN(bound)) {
      run.warn(
        `bucket label "le" is missing or has a malformed value of ${JSON.stringify(le)} for metric name ${JSON.stringify(metric)}`,
        from,
      )
      continue
    }
    const rest = pick(labels, bucketOnly, false)
    const key = labelsKey(rest)
    let held = found.get(key)
    if (!held) {
      held = { labels: rest, metric, rows: [] }
      found.set(key, held)
    }
    held.rows.push({ row, bound })
  }
  for (const h of found.values()) h.rows.sort((a, b) => a.bound - b.bound)
  return [...found.values()]
}

/** Buckets of one histogram at one step, reused. */
class Buckets {
  bounds: number[] = []
  counts: number[] = []
  forced = false

  /** Loads ascending buckets, equal bounds merged; false when there is none. */
  load(block: Block, h: Histogram, t: number): boolean {
    this.bounds.length = 0
    this.counts.length = 0
    this.forced = false
    for (const { row, bound } of h.rows) {
      const k = row * block.steps + t
      if (block.present[k] === 0 || block.cells?.[k]) continue
      const count = block.values[k]!
      if (this.bounds.at(-1) === bound) this.counts[this.counts.length - 1]! += count
      else {
        this.bounds.push(bound)
        this.counts.push(count)
      }
    }
    return this.bounds.length > 0
  }

  /** Lifts counts that fall below the one before; differences within float noise (relative 1e-12) are evened out silently. */
  monotone(): void {
    const { counts } = this
    let before = counts[0]!
    for (let i = 1; i < counts.length; i++) {
      const count = counts[i]!
      if (count === before) continue
      if (nearly(before, count)) counts[i] = before
      else if (count < before) {
        counts[i] = before
        this.forced = true
      } else before = count
    }
  }
}

const smallestNormal = 2.2250738585072014e-308
const nearly = (a: number, b: number): boolean => {
  const size = Math.abs(a) + Math.abs(b)
  const apart = Math.abs(a - b)
  if (a === 0 || b === 0 || size < smallestNormal) return apart < 1e-12 * smallestNormal
  return apart / Math.min(size, Number.MAX_VALUE) < 1e-12
}

/** The q-quantile by linear interpolation within the bucket it falls in; the lowest bucket begins at 0 when its bound is above. */
const quantile = (q: number, b: Buckets): number => {
  if (Number.isNaN(q)) return Number.NaN
  if (q < 0) return Number.NEGATIVE_INFINITY
  if (q > 1) return Number.POSITIVE_INFINITY
  const { bounds, counts } = b
  const top = bounds.length - 1
  if (bounds[top] !== Number.POSITIVE_INFINITY) return Number.NaN
  b.monotone()
  if (top < 1 || counts[top] === 0) return Number.NaN
  let rank = q * counts[top]!
  let i = 0
  while (i < top && !(counts[i]! >= rank)) i++
  if (i === top) return bounds[top - 1]!
  if (i === 0 && bounds[0]! <= 0) return bounds[0]!
  const low = i > 0 ? bounds[i - 1]! : 0
  const below = i > 0 ? counts[i - 1]! : 0
  rank -= below
  return low + (bounds[i]! - low) * (rank / (counts[i]! - below))
}

/** The share of observations between two values, by linear interpolation within buckets. */
const fraction = (lower: number, upper: number, { bounds, counts }: Buckets): number => {
  const top = bounds.length - 1
  if (bounds[top] !== Number.POSITIVE_INFINITY) return Number.NaN
  const all = counts[top]!
  if (all === 0 || Number.isNaN(lower) || Number.isNaN(upper)) return Number.NaN
  if (lower >= upper) return 0
  const rankOf = (v: number): number => {
    let before = 0
    for (let i = 0; i <= top; i++) {
      const low = i > 0 ? bounds[i - 1]! : bounds[0]! > 0 ? 0 : Number.NEGATIVE_INFINITY
      if (low >= v) return before
      // A bucket without a lower end cannot be cut: all of it counts as below.
      if (bounds[i]! > v && low === Number.NEGATIVE_INFINITY) return counts[i]!
      if (bounds[i]! > v) return before + ((counts[i]! - before) * (v - low)) / (bounds[i]! - low)
      before = counts[i]!
    }
    return all
  }
  const reach = (v: number): number => {
    const rank = rankOf(v)
    return Math.min(rank, all)
  }
  return (reach(upper) - reach(lower)) / all
}

/** What is read off a histogram at a step: off classic buckets, off a native one. */
interface Reading {
  classic(b: Buckets, h: Histogram, t: number): number
  native(h: NativeHistogram, metric: string, t: number): number
}

/** A classic histogram or the native ones of a row; the key tells which of them stand for the same. */
const keyWithName = (labels: Labels, metric: string): string => `${metric}\u0000${labelsKey(labels)}`

/** Rows with native histograms. */
const nativeRows = ({ labels, cells, steps }: Block): number[] => {
  const out: number[] = []
  if (!cells) return out
  for (let row = 0; row < labels.length; row++)
    for (let t = 0; t < steps; t++)
      if (cells[row * steps + t]) {
        out.push(row)
        break
      }
  return out
}

const evaluate = async (run: Run, block: Block, from: number, reading: Reading): Promise<Block> => {
  const found = histogramsOf(run, block, from)
  const natives = nativeRows(block)
  const { steps, cells } = block
  const rows = found.length + natives.length
  run.reserve(rows, steps)
  const values = new Float64Array(rows * steps)
  const present = new Uint8Array(rows * steps)
  const labels = found.map((h) => h.labels)
  const buckets = new Buckets()
  for (const [i, h] of found.entries()) {
    for (let t = 0; t < steps; t++) {
      if (!buckets.load(block, h, t)) continue
      values[i * steps + t] = reading.classic(buckets, h, t)
      present[i * steps + t] = 1
    }
    await run.pause()
  }
  const classic = new Map(found.map((h, i) => [keyWithName(h.labels, h.metric), i]))
  for (const [n, row] of natives.entries()) {
    const own = labelsAt(block, row)
    const metric = labelOf(own, metricName)
    const bare = withoutName(own)
    labels.push(bare)
    const twin = classic.get(keyWithName(bare, metric))
    for (let t = 0; t < steps; t++) {
      const h = cells![row * steps + t]
      if (!h || block.present[row * steps + t] === 0) continue
      if (twin !== undefined && present[twin * steps + t] === 1) {
        run.warn(mixedClassic(metric), from)
        present[twin * steps + t] = 0
        continue
      }
      const k = (found.length + n) * steps + t
      values[k] = reading.native(h, metric, t)
      present[k] = 1
    }
    await run.pause()
  }
  const distinct = natives.length === 0
  return joinRows({ labels, nameless: false, distinct, steps, values, present }, false)
}

const quantileReading = (run: Run, qs: Float64Array, from: number): Reading => ({
  classic: (buckets, h, t) => {
    const answer = quantile(qs[t]!, buckets)
    if (buckets.forced)
      run.inform(
        `input to histogram_quantile needed to be fixed for monotonicity for metric name ${JSON.stringify(h.metric)}`,
        from,
      )
    return answer
  },
  native: (h, metric, t) => {
    const { value, nan } = nativeQuantile(qs[t]!, h)
    if (nan === 'result') run.inform(quantileIsNaN(metric), from)
    if (nan === 'skewed') run.inform(quantileIsSkewed(metric), from)
    return value
  },
})

/** The q-quantile of each histogram at each step. */
export const histogramQuantile = (
  run: Run,
  block: Block,
  qs: Float64Array,
  places: { q: number; vector: number },
): Promise<Block> => {
  for (const q of new Set(qs)) warnQuantile(run, q, places.q)
  return evaluate(run, block, places.vector, quantileReading(run, qs, places.vector))
}

/** Several quantiles of each histogram, told apart by a label. */
export const histogramQuantiles = async (
  run: Run,
  block: Block,
  label: string,
  quantiles: readonly Float64Array[],
  e: CallNode,
): Promise<Block> => {
  const from = e.args[0]!.from
  const { steps } = block
  const parts: Block[] = []
  for (const [i, qs] of quantiles.entries()) {
    for (const q of new Set(qs)) warnQuantile(run, q, e.args[i + 2]!.from)
    const part = await evaluate(run, block, from, quantileReading(run, qs, from))
    // A quantile may differ from step to step, and with it the label.
    for (const q of new Set(qs)) {
      const present = part.present.map((there, k) => (Object.is(qs[k % steps], q) ? there : 0))
      const labels = part.labels.map((l) => withLabels(l, { [label]: openMetricsFloat(q) }))
      parts.push({ ...part, labels, present })
    }
  }
  const size = parts.reduce((n, p) => n + p.values.length, 0)
  const values = new Float64Array(size)
  const present = new Uint8Array(size)
  let at = 0
  for (const part of parts) {
    values.set(part.values, at)
    present.set(part.present, at)
    at += part.values.length
  }
  const labels = parts.flatMap((p) => p.labels)
  return joinRows({ labels, nameless: false, distinct: false, steps, values, present }, false)
}

/** A number as OpenMetrics writes a label's: whole ones with `.0`. */
const openMetricsFloat = (value: number): string => {
  const text = formatFloat(value, 'g', -1)
  return /[.eIN]/.test(text) ? text : `${text}.0`
}

/** The share of each histogram's observations within bounds, at each step. */
export const histogramFraction = (
  run: Run,
  block: Block,
  lower: Float64Array,
  upper: Float64Array,
  from: number,
): Promise<Block> =>
  evaluate(run, block, from, {
    classic: (buckets, _h, t) => fraction(lower[t]!, upper[t]!, buckets),
    native: (h, metric, t) => {
      const { value, nan } = nativeFraction(lower[t]!, upper[t]!, h)
      if (nan) run.inform(fractionWithoutNaN(metric), from)
      return value
    },
  })
