// Every table, defined once; the statements for one server and for a cluster are made from the same definition.
import { z } from 'zod'
import { durationSchema } from '../lib/config.ts'
import { type Duration, day } from '../lib/time.ts'

/** A TTL is reckoned in DateTime, which ends in 2106: past that it would wrap around and everything would be too old at once. */
const longest = 50 * 365 * day
const kept = durationSchema.refine((length) => length >= day && length <= longest, {
  message: 'is kept at least 1d and at most 50y',
})

/** How long rows are kept, by class of data. Rows go when their time is older than this. */
export const retentionSchema = z
  .strictObject({
    metrics: kept.prefault('30d'),
    events: kept.prefault('1y'),
    costs: kept.prefault('2y'),
    traces: kept.prefault('7d'),
    logs: kept.prefault('7d'),
    audit: kept.prefault('7y'),
  })
  .prefault({})
export type Retention = z.output<typeof retentionSchema>

export interface Table {
  readonly name: string
  readonly columns: readonly (readonly [name: string, type: string])[]
  readonly engine: 'MergeTree' | 'AggregatingMergeTree' | 'ReplacingMergeTree'
  readonly partitionBy?: string
  readonly orderBy: string
  readonly retention?: { readonly column: string; readonly kind: keyof Retention }
  /** Which server of a cluster a row belongs to. */
  readonly shardBy: string
}

export interface Target {
  readonly database: string
  readonly cluster?: string | undefined
}

const attributes = 'Map(LowCardinality(String), String) CODEC(ZSTD(1))'
const text = 'String CODEC(ZSTD(1))'
const word = 'LowCardinality(String) CODEC(ZSTD(1))'
const millis = 'DateTime64(3) CODEC(Delta(8), ZSTD(1))'
const nanos = 'DateTime64(9) CODEC(Delta(8), ZSTD(1))'

export const series: Table = {
  name: 'series',
  columns: [
    ['id', 'UInt64'],
    ['metric', 'LowCardinality(String)'],
    // One id has one label set, so any of them is the right one.
    ['labels', 'SimpleAggregateFunction(any, Map(String, String)) CODEC(ZSTD(1))'],
    ['first_seen', 'SimpleAggregateFunction(min, DateTime64(3)) CODEC(ZSTD(1))'],
    ['last_seen', 'SimpleAggregateFunction(max, DateTime64(3)) CODEC(ZSTD(1))'],
    // Whether it has rows in `histograms`.
    ['histograms', 'SimpleAggregateFunction(max, UInt8) CODEC(ZSTD(1))'],
  ],
  engine: 'AggregatingMergeTree',
  orderBy: '(metric, id)',
  shardBy: 'id',
}

/** Codecs by measurement (test/bench/store.ts). `seq` is the order in which batches were accepted. */
const samples: Table = {
  name: 'samples',
  columns: [
    ['id', 'UInt64 CODEC(ZSTD(1))'],
    ['timestamp', millis],
    ['value', 'Float64 CODEC(Delta(8), ZSTD(1))'],
    ['seq', 'UInt64 CODEC(ZSTD(1))'],
  ],
  engine: 'MergeTree',
  partitionBy: 'toDate(timestamp)',
  orderBy: '(toStartOfHour(timestamp), id, timestamp)',
  retention: { column: 'timestamp', kind: 'metrics' },
  shardBy: 'id',
}

