// Reads and prints matchers as Alertmanager writes them, in its UTF-8 form and in its classic one.
import { AppError, messageOf } from '../lib/errors.ts'
import { readGoString } from '../lib/go-string.ts'
import { type Matcher, type MatchOp, valueTest } from '../model/matcher.ts'

/** `utf8-first` is Alertmanager's default: UTF-8, then classic where that fails or means something else. */
export type MatcherMode = 'utf8' | 'classic' | 'utf8-first'

const reserved = /[\s{}!=~,\\"'`]/
const bad = (text: string, why: string): AppError =>
  new AppError('bad_data', `matcher ${JSON.stringify(text)}: ${why}`)

/** A Go string in double quotes that starts at `from`; gives its value and the place after it. */
const quoted = (text: string, from: number): { value: string; end: number } => {
  let end = from + 1
  while (end < text.length && text[end] !== '"') {
    if (text[end] === '\n') throw bad(text, 'a quoted value may not hold a line break; write \\n')
    end += text[end] === '\\' ? 2 : 1
  }
  if (end >= text.length) throw bad(text, `the quote opened at ${from + 1} is not closed`)
  const read = readGoString(text.slice(from, end + 1))
  if ('wrong' in read) throw bad(text, `${read.wrong} at ${from + read.at + 1}`)
  return { value: read.value, end: end + 1 }
}

const token = (text: string, from: number, what: string): { value: string; end: number } => {
  if (text[from] === '"') return quoted(text, from)
  let end = from
  while (end < text.length && !reserved.test(text[end]!)) end++
  if (end === from) {
    const found = from < text.length ? `found ${JSON.stringify(text[from])} at ${from + 1}` : 'the text ends'
    throw bad(text, `${what} expected, ${found}; put it in double quotes if it holds special characters`)
  }
  return { value: text.slice(from, end), end }
}

const operator = (text: string, at: number): MatchOp | null => {
  const two = text.slice(at, at + 2)
  if (two === '=~' || two === '!~' || two === '!=') return two
  return text[at] === '=' ? '=' : null
}

const parseUtf8 = (text: string): Matcher[] => {
  const skip = (from: number): number => {
    let i = from
    while (i < text.length && /\s/.test(text[i]!)) i++
    return i
  }
  let at = skip(0)
  const open = text[at] === '{'
  if (open) at = skip(at + 1)
  const found: Matcher[] = []
  while (at < text.length && text[at] !== '}') {
    const name = token(text, at, 'a label name')
    at = skip(name.end)
    const op = operator(text, at)
    if (!op) throw bad(text, `one of = != =~ !~ expected at ${at + 1}`)
    const value = token(text, skip(at + op.length), 'a value')
    found.push({ name: name.value, op, value: value.value })
    at = skip(value.end)
    if (text[at] === ',') at = skip(at + 1)
    else if (at < text.length && text[at] !== '}') throw bad(text, `a comma expected at ${at + 1}`)
  }
  const closed = text[at] === '}'
  if (open !== closed) throw bad(text, open ? '} is missing at the end' : 'there is a } without a {')
  if (closed && skip(at + 1) < text.length) throw bad(text, `nothing may follow the } at ${at + 1}`)
  return found
}

const classicPieces = (text: string): string[] => {
  const body = text.trim().replace(/^\{/, '').replace(/\}$/, '')
  const pieces: string[] = []
  let piece = ''
  let inside = false
  for (let i = 0; i < body.length; i++) {
    const c = body[i]!
    if (c === '\\' && i + 1 < body.length) piece += c + body[++i]!
    else if (c === ',' && !inside) {
      pieces.push(piece)
      piece = ''
    } else {
      if (c === '"') inside = !inside
      piece += c
    }
  }
  if (piece.trim() !== '' || pieces.length === 0) pieces.push(piece)
  return pieces.filter((p) => p.trim() !== '')
}

const classicValue = (text: string, raw: string): string => {
  const opened = raw.startsWith('"')
  const body = opened ? raw.slice(1) : raw
  let value = ''
  for (let i = 0; i < body.length; i++) {
    const c = body[i]!
    if (c === '"') {
      if (!opened || i !== body.length - 1)
        throw bad(text, 'a double quote inside a value must be escaped: \\"')
      return value
    }
    if (c !== '\\') value += c
    else {
      const next = body[++i]
      if (next === undefined) value += '\\'
      else value += next === 'n' ? '\n' : next === '"' || next === '\\' ? next : `\\${next}`
    }
  }
  if (opened) throw bad(text, 'the double quote is not closed')
  return value
}

const parseClassic = (text: string): Matcher[] =>
  classicPieces(text).map((piece) => {
    const m = /^\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!=|!~|=)\s*([\s\S]*?)\s*$/.exec(piece)
    if (!m) throw bad(text, `${JSON.stringify(piece.trim())} is not of the form name="value"`)
    return { name: m[1]!, op: m[2] as MatchOp, value: classicValue(text, m[3]!) }
  })

