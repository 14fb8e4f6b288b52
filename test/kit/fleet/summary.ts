// What moved while the demo ran, in a few lines, asked of the product itself: signals, work, money, people and decisions.
import type { Product } from './product.ts'
import type { Call } from './receiver.ts'

const patience = 10_000

/** Rows of a read-only statement. */
const rows = async ({ clickhouse }: Product, sql: string): Promise<string[][]> => {
  const answer = await fetch(`${clickhouse}/?default_format=JSONCompactStrings`, {
    method: 'POST',
    body: sql,
    signal: AbortSignal.timeout(patience),
  })
  const said = await answer.text()
  if (!answer.ok) throw new Error(said)
  return (JSON.parse(said) as { data: string[][] }).data
}

/** One number; 0 where nothing was. */
const value = async ({ http }: Product, query: string): Promise<number> => {
  const answer = await fetch(`${http}/api/v1/query?${new URLSearchParams({ query })}`, {
    signal: AbortSignal.timeout(patience),
  })
  const { data } = (await answer.json()) as { data: { result: { value: [number, string] }[] } }
  return Number(data.result[0]?.value[1] ?? 0)
}

const usd = (n: number): string => `$${n.toFixed(n < 1 ? 4 : 2)}`
const count = (n: number): string => Math.round(n).toLocaleString('en-US')

const signals = async (product: Product): Promise<string> => {
  const spans = await rows(
    product,
    "SELECT count(), countDistinct(TraceId), countIf(StatusCode = 'Error') FROM otel_traces",
  )
  const logs = await rows(product, 'SELECT count(), countIf(SeverityNumber >= 13) FROM otel_logs')
  const samples = await value(product, 'sum(airboss_log_samples_total)')
  const [n = '0', traces = '0', failed = '0'] = spans[0] ?? []
  const [lines = '0', bad = '0'] = logs[0] ?? []
  return `signals: ${count(samples)} samples · ${count(Number(n))} spans in ${count(Number(traces))} traces, ${count(Number(failed))} failed · ${count(Number(lines))} log lines, ${count(Number(bad))} warnings and errors`
}

const work = async (product: Product): Promise<string> => {
  const runs = await value(product, 'sum(traces_gen_ai_invoke_agent_duration_seconds_count)')
  const loops = await value(product, 'sum(traces_gen_ai_invoke_agent_loops_total)')
  const tokens = await value(
    product,
    'sum(traces_gen_ai_client_tokens_total{gen_ai_token_type=~"input|output"})',
  )
  return `work: ${count(runs)} invocations of agents, ${count(loops)} went in circles · ${count(tokens)} tokens`
}

const money = async (product: Product): Promise<string> => {
  const spent = await rows(
    product,
    'SELECT agent, toString(sum(usd)) FROM costs FINAL GROUP BY agent ORDER BY sum(usd) DESC',
  )
  const all = spent.reduce((sum, [, n]) => sum + Number(n), 0)
  const failed = await value(product, 'sum(airboss_cost_failed_usd_total)')
  const unpriced = await value(product, 'sum(airboss_unpriced_tokens_total)')
  const who = spent.map(([agent, n]) => `${agent} ${usd(Number(n))}`).join(', ')
  return `cost: ${usd(all)} (${who}) · ${usd(failed)} for calls that failed · ${count(unpriced)} tokens without a price`
}

const people = (calls: readonly Call[]): string => {
  const of = (path: string) => calls.filter((c) => c.path === path)
  const pages = calls.filter((c) => c.path.startsWith('/page/') && c.body.status === 'firing')
  const actions = of('/act').map((c) => `${c.body.action.kind} of ${c.body.action.subject}`)
  const done = [...new Set(actions)].map(
    (a) =>
      `${a}${actions.filter((b) => b === a).length > 1 ? ` ×${actions.filter((b) => b === a).length}` : ''}`,
  )
  return `told: ${pages.length} pages, ${of('/chat').length} chat messages · done: ${done.join(', ') || 'nothing'}`
}

/** A line for each; a part that cannot be asked for says why. */
export const summarise = async (product: Product, calls: readonly Call[]): Promise<string[]> => {
  const asked = await Promise.allSettled([signals(product), work(product), money(product)])
  const said = asked.map((a) => (a.status === 'fulfilled' ? a.value : `not known: ${String(a.reason)}`))
  return [...said, people(calls)]
}
