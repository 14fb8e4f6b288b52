// Reads each selector's samples once: streamed when one consumer wants them, copied and kept when several do.
import { instant } from '../lib/time.ts'
import { wordsOf } from '../model/batch.ts'
import type { SeriesColumns } from '../model/columns.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'
import type { Scan } from '../model/plan.ts'
import type { Expr, SelectorNode } from './ast.ts'
import { childrenOf } from './ast.ts'
import {
  type Ends,
  firstAt,
  type Grid,
  invariant,
  lastAt,
  single,
  subgrid,
  type Windows,
  windowsOf,
} from './grid.ts'
import type { Run } from './run.ts'

export interface Source {
  readonly selector: SelectorNode
  readonly windows: Windows
  readonly pick: 'all' | 'last'
}

/** A slice: `owned` columns stay as they are; others must be used before the next await. */
export interface Slice {
  readonly columns: SeriesColumns
  readonly owned: boolean
}

export const keyOf = ({ selector, windows, pick }: Source): string =>
  JSON.stringify([
    firstAt(windows),
    lastAt(windows),
    pick,
    selector.matchers.map((m) => [m.name, m.op, m.value]),
  ])

/** What an instant selector (`range` = lookback) or a range selector reads. */
export const sourceOf = (
  selector: SelectorNode,
  range: number,
  grid: Grid,
  ends: Ends,
  last: boolean,
): Source => {
  const windows = windowsOf(selector, range, grid, ends)
  const one = windows.count === 1 || windows.endStep === 0
  return { selector, windows, pick: last && one ? 'last' : 'all' }
}

/** Counts how often each selector's window is wanted by an expression. Follows the same grids as the evaluation does. */
export const countUses = (run: Run, e: Expr, grid: Grid): void => {
  if (grid.count === 0) return
  if (grid.count > 1 && invariant(e)) {
    countUses(run, e, single(grid))
    return
  }
  const { ends, deps, uses } = run
  const add = (source: Source): void => {
    const key = keyOf(source)
    uses.set(key, (uses.get(key) ?? 0) + 1)
  }
  if (e.kind === 'selector') add(sourceOf(e, deps.lookback, grid, ends, true))
  else if (e.kind === 'matrix') add(sourceOf(e.selector, e.range, grid, ends, false))
  else if (e.kind === 'subquery') countUses(run, e.expr, subgrid(e, grid, ends, deps.subqueryStep))
  else for (const child of childrenOf(e)) countUses(run, child, grid)
}

export const copyColumns = (c: SeriesColumns): SeriesColumns => {
  const n = c.labels.length
  const start = new Uint32Array(n)
  const end = new Uint32Array(n)
  let size = 0
  for (let i = 0; i < n; i++) {
    start[i] = size
    size += c.end[i]! - c.start[i]!
    end[i] = size
  }
  const at = new Float64Array(size)
  const value = new Float64Array(size)
  for (let i = 0; i < n; i++) {
    at.set(c.at.subarray(c.start[i]!, c.end[i]!), start[i]!)
    value.set(c.value.subarray(c.start[i]!, c.end[i]!), start[i]!)
  }
  return { labels: c.labels.slice(), start, end, at, value, histograms: c.histograms }
}

/** How many samples a native histogram counts as, by its size. */
export const samplesIn = ({ positive, negative, bounds }: NativeHistogram): number =>
  4 + positive.index.length + negative.index.length + (bounds.length >> 1)

const countSlice = (run: Run, c: SeriesColumns): void => {
  run.countSeries(c.labels.length)
  let samples = 0
  for (let i = 0; i < c.labels.length; i++) samples += c.end[i]! - c.start[i]!
  for (const own of c.histograms ?? []) for (const h of own?.value ?? []) samples += samplesIn(h)
  run.countSamples(samples)
}

const planOf = (run: Run, { selector, windows, pick }: Source): Scan => ({
  kind: 'scan',
  matchers: selector.matchers,
  fromAt: instant(firstAt(windows)),
  toAt: instant(lastAt(windows)),
  pick,
  limits: {
    series: Math.max(run.deps.limits.series - run.series, 0),
    samples: Math.max(run.deps.limits.samples - run.read, 0),
  },
})

const keep = async (run: Run, source: Source): Promise<SeriesColumns[]> => {
  const slices: SeriesColumns[] = []
  for await (const columns of run.deps.reader.read(planOf(run, source), run.signal)) {
    countSlice(run, columns)
    slices.push(columns.own ? columns : copyColumns(columns))
    run.check()
  }
  return slices
}

/** The slices of a selector's window, from the reader or from what was kept of it. */
export async function* slices(run: Run, source: Source): AsyncGenerator<Slice> {
  const key = keyOf(source)
  if ((run.uses.get(key) ?? 1) > 1) {
    let kept = run.kept.get(key) as Promise<SeriesColumns[]> | undefined
    if (!kept) {
      kept = keep(run, source)
      run.kept.set(key, kept)
    }
    for (const columns of await kept) yield { columns, owned: true }
    return
  }
  for await (const columns of run.deps.reader.read(planOf(run, source), run.signal)) {
    countSlice(run, columns)
    yield { columns, owned: columns.own ?? false }
    run.check()
  }
}

export const wordsFor = (columns: SeriesColumns): Uint32Array => wordsOf(columns.value)
