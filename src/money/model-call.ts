// Reads what a span says about money: a call of a model with its usage, or an agent or tool around such calls.
import type { Usage } from '@pydantic/genai-prices'
import type { Attributes, Span } from '../model/span.ts'
import type { Payer } from './pricer-tokens.ts'
import type { TokenKind } from './prices.ts'

export type SpanRole = 'model' | 'agent' | 'tool' | 'other'

export interface ModelCall {
  readonly span: Span
  readonly endAt: number
  readonly payer: Payer
  /** '' where the span itself names none. */
  readonly agentSaid: string
  /** As the price library wants it: input includes what was cached. */
  readonly usage: Usage
  readonly tokens: ReadonlyMap<TokenKind, number>
  /** Dollars that the span itself says it cost. */
  readonly stated: number | undefined
  readonly tier: string
  readonly failed: boolean
}

const text = (attributes: Attributes, ...names: readonly string[]): string => {
  for (const name of names) {
    const value = attributes[name]
    if (typeof value === 'string' && value !== '') return value
  }
  return ''
}
/** A count as it is sent: a number, or a number as text. */
const number = (attributes: Attributes, ...names: readonly string[]): number | undefined => {
  for (const name of names) {
    const value = attributes[name]
    const read = typeof value === 'string' && value !== '' ? Number(value) : value
    if (typeof read === 'number' && Number.isFinite(read) && read >= 0) return read
  }
  return undefined
}

const operations: Readonly<Record<string, SpanRole>> = {
  invoke_agent: 'agent',
  create_agent: 'agent',
  invoke_workflow: 'agent',
  execute_tool: 'tool',
  retrieval: 'tool',
  AGENT: 'agent',
  CHAIN: 'agent',
  TOOL: 'tool',
  workflow: 'agent',
  task: 'agent',
  agent: 'agent',
  tool: 'tool',
}

/** What part of a trace a span is; a model's call is what has usage and is no sum over others. */
export const roleOf = (span: Span): SpanRole => {
  const a = span.attributes
  const operation = text(a, 'gen_ai.operation.name', 'openinference.span.kind', 'traceloop.span.kind')
  const role = operations[operation]
  if (role) return role
  const counts =
    number(a, ...names.input, ...names.output) !== undefined || number(a, ...costNames) !== undefined
  return counts ? 'model' : 'other'
}

const names = {
  input: ['gen_ai.usage.input_tokens', 'gen_ai.usage.prompt_tokens', 'llm.token_count.prompt'],
  output: ['gen_ai.usage.output_tokens', 'gen_ai.usage.completion_tokens', 'llm.token_count.completion'],
  cacheRead: [
    'gen_ai.usage.cache_read.input_tokens',
    'gen_ai.usage.cache_read_input_tokens',
    'gen_ai.usage.input_tokens.cached',
    'llm.token_count.prompt_details.cache_read',
  ],
  cacheWrite: [
    'gen_ai.usage.cache_creation.input_tokens',
    'gen_ai.usage.cache_write.input_tokens',
    'gen_ai.usage.cache_creation_input_tokens',
    'llm.token_count.prompt_details.cache_write',
  ],
  reasoning: [
    'gen_ai.usage.reasoning.output_tokens',
    'gen_ai.usage.reasoning_tokens',
    'gen_ai.usage.output_tokens.reasoning',
    'llm.token_count.completion_details.reasoning',
  ],
} as const
const costNames = [
  'gen_ai.usage.cost',
  'gen_ai.usage.total_cost',
  'llm.usage.total_cost',
  'gen_ai.cost.total_cost',
  'litellm.cost.total',
  'llm.cost.total',
]
/** Of tokens by modality, which are part of input and output: attribute and key of the price library. */
const modalities: readonly (readonly [string, string])[] = [
  ['gen_ai.usage.audio.input_tokens', 'input_audio_tokens'],
  ['gen_ai.usage.image.input_tokens', 'input_image_tokens'],
  ['gen_ai.usage.video.input_tokens', 'input_video_tokens'],
  ['gen_ai.usage.audio.output_tokens', 'output_audio_tokens'],
  ['gen_ai.usage.image.output_tokens', 'output_image_tokens'],
  ['gen_ai.usage.audio.cache_read.input_tokens', 'cache_audio_read_tokens'],
  ['llm.token_count.prompt_details.audio', 'input_audio_tokens'],
  ['llm.token_count.completion_details.audio', 'output_audio_tokens'],
]

