// What GenAI calls add to the series: durations, tokens, tools, agents, steps, loops, scores, by agent, version, model, provider.
import type { SpanMetricsConfig } from './config.ts'
import type { Families } from './families.ts'
import { loopsIn, type Step } from './loops.ts'
import { add, type Entry, type Family, type Origin, observe, type SeriesBook } from './series-book.ts'
import { cut } from './span-names.ts'
import type { Agent, Call, TraceReport } from './trace-memory.ts'

type Named = Readonly<Record<string, string>>

interface GenAiSeriesDeps {
  readonly config: SpanMetricsConfig
  readonly book: SeriesBook
  readonly families: Families
  readonly now: () => number
}

const originOf = ({ traceId, spanId, startAt, duration, said }: Call): Origin => ({
  traceId,
  spanId,
  conversation: said.conversation,
  at: startAt + duration * 1000,
})

const whose = (call: Call, agent: Agent) => ({
  job: call.job,
  gen_ai_agent_name: agent.name,
  gen_ai_agent_version: agent.version,
})

const which = ({ said }: Call) => ({
  gen_ai_operation_name: said.operation,
  gen_ai_provider_name: said.provider,
  gen_ai_request_model: said.requestModel || said.responseModel,
})

export class GenAiSeries implements TraceReport {
  readonly #deps: GenAiSeriesDeps

  constructor(deps: GenAiSeriesDeps) {
    this.#deps = deps
  }

  #entry(family: Family, labels: Named): Entry {
    const { book, config, now } = this.#deps
    // What is one series once its labels are cut must have one key.
    let key = ''
    for (const name in labels) key += `${cut(labels[name]!, config.max_label_length)}\u0000`
    return book.entry(family, key, now(), () =>
      Object.fromEntries(
        Object.entries(labels).map(([name, value]) => [name, cut(value, config.max_label_length)]),
      ),
    )
  }

  counted(call: Call, agent: Agent): void {
    const { families } = this.#deps
    const { said, duration } = call
    const base = whose(call, agent)
    const full = { ...base, ...which(call) }
    const origin = originOf(call)
    const error_type = said.errorType
    if (said.kind === 'tool') {
      const { name, type } = said.tool
      const labels = { ...base, gen_ai_tool_name: name, gen_ai_tool_type: type, error_type }
      observe(this.#entry(families.tool, labels), duration, origin)
    } else if (said.kind === 'agent') {
      observe(this.#entry(families.agent, { ...base, error_type }), duration, origin)
    } else if (said.kind === 'workflow') {
      const labels = { ...base, gen_ai_workflow_name: said.workflow, error_type }
      observe(this.#entry(families.workflow, labels), duration, origin)
    } else if (said.operation !== '') this.#operation(call, full, origin)
    if (said.evaluations.length > 0) this.#evaluations(call, full, origin)
  }

  #operation({ said, duration }: Call, labels: Named, origin: Origin): void {
    const { families } = this.#deps
    observe(this.#entry(families.operation, { ...labels, error_type: said.errorType }), duration, origin)
    if (said.timeToFirstChunk !== null)
      observe(this.#entry(families.firstChunk, labels), said.timeToFirstChunk, origin)
    // Agents and workflows sum up what is within them: only calls to models are counted.
    if (said.kind !== 'model') return
    const { input, output, cacheRead, cacheCreation, reasoning } = said.tokens
    const kinds = { input, output, cache_read: cacheRead, cache_creation: cacheCreation, reasoning }
    for (const [gen_ai_token_type, tokens] of Object.entries(kinds))
      if (tokens !== null && tokens > 0)
        add(this.#entry(families.tokens, { ...labels, gen_ai_token_type }), tokens)
  }

  #evaluations({ said }: Call, labels: Named, origin: Origin): void {
    const { families } = this.#deps
    for (const { name, value, label, errorType } of said.evaluations) {
      const scored = { ...labels, gen_ai_evaluation_name: name, error_type: errorType }
      if (value === null) continue
      const full = { ...scored, gen_ai_evaluation_score_label: label }
      observe(this.#entry(families.score, full), value, origin)
      this.#entry(families.lastScore, scored).value = value
    }
  }

  invoked(call: Call, agent: Agent, steps: readonly Step[]): void {
    const { families, config } = this.#deps
    const base = whose(call, agent)
    const origin = originOf(call)
    for (const step of ['model', 'tool'] as const) {
      const count = steps.filter((s) => s.kind === step).length
      observe(this.#entry(families.steps, { ...base, step }), count, origin)
    }
    for (const loop of loopsIn(steps, config.loops)) add(this.#entry(families.loops, { ...base, loop }), 1)
  }
}
