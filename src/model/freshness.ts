// Whether an expression is fed by data that still comes in.
import type { Duration, Instant } from '../lib/time.ts'
import { printMatcher } from './matcher.ts'
import type { Querier } from './ports/querier.ts'

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
  const selectors = new Set(
    querier.check(expr).selectors.map((matchers) => matchers.map(printMatcher).join(',')),
  )
  let heard = selectors.size === 0
  for (const selector of selectors) {
    // Of a bare selector `timestamp` gives the time of the sample itself.
    const { value } = await querier.instant(`max(timestamp({${selector}}))`, at, signal)
    if (value.kind !== 'vector' || value.values.length === 0) continue
    if (!(at - value.values[0]! * 1000 <= stale)) return false
    heard = true
  }
  return heard
}
