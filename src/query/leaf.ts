// Runs a kernel over the series of a selector or subquery, slice by slice, into a block or straight into an aggregation.
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import { type Labels, labelOf, metricName } from '../model/labels.ts'
import type { Block, Cells } from './block.ts'
import type { Windows } from './grid.ts'
import { type KernelSpec, type SeriesView, withoutStale } from './kernel.ts'
import type { Run } from './run.ts'
import { copyColumns, type Slice, type Source, slices, wordsFor } from './scan.ts'

export interface Rows {
  readonly values: Float64Array
  readonly present: Uint8Array
  /** There when asked for. */
  readonly cells?: Cells | undefined
}

/** Where rows go: `take` gives buffers for that many rows (presence cleared), `done` says which rows they now hold. */
export interface RowSink {
  take(rows: number, histograms: boolean): Rows
  done(labels: readonly Labels[], from: number, to: number): void
}

/** Points and samples worked on between two looks at the clock: about a millisecond. */
const chunk = 400_000
/** Work on columns that may not be kept over an await goes on in one go up to here; beyond, it is done on a copy. */
const inOneGo = 20_000_000

const view: SeriesView = {
  at: new Float64Array(0),
  value: new Float64Array(0),
  words: new Uint32Array(0),
  from: 0,
  to: 0,
}

/** What is known of a selector as its rows are made. */
export interface Told {
  readonly run: Run
  /** Where it stands in the expression. */
  readonly from: number
}

const nameOf = (labels: Labels): string =>
  labels[0] === metricName ? labels[1]! : labelOf(labels, metricName)

const pointAt = (columns: SeriesColumns, words: Uint32Array, i: number, seesStale: boolean): void => {
  view.at = columns.at
  view.value = columns.value
  view.words = words
  view.from = columns.start[i]!
  view.to = columns.end[i]!
  if (!seesStale) withoutStale(view)
}

/** Lets a row's histograms have their say. */
const mix = (
  { run, from }: Told,
  spec: KernelSpec,
  windows: Windows,
  labels: Labels,
  histograms: HistogramRun,
  { values, present, cells }: Rows,
  base: number,
): void => {
  const metric = nameOf(labels)
  const notes = {
    metric,
    warn: (message: string) => run.warn(message, from),
    inform: (message: string) => run.inform(message, from),
  }
  spec.mixed({ floats: view, run: histograms, windows, out: values, present, cells: cells!, base, notes })
}

const runRows = (
  told: Told,
  spec: KernelSpec,
  windows: Windows,
  columns: SeriesColumns,
  words: Uint32Array,
  from: number,
  to: number,
  sink: RowSink,
): void => {
  const steps = windows.count
  const { histograms } = columns
  const rows = sink.take(to - from, histograms !== undefined)
  const { values, present } = rows
  const once = steps === 1 && spec.once !== undefined
  if (once) spec.once!(columns, words, windows, { from, to }, values, present)
  if (!once || histograms)
    for (let i = from; i < to; i++) {
      const own = histograms?.[i]
      if (once && !own) continue
      pointAt(columns, words, i, spec.seesStale)
      const base = (i - from) * steps
      if (!once) spec.kernel(view, windows, values, present, base)
      if (own) mix(told, spec, windows, columns.labels[i]!, own, rows, base)
    }
  sink.done(columns.labels, from, to)
}

/** How much more a histogram costs than a float. */
const histogramCost = 100

const histogramsIn = ({ histograms }: SeriesColumns): number =>
  histograms ? histograms.reduce((n, run) => n + (run?.at.length ?? 0), 0) : 0

/** Work of one row: its steps, and its samples, each as often as windows overlap on it where the kernel goes over them again. */
const rowCost = (spec: KernelSpec, columns: SeriesColumns, windows: Windows): number => {
  const { start, end } = columns
  let samples = histogramsIn(columns) * histogramCost
  for (let i = 0; i < end.length; i++) samples += end[i]! - start[i]!
  const overlap =
    windows.endStep === 0 ? windows.count : Math.min(windows.range / windows.endStep, windows.count)
  return windows.count * 4 + (samples / Math.max(end.length, 1)) * (spec.rescans ? Math.max(overlap, 1) : 1)
}