const same = (a: readonly Matcher[], b: readonly Matcher[]): boolean =>
  a.length === b.length &&
  a.every((m, i) => m.name === b[i]!.name && m.op === b[i]!.op && m.value === b[i]!.value)

const parseEither = (text: string): Matcher[] => {
  let utf8: Matcher[]
  try {
    utf8 = parseUtf8(text)
  } catch (error) {
    try {
      return parseClassic(text)
    } catch {
      throw error
    }
  }
  try {
    const classic = parseClassic(text)
    return same(utf8, classic) ? utf8 : classic
  } catch {
    return utf8
  }
}

/** Checks a matcher for what any reader of it demands: a name, and a pattern that RE2 takes. Throws `bad_data`. */
export const checkMatcher = (m: Matcher): Matcher => {
  if (m.name === '') throw new AppError('bad_data', 'a matcher needs a label name')
  try {
    valueTest(m)
  } catch (error) {
    throw new AppError('bad_data', `matcher ${printMatcher(m)}: ${messageOf(error)}`, { cause: error })
  }
  return m
}

/** Matchers of one text: `a="b"`, `a="b",c=~"d"`, or the same in braces. Throws `bad_data` saying what is wrong and where. */
export const parseMatchers = (text: string, mode: MatcherMode = 'utf8-first'): Matcher[] => {
  const parse = mode === 'utf8' ? parseUtf8 : mode === 'classic' ? parseClassic : parseEither
  return parse(text).map(checkMatcher)
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"')

/** `name="value"`, the name quoted only where it must be. */
export const printMatcher = ({ name, op, value }: Matcher): string =>
  `${reserved.test(name) || name === '' ? JSON.stringify(name) : name}${op}"${escaped(value)}"`

/** `{a="b",c!="d"}`: as it stands in a group key. */
export const printMatchers = (matchers: readonly Matcher[]): string =>
  `{${matchers.map(printMatcher).join(',')}}`

const order: readonly MatchOp[] = ['=', '!=', '=~', '!~']
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
/** By name, then value, then operator: the order in which a route prints them. */
export const sortMatchers = (matchers: readonly Matcher[]): Matcher[] =>
  [...matchers].sort(
    (a, b) =>
      compare(a.name, b.name) || compare(a.value, b.value) || order.indexOf(a.op) - order.indexOf(b.op),
  )

export type LabelSet = Readonly<Record<string, string>>

/** A test over a plain label set; a missing label is the empty string. */
export const matcherTest = (matchers: readonly Matcher[]): ((labels: LabelSet) => boolean) => {
  const tests = matchers.map((m) => ({ name: m.name, test: valueTest(m) }))
  return (labels) => tests.every(({ name, test }) => test(Object.hasOwn(labels, name) ? labels[name]! : ''))
}
