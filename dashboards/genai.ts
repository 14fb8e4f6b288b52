// How GenAI series are asked for: what an agent measures itself, or else what is made of its spans, so that none counts twice.

export const byAgent = 'gen_ai_agent_name, gen_ai_agent_version'
export const whose = '{{gen_ai_agent_name}} {{gen_ai_agent_version}}'
export const chosen = 'gen_ai_agent_name=~"$agent",gen_ai_agent_version=~"$version"'

export const runs = 'gen_ai_invoke_agent_duration_seconds'
export const calls = 'gen_ai_client_operation_duration_seconds'
export const firstChunk = 'gen_ai_client_operation_time_to_first_chunk_seconds'
export const tools = 'gen_ai_execute_tool_duration_seconds'
/** What spans alone tell. */
export const steps = 'traces_gen_ai_invoke_agent_steps'
export const loops = 'traces_gen_ai_invoke_agent_loops_total'

/** Series of spans carry the same labels under a name with this in front. */
const ofSpans = 'traces_'

export const rate = (metric: string, more = '', labels = chosen): string =>
  `rate(${metric}{${labels}${more}}[$__rate_interval])`

/** `ask` of the agents' own series, and of those made of spans for the label sets that the former lack; `ask` must group. */
export const either = (metric: string, ask: (metric: string) => string): string =>
  `(${ask(metric)} or ${ask(ofSpans + metric)})`

export const perSecond = (metric: string, group = byAgent, more = ''): string =>
  either(metric, (m) => `sum by (${group}) (${rate(`${m}_count`, more)})`)

export const quantile = (q: number, metric: string, group = byAgent, more = ''): string =>
  either(metric, (m) => `histogram_quantile(${q}, sum by (le, ${group}) (${rate(`${m}_bucket`, more)}))`)

/** Failed of all; 0 where nothing failed, nothing where nothing was done. */
export const failedShare = (metric: string, group = byAgent): string =>
  either(metric, (m) => {
    const all = `sum by (${group}) (${rate(`${m}_count`)})`
    return `(sum by (${group}) (${rate(`${m}_count`, ',error_type!=""')}) or ${all} * 0) / (${all} > 0)`
  })

/** Over all agents chosen: a version that measures itself counts by that, every other by its spans. */
export const total = (metric: string, more = ''): string => `sum(${perSecond(metric, byAgent, more)})`

/** 0 instead of nothing, where something was done at all. */
export const totalFailedShare = (metric: string): string =>
  `(${total(metric, ',error_type!=""')} or ${total(metric)} * 0) / (${total(metric)} > 0)`
