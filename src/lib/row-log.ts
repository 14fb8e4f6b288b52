// Small state that survives kill -9: JSON rows in one append-only file, each with a checksum, fsynced in groups, rewritten when long.
import { type FileHandle, mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { crc32 } from 'node:zlib'
import { AppError, messageOf } from './errors.ts'

export interface RowLog {
  /** The rows that were in the file when it was opened, in order. Only once: they are let go of. */
  replay(): unknown[]
  /** Resolves when the rows are on disk; rejects `unavailable` when they are not, and then none of them is kept. */
  append(rows: readonly unknown[]): Promise<void>
  /** Puts these rows in place of all that was appended before this call, atomically. */
  rewrite(rows: readonly unknown[]): Promise<void>
  /** Bytes in the file. */
  size(): number
  close(): Promise<void>
}

interface Job {
  readonly text: string
  readonly whole: boolean
  readonly done: (error?: AppError) => void
}

const line = (row: unknown): string => {
  const text = JSON.stringify(row)
  return `${crc32(text).toString(16).padStart(8, '0')} ${text}\n`
}

/** Good rows from the start; what follows the first broken line was never acknowledged, or the file is damaged. */
const read = (bytes: Buffer): { rows: unknown[]; good: number } => {
  const rows: unknown[] = []
  let good = 0
  for (;;) {
    const end = bytes.indexOf(10, good)
    if (end < 0) return { rows, good }
    const text = bytes.toString('utf8', good + 9, end)
    if (crc32(text).toString(16).padStart(8, '0') !== bytes.toString('latin1', good, good + 8)) return { rows, good }
    rows.push(JSON.parse(text))
    good = end + 1
  }
}

const syncFolder = async (path: string): Promise<void> => {
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

class FileRowLog implements RowLog {
  readonly #path: string
  #file: FileHandle
  #size: number
  #rows: unknown[]
  #waiting: Job[] = []
  #busy: Promise<void> | null = null
  constructor(path: string, file: FileHandle, size: number, rows: unknown[]) {
    this.#path = path
    this.#file = file
    this.#size = size
    this.#rows = rows
  }
  replay(): unknown[] {
    const rows = this.#rows
    this.#rows = []
    return rows
  }
  append(rows: readonly unknown[]): Promise<void> {
    return rows.length === 0 ? Promise.resolve() : this.#queue(rows.map(line).join(''), false)
  }
  rewrite(rows: readonly unknown[]): Promise<void> {
    return this.#queue(rows.map(line).join(''), true)
  }
  size(): number {
    return this.#size
  }
  async close(): Promise<void> {
    while (this.#busy) await this.#busy
    await this.#file.close()
  }
  #queue(text: string, whole: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ text, whole, done: (error) => (error ? reject(error) : resolve()) })
      this.#busy ??= this.#work().finally(() => {
        this.#busy = null
      })
    })
  }
  async #work(): Promise<void> {
    // One turn of the loop, so that what is appended together is synced together.
    await null
    while (this.#waiting.length > 0) {
      const whole = this.#waiting[0]!.whole
      const until = this.#waiting.findIndex((job) => job.whole)
      const batch = this.#waiting.splice(0, whole ? 1 : until < 0 ? this.#waiting.length : until)
      try {
        const bytes = Buffer.from(batch.map((job) => job.text).join(''))
        await (whole ? this.#replace(bytes) : this.#add(bytes))
        for (const job of batch) job.done()
      } catch (error) {
        const failed = new AppError('unavailable', `cannot write ${this.#path}: ${messageOf(error)}`, { cause: error })
        for (const job of batch) job.done(failed)
      }
    }
  }
  async #add(bytes: Buffer): Promise<void> {
    try {
      await this.#file.write(bytes, 0, bytes.length, this.#size)
      await this.#file.datasync()
      this.#size += bytes.length
    } catch (error) {
      await this.#file.truncate(this.#size).catch(() => undefined)
      throw error
    }
  }
  async #replace(bytes: Buffer): Promise<void> {
    const next = await open(`${this.#path}.next`, 'w+', 0o600)
    try {
      await next.write(bytes, 0, bytes.length, 0)
      await next.sync()
      await rename(`${this.#path}.next`, this.#path)
      await syncFolder(this.#path)
    } catch (error) {
      await next.close()
      throw error
    }
    await this.#file.close()
    this.#file = next
    this.#size = bytes.length
  }
}

/** Opens or makes the file (0600) and its folder; a torn last row is cut off. Throws `bad_data` where a good row follows a broken one. */
export const openRowLog = async (path: string): Promise<RowLog> => {
  await mkdir(dirname(path), { recursive: true })
  const file = await open(path, 'a+', 0o600)
  await file.close()
  const bytes = await readFile(path)
  const { rows, good } = read(bytes)
  const torn = bytes.indexOf(10, good)
  if (torn >= 0 && read(bytes.subarray(torn + 1)).good > 0) {
    const at = bytes.subarray(0, good).reduce((n, byte) => n + (byte === 10 ? 1 : 0), 1)
    throw new AppError('bad_data', `${path}:${at}: the file is damaged; restore it, or move it away to start without it`)
  }
  const handle = await open(path, 'r+')
  await handle.truncate(good)
  await syncFolder(path)
  return new FileRowLog(path, handle, good, rows)
}

/** The same, kept in memory: for tests, and where no folder is given. Opening it again gives the rows appended so far. */
export const memoryRowLog = (): RowLog => {
  let rows: unknown[] = []
  return {
    replay: () => rows.map((row) => structuredClone(row)),
    append: async (more) => void rows.push(...more.map((row) => structuredClone(row))),
    rewrite: async (all) => {
      rows = all.map((row) => structuredClone(row))
    },
    size: () => rows.length * 200,
    close: async () => undefined,
  }
}
