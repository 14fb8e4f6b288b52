// A range vector asked for by itself: the points as they were read, or a subquery's.
import { AppError } from '../lib/errors.ts'
import type { HistogramRun } from '../model/columns.ts'
import type { Labels } from '../model/labels.ts'
import type { Matrix } from '../model/result.ts'
import { matrixOf } from './answer.ts'
import type { Expr } from './ast.ts'
import { vector } from './evaluate.ts'
import { firstAt, type Grid, lastAt, subgrid, windowsOf } from './grid.ts'
import { withoutStale } from './kernel.ts'
import type { Run } from './run.ts'
import { slices, sourceOf, wordsFor } from './scan.ts'

interface Points {
  readonly histograms: HistogramRun | undefined
  readonly labels: Labels
  readonly at: Float64Array
  readonly value: Float64Array
}

/** The points of a range vector as they were read: `foo[5m]` or a subquery asked for by itself. */
export const rangeVector = async (run: Run, e: Expr, grid: Grid): Promise<Matrix> => {
  if (e.kind === 'subquery') {
    const inner = subgrid(e, grid, run.ends, run.deps.subqueryStep)
    if (inner.count === 0) return joined([])
    return matrixOf(run, await vector(run, e.expr, inner), inner)
  }
  if (e.kind !== 'matrix') throw new AppError('internal', `${e.kind} is no range vector`)
  const source = sourceOf(e.selector, e.range, grid, run.ends, false)
  const windows = windowsOf(e.selector, e.range, grid, run.ends)
  const found: Points[] = []
  for await (const { columns } of slices(run, source)) {
    const words = wordsFor(columns)
    columns.labels.forEach((labels, i) => {
      const view = {
        at: columns.at,
        value: columns.value,
        words,
        from: columns.start[i]!,
        to: columns.end[i]!,
      }
      withoutStale(view)
      let { from, to } = view
      while (from < to && view.at[from]! <= firstAt(windows)) from++
      while (to > from && view.at[to - 1]! > lastAt(windows)) to--
      const histograms = between(columns.histograms?.[i], firstAt(windows), lastAt(windows))
      if (from < to || histograms)
        found.push({ labels, at: view.at.slice(from, to), value: view.value.slice(from, to), histograms })
    })
  }
  return joined(found)
}

/** The histograms in `(startAt, endAt]`; undefined when there are none. */
const between = (run: HistogramRun | undefined, startAt: number, endAt: number): HistogramRun | undefined => {
  if (!run) return undefined
  const { at, value } = run
  let from = 0
  let to = at.length
  while (from < to && at[from]! <= startAt) from++
  while (to > from && at[to - 1]! > endAt) to--
  return from === to ? undefined : { at: at.subarray(from, to), value: value.slice(from, to) }
}

const joined = (series: readonly Points[]): Matrix => {
  const size = series.reduce((n, s) => n + s.at.length, 0)
  const start = new Uint32Array(series.length)
  const end = new Uint32Array(series.length)
  const at = new Float64Array(size)
  const value = new Float64Array(size)
  let n = 0
  series.forEach((s, i) => {
    start[i] = n
    at.set(s.at, n)
    value.set(s.value, n)
    n += s.at.length
    end[i] = n
  })
  const histograms = series.some((s) => s.histograms) ? series.map((s) => s.histograms) : undefined
  return { kind: 'matrix', labels: series.map((s) => s.labels), start, end, at, value, histograms }
}