const runSlice = async (
  told: Told,
  spec: KernelSpec,
  windows: Windows,
  { columns, owned }: Slice,
  sink: RowSink,
): Promise<void> => {
  const { run } = told
  const n = columns.labels.length
  const cost = rowCost(spec, columns, windows)
  const rows = Math.max(1, Math.floor(chunk / cost))
  const mine = !owned && cost * n > inOneGo ? copyColumns(columns) : columns
  const words = wordsFor(mine)
  for (let from = 0; from < n; from += rows) {
    runRows(told, spec, windows, mine, words, from, Math.min(from + rows, n), sink)
    if (owned || mine !== columns) await run.pause()
    else run.check()
  }
}

/** Runs a kernel over everything a source reads. */
export const runSource = async (
  told: Told,
  spec: KernelSpec,
  source: Source,
  sink: RowSink,
): Promise<void> => {
  for await (const slice of slices(told.run, source)) await runSlice(told, spec, source.windows, slice, sink)
}

export const runColumns = (
  told: Told,
  spec: KernelSpec,
  windows: Windows,
  columns: SeriesColumns,
  sink: RowSink,
): Promise<void> => runSlice(told, spec, windows, { columns, owned: true }, sink)

/** A sink that gathers rows into a block. */
export const blockSink = (run: Run, steps: number): RowSink & { block(distinct: boolean): Block } => {
  const pieces: Rows[] = []
  let labels: Labels[] = []
  return {
    take: (rows, histograms) => {
      run.reserve(rows, steps)
      const size = rows * steps
      const piece = {
        values: new Float64Array(size),
        present: new Uint8Array(size),
        cells: histograms ? new Array<undefined>(size) : undefined,
      }
      pieces.push(piece)
      return piece
    },
    done: (all, from, to) => {
      if (labels.length === 0) labels = all.slice(from, to)
      else for (let i = from; i < to; i++) labels.push(all[i]!)
    },
    block: (distinct) => {
      const whole = { labels, nameless: false, distinct, steps }
      if (pieces.length === 1) return { ...whole, ...pieces[0]! }
      const values = new Float64Array(labels.length * steps)
      const present = new Uint8Array(labels.length * steps)
      const cells: Cells | undefined = pieces.some((p) => p.cells) ? new Array(values.length) : undefined
      let at = 0
      for (const piece of pieces) {
        values.set(piece.values, at)
        present.set(piece.present, at)
        for (const [i, cell] of piece.cells?.entries() ?? []) cells![at + i] = cell
        at += piece.values.length
      }
      return { ...whole, values, present, cells }
    },
  }
}

const counterEndings = ['_total', '_sum', '_count', '_bucket']

/** Passes rows on and says of each metric whose name is not a counter's that it may be none. */
export const counterCheck = (run: Run, from: number, sink: RowSink): RowSink => {
  let last = ''
  let rows: Rows | null = null
  /** Native histograms need no ending in their names. */
  const histogramsOnly = (row: number, count: number): boolean => {
    if (!rows?.cells) return false
    const steps = rows.values.length / count
    for (let k = row * steps; k < (row + 1) * steps; k++)
      if (rows.present[k] === 1 && !rows.cells[k]) return false
    return true
  }
  return {
    take: (n, histograms) => {
      rows = sink.take(n, histograms)
      return rows
    },
    done: (labels, lo, hi) => {
      for (let i = lo; i < hi; i++) {
        const name = nameOf(labels[i]!)
        if (name === last || histogramsOnly(i - lo, hi - lo)) continue
        last = name
        if (name !== '' && !counterEndings.some((e) => name.endsWith(e)))
          run.inform(
            `metric might not be a counter, name does not end in _total/_sum/_count/_bucket: ${JSON.stringify(name)}`,
            from,
          )
      }
      sink.done(labels, lo, hi)
    },
  }
}
