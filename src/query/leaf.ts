// Runs a kernel over the series of a selector or subquery, slice by slice, into a block or straight into an aggregation.
import type { SeriesColumns } from '../model/columns.ts'
import { type Labels, labelOf, metricName } from '../model/labels.ts'
import type { Block } from './block.ts'
import type { Windows } from './grid.ts'
import { type KernelSpec, type SeriesView, withoutStale } from './kernel.ts'
import type { Run } from './run.ts'
import { copyColumns, type Slice, type Source, slices, wordsFor } from './scan.ts'

/** Where rows go: `take` gives buffers for that many rows (presence cleared), `done` says which rows they now hold. */
export interface RowSink {
  take(rows: number): { readonly values: Float64Array; readonly present: Uint8Array }
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

const runRows = (
  spec: KernelSpec,
  windows: Windows,
  columns: SeriesColumns,
  words: Uint32Array,
  from: number,
  to: number,
  sink: RowSink,
): void => {
  const steps = windows.count
  const { values, present } = sink.take(to - from)
  if (steps === 1 && spec.once) {
    spec.once(columns, words, windows, { from, to }, values, present)
    sink.done(columns.labels, from, to)
    return
  }
  for (let i = from; i < to; i++) {
    view.at = columns.at
    view.value = columns.value
    view.words = words
    view.from = columns.start[i]!
    view.to = columns.end[i]!
    if (!spec.seesStale) withoutStale(view)
    spec.kernel(view, windows, values, present, (i - from) * steps)
  }
  sink.done(columns.labels, from, to)
}

/** Work of one row: its steps, and its samples, each as often as windows overlap on it where the kernel goes over them again. */
const rowCost = (spec: KernelSpec, columns: SeriesColumns, windows: Windows): number => {
  const { start, end } = columns
  let samples = 0
  for (let i = 0; i < end.length; i++) samples += end[i]! - start[i]!
  const overlap =
    windows.endStep === 0 ? windows.count : Math.min(windows.range / windows.endStep, windows.count)
  return windows.count * 4 + (samples / Math.max(end.length, 1)) * (spec.rescans ? Math.max(overlap, 1) : 1)
}

const runSlice = async (
  run: Run,
  spec: KernelSpec,
  windows: Windows,
  { columns, owned }: Slice,
  sink: RowSink,
): Promise<void> => {
  const n = columns.labels.length
  const cost = rowCost(spec, columns, windows)
  const rows = Math.max(1, Math.floor(chunk / cost))
  const mine = !owned && cost * n > inOneGo ? copyColumns(columns) : columns
  const words = wordsFor(mine)
  for (let from = 0; from < n; from += rows) {
    runRows(spec, windows, mine, words, from, Math.min(from + rows, n), sink)
    if (owned || mine !== columns) await run.pause()
    else run.check()
  }
}

/** Runs a kernel over everything a source reads. */
export const runSource = async (run: Run, spec: KernelSpec, source: Source, sink: RowSink): Promise<void> => {
  for await (const slice of slices(run, source)) await runSlice(run, spec, source.windows, slice, sink)
}

export const runColumns = (
  run: Run,
  spec: KernelSpec,
  windows: Windows,
  columns: SeriesColumns,
  sink: RowSink,
): Promise<void> => runSlice(run, spec, windows, { columns, owned: true }, sink)

/** A sink that gathers rows into a block. */
export const blockSink = (run: Run, steps: number): RowSink & { block(distinct: boolean): Block } => {
  const pieces: { values: Float64Array; present: Uint8Array }[] = []
  let labels: Labels[] = []
  return {
    take: (rows) => {
      run.reserve(rows, steps)
      const piece = { values: new Float64Array(rows * steps), present: new Uint8Array(rows * steps) }
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
      let at = 0
      for (const piece of pieces) {
        values.set(piece.values, at)
        present.set(piece.present, at)
        at += piece.values.length
      }
      return { ...whole, values, present }
    },
  }
}

const counterEndings = ['_total', '_sum', '_count', '_bucket']

/** Passes rows on and says of each metric whose name is not a counter's that it may be none. */
export const counterCheck = (run: Run, from: number, sink: RowSink): RowSink => {
  let last = ''
  return {
    take: (rows) => sink.take(rows),
    done: (labels, lo, hi) => {
      for (let i = lo; i < hi; i++) {
        const name = labels[i]![0] === metricName ? labels[i]![1]! : labelOf(labels[i]!, metricName)
        if (name === last) continue
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
