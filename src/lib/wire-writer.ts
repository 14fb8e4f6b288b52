// Writes Protocol Buffers into a growing buffer, nested messages in place.

export class WireWriter {
  #bytes: Buffer
  at = 0

  constructor(capacity: number) {
    this.#bytes = Buffer.allocUnsafeSlow(Math.max(256, capacity))
  }

  bytes(): Buffer {
    return this.#bytes.subarray(0, this.at)
  }

  #room(size: number): void {
    if (this.at + size <= this.#bytes.length) return
    const wider = Buffer.allocUnsafeSlow(Math.max(this.#bytes.length * 2, this.at + size))
    this.#bytes.copy(wider, 0, 0, this.at)
    this.#bytes = wider
  }

  /** An unsigned number below 2^32. */
  varint(value: number): void {
    this.#room(5)
    let rest = value
    while (rest > 127) {
      this.#bytes[this.at++] = (rest & 127) | 128
      rest >>>= 7
    }
    this.#bytes[this.at++] = rest
  }

  /** 64 bits in two unsigned words. */
  varint64(low: number, high: number): void {
    this.#room(10)
    let [l, h] = [low, high]
    while (h > 0 || l > 127) {
      this.#bytes[this.at++] = (l & 127) | 128
      l = ((l >>> 7) | (h << 25)) >>> 0
      h >>>= 7
    }
    this.#bytes[this.at++] = l
  }

  fixed32(value: number): void {
    this.#room(4)
    this.at = this.#bytes.writeUInt32LE(value >>> 0, this.at)
  }

  fixed64(low: number, high: number): void {
    this.#room(8)
    this.at = this.#bytes.writeUInt32LE(low, this.at)
    this.at = this.#bytes.writeUInt32LE(high, this.at)
  }

  double(value: number): void {
    this.#room(8)
    this.at = this.#bytes.writeDoubleLE(value, this.at)
  }

  byte(value: number): void {
    this.#room(1)
    this.#bytes[this.at++] = value
  }

  /** Length-delimited bytes from elsewhere. */
  copy(from: Buffer, start: number, end: number): void {
    const size = end - start
    this.varint(size)
    this.#room(size)
    const { at } = this
    const bytes = this.#bytes
    if (size <= 48) for (let i = 0; i < size; i++) bytes[at + i] = from[start + i]!
    else from.copy(bytes, at, start, end)
    this.at = at + size
  }

  text(text: string): void {
    const size = Buffer.byteLength(text)
    this.varint(size)
    this.#room(size)
    this.at += this.#bytes.write(text, this.at)
  }

  /** Begins a nested message; `close` is given what this gives. */
  open(): number {
    this.byte(0)
    return this.at
  }

  /** Ends a nested message: its length, where it takes more than a byte, moves what stands behind it. */
  close(from: number): void {
    const size = this.at - from
    if (size < 128) {
      this.#bytes[from - 1] = size
      return
    }
    let more = 0
    for (let rest = size >>> 7; rest > 0; rest >>>= 7) more++
    this.#room(more)
    this.#bytes.copyWithin(from + more, from, this.at)
    const end = this.at + more
    this.at = from - 1
    this.varint(size)
    this.at = end
  }
}
