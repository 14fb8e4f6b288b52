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

/** A block that was read: `columns[i]` begins with column i's bytes, aligned for any typed array; good until the next block is read. */
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

/**
 * Reads blocks of columns of fixed widths, whatever pieces they come in. Its memory is written over from block to block: fresh
 * memory for each would be twice the answer in garbage.
 */
export class NativeReader {
  readonly #widths: readonly number[]
  readonly #columns: ArrayBuffer[] = []
  #bytes = Buffer.alloc(0)
  #from = 0
  #to = 0
  #needed = 0

  /** @param widths bytes a value takes in each column; 8 in those not named */
  constructor(widths: readonly number[] = []) {
    this.#widths = widths
  }

  *feed(chunk: Buffer): Generator<Block> {
    this.#append(chunk)
    while (this.#to > this.#from && this.#to - this.#from >= this.#needed) {
      const block = this.#take(this.#bytes.subarray(this.#from, this.#to))
      if (!block) return
      if (block.rows > 0) yield block
    }
  }

  /** What is left when the answer has ended: empty when it was whole. */
  get rest(): Buffer {
    return Buffer.from(this.#bytes.subarray(this.#from, this.#to))
  }

  #append(chunk: Buffer): void {
    const held = this.#to - this.#from
    if (this.#to + chunk.length > this.#bytes.length) {
      const least = Math.max(held + chunk.length, this.#needed)
      if (least <= this.#bytes.length) this.#bytes.copyWithin(0, this.#from, this.#to)
      else {
        const wider = Buffer.allocUnsafeSlow(Math.max(least, this.#bytes.length * 2))
        this.#bytes.copy(wider, 0, this.#from, this.#to)
        this.#bytes = wider
      }
      this.#from = 0
      this.#to = held
    }
    chunk.copy(this.#bytes, this.#to)
    this.#to += chunk.length
  }

  /** Memory of column `c`, with room for `size` bytes. */
  #column(c: number, size: number): ArrayBuffer {
    let column = this.#columns[c]
    if (!column || column.byteLength < size) {
      // Whole words, so that any typed array lies over it.
      column = new ArrayBuffer(Math.ceil(size / 8) * 8)
      this.#columns[c] = column
    }
    return column
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
    const sizeOf = (c: number): number => rows * (this.#widths[c] ?? 8)
    const places: number[] = []
    for (let c = 0; c < count; c++) {
      for (let text = 0; text < 2; text++) {
        const length = varint()
        if (length < 0) return null
        at += length
      }
      const size = sizeOf(c)
      if (at + size > bytes.length) {
        // The other columns follow: no use looking again before they are there.
        this.#needed = at
        for (let left = c; left < count; left++) this.#needed += sizeOf(left)
        return null
      }
      places.push(at)
      at += size
    }
    const columns = places.map((place, c) => {
      const size = sizeOf(c)
      const column = this.#column(c, size)
      new Uint8Array(column).set(bytes.subarray(place, place + size))
      return column
    })
    this.#needed = 0
    this.#from += at
    return { rows, columns }
  }
}

/** Milliseconds of `rows` values of a DateTime64(3) column. */
export const millisOf = (column: ArrayBuffer, rows: number, into: Float64Array, offset: number): void => {
  const words = new Uint32Array(column, 0, rows * 2)
  for (let i = 0, w = 0; w < words.length; i++, w += 2)
    into[offset + i] = words[w]! + (words[w + 1]! | 0) * 4294967296
}