/** Native histograms: what follows `seq` are the packed columns of model/native-histogram.ts in its order. */
export const histograms: Table = {
  name: 'histograms',
  columns: [
    ['id', 'UInt64 CODEC(ZSTD(1))'],
    ['timestamp', millis],
    ['seq', 'UInt64 CODEC(ZSTD(1))'],
    ['schema', 'Int8 CODEC(ZSTD(1))'],
    ['reset_hint', 'UInt8 CODEC(ZSTD(1))'],
    ['count', 'Float64 CODEC(ZSTD(1))'],
    ['sum', 'Float64 CODEC(ZSTD(1))'],
    ['zero_threshold', 'Float64 CODEC(ZSTD(1))'],
    ['zero_count', 'Float64 CODEC(ZSTD(1))'],
    ['positive_index', 'Array(Int32) CODEC(ZSTD(1))'],
    ['positive_count', 'Array(Float64) CODEC(ZSTD(1))'],
    ['negative_index', 'Array(Int32) CODEC(ZSTD(1))'],
    ['negative_count', 'Array(Float64) CODEC(ZSTD(1))'],
    ['custom_bounds', 'Array(Float64) CODEC(ZSTD(1))'],
  ],
  engine: 'MergeTree',
  partitionBy: 'toDate(timestamp)',
  orderBy: '(toStartOfHour(timestamp), id, timestamp)',
  retention: { column: 'timestamp', kind: 'metrics' },
  shardBy: 'id',
}

const metadata: Table = {
  name: 'metadata',
  columns: [
    ['metric', 'String'],
    ['type', 'LowCardinality(String)'],
    ['help', 'String'],
    ['unit', 'LowCardinality(String)'],
    ['updated_at', 'DateTime64(3)'],
  ],
  engine: 'ReplacingMergeTree',
  orderBy: 'metric',
  shardBy: 'cityHash64(metric)',
}

const events: Table = {
  name: 'events',
  columns: [
    ['at', millis],
    ['id', text],
    ['name', word],
    ['value', 'Float64 CODEC(ZSTD(1))'],
    ['agent', word],
    ['version', word],
    ['outcome', word],
    ['attributes', attributes],
  ],
  engine: 'ReplacingMergeTree',
  partitionBy: 'toYYYYMM(at)',
  orderBy: '(name, agent, at, id)',
  retention: { column: 'at', kind: 'events' },
  shardBy: 'cityHash64(id)',
}

/** What costs learnt with the second version of the tables. */
const costColumns2: Table['columns'] = [
  ['trace_id', text],
  ['span_id', text],
  ['stated_usd', 'Float64 CODEC(ZSTD(1))'],
  ['attributes', attributes],
]

const costs: Table = {
  name: 'costs',
  columns: [
    ['at', millis],
    ['id', text],
    ['agent', word],
    ['version', word],
    ['model', word],
    ['provider', word],
    ['service', word],
    ['owner', word],
    ['usd', 'Float64 CODEC(ZSTD(1))'],
    ['quantity', 'Float64 CODEC(ZSTD(1))'],
    ['unit', word],
    ['price_version', word],
    ...costColumns2,
  ],
  engine: 'ReplacingMergeTree',
  partitionBy: 'toYYYYMM(at)',
  orderBy: '(agent, at, id)',
  retention: { column: 'at', kind: 'costs' },
  shardBy: 'cityHash64(id)',
}

const ledger: Table = {
  name: 'ledger',
  columns: [
    ['sequence', 'UInt64'],
    ['at', millis],
    ['kind', word],
    ['id', text],
    ['version', 'UInt32'],
    ['value', text],
    ['by', word],
    ['why', text],
    ['hash', text],
  ],
  engine: 'ReplacingMergeTree',
  orderBy: 'sequence',
  retention: { column: 'at', kind: 'audit' },
  shardBy: 'sequence',
}

/** Columns as the OpenTelemetry Collector's ClickHouse exporter names them, so that dashboards made for it work here. */
export const traces: Table = {
  name: 'otel_traces',
  columns: [
    ['Timestamp', nanos],
    ['TraceId', text],
    ['SpanId', text],
    ['ParentSpanId', text],
    ['TraceState', text],
    ['SpanName', word],
    ['SpanKind', word],
    ['ServiceName', word],
    ['ResourceAttributes', attributes],
    ['ScopeName', text],
    ['ScopeVersion', text],
    ['SpanAttributes', attributes],
    ['Duration', 'UInt64 CODEC(ZSTD(1))'],
    ['StatusCode', word],
    ['StatusMessage', text],
    ['Events.Timestamp', 'Array(DateTime64(9)) CODEC(ZSTD(1))'],
    ['Events.Name', 'Array(LowCardinality(String)) CODEC(ZSTD(1))'],
    ['Events.Attributes', 'Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1))'],
    ['Links.TraceId', 'Array(String) CODEC(ZSTD(1))'],
    ['Links.SpanId', 'Array(String) CODEC(ZSTD(1))'],
    ['Links.TraceState', 'Array(String) CODEC(ZSTD(1))'],
    ['Links.Attributes', 'Array(Map(LowCardinality(String), String)) CODEC(ZSTD(1))'],
  ],
  engine: 'MergeTree',
  partitionBy: 'toDate(Timestamp)',
  orderBy: '(ServiceName, SpanName, toDateTime(Timestamp))',
  retention: { column: 'Timestamp', kind: 'traces' },
  shardBy: 'cityHash64(TraceId)',
}

