// Traces and logs out of ClickHouse: a trace by its id through the table of trace times, lists by time and what they are asked for.
import { AppError } from '../lib/errors.ts'
import { duration } from '../lib/time.ts'
import type { TraceReader } from '../model/ports/trace-reader.ts'
import type { Attributes } from '../model/span.ts'
import {
  type LogQuery,
  mostSpansOfTrace,
  type StoredLog,
  type StoredSpan,
  type TraceQuery,
  type TraceSummary,
} from '../model/stored-trace.ts'
import { type Connection, readError } from './connection.ts'

/** How long one question may take; the server gives up by itself a little sooner. */
const within = duration(15_000)
const settings = { max_execution_time: 14, max_memory_usage: 1 << 30 }

interface SpanAnswer {
  readonly start: string
  readonly TraceId: string
  readonly SpanId: string
  readonly ParentSpanId: string
  readonly SpanName: string
  readonly SpanKind: string
  readonly ServiceName: string
  readonly ResourceAttributes: Attributes
  readonly ScopeName: string
  readonly SpanAttributes: Attributes
  readonly duration: string
  readonly StatusCode: StoredSpan['status']
  readonly StatusMessage: string
  readonly eventTimes: readonly string[]
  readonly 'Events.Name': readonly string[]
  readonly 'Events.Attributes': readonly Attributes[]
  readonly 'Links.TraceId': readonly string[]
  readonly 'Links.SpanId': readonly string[]
}

const millis = (nanos: string): number => Number(BigInt(nanos) / 1000n) / 1000

const spanOf = (row: SpanAnswer): StoredSpan => ({
  traceId: row.TraceId,
  spanId: row.SpanId,
  parentSpanId: row.ParentSpanId,
  name: row.SpanName,
  kind: row.SpanKind,
  service: row.ServiceName,
  startAt: millis(row.start),
  duration: Number(row.duration) / 1e9,
  status: row.StatusCode,
  statusMessage: row.StatusMessage,
  scope: row.ScopeName,
  resource: row.ResourceAttributes,
  attributes: row.SpanAttributes,
  events: row['Events.Name'].map((name, i) => ({
    name,
    at: millis(row.eventTimes[i]!),
    attributes: row['Events.Attributes'][i]!,
  })),
  links: row['Links.TraceId'].map((traceId, i) => ({ traceId, spanId: row['Links.SpanId'][i]! })),
})

const spanColumns = [
  'toString(toUnixTimestamp64Nano(Timestamp)) AS start, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName',
  'ResourceAttributes, ScopeName, SpanAttributes, toString(Duration) AS duration, StatusCode, StatusMessage',
  'arrayMap(t -> toString(toUnixTimestamp64Nano(t)), Events.Timestamp) AS eventTimes, Events.Name, Events.Attributes',
  'Links.TraceId, Links.SpanId',
].join(', ')

const between = (column: string): string =>
  `${column} >= fromUnixTimestamp64Milli({from:Int64}) AND ${column} <= fromUnixTimestamp64Milli({to:Int64})`

const all = (conditions: readonly (string | false)[]): string =>
  conditions.filter((c) => c !== false).join(' AND ') || '1'

const given = (params: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined))

class ClickHouseTraces implements TraceReader {
  readonly #connection: Connection

  constructor(connection: Connection) {
    this.#connection = connection
  }

