// Sealed ranges of the log become durable rows: series first, then their samples, then the rows that are not samples.
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { RowWriter } from '../lib/row-binary.ts'
import { day, duration, hour } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import { type Labels, labelOf, metricName } from '../model/labels.ts'
import { countRows, type PackedRows, rowBytes, type SeriesRows, sliceRows } from '../model/packed-rows.ts'
import type { BatchWriter } from '../model/ports/batch-writer.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { type Connection, type Settings, writeError } from './connection.ts'
import { encodeSlice, firstBadTime, insertRows, SeenSeries, slicesOf, wordsPerRow } from './sample-encoder.ts'
import { exemplars, histograms as histogramTable, logs, packedColumns, type Table, traces } from './schema.ts'

export interface WriterDeps {
  readonly connection: Connection
  readonly table: SeriesTable
  readonly clock: Clock
  readonly metrics: Metrics
  /** On a cluster an insert answers only when a quorum of replicas has it. */
  readonly clustered: boolean
}

const insertWithin = duration(30_000)
/** How stale a series' stored last_seen may grow before it is written again. */
const lastSeenEvery = hour
const seriesRows = 50_000
/** Most rows and bytes of packed rows in one insert. */
const packedRows = 50_000
const packedBytes = 32 << 20
/** A server refuses an insert into more partitions (days) than this. */
const mostDays = 100

/** Packed rows may lie on many days, and what a view makes of them is deduplicated as they are. */
const packedSettings: Settings = {
  max_partitions_per_insert_block: 0,
  deduplicate_blocks_in_dependent_materialized_views: 1,
}
const quorum: Settings = { insert_quorum: 'auto', distributed_foreground_insert: 1 }

export interface StoreWriter extends BatchWriter {
  /** Says that the store has a row of this series already. */
  known(ref: SeriesRef, lastSeenAt: number, histograms: boolean): void
  /** The next batch's place in the order of acceptance is after this one. */
  continueAfter(seq: number): void
}

class Writer implements StoreWriter {
  readonly #deps: WriterDeps
  readonly #seen = new SeenSeries()
  readonly #rows
  readonly #seconds
  #seq = 0
  /** Memory of the last insert that was answered; null while one is under way or after one that was not: its bytes may still be on their way. */
  #memory: Uint32Array<ArrayBuffer> | null = null

  constructor(deps: WriterDeps) {
    this.#deps = deps
    this.#rows = deps.metrics.counter('airboss_store_rows_total', 'Rows written to the store', ['table'])
    this.#seconds = deps.metrics.histogram(
      'airboss_store_write_seconds',
      'How long one batch takes to be stored',
      [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    )
  }

  known(ref: SeriesRef, lastSeenAt: number, histograms: boolean): void {
    if (histograms) this.#deps.table.sawHistogram(ref)
    this.#seen.stored(ref, lastSeenAt, histograms)
  }

  continueAfter(seq: number): void {
    this.#seq = Math.max(this.#seq, seq)
  }

  async write(batch: Batch, token: string, signal: AbortSignal): Promise<void> {
    const started = this.#deps.clock.monotonic()
    this.#checkTimes(batch)
    if (batch.histograms) this.#checkTimes(batch.histograms)
    try {
      await this.#samples(batch, token, signal)
      await this.#metadata(batch, token, signal)
      await this.#events(batch, token, signal)
      await this.#costs(batch, token, signal)
      await this.#packed(exemplars, this.#withSeries(batch.exemplars), token, signal)
      await this.#packed(traces, batch.spans, token, signal)
      await this.#packed(logs, batch.logs, token, signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw writeError(error)
    }
    this.#seconds.observe((this.#deps.clock.monotonic() - started) / 1000)
  }

  #checkTimes({ ref, at }: { ref: Uint32Array; at: Float64Array }): void {
    const bad = firstBadTime(at)
    if (bad < 0) return
    const series = labelOf(this.#deps.table.labels(ref[bad]!), metricName)
    throw new AppError(
      'bad_data',
      `sample ${bad} of the batch (${series}) has the time ${at[bad]}, which no timestamp column can hold`,
    )
  }

