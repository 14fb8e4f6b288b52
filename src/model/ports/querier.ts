// PromQL becomes answers.
import type { Instant } from '../../lib/time.ts'
import type { Matcher } from '../matcher.ts'
import type { Span } from '../plan.ts'
import type { Answer, Matrix } from '../result.ts'

export interface Checked {
  readonly type: 'vector' | 'matrix' | 'scalar' | 'string'
  /** The expression as Prometheus prints it. */
  readonly text: string
  /** The matchers of every selector in it. */
  readonly selectors: readonly (readonly Matcher[])[]
}

export interface Querier {
  /** Parses and type-checks; throws `bad_data` with line, column and what is wrong. */
  check(expr: string): Checked
  /** Throws `bad_data`, `execution`, `limit_exceeded`, `timeout`, `canceled`, `unavailable`. */
  instant(expr: string, at: Instant, signal: AbortSignal): Promise<Answer>
  range(expr: string, span: Span, signal: AbortSignal): Promise<Answer<Matrix>>
}
