// Reads costs back: sums by group and by day, the costs and spans of one trace, and which rows are there already.
import { AppError } from '../lib/errors.ts'
import { type Instant, instant } from '../lib/time.ts'
import type {
  CostGroup,
  CostSum,
  DayCost,
  MoneyReader,
  TraceCost,
  TraceSpan,
  TraceSum,
  Within,
} from '../model/ports/money-reader.ts'
import { type Connection, readError } from './connection.ts'

const columns: Readonly<Record<CostGroup, string>> = {
  agent: 'agent',
  version: 'version',
  model: 'model',
  provider: 'provider',
  service: 'service',
  owner: 'owner',
  price_version: 'price_version',
}
/** Parts of a dollar in which sums are exact. */
const parts = 'toInt128(round(usd * 1e12)) AS parts'
const within = 'at >= fromUnixTimestamp64Milli({from:Int64}) AND at < fromUnixTimestamp64Milli({to:Int64})'

/** Sums of trillionths of a dollar as a decimal number without noise. */
export const exactUsd = (trillionths: string): string => {
  const sign = trillionths.startsWith('-') ? '-' : ''
  const digits = trillionths.replace('-', '').padStart(13, '0')
  const rest = digits.slice(-12).replace(/0+$/, '')
  return `${sign}${digits.slice(0, -12)}${rest === '' ? '' : `.${rest}`}`
}

const span = (fromAt: Instant, toAt: Instant) => ({ from: Math.floor(fromAt), to: Math.floor(toAt) })

