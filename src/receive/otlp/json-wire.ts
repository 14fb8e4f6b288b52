// OTLP in JSON, written anew in protobuf in one walk over its bytes: what follows has one form to read, and no object stands in between.
// Mapping: https://protobuf.dev/programming-guides/json. Integers as text or number, enums as number or name, null as absent.
import { AppError } from '../../lib/errors.ts'
import { WireWriter } from '../../lib/wire-writer.ts'
import { explain, Wrong } from './json-place.ts'
import { type JsonField, type JsonMessage, JsonMessage as Message } from './json-shapes.ts'

/** The deepest nesting of messages; a list or map in a value takes two. */
const deepest = 64

const quote = 34
const backslash = 92
const comma = 44
const colon = 58
const openObject = 123
const closeObject = 125
const openList = 91
const closeList = 93
const minus = 45
const letterN = 110

/** The request in protobuf. Throws `bad_data` naming the place when it is no JSON, or a field has a value of another kind. */
export const jsonToWire = (body: Buffer, shape: JsonMessage): Buffer => {
  const transcoder = new Transcoder(body)
  try {
    return transcoder.request(shape)
  } catch (thrown) {
    if (!(thrown instanceof Wrong)) throw thrown
    throw explain(body, thrown)
  }
}

class Transcoder {
  readonly #b: Buffer
  readonly #out: WireWriter
  #at = 0
  // The 64-bit integer last read, as two unsigned words.
  #low = 0
  #high = 0

  constructor(body: Buffer) {
    this.#b = body
    this.#out = new WireWriter(body.length)
  }

