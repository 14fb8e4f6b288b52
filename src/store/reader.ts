// Says scans in SQL: series by id, samples as sorted Native columns, in slices of bounded size.
import { randomUUID } from 'node:crypto'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { RowReader } from '../lib/row-binary.ts'
import { duration, minute, plus, second } from '../lib/time.ts'
import type { SeriesColumns } from '../model/columns.ts'
import type { Scan } from '../model/plan.ts'
import type { SeriesIndex } from '../model/ports/series-index.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { type Connection, readError, type Settings } from './connection.ts'
import { type Clash, dropSample, HistogramRows } from './histogram-rows.ts'
import { type Block, NativeReader, trailingError } from './native.ts'
import { histograms, packedColumns } from './schema.ts'
import {
  type Conflict,
  lowWord,
  SliceBuilder,
  type SliceForm,
  type SliceMemory,
  settle,
  sliceMemory,
  widthsOf,
} from './slice-builder.ts'

export interface ReaderDeps {
  readonly connection: Connection
  readonly table: SeriesTable
  readonly index: SeriesIndex
  readonly log: Logger
  /** How much older than its series' first sample a later one may be, in milliseconds. Two hours by default. */
  readonly lateBy?: number | undefined
  /** Slices read at one time, over all queries. */
  readonly concurrency?: number
}

/** Rows a slice is meant to have, when series have a sample every 15 s. */
const sliceRows = 1_500_000
const usualInterval = 15_000
/** Rows that memory kept between slices has at most. */
const mostSpare = sliceRows * 1.2
/** Most ids one statement names. */
const idsAtOnce = 5000
/** From here on the last sample of each series is picked by the engine. */
const pickInEngine = 15 * minute
const readWithin = duration(60_000)
/**
 * A series row is written when the series is new and every hour from then on: samples may be this much newer than it says (`lastSeenEvery` of the
 * writer), and older by what is taken out of order. The span asked of the index is that much wider.
 */
const slack = 2 * 3_600_000

const readSettings: Settings = {
  max_query_size: 1 << 22,
  max_execution_time: 120,
  // Killed with its client on servers, where GET-like reads are.
  cancel_http_readonly_queries_on_client_close: 1,
  max_block_size: 65_409,
}

/** Rows that a series is likely to have, at most as many as a slice is meant to. */
const perSeries = (plan: Scan): number =>
  plan.pick === 'last' ? 1 : Math.min(Math.max(1, (plan.toAt - plan.fromAt) / usualInterval), sliceRows)

const formOf = (plan: Scan): SliceForm => ({
  base: Math.floor(plan.fromAt),
  narrow: plan.toAt - plan.fromAt < 0xffff_0000,
})

const idOrder = (table: SeriesTable) => {
  const words = table.idWords
  return (a: SeriesRef, b: SeriesRef): number =>
    words[a * 2 + 1]! - words[b * 2 + 1]! || words[a * 2]! - words[b * 2]!
}

const overSamples = (plan: Scan): AppError =>
  new AppError(
    'limit_exceeded',
    `the query reads more than ${plan.limits.samples} samples; shorten its range or narrow its matchers`,
  )

const endedEarly = (rest: Buffer): AppError =>
  new AppError('unavailable', `ClickHouse: ${trailingError(rest) ?? 'the answer ended early'}`, {
    retryable: true,
  })

class Reader implements SeriesReader {
  readonly #deps: ReaderDeps
  #free: number
  /** Memory of a slice that was read, for the next one: large queries would else make garbage by the hundred megabytes. */
  #spare: SliceMemory | null = null
  readonly #waiting: (() => void)[] = []

  constructor(deps: ReaderDeps) {
    this.#deps = deps
    this.#free = deps.concurrency ?? 4
  }

