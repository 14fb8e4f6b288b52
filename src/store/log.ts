// The write-ahead log: acknowledged means on disk; sealed ranges of it become batches in the store, each exactly once.
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Timer } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { type Journal, openJournal } from '../lib/journal.ts'
import { type Duration, duration, type Instant, instant, second } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import { bytesOf, rowsOf, spanOf, unread } from './batch-rows.ts'
import { RangeStore } from './log-bisect.ts'
import { BatchEncoder, noteRecord, recordKinds } from './log-codec.ts'
import { identifyLog } from './log-identity.ts'
import type { LogOptions, LogStats, Pending, WriteLog } from './log-options.ts'
import {
  type CheckpointNote,
  type Found,
  type Held,
  readRange,
  replayJournal,
  rowsIn,
  type SealNote,
} from './log-replay.ts'

interface Range {
  readonly seal: SealNote
  /** Null when the rows are only on disk. */
  batches: readonly Batch[] | null
  bytes: number
  sealed: boolean
  /** Oldest and newest sample time; needed once the rows are only on disk. */
  fromAt: number
  toAt: number
}

const retrySeal = second
// Checkpoints larger than this are written less often.
const largeCheckpoint = 256 << 10
const largeEvery = 30_000
const drainWait = duration(3000)

export const openLog = (options: LogOptions): WriteLog => new RangeLog(options)

class RangeLog implements WriteLog {
  readonly #o: LogOptions
  readonly #sealRows: number
  readonly #sealAfter: Duration
  readonly #maxBytes: number
  readonly #keepBytes: number
  readonly #memoryBytes: number
  readonly #store: RangeStore
  readonly #samples
  readonly #stored
  readonly #gauges
  readonly #stop = new AbortController()
  #journal: Journal | null = null
  #encoder: BatchEncoder
  #uuid = ''
  #heldFromAt = instant(0)
  #open: Held[] = []
  #openRows = 0
  #openBytes = 0
  #due = false
  #timer: Timer | null = null
  #ranges: Range[] = []
  #rangeBytes = 0
  /** Where replay would begin if the process stopped now; moves with each durable checkpoint. */
  #replayFrom = 0
  #lastSealFrom = 0
  #sealing: Promise<void> = Promise.resolve()
  #storing: Promise<void> | null = null
  #checkpointBytes = 0
  #checkpointAt = 0
  #waiters: { to: number; done: () => void }[] = []
  #inFlight = 0
  #taking = false

