// Snappy's block format, reading only: bounded before anything is allocated, a word at a time where that is safe.
// Format: https://github.com/google/snappy/blob/main/format_description.txt
import { AppError } from './errors.ts'

const broken = (at: number): AppError => new AppError('bad_data', `snappy: broken block at byte ${at}`)

/** The uncompressed length a block announces and where its body begins. Throws `bad_data`. */
const header = (block: Buffer): { length: number; at: number } => {
  let length = 0
  for (let at = 0; at < 5 && at < block.length; at++) {
    length += (block[at]! & 127) * 2 ** (7 * at)
    if (block[at]! < 128) {
      if (length > 0xffffffff) break
      return { length, at: at + 1 }
    }
  }
  throw new AppError(
    'bad_data',
    'snappy: the block has no valid length; send the block format, not the framed one',
  )
}

/** The uncompressed length a block announces, in bytes. Throws `bad_data`. */
export const snappyLength = (block: Buffer): number => header(block).length

// Words are copied whole, so the output has room for one that runs over the end.
const slack = 8

/**
 * The bytes a block stands for. Throws `too_large` when it announces more than `maxBytes`, `bad_data` when it is broken or
 * announces more than any block of its size can hold. `memory` gives at least as many bytes as it is asked for; fresh ones unless told
 * otherwise.
 */
export const snappyDecode = (
  block: Buffer,
  maxBytes: number,
  memory: (size: number) => Buffer = Buffer.allocUnsafeSlow,
): Buffer => {
  const { length, at } = header(block)
  if (length > maxBytes)
    throw new AppError('too_large', `the body is ${length} bytes uncompressed, at most ${maxBytes} are taken`)
  // The best a copy element does is 64 bytes out of three, so 32 times the block bounds any honest length.
  if (length > block.length * 32) throw broken(0)
  const out = memory(length + slack)
  expand(block, at, out, length)
  return out.subarray(0, length)
}

const expand = (block: Buffer, start: number, out: Buffer, length: number): void => {
  const from = new DataView(block.buffer, block.byteOffset, block.length)
  const to = new DataView(out.buffer, out.byteOffset, out.length)
  const end = block.length
  let at = start
  let put = 0
  while (at < end) {
    const tag = block[at++]!
    let size: number
    let offset: number
    if ((tag & 3) === 0) {
      size = (tag >>> 2) + 1
      if (size > 60) {
        const extra = size - 60
        if (at + extra > end) throw broken(at)
        size = 1
        for (let i = 0; i < extra; i++) size += block[at + i]! * 2 ** (8 * i)
        at += extra
      }
      if (size > end - at || size > length - put) throw broken(at)
      if (size <= 16 && at + 16 <= end) {
        for (let i = 0; i < size; i += 4) to.setUint32(put + i, from.getUint32(at + i, true), true)
      } else if (size <= 16) {
        for (let i = 0; i < size; i++) out[put + i] = block[at + i]!
      } else block.copy(out, put, at, at + size)
      at += size
      put += size
      continue
    }
    if ((tag & 3) === 1) {
      if (at >= end) throw broken(at)
      size = ((tag >>> 2) & 7) + 4
      offset = ((tag >>> 5) << 8) | block[at++]!
    } else if ((tag & 3) === 2) {
      if (at + 2 > end) throw broken(at)
      size = (tag >>> 2) + 1
      offset = block[at]! | (block[at + 1]! << 8)
      at += 2
    } else {
      if (at + 4 > end) throw broken(at)
      size = (tag >>> 2) + 1
      offset = from.getUint32(at, true)
      at += 4
    }
    if (offset === 0 || offset > put || size > length - put) throw broken(at)
    repeat(out, to, put, offset, size)
    put += size
  }
  if (put !== length) throw broken(at)
}

/** Copies `size` bytes from `offset` back; the two may overlap, then the bytes between are repeated. */
const repeat = (out: Buffer, words: DataView, put: number, offset: number, size: number): void => {
  const source = put - offset
  if (offset >= 4)
    for (let i = 0; i < size; i += 4) words.setUint32(put + i, words.getUint32(source + i, true), true)
  else for (let i = 0; i < size; i++) out[put + i] = out[source + i]!
}
