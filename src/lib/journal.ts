// An append-only log of byte records on disk: checksummed, in segments, made durable by group commit.
import { join } from 'node:path'
import { AppError, messageOf } from './errors.ts'
import {
  mostRecordBytes,
  putRecord,
  recordHeaderBytes,
  segmentHeader,
  segmentHeaderBytes,
  segmentName,
} from './journal-format.ts'
import { type JournalFs, realFs } from './journal-fs.ts'
import { type Damage, type Recovered, type RecoverOptions, recover } from './journal-recovery.ts'
import { type Segment, segmentRecords } from './journal-segment.ts'

/**
 * A record's bytes, or a function that makes them at the moment they are written. It is told which segment they go to (a number never used
 * twice by a process), is called again when a failed write is done again in another segment, and its bytes are copied at once.
 */
export type JournalRecord = Uint8Array | ((segment: number) => Uint8Array)

export interface AppendOptions {
  /** About how many bytes the records will take; needed where a record is a function. */
  readonly bytes?: number
  /** Called when the records are on disk, before the promise resolves, in the order of the journal. Must not throw. */
  readonly committed?: (position: number) => void
  /** Taken even past `maxBytes`: for the small records that let a full journal be emptied. */
  readonly pastLimit?: boolean
}

interface ReadRecord {
  readonly position: number
  readonly bytes: Buffer
  /** First position of the segment it stands in. */
  readonly segment: number
}

export interface Journal {
  /** Resolves with the position of the first record when all are on disk; rejects `storage_full`, `unavailable` or (past 256 MiB) `too_large` when none is kept. */
  append(records: JournalRecord | readonly JournalRecord[], options?: AppendOptions): Promise<number>
  /** Every record on disk from a position on, as of the call. A jump of position is a gap that `damage` told of. */
  read(from: number): AsyncGenerator<ReadRecord, void, void>
  /** Deletes every segment that holds only records before `position`. The newest segment always stays. */
  drop(position: number): Promise<void>
  /** Closes the newest segment, so that `drop` can take it once another has begun. */
  roll(): void
  /** First position kept, position that the next record will get, bytes on disk; `segments` with the position after each. */
  readonly start: number
  readonly next: number
  readonly bytes: number
  readonly segments: readonly { readonly first: number; readonly next: number; readonly size: number }[]
  readonly damage: readonly Damage[]
  /** Waits for what is being written and closes. */
  close(): Promise<void>
}

export interface JournalOptions extends RecoverOptions {
  /** A new segment begins when the current one would pass this. Default 64 MiB. */
  readonly segmentBytes?: number
  /** Appends are refused with `storage_full` past this. Default 4 GiB. */
  readonly maxBytes?: number
  /** Most bytes waiting for a slow disk; more is refused with `unavailable`. Default 64 MiB. */
  readonly queueBytes?: number
  readonly fs?: JournalFs
}

interface Entry {
  readonly records: readonly JournalRecord[]
  readonly bytes: number
  readonly committed: ((position: number) => void) | undefined
  readonly resolve: (position: number) => void
  readonly reject: (error: Error) => void
  position: number
}

const groupBytes = 8 << 20
const fullCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])

const diskError = (dir: string, error: unknown): AppError => {
  const code = (error as NodeJS.ErrnoException | null)?.code ?? ''
  return fullCodes.has(code)
    ? new AppError('storage_full', `the disk under ${dir} is full (${code}); free space, or give it more`, {
        cause: error,
        retryAfter: 5000,
      })
    : new AppError('unavailable', `writing to ${dir} failed: ${messageOf(error)}; check the disk`, {
        cause: error,
        retryAfter: 5000,
      })
}

const tooLong = (bytes: number): AppError =>
  new AppError(
    'too_large',
    `a record of ${bytes} bytes, at most ${mostRecordBytes} are taken; send smaller batches`,
  )

/** Opens or creates the journal in `dir`, checks every record, cuts a torn tail. Throws `internal` on damage when told to refuse. */
export const openJournal = async (options: JournalOptions): Promise<Journal> => {
  const fs = options.fs ?? realFs
  return new FileJournal(options, fs, await recover(options, fs))
}