  async #rows<T>(sql: string, params: Readonly<Record<string, unknown>>, signal: AbortSignal): Promise<T[]> {
    try {
      return await this.#connection.rows<T>(sql, { signal, within, settings, params: given(params) })
    } catch (thrown) {
      if (signal.aborted) throw signal.reason
      const error = readError(thrown)
      if (error.code !== 'timeout' && error.code !== 'limit_exceeded') throw error
      throw new AppError(
        error.code,
        'too much lies between these times; ask for a shorter range or one service',
        {
          cause: thrown,
        },
      )
    }
  }

  async trace(traceId: string, signal: AbortSignal): Promise<{ spans: StoredSpan[]; cut: boolean }> {
    const [times] = await this.#rows<{ start: string; end: string; n: string }>(
      'SELECT toUnixTimestamp(min(Start)) AS start, toUnixTimestamp(max(End)) + 1 AS end, count() AS n FROM otel_traces_trace_id_ts WHERE TraceId = {id:String}',
      { id: traceId },
      signal,
    )
    // The view may be a moment behind; the index over trace ids finds it too.
    const known = Number(times?.n ?? 0) > 0
    const rows = await this.#rows<SpanAnswer>(
      `SELECT ${spanColumns} FROM otel_traces WHERE ${all([
        'TraceId = {id:String}',
        // Compared with whole seconds, a part that lies within the last of them is passed over.
        known && 'Timestamp >= toDateTime64({start:UInt32}, 9) AND Timestamp < toDateTime64({end:UInt32}, 9)',
      ])} ORDER BY Timestamp LIMIT 1 BY SpanId LIMIT ${mostSpansOfTrace + 1}`,
      { id: traceId, ...(known ? { start: times!.start, end: times!.end } : {}) },
      signal,
    )
    return { spans: rows.slice(0, mostSpansOfTrace).map(spanOf), cut: rows.length > mostSpansOfTrace }
  }

  async traces(query: TraceQuery, signal: AbortSignal): Promise<TraceSummary[]> {
    const { fromAt: from, toAt: to, agent, service, minDuration, error, limit } = query
    const having = all([
      service !== undefined && 'countIf(ServiceName = {service:String}) > 0',
      agent !== undefined &&
        "countIf(SpanAttributes['gen_ai.agent.name'] = {agent:String} OR ServiceName = {agent:String}) > 0",
      minDuration !== undefined && 'max(Duration) >= {least:UInt64}',
      error === true && "countIf(StatusCode = 'Error') > 0",
      error === false && "countIf(StatusCode = 'Error') = 0",
    ])
    const found = await this.#rows<{
      TraceId: string
      start: string
      took: string
      spans: string
      errors: string
      name: string
      service: string
    }>(
      `SELECT TraceId, toString(toUnixTimestamp64Nano(min(Timestamp))) AS start,
        toString(max(toUnixTimestamp64Nano(Timestamp) + Duration) - min(toUnixTimestamp64Nano(Timestamp))) AS took,
        count() AS spans, countIf(StatusCode = 'Error') AS errors,
        argMin(SpanName, (ParentSpanId != '', Timestamp)) AS name,
        argMin(ServiceName, (ParentSpanId != '', Timestamp)) AS service
      FROM otel_traces WHERE ${between('Timestamp')} AND TraceId != ''
      GROUP BY TraceId HAVING ${having} ORDER BY min(Timestamp) DESC, TraceId LIMIT {limit:UInt32}`,
      { from, to, agent, service, least: minDuration && Math.round(minDuration * 1e9), limit },
      signal,
    )
    const actors = await this.#actors(
      found.map((f) => f.TraceId),
      query,
      signal,
    )
    return found.map((row) => ({
      traceId: row.TraceId,
      name: row.name,
      service: row.service,
      startAt: millis(row.start),
      duration: Number(row.took) / 1e9,
      spans: Number(row.spans),
      errors: Number(row.errors),
      agents: actors.get(row.TraceId)?.agents ?? [],
      models: actors.get(row.TraceId)?.models ?? [],
    }))
  }

  /** Agents and models of a few traces. */
  async #actors(
    ids: readonly string[],
    { fromAt: from, toAt: to }: TraceQuery,
    signal: AbortSignal,
  ): Promise<Map<string, { agents: string[]; models: string[] }>> {
    if (ids.length === 0) return new Map()
    const set = (key: string): string =>
      `arraySort(groupUniqArrayIf(8)(SpanAttributes['${key}'], SpanAttributes['${key}'] != ''))`
    const rows = await this.#rows<{ TraceId: string; agents: string[]; models: string[] }>(
      `SELECT TraceId, ${set('gen_ai.agent.name')} AS agents, ${set('gen_ai.request.model')} AS models
      FROM otel_traces WHERE ${between('Timestamp')} AND TraceId IN {ids:Array(String)} GROUP BY TraceId`,
      { from, to, ids },
      signal,
    )
    return new Map(rows.map(({ TraceId, ...row }) => [TraceId, row]))
  }

  async logs(query: LogQuery, signal: AbortSignal): Promise<StoredLog[]> {
    const { fromAt: from, toAt: to, service, severity, text, traceId, limit } = query
    const rows = await this.#rows<Omit<StoredLog, 'at'> & { at: string }>(
      `SELECT toString(toUnixTimestamp64Nano(Timestamp)) AS at, TraceId AS traceId, SpanId AS spanId, SeverityNumber AS severity,
        SeverityText AS severityText, ServiceName AS service, Body AS body, EventName AS event, ScopeName AS scope,
        ResourceAttributes AS resource, LogAttributes AS attributes
      FROM otel_logs WHERE ${all([
        // The sorting key has whole seconds.
        'TimestampTime >= toDateTime(intDiv({from:Int64}, 1000))',
        'TimestampTime <= toDateTime(intDiv({to:Int64}, 1000))',
        between('Timestamp'),
        service !== undefined && 'ServiceName = {service:String}',
        severity !== undefined && 'SeverityNumber >= {severity:UInt8}',
        text !== undefined && 'positionCaseInsensitiveUTF8(Body, {text:String}) > 0',
        traceId !== undefined && 'TraceId = {traceId:String}',
      ])} ORDER BY Timestamp DESC LIMIT {limit:UInt32}`,
      { from, to, service, severity, text, traceId, limit },
      signal,
    )
    return rows.map((row) => ({ ...row, at: millis(row.at) }))
  }
}

export const createTraceReader = (connection: Connection): TraceReader => new ClickHouseTraces(connection)
