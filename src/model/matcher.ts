// Label matchers: what Prometheus and Alertmanager call `name op value`.
import { anchored, type Matches } from '../lib/regex.ts'
import { type Labels, labelOf } from './labels.ts'

export type MatchOp = '=' | '!=' | '=~' | '!~'
export interface Matcher {
  readonly name: string
  readonly op: MatchOp
  readonly value: string
}

/** A test of one value. Throws `bad_data` on a bad regular expression. */
export const valueTest = ({ op, value }: Matcher): Matches => {
  if (op === '=') return (v) => v === value
  if (op === '!=') return (v) => v !== value
  const test = anchored(value)
  return op === '=~' ? test : (v) => !test(v)
}

/** A test of a label set: every matcher holds; a missing label is the empty string. */
export const labelsTest = (matchers: readonly Matcher[]): ((labels: Labels) => boolean) => {
  const tests = matchers.map((m) => ({ name: m.name, test: valueTest(m) }))
  return (labels) => tests.every(({ name, test }) => test(labelOf(labels, name)))
}

export const printMatcher = (m: Matcher): string => `${m.name}${m.op}${JSON.stringify(m.value)}`
