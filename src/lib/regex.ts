// Anchored RE2 matching for expressions from outside: linear time, Go's syntax, with fast paths for literals and prefixes.
import { RE2JS } from 're2js'
import { AppError, messageOf } from './errors.ts'

export type Matches = (value: string) => boolean

const cache = new Map<string, Matches>()
const most = 2000
const special = /[\\^$.|?*+()[\]{}]/

const build = (pattern: string): Matches => {
  if (!special.test(pattern)) return (value) => value === pattern
  const alternatives = pattern.split('|')
  if (alternatives.every((a) => !special.test(a))) {
    const set = new Set(alternatives)
    return (value) => set.has(value)
  }
  // `.` does not match a newline in Prometheus 2; since 3 it does, as `(?s:…)` says.
  if (pattern === '.*') return () => true
  if (pattern === '.+') return (value) => value !== ''
  const prefix = /^([^\\^$.|?*+()[\]{}]+)\.([*+])$/.exec(pattern)
  if (prefix) {
    const [, head = '', sign] = prefix
    return sign === '*'
      ? (value) => value.startsWith(head)
      : (value) => value.length > head.length && value.startsWith(head)
  }
  const compiled = RE2JS.compile(`^(?s:${pattern})$`)
  return (value) => compiled.test(value)
}

/** A test for the whole value, as Prometheus anchors matchers. Throws `bad_data` with RE2's own words when the pattern is bad. */
export const anchored = (pattern: string): Matches => {
  const known = cache.get(pattern)
  if (known) return known
  let made: Matches
  try {
    made = build(pattern)
  } catch (error) {
    throw new AppError('bad_data', `regular expression ${JSON.stringify(pattern)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (cache.size >= most) cache.delete(cache.keys().next().value ?? '')
  cache.set(pattern, made)
  return made
}

/**
 * Every match of `pattern` in a text replaced, in linear time. `accept` says how many characters from a match's beginning are meant, 0 to
 * let it stand. Throws `bad_data` as `anchored` does.
 */
export const replacing = (
  pattern: string,
  replacement: string,
  accept: (match: string) => number = (match) => match.length,
): ((text: string) => string) => {
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(pattern)
  } catch (error) {
    throw new AppError('bad_data', `regular expression ${JSON.stringify(pattern)}: ${messageOf(error)}`, {
      cause: error,
    })
  }
  if (compiled.test(''))
    throw new AppError('bad_data', `regular expression ${JSON.stringify(pattern)} matches the empty text`)
  return (text) => {
    const matcher = compiled.matcher(text)
    let out = ''
    let from = 0
    let found = matcher.find()
    while (found) {
      const match = matcher.group(0) ?? ''
      const start = matcher.start()
      const meant = accept(match)
      out += text.slice(from, start)
      if (meant > 0) out += replacement
      else out += match
      from = start + (meant > 0 ? meant : match.length)
      found = meant > 0 && meant < match.length ? matcher.find(from) : matcher.find()
    }
    return from === 0 ? text : out + text.slice(from)
  }
}
