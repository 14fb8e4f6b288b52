// Protocol Buffers on the wire: a reader that walks a message in place, and the little that is needed to write one.
import { isUtf8 } from 'node:buffer'
import { AppError } from './errors.ts'

const malformed = (at: number, what: string): AppError =>
  new AppError('bad_data', `protobuf: ${what} at byte ${at}`)

/**
 * Walks one buffer. A message is read as `while (r.at < stop) { switch (r.tag()) … }` and ended with `r.close(stop)`, which
 * throws when a field ran over. Every failure is an AppError `bad_data`. Nothing is copied but strings.
 */
export class WireReader {
  readonly bytes: Buffer
  readonly view: DataView
  readonly end: number
  at = 0
  /** The 64-bit number last read by `varint` or `fixed64`, as two unsigned words. */
  low = 0
  high = 0

  constructor(bytes: Buffer) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.end = bytes.length
  }

  /** The next field's key: number · 8 + wire type. */
  tag(): number {
    const first = this.at < this.end ? this.bytes[this.at]! : 128
    if (first < 128) {
      this.at++
      if (first < 8) throw malformed(this.at - 1, 'field number 0')
      return first
    }
    this.varint()
    if (this.high !== 0 || this.low < 8) throw malformed(this.at, 'field number out of range')
    return this.low
  }

  /** Reads a varint of up to 64 bits into `low` and `high`. */
  varint(): void {
    let low = 0
    let high = 0
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= this.end) throw malformed(this.at, 'a number is cut off')
      const byte = this.bytes[this.at++]!
      const bits = byte & 127
      if (shift < 28) low |= bits << shift
      else if (shift === 28) {
        low |= bits << 28
        high = bits >>> 4
      } else if (shift < 64) high |= bits << (shift - 32)
      if (byte < 128) {
        this.low = low >>> 0
        this.high = high >>> 0
        return
      }
    }
    throw malformed(this.at, 'a number is longer than ten bytes')
  }

  /** An unsigned 32-bit varint, truncated as protobuf says. */
  uint32(): number {
    this.varint()
    return this.low
  }

  /** A signed 64-bit varint as a double. */
  int64(): number {
    this.varint()
    return (this.high | 0) * 4294967296 + this.low
  }

  /** An unsigned 64-bit varint as a double. */
  uint64(): number {
    this.varint()
    return this.high * 4294967296 + this.low
  }

  fixed64(): void {
    const at = this.need(8)
    this.low = this.view.getUint32(at, true)
    this.high = this.view.getUint32(at + 4, true)
  }

  double(): number {
    return this.view.getFloat64(this.need(8), true)
  }

  /** Where the next `size` bytes begin; moves past them. */
  need(size: number): number {
    const at = this.at
    if (at + size > this.end) throw malformed(at, 'the message is cut off')
    this.at = at + size
    return at
  }

  /** The end of the length-delimited field that begins here, which must lie within `stop`. */
  open(stop: number): number {
    this.varint()
    const end = this.at + this.low
    if (this.high !== 0 || end > stop) throw malformed(this.at, 'a field is longer than what holds it')
    return end
  }

  close(stop: number): void {
    if (this.at !== stop) throw malformed(this.at, 'a field runs past its message')
  }

  /** UTF-8 text that begins here; null when it is no valid UTF-8. */
  text(stop: number): string | null {
    const end = this.open(stop)
    const from = this.at
    this.at = end
    return textOf(this.bytes, from, end)
  }

  /** Skips the field whose key has just been read. */
  skip(tag: number, stop: number): void {
    switch (tag & 7) {
      case 0:
        this.varint()
        return
      case 1:
        this.need(8)
        return
      case 2:
        this.at = this.open(stop)
        return
      case 5:
        this.need(4)
        return
      default:
        throw malformed(this.at, `wire type ${tag & 7}`)
    }
  }
}

/** Text of a range of bytes; null when it is no valid UTF-8. */
export const textOf = (bytes: Buffer, from: number, end: number): string | null => {
  let bits = 0
  // Short texts are nearly always ASCII, and need no check then.
  if (end - from <= 32) for (let i = from; i < end; i++) bits |= bytes[i]!
  else bits = 128
  if (bits < 128) return bytes.toString('latin1', from, end)
  return isUtf8(bytes.subarray(from, end)) ? bytes.toString('utf8', from, end) : null
}

/**
 * How a message is built, by field key: the length-delimited fields that are messages themselves, packed 64-bit words, or packed varints.
 * Keys not named are skipped unread.
 */
export interface Shape {
  readonly [key: number]: Shape | 'words' | 'varints'
}

/** The deepest nesting that is followed. */
const deepest = 64

/**
 * Walks a message from `r.at` to `stop` and throws `bad_data` where it is broken, so that what follows may trust it. The reader
 * ends at `stop`.
 */
export const checkMessage = (r: WireReader, stop: number, shape: Shape, depth = 0): void => {
  if (depth > deepest) throw malformed(r.at, `messages nested more than ${deepest} deep`)
  while (r.at < stop) {
    const tag = r.tag()
    const inner = shape[tag]
    if (inner === undefined) r.skip(tag, stop)
    else if (inner === 'words') {
      const end = r.open(stop)
      if ((end - r.at) % 8 !== 0) throw malformed(r.at, 'packed numbers are cut off')
      r.at = end
    } else if (inner === 'varints') {
      const end = r.open(stop)
      while (r.at < end) r.varint()
      r.close(end)
    } else checkMessage(r, r.open(stop), inner, depth + 1)
  }
  r.close(stop)
}

const varintBytes = (value: number): number[] => {
  const out: number[] = []
  let rest = value
  while (rest > 127) {
    out.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  out.push(rest)
  return out
}

/** A varint field; `value` is a non-negative integer below 2^53. Zero is left out, as proto3 does. */
export const varintField = (field: number, value: number): Buffer =>
  value === 0 ? Buffer.alloc(0) : Buffer.from([...varintBytes(field * 8), ...varintBytes(value)])

/** A length-delimited field: text, bytes, or a message written before. */
export const bytesField = (field: number, value: string | Uint8Array): Buffer => {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return Buffer.concat([Buffer.from([...varintBytes(field * 8 + 2), ...varintBytes(bytes.length)]), bytes])
}
