// Whether an expression is fed by data that still comes in, and when that data came.
import type { Duration, Instant } from '../lib/time.ts'
import { printMatcher } from './matcher.ts'
import type { Span } from './plan.ts'
import type { Querier } from './ports/querier.ts'

/** The different selectors of an expression, as `{…}` text. */
export const selectorsOf = (querier: Querier, expr: string): ReadonlySet<string> =>
  new Set(querier.check(expr).selectors.map((matchers) => `{${matchers.map(printMatcher).join(',')}}`))

/** Of a bare selector `timestamp` gives the time of the sample itself. */
const newest = (selector: string): string => `max(timestamp(${selector}))`

/**
 * Whether every selector of the expression that finds anything at `at` has a sample younger than `stale`, and at least one does find
 * something. A selector that finds nothing is the expression's own business (`errors or 0 * requests`). Without selectors (`vector(1)`) an
 * expression is always fresh. An instant query alone would show a value for five minutes after its source fell silent.
 */
export const isFresh = async (
  querier: Querier,
  expr: string,
  at: Instant,
  stale: Duration,
  signal: AbortSignal,
): Promise<boolean> => {
  const selectors = selectorsOf(querier, expr)
  let heard = selectors.size === 0
  for (const selector of selectors) {
    const { value } = await querier.instant(newest(selector), at, signal)
    if (value.kind !== 'vector' || value.values.length === 0) continue
    if (!(at - value.values[0]! * 1000 <= stale)) return false
    heard = true
  }
  return heard
}

/** The time in seconds of a selector's newest sample at each point of the grid; NaN where it finds nothing. Throws what `range` throws. */
export const heardOver = async (
  querier: Querier,
  selector: string,
  span: Span,
  signal: AbortSignal,
): Promise<Float64Array> => {
  const { fromAt, toAt, step } = span
  const heard = new Float64Array(Math.floor((toAt - fromAt) / step) + 1).fill(Number.NaN)
  const { value } = await querier.range(newest(selector), span, signal)
  if (value.labels.length === 0) return heard
  for (let i = value.start[0]!; i < value.end[0]!; i++)
    heard[Math.round((value.at[i]! - fromAt) / step)] = value.value[i]!
  return heard
}