class ClickHouseMoney implements MoneyReader {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async #rows<T>(sql: string, params: Record<string, unknown>, signal: AbortSignal): Promise<T[]> {
    try {
      return await this.#connection.rows<T>(sql, { signal, params })
    } catch (error) {
      if (signal.aborted) throw signal.reason
      throw readError(error)
    }
  }

  /** When a trace was, so that only its days are read; null when nothing of it is there. */
  async #timesOf(traceId: string, signal: AbortSignal): Promise<{ from: number; to: number } | null> {
    const sql =
      'SELECT toUnixTimestamp64Milli(toDateTime64(min(Timestamp), 3)) AS from, toUnixTimestamp64Milli(toDateTime64(max(Timestamp), 3)) AS to, count() AS n FROM otel_traces WHERE TraceId = {id:String}'
    const [row] = await this.#rows<{ from: string; to: string; n: string }>(sql, { id: traceId }, signal)
    if (!row || Number(row.n) === 0) return null
    const slack = 86_400_000
    return { from: Number(row.from) - slack, to: Number(row.to) + slack }
  }

  async sums(
    { fromAt, toAt, by, limit }: Parameters<MoneyReader['sums']>[0],
    signal: AbortSignal,
  ): Promise<CostSum[]> {
    const named = by.map((group) => columns[group])
    if (named.some((column) => column === undefined))
      throw new AppError('bad_data', `costs cannot be grouped by ${by.join(', ')}`)
    const list = named.length > 0 ? `${named.join(', ')}, ` : ''
    const sql = `SELECT ${list}toString(sum(parts)) AS spent, toString(sumIf(parts, attributes['outcome'] = 'error')) AS failed, countIf(startsWith(id, 'span:')) AS calls, count() AS rows FROM (SELECT *, ${parts} FROM costs FINAL WHERE ${within})${named.length > 0 ? ` GROUP BY ${named.join(', ')}` : ''} ORDER BY sum(parts) DESC LIMIT {limit:UInt32}`
    type Row = Record<string, string> & { spent: string; failed: string; calls: string; rows: string }
    const found = await this.#rows<Row>(sql, { ...span(fromAt, toAt), limit }, signal)
    return found.map(
      (row): CostSum => ({
        group: Object.fromEntries(by.map((group) => [group, row[columns[group]] ?? ''])),
        usd: exactUsd(row.spent),
        failedUsd: exactUsd(row.failed),
        calls: Number(row.calls),
        rows: Number(row.rows),
      }),
    )
  }

  async topTraces(
    { fromAt, toAt, limit }: Parameters<MoneyReader['topTraces']>[0],
    signal: AbortSignal,
  ): Promise<TraceSum[]> {
    const sql = `SELECT trace_id, toString(sum(parts)) AS spent, count() AS calls, toUnixTimestamp64Milli(min(c.at)) AS first, groupUniqArray(8)(agent) AS agents FROM (SELECT *, ${parts} FROM costs FINAL WHERE ${within} AND trace_id != '') AS c GROUP BY trace_id ORDER BY sum(parts) DESC LIMIT {limit:UInt32}`
    type Row = { trace_id: string; spent: string; calls: string; first: string; agents: string[] }
    const found = await this.#rows<Row>(sql, { ...span(fromAt, toAt), limit }, signal)
    return found.map((row) => ({
      traceId: row.trace_id,
      usd: exactUsd(row.spent),
      calls: Number(row.calls),
      at: instant(Number(row.first)),
      agents: [...row.agents].sort(),
    }))
  }

  async trace(traceId: string, most: number, signal: AbortSignal) {
    const times = await this.#timesOf(traceId, signal)
    const dated = times === null ? '' : ` AND ${within}`
    const costSql = `SELECT span_id, toUnixTimestamp64Milli(c.at) AS at, agent, version, model, provider, usd, stated_usd, quantity, unit, price_version, attributes FROM (SELECT * FROM costs FINAL WHERE trace_id = {id:String}${dated}) AS c ORDER BY at, id LIMIT {most:UInt32}`
    type CostAnswer = Omit<TraceCost, 'at' | 'spanId' | 'statedUsd' | 'priceVersion'> & {
      at: string
      span_id: string
      stated_usd: number
      price_version: string
    }
    const params = { id: traceId, most, ...(times ?? {}) }
    const costs = await this.#rows<CostAnswer>(costSql, params, signal)
    const spanSql =
      'SELECT SpanId, any(ParentSpanId) AS parent, any(SpanName) AS name, any(ServiceName) AS service, any(StatusCode) AS status, min(toUnixTimestamp64Nano(Timestamp)) / 1e6 AS start, any(Duration) / 1e6 AS length, any(mapFilter((k, v) -> k IN {keys:Array(String)}, SpanAttributes)) AS attributes FROM otel_traces WHERE TraceId = {id:String} AND Timestamp >= fromUnixTimestamp64Milli({from:Int64}) AND Timestamp < fromUnixTimestamp64Milli({to:Int64}) GROUP BY SpanId ORDER BY start LIMIT {most:UInt32}'
    type SpanAnswer = {
      SpanId: string
      parent: string
      name: string
      service: string
      status: string
      start: number
      length: number
      attributes: Record<string, string>
    }
    const spans =
      times === null ? [] : await this.#rows<SpanAnswer>(spanSql, { ...params, keys: [...roleKeys] }, signal)
    return {
      costs: costs.map(({ span_id, stated_usd, price_version, ...c }) => ({
        ...c,
        at: instant(Number(c.at)),
        usd: Number(c.usd),
        quantity: Number(c.quantity),
        spanId: span_id,
        statedUsd: Number(stated_usd),
        priceVersion: price_version,
      })),
      spans: spans.map(
        (s): TraceSpan => ({
          spanId: s.SpanId,
          parentSpanId: s.parent,
          name: s.name,
          service: s.service,
          failed: s.status === 'Error' || s.status === 'STATUS_CODE_ERROR',
          startAt: Number(s.start),
          duration: Number(s.length),
          attributes: s.attributes,
        }),
      ),
    }
  }

  async known(ids: readonly string[], signal: AbortSignal): Promise<ReadonlySet<string>> {
    const sql = 'SELECT DISTINCT id FROM costs WHERE id IN {ids:Array(String)}'
    const found = await this.#rows<{ id: string }>(sql, { ids: [...ids] }, signal)
    return new Set(found.map((row) => row.id))
  }

  async broughtColumns({ fromAt, toAt }: Within, signal: AbortSignal): Promise<string[]> {
    const sql = `SELECT DISTINCT arrayJoin(mapKeys(attributes)) AS name FROM costs WHERE ${within} AND startsWith(id, 'focus:') ORDER BY name`
    const found = await this.#rows<{ name: string }>(sql, span(fromAt, toAt), signal)
    return found.map((row) => row.name).filter((name) => name.startsWith('x_'))
  }

  async days({ fromAt, toAt }: Within, signal: AbortSignal): Promise<DayCost[]> {
    const tag = (key: string): string => `attributes['${key}']`
    // Rows that came as a bill keep their own identity; all others are put together by day.
    const sql = `SELECT day, agent, version, model, provider, service, owner, unit, price_version, kind, bill, any(brought) AS attributes, toString(sum(parts)) AS spent, sum(quantity) AS amount, count() AS rows FROM (SELECT toString(toDate(at, 'UTC')) AS day, agent, version, model, provider, service, owner, unit, price_version, multiIf(startsWith(id, 'focus:'), 'focus', startsWith(id, 'infra:'), 'infra', 'model') AS kind, if(startsWith(id, 'focus:'), id, ${tag('sku')}) AS bill, if(startsWith(id, 'focus:') OR startsWith(id, 'infra:'), attributes, map()) AS brought, ${parts}, quantity FROM costs FINAL WHERE ${within}) GROUP BY day, agent, version, model, provider, service, owner, unit, price_version, kind, bill ORDER BY day, kind, provider, service, model, agent, bill`
    type Row = Omit<DayCost, 'priceVersion' | 'usd' | 'quantity'> & {
      price_version: string
      spent: string
      amount: number
    }
    const found = await this.#rows<Row>(sql, span(fromAt, toAt), signal)
    return found.map(({ price_version, spent, amount, ...row }) => ({
      ...row,
      usd: exactUsd(spent),
      quantity: Number(amount),
      priceVersion: price_version,
    }))
  }
}

export const createMoneyReader = (connection: Connection): MoneyReader => new ClickHouseMoney(connection)

/** Attributes that say what part of a trace a span is. */
const roleKeys: readonly string[] = [
  'gen_ai.operation.name',
  'gen_ai.agent.name',
  'gen_ai.agent.version',
  'gen_ai.tool.name',
  'gen_ai.request.model',
  'gen_ai.response.model',
  'openinference.span.kind',
  'traceloop.span.kind',
  'traceloop.entity.name',
  'agent.name',
  'error.type',
]