  constructor(options: LogOptions) {
    this.#o = options
    this.#sealRows = options.sealRows ?? 200_000
    this.#sealAfter = options.sealAfter ?? second
    this.#maxBytes = options.maxBytes ?? 4 * 2 ** 30
    this.#keepBytes = Math.min(options.keepBytes ?? 128 << 20, this.#maxBytes / 4)
    this.#memoryBytes = options.memoryBytes ?? 256 << 20
    this.#store = new RangeStore({ ...options, quarantine: join(options.dir, 'quarantine') })
    this.#encoder = new BatchEncoder(options.table, 0)
    const { metrics } = options
    this.#samples = metrics.counter('airboss_log_samples_total', 'Samples made durable in the log')
    this.#stored = metrics.counter(
      'airboss_log_stored_rows_total',
      'Rows of the log that the store has taken',
    )
    this.#gauges = {
      bytes: metrics.gauge('airboss_log_bytes', 'Bytes of the log on disk'),
      rows: metrics.gauge('airboss_log_pending_rows', 'Accepted rows that the store has not taken yet'),
    }
  }

  async start(): Promise<void> {
    const { dir, log, fs, table, producers, replayed } = this.#o
    const journal = await openJournal({
      dir: join(dir, 'journal'),
      log,
      maxBytes: this.#maxBytes,
      segmentBytes: Math.max(1 << 16, Math.min(64 << 20, Math.floor(this.#maxBytes / 8))),
      onDamage: 'set_aside',
      ...(fs ? { fs } : {}),
    })
    const { uuid, createdAt: emptyAt } = await identifyLog(dir, this.#o.clock)
    this.#uuid = uuid
    const memoryBytes = this.#memoryBytes
    const found = await replayJournal({ journal, table, producers, replayed, memoryBytes, emptyAt })
    this.#journal = journal
    this.#resume(found)
    this.#taking = true
    log.info(
      { ranges: this.#ranges.length, rows: this.stats().pendingRows, bytes: journal.bytes },
      'log is open',
    )
    this.#seal(true)
    this.#kick()
  }

  #resume(found: Found): void {
    for (const { seal, batches, fromAt, toAt } of found.ranges) {
      const bytes = batches?.reduce((sum, b) => sum + bytesOf(b), 0) ?? 0
      this.#ranges.push({ seal, batches, bytes, sealed: true, fromAt, toAt })
      this.#rangeBytes += bytes
    }
    this.#open = [...found.tail]
    this.#openRows = rowsIn(found.tail)
    this.#openBytes = found.tail.reduce((sum, h) => sum + bytesOf(h.batch), 0)
    this.#replayFrom = found.replayFrom
    this.#lastSealFrom = found.replayFrom
    this.#heldFromAt = instant(found.heldFromAt)
    this.#encoder = new BatchEncoder(this.#o.table, found.maxAt)
  }

  async push(batch: Batch, signal: AbortSignal): Promise<void> {
    if (rowsOf(batch) === 0) return
    if (signal.aborted) throw new AppError('canceled', 'the request was canceled before it was logged')
    const journal = this.#journal
    if (!journal || !this.#taking)
      throw new AppError('unavailable', journal ? 'the log is closing' : 'the log is not open yet', {
        retryAfter: 1000,
      })
    this.#inFlight++
    try {
      await journal.append((segment) => this.#encoder.encode(batch, segment), {
        bytes: bytesOf(batch),
        committed: (position) => this.#accept(position, batch),
      })
    } finally {
      this.#inFlight--
    }
  }

  #accept(position: number, batch: Batch): void {
    const held = unread(batch)
    this.#open.push({ position, batch: held })
    this.#openRows += rowsOf(held)
    this.#openBytes += bytesOf(held)
    this.#samples.add(batch.ref.length)
    this.#o.accepted(batch)
    for (const producer of this.#o.producers) producer.accepted?.(batch, position)
    if (this.#full()) this.#seal(true)
    else this.#timer ??= this.#o.clock.after(this.#sealAfter, () => this.#ripen())
  }

  // Wide rows make a range as well as many do.
  #full(): boolean {
    return this.#openRows >= this.#sealRows || this.#openBytes >= 32 << 20
  }

  #ripen(): void {
    this.#timer = null
    this.#due = true
    this.#seal(false)
  }

  /** Makes a range of what is open. While ranges wait for the store, only full ones are made, so that a long outage ends in few. */
  #seal(now: boolean): void {
    if (this.#open.length === 0 || !this.#journal) return
    if (!now && this.#ranges.length > 0 && !this.#full()) return
    this.#timer?.cancel()
    this.#timer = null
    this.#due = false
    const nonce = randomUUID().slice(0, 8)
    const [from, to] = [this.#open[0]!.position, this.#open.at(-1)!.position]
    const seal = { from, to, rows: this.#openRows, nonce }
    const range: Range = {
      seal,
      batches: this.#open.map((h) => h.batch),
      bytes: this.#openBytes,
      sealed: false,
      fromAt: 0,
      toAt: 0,
    }
    this.#open = []
    this.#openRows = 0
    this.#openBytes = 0
    this.#ranges.push(range)
    this.#rangeBytes += range.bytes
    const checkpoint = this.#checkpoint(seal)
    // One after the other: a later seal on disk says that everything before it is sealed.
    this.#sealing = this.#sealing.then(() => this.#noteSeal(range, checkpoint))
  }

  // A producer may make its state final a little after `push` has resolved: replaying one range more than the checkpoint strictly
  // needs covers that, and replaying is idempotent.
  #checkpoint(seal: SealNote): { record: Buffer; replayFrom: number } | null {
    const { producers, clock, log } = this.#o
    const replayFrom = this.#lastSealFrom
    this.#lastSealFrom = seal.from
    if (this.#checkpointBytes > largeCheckpoint && clock.monotonic() - this.#checkpointAt < largeEvery)
      return null
    this.#checkpointAt = clock.monotonic()
    try {
      const states = Object.fromEntries(producers.map((p) => [p.name, p.checkpoint()]))
      const note: CheckpointNote = { replayFrom: producers.length === 0 ? seal.to + 1 : replayFrom, states }
      const record = noteRecord(recordKinds.checkpoint, note)
      this.#checkpointBytes = record.length
      return { record, replayFrom: note.replayFrom }
    } catch (error) {
      // The one before stays good: it only takes longer to replay from there. Not tried again at every seal.
      this.#checkpointBytes = Number.POSITIVE_INFINITY
      log.error({ err: error }, 'the state of the producers is not kept')
      return null
    }
  }

  async #noteSeal(range: Range, checkpoint: { record: Buffer; replayFrom: number } | null): Promise<void> {
    const seal = noteRecord(recordKinds.seal, range.seal)
    while (!this.#stop.signal.aborted) {
      try {
        await this.#journal!.append(checkpoint ? [seal, checkpoint.record] : [seal], { pastLimit: true })
        range.sealed = true
        if (checkpoint) this.#replayFrom = checkpoint.replayFrom
        break
      } catch (error) {
        // The rows are safe; only their way into the store waits.
        this.#o.log.warn({ err: error, range: range.seal }, 'range of the log could not be sealed yet')
        await this.#o.clock.sleep(retrySeal, this.#stop.signal).catch(() => undefined)
      }
    }
    this.#kick()
  }

  #kick(): void {
    this.#relieve()
    this.#storing ??= this.#storeRanges()
      .then(
        () => true,
        (error: unknown) => {
          if (!this.#stop.signal.aborted)
            this.#o.log.error({ err: error }, 'storing from the log failed; it is tried again')
          return false
        },
      )
      .then((well) => {
        this.#storing = null
        if (this.#stop.signal.aborted) return
        if (this.#due) this.#seal(false)
        if (!this.#ranges[0]?.sealed) return
        if (well) this.#kick()
        else this.#o.clock.after(retrySeal, () => this.#kick())
      })
  }

  /** Past the memory limit the newest sealed ranges give up their rows: the oldest are needed first. */
  #relieve(): void {
    for (let i = this.#ranges.length - 1; i > 0 && this.#rangeBytes > this.#memoryBytes; i--) {
      const range = this.#ranges[i]!
      if (!range.sealed || !range.batches) continue
      Object.assign(range, spanOf(range.batches))
      range.batches = null
      this.#rangeBytes -= range.bytes
      range.bytes = 0
    }
  }

  async #storeRanges(): Promise<void> {
    const journal = this.#journal!
    while (this.#ranges[0]?.sealed && !this.#stop.signal.aborted) {
      const range = this.#ranges[0]
      const { seal } = range
      const batches = range.batches ?? (await readRange(journal, this.#o.table, seal))
      const token = `${this.#uuid}-${seal.from}-${seal.to}-${seal.nonce}`
      await this.#store.store(batches, token, this.#stop.signal)
      this.#stored.add(seal.rows)
      this.#ranges.shift()
      this.#rangeBytes -= range.bytes
      for (const waiter of this.#waiters) if (waiter.to <= seal.to) waiter.done()
      this.#waiters = this.#waiters.filter((w) => w.to > seal.to)
      this.#forget(seal)
      if (this.#due) this.#seal(false)
    }
  }

  #forget(seal: SealNote): void {
    const journal = this.#journal!
    journal
      .append(noteRecord(recordKinds.done, { from: seal.from }), { pastLimit: true })
      .then(() => this.#prune())
      // Not written down, a range is stored again after a restart, under the same token: that changes nothing.
      .catch((error: unknown) =>
        this.#o.log.warn({ err: error }, 'stored range could not be noted in the log'),
      )
  }

  async #prune(): Promise<void> {
    const journal = this.#journal!
    const needed = Math.min(
      this.#ranges[0]?.seal.from ?? journal.next,
      this.#open[0]?.position ?? journal.next,
      this.#replayFrom,
    )
    let kept = 0
    let enough = journal.start
    for (const segment of [...journal.segments].reverse()) {
      kept += segment.size
      if (kept > this.#keepBytes) {
        enough = segment.next
        break
      }
    }
    await journal.drop(Math.min(needed, enough))
    this.#gauges.bytes.set(journal.bytes)
    this.#gauges.rows.set(this.stats().pendingRows)
  }

  pending(): Pending {
    const batches: Batch[] = []
    let fromAt = Number.POSITIVE_INFINITY
    let toAt = Number.NEGATIVE_INFINITY
    for (const range of this.#ranges) {
      if (range.batches) {
        batches.push(...range.batches)
        continue
      }
      fromAt = Math.min(fromAt, range.fromAt)
      toAt = Math.max(toAt, range.toAt)
    }
    for (const held of this.#open) batches.push(held.batch)
    return { batches, missing: fromAt <= toAt ? { fromAt: instant(fromAt), toAt: instant(toAt) } : null }
  }

  stats(): LogStats {
    const rows = this.#ranges.reduce((sum, r) => sum + r.seal.rows, this.#openRows)
    const bytes = this.#journal?.bytes ?? 0
    return { bytes, pendingRows: rows, pendingRanges: this.#ranges.length, failing: this.#store.failing }
  }

  heldFromAt(): Instant {
    return this.#heldFromAt
  }

  async flush(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    this.#seal(true)
    const last = this.#ranges.at(-1)
    if (!last) return
    this.#kick()
    await new Promise<void>((resolve, reject) => {
      const abort = (): void => reject(signal.reason)
      signal.addEventListener('abort', abort, { once: true })
      const done = (): void => {
        signal.removeEventListener('abort', abort)
        resolve()
      }
      this.#waiters.push({ to: last.seal.to, done })
    })
  }

  /** Takes no more, stores what it can within three seconds while the store is well; the rest is safe and stored after the next start. */
  async drain(): Promise<void> {
    if (!this.#taking) return
    this.#taking = false
    const { clock, log } = this.#o
    while (this.#inFlight > 0) await clock.sleep(duration(5))
    if (this.#store.failing === null) {
      const given = new AbortController()
      this.#store.failed = () => given.abort(new AppError('unavailable', 'the store does not take rows'))
      await this.flush(clock.timeout(drainWait, given.signal)).catch((error: unknown) =>
        log.warn({ reason: messageOf(error) }, 'rows stay in the log for the next start'),
      )
    }
    this.#timer?.cancel()
    this.#stop.abort(new AppError('canceled', 'the log is closing'))
    await this.#sealing
    // A writer that does not heed its signal holds up nobody: what it was writing is written again under the same token.
    const patience = new AbortController()
    await Promise.race([this.#storing, clock.sleep(second, patience.signal).catch(() => undefined)])
    patience.abort()
    await this.#journal!.close()
  }
}
