// What a template sees of plain values: their kind, truth, length, fields, and how Go would print them.
//
// A number is Go's float64, a bigint its int. A record or Map is a map with text keys; a function in a record is a method; a
// record with a method `String` prints as what it gives. null and undefined are no value.
import { formatFloat } from './float.ts'

export const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Map)

export const isEmpty = (value: unknown): value is null | undefined => value === null || value === undefined

/** Go's name for the type of a value, for messages and %T. */
export const typeName = (value: unknown): string => {
  if (isEmpty(value)) return '<nil>'
  if (typeof value === 'bigint') return 'int'
  if (typeof value === 'number') return 'float64'
  if (typeof value === 'boolean') return 'bool'
  if (typeof value === 'string') return 'string'
  if (typeof value === 'function') return 'func'
  return Array.isArray(value) ? 'list' : 'map'
}

/** Entries of a map sorted by key. */
export const entriesOf = (
  value: ReadonlyMap<unknown, unknown> | Readonly<Record<string, unknown>>,
): [string, unknown][] => {
  const all: [string, unknown][] =
    value instanceof Map ? [...value].map(([k, v]) => [String(k), v]) : Object.entries(value)
  return all.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
}

/** A list may carry methods too, as own properties that are not enumerable. */
export const hasMethod = (value: unknown, key: string): value is Readonly<Record<string, unknown>> =>
  Array.isArray(value) &&
  Object.hasOwn(value, key) &&
  typeof (value as unknown as Record<string, unknown>)[key] === 'function'

/** A map's value under a key; only what it holds itself, nothing inherited. */
export const lookup = (value: unknown, key: string): { found: boolean; value: unknown } => {
  if (value instanceof Map) return { found: value.has(key), value: value.get(key) }
  if (isRecord(value) && Object.hasOwn(value, key)) return { found: true, value: value[key] }
  if (hasMethod(value, key)) return { found: true, value: value[key] }
  return { found: false, value: undefined }
}

export const isTrue = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.length > 0
  if (value instanceof Map) return value.size > 0
  if (isRecord(value)) return Object.keys(value).length > 0
  if (typeof value === 'number') return value !== 0
  return Boolean(value)
}

/** The text a value prints as, where it has a method for that. */
export const stringer = (value: unknown): string | null => {
  if (!isRecord(value)) return null
  const { found, value: method } = lookup(value, 'String')
  return found && typeof method === 'function' ? String((method as () => unknown)()) : null
}

const deepest = 100

/** Go's %v. `leaf` prints what is not a list or a map. */
export const show = (value: unknown, leaf: (value: unknown) => string = showLeaf, depth = 0): string => {
  if (depth > deepest) return '…'
  const own = stringer(value)
  if (own !== null) return leaf(own)
  if (Array.isArray(value)) return `[${value.map((v) => show(v, leaf, depth + 1)).join(' ')}]`
  if (value instanceof Map || isRecord(value)) {
    const pairs = entriesOf(value).filter(([, v]) => typeof v !== 'function')
    return `map[${pairs.map(([k, v]) => `${leaf(k)}:${show(v, leaf, depth + 1)}`).join(' ')}]`
  }
  return leaf(value)
}

export const showLeaf = (value: unknown): string => {
  if (isEmpty(value)) return '<nil>'
  if (typeof value === 'number') return formatFloat(value, 'g', -1)
  return String(value)
}

/** Go's fmt.Sprint: a space between two operands when neither is text. */
export const sprint = (values: readonly unknown[]): string => {
  let text = ''
  for (const [i, value] of values.entries()) {
    if (i > 0 && typeof value !== 'string' && typeof values[i - 1] !== 'string') text += ' '
    text += show(value)
  }
  return text
}

/** A text that is written as it is where values are escaped. */
export class Verbatim {
  readonly String: () => string
  constructor(text: string) {
    this.String = () => text
  }
}
