// JSON items of a request, each checked by itself so that a bad one says what is wrong with it and the rest are kept.
import { AppError, messageOf } from '../lib/errors.ts'
import { fromIso, type Instant, instant, iso } from '../lib/time.ts'

/** What is wrong with one item: its place in the request, the field, why, and how to mend it. */
export interface ItemProblem {
  readonly index: number
  readonly id: string
  readonly field: string
  readonly error: string
}

/** The items of a body: one object, a list of them, or `{ [key]: [...] }`. Throws `bad_data`, or `too_large` past `most`. */
export const itemsOf = (body: Buffer, key: string, most: number): readonly unknown[] => {
  let value: unknown
  try {
    value = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new AppError('bad_data', `the body is no JSON: ${messageOf(error)}`, { cause: error })
  }
  const inner = isRecord(value) && key in value ? value[key] : value
  if (inner !== value && !Array.isArray(inner))
    throw new AppError('bad_data', `${key} must be a list of objects`)
  const items = Array.isArray(inner) ? inner : [inner]
  if (items.length > most)
    throw new AppError(
      'too_large',
      `${items.length} items in one request, at most ${most} are taken; send them in parts`,
    )
  if (!Array.isArray(inner) && !isRecord(inner))
    throw new AppError('bad_data', `the body must be an object, a list of objects, or { "${key}": [...] }`)
  return items
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Reads the fields of one item; the first thing that is wrong is kept as `problem`. */
export class ItemReader {
  problem: ItemProblem | null = null
  readonly #item: Record<string, unknown>
  readonly #index: number
  readonly #limits: { maxAge: number; maxAhead: number; textLength: number }

  constructor(
    item: unknown,
    index: number,
    limits: { maxAge: number; maxAhead: number; textLength: number },
  ) {
    this.#index = index
    this.#limits = limits
    this.#item = isRecord(item) ? item : {}
    if (!isRecord(item)) this.fail('', 'the item must be an object')
  }

  fail(field: string, error: string): void {
    const { id } = this.#item
    this.problem ??= { index: this.#index, id: typeof id === 'string' ? id.slice(0, 256) : '', field, error }
  }

  has(field: string): boolean {
    return this.#item[field] !== undefined && this.#item[field] !== null
  }

  text(field: string, required: boolean): string {
    const value = this.#item[field]
    if (value === undefined || value === null || value === '') {
      if (required) this.fail(field, `${field} is missing; give it as a text that is not empty`)
      return ''
    }
    const text = typeof value === 'number' ? String(value) : value
    if (typeof text !== 'string') {
      this.fail(field, `${field} must be a text`)
      return ''
    }
    if (text.length > this.#limits.textLength)
      this.fail(field, `${field} has ${text.length} characters; at most ${this.#limits.textLength} are taken`)
    if (!text.isWellFormed()) this.fail(field, `${field} holds half of a surrogate pair; send valid Unicode`)
    return text
  }

  /** A finite number, undefined when the field is not there. */
  number(field: string, least = Number.NEGATIVE_INFINITY): number | undefined {
    const value = this.#item[field]
    if (value === undefined || value === null) return undefined
    if (typeof value !== 'number' || !Number.isFinite(value)) {
      this.fail(field, `${field} must be a finite number`)
      return undefined
    }
    if (value < least) this.fail(field, `${field} must be at least ${least}`)
    return value
  }

  /** RFC 3339 text or milliseconds since 1970; now when it is not there. */
  time(field: string, now: Instant): Instant {
    const value = this.#item[field]
    if (value === undefined || value === null) return now
    let at = instant(Number.NaN)
    if (typeof value === 'number') at = instant(Math.round(value))
    else if (typeof value === 'string') {
      try {
        at = fromIso(value)
      } catch {
        at = instant(Number.NaN)
      }
    }
    if (!Number.isFinite(at) || Math.abs(at) > 8.64e15) {
      this.fail(field, `${field} must be RFC 3339 (2026-01-31T12:00:00Z) or milliseconds since 1970`)
      return now
    }
    const hint = typeof value === 'number' && value < 1e11 ? '; it looks like seconds, send milliseconds' : ''
    if (at < now - this.#limits.maxAge)
      this.fail(field, `${iso(at)} is more than ${this.#limits.maxAge / 3_600_000} hours ago${hint}`)
    if (at > now + this.#limits.maxAhead)
      this.fail(
        field,
        `${iso(at)} is more than ${this.#limits.maxAhead / 60_000} minutes ahead; check the sender's clock`,
      )
    return at
  }

  attributes(field: string, most: number): Record<string, string> {
    const value = this.#item[field]
    if (value === undefined || value === null) return {}
    if (!isRecord(value)) {
      this.fail(field, `${field} must be an object of names and values`)
      return {}
    }
    const pairs = Object.entries(value)
    if (pairs.length > most) this.fail(field, `${pairs.length} attributes; at most ${most} are taken`)
    const out: [string, string][] = []
    for (const [name, v] of pairs) {
      const text = typeof v === 'string' ? v : JSON.stringify(v)
      if (text.length > this.#limits.textLength || name.length > this.#limits.textLength)
        this.fail(
          `${field}.${name.slice(0, 64)}`,
          `attributes have at most ${this.#limits.textLength} characters`,
        )
      if (!text.isWellFormed() || !name.isWellFormed())
        this.fail(`${field}.${name.slice(0, 64)}`, 'holds half of a surrogate pair; send valid Unicode')
      out.push([name, text])
    }
    return Object.fromEntries(out)
  }

  /** Refuses every field that is not `known`. */
  only(known: readonly string[]): void {
    for (const field of Object.keys(this.#item)) {
      if (!known.includes(field))
        this.fail(
          field,
          `unknown field; known are ${known.join(', ')}${known.includes('attributes') ? '; put your own under attributes' : ''}`,
        )
    }
  }
}
