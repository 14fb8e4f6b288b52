// Writes texts and attributes of spans and log records from the wire into rows: within limits, without content that is not kept, masked.
import { createHmac, randomBytes } from 'node:crypto'
import type { WireReader } from '../../lib/protobuf.ts'
import { RowBuilder } from '../../lib/row-builder.ts'
import { textBetween } from '../../lib/row-cursor.ts'
import { argumentsDigest, isToolArguments } from '../../model/gen-ai-attributes.ts'
import { put, type Wanted } from '../../model/span-rows.ts'
import { ByteCache } from '../byte-cache.ts'
import { valueText } from './any-value.ts'
import { anyValue } from './attributes-protobuf.ts'
import { contentFamily, messageFamily } from './content.ts'
import type { Mask } from './masks.ts'
import type { Tally } from './tally.ts'

export interface ItemLimits {
  readonly attributes: number
  readonly valueLength: number
  readonly bodyLength: number
  readonly events: number
}

/** What is remembered of an attribute's key. */
interface Key {
  readonly text: string
  /** As a field of a row. */
  readonly encoded: Uint8Array
  readonly wanted: boolean
  /** Its family of content, and the one it has in an event that is a message; '' for none. */
  readonly family: string
  readonly inMessage: string
  /** Whether it is what a tool was given, of which a digest stays where it is not kept. */
  readonly digested: boolean
  /** The map in which it was last seen. */
  seen: number
}

export interface ItemRules {
  readonly limits: ItemLimits
  readonly wanted: Wanted
  readonly mask: Mask | null
  /** Whether every value is masked, not content alone. */
  readonly maskAll: boolean
}

/** Content of the map being written: kept, dropped, or the map is a message, of which more is content. */
export type ContentIs = 'kept' | 'dropped' | 'message'

const encodedText = (text: string): Uint8Array => {
  const row = new RowBuilder(text.length + 16, 1)
  row.string(text)
  return row.bytes.subarray(0, row.at)
}

/** A key longer than this is cut. */
const longestKey = 1024
/** What a mask looks at past the limit, so that a match that runs over it is still whole. */
const beyondLimit = 4096
const digestLength = 16

/** Remembers keys from request to request. */
export class KeyTable {
  readonly #known = new ByteCache<Key>(1 << 14, 2 << 20)
  readonly #wanted: Wanted

  readonly #secret = randomBytes(32)
  /** Of the attribute that stands for a tool's arguments. */
  readonly digest: Key
  #maps = 0

  constructor(wanted: Wanted) {
    this.#wanted = wanted
    this.digest = this.#key(argumentsDigest)
  }

  /** Of a value, to know it again by: under a secret that ends with the process, so that no value can be tried against it. */
  digestOf(value: Uint8Array): string {
    return createHmac('sha256', this.#secret).update(value).digest('hex').slice(0, digestLength)
  }

  /** A number for the map that is written next, to know repeated keys by. */
  nextMap(): number {
    return ++this.#maps
  }

  of(r: WireReader, from: number, end: number, tally: Tally): Key {
    const known = this.#known.get(r.view, from, end, 0)
    if (known) return known
    if (end - from > longestKey) tally.change('values_cut')
    const text = r.bytes.toString('utf8', from, Math.min(end, from + longestKey)).toWellFormed()
    const key = this.#key(text)
    this.#known.set(r.view, from, end, 0, key)
    return key
  }

  #key(text: string): Key {
    const wanted = this.#wanted(text)
    return {
      text,
      encoded: encodedText(text),
      wanted,
      family: contentFamily(text),
      inMessage: messageFamily(text),
      digested: wanted && text !== argumentsDigest && isToolArguments(text),
      seen: -1,
    }
  }
}

/** Writes the items of one request. */
export class ItemWriter {
  readonly r: WireReader
  readonly row: RowBuilder
  readonly tally: Tally
  readonly #keys: KeyTable
  readonly #rules: ItemRules

  constructor(r: WireReader, row: RowBuilder, keys: KeyTable, rules: ItemRules, tally: Tally) {
    this.r = r
    this.tally = tally
    this.row = row
    this.#keys = keys
    this.#rules = rules
  }

  get limits(): ItemLimits {
    return this.#rules.limits
  }

  /** A string of a row from the bytes `from … end`, repaired and cut where it must be. */
  text(from: number, end: number, longest = this.#rules.limits.valueLength): void {
    const { bytes } = this.r
    if (end - from <= longest && this.row.text(bytes, from, end)) return
    this.row.string(
      this.#within(bytes.toString('utf8', from, Math.min(end, from + longest)), end - from, longest),
    )
    if (end - from <= longest) this.tally.change('invalid_utf8')
  }