  request(shape: JsonMessage): Buffer {
    this.#space()
    this.#message(shape, 0)
    this.#space()
    if (this.#at < this.#b.length) throw new Wrong(this.#at, null)
    return this.#out.bytes()
  }

  /** The next byte that is no white space, without passing it; 0 at the end. */
  #space(): number {
    const b = this.#b
    for (;;) {
      const byte = b[this.#at]
      if (byte === undefined) return 0
      if (byte > 32) return byte
      if (byte !== 32 && byte !== 10 && byte !== 13 && byte !== 9) throw new Wrong(this.#at, null)
      this.#at++
    }
  }

  #message(shape: JsonMessage, depth: number): void {
    if (this.#b[this.#at] !== openObject) throw new Wrong(this.#at, 'an object')
    if (depth > deepest)
      throw new AppError('bad_data', `JSON: messages nested more than ${deepest} deep at byte ${this.#at}`)
    this.#at++
    if (this.#space() === closeObject) {
      this.#at++
      return
    }
    let before: JsonField | undefined
    for (;;) {
      if (this.#space() !== quote) throw new Wrong(this.#at, null)
      const field = this.#field(shape, before)
      before = field
      if (this.#space() !== colon) throw new Wrong(this.#at, null)
      this.#at++
      const first = this.#space()
      if (first === letterN) this.#word('null')
      else if (field === undefined) this.#skip()
      else if (field.repeated) this.#list(field, depth)
      else this.#value(field, depth)
      if (this.#more(closeObject)) return
    }
  }

  /** The field whose name begins here, mostly the one that came after `before` the last time; undefined where it is not known. */
  #field(shape: JsonMessage, before: JsonField | undefined): JsonField | undefined {
    const guess = before === undefined ? shape.first : before.next
    if (guess !== undefined && this.#isNamed(guess.name)) return guess
    const from = this.#at + 1
    this.#skipString()
    const field = shape.find(this.#b, from, this.#at - 1)
    if (field === undefined) return undefined
    if (before === undefined) shape.first = field
    else before.next = field
    return field
  }

  /** Passes the name in quotes, if it is the next. */
  #isNamed(name: Buffer): boolean {
    const b = this.#b
    const from = this.#at + 1
    const end = from + name.length
    if (b[end] !== quote) return false
    for (let i = 0; i < name.length; i++) if (b[from + i] !== name[i]) return false
    this.#at = end + 1
    return true
  }

  /** Passes a comma, or what ends the object or list: then true. */
  #more(end: number): boolean {
    const byte = this.#space()
    if (byte !== comma && byte !== end) throw new Wrong(this.#at, null)
    this.#at++
    return byte === end
  }

  #list(field: JsonField, depth: number): void {
    if (this.#b[this.#at] !== openList) throw new Wrong(this.#at, 'a list')
    this.#at++
    if (this.#space() === closeList) {
      this.#at++
      return
    }
    for (;;) {
      this.#space()
      this.#value(field, depth)
      if (this.#more(closeList)) return
    }
  }

  #value(field: JsonField, depth: number): void {
    const out = this.#out
    const { kind } = field
    out.varint(field.tag)
    if (kind instanceof Message) {
      const from = out.open()
      this.#message(kind, depth + 1)
      out.close(from)
      return
    }
    switch (kind) {
      case 'string':
        this.#text()
        return
      case 'fixed64':
        this.#integer(false)
        out.fixed64(this.#low, this.#high)
        return
      case 'sfixed64':
        this.#integer(true)
        out.fixed64(this.#low, this.#high)
        return
      case 'int64':
        this.#integer(true)
        out.varint64(this.#low, this.#high)
        return
      case 'uint64':
        this.#integer(false)
        out.varint64(this.#low, this.#high)
        return
      case 'sint32': {
        this.#integer(true)
        const value = this.#low | 0
        out.varint(((value << 1) ^ (value >> 31)) >>> 0)
        return
      }
      case 'double':
        out.double(this.#double())
        return
      case 'bool':
        out.byte(this.#bool() ? 1 : 0)
        return
      case 'hex':
        this.#hex()
        return
      case 'uint32':
      case 'fixed32':
        this.#integer(false)
        if (kind === 'fixed32') out.fixed32(this.#low)
        else out.varint(this.#low)
        return
      case 'bytes': {
        const bytes = Buffer.from(this.#string(), 'base64')
        out.copy(bytes, 0, bytes.length)
        return
      }
      default:
        this.#enum(kind)
    }
  }

  /** Passes a string; true when it has escapes. */
  #skipString(): boolean {
    const b = this.#b
    let escaped = false
    let at = this.#at + 1
    for (;;) {
      const byte = b[at]
      if (byte === quote) break
      if (byte === backslash) {
        escaped = true
        at++
      } else if (byte === undefined || byte < 32) throw new Wrong(at, null)
      at++
    }
    this.#at = at + 1
    return escaped
  }

  #text(): void {
    if (this.#b[this.#at] !== quote) throw new Wrong(this.#at, 'text')
    const from = this.#at
    if (this.#skipString()) this.#out.text(this.#unescaped(from))
    else this.#out.copy(this.#b, from + 1, this.#at - 1)
  }

  #string(): string {
    if (this.#b[this.#at] !== quote) throw new Wrong(this.#at, 'text')
    const from = this.#at
    return this.#skipString() ? this.#unescaped(from) : this.#b.toString('utf8', from + 1, this.#at - 1)
  }

  #unescaped(from: number): string {
    try {
      return (JSON.parse(this.#b.toString('utf8', from, this.#at)) as string).toWellFormed()
    } catch {
      throw new Wrong(from, null)
    }
  }

  /** An integer of 64 bits, as text or number, into two words. */
  #integer(signed: boolean): void {
    const b = this.#b
    const start = this.#at
    const quoted = b[this.#at] === quote
    if (quoted) this.#at++
    const negative = b[this.#at] === minus
    if (negative) this.#at++
    const from = this.#at
    let digit = b[from]! - 48
    while (digit >= 0 && digit <= 9) digit = b[++this.#at]! - 48
    const digits = this.#at - from
    let [low, high] = this.#digits(from, digits, start)
    const next = b[this.#at]
    if (!quoted && (next === 46 || next === 101 || next === 69)) {
      this.#at = start
      ;[low, high] = wordsOf(this.#number(), start)
    } else if (digits === 0 || (quoted && next !== quote)) throw new Wrong(start, 'an integer')
    else if (quoted) this.#at++
    if (negative && (low > 0 || high > 0)) {
      if (!signed) throw new Wrong(start, 'zero or more')
      low = 4294967296 - low
      high = (~high >>> 0) + (low === 4294967296 ? 1 : 0)
      low %= 4294967296
    }
    this.#low = low
    this.#high = high
  }

  /** So many decimal digits as two words. */
  #digits(from: number, count: number, start: number): [number, number] {
    const b = this.#b
    const last = from + count
    const split = count > 15 ? last - 9 : last
    let head = 0
    for (let i = from; i < split; i++) head = head * 10 + b[i]! - 48
    if (split === last) return [head >>> 0, Math.floor(head / 4294967296)]
    let tail = 0
    for (let i = split; i < last; i++) tail = tail * 10 + b[i]! - 48
    // head · 10^9 + tail in parts that a double holds exactly: head has up to 37 bits, 10^9 thirty.
    const upper = Math.floor(head / 1048576) * 1e9
    const low = (head % 1048576) * 1e9 + tail + (upper % 4096) * 1048576
    const high = Math.floor(upper / 4096) + Math.floor(low / 4294967296)
    if (count > 20 || high >= 4294967296) throw new Wrong(start, 'an integer of 64 bits')
    return [low >>> 0, high]
  }

  /** A number's token. */
  #number(): number {
    const b = this.#b
    const from = this.#at
    for (let byte = b[this.#at]; byte !== undefined && isNumeric(byte); byte = b[this.#at]) this.#at++
    const text = b.toString('latin1', from, this.#at)
    const value = Number(text)
    if (text === '' || Number.isNaN(value)) throw new Wrong(from, 'a number')
    return value
  }

  #double(): number {
    const from = this.#at
    if (this.#b[from] !== quote) return this.#number()
    const text = this.#string()
    if (text === 'NaN') return Number.NaN
    if (/^-?Infinity$/.test(text) || /^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(text)) return Number(text)
    throw new Wrong(from, 'a number')
  }

  #bool(): boolean {
    const is = this.#b[this.#at] === 116
    if (!is && this.#b[this.#at] !== 102) throw new Wrong(this.#at, 'true or false')
    this.#word(is ? 'true' : 'false')
    return is
  }

  #word(word: string): void {
    for (let i = 0; i < word.length; i++)
      if (this.#b[this.#at + i] !== word.charCodeAt(i)) throw new Wrong(this.#at, null)
    this.#at += word.length
  }

  /** An id in hexadecimal. One that is none becomes one byte: of a length that no id has, it is refused, and the rest is kept. */
  #hex(): void {
    if (this.#b[this.#at] !== quote) throw new Wrong(this.#at, 'text')
    const from = this.#at + 1
    this.#skipString()
    const end = this.#at - 1
    const out = this.#out
    const start = out.at
    out.varint((end - from) / 2)
    for (let i = from; i < end; i += 2) {
      const [high, low] = [digitOf(this.#b[i]!), digitOf(this.#b[i + 1]!)]
      if (high < 0 || low < 0 || (end - from) % 2 === 1) {
        out.at = start
        out.varint(1)
        out.byte(0)
        return
      }
      out.byte(high * 16 + low)
    }
  }

  #enum(names: ReadonlyMap<string, number>): void {
    const from = this.#at
    if (this.#b[from] === quote) this.#out.varint(names.get(this.#string()) ?? 0)
    else {
      const value = this.#number()
      if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
        throw new Wrong(from, 'one of its names')
      this.#out.varint(value)
    }
  }

  /** Passes a value of a field that is not known, however deep. */
  #skip(): void {
    let depth = 0
    for (;;) {
      const byte = this.#space()
      if (byte === quote) this.#skipString()
      else if (byte === openObject || byte === openList) {
        depth++
        this.#at++
        continue
      } else if (byte === closeObject || byte === closeList) {
        depth--
        this.#at++
      } else if (byte === comma || byte === colon) {
        this.#at++
        continue
      } else this.#scalar(byte)
      if (depth === 0) return
      if (depth < 0) throw new Wrong(this.#at, null)
    }
  }

  #scalar(first: number): void {
    if (first === letterN) this.#word('null')
    else if (first === 116 || first === 102) this.#bool()
    else this.#number()
  }
}

const isNumeric = (byte: number): boolean =>
  (byte >= 48 && byte <= 57) || byte === 46 || byte === 43 || byte === minus || byte === 101 || byte === 69

const digitOf = (byte: number): number => {
  if (byte >= 48 && byte <= 57) return byte - 48
  const lower = byte | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

const wordsOf = (value: number, at: number): [number, number] => {
  const size = Math.abs(value)
  if (!Number.isInteger(value) || size >= 2 ** 64) throw new Wrong(at, 'an integer')
  return [size % 4294967296, Math.floor(size / 4294967296)]
}
