// The functions that every Go template has. `and` and `or` stop early and are the evaluator's own.
import { quote, sprintf } from './printf.ts'
import { entriesOf, isEmpty, isRecord, isTrue, lookup, show, sprint, stringer, typeName } from './value.ts'

type Builtin = (...args: unknown[]) => unknown

const basic = (value: unknown): 'number' | 'string' | 'bool' | 'nil' | null => {
  if (isEmpty(value)) return 'nil'
  if (typeof value === 'bigint' || typeof value === 'number') return 'number'
  if (typeof value === 'string') return 'string'
  return typeof value === 'boolean' ? 'bool' : null
}

const incompatible = (a: unknown, b: unknown): Error =>
  new Error(`cannot compare ${typeName(a)} with ${typeName(b)}`)

const equal = (a: unknown, b: unknown): boolean => {
  const [ka, kb] = [basic(a), basic(b)]
  if (ka === null || kb === null) {
    const [ta, tb] = [stringer(a), stringer(b)]
    if (ta !== null && tb !== null) return ta === tb
    throw new Error(`${typeName(ka === null ? a : b)} values cannot be compared`)
  }
  if (ka === 'nil' || kb === 'nil') return ka === kb
  if (ka !== kb) throw incompatible(a, b)
  // biome-ignore lint/suspicious/noDoubleEquals: 1n and 1 are the same number, and both are numbers here.
  return ka === 'number' ? (a as number) == (b as number) : a === b
}

const less = (a: unknown, b: unknown): boolean => {
  const [ka, kb] = [basic(a), basic(b)]
  if (ka !== kb || (ka !== 'number' && ka !== 'string')) throw incompatible(a, b)
  if (ka === 'string') return Buffer.compare(Buffer.from(a as string), Buffer.from(b as string)) < 0
  return (a as number) < (b as number)
}

/** An argument that must be a whole number. */
const whole = (value: unknown, what: string): number => {
  const n = typeof value === 'bigint' ? Number(value) : value
  if (typeof n !== 'number' || !Number.isInteger(n))
    throw new Error(`cannot ${what} with type ${typeName(value)}`)
  return n
}

const index: Builtin = (item, ...keys) => {
  let value = item
  for (const key of keys) {
    if (isEmpty(value)) throw new Error('index of nil')
    if (Array.isArray(value) || typeof value === 'string') {
      const list = typeof value === 'string' ? Buffer.from(value) : value
      const n = whole(key, 'index a list')
      if (n < 0 || n >= list.length) throw new Error(`index out of range: ${n}`)
      value = typeof value === 'string' ? BigInt(list[n] as number) : list[n]
    } else if (value instanceof Map || isRecord(value)) {
      if (typeof key !== 'string') throw new Error(`a map is indexed by text, not by ${typeName(key)}`)
      const entry = lookup(value, key)
      // A map of texts has the empty text for what it does not hold.
      value = entry.found ? entry.value : ''
    } else throw new Error(`cannot index a value of type ${typeName(value)}`)
  }
  return value
}

const slice: Builtin = (item, ...bounds) => {
  if (typeof item !== 'string' && !Array.isArray(item))
    throw new Error(`cannot slice a value of type ${typeName(item)}`)
  if (bounds.length > 2) throw new Error(`too many bounds: ${bounds.length}`)
  const bytes = typeof item === 'string' ? Buffer.from(item) : null
  const length = bytes ? bytes.length : (item as unknown[]).length
  const [from = 0, to = length] = bounds.map((b) => whole(b, 'slice'))
  if (from < 0 || to < 0 || from > length || to > length)
    throw new Error(`index out of range: ${from > length ? from : to}`)
  if (from > to) throw new Error(`invalid bounds of a slice: ${from} > ${to}`)
  return bytes ? bytes.subarray(from, to).toString('utf8') : (item as unknown[]).slice(from, to)
}

const length: Builtin = (value) => {
  if (typeof value === 'string') return BigInt(Buffer.byteLength(value))
  if (Array.isArray(value)) return BigInt(value.length)
  if (value instanceof Map) return BigInt(value.size)
  if (isRecord(value)) return BigInt(entriesOf(value).length)
  throw new Error(`len of type ${typeName(value)}`)
}

const htmlEntities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
  '\0': '\ufffd',
}
const escapeHtml = (text: string): string => text.replace(/[&<>"'\0]/g, (c) => htmlEntities[c]!)

const jsEscape = (char: string): string => {
  if (char === '\\' || char === "'" || char === '"') return `\\${char}`
  return `\\u${char.charCodeAt(0).toString(16).toUpperCase().padStart(4, '0')}`
}
const escapeJs = (text: string): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what has to be escaped.
  text.replace(/[\\'"<>&=\u0000-\u001f\u007f\u2028\u2029]/g, jsEscape)

/** Go's url.QueryEscape. */
export const escapeQuery = (text: string): string =>
  encodeURIComponent(text.toWellFormed())
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll('%20', '+')

const needs =
  (least: number, most: number, name: string, run: Builtin): Builtin =>
  (...args) => {
    if (args.length < least || args.length > most) {
      const want =
        most === least
          ? `${least}`
          : most === Number.POSITIVE_INFINITY
            ? `at least ${least}`
            : `${least} to ${most}`
      throw new Error(`wrong number of arguments for ${name}: want ${want}, got ${args.length}`)
    }
    return run(...args)
  }
const any = Number.POSITIVE_INFINITY

export const builtins: Readonly<Record<string, Builtin>> = {
  eq: needs(2, any, 'eq', (a, ...others) => others.some((b) => equal(a, b))),
  ne: needs(2, 2, 'ne', (a, b) => !equal(a, b)),
  lt: needs(2, 2, 'lt', (a, b) => less(a, b)),
  le: needs(2, 2, 'le', (a, b) => less(a, b) || equal(a, b)),
  gt: needs(2, 2, 'gt', (a, b) => less(b, a)),
  ge: needs(2, 2, 'ge', (a, b) => less(b, a) || equal(a, b)),
  not: needs(1, 1, 'not', (a) => !isTrue(a)),
  index: needs(1, any, 'index', index),
  slice: needs(1, any, 'slice', slice),
  len: needs(1, 1, 'len', length),
  print: (...args) => sprint(args),
  println: (...args) => `${args.map((a) => show(a)).join(' ')}\n`,
  printf: needs(1, any, 'printf', (format, ...args) => {
    if (typeof format !== 'string')
      throw new Error(`the format is ${quote(show(format))} of type ${typeName(format)}, not text`)
    return sprintf(format, args)
  }),
  html: (...args) => escapeHtml(sprint(args)),
  js: (...args) => escapeJs(sprint(args)),
  urlquery: (...args) => escapeQuery(sprint(args)),
}
