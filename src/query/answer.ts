// Blocks become what a query answers: vectors and matrices of columns.
import { instant } from '../lib/time.ts'
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import type { Labels } from '../model/labels.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import type { Matrix, Vector } from '../model/result.ts'
import { anyPresent, type Block, type Cells, labelsAt } from './block.ts'
import type { Grid } from './grid.ts'
import { compareLabels } from './label-functions.ts'
import type { Run } from './run.ts'

/** The points of a block as series; rows without any are left out, with `sorted` rows come in the order of their labels. */
export const columnsOf = (run: Run, block: Block, grid: Grid, sorted: boolean): SeriesColumns => {
  const { steps, values, present } = block
  let rows: { row: number; labels: Labels }[] = []
  for (let row = 0; row < block.labels.length; row++)
    if (anyPresent(block, row)) rows.push({ row, labels: labelsAt(block, row) })
  if (sorted) rows = rows.sort((a, b) => compareLabels(a.labels, b.labels))
  const { cells } = block
  let size = 0
  for (let k = 0; k < present.length; k++) if (!cells?.[k]) size += present[k]!
  run.reserve(1, size)
  const start = new Uint32Array(rows.length)
  const end = new Uint32Array(rows.length)
  const at = new Float64Array(size)
  const value = new Float64Array(size)
  let n = 0
  for (const [i, { row }] of rows.entries()) {
    start[i] = n
    for (let t = 0; t < steps; t++) {
      if (present[row * steps + t] === 0 || cells?.[row * steps + t]) continue
      at[n] = grid.startAt + t * grid.step
      value[n++] = values[row * steps + t]!
    }
    end[i] = n
  }
  const histograms = cells && rows.map(({ row }) => runOf(block, cells, row, grid))
  return { labels: rows.map((r) => r.labels), start, end, at, value, histograms }
}

const runOf = (block: Block, cells: Cells, row: number, grid: Grid): HistogramRun | undefined => {
  const at: number[] = []
  const value: NativeHistogram[] = []
  for (let t = 0; t < grid.count; t++) {
    const cell = cells[row * grid.count + t]
    if (!cell || block.present[row * grid.count + t] === 0) continue
    at.push(grid.startAt + t * grid.step)
    value.push(cell)
  }
  return at.length === 0 ? undefined : { at: Float64Array.from(at), value }
}

export const matrixOf = (run: Run, block: Block, grid: Grid): Matrix => ({
  kind: 'matrix',
  ...columnsOf(run, block, grid, true),
})

export const vectorOf = (block: Block, at: number): Vector => {
  const { present } = block
  let n = 0
  for (let k = 0; k < present.length; k++) n += present[k]!
  const values = new Float64Array(n)
  const labels: Labels[] = new Array(n)
  const histograms: Cells | undefined = block.cells && new Array(n)
  let i = 0
  for (let row = 0; row < present.length; row++) {
    if (present[row] === 0) continue
    labels[i] = labelsAt(block, row)
    if (histograms) histograms[i] = block.cells![row]
    values[i++] = block.cells?.[row] ? Number.NaN : block.values[row]!
  }
  return { kind: 'vector', at: instant(at), labels, values, histograms }
}
