// Batches as bytes: columns as they lie in memory, label sets the first time a series is seen in a segment.
import { AppError } from '../lib/errors.ts'
import { mostRecordBytes } from '../lib/journal-format.ts'
import type { Batch, CostRow, EventRow, Metadata } from '../model/batch.ts'
import type { SeriesTable } from '../model/series.ts'
import { decodeBlocks, encodeBlocks } from './log-blocks.ts'

/** The first byte of a record. */
export const recordKinds = { batch: 1, seal: 2, done: 3, checkpoint: 4 } as const

const headBytes = 40
const narrowTimes = 1

/**
 * A batch record, little-endian: kind u8, flags u8, 2 free, samples u32, new series u32, bytes of their block u32, bytes of the rows' JSON u32,
 * number of the first new series u32, newest time in the log before it f64, base time f64; then values f64[n], times (u32[n] after the
 * base when all fit, else f64[n]), series numbers u32[n], the new series (id u64, length u32, labels as JSON), the other rows as JSON, then
 * blocks of packed rows to the end (log-blocks.ts).
 */
export class BatchEncoder {
  readonly #table: SeriesTable
  #segment = -1
  #nextLocal = 0
  #localOf = new Uint32Array(1024)
  #segmentOf = new Int32Array(1024).fill(-1)
  #scratch = new ArrayBuffer(1 << 16)
  #maxAt: number

  /** `maxAt`: the newest sample time of everything logged before. */
  constructor(table: SeriesTable, maxAt: number) {
    this.#table = table
    this.#maxAt = maxAt
  }