class FileJournal implements Journal {
  readonly #options: JournalOptions
  readonly #fs: JournalFs
  readonly #segmentBytes: number
  readonly #maxBytes: number
  readonly #queueLimit: number
  readonly #segments: Segment[]
  readonly damage: readonly Damage[]
  #fd: number | null = null
  #generation = 0
  #next: number
  #queue: Entry[] = []
  #queuedBytes = 0
  #running: Promise<void> | null = null
  #rollAsked = false
  #closed = false
  #arena = Buffer.allocUnsafeSlow(1 << 16)

  constructor(options: JournalOptions, fs: JournalFs, { segments, damage, next }: Recovered) {
    this.#options = options
    this.#fs = fs
    this.#segments = segments
    this.damage = damage
    this.#segmentBytes = options.segmentBytes ?? 64 << 20
    this.#maxBytes = options.maxBytes ?? 4 * 2 ** 30
    this.#queueLimit = options.queueBytes ?? 64 << 20
    this.#next = next
  }

  get start(): number {
    return this.#segments[0]?.first ?? this.#next
  }
  get next(): number {
    return this.#next
  }
  get segments(): readonly Segment[] {
    return this.#segments
  }
  get bytes(): number {
    return this.#segments.reduce((sum, s) => sum + s.size, 0)
  }

  append(given: JournalRecord | readonly JournalRecord[], options: AppendOptions = {}): Promise<number> {
    const records = Array.isArray(given) ? (given as readonly JournalRecord[]) : [given as JournalRecord]
    const bytes =
      options.bytes ??
      records.reduce((sum, r) => sum + recordHeaderBytes + (typeof r === 'function' ? 0 : r.length), 0)
    const refused = this.#refusal(bytes, options.pastLimit ?? false)
    if (refused) return Promise.reject(refused)
    return new Promise((resolve, reject) => {
      this.#queue.push({ records, bytes, committed: options.committed, resolve, reject, position: 0 })
      this.#queuedBytes += bytes
      this.#running ??= this.#run()
    })
  }

  #refusal(bytes: number, pastLimit: boolean): AppError | null {
    const { dir } = this.#options
    if (this.#closed)
      return new AppError('unavailable', `the journal in ${dir} is closed`, { retryAfter: 1000 })
    if (pastLimit) return null
    if (this.bytes + this.#queuedBytes + bytes > this.#maxBytes)
      return new AppError(
        'storage_full',
        `the journal in ${dir} has reached its limit of ${this.#maxBytes} bytes`,
        {
          retryAfter: 5000,
        },
      )
    if (this.#queuedBytes > 0 && this.#queuedBytes + bytes > this.#queueLimit)
      return new AppError(
        'unavailable',
        `the disk under ${dir} is too slow: ${this.#queuedBytes} bytes wait`,
        {
          retryAfter: 1000,
        },
      )
    return null
  }

  async #run(): Promise<void> {
    // One turn later, so that appends of the same tick share the first sync.
    await null
    while (this.#queue.length > 0) await this.#commit(this.#takeGroup())
    this.#running = null
  }

  #takeGroup(): Entry[] {
    let bytes = 0
    let n = 0
    while (n < this.#queue.length && (n === 0 || bytes + this.#queue[n]!.bytes <= groupBytes))
      bytes += this.#queue[n++]!.bytes
    this.#queuedBytes -= bytes
    return this.#queue.splice(0, n)
  }

  /** Puts one group on disk. After a failed write or sync its segment is never written again: the group goes to a new one, once. */
  async #commit(group: Entry[]): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        this.#settle(await this.#put(group))
        return
      } catch (error) {
        this.#options.log.warn({ err: error, dir: this.#options.dir, attempt }, 'journal write failed')
        await this.#abandon()
        if (attempt < 2) continue
        const told = diskError(this.#options.dir, error)
        for (const entry of group) entry.reject(told)
        return
      }
    }
  }

