// Reads rows in RowBinary in place: for rows that are whole and trusted, as they come out of the log.
import { isAscii } from 'node:buffer'

export class RowCursor {
  readonly bytes: Buffer
  at = 0
  /** The 64-bit number last read by `words`, as two unsigned words. */
  low = 0
  high = 0

  constructor(bytes: Uint8Array) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  byte(): number {
    return this.bytes[this.at++]!
  }

  varint(): number {
    let value = 0
    let factor = 1
    for (;;) {
      const byte = this.bytes[this.at++]!
      value += (byte & 127) * factor
      if (byte < 128) return value
      factor *= 128
    }
  }

  words(): void {
    this.low = this.bytes.readUInt32LE(this.at)
    this.high = this.bytes.readUInt32LE(this.at + 4)
    this.at += 8
  }

  string(): string {
    const length = this.varint()
    const from = this.at
    this.at += length
    return textBetween(this.bytes, from, this.at)
  }

  skipString(): void {
    const length = this.varint()
    this.at += length
  }

  skipMap(): void {
    for (let n = this.varint() * 2; n > 0; n--) this.skipString()
  }

  /** A Map(String, String) as keys and values by turns. */
  map(): string[] {
    const n = this.varint() * 2
    const parts: string[] = []
    for (let i = 0; i < n; i++) parts.push(this.string())
    return parts
  }

  /** Calls `row` for every item of an array, whose length stands first; returns the length. */
  each(item: (i: number) => void): number {
    const n = this.varint()
    for (let i = 0; i < n; i++) item(i)
    return n
  }
}

const short = 24

/** Text of bytes that are known to be UTF-8. */
export const textBetween = (bytes: Buffer, from: number, end: number): string => {
  if (from === end) return ''
  if (end - from > short) {
    const part = bytes.subarray(from, end)
    return part.toString(isAscii(part) ? 'latin1' : 'utf8')
  }
  for (let i = from; i < end; i++) if (bytes[i]! > 127) return bytes.toString('utf8', from, end)
  return bytes.toString('latin1', from, end)
}