export const logs: Table = {
  name: 'otel_logs',
  columns: [
    ['Timestamp', nanos],
    ['TimestampTime', 'DateTime DEFAULT toDateTime(Timestamp)'],
    ['TraceId', text],
    ['SpanId', text],
    ['TraceFlags', 'UInt8'],
    ['SeverityText', word],
    ['SeverityNumber', 'UInt8'],
    ['ServiceName', word],
    ['Body', text],
    ['ResourceSchemaUrl', word],
    ['ResourceAttributes', attributes],
    ['ScopeSchemaUrl', word],
    ['ScopeName', text],
    ['ScopeVersion', word],
    ['ScopeAttributes', attributes],
    ['LogAttributes', attributes],
    ['EventName', text],
  ],
  engine: 'MergeTree',
  partitionBy: 'toDate(TimestampTime)',
  orderBy: '(ServiceName, TimestampTime, Timestamp)',
  retention: { column: 'TimestampTime', kind: 'logs' },
  shardBy: 'cityHash64(TraceId)',
}

/** Single measurements with their traces; `id` is the series they stand for. Rows come as the id, the time, then as model/exemplar.ts packs them. */
export const exemplars: Table = {
  name: 'exemplars',
  columns: [
    ['id', 'UInt64 CODEC(ZSTD(1))'],
    ['timestamp', millis],
    ['value', 'Float64 CODEC(ZSTD(1))'],
    ['trace_id', text],
    ['span_id', text],
    ['labels', attributes],
  ],
  engine: 'MergeTree',
  partitionBy: 'toDate(timestamp)',
  orderBy: '(id, timestamp)',
  retention: { column: 'timestamp', kind: 'metrics' },
  shardBy: 'id',
}

/** When each trace began and ended, so that one is found by its id without a look at every day; filled by a view (otel-lookups.ts). */
export const traceTimes: Table = {
  name: 'otel_traces_trace_id_ts',
  columns: [
    ['TraceId', text],
    ['Start', 'DateTime CODEC(Delta(4), ZSTD(1))'],
    ['End', 'DateTime CODEC(Delta(4), ZSTD(1))'],
  ],
  engine: 'MergeTree',
  partitionBy: 'toDate(Start)',
  orderBy: '(TraceId, Start)',
  retention: { column: 'Start', kind: 'traces' },
  shardBy: 'cityHash64(TraceId)',
}

export const name = (text: string): string => `\`${text.replace(/[`\\]/g, (c) => `\\${c}`)}\``

/** The columns of a table whose rows come packed, in the order of their fields; what has a default is made by the table itself. */
export const packedColumns = (table: Table): string =>
  table.columns
    .filter(([, type]) => !type.includes(' DEFAULT '))
    .map(([column]) => name(column))
    .join(', ')

/** What the first migration makes; later tables come with migrations of their own. */
export const firstTables: readonly Table[] = [series, samples, metadata, events, costs, ledger, traces, logs]
export const tables: readonly Table[] = [...firstTables, exemplars, histograms, traceTimes]

const seconds = (length: Duration): number => Math.ceil(length / 1000)

/** Where rows of a table lie: the table itself, or on a cluster each server's share of it. */
export const storedAs = (table: Table, target: Target): string =>
  target.cluster ? `${table.name}_local` : table.name