  /** The bytes, valid until the next call. `segment`: a number that changes when the records go to another segment. */
  encode(batch: Batch, segment: number): Uint8Array {
    if (segment !== this.#segment) {
      this.#segment = segment
      this.#nextLocal = 0
    }
    const n = batch.ref.length
    const rows = rowsJson(batch)
    const { min, max, narrow } = timeSpan(batch.at)
    const firstLocal = this.#nextLocal
    const timesAt = headBytes + n * 8
    const localsAt = timesAt + n * (narrow ? 4 : 8)
    const seriesAt = localsAt + n * 4
    this.#reserve(seriesAt)
    const fresh: number[] = []
    this.#putLocals(batch.ref, new Uint32Array(this.#scratch, localsAt, n), fresh)
    const packed = encodeBlocks(batch, (refs) => {
      const locals = new Uint32Array(refs.length)
      this.#putLocals(refs, locals, fresh)
      return locals
    })
    const block = this.#seriesBlock(fresh)
    const packedAt = seriesAt + block.length + rows.length
    const size = packedAt + packed.reduce((sum, p) => sum + p.length, 0)
    this.#reserve(size)
    const bytes = new Uint8Array(this.#scratch, 0, size)
    const view = new DataView(this.#scratch)
    view.setUint32(0, recordKinds.batch | (narrow ? narrowTimes << 8 : 0), true)
    view.setUint32(4, n, true)
    view.setUint32(8, fresh.length, true)
    view.setUint32(12, block.length, true)
    view.setUint32(16, rows.length, true)
    view.setUint32(20, firstLocal, true)
    view.setFloat64(24, this.#maxAt, true)
    view.setFloat64(32, min, true)
    // Same element type on both sides: bytes are copied, so that stale markers keep their bits.
    new Float64Array(this.#scratch, headBytes, n).set(batch.value)
    if (narrow) putNarrow(new Uint32Array(this.#scratch, timesAt, n), batch.at, min)
    else new Float64Array(this.#scratch, timesAt, n).set(batch.at)
    bytes.set(block, seriesAt)
    bytes.set(rows, seriesAt + block.length)
    let at = packedAt
    for (const part of packed) {
      bytes.set(part, at)
      at += part.length
    }
    if (max > this.#maxAt) this.#maxAt = max
    return bytes
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#scratch.byteLength) return
    const wider = new ArrayBuffer(Math.max(bytes, this.#scratch.byteLength * 2))
    new Uint8Array(wider).set(new Uint8Array(this.#scratch))
    this.#scratch = wider
  }

  #putLocals(refs: Uint32Array, into: Uint32Array, fresh: number[]): void {
    if (this.#table.size > this.#localOf.length) this.#widen(this.#table.size)
    const segment = this.#segment
    const segmentOf = this.#segmentOf
    const localOf = this.#localOf
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!
      if (segmentOf[ref] !== segment) {
        segmentOf[ref] = segment
        localOf[ref] = this.#nextLocal++
        fresh.push(ref)
      }
      into[i] = localOf[ref]!
    }
  }

  #widen(least: number): void {
    const length = Math.max(least, this.#localOf.length * 2)
    const localOf = new Uint32Array(length)
    localOf.set(this.#localOf)
    this.#localOf = localOf
    const segmentOf = new Int32Array(length).fill(-1)
    segmentOf.set(this.#segmentOf)
    this.#segmentOf = segmentOf
  }

  #seriesBlock(fresh: readonly number[]): Buffer {
    if (fresh.length === 0) return none
    const parts: Buffer[] = []
    for (const ref of fresh) {
      const labels = Buffer.from(JSON.stringify(this.#table.labels(ref)))
      const head = Buffer.allocUnsafe(12)
      head.writeBigUInt64LE(this.#table.id(ref), 0)
      head.writeUInt32LE(labels.length, 8)
      parts.push(head, labels)
    }
    return Buffer.concat(parts)
  }
}

const none = Buffer.alloc(0)

const timeSpan = (at: Float64Array): { min: number; max: number; narrow: boolean } => {
  if (at.length === 0) return { min: 0, max: Number.NEGATIVE_INFINITY, narrow: true }
  let min = at[0]!
  let max = min
  let whole = true
  for (let i = 0; i < at.length; i++) {
    const t = at[i]!
    if (t < min) min = t
    if (t > max) max = t
    if (t !== Math.floor(t)) whole = false
  }
  return { min, max, narrow: whole && max - min < 0xffff_ffff }
}

const putNarrow = (into: Uint32Array, at: Float64Array, base: number): void => {
  for (let i = 0; i < at.length; i++) into[i] = at[i]! - base
}

interface Rows {
  readonly m: readonly Metadata[]
  readonly e: readonly EventRow[]
  readonly c: readonly CostRow[]
}

// JSON has no NaN and no infinities: they travel as text.
const keepNumbers = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? { $number: String(value) } : value
const readNumbers = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && '$number' in value ? Number(value.$number) : value

const rowsJson = (batch: Batch): Buffer => {
  if (batch.metadata.length + batch.events.length + batch.costs.length === 0) return none
  const rows: Rows = { m: batch.metadata, e: batch.events, c: batch.costs }
  // Going through every value takes several times as long: only where there is need.
  const plain = batch.events.every(finiteEvent) && batch.costs.every(finiteCost)
  return Buffer.from(plain ? JSON.stringify(rows) : JSON.stringify(rows, keepNumbers))
}

const finiteEvent = (e: EventRow): boolean => Number.isFinite(e.value) && Number.isFinite(e.at)
const finiteCost = (c: CostRow): boolean =>
  Number.isFinite(c.usd) && Number.isFinite(c.quantity) && Number.isFinite(c.at + (c.statedUsd ?? 0))

/** Reads batch records back, segment by segment, every record of a segment in order from its first. */
export class BatchDecoder {
  readonly #table: SeriesTable
  #segment = -1
  #refOf: number[] = []

  constructor(table: SeriesTable) {
    this.#table = table
  }

  /** Takes in the new series of a record whose samples are not wanted. */
  learn(bytes: Buffer, segment: number): void {
    if (segment !== this.#segment) {
      this.#segment = segment
      this.#refOf = []
    }
    const count = bytes.readUInt32LE(8)
    if (count === 0) return
    const n = bytes.readUInt32LE(4)
    let at = headBytes + n * (bytes[1] === narrowTimes ? 16 : 20)
    let local = bytes.readUInt32LE(20)
    for (let i = 0; i < count; i++) {
      const id = bytes.readBigUInt64LE(at)
      const length = bytes.readUInt32LE(at + 8)
      const labels = JSON.parse(bytes.toString('utf8', at + 12, at + 12 + length)) as string[]
      this.#refOf[local++] = this.#table.restore(id, labels)
      at += 12 + length
    }
  }

  decode(bytes: Buffer, segment: number): Batch {
    this.learn(bytes, segment)
    const n = bytes.readUInt32LE(4)
    const narrow = bytes[1] === narrowTimes
    const timesAt = headBytes + n * 8
    const localsAt = timesAt + n * (narrow ? 4 : 8)
    const seriesAt = localsAt + n * 4
    const value = new Float64Array(n)
    copyBytes(value, bytes, headBytes)
    const at = new Float64Array(n)
    if (narrow) {
      const offsets = new Uint32Array(n)
      copyBytes(offsets, bytes, timesAt)
      const base = bytes.readDoubleLE(32)
      for (let i = 0; i < n; i++) at[i] = base + offsets[i]!
    } else copyBytes(at, bytes, timesAt)
    const ref = new Uint32Array(n)
    copyBytes(ref, bytes, localsAt)
    for (let i = 0; i < n; i++) ref[i] = this.#refOf[ref[i]!]!
    const rowsAt = seriesAt + bytes.readUInt32LE(12)
    const rowsBytes = bytes.readUInt32LE(16)
    const packed = decodeBlocks(bytes, rowsAt + rowsBytes, (locals) => {
      for (let i = 0; i < locals.length; i++) locals[i] = this.#refOf[locals[i]!]!
    })
    if (rowsBytes === 0) return { ref, at, value, metadata: [], events: [], costs: [], ...packed }
    const rows = JSON.parse(bytes.toString('utf8', rowsAt, rowsAt + rowsBytes), readNumbers) as Rows
    return { ref, at, value, metadata: rows.m, events: rows.e, costs: rows.c, ...packed }
  }
}

const copyBytes = (into: Float64Array | Uint32Array, from: Buffer, at: number): void =>
  new Uint8Array(into.buffer).set(from.subarray(at, at + into.byteLength))

/** The newest sample time in the log before this record. */
export const newestBefore = (bytes: Buffer): number => bytes.readDoubleLE(24)

/** A record of any kind but batch; throws `too_large` for one that the journal would not take. */
export const noteRecord = (kind: number, body: unknown): Buffer => {
  const record = Buffer.concat([Uint8Array.of(kind), Buffer.from(JSON.stringify(body))])
  if (record.length > mostRecordBytes)
    throw new AppError('too_large', `a note of ${record.length} bytes, at most ${mostRecordBytes} are kept`)
  return record
}
export const noteBody = (bytes: Buffer): unknown => JSON.parse(bytes.toString('utf8', 1))
