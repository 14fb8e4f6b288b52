// Delta points become cumulative series: running totals that outlive the process, each interval counted once.
import { pack, unpack } from '../../lib/column-text.ts'
import { AppError } from '../../lib/errors.ts'
import type { Batch } from '../../model/batch.ts'
import { added } from '../../model/native-arithmetic.ts'
import { decodeHistogram, type NativeHistogram, packHistogram } from '../../model/native-histogram.ts'
import { countRows, rowBytes } from '../../model/packed-rows.ts'
import type { Producer } from '../../model/ports/producer.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'

interface DeltaOptions {
  readonly table: SeriesTable
  /** Most series kept; past it the points of new ones are refused. 200,000 by default. */
  readonly maxSeries?: number
  /** A series without points for this many milliseconds is forgotten and begins anew. One hour by default. */
  readonly idle?: number
}

/** `taken`: `total` holds the new cumulative value. `again`: this interval was counted before. */
export type DeltaOutcome = 'taken' | 'again' | 'older' | 'full'

/** One request's changes: seen by nobody until `commit`. End it with `commit` or `rollback`, once. */
export interface DeltaTransaction {
  /** Adds `value` for (startAt, at]; `force` lets it past the limit, for the further series of a point already let in. */
  add(ref: SeriesRef, startAt: number, at: number, value: number, force: boolean): DeltaOutcome
  /** The same for a native histogram. */
  addHistogram(ref: SeriesRef, startAt: number, at: number, value: NativeHistogram): DeltaOutcome
  /** The cumulative histogram after an `addHistogram` that was taken. */
  readonly histogram: NativeHistogram | null
  /** The cumulative value after an `add` that was taken. */
  readonly total: number
  commit(now: number): void
  rollback(): void
}

interface Row {
  total: number
  /** In place of the total, for a series of native histograms. */
  histogram?: NativeHistogram | undefined
  startAt: number
  endAt: number
  touchedAt: number
  /** Only seen in a replay: it may be a delta series or not, and does not count against the limit until it is. */
  candidate: boolean
}

interface Saved {
  readonly ids: string
  readonly numbers: string
  readonly candidates: string
  /** By place among the ids, packed, as base64 text; not there in older checkpoints. */
  readonly histograms?: readonly (readonly [number, string])[]
}

const perRow = 4

/**
 * How long a series seen only in a replay is kept, in milliseconds: longer than any usual export interval, short because every
 * series of the log's tail is one, and all of them go into each checkpoint.
 */
const candidateIdle = 600_000

export class DeltaState implements Producer {
  readonly name = 'otlp-delta'
  readonly #table: SeriesTable
  readonly #maxSeries: number
  readonly #idle: number
  readonly #rows = new Map<SeriesRef, Row>()
  /** Rows of a checkpoint whose series the table did not know yet. */
  readonly #unmet = new Map<bigint, Row>()
  #live = 0
  #sweptAt = 0
  #busy = false
  #saved: Saved | null = null
  readonly #queue: { go: () => void }[] = []

  constructor({ table, maxSeries = 200_000, idle = 3_600_000 }: DeltaOptions) {
    this.#table = table
    this.#maxSeries = maxSeries
    this.#idle = idle
  }

  get size(): number {
    return this.#live
  }

  /** A transaction at once, or null while another is open. */
  tryBegin(now: number): DeltaTransaction | null {
    if (this.#busy) return null
    this.#busy = true
    return this.#begin(now)
  }

  /** A transaction when those before it are over; rejects with the signal's reason when it is aborted first. */
  async begin(now: () => number, signal: AbortSignal): Promise<DeltaTransaction> {
    if (!this.#busy) {
      this.#busy = true
      return this.#begin(now())
    }
    await new Promise<void>((resolve, reject) => {
      const waiter = { go: resolve }
      const stop = (): void => {
        const at = this.#queue.indexOf(waiter)
        if (at < 0) return
        this.#queue.splice(at, 1)
        reject(signal.reason)
      }
      if (signal.aborted) return reject(signal.reason)
      signal.addEventListener('abort', stop, { once: true })
      waiter.go = () => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      this.#queue.push(waiter)
    })
    return this.#begin(now())
  }

  #release(): void {
    const next = this.#queue.shift()
    // The lock passes from hand to hand, so that nobody slips in between.
    if (next) next.go()
    else this.#busy = false
  }

