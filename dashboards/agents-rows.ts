// Panels that only rows can tell: single traces, conversations and lines of logs of agents, asked of ClickHouse.
import { toConsole } from './links.ts'
import type { Panel } from './panel.ts'

const trace = toConsole('The trace in the console', '/traces?id=${__data.fields.TraceId}')
const who = "match(SpanAttributes['gen_ai.agent.name'], '^(${agent:regex})$')"
const invocations = "SpanAttributes['gen_ai.operation.name'] = 'invoke_agent'"
const inRange = '$__timeFilter(Timestamp)'
const service = "match(ServiceName, '^(${agent:regex})$')"

export const agentRows: readonly Panel[] = [
  {
    show: 'table',
    title: 'Slowest invocations',
    about: 'The ten that took longest, with what they cost in steps. The trace id leads into the console.',
    unit: 'string',
    width: 12,
    columns: { Seconds: { unit: 's' }, Steps: { unit: 'none' }, TraceId: { link: trace } },
    sql: `SELECT any(root.Timestamp) AS Time, any(root.ServiceName) AS Service, root.SpanAttributes['gen_ai.agent.name'] AS Agent,
  max(root.Duration) / 1e9 AS Seconds, countIf(span.SpanAttributes['gen_ai.operation.name'] IN ('chat', 'execute_tool')) AS Steps,
  root.TraceId AS TraceId
FROM (SELECT * FROM otel_traces WHERE ${inRange} AND ${invocations} AND ParentSpanId = '' AND ${who}
  ORDER BY Duration DESC LIMIT 10) AS root
INNER JOIN (SELECT TraceId, SpanAttributes FROM otel_traces WHERE ${inRange}) AS span ON span.TraceId = root.TraceId
GROUP BY root.TraceId, Agent ORDER BY Seconds DESC`,
  },
  {
    show: 'table',
    title: 'Newest failures',
    about: 'Spans that failed last, with the reason they gave.',
    unit: 'string',
    width: 12,
    columns: { TraceId: { link: trace } },
    sql: `SELECT Timestamp AS Time, ServiceName AS Service, SpanName AS Span, SpanAttributes['error.type'] AS Error, StatusMessage AS Why, TraceId
FROM otel_traces WHERE ${inRange} AND StatusCode = 'Error' AND ${service} ORDER BY Timestamp DESC LIMIT 20`,
  },
  {
    show: 'table',
    title: 'Longest conversations',
    about:
      'Conversations by the number of their turns: one that goes on and on is a person who gets no answer.',
    unit: 'none',
    width: 12,
    columns: { Seconds: { unit: 's' } },
    sql: `SELECT if(SpanAttributes['gen_ai.conversation.id'] != '', SpanAttributes['gen_ai.conversation.id'], SpanAttributes['session.id']) AS Conversation,
  any(ServiceName) AS Service, count() AS Turns, countIf(StatusCode = 'Error') AS Failed, sum(Duration) / 1e9 AS Seconds
FROM otel_traces WHERE ${inRange} AND ${invocations} AND ParentSpanId = '' AND ${who}
GROUP BY Conversation HAVING Conversation != '' ORDER BY Turns DESC, Seconds DESC LIMIT 15`,
  },
  {
    show: 'table',
    title: 'Who calls whom',
    about: 'What agents, models and tools were called beneath which agent, from the parents of spans.',
    unit: 'none',
    width: 12,
    columns: { 'Mean seconds': { unit: 's' } },
    sql: `SELECT parent.SpanAttributes['gen_ai.agent.name'] AS Agent, child.SpanName AS Calls, count() AS Times,
  countIf(child.StatusCode = 'Error') AS Failed, avg(child.Duration) / 1e9 AS \`Mean seconds\`
FROM (SELECT TraceId, SpanId, SpanAttributes FROM otel_traces WHERE ${inRange} AND ${invocations} AND ${who}) AS parent
INNER JOIN (SELECT TraceId, ParentSpanId, SpanName, StatusCode, Duration FROM otel_traces WHERE ${inRange}) AS child
  ON child.TraceId = parent.TraceId AND child.ParentSpanId = parent.SpanId
GROUP BY Agent, Calls ORDER BY Times DESC LIMIT 25`,
  },
  {
    show: 'graph',
    title: 'Log lines by severity',
    about: 'Lines that agents wrote, by severity.',
    unit: 'short',
    min: 0,
    stacked: true,
    sql: `SELECT $__timeInterval(Timestamp) AS time, SeverityText AS severity, count() AS lines
FROM otel_logs WHERE ${inRange} AND ${service} GROUP BY time, severity ORDER BY time`,
  },
  {
    show: 'graph',
    title: 'Spans by service',
    about: 'Spans that were stored, by service: what is sampled away before Airboss is missing here.',
    unit: 'short',
    min: 0,
    stacked: true,
    sql: `SELECT $__timeInterval(Timestamp) AS time, ServiceName AS service, count() AS spans
FROM otel_traces WHERE ${inRange} AND ${service} GROUP BY time, service ORDER BY time`,
  },
  {
    show: 'logs',
    title: 'Warnings and errors',
    about: 'What agents said when something went wrong; each line knows its trace.',
    unit: 'none',
    columns: {
      traceID: { link: toConsole('The trace in the console', '/traces?id=${__data.fields.traceID}') },
    },
    sql: `SELECT Timestamp AS timestamp, Body AS body, SeverityText AS level, ServiceName AS service, TraceId AS traceID
FROM otel_logs WHERE ${inRange} AND SeverityNumber >= 13 AND ${service} ORDER BY timestamp DESC LIMIT 200`,
  },
]
