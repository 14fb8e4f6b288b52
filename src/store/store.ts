// The store as the house sees it: one ClickHouse, embedded or a server, with its tables, writer and reader.
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/config.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { RowReader, RowWriter } from '../lib/row-binary.ts'
import { duration, type Instant, instant } from '../lib/time.ts'
import type { CostRow, EventRow, Metadata, MetricType } from '../model/batch.ts'
import type { Exemplar } from '../model/exemplar.ts'
import type { LedgerVersion } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { MoneyReader } from '../model/ports/money-reader.ts'
import type { SeriesIndex, TimeSpan } from '../model/ports/series-index.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { TraceReader } from '../model/ports/trace-reader.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { Connection, readError, writeError } from './connection.ts'
import { readExemplars } from './exemplar-rows.ts'
import { migrate } from './migrate.ts'
import { createMoneyReader } from './money-reader.ts'
import { millisOf, NativeReader, trailingError } from './native.ts'
import { createReader } from './reader.ts'
import type { Retention, Target } from './schema.ts'
import { createTraceReader } from './trace-reader.ts'
import { createWriter, type StoreWriter } from './writer.ts'

export interface StoreDeps {
  /** Null while there is none; an embedded engine's changes when it starts again. */
  readonly url: () => string | null
  readonly credentials: { readonly user: string; readonly password: string | Secret }
  /** `airboss` unless told otherwise. */
  readonly database: string
  readonly cluster?: string | undefined
  readonly table: SeriesTable
  readonly index: SeriesIndex
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly retention: Retention
  /** How much older than its series' first sample a later one may be, in milliseconds. */
  readonly lateBy?: number
}

/** Samples in columns of one length, as a batch has them. */
export interface SampleColumns {
  readonly ref: Uint32Array
  readonly at: Float64Array
  readonly value: Float64Array
}

export interface EventQuery {
  readonly fromAt: Instant
  readonly toAt: Instant
  readonly name?: string
  readonly agent?: string
  readonly limit: number
}
export interface CostQuery {
  readonly fromAt: Instant
  readonly toAt: Instant
  readonly agent?: string
  readonly limit: number
}

export interface ExemplarQuery {
  readonly refs: readonly SeriesRef[]
  readonly span: TimeSpan
  readonly limit: number
}

export interface StoreStats {
  readonly tables: readonly { readonly name: string; readonly rows: number; readonly bytes: number }[]
  readonly rows: number
  readonly bytesOnDisk: number
}

export interface Store {
  /** Makes or brings up the tables; returns the versions applied. */
  migrate(signal: AbortSignal): Promise<number[]>
  /** Restores every stored series into the table; returns how many there are. */
  loadSeries(
    onSeries: (ref: SeriesRef, firstSeenAt: Instant, lastSeenAt: Instant) => void,
    signal: AbortSignal,
  ): Promise<number>
  loadMetadata(signal: AbortSignal): Promise<Metadata[]>
  readonly writer: StoreWriter
  readonly reader: SeriesReader
  readonly traces: TraceReader
  readonly money: MoneyReader
  copyLedger(versions: readonly LedgerVersion[], signal: AbortSignal): Promise<void>
  /** The last ledger sequence that was copied; 0 when none was. */
  ledgerCopiedTo(signal: AbortSignal): Promise<number>
  /** Newest first. */
  events(query: EventQuery, signal: AbortSignal): Promise<EventRow[]>
  costs(query: CostQuery, signal: AbortSignal): Promise<CostRow[]>
  /** Every sample at or after a time whose series is known, hour by hour, in time order within each series. */
  samplesSince(at: Instant, signal: AbortSignal): AsyncIterable<SampleColumns>
  /** Up to `limit` of the newest exemplars of these series, `fromAt` and `toAt` both within, given to `each`. */
  exemplars(
    query: ExemplarQuery,
    each: (ref: SeriesRef, exemplar: Exemplar) => void,
    signal: AbortSignal,
  ): Promise<void>
  stats(signal: AbortSignal): Promise<StoreStats>
  /** Rejects `unavailable` when the store does not answer within 3 s. */
  ping(signal: AbortSignal): Promise<void>
  close(): Promise<void>
}

const mapped = async <T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
  try {
    return await work()
  } catch (error) {
    if (signal.aborted) throw signal.reason
    throw readError(error)
  }
}

interface EventAnswer extends Omit<EventRow, 'at'> {
  at: string
}
interface CostAnswer extends Omit<CostRow, 'at' | 'priceVersion'> {
  at: string
  price_version: string
}

const where = (conditions: readonly (string | false | undefined)[]): string =>
  conditions.filter(Boolean).join(' AND ')
const between = (column: string): string =>
  `${column} > fromUnixTimestamp64Milli({from:Int64}) AND ${column} <= fromUnixTimestamp64Milli({to:Int64})`

class ClickHouseStore implements Store {
  readonly writer: StoreWriter
  readonly reader: SeriesReader
  readonly traces: TraceReader
  readonly money: MoneyReader
  readonly #deps: StoreDeps
  readonly #connection: Connection