  async *read(plan: Scan, signal: AbortSignal): AsyncIterable<SeriesColumns> {
    const { table, index } = this.#deps
    const span = { fromAt: plus(plan.fromAt, -slack), toAt: plus(plan.toAt, this.#deps.lateBy ?? slack) }
    const refs = index.select(plan.matchers, span)
    if (refs.length > plan.limits.series)
      throw new AppError(
        'limit_exceeded',
        `the selector matches ${refs.length} series, at most ${plan.limits.series} are read; narrow its matchers`,
      )
    if (refs.length === 0 || plan.toAt <= plan.fromAt) return
    refs.sort(idOrder(table))
    const budget = { left: plan.limits.samples }
    const stop = new AbortController()
    const leave = (): void => stop.abort(signal.reason)
    signal.addEventListener('abort', leave, { once: true })
    try {
      signal.throwIfAborted()
      yield* this.#slices(plan, this.#cut(refs, plan), budget, stop.signal)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw readError(error)
    } finally {
      signal.removeEventListener('abort', leave)
      stop.abort(new AppError('canceled', 'the reader was left'))
    }
  }

  /** Slices in order, the next one under way while one is used. */
  async *#slices(
    plan: Scan,
    slices: readonly (readonly SeriesRef[])[],
    budget: { left: number },
    signal: AbortSignal,
  ): AsyncGenerator<SeriesColumns> {
    const start = (i: number): Promise<SeriesColumns> | null => {
      if (i >= slices.length) return null
      const read = this.#slice(plan, slices[i]!, budget, signal)
      // Awaited later; until then a failure must not count as unhandled.
      read.catch(() => undefined)
      return read
    }
    let next = start(0)
    for (let i = 0; next; i++) {
      const columns = await next
      next = start(i + 1)
      if (columns.labels.length > 0) yield columns
    }
  }

  #cut(refs: readonly SeriesRef[], plan: Scan): SeriesRef[][] {
    const size = Math.max(1, Math.min(idsAtOnce, Math.floor(sliceRows / perSeries(plan))))
    const slices: SeriesRef[][] = []
    const { table } = this.#deps
    const lows = new Set<number>()
    let slice: SeriesRef[] = []
    for (const ref of refs) {
      const low = lowWord(table, ref)
      if (slice.length >= size || lows.has(low)) {
        slices.push(slice)
        slice = []
        lows.clear()
      }
      lows.add(low)
      slice.push(ref)
    }
    if (slice.length > 0) slices.push(slice)
    return slices
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return
    }
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        reject(signal.reason)
      }
      this.#waiting.push(go)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #done(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }

  /** Memory for the rows that so many series are likely to have. */
  #takeMemory(plan: Scan, series: number): SliceMemory {
    const rows = Math.ceil(series * perSeries(plan) * 1.1) + 16
    const spare = this.#spare
    if (!spare || spare.at.length < rows) return sliceMemory(rows)
    this.#spare = null
    return spare
  }

  async #slice(
    plan: Scan,
    refs: readonly SeriesRef[],
    budget: { left: number },
    signal: AbortSignal,
  ): Promise<SeriesColumns> {
    await this.#turn(signal)
    try {
      const form = formOf(plan)
      const builder = new SliceBuilder(this.#deps.table, refs, form, this.#takeMemory(plan, refs.length))
      let before = 0
      for await (const block of this.#blocks(this.#sql(plan, refs, form), signal, widthsOf(form))) {
        builder.add(block)
        budget.left -= builder.rows - before
        before = builder.rows
        if (budget.left < 0) throw overSamples(plan)
      }
      const { columns, refs: found, conflicts } = builder.build()
      const { memory } = builder
      if (memory.at.length <= mostSpare && memory.at.length > (this.#spare?.at.length ?? 0))
        this.#spare = memory
      if (conflicts.length > 0) await this.#settle(columns, found, conflicts, signal)
      const own = refs.filter((ref) => this.#deps.table.hasHistograms(ref))
      return own.length === 0
        ? columns
        : await this.#withHistograms(plan, columns, found, own, budget, signal)
    } finally {
      this.#done()
    }
  }

  /** Adds the native histograms of those series that have some. */
  async #withHistograms(
    plan: Scan,
    columns: SeriesColumns,
    found: readonly SeriesRef[],
    refs: readonly SeriesRef[],
    budget: { left: number },
    signal: AbortSignal,
  ): Promise<SeriesColumns> {
    const { table } = this.#deps
    const rows = new HistogramRows(table)
    const [order, limit] = plan.pick === 'last' ? [' DESC', ' LIMIT 1 BY id'] : ['', '']
    const sql = `SELECT id, toUnixTimestamp64Milli(timestamp), ${packedColumns(histograms).replace(/^`id`, `timestamp`, /, '')} FROM histograms WHERE ${this.#where(plan, refs)} ORDER BY id, timestamp${order}, seq${limit} FORMAT RowBinary`
    let before = 0
    await this.#rows(sql, rows.take, signal, () => {
      budget.left -= rows.samples - before
      before = rows.samples
      if (budget.left < 0) throw overSamples(plan)
    })
    const clashes = rows.clashes(columns, found)
    if (clashes.length > 0) await this.#settleKinds(columns, found, rows, clashes, signal)
    return rows.beside(columns, found)
  }

  /** Where a float and a histogram contend for a time, the one that was accepted first stays. */
  async #settleKinds(
    columns: SeriesColumns,
    found: readonly SeriesRef[],
    rows: HistogramRows,
    clashes: readonly Clash[],
    signal: AbortSignal,
  ): Promise<void> {
    const refs = [...new Set(clashes.map((c) => c.ref))]
    const span = {
      fromAt: (Math.min(...clashes.map((c) => c.at)) - 1) as Scan['fromAt'],
      toAt: Math.max(...clashes.map((c) => c.at)) as Scan['toAt'],
    }
    const first = new Map<string, number>()
    const sql = `SELECT id, toUnixTimestamp64Milli(timestamp), min(seq) FROM samples WHERE ${this.#where(span, refs)} GROUP BY id, timestamp FORMAT RowBinary`
    const take = (r: RowReader): void => {
      const key = `${r.uint64()} ${r.int64()}`
      first.set(key, r.int64())
    }
    await this.#rows(sql, take, signal)
    for (const clash of clashes) {
      const seq = first.get(`${this.#deps.table.id(clash.ref)} ${clash.at}`)
      if (seq === undefined || seq <= clash.seq) rows.drop(clash)
      else dropSample(columns, found.indexOf(clash.ref), clash.at)
    }
  }

  async #rows(
    sql: string,
    take: (r: RowReader) => void,
    signal: AbortSignal,
    after: () => void = () => undefined,
  ): Promise<void> {
    const reader = new RowReader()
    const queryId = randomUUID()
    let ended = false
    try {
      const options = { signal, queryId, within: readWithin, settings: readSettings }
      for await (const chunk of this.#deps.connection.bytes(sql, options)) {
        reader.feed(chunk, take)
        after()
      }
      ended = true
    } finally {
      if (!ended && signal.aborted) this.#kill(queryId)
    }
    if (reader.rest.length > 0) throw endedEarly(reader.rest)
  }

  #where(plan: Pick<Scan, 'fromAt' | 'toAt'>, refs: readonly SeriesRef[]): string {
    const { table } = this.#deps
    const time = `timestamp > fromUnixTimestamp64Milli(${Math.floor(plan.fromAt)}) AND timestamp <= fromUnixTimestamp64Milli(${Math.floor(plan.toAt)})`
    if (refs.length === 1) return `${time} AND id = ${table.id(refs[0]!)}`
    return `${time} AND id IN (${refs.map((ref) => table.id(ref)).join(',')})`
  }

  #sql(plan: Scan, refs: readonly SeriesRef[], { base, narrow }: SliceForm): string {
    const where = this.#where(plan, refs)
    const id = 'toUInt32(id)'
    const time = (column: string): string => {
      const offset = `toUnixTimestamp64Milli(${column}) - toInt64(${base})`
      return narrow ? `toUInt32(${offset})` : offset
    }
    if (plan.pick === 'last' && plan.toAt - plan.fromAt > pickInEngine) {
      // Of samples at one time the first accepted wins, hence the turned sequence.
      const last = 'argMax(value, (timestamp, bitNot(seq)))'
      return `SELECT ${id}, ${time('max(timestamp)')}, ${last} FROM samples WHERE ${where} GROUP BY id FORMAT Native`
    }
    return `SELECT ${id}, ${time('timestamp')}, value FROM samples WHERE ${where} ORDER BY toStartOfHour(timestamp), id, timestamp FORMAT Native`
  }

  async *#blocks(sql: string, signal: AbortSignal, widths?: readonly number[]): AsyncGenerator<Block> {
    const reader = new NativeReader(widths)
    const queryId = randomUUID()
    let ended = false
    try {
      const options = { signal, queryId, within: readWithin, settings: readSettings }
      for await (const chunk of this.#deps.connection.bytes(sql, options)) yield* reader.feed(chunk)
      ended = true
    } finally {
      if (!ended && signal.aborted) this.#kill(queryId)
    }
    if (reader.rest.length === 0) return
    throw endedEarly(reader.rest)
  }

  /** A server goes on with a query whose client has gone, unless it is told. */
  #kill(queryId: string): void {
    const { connection, log } = this.#deps
    connection
      .command('KILL QUERY WHERE query_id = {id:String} ASYNC', {
        signal: connection.clock.timeout(duration(5 * second)),
        params: { id: queryId },
      })
      .catch((error: unknown) => log.debug({ err: messageOf(error), queryId }, 'a query could not be killed'))
  }

  async #settle(
    columns: SeriesColumns,
    refs: readonly SeriesRef[],
    conflicts: readonly Conflict[],
    signal: AbortSignal,
  ): Promise<void> {
    const ids = [...new Set(conflicts.map((c) => c.ref))]
    for (let i = 0; i < ids.length; i += idsAtOnce) {
      const part = new Set(ids.slice(i, i + idsAtOnce))
      const times = conflicts.filter((c) => part.has(c.ref)).map((c) => c.at)
      const low = times.reduce((a, b) => Math.min(a, b))
      const high = times.reduce((a, b) => Math.max(a, b))
      const where = this.#where({ fromAt: (low - 1) as Scan['fromAt'], toAt: high as Scan['toAt'] }, [
        ...part,
      ])
      const sql = `SELECT id, timestamp, argMin(value, seq) AS v FROM samples WHERE ${where} GROUP BY id, timestamp HAVING count() > 1 FORMAT Native`
      for await (const block of this.#blocks(sql, signal)) settle(columns, refs, this.#deps.table, block)
    }
  }
}

/** Reads samples out of ClickHouse. `limit_exceeded` past the plan's limits, `unavailable` when the store does not answer. */
export const createReader = (deps: ReaderDeps): SeriesReader => new Reader(deps)
