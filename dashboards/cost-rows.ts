// Money as only rows tell it: by trace, by conversation, with what was delegated and what was tried again.
import { toConsole } from './links.ts'
import type { Panel } from './panel.ts'

const trace = toConsole('The trace in the console', '/traces?id=${__data.fields.TraceId}')
const usd = { unit: 'currencyUSD' }
const inRange = "$__timeFilter(at) AND match(agent, '^(${agent:regex})$')"

export const costRows: readonly Panel[] = [
  {
    show: 'table',
    title: 'Dearest traces',
    about: 'The traces that cost most, with how many calls of models they took.',
    unit: 'none',
    width: 12,
    columns: { USD: { unit: 'currencyUSD' }, TraceId: { unit: 'string', link: trace } },
    sql: `SELECT min(at) AS Time, arrayStringConcat(arraySort(groupUniqArray(agent)), ', ') AS Agents, count() AS Calls, sum(usd) AS USD, trace_id AS TraceId
FROM costs FINAL WHERE ${inRange} AND trace_id != '' GROUP BY trace_id ORDER BY USD DESC LIMIT 15`,
  },
  {
    show: 'table',
    title: 'For whom',
    about: 'Who spent money beneath whose invocation: what the root agent of a trace set in motion.',
    unit: 'none',
    width: 12,
    columns: { USD: usd, 'USD, one trace': usd },
    sql: `SELECT root.SpanAttributes['gen_ai.agent.name'] AS Root, cost.agent AS Spender, cost.model AS Model, count() AS Calls,
  sum(cost.usd) AS USD, USD / countDistinct(cost.trace_id) AS \`USD, one trace\`
FROM (SELECT agent, model, usd, trace_id FROM costs FINAL WHERE ${inRange} AND trace_id != '') AS cost
INNER JOIN (SELECT TraceId, SpanAttributes FROM otel_traces WHERE $__timeFilter(Timestamp) AND ParentSpanId = '') AS root
  ON root.TraceId = cost.trace_id
GROUP BY Root, Spender, Model ORDER BY USD DESC LIMIT 30`,
  },
  {
    show: 'graph',
    title: 'Spending by owner',
    about: 'US dollars in each step of the plot, by owner, from the rows of costs: each thing once.',
    unit: 'currencyUSD',
    min: 0,
    stacked: true,
    sql: `SELECT $__timeInterval(at) AS time, owner, sum(usd) AS usd FROM costs FINAL WHERE ${inRange} GROUP BY time, owner ORDER BY time`,
  },
  {
    show: 'table',
    title: 'Models and prices',
    about: 'What each model came to, in how many calls, and by which price list.',
    unit: 'none',
    width: 12,
    columns: { USD: usd },
    sql: `SELECT provider AS Provider, model AS Model, price_version AS Prices, count() AS Rows, sum(usd) AS USD
FROM costs FINAL WHERE ${inRange} GROUP BY Provider, Model, Prices ORDER BY USD DESC`,
  },
]
