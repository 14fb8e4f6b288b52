// Functions over instant vectors and scalars: which code each name runs.
import { AppError } from '../lib/errors.ts'
import { type Labels, labelsOf, metricName, noLabels } from '../model/labels.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import { type CallNode, type Expr, unwrap } from './ast.ts'
import { type Block, dropName, floatsOnly, rowBlock } from './block.ts'
import { datePart, isDateFunction } from './dates.ts'
import type { Grid } from './grid.ts'
import { histogramFraction, histogramQuantile, histogramQuantiles } from './histogram.ts'
import { labelJoin, labelReplace, sortByLabel, sortByValue } from './label-functions.ts'
import { mathFunction, roundTo } from './math.ts'
import { nativeVariance } from './native-quantile.ts'
import { mapValues } from './operators.ts'
import type { Run } from './run.ts'

/** How a function gets its arguments evaluated. */
export interface Evaluator {
  scalar(run: Run, e: Expr, grid: Grid): Promise<Float64Array>
  vector(run: Run, e: Expr, grid: Grid): Promise<Block>
}

const text = (e: Expr): string => {
  const inner = unwrap(e)
  if (inner.kind !== 'string') throw new AppError('internal', `${inner.kind} is no string`)
  return inner.value
}

const times = (grid: Grid): Float64Array => {
  const out = new Float64Array(grid.count)
  for (let t = 0; t < grid.count; t++) out[t] = (grid.startAt + t * grid.step) / 1000
  return out
}

/** time(), pi() and scalar(). */
export const scalarOf = async (
  run: Run,
  e: CallNode,
  grid: Grid,
  evaluator: Evaluator,
): Promise<Float64Array> => {
  if (e.name === 'time') return times(grid)
  if (e.name === 'pi') return new Float64Array(grid.count).fill(Math.PI)
  const { steps, values, present } = floatsOnly(await evaluator.vector(run, e.args[0]!, grid))
  const out = new Float64Array(steps).fill(Number.NaN)
  const seen = new Uint32Array(steps)
  for (let k = 0; k < present.length; k++) {
    if (present[k] === 0) continue
    const t = k % steps
    out[t] = ++seen[t]! === 1 ? values[k]! : Number.NaN
  }
  return out
}

/** The labels that `absent` can tell: of the selector's `=` matchers those whose label is named once. */
export const absentLabels = (arg: Expr): Labels => {
  const inner = unwrap(arg)
  const selector = inner.kind === 'matrix' ? inner.selector : inner
  if (selector.kind !== 'selector') return noLabels
  const told: Record<string, string> = {}
  const seen = new Set<string>()
  for (const m of selector.matchers) {
    if (m.name === metricName) continue
    if (m.op === '=' && !seen.has(m.name)) {
      told[m.name] = m.value
      seen.add(m.name)
    } else delete told[m.name]
  }
  return labelsOf(told)
}

const clamp = (given: Block, low: Float64Array, high: Float64Array): Block => {
  const block = floatsOnly(given)
  const { steps, present } = block
  for (let k = 0; k < present.length; k++) if (high[k % steps]! < low[k % steps]!) present[k] = 0
  return mapValues(block, (v, t) => Math.max(low[t]!, Math.min(high[t]!, v)))
}

const strings = (e: CallNode, from: number): string[] => e.args.slice(from).map(text)

/** A function whose first vector argument is rewritten row by row or value by value. */
export const callOverVector = async (
  run: Run,
  e: CallNode,
  grid: Grid,
  evaluator: Evaluator,
): Promise<Block> => {
  const numbers = (i: number): Promise<Float64Array> => evaluator.scalar(run, e.args[i]!, grid)
  if (e.name === 'vector') return rowBlock(noLabels, await numbers(0))
  if (isDateFunction(e.name)) {
    const block = e.args[0] ? await evaluator.vector(run, e.args[0], grid) : rowBlock(noLabels, times(grid))
    return mapValues(block, datePart(e.name))
  }
  if (e.name === 'histogram_quantile') {
    const q = await numbers(0)
    const block = await evaluator.vector(run, e.args[1]!, grid)
    return histogramQuantile(run, block, q, { q: e.args[0]!.from, vector: e.args[1]!.from })
  }
  if (e.name === 'histogram_quantiles') {
    const qs: Float64Array[] = []
    for (let i = 2; i < e.args.length; i++) qs.push(await numbers(i))
    return histogramQuantiles(run, await evaluator.vector(run, e.args[0]!, grid), text(e.args[1]!), qs, e)
  }
  if (e.name === 'histogram_fraction') {
    const lower = await numbers(0)
    const upper = await numbers(1)
    return histogramFraction(
      run,
      await evaluator.vector(run, e.args[2]!, grid),
      lower,
      upper,
      e.args[2]!.from,
    )
  }
  const params: Float64Array[] = []
  if (scalarParams.has(e.name)) for (let i = 1; i < e.args.length; i++) params.push(await numbers(i))
  const block = await evaluator.vector(run, e.args[0]!, grid)
  await run.pause()
  if (e.name.startsWith('sort') && run.ends.endAt > run.ends.startAt)
    run.warn(`${e.name} has no effect in a range query: its results are always ordered by labels`, e.from)
  return overRows(block, e, params)
}

const scalarParams: ReadonlySet<string> = new Set(['round', 'clamp', 'clamp_min', 'clamp_max'])

/** Functions that read a number off each native histogram. */
const readings: Readonly<Record<string, (h: NativeHistogram) => number>> = {
  histogram_count: (h) => h.count,
  histogram_sum: (h) => h.sum,
  histogram_avg: (h) => h.sum / h.count,
  histogram_stdvar: nativeVariance,
  histogram_stddev: (h) => Math.sqrt(nativeVariance(h)),
}

/** What is no histogram goes. */
const readHistograms = (block: Block, read: (h: NativeHistogram) => number): Block => {
  const { values, present, cells } = block
  for (let k = 0; k < present.length; k++) {
    if (present[k] === 0) continue
    const cell = cells?.[k]
    if (cell) values[k] = read(cell)
    else present[k] = 0
  }
  block.cells = undefined
  return dropName(block)
}

const overRows = (block: Block, e: CallNode, params: readonly Float64Array[]): Block => {
  const read = readings[e.name]
  if (read) return readHistograms(block, read)
  const f = mathFunction(e.name)
  if (f) return mapValues(block, f)
  const [a, b] = params
  switch (e.name) {
    case 'round':
      return mapValues(block, (v, t) => roundTo(v, a ? a[t]! : 1))
    case 'clamp':
      return clamp(block, a!, b!)
    case 'clamp_min':
      return mapValues(block, (v, t) => Math.max(a![t]!, v))
    case 'clamp_max':
      return mapValues(block, (v, t) => Math.min(a![t]!, v))
    case 'sort':
    case 'sort_desc':
      return sortByValue(floatsOnly(block), e.name === 'sort_desc')
    case 'sort_by_label':
    case 'sort_by_label_desc':
      return sortByLabel(block, strings(e, 1), e.name === 'sort_by_label_desc')
    case 'label_replace': {
      const [into, replacement, from, pattern] = strings(e, 1) as [string, string, string, string]
      return labelReplace(block, into, replacement, from, pattern)
    }
    case 'label_join': {
      const [into, separator, ...sources] = strings(e, 1) as [string, string, ...string[]]
      return labelJoin(block, into, separator, sources)
    }
    default:
      throw new AppError('internal', `no code for function ${e.name}`)
  }
}