  async #insert(
    into: string,
    format: 'Native' | 'RowBinary',
    parts: readonly Uint8Array[],
    token: string | null,
    rows: number,
    signal: AbortSignal,
    more: Settings = {},
  ): Promise<void> {
    const table = into.slice(0, into.indexOf(' '))
    const cluster = this.#deps.clustered ? { ...more, ...quorum } : more
    await this.#deps.connection.insert(`INSERT INTO ${into} FORMAT ${format}`, parts, {
      signal,
      within: insertWithin,
      settings: token === null ? cluster : { ...cluster, insert_deduplication_token: `${token}-${table}` },
    })
    this.#rows.add(rows, { table })
  }

  async #samples(batch: Batch, token: string, signal: AbortSignal): Promise<void> {
    const { histograms } = batch
    if (batch.ref.length === 0 && countRows(histograms) === 0) return
    const { table, clock } = this.#deps
    const { write, suspects } = this.#seen.look(batch, table.size, lastSeenEvery)
    if (histograms) {
      for (const ref of histograms.ref) table.sawHistogram(ref)
      this.#seen.lookHistograms(histograms, table.size, lastSeenEvery, write)
    }
    if (write.size > 0) await this.#series(write, signal)
    // Later batches get higher numbers, over restarts too as far as the clock does not run back (then `continueAfter` helps).
    this.#seq = Math.max(this.#seq + 1, Math.floor(clock.now()) * 1000)
    const seq = this.#seq
    for (const [i, slice] of slicesOf(batch, suspects).entries()) {
      const memory = this.#takeMemory(slice.to - slice.from)
      const parts = encodeSlice(batch, table, slice, seq, memory)
      await this.#insert(
        'samples (id, timestamp, value, seq)',
        'Native',
        parts,
        `${token}-${i}`,
        slice.to - slice.from,
        signal,
      )
      this.#memory = memory
    }
    if (histograms) await this.#histograms(histograms, seq, token, signal)
  }

  /** Packed rows with what stands before them: id, time and the batch's place in the order of acceptance. */
  async #histograms(rows: SeriesRows, seq: number, token: string, signal: AbortSignal): Promise<void> {
    const words = this.#deps.table.idWords
    const into = `histograms (${packedColumns(histogramTable)})`
    const n = countRows(rows)
    for (let from = 0; from < n; ) {
      const start = from === 0 ? 0 : rows.ends[from - 1]!
      const out = new RowWriter(1 << 16)
      let to = from
      const days = new Set<number>()
      for (
        ;
        to < n && to - from < packedRows && (to === from || rows.ends[to]! - start <= packedBytes);
        to++
      ) {
        days.add(Math.floor(rows.at[to]! / day))
        if (days.size > mostDays) break
        const ref = rows.ref[to]!
        out
          .words(words[ref * 2]!, words[ref * 2 + 1]!)
          .int64(Math.round(rows.at[to]!))
          .int64(seq)
        out.raw(rowBytes(rows, to)).endRow()
      }
      await this.#insert(into, 'RowBinary', [out.bytes()], `${token}-${from}`, to - from, signal)
      from = to
    }
  }

  #takeMemory(rows: number): Uint32Array<ArrayBuffer> {
    const memory = this.#memory
    this.#memory = null
    if (memory && memory.length >= rows * wordsPerRow) return memory
    return new Uint32Array(Math.min(insertRows, rows * 2) * wordsPerRow)
  }

  async #series(
    write: ReadonlyMap<SeriesRef, { firstAt: number; lastAt: number }>,
    signal: AbortSignal,
  ): Promise<void> {
    const words = this.#deps.table.idWords
    const all = [...write]
    for (let from = 0; from < all.length; from += seriesRows) {
      const part = all.slice(from, from + seriesRows)
      const rows = new RowWriter(part.length * 160)
      for (const [ref, seen] of part) {
        const labels: Labels = this.#deps.table.labels(ref)
        rows
          .words(words[ref * 2]!, words[ref * 2 + 1]!)
          .string(labelOf(labels, metricName))
          .map(labels)
        rows.int64(Math.round(seen.firstAt)).int64(Math.round(seen.lastAt))
        rows.uint8(this.#deps.table.hasHistograms(ref) ? 1 : 0).endRow()
      }
      const columns = 'series (id, metric, labels, first_seen, last_seen, histograms)'
      // No token: which rows a batch writes depends on what this process remembers, and writing one twice changes nothing.
      await this.#insert(columns, 'RowBinary', [rows.bytes()], null, part.length, signal)
      for (const [ref, seen] of part) this.#seen.stored(ref, seen.lastAt, this.#deps.table.hasHistograms(ref))
    }
  }

  async #metadata({ metadata }: Batch, token: string, signal: AbortSignal): Promise<void> {
    if (metadata.length === 0) return
    const rows = new RowWriter(metadata.length * 128)
    const now = this.#deps.clock.now()
    for (const m of metadata)
      rows.string(m.metric).string(m.type).string(m.help).string(m.unit).int64(now).endRow()
    const columns = 'metadata (metric, type, help, unit, updated_at)'
    await this.#insert(columns, 'RowBinary', [rows.bytes()], token, metadata.length, signal)
  }

  async #events({ events }: Batch, token: string, signal: AbortSignal): Promise<void> {
    if (events.length === 0) return
    const rows = new RowWriter(events.length * 256)
    for (const e of events) {
      rows.int64(Math.round(e.at)).string(e.id).string(e.name).float64(e.value)
      rows
        .string(e.agent)
        .string(e.version)
        .string(e.outcome)
        .map(Object.entries(e.attributes).flat())
        .endRow()
    }
    const columns = 'events (at, id, name, value, agent, version, outcome, attributes)'
    await this.#insert(columns, 'RowBinary', [rows.bytes()], token, events.length, signal)
  }

  async #costs({ costs }: Batch, token: string, signal: AbortSignal): Promise<void> {
    if (costs.length === 0) return
    const rows = new RowWriter(costs.length * 256)
    for (const c of costs) {
      rows.int64(Math.round(c.at)).string(c.id).string(c.agent).string(c.version).string(c.model)
      rows.string(c.provider).string(c.service).string(c.owner)
      rows.float64(c.usd).float64(c.quantity).string(c.unit).string(c.priceVersion)
      rows
        .string(c.traceId ?? '')
        .string(c.spanId ?? '')
        .float64(c.statedUsd ?? 0)
      rows.map(Object.entries(c.attributes ?? {}).flat()).endRow()
    }
    const columns =
      'costs (at, id, agent, version, model, provider, service, owner, usd, quantity, unit, price_version, trace_id, span_id, stated_usd, attributes)'
    await this.#insert(columns, 'RowBinary', [rows.bytes()], token, costs.length, signal)
  }

  /** Rows of series as their table has them: the id and the time stand before each. */
  #withSeries(rows: SeriesRows | undefined): PackedRows | undefined {
    const n = countRows(rows)
    if (!rows || n === 0) return undefined
    const words = this.#deps.table.idWords
    const bytes = Buffer.allocUnsafe(rows.bytes.length + n * 16)
    const ends = new Uint32Array(n)
    let from = 0
    let to = 0
    for (let i = 0; i < n; i++) {
      const ref = rows.ref[i]!
      const at = Math.round(rows.at[i]!)
      to = bytes.writeUInt32LE(words[ref * 2]!, to)
      to = bytes.writeUInt32LE(words[ref * 2 + 1]!, to)
      to = bytes.writeUInt32LE(at >>> 0, to)
      to = bytes.writeUInt32LE(Math.floor(at / 4294967296) >>> 0, to)
      bytes.set(rows.bytes.subarray(from, rows.ends[i]!), to)
      to += rows.ends[i]! - from
      from = rows.ends[i]!
      ends[i] = to
    }
    return { bytes, ends }
  }

  /** Rows that come as the table has them, in inserts of a bounded size. */
  async #packed(
    table: Table,
    rows: PackedRows | undefined,
    token: string,
    signal: AbortSignal,
  ): Promise<void> {
    const n = countRows(rows)
    const into = `${table.name} (${packedColumns(table)})`
    for (let from = 0; from < n; ) {
      const start = from === 0 ? 0 : rows!.ends[from - 1]!
      let to = from + 1
      while (to < n && to - from < packedRows && rows!.ends[to]! - start <= packedBytes) to++
      const part = sliceRows(rows, from, to)!
      await this.#insert(
        into,
        'RowBinary',
        [part.bytes],
        `${token}-${from}`,
        to - from,
        signal,
        packedSettings,
      )
      from = to
    }
  }
}

/** Writes batches. One at a time keeps the order of acceptance; the caller sees to that. */
export const createWriter = (deps: WriterDeps): StoreWriter => new Writer(deps)
