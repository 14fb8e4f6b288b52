// Rows as bytes, one value after the other, in the form that ClickHouse calls RowBinary: varint lengths, little-endian numbers.

const empty = Buffer.alloc(0)

/** Writes rows into a growing buffer. */
export class RowWriter {
  #buffer: Buffer
  #at = 0
  rows = 0

  constructor(capacity = 1 << 16) {
    this.#buffer = Buffer.allocUnsafe(capacity)
  }

  get length(): number {
    return this.#at
  }

  #room(bytes: number): void {
    if (this.#at + bytes <= this.#buffer.length) return
    const wider = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#at + bytes))
    this.#buffer.copy(wider, 0, 0, this.#at)
    this.#buffer = wider
  }

  varint(value: number): this {
    this.#room(10)
    let rest = value
    while (rest > 127) {
      this.#buffer[this.#at++] = (rest % 128) + 128
      rest = Math.floor(rest / 128)
    }
    this.#buffer[this.#at++] = rest
    return this
  }

  string(text: string): this {
    const bytes = Buffer.byteLength(text)
    this.varint(bytes)
    this.#room(bytes)
    this.#at += this.#buffer.write(text, this.#at)
    return this
  }

  uint32(value: number): this {
    this.#room(4)
    this.#at = this.#buffer.writeUInt32LE(value, this.#at)
    return this
  }

  uint8(value: number): this {
    this.#room(1)
    this.#buffer[this.#at++] = value
    return this
  }

  int32s(values: readonly number[]): this {
    this.varint(values.length)
    this.#room(values.length * 4)
    for (let i = 0; i < values.length; i++) this.#at = this.#buffer.writeInt32LE(values[i]!, this.#at)
    return this
  }

  float64s(values: readonly number[]): this {
    this.varint(values.length)
    this.#room(values.length * 8)
    for (let i = 0; i < values.length; i++) this.#at = this.#buffer.writeDoubleLE(values[i]!, this.#at)
    return this
  }

  /** An unsigned 64-bit number as two words. */
  words(low: number, high: number): this {
    this.#room(8)
    this.#buffer.writeUInt32LE(low, this.#at)
    this.#buffer.writeUInt32LE(high, this.#at + 4)
    this.#at += 8
    return this
  }

  /** An integer up to 2^53 as 64 bits; also the ticks of a DateTime64. */
  int64(value: number): this {
    return this.words(value >>> 0, Math.floor(value / 4294967296) >>> 0)
  }

  float64(value: number): this {
    this.#room(8)
    this.#at = this.#buffer.writeDoubleLE(value, this.#at)
    return this
  }

  /** Bytes that are in this form already. */
  raw(bytes: Uint8Array): this {
    this.#room(bytes.length)
    this.#buffer.set(bytes, this.#at)
    this.#at += bytes.length
    return this
  }

  map(pairs: readonly string[]): this {
    this.varint(pairs.length / 2)
    for (const part of pairs) this.string(part)
    return this
  }

  endRow(): void {
    this.rows++
  }

  bytes(): Buffer {
    return this.#buffer.subarray(0, this.#at)
  }
}

/** Thrown inside a row that is not whole yet; the row is read again when more bytes are there. */
class NotYet extends Error {}
const notYet = new NotYet()

export class RowReader {
  #bytes: Buffer = empty
  #at = 0

  #need(bytes: number): number {
    const from = this.#at
    if (from + bytes > this.#bytes.length) throw notYet
    this.#at += bytes
    return from
  }

  varint(): number {
    let value = 0
    let shift = 1
    for (;;) {
      const byte = this.#bytes[this.#need(1)]!
      value += (byte & 127) * shift
      if (byte < 128) return value
      shift *= 128
    }
  }

  string(): string {
    const length = this.varint()
    const from = this.#need(length)
    return this.#bytes.toString('utf8', from, from + length)
  }

  uint64(): bigint {
    return this.#bytes.readBigUInt64LE(this.#need(8))
  }

  uint8(): number {
    return this.#bytes[this.#need(1)]!
  }

  float64(): number {
    return this.#bytes.readDoubleLE(this.#need(8))
  }

  int32s(): number[] {
    const out: number[] = []
    for (let n = this.varint(); n > 0; n--) out.push(this.#bytes.readInt32LE(this.#need(4)))
    return out
  }

  float64s(): number[] {
    const out: number[] = []
    for (let n = this.varint(); n > 0; n--) out.push(this.#bytes.readDoubleLE(this.#need(8)))
    return out
  }

  int64(): number {
    const from = this.#need(8)
    return this.#bytes.readUInt32LE(from) + this.#bytes.readInt32LE(from + 4) * 4294967296
  }

  /** A reader over bytes that are all there. */
  static over(bytes: Uint8Array): RowReader {
    const reader = new RowReader()
    reader.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    return reader
  }

  /** Takes bytes and calls `row` for every row that is whole; what is left waits for the next call. */
  feed(chunk: Buffer, row: (reader: RowReader) => void): void {
    this.#bytes = this.#bytes.length > 0 ? Buffer.concat([this.#bytes, chunk]) : chunk
    this.#at = 0
    let done = 0
    try {
      while (this.#at < this.#bytes.length) {
        row(this)
        done = this.#at
      }
    } catch (error) {
      if (!(error instanceof NotYet)) throw error
    }
    this.#bytes = this.#bytes.subarray(done)
  }

  /** What no row has taken. */
  get rest(): Buffer {
    return this.#bytes
  }
}
