// An append-only file of records: length and checksum before each, fsync by group commit, a torn tail cut at opening.
import { open, readFile, rename, truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { AppError, messageOf } from '../lib/errors.ts'

/** Longest record, so that a damaged length is known for what it is. */
const longest = 64 << 20
const head = 8

export interface RecordFile {
  /** Resolves when the record is on disk. When it rejects, nothing of it stays in the file. */
  append(record: Buffer): Promise<void>
  /** Puts other records in the place of all, at once: a crash leaves the old ones or the new ones. */
  replace(records: readonly Buffer[]): Promise<void>
  /** Waits for what is under way and lets the file go. */
  close(): Promise<void>
}

export interface Opened {
  readonly file: RecordFile
  readonly records: readonly Buffer[]
  /** Bytes of an append that a crash cut short, now gone; nobody was told that they were safe. */
  readonly torn: number
}

const frame = (record: Buffer): Buffer => {
  const framed = Buffer.allocUnsafe(head + record.length)
  framed.writeUInt32LE(record.length, 0)
  framed.writeUInt32LE(crc32(record), 4)
  record.copy(framed, head)
  return framed
}

/** The records of a file's bytes, and where the last whole one ends. */
const parse = (bytes: Buffer): { records: Buffer[]; end: number } => {
  const records: Buffer[] = []
  let end = 0
  while (end + head <= bytes.length) {
    const length = bytes.readUInt32LE(end)
    const stop = end + head + length
    if (length > longest || stop > bytes.length) break
    const record = bytes.subarray(end + head, stop)
    if (crc32(record) !== bytes.readUInt32LE(end + 4)) break
    records.push(record)
    end = stop
  }
  return { records, end }
}

/** Whether a whole record stands anywhere after `from`: then what lies before it is damage, not a torn tail. */
const recordAfter = (bytes: Buffer, from: number): number | null => {
  for (let at = from + 1; at + head < bytes.length; at++) {
    const length = bytes.readUInt32LE(at)
    if (length < 2 || length > longest || at + head + length > bytes.length) continue
    if (bytes[at + head] !== 0x7b) continue
    if (crc32(bytes.subarray(at + head, at + head + length)) === bytes.readUInt32LE(at + 4)) return at
  }
  return null
}

const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Reads the records of a file as it stands; throws `bad_data` with the offset where it is damaged in the middle. */
export const readRecords = async (
  path: string,
): Promise<{ records: Buffer[]; end: number; size: number }> => {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { records: [], end: 0, size: 0 }
    throw new AppError('unavailable', `${path}: ${messageOf(error)}`, { cause: error })
  }
  const { records, end } = parse(bytes)
  const next = end < bytes.length ? recordAfter(bytes, end) : null
  if (next !== null)
    throw new AppError(
      'bad_data',
      `${path} is damaged between byte ${end} (after record ${records.length}) and byte ${next}; restore the file from a backup`,
    )
  return { records, end, size: bytes.length }
}

/**
 * Opens or makes a record file in a folder that exists. Records start with `{` (JSON). `lost` is called, before anyone is told, when a write
 * failed: everything asked for and not yet on disk is then rejected together, so that records that build on each other stay whole.
 */
export const openRecordFile = async (
  path: string,
  lost: () => void,
  openFile: typeof open = open,
): Promise<Opened> => {
  const { records, end, size } = await readRecords(path)
  if (end < size) await truncate(path, end)
  let handle = await openFile(path, 'a')
  await handle.sync()
  await syncFolder(path)
  let length = end
  let broken: AppError | null = null
  let waiting: { bytes: Buffer; done: () => void; failed: (error: unknown) => void }[] = []
  let turn: Promise<void> = Promise.resolve()

  const flush = async (): Promise<void> => {
    const group = waiting
    waiting = []
    if (group.length === 0) return
    try {
      if (broken) throw broken
      const bytes = Buffer.concat(group.map((g) => g.bytes))
      let written = 0
      while (written < bytes.length) written += (await handle.write(bytes, written)).bytesWritten
      await handle.datasync()
      length += bytes.length
    } catch (error) {
      const why = new AppError('unavailable', `${path}: ${messageOf(error)}`, { cause: error })
      // What was half written must not stand before the next record.
      await handle.truncate(length).catch((cut: unknown) => {
        broken = new AppError(
          'unavailable',
          `${path} cannot be cut back after a failed write: ${messageOf(cut)}`,
        )
      })
      const all = [...group, ...waiting]
      waiting = []
      lost()
      for (const { failed } of all) failed(why)
      return
    }
    for (const { done } of group) done()
  }
  const queue = (run: () => Promise<void>): Promise<void> => {
    const next = turn.then(run)
    turn = next.catch(() => undefined)
    return next
  }
  const file: RecordFile = {
    append: (record) =>
      new Promise((done, failed) => {
        waiting.push({ bytes: frame(record), done, failed })
        void queue(flush)
      }),
    replace: (next) =>
      queue(async () => {
        const bytes = Buffer.concat(next.map(frame))
        const draft = await open(`${path}.new`, 'w')
        try {
          await draft.writeFile(bytes)
          await draft.sync()
        } finally {
          await draft.close()
        }
        await rename(`${path}.new`, path)
        await syncFolder(path)
        await handle.close()
        handle = await openFile(path, 'a')
        length = bytes.length
      }),
    close: () => queue(() => handle.close()),
  }
  return { file, records, torn: size - end }
}
