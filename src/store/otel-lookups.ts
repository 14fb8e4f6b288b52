// What finds traces and logs quickly, as the OpenTelemetry Collector's ClickHouse exporter has it: skip indexes, and a view of each
// trace's time that Grafana's data source looks up before it reads a trace.
import {
  createTable,
  logs,
  name,
  onCluster,
  type Retention,
  storedAs,
  type Table,
  type Target,
  traces,
  traceTimes,
} from './schema.ts'

/** Name, expression, type and granularity. */
type Index = readonly [name: string, of: string, type: string, granularity: number]

const maps = (short: string, column: string): Index[] => [
  [`idx_${short}_attr_key`, `mapKeys(${column})`, 'bloom_filter(0.01)', 1],
  [`idx_${short}_attr_value`, `mapValues(${column})`, 'bloom_filter(0.01)', 1],
]

const indexes: readonly (readonly [Table, readonly Index[]])[] = [
  [
    traces,
    [
      ['idx_trace_id', 'TraceId', 'bloom_filter(0.001)', 1],
      ...maps('res', 'ResourceAttributes'),
      ...maps('span', 'SpanAttributes'),
      ['idx_duration', 'Duration', 'minmax', 1],
    ],
  ],
  [
    logs,
    [
      ['idx_trace_id', 'TraceId', 'bloom_filter(0.001)', 1],
      ...maps('res', 'ResourceAttributes'),
      ...maps('scope', 'ScopeAttributes'),
      ...maps('log', 'LogAttributes'),
      ['idx_body', 'Body', 'tokenbf_v1(32768, 3, 0)', 8],
    ],
  ],
  [traceTimes, [['idx_trace_id', 'TraceId', 'bloom_filter(0.01)', 1]]],
]

const addIndexes = (target: Target): string[] =>
  indexes.map(([table, list]) => {
    const adds = list.map(
      ([index, of, type, granularity]) =>
        `ADD INDEX IF NOT EXISTS ${index} ${of} TYPE ${type} GRANULARITY ${granularity}`,
    )
    return `ALTER TABLE ${name(target.database)}.${name(storedAs(table, target))}${onCluster(target)} ${adds.join(', ')}`
  })

/** The view reads each server's own share: a trace lies on one server whole. */
const traceView = (target: Target): string => {
  const database = name(target.database)
  return [
    `CREATE MATERIALIZED VIEW IF NOT EXISTS ${database}.${name('otel_traces_trace_id_ts_mv')}${onCluster(target)}`,
    `TO ${database}.${name(storedAs(traceTimes, target))} AS`,
    'SELECT TraceId, min(Timestamp) AS Start, max(Timestamp) AS End',
    `FROM ${database}.${name(storedAs(traces, target))} WHERE TraceId != '' GROUP BY TraceId`,
  ].join('\n')
}

export const otelLookups = (target: Target, retention: Retention): string[] => [
  ...createTable(traceTimes, target, retention),
  ...addIndexes(target),
  traceView(target),
]