  #begin(now: number): DeltaTransaction {
    if (Math.abs(now - this.#sweptAt) >= 60_000) this.#sweep(now)
    const changed = new Map<SeriesRef, Row>()
    let made = 0
    let open = true
    const close = (): void => {
      if (!open) throw new AppError('internal', 'a delta transaction was ended twice')
      open = false
      this.#release()
    }
    /** Lets an interval of a series in; `next` makes its row from the one before. */
    const enter = (
      ref: SeriesRef,
      startAt: number,
      at: number,
      force: boolean,
      next: (row: Row | undefined) => Pick<Row, 'total' | 'histogram'>,
    ): DeltaOutcome => {
      const row = changed.get(ref) ?? this.#row(ref)
      if (row !== undefined && at <= row.endAt) {
        // After a replay the start is not known; the same end is then the same interval.
        const same = at === row.endAt && (startAt === row.startAt || Number.isNaN(row.startAt))
        return same ? 'again' : 'older'
      }
      const known = row !== undefined && !row.candidate
      if (!known && !force && this.#live + made >= this.#maxSeries) return 'full'
      if (!known) made++
      changed.set(ref, { ...next(row), startAt, endAt: at, touchedAt: 0, candidate: false })
      return 'taken'
    }
    const transaction = {
      total: 0,
      histogram: null as NativeHistogram | null,
      add: (ref: SeriesRef, startAt: number, at: number, value: number, force: boolean): DeltaOutcome =>
        enter(ref, startAt, at, force, (row) => {
          transaction.total = (row?.total ?? 0) + value
          return { total: transaction.total }
        }),
      addHistogram: (ref: SeriesRef, startAt: number, at: number, value: NativeHistogram): DeltaOutcome =>
        enter(ref, startAt, at, false, (row) => {
          const sum = row?.histogram && added(row.histogram, value)
          transaction.histogram = sum ? sum.value : value
          return { total: 0, histogram: transaction.histogram }
        }),
      commit: (now: number): void => {
        close()
        if (changed.size > 0) this.#saved = null
        this.#live += made
        for (const [ref, row] of changed) {
          row.touchedAt = now
          this.#rows.set(ref, row)
        }
      },
      rollback: close,
    }
    return transaction
  }

  #row(ref: SeriesRef): Row | undefined {
    const row = this.#rows.get(ref)
    if (row !== undefined || this.#unmet.size === 0) return row
    const id = this.#table.id(ref)
    const unmet = this.#unmet.get(id)
    if (unmet === undefined) return undefined
    this.#unmet.delete(id)
    this.#rows.set(ref, unmet)
    return unmet
  }

  #sweep(now: number): void {
    this.#sweptAt = now
    const sweep = <K>(rows: Map<K, Row>): void => {
      for (const [key, row] of rows) {
        if (now - row.touchedAt <= (row.candidate ? Math.min(candidateIdle, this.#idle) : this.#idle))
          continue
        rows.delete(key)
        if (!row.candidate) this.#live--
        this.#saved = null
      }
    }
    sweep(this.#rows)
    sweep(this.#unmet)
  }

  /**
   * Asked for after a seal, it must be asked for once every push of the sealed range has resolved and been heard; later is
   * harmless, for replaying what it already holds changes nothing.
   *
   * Columns as base64 text, little-endian: a hundred thousand series would be slow as JSON numbers, and NaN would be lost.
   */
  checkpoint(): unknown {
    if (this.#saved) return this.#saved
    const n = this.#rows.size + this.#unmet.size
    const ids = new BigUint64Array(n)
    const numbers = new Float64Array(n * perRow)
    const candidates = new Uint8Array(n)
    const histograms: [number, string][] = []
    let i = 0
    const put = (id: bigint, row: Row): void => {
      if (row.histogram) histograms.push([i, pack(packHistogram(row.histogram))])
      ids[i] = id
      numbers.set([row.total, row.startAt, row.endAt, row.touchedAt], i * perRow)
      candidates[i++] = row.candidate ? 1 : 0
    }
    for (const [ref, row] of this.#rows) put(this.#table.id(ref), row)
    for (const [id, row] of this.#unmet) put(id, row)
    this.#saved = { ids: pack(ids), numbers: pack(numbers), candidates: pack(candidates), histograms }
    return this.#saved
  }

  /** Throws `bad_data` when `state` is no checkpoint of this producer. */
  restore(state: unknown): void {
    const saved = state as Partial<Saved> | null
    if (
      typeof saved?.ids !== 'string' ||
      typeof saved.numbers !== 'string' ||
      typeof saved.candidates !== 'string'
    )
      throw new AppError('bad_data', 'the checkpoint of otlp-delta has another form')
    const [idBytes, numberBytes] = [unpack(saved.ids), unpack(saved.numbers)]
    const ids = new BigUint64Array(idBytes, 0, idBytes.byteLength >>> 3)
    const numbers = new Float64Array(numberBytes, 0, numberBytes.byteLength >>> 3)
    const candidates = new Uint8Array(unpack(saved.candidates))
    if (numbers.length !== ids.length * perRow || candidates.length !== ids.length)
      throw new AppError('bad_data', 'the checkpoint of otlp-delta is cut off')
    this.#rows.clear()
    this.#unmet.clear()
    this.#saved = null
    this.#live = 0
    const histograms = new Map(saved.histograms)
    for (let i = 0; i < ids.length; i++) {
      const [total = 0, startAt = 0, endAt = 0, touchedAt = 0] = numbers.subarray(
        i * perRow,
        (i + 1) * perRow,
      )
      const row: Row = { total, startAt, endAt, touchedAt, candidate: candidates[i] === 1 }
      const histogram = histograms.get(i)
      if (histogram !== undefined) row.histogram = decodeHistogram(new Uint8Array(unpack(histogram)))
      if (!row.candidate) this.#live++
      const ref = this.#table.refOf(ids[i]!)
      if (ref === undefined) this.#unmet.set(ids[i]!, row)
      else this.#rows.set(ref, row)
    }
  }

  replay({ ref, at, value, histograms }: Batch): void {
    this.#saved = null
    // A stale marker ends a series; its total goes on where the sender does.
    for (let i = 0; i < ref.length; i++)
      if (!Number.isNaN(value[i]!)) this.#replayed(ref[i]!, at[i]!, value[i]!, undefined)
    for (let i = 0; i < countRows(histograms); i++) {
      const histogram = decodeHistogram(rowBytes(histograms!, i))
      this.#replayed(histograms!.ref[i]!, histograms!.at[i]!, 0, histogram)
    }
  }

  #replayed(ref: SeriesRef, endAt: number, total: number, histogram: NativeHistogram | undefined): void {
    const row = this.#row(ref)
    if (row === undefined)
      this.#rows.set(ref, { total, histogram, startAt: Number.NaN, endAt, touchedAt: endAt, candidate: true })
    else if (endAt > row.endAt) {
      row.total = total
      row.histogram = histogram
      row.endAt = endAt
      row.startAt = Number.NaN
      row.touchedAt = Math.max(row.touchedAt, endAt)
    }
  }
}
