// The Native format for fixed-width columns: blocks of typed arrays, written and read without touching a value.

const textBytes = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  return Buffer.concat([varintBytes(bytes.length), bytes])
}
const varintBytes = (value: number): Buffer => {
  const out: number[] = []
  let rest = value
  while (rest > 127) {
    out.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  out.push(rest)
  return Buffer.from(out)
}

export interface NativeColumn {
  readonly name: string
  readonly type: string
  /** The values' bytes, little-endian. */
  readonly data: ArrayBufferView
}

/** One block as the pieces of memory it is made of; nothing is copied. */
export const nativeBlock = (rows: number, columns: readonly NativeColumn[]): Buffer[] => {
  const parts: Buffer[] = [Buffer.concat([varintBytes(columns.length), varintBytes(rows)])]
  for (const { name, type, data } of columns) {
    parts.push(Buffer.concat([textBytes(name), textBytes(type)]))
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
  }
  return parts
}

/** A block that was read: `columns[i]` holds column i's bytes, aligned for any typed array. */
export interface Block {
  readonly rows: number
  readonly columns: readonly ArrayBuffer[]
}

const marker = Buffer.from('\r\n__exception__\r\n')

/** The error a server wrote at the end of an answer it could not finish; null when there is none. */
export const trailingError = (rest: Buffer): string | null => {
  const from = rest.indexOf(marker)
  if (from < 0) return null
  const text = rest.toString('utf8', from + marker.length)
  const code = text.indexOf('Code: ')
  return code < 0 ? text : text.slice(code).split('\r\n')[0]!
}

/** Reads blocks of columns that are all `width` bytes wide, whatever pieces they come in. */
export class NativeReader {
  readonly #width: number
  #parts: Buffer[] = []
  #held = 0
  #needed = 0

  /** @param width bytes a value takes in every column */
  constructor(width = 8) {
    this.#width = width
  }

  *feed(chunk: Buffer): Generator<Block> {
    this.#parts.push(chunk)
    this.#held += chunk.length
    while (this.#held > 0 && this.#held >= this.#needed) {
      const all = this.#parts.length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
      this.#parts = [all]
      const block = this.#take(all)
      if (!block) return
      if (block.rows > 0) yield block
    }
  }

  /** What is left when the answer has ended: empty when it was whole. */
  get rest(): Buffer {
    return Buffer.concat(this.#parts)
  }

  #take(bytes: Buffer): Block | null {
    let at = 0
    const varint = (): number => {
      let value = 0
      let shift = 1
      for (;;) {
        if (at >= bytes.length) return -1
        const byte = bytes[at++]!
        value += (byte & 127) * shift
        if (byte < 128) return value
        shift *= 128
      }
    }
    // A server's error in place of a block stays in `rest`.
    if (bytes.subarray(0, marker.length).equals(marker.subarray(0, bytes.length))) return null
    const count = varint()
    const rows = count < 0 ? -1 : varint()
    if (rows < 0) return null
    const columns: ArrayBuffer[] = []
    for (let c = 0; c < count; c++) {
      for (let text = 0; text < 2; text++) {
        const length = varint()
        if (length < 0) return null
        at += length
      }
      const size = rows * this.#width
      if (at + size > bytes.length) {
        // The other columns follow: no use looking again before they are there.
        this.#needed = at + (count - c) * size
        return null
      }
      const from = bytes.byteOffset + at
      // A copy of its own is aligned, whatever stood before it.
      columns.push(bytes.buffer.slice(from, from + size) as ArrayBuffer)
      at += size
    }
    this.#needed = 0
    this.#held = bytes.length - at
    this.#parts = this.#held > 0 ? [bytes.subarray(at)] : []
    return { rows, columns }
  }
}

/** Milliseconds of a DateTime64(3) column. */
export const millisOf = (column: ArrayBuffer, into: Float64Array, offset: number): void => {
  const words = new Uint32Array(column)
  for (let i = 0, w = 0; w < words.length; i++, w += 2)
    into[offset + i] = words[w]! + (words[w + 1]! | 0) * 4294967296
}