  constructor(deps: StoreDeps) {
    this.#deps = deps
    const { password } = deps.credentials
    this.#connection = new Connection({
      url: deps.url,
      user: () => deps.credentials.user,
      password: () => (typeof password === 'string' ? password : password.reveal()),
      database: deps.database,
      clock: deps.clock,
    })
    this.money = createMoneyReader(this.#connection)
    this.writer = createWriter({
      connection: this.#connection,
      table: deps.table,
      clock: deps.clock,
      metrics: deps.metrics,
      clustered: deps.cluster !== undefined,
    })
    this.traces = createTraceReader(this.#connection)
    this.reader = createReader({
      connection: this.#connection,
      table: deps.table,
      index: deps.index,
      log: deps.log,
      lateBy: deps.lateBy,
    })
  }

  async migrate(signal: AbortSignal): Promise<number[]> {
    const { database, cluster, retention, log } = this.#deps
    const target: Target = { database, cluster }
    const applied = await mapped(signal, () => migrate(this.#connection, target, retention, signal))
    if (applied.length > 0) log.info({ applied, database }, 'store tables were brought up to date')
    const [row] = await mapped(signal, () =>
      this.#connection.rows<{ seq: string }>(
        'SELECT max(last) AS seq FROM (SELECT max(seq) AS last FROM samples WHERE timestamp > now64(3) - INTERVAL 2 DAY ' +
          'UNION ALL SELECT max(seq) AS last FROM histograms WHERE timestamp > now64(3) - INTERVAL 2 DAY)',
        { signal },
      ),
    )
    this.writer.continueAfter(Number(row?.seq ?? 0))
    return applied
  }

  async loadSeries(
    onSeries: (ref: SeriesRef, firstSeenAt: Instant, lastSeenAt: Instant) => void,
    signal: AbortSignal,
  ): Promise<number> {
    const sql =
      'SELECT id, any(mapKeys(labels)), any(mapValues(labels)), min(first_seen), max(last_seen), max(histograms) FROM series GROUP BY id FORMAT RowBinary'
    const reader = new RowReader()
    let count = 0
    const list = (r: RowReader): string[] => Array.from({ length: r.varint() }, () => r.string())
    const row = (r: RowReader): void => {
      const id = r.uint64()
      const names = list(r)
      const values = list(r)
      const firstAt = instant(r.int64())
      const lastAt = instant(r.int64())
      const histograms = r.uint8() === 1
      const ref = this.#deps.table.restore(
        id,
        names.flatMap((name, i) => [name, values[i]!]),
      )
      this.writer.known(ref, lastAt, histograms)
      onSeries(ref, firstAt, lastAt)
      count++
    }
    await mapped(signal, async () => {
      for await (const chunk of this.#connection.bytes(sql, { signal, within: duration(60_000) }))
        reader.feed(chunk, row)
    })
    if (reader.rest.length > 0)
      throw new AppError(
        'unavailable',
        `ClickHouse: ${trailingError(reader.rest) ?? 'the answer ended early'}`,
      )
    return count
  }

  async loadMetadata(signal: AbortSignal): Promise<Metadata[]> {
    return await mapped(signal, async () => {
      const rows = await this.#connection.rows<Metadata & { type: MetricType }>(
        'SELECT metric, type, help, unit FROM metadata FINAL ORDER BY metric',
        { signal },
      )
      return rows.map(({ metric, type, help, unit }) => ({ metric, type, help, unit }))
    })
  }

  async copyLedger(versions: readonly LedgerVersion[], signal: AbortSignal): Promise<void> {
    if (versions.length === 0) return
    const rows = new RowWriter(versions.length * 512)
    for (const v of versions) {
      rows.int64(v.sequence).int64(Math.round(v.at)).string(v.kind).string(v.id).uint32(v.version)
      rows
        .string(v.value === null ? '' : JSON.stringify(v.value))
        .string(v.by)
        .string(v.why)
        .string(v.hash)
        .endRow()
    }
    const sql = 'INSERT INTO ledger (sequence, at, kind, id, version, value, by, why, hash) FORMAT RowBinary'
    try {
      await this.#connection.insert(sql, [rows.bytes()], { signal, within: duration(15_000) })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw writeError(error)
    }
  }

  async ledgerCopiedTo(signal: AbortSignal): Promise<number> {
    const sql = 'SELECT max(sequence) AS sequence FROM ledger'
    const [row] = await mapped(signal, () => this.#connection.rows<{ sequence: string }>(sql, { signal }))
    return Number(row?.sequence ?? 0)
  }

  async events(query: EventQuery, signal: AbortSignal): Promise<EventRow[]> {
    const { name, agent } = query
    const conditions = where([
      between('at'),
      name !== undefined && 'name = {name:String}',
      agent !== undefined && 'agent = {agent:String}',
    ])
    const sql = `SELECT toUnixTimestamp64Milli(e.at) AS at, id, name, value, agent, version, outcome, attributes FROM (SELECT * FROM events FINAL WHERE ${conditions} ORDER BY at DESC, id LIMIT {limit:UInt32}) AS e`
    const params = { from: query.fromAt, to: query.toAt, name, agent, limit: query.limit }
    const rows = await mapped(signal, () =>
      this.#connection.rows<EventAnswer>(sql, { signal, params: given(params) }),
    )
    return rows.map((row) => ({ ...row, at: instant(Number(row.at)), value: Number(row.value) }))
  }

  async costs(query: CostQuery, signal: AbortSignal): Promise<CostRow[]> {
    const { agent } = query
    const conditions = where([between('at'), agent !== undefined && 'agent = {agent:String}'])
    const sql = `SELECT toUnixTimestamp64Milli(c.at) AS at, id, agent, version, model, provider, service, owner, usd, quantity, unit, price_version FROM (SELECT * FROM costs FINAL WHERE ${conditions} ORDER BY at DESC, id LIMIT {limit:UInt32}) AS c`
    const params = { from: query.fromAt, to: query.toAt, agent, limit: query.limit }
    const rows = await mapped(signal, () =>
      this.#connection.rows<CostAnswer>(sql, { signal, params: given(params) }),
    )
    return rows.map(({ price_version, ...row }) => ({
      ...row,
      at: instant(Number(row.at)),
      usd: Number(row.usd),
      quantity: Number(row.quantity),
      priceVersion: price_version,
    }))
  }

  async *samplesSince(at: Instant, signal: AbortSignal): AsyncIterable<SampleColumns> {
    const sql = `SELECT id, timestamp, value FROM samples WHERE timestamp >= fromUnixTimestamp64Milli(${Math.floor(at)}) ORDER BY toStartOfHour(timestamp), id, timestamp, seq FORMAT Native`
    const { table } = this.#deps
    const reader = new NativeReader()
    try {
      for await (const chunk of this.#connection.bytes(sql, { signal, within: duration(60_000) })) {
        for (const block of reader.feed(chunk)) {
          const ids = new BigUint64Array(block.columns[0]!, 0, block.rows)
          const ref = new Uint32Array(block.rows)
          let known = -1
          let last: bigint | null = null
          for (let i = 0; i < block.rows; i++) {
            if (ids[i] !== last) {
              last = ids[i]!
              known = table.refOf(last) ?? -1
            }
            ref[i] = known < 0 ? unknownRef : known
          }
          const times = new Float64Array(block.rows)
          millisOf(block.columns[1]!, block.rows, times, 0)
          yield onlyKnown({
            ref,
            at: times,
            value: new Float64Array(block.columns[2]!.slice(0, block.rows * 8)),
          })
        }
      }
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw readError(error)
    }
    if (reader.rest.length > 0)
      throw new AppError(
        'unavailable',
        `ClickHouse: ${trailingError(reader.rest) ?? 'the answer ended early'}`,
      )
  }

  async exemplars(
    query: ExemplarQuery,
    each: (ref: SeriesRef, exemplar: Exemplar) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await mapped(signal, () => readExemplars(this.#connection, this.#deps.table, query, each, signal))
  }

  async stats(signal: AbortSignal): Promise<StoreStats> {
    const sql =
      'SELECT table AS name, sum(rows) AS rows, sum(bytes_on_disk) AS bytes FROM system.parts WHERE active AND database = {database:String} GROUP BY table ORDER BY table'
    const params = { database: this.#deps.database }
    const rows = await mapped(signal, () =>
      this.#connection.rows<{ name: string; rows: string; bytes: string }>(sql, { signal, params }),
    )
    const list = rows.map((row) => ({ name: row.name, rows: Number(row.rows), bytes: Number(row.bytes) }))
    return {
      tables: list,
      rows: list.reduce((sum, row) => sum + row.rows, 0),
      bytesOnDisk: list.reduce((sum, row) => sum + row.bytes, 0),
    }
  }

  async ping(signal: AbortSignal): Promise<void> {
    await mapped(signal, () => this.#connection.ping({ signal, within: duration(3000) }))
  }

  async close(): Promise<void> {
    await this.#connection.close()
  }
}

const unknownRef = 0xffffffff

const given = (params: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined))

/** Without the rows of series that are not in the table (their row was erased by retention). */
const onlyKnown = (columns: SampleColumns): SampleColumns => {
  if (!columns.ref.includes(unknownRef)) return columns
  const rows = Uint32Array.from(columns.ref.keys()).filter((i) => columns.ref[i] !== unknownRef)
  const value = new Float64Array(rows.length)
  const to = new Uint32Array(value.buffer)
  const from = new Uint32Array(columns.value.buffer)
  rows.forEach((row, i) => {
    to[i * 2] = from[row * 2]!
    to[i * 2 + 1] = from[row * 2 + 1]!
  })
  return { ref: rows.map((i) => columns.ref[i]!), at: Float64Array.from(rows, (i) => columns.at[i]!), value }
}

export const createStore = (deps: StoreDeps): Store => new ClickHouseStore(deps)