  #settle(kept: readonly Entry[]): void {
    for (const entry of kept) {
      try {
        entry.committed?.(entry.position)
      } catch (error) {
        // The record is on disk whatever its owner makes of it: writing it again would double it.
        this.#options.log.error({ err: error, position: entry.position }, 'journal record was not taken up')
      }
    }
    for (const entry of kept) entry.resolve(entry.position)
  }

  async #put(group: Entry[]): Promise<Entry[]> {
    const expected = group.reduce((sum, entry) => sum + entry.bytes, 0)
    const current = this.#segments.at(-1)
    const full = current !== undefined && current.size + expected > this.#segmentBytes
    if (this.#fd !== null && current && current.next > current.first && (full || this.#rollAsked))
      await this.#shut()
    this.#rollAsked = false
    if (this.#fd === null) await this.#open()
    const segment = this.#segments.at(-1)!
    const { kept, used, next } = this.#encode(group)
    const bytes = this.#arena.subarray(0, used)
    for (let done = 0; done < used; ) {
      const n = await this.#fs.write(this.#fd!, bytes.subarray(done), segment.size + done)
      if (n <= 0) throw new Error('the disk took no bytes')
      done += n
    }
    if (used > 0) await this.#fs.datasync(this.#fd!)
    segment.size += used
    segment.next = next
    this.#next = next
    if (this.#arena.length > 4 * groupBytes) this.#arena = Buffer.allocUnsafeSlow(1 << 16)
    return kept
  }

  #encode(group: Entry[]): { kept: Entry[]; used: number; next: number } {
    const kept: Entry[] = []
    let used = 0
    let next = this.#next
    for (const entry of group) {
      let end = used
      let position = next
      try {
        for (const record of entry.records) {
          const payload = typeof record === 'function' ? record(this.#generation) : record
          if (payload.length > mostRecordBytes) throw tooLong(payload.length)
          this.#reserve(end + recordHeaderBytes + payload.length, end)
          end = putRecord(this.#arena, end, payload, position++, end === 0)
        }
      } catch (error) {
        // A record that cannot be made is its maker's fault and nobody else's.
        entry.reject(error as Error)
        continue
      }
      entry.position = next
      used = end
      next = position
      kept.push(entry)
    }
    return { kept, used, next }
  }

  #reserve(need: number, keep: number): void {
    if (need <= this.#arena.length) return
    const wider = Buffer.allocUnsafeSlow(Math.max(need, this.#arena.length * 2))
    this.#arena.copy(wider, 0, 0, keep)
    this.#arena = wider
  }

  async #open(): Promise<void> {
    const { dir } = this.#options
    const last = this.#segments.at(-1)
    const first = this.#next
    const path = join(dir, segmentName(first))
    // A leftover of the same name holds no record that was ever acknowledged.
    if (last && last.first === first) this.#segments.pop()
    const fd = await this.#fs.open(path, 'w')
    this.#fd = fd
    this.#segments.push({ path, first, next: first, size: segmentHeaderBytes })
    this.#generation++
    if ((await this.#fs.write(fd, segmentHeader(first), 0)) < segmentHeaderBytes)
      throw new Error('the disk took no bytes')
    await this.#fs.datasync(fd)
    await this.#fs.syncDir(dir)
  }

  async #shut(): Promise<void> {
    const fd = this.#fd
    this.#fd = null
    if (fd !== null) await this.#fs.close(fd)
  }

  /** Leaves the current segment for good, cut to what was acknowledged. What cannot be cut now is superseded by the next segment. */
  async #abandon(): Promise<void> {
    const segment = this.#segments.at(-1)
    const open = this.#fd !== null
    try {
      await this.#shut()
      if (!segment || !open) return
      if (segment.next === segment.first && this.#segments.length > 1) {
        this.#segments.pop()
        await this.#fs.unlink(segment.path)
      } else await this.#fs.truncate(segment.path, segment.size)
    } catch (error) {
      this.#options.log.warn({ err: error, dir: this.#options.dir }, 'journal segment could not be cut back')
    }
  }

  async *read(from: number): AsyncGenerator<ReadRecord, void, void> {
    const seen = this.#segments.map((s) => ({ ...s }))
    for (const segment of seen) {
      if (segment.next <= from || segment.next === segment.first) continue
      let position = segment.first
      for await (const record of segmentRecords(segment.path, segment.first, segment.size)) {
        position = record.position + 1
        if (record.position >= from)
          yield { position: record.position, bytes: record.bytes, segment: segment.first }
      }
      if (position < segment.next)
        throw new AppError(
          'internal',
          `${segment.path} is damaged: record ${position} was safe on disk and cannot be read`,
        )
    }
  }

  async drop(position: number): Promise<void> {
    let dropped = false
    while (this.#segments.length > 1 && this.#segments[0]!.next <= position) {
      const segment = this.#segments.shift()!
      await this.#fs.unlink(segment.path)
      dropped = true
    }
    if (dropped) await this.#fs.syncDir(this.#options.dir)
  }

  roll(): void {
    this.#rollAsked = true
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#shut()
  }
}
