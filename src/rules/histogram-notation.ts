// Native histograms as promtool's test files write them: `{{schema:1 count:3 sum:5 z_bucket:1 buckets:[1 1]}}`.
import { AppError } from '../lib/errors.ts'
import { formatFloat } from '../lib/template/float.ts'
import {
  type Buckets,
  bucketsOf,
  isCustom,
  type NativeHistogram,
  type ResetHint,
  resetHints,
  wrongWith,
} from '../model/native-histogram.ts'

const bad = (text: string, why: string): AppError => new AppError('bad_data', `{{${text.trim()}}}: ${why}`)

const numberOf = (text: string, whole: string): number => {
  if (/^[+-]?inf$/i.test(text))
    return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
  if (/^nan$/i.test(text)) return Number.NaN
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw bad(whole, `${text} is no number`)
  return Number(text)
}

const numbers = ['schema', 'count', 'sum', 'z_bucket', 'z_bucket_w', 'offset', 'n_offset']
const lists = ['buckets', 'n_buckets', 'custom_values']
const field = /^\s*([a-z_]+)\s*:\s*(?:\[([^\]]*)\]|([^\s[\]]+))/

/** The fields between the braces. Throws `bad_data`. */
const fieldsOf = (text: string): Map<string, string> => {
  const found = new Map<string, string>()
  for (let rest = text; rest.trim() !== ''; ) {
    const m = field.exec(rest)
    if (!m) throw bad(text, `not a field: ${rest.trim()}; write name:value or name:[values]`)
    const [whole, name = '', list, value] = m
    const known =
      list === undefined ? name === 'counter_reset_hint' || numbers.includes(name) : lists.includes(name)
    if (!known) throw bad(text, `unknown field ${name}${list === undefined ? '' : ' with a list'}`)
    if (found.has(name)) throw bad(text, `field ${name} twice`)
    found.set(name, list ?? value!)
    rest = rest.slice(whole.length)
  }
  return found
}

/** The histogram of what stands between `{{` and `}}`. Throws `bad_data`. */
export const parseHistogram = (text: string): NativeHistogram => {
  const fields = fieldsOf(text)
  const number = (name: string): number => numberOf(fields.get(name) ?? '0', text)
  const list = (name: string): number[] =>
    (fields.get(name) ?? '')
      .trim()
      .split(/\s+/)
      .filter(Boolean)
      .map((word) => numberOf(word, text))
  const hint = fields.get('counter_reset_hint') ?? 'unknown'
  if (!(resetHints as readonly string[]).includes(hint))
    throw bad(text, `counter_reset_hint is one of ${resetHints.join(', ')}`)
  const side = (buckets: string, offset: string): Buckets => {
    const counts = list(buckets)
    const made = bucketsOf({ offsets: [number(offset)], lengths: [counts.length] }, counts, false)
    if (typeof made === 'string') throw bad(text, made)
    return made
  }
  const h: NativeHistogram = {
    schema: number('schema'),
    hint: hint as ResetHint,
    count: number('count'),
    sum: number('sum'),
    zeroThreshold: number('z_bucket_w'),
    zeroCount: number('z_bucket'),
    positive: side('buckets', 'offset'),
    negative: side('n_buckets', 'n_offset'),
    bounds: list('custom_values'),
  }
  return h
}

/** Why a histogram cannot be a sample; expected ones may hold what only a difference can. */
export const checkSample = (h: NativeHistogram): NativeHistogram => {
  const why = wrongWith(h, false)
  if (why) throw new AppError('bad_data', `${writeHistogram(h)}: ${why}`)
  return h
}

const dense = ({ index, count }: Buckets): string => {
  const out: string[] = []
  for (let i = 0; i < index.length; i++) {
    while (i > 0 && out.length < index[i]! - index[0]!) out.push('0')
    out.push(formatFloat(count[i]!, 'g', -1))
  }
  return out.join(' ')
}

/** A histogram in this notation, as promtool writes it. */
export const writeHistogram = (h: NativeHistogram): string => {
  const parts: string[] = []
  const add = (name: string, value: number): void => {
    if (value !== 0) parts.push(`${name}:${formatFloat(value, 'g', -1)}`)
  }
  add('schema', h.schema)
  add('count', h.count)
  add('sum', h.sum)
  add('z_bucket', h.zeroCount)
  add('z_bucket_w', h.zeroThreshold)
  if (isCustom(h)) parts.push(`custom_values:[${h.bounds.map((b) => formatFloat(b, 'g', -1)).join(' ')}]`)
  if (h.hint !== 'unknown') parts.push(`counter_reset_hint:${h.hint}`)
  for (const [side, buckets, offset] of [
    [h.positive, 'buckets', 'offset'],
    [h.negative, 'n_buckets', 'n_offset'],
  ] as const) {
    if (side.index.length === 0) continue
    add(offset, side.index[0]!)
    parts.push(`${buckets}:[${dense(side)}]`)
  }
  return `{{${parts.join(' ')}}}`
}