export const onCluster = (target: Target): string =>
  target.cluster ? ` ON CLUSTER ${name(target.cluster)}` : ''

const engineOf = (table: Table, target: Target): string =>
  target.cluster
    ? `Replicated${table.engine}('/clickhouse/tables/{shard}/${target.database}/${table.name}', '{replica}')`
    : `${table.engine}()`

/** TTL of a table, null when its rows stay. `toDateTime` because a TTL has no fractions of a second. */
export const ttlOf = (table: Table, retention: Retention): string | null =>
  table.retention
    ? `toDateTime(${table.retention.column}) + toIntervalSecond(${seconds(retention[table.retention.kind])})`
    : null

export const createDatabase = (target: Target): string =>
  `CREATE DATABASE IF NOT EXISTS ${name(target.database)}${onCluster(target)}`

/** CREATE statements of one table: MergeTree on one server; Replicated plus Distributed on a cluster. */
export const createTable = (table: Table, target: Target, retention: Retention): string[] => {
  const database = name(target.database)
  const columns = table.columns.map(([column, type]) => `  ${name(column)} ${type}`).join(',\n')
  const ttl = ttlOf(table, retention)
  const window = target.cluster ? 'replicated_deduplication_window' : 'non_replicated_deduplication_window'
  const settings = [`${window} = 10000`, 'fsync_after_insert = 1', 'fsync_part_directory = 1']
  // Rows of one day (or month) age together, so whole parts go at once and nothing is rewritten.
  if (ttl && table.partitionBy) settings.push('ttl_only_drop_parts = 1')
  const stored = [
    `CREATE TABLE IF NOT EXISTS ${database}.${name(storedAs(table, target))}${onCluster(target)} (\n${columns}\n)`,
    `ENGINE = ${engineOf(table, target)}`,
    ...(table.partitionBy ? [`PARTITION BY ${table.partitionBy}`] : []),
    `ORDER BY ${table.orderBy}`,
    ...(ttl ? [`TTL ${ttl}`] : []),
    `SETTINGS ${settings.join(', ')}`,
  ].join('\n')
  if (!target.cluster) return [stored]
  return [
    stored,
    `CREATE TABLE IF NOT EXISTS ${database}.${name(table.name)}${onCluster(target)} AS ${database}.${name(storedAs(table, target))}\n` +
      `ENGINE = Distributed(${name(target.cluster)}, ${database}, ${name(storedAs(table, target))}, ${table.shardBy})`,
  ]
}

/** Adds a column to a table that may have it already, on a cluster to each server's share of it first. */
export const addColumn = (table: Table, column: string, target: Target): string[] => {
  const type = table.columns.find(([known]) => known === column)![1]
  const places = target.cluster ? [storedAs(table, target), table.name] : [table.name]
  return places.map(
    (place) =>
      `ALTER TABLE ${name(target.database)}.${name(place)}${onCluster(target)} ADD COLUMN IF NOT EXISTS ${name(column)} ${place === table.name && target.cluster ? type.replace(/ CODEC.*/, '') : type}`,
  )
}

/** Adds the columns that a table of an older version lacks, on its shares and on the whole. */
export const addCostColumns = (target: Target): string[] => {
  const adds = costColumns2
    .map(([column, type]) => `ADD COLUMN IF NOT EXISTS ${name(column)} ${type}`)
    .join(', ')
  // A Distributed table takes no codecs.
  const bare = adds.replace(/ CODEC\((?:[^()]|\([^()]*\))*\)/g, '')
  const alter = (table: string, columns: string): string =>
    `ALTER TABLE ${name(target.database)}.${name(table)}${onCluster(target)} ${columns}`
  const stored = alter(storedAs(costs, target), adds)
  return target.cluster ? [stored, alter(costs.name, bare)] : [stored]
}

export const alterTtl = (table: Table, target: Target, ttl: string): string =>
  `ALTER TABLE ${name(target.database)}.${name(storedAs(table, target))}${onCluster(target)} MODIFY TTL ${ttl}`