  /** The text that `text` would write. */
  readText(from: number, end: number): string {
    const longest = this.#rules.limits.valueLength
    return this.#within(
      this.r.bytes.toString('utf8', from, Math.min(end, from + longest)),
      end - from,
      longest,
    )
  }

  /** A text that began with `size` bytes, at most `longest` of them, without a character that the cut has broken. */
  #within(text: string, size: number, longest: number): string {
    if (size <= longest) return text
    this.tally.change('values_cut')
    return text.endsWith('\ufffd') ? text.slice(0, -1) : text
  }

  /**
   * A map of the attributes in the KeyValue messages that lie at `places` (from and end by turns); those that are wanted go to `into` too.
   */
  attributes(
    places: readonly number[],
    count: number,
    content: ContentIs,
    into: Record<string, string> | null,
  ): void {
    const { row, tally } = this
    const most = this.#rules.limits.attributes
    const map = this.#keys.nextMap()
    const open = row.openCount()
    let written = 0
    for (let i = 0; i < count; i += 2) {
      if (written >= most) {
        tally.change('attributes_left_out', (count - i) / 2)
        break
      }
      if (this.#attribute(places[i]!, places[i + 1]!, content, map, into)) written++
    }
    row.setCount(open, written)
  }

  #attribute(
    from: number,
    end: number,
    content: ContentIs,
    map: number,
    into: Record<string, string> | null,
  ): boolean {
    const { r } = this
    let [keyFrom, keyEnd, valueFrom, valueEnd] = [0, 0, 0, 0]
    r.at = from
    while (r.at < end) {
      const tag = r.tag()
      if (tag === 10) {
        keyEnd = r.open(end)
        keyFrom = r.at
        r.at = keyEnd
      } else if (tag === 18) {
        valueEnd = r.open(end)
        valueFrom = r.at
        r.at = valueEnd
      } else r.skip(tag, end)
    }
    r.close(end)
    const key = this.#keys.of(r, keyFrom, keyEnd, this.tally)
    if (key.seen === map) {
      this.tally.change('duplicate_attributes')
      return false
    }
    key.seen = map
    const family = content === 'message' ? key.inMessage : key.family
    if (family !== '' && content !== 'kept') {
      this.tally.dropContent(family)
      return key.digested && this.#digest(valueFrom, valueEnd, map, into)
    }
    const start = this.row.at
    this.row.raw(key.encoded)
    const at = this.row.at
    if (!this.#value(valueFrom, valueEnd, family !== '')) {
      this.row.at = start
      return false
    }
    if (key.wanted && into !== null) put(into, key.text, this.written(at))
    return true
  }

  #digest(from: number, end: number, map: number, into: Record<string, string> | null): boolean {
    const { digest } = this.#keys
    // An empty text, the smallest value there is, has two bytes.
    if (digest.seen === map || end - from <= 2) return false
    digest.seen = map
    const said = this.#keys.digestOf(this.r.bytes.subarray(from, end))
    this.row.raw(digest.encoded)
    this.row.string(said)
    if (into !== null) put(into, digest.text, said)
    return true
  }

  /** The string that was written at `at` and ends the row so far. */
  written(at: number): string {
    const { bytes, at: end } = this.row
    let from = at
    while (bytes[from]! > 127) from++
    return textBetween(bytes, from + 1, end)
  }

  /** An AnyValue as text. */
  #value(from: number, end: number, isContent: boolean): boolean {
    const { r, row } = this
    const mask = isContent || this.#rules.maskAll ? this.#rules.mask : null
    const longest = this.#rules.limits.valueLength
    // A plain text, which most values are: copied as it stands.
    if (mask === null && end > from && r.bytes[from] === 10) {
      r.at = from + 1
      const stop = r.open(end)
      if (stop === end) {
        this.text(r.at, end, longest)
        return true
      }
    }
    const text = this.#any(from, end)
    if (text === null) return false
    row.string(this.#masked(text, mask, longest))
    return true
  }

  #any(from: number, end: number): string | null {
    const { r } = this
    // A text of one's own reading: one that is no UTF-8 is repaired, as anywhere else.
    if (end > from && r.bytes[from] === 10) {
      r.at = from + 1
      const stop = r.open(end)
      if (stop === end) return r.bytes.toString('utf8', r.at, end)
    }
    r.at = from
    const value = anyValue(r, end, 0)
    r.at = end
    if (value !== undefined) return valueText(value)
    this.tally.change('nested_too_deep')
    return null
  }

  #masked(text: string, mask: Mask | null, longest: number): string {
    const size = Buffer.byteLength(text)
    const seen = size > longest + beyondLimit ? cut(text, longest + beyondLimit) : text
    const masked = mask === null ? seen : mask(seen)
    if (Buffer.byteLength(masked) <= longest && size <= longest) return masked
    this.tally.change('values_cut')
    return cut(masked, longest)
  }

  /** A log record's body: an AnyValue as a string of the row. */
  body(from: number, end: number, isContent: boolean): void {
    const { bodyLength } = this.#rules.limits
    const mask = isContent || this.#rules.maskAll ? this.#rules.mask : null
    const { r, row } = this
    if (mask === null && end > from && r.bytes[from] === 10) {
      r.at = from + 1
      if (r.open(end) === end) {
        this.text(r.at, end, bodyLength)
        return
      }
    }
    row.string(this.#masked(this.#any(from, end) ?? '', mask, bodyLength))
  }

  /** The text of the attribute `key` among those at `places`; null when it is not there, or is no text. */
  find(places: readonly number[], count: number, key: string): string | null {
    const { r } = this
    for (let i = 0; i < count; i += 2) {
      const end = places[i + 1]!
      r.at = places[i]!
      if (r.at >= end || r.tag() !== 10) continue
      const keyEnd = r.open(end)
      if (keyEnd - r.at !== key.length || r.bytes.toString('latin1', r.at, keyEnd) !== key) continue
      r.at = keyEnd
      if (r.at >= end || r.tag() !== 18) continue
      const valueEnd = r.open(end)
      if (r.at >= valueEnd || r.tag() !== 10) continue
      const textEnd = r.open(valueEnd)
      return r.bytes.toString('utf8', r.at, textEnd)
    }
    return null
  }
}

/** The text's first `most` bytes of UTF-8, without a broken last character. */
const cut = (text: string, most: number): string => {
  if (Buffer.byteLength(text) <= most) return text
  const bytes = Buffer.from(text)
  let end = most
  while (end > 0 && (bytes[end]! & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}
