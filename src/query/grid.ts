// The evaluation times of a query, and which window of samples each selector and subquery needs for them.
import { type Anchor, childrenOf, type Expr, type SubqueryNode } from './ast.ts'

/** Evaluation at `startAt + t · step` for t from 0 to count - 1, in milliseconds. */
export interface Grid {
  readonly startAt: number
  readonly step: number
  readonly count: number
}

/** What `@ start()` and `@ end()` stand for. */
export interface Ends {
  readonly startAt: number
  readonly endAt: number
}

/** The windows `(endAt + t · endStep - range, endAt + t · endStep]`, each evaluated at the grid's time t. */
export interface Windows {
  readonly count: number
  readonly endAt: number
  readonly endStep: number
  readonly range: number
  readonly grid: Grid
}

export const single = (grid: Grid): Grid => ({ startAt: grid.startAt, step: 0, count: 1 })

const anchorAt = (anchor: Anchor, ends: Ends): number =>
  anchor.kind === 'time' ? anchor.at : anchor.kind === 'start' ? ends.startAt : ends.endAt

export const windowsOf = (
  node: { readonly offset: number; readonly anchor: Anchor | null },
  range: number,
  grid: Grid,
  ends: Ends,
): Windows => ({
  count: grid.count,
  endAt: (node.anchor ? anchorAt(node.anchor, ends) : grid.startAt) - node.offset,
  endStep: node.anchor ? 0 : grid.step,
  range,
  grid,
})

export const firstAt = (w: Windows): number => w.endAt - w.range
export const lastAt = (w: Windows): number => w.endAt + w.endStep * (w.count - 1)

/** The grid a subquery's expression is evaluated on: multiples of its step within the union of all windows (left-open). */
export const subgrid = (node: SubqueryNode, grid: Grid, ends: Ends, defaultStep: number): Grid => {
  const w = windowsOf(node, node.range, grid, ends)
  const step = node.step || defaultStep
  const startAt = (Math.floor(firstAt(w) / step) + 1) * step
  return { startAt, step, count: Math.max(Math.floor((lastAt(w) - startAt) / step) + 1, 0) }
}

/** Functions whose answer depends on the evaluation time even when their arguments do not. */
const timeBound: ReadonlySet<string> = new Set([
  'time',
  'timestamp',
  'predict_linear',
  'days_in_month',
  'day_of_month',
  'day_of_week',
  'day_of_year',
  'hour',
  'minute',
  'month',
  'year',
])

const cache = new WeakMap<Expr, boolean>()
/** Whether an expression has the same answer at every step, so that one evaluation serves them all. */
export const invariant = (e: Expr): boolean => {
  const known = cache.get(e)
  if (known !== undefined) return known
  const answer = decide(e)
  cache.set(e, answer)
  return answer
}

const decide = (e: Expr): boolean => {
  if (e.kind === 'selector') return e.anchor !== null
  if (e.kind === 'subquery' && e.anchor !== null) return true
  if (e.kind === 'subquery') return false
  if (e.kind === 'call' && timeBound.has(e.name)) return false
  return childrenOf(e).every(invariant)
}
