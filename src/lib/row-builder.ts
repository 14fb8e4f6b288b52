// Writes rows in RowBinary out of bytes that mostly are in that form already: texts are copied, not decoded and encoded again.
import { isAscii, isUtf8 } from 'node:buffer'
import { AppError } from './errors.ts'

/** Up to here a loop over the bytes is quicker than a call. */
const short = 48

const hexDigits = Buffer.from('0123456789abcdef')

export class RowBuilder {
  bytes: Buffer
  at = 0
  #ends: Uint32Array
  #rows = 0
  readonly #most: number

  /** Past `most` bytes it throws `too_large`: what is written into every row may be far more than came in. */
  constructor(capacity: number, rows: number, most: number = 2 ** 30) {
    this.#most = most
    this.bytes = Buffer.allocUnsafeSlow(Math.max(1024, capacity))
    this.#ends = new Uint32Array(Math.max(16, rows))
  }

  get rows(): number {
    return this.#rows
  }

  endRow(): void {
    if (this.#rows === this.#ends.length) {
      const wider = new Uint32Array(this.#ends.length * 2)
      wider.set(this.#ends)
      this.#ends = wider
    }
    this.#ends[this.#rows++] = this.at
  }

  /** Takes back what was written since the last row's end. */
  dropRow(): void {
    this.at = this.#rows === 0 ? 0 : this.#ends[this.#rows - 1]!
  }

  /** The rows, in memory of their own size. */
  build(): { bytes: Uint8Array; ends: Uint32Array } {
    const bytes = new Uint8Array(this.at)
    this.bytes.copy(bytes, 0, 0, this.at)
    return { bytes, ends: this.#ends.slice(0, this.#rows) }
  }

  room(bytes: number): void {
    if (this.at + bytes <= this.bytes.length) return
    if (this.at + bytes > this.#most)
      throw new AppError(
        'too_large',
        `the rows of the request are over ${this.#most} bytes; send smaller batches`,
      )
    const wider = Buffer.allocUnsafeSlow(
      Math.min(this.#most, Math.max(this.bytes.length * 2, this.at + bytes)),
    )
    this.bytes.copy(wider, 0, 0, this.at)
    this.bytes = wider
  }

  byte(value: number): void {
    this.room(1)
    this.bytes[this.at++] = value
  }

  varint(value: number): void {
    this.room(10)
    let rest = value
    while (rest > 127) {
      this.bytes[this.at++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.bytes[this.at++] = rest
  }

  words(low: number, high: number): void {
    this.room(8)
    this.bytes.writeUInt32LE(low, this.at)
    this.bytes.writeUInt32LE(high, this.at + 4)
    this.at += 8
  }

  string(text: string): void {
    const size = Buffer.byteLength(text)
    this.varint(size)
    this.room(size)
    this.at += this.bytes.write(text, this.at)
  }

  /** Bytes as they are: fields that were encoded before. */
  raw(encoded: Uint8Array): void {
    const size = encoded.length
    this.room(size)
    if (size <= short) for (let i = 0; i < size; i++) this.bytes[this.at + i] = encoded[i]!
    else this.bytes.set(encoded, this.at)
    this.at += size
  }

  /** `length` bytes as hexadecimal text. */
  hex(from: Buffer, start: number, length: number): void {
    this.room(length * 2 + 1)
    this.bytes[this.at++] = length * 2
    for (let i = start; i < start + length; i++) {
      const byte = from[i]!
      this.bytes[this.at++] = hexDigits[byte >>> 4]!
      this.bytes[this.at++] = hexDigits[byte & 15]!
    }
  }

  /** A string of the bytes `from … end`; false, with nothing written, where they are no UTF-8. */
  text(source: Buffer, from: number, end: number): boolean {
    const size = end - from
    const start = this.at
    this.varint(size)
    this.room(size)
    const { bytes } = this
    const to = this.at
    if (size <= short) {
      let bits = 0
      for (let i = 0; i < size; i++) {
        const byte = source[from + i]!
        bits |= byte
        bytes[to + i] = byte
      }
      if (bits > 127 && !isUtf8(source.subarray(from, end))) {
        this.at = start
        return false
      }
    } else {
      const part = source.subarray(from, end)
      if (!isAscii(part) && !isUtf8(part)) {
        this.at = start
        return false
      }
      bytes.set(part, to)
    }
    this.at = to + size
    return true
  }

  /** Where a count is to be written later; see `setCount`. */
  openCount(): number {
    this.byte(0)
    return this.at - 1
  }

  /** Writes the count of what follows `at`; a count of more than one byte moves it. */
  setCount(at: number, count: number): void {
    if (count < 128) {
      this.bytes[at] = count
      return
    }
    const size = count < 16_384 ? 2 : 3
    this.room(size)
    this.bytes.copyWithin(at + size, at + 1, this.at)
    this.at += size - 1
    for (let i = 0, rest = count; i < size; i++, rest >>>= 7)
      this.bytes[at + i] = (rest & 127) | (i < size - 1 ? 128 : 0)
  }
}
