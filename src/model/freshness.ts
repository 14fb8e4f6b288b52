// Whether an expression is fed by data that still comes in.
import { type Duration, type Instant, instant } from '../lib/time.ts'
import { printMatcher } from './matcher.ts'
import type { Querier } from './ports/querier.ts'

/**
 * When the expression's inputs were last heard of: of each of its selectors the newest sample within `lookback`, of these the oldest; null
 * when a selector found nothing. An expression without selectors (`vector(1)`) is always fresh. An instant query alone would show a value
 * for five minutes after its source fell silent.
 */
export const lastHeardAt = async (
  querier: Querier,
  expr: string,
  at: Instant,
  lookback: Duration,
  signal: AbortSignal,
): Promise<Instant | null> => {
  const { selectors } = querier.check(expr)
  let oldest: number = at
  for (const selector of new Set(selectors.map((matchers) => matchers.map(printMatcher).join(',')))) {
    // Of a bare selector `timestamp` gives the time of the sample itself.
    const { value } = await querier.instant(`max(timestamp({${selector}}))`, at, signal)
    if (value.kind !== 'vector' || value.values.length === 0) return null
    const heardAt = value.values[0]! * 1000
    if (!(at - heardAt <= lookback)) return null
    oldest = Math.min(oldest, heardAt)
  }
  return instant(oldest)
}