const usageOf = (a: Attributes): { usage: Usage; tokens: Map<TokenKind, number> } => {
  const cacheRead = number(a, ...names.cacheRead) ?? 0
  const cacheWrite = number(a, ...names.cacheWrite) ?? 0
  const reasoning = number(a, ...names.reasoning) ?? 0
  let input = number(a, ...names.input) ?? 0
  let output = number(a, ...names.output) ?? 0
  // Some say input without what was cached, output without what was thought: the parts are then more than the whole.
  if (cacheRead + cacheWrite > input) input += cacheRead + cacheWrite
  if (reasoning > output) output += reasoning
  const usage: Usage = { input_tokens: input, output_tokens: output }
  if (cacheRead > 0) usage['cache_read_tokens'] = cacheRead
  if (cacheWrite > 0) usage['cache_write_tokens'] = cacheWrite
  if (reasoning > 0) usage['output_reasoning_tokens'] = reasoning
  for (const [name, key] of modalities) {
    const some = number(a, name)
    if (some) usage[key] = some
  }
  const all: readonly (readonly [TokenKind, number])[] = [
    ['input', input],
    ['output', output],
    ['cache_read', cacheRead],
    ['cache_write', cacheWrite],
    ['reasoning', reasoning],
  ]
  return { usage, tokens: new Map(all.filter(([, n]) => n > 0)) }
}

const payerOf = ({ attributes: a, resource: r }: Span, agent: string): Payer => {
  const service = r.job || r.service
  return {
    agent: agent || text(r.attributes, 'gen_ai.agent.name', 'agent.name', 'agent') || service,
    version:
      text(a, 'gen_ai.agent.version', 'agent.version') ||
      text(r.attributes, 'gen_ai.agent.version', 'agent.version') ||
      r.version,
    model: text(a, 'gen_ai.response.model', 'gen_ai.request.model', 'llm.model_name', 'embedding.model_name'),
    provider: text(a, 'gen_ai.provider.name', 'gen_ai.system', 'llm.provider', 'llm.system'),
    service,
    owner: text(r.attributes, 'owner', 'team'),
  }
}

/** The agent a span names itself, '' where it names none. */
export const agentOf = (span: Span): string =>
  text(span.attributes, 'gen_ai.agent.name', 'agent.name', 'gen_ai.agent.id')

/** The call of a model that a span is; null for every other span, and for one that says neither usage nor cost. */
export const modelCallOf = (span: Span): ModelCall | null => {
  if (roleOf(span) !== 'model') return null
  const a = span.attributes
  const { usage, tokens } = usageOf(a)
  const stated = number(a, ...costNames)
  if (tokens.size === 0 && stated === undefined) return null
  const agentSaid = agentOf(span)
  return {
    span,
    endAt: span.startAt + span.duration * 1000,
    payer: payerOf(span, agentSaid),
    agentSaid,
    usage,
    tokens,
    stated,
    tier: text(
      a,
      'gen_ai.response.service_tier',
      'openai.response.service_tier',
      'gen_ai.openai.response.service_tier',
      'gen_ai.request.service_tier',
      'openai.request.service_tier',
      'gen_ai.openai.request.service_tier',
    ).toLowerCase(),
    failed: span.status === 'error',
  }
}

/** Every attribute of a span that costs are read from. */
export const costAttributes: readonly string[] = [
  'gen_ai.operation.name',
  'openinference.span.kind',
  'traceloop.span.kind',
  ...Object.values(names).flat(),
  ...costNames,
  ...modalities.map(([name]) => name),
  'gen_ai.agent.name',
  'gen_ai.agent.id',
  'gen_ai.agent.version',
  'agent.name',
  'agent.version',
  'gen_ai.response.model',
  'gen_ai.request.model',
  'llm.model_name',
  'embedding.model_name',
  'gen_ai.provider.name',
  'gen_ai.system',
  'llm.provider',
  'llm.system',
  'gen_ai.response.service_tier',
  'openai.response.service_tier',
  'gen_ai.openai.response.service_tier',
  'gen_ai.request.service_tier',
  'openai.request.service_tier',
  'gen_ai.openai.request.service_tier',
]
