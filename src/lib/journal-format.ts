// How a journal's bytes look: segment and record headers, checksums, and how to tell a torn tail from damage.
import { crc32 } from 'node:zlib'

export const segmentHeaderBytes = 16
export const recordHeaderBytes = 16
/** A record longer than this is taken for damage when it is read: none is written. */
export const mostRecordBytes = 256 << 20

const magic = Buffer.from('AIRBJRN1', 'latin1')
// The first record of a group is marked apart: a group is written only when the one before it is on disk, so a good mark after
// a bad record proves that the bad one was once safe.
const groupMark = 0x31a7b00c
const innerMark = 0x32a7b00c
const groupMarkBytes = Buffer.alloc(4)
groupMarkBytes.writeUInt32LE(groupMark)

export const segmentName = (first: number): string => `${String(first).padStart(16, '0')}.journal`
/** The first position of a segment by its file name; null for other files. */
export const segmentFirst = (name: string): number | null => {
  const m = /^(\d{16})\.journal$/.exec(name)
  return m ? Number(m[1]) : null
}

export const segmentHeader = (first: number): Buffer => {
  const head = Buffer.alloc(segmentHeaderBytes)
  magic.copy(head)
  head.writeBigUInt64LE(BigInt(first), 8)
  return head
}

export const isSegmentHeader = (bytes: Buffer, first: number): boolean =>
  bytes.length >= segmentHeaderBytes &&
  bytes.subarray(0, 8).equals(magic) &&
  bytes.readBigUInt64LE(8) === BigInt(first)

/** Writes one record (header and payload) into `into` at `offset`; returns the offset after it. */
export const putRecord = (
  into: Buffer,
  offset: number,
  payload: Uint8Array,
  position: number,
  startsGroup: boolean,
): number => {
  into.writeUInt32LE(startsGroup ? groupMark : innerMark, offset)
  into.writeUInt32LE(payload.length, offset + 4)
  into.writeUInt32LE(position % 0x1_0000_0000, offset + 12)
  into.set(payload, offset + recordHeaderBytes)
  into.writeUInt32LE(checksum(into, offset, payload.length), offset + 8)
  return offset + recordHeaderBytes + payload.length
}

// Over everything but the checksum's own four bytes.
const checksum = (bytes: Buffer, offset: number, length: number): number =>
  crc32(
    bytes.subarray(offset + 12, offset + recordHeaderBytes + length),
    crc32(bytes.subarray(offset, offset + 8)),
  )

/** What stands at `offset`: a record's payload length, `short` when `bytes` ends before the record does, or `bad`. */
export const recordAt = (bytes: Buffer, offset: number, position: number): number | 'short' | 'bad' => {
  const rest = bytes.length - offset
  if (rest < recordHeaderBytes) return 'short'
  const mark = bytes.readUInt32LE(offset)
  const length = bytes.readUInt32LE(offset + 4)
  if (mark !== groupMark && mark !== innerMark) return 'bad'
  if (length > mostRecordBytes) return 'bad'
  if (bytes.readUInt32LE(offset + 12) !== position % 0x1_0000_0000) return 'bad'
  if (rest < recordHeaderBytes + length) return 'short'
  return checksum(bytes, offset, length) === bytes.readUInt32LE(offset + 8) ? length : 'bad'
}

/** Whether a whole first-of-a-group record stands anywhere after the first byte of `bytes`. */
export const holdsLaterGroup = (bytes: Buffer): boolean => {
  for (let i = bytes.indexOf(groupMarkBytes, 1); i >= 0; i = bytes.indexOf(groupMarkBytes, i + 1)) {
    if (i + recordHeaderBytes > bytes.length) return false
    if (typeof recordAt(bytes, i, bytes.readUInt32LE(i + 12)) === 'number') return true
  }
  return false
}
