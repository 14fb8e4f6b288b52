// Packed rows as blocks at the end of a batch record: each says what it holds, so that a record without any has none.
import type { Batch } from '../model/batch.ts'
import { countRows, type PackedRows, type SeriesRows } from '../model/packed-rows.ts'

/** A block, little-endian: tag u32, rows u32, bytes u32, ends u32[rows]; of series rows also series numbers u32[rows] and times f64[rows]; then the bytes. */
const headBytes = 12
const tags = { histograms: 1, exemplars: 2, spans: 3, logs: 4 } as const

const asBytes = (column: Uint32Array | Float64Array): Uint8Array =>
  new Uint8Array(column.buffer, column.byteOffset, column.byteLength)

const plainBlock = (tag: number, rows: PackedRows): Uint8Array[] => {
  const head = Uint32Array.of(tag, rows.ends.length, rows.bytes.length)
  return [asBytes(head), asBytes(rows.ends), rows.bytes]
}

const seriesBlock = (tag: number, rows: SeriesRows, locals: Uint32Array): Uint8Array[] => {
  const [head, ends, bytes] = plainBlock(tag, rows)
  return [head!, ends!, asBytes(locals), asBytes(rows.at), bytes!]
}

/** The blocks of a batch in pieces; `localise` turns references into the numbers of a segment. */
export const encodeBlocks = (batch: Batch, localise: (refs: Uint32Array) => Uint32Array): Uint8Array[] => {
  const parts: Uint8Array[] = []
  for (const kind of ['histograms', 'exemplars'] as const) {
    const rows = batch[kind]
    if (rows && countRows(rows) > 0) parts.push(...seriesBlock(tags[kind], rows, localise(rows.ref)))
  }
  for (const kind of ['spans', 'logs'] as const) {
    const rows = batch[kind]
    if (rows && countRows(rows) > 0) parts.push(...plainBlock(tags[kind], rows))
  }
  return parts
}

/** What `encodeBlocks` wrote from `from` to the end of the record; `restore` turns numbers of the segment into references, in place. */
export const decodeBlocks = (
  record: Buffer,
  from: number,
  restore: (locals: Uint32Array) => void,
): Pick<Batch, 'histograms' | 'exemplars' | 'spans' | 'logs'> => {
  const found: { -readonly [K in keyof Batch]?: Batch[K] } = {}
  let at = from
  const column = <T extends Uint32Array | Float64Array>(into: T): T => {
    asBytes(into).set(record.subarray(at, at + into.byteLength))
    at += into.byteLength
    return into
  }
  while (at < record.length) {
    const tag = record.readUInt32LE(at)
    const rows = record.readUInt32LE(at + 4)
    const length = record.readUInt32LE(at + 8)
    at += headBytes
    const ends = column(new Uint32Array(rows))
    const ofSeries = tag === tags.histograms || tag === tags.exemplars
    const ref = ofSeries ? column(new Uint32Array(rows)) : null
    const times = ofSeries ? column(new Float64Array(rows)) : null
    if (ref) restore(ref)
    const bytes = new Uint8Array(record.subarray(at, at + length))
    at += length
    if (tag === tags.histograms) found.histograms = { bytes, ends, ref: ref!, at: times! }
    else if (tag === tags.exemplars) found.exemplars = { bytes, ends, ref: ref!, at: times! }
    else if (tag === tags.spans) found.spans = { bytes, ends }
    else if (tag === tags.logs) found.logs = { bytes, ends }
  }
  return found
}
