// Reading a journal's segments: record by record, and the check at opening that finds where the good part ends.
import { type FileHandle, open, readFile, stat } from 'node:fs/promises'
import {
  holdsLaterGroup,
  isSegmentHeader,
  recordAt,
  recordHeaderBytes,
  segmentHeaderBytes,
} from './journal-format.ts'

export interface Segment {
  readonly path: string
  /** Position of its first record. */
  readonly first: number
  /** Position after its last good record. */
  next: number
  /** Bytes up to the end of its last good record. */
  size: number
}

export interface SegmentRecord {
  readonly position: number
  /** A view of a buffer that nobody writes again. */
  readonly bytes: Buffer
  /** Offset in the file after this record. */
  readonly end: number
}

const chunkBytes = 1 << 20

const fill = async (file: FileHandle, into: Buffer, from: number, at: number): Promise<number> => {
  let have = from
  while (have < into.length) {
    const { bytesRead } = await file.read(into, have, into.length - have, at + have)
    if (bytesRead === 0) break
    have += bytesRead
  }
  return have
}

/** The records of one file from its start, up to `limit` bytes, until the file ends or a record is bad. */
export async function* segmentRecords(
  path: string,
  first: number,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<SegmentRecord, void, void> {
  const file = await open(path, 'r')
  try {
    let position = first
    let base = segmentHeaderBytes
    let want = chunkBytes
    for (;;) {
      const whole = Buffer.allocUnsafeSlow(Math.max(0, Math.min(want, limit - base)))
      const bytes = whole.subarray(0, await fill(file, whole, 0, base))
      let offset = 0
      for (;;) {
        const length = recordAt(bytes, offset, position)
        if (length === 'bad') return
        if (length === 'short') break
        const end = offset + recordHeaderBytes + length
        yield { position, bytes: bytes.subarray(offset + recordHeaderBytes, end), end: base + end }
        position++
        offset = end
      }
      // The file's end, or a record longer than the chunk.
      if (bytes.length < want) return
      base += offset
      want =
        bytes.length - offset >= recordHeaderBytes
          ? Math.max(chunkBytes, recordHeaderBytes + bytes.readUInt32LE(offset + 4))
          : chunkBytes
    }
  } finally {
    await file.close()
  }
}

export type Ending = 'clean' | 'torn' | 'gap' | 'damaged'

/**
 * Reads a segment through. `nextFirst` is the first position of the segment after it, null for the last one. Records from `nextFirst` on
 * are leavings of a failed write that was done again in the next segment: they do not count. `damaged` = records that were once safe
 * are unreadable; `gap` = the file is whole but the next segment does not begin where it ends; `torn` = the last group was being written when the process or machine stopped.
 */
export const inspect = async (
  path: string,
  first: number,
  nextFirst: number | null,
): Promise<{ segment: Segment; ending: Ending }> => {
  const segment: Segment = { path, first, next: first, size: segmentHeaderBytes }
  const bytes = await headOf(path)
  if (!isSegmentHeader(bytes, first)) {
    segment.size = 0
    const lost = nextFirst === null ? holdsLaterGroup(await readFile(path)) : nextFirst > first
    return { segment, ending: lost ? 'damaged' : 'torn' }
  }
  for await (const record of segmentRecords(path, first)) {
    if (record.position === nextFirst) return { segment, ending: 'clean' }
    segment.next = record.position + 1
    segment.size = record.end
  }
  const rest = await tailOf(path, segment.size)
  if (nextFirst !== null) {
    if (segment.next >= nextFirst) return { segment, ending: 'clean' }
    return { segment, ending: rest.length === 0 ? 'gap' : 'damaged' }
  }
  if (rest.length === 0) return { segment, ending: 'clean' }
  return { segment, ending: holdsLaterGroup(rest) ? 'damaged' : 'torn' }
}

const tailOf = async (path: string, from: number): Promise<Buffer> => {
  const { size } = await stat(path)
  return size > from ? (await readFile(path)).subarray(from) : Buffer.alloc(0)
}

const headOf = async (path: string): Promise<Buffer> => {
  const file = await open(path, 'r')
  try {
    const head = Buffer.alloc(segmentHeaderBytes)
    return head.subarray(0, await fill(file, head, 0, 0))
  } finally {
    await file.close()
  }
}
