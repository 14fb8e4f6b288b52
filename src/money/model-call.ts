// Reads what a span says about money: a call of a model with its usage, or an agent or tool around such calls.
import type { Usage } from '@pydantic/genai-prices'
import { type GenAiCall, genAiOf } from '../model/gen-ai.ts'
import type { Attributes, Span } from '../model/span.ts'
import type { Payer } from './pricer-tokens.ts'
import type { TokenKind } from './prices.ts'

export interface ModelCall {
  readonly span: Span
  readonly endAt: number
  readonly payer: Payer
  /** '' where the span itself names none. */
  readonly agentSaid: string
  /** As the price library wants it: input includes what was cached, output what was thought. */
  readonly usage: Usage
  readonly tokens: ReadonlyMap<TokenKind, number>
  /** Dollars that the span itself says it cost. */
  readonly stated: number | undefined
  /** The service tier it was served in; '' the standard one. */
  readonly tier: string
  readonly failed: boolean
}

const tiers = [
  'gen_ai.response.service_tier',
  'openai.response.service_tier',
  'gen_ai.openai.response.service_tier',
  'gen_ai.request.service_tier',
  'openai.request.service_tier',
  'gen_ai.openai.request.service_tier',
]
const cachedAudio = 'gen_ai.usage.audio.cache_read.input_tokens'
const agents = ['gen_ai.agent.name', 'agent.name', 'agent']
const versions = ['gen_ai.agent.version', 'agent.version']
const owners = ['owner', 'team']
const all: ReadonlySet<string> = new Set([...tiers, cachedAudio, ...agents, ...versions, ...owners])

/** Attributes of spans and resources that costs are read from, beside those of `genAiOf`. */
export const isCostAttribute = (key: string): boolean => all.has(key)

const text = (attributes: Attributes, names: readonly string[]): string => {
  for (const name of names) {
    const value = attributes[name]
    if (value !== undefined && value !== '') return value
  }
  return ''
}

/** Whether calls beneath a span are calls of their own, not those of a call above it. */
export const holdsCalls = (said: GenAiCall | null): boolean =>
  said !== null && said.kind !== 'model' && said.kind !== 'other'

const usageOf = (
  said: GenAiCall,
  attributes: Attributes,
): { usage: Usage; tokens: Map<TokenKind, number> } => {
  const cacheRead = said.tokens.cacheRead ?? 0
  const cacheWrite = said.tokens.cacheCreation ?? 0
  const reasoning = said.tokens.reasoning ?? 0
  let input = said.tokens.input ?? 0
  let output = said.tokens.output ?? 0
  // Some say input without what was cached, output without what was thought: the parts are then more than the whole.
  if (cacheRead + cacheWrite > input) input += cacheRead + cacheWrite
  if (reasoning > output) output += reasoning
  const usage: Usage = { input_tokens: input, output_tokens: output }
  if (cacheRead > 0) usage['cache_read_tokens'] = cacheRead
  if (cacheWrite > 0) usage['cache_write_tokens'] = cacheWrite
  if (reasoning > 0) usage['output_reasoning_tokens'] = reasoning
  for (const { modality, side, tokens } of said.modalities)
    if (modality !== 'text' && tokens > 0) usage[`${side}_${modality}_tokens`] = tokens
  const audio = Number(attributes[cachedAudio])
  if (audio > 0) usage['cache_audio_read_tokens'] = audio
  const kinds: readonly (readonly [TokenKind, number])[] = [
    ['input', input],
    ['output', output],
    ['cache_read', cacheRead],
    ['cache_write', cacheWrite],
    ['reasoning', reasoning],
  ]
  return { usage, tokens: new Map(kinds.filter(([, n]) => n > 0)) }
}

const payerOf = (span: Span, said: GenAiCall): Payer => {
  const { resource: r } = span
  const service = r.job || r.service
  return {
    agent: said.agent.name || text(r.attributes, agents) || service,
    version: said.agent.version || text(r.attributes, versions) || r.version,
    model: said.responseModel || said.requestModel,
    provider: said.provider,
    service,
    owner: text(r.attributes, owners),
  }
}

/** The call of a model that a span is; null for every other span, and for one that says neither usage nor cost. */
export const modelCallOf = (span: Span, said: GenAiCall | null = genAiOf(span)): ModelCall | null => {
  if (said?.kind !== 'model') return null
  const { usage, tokens } = usageOf(said, span.attributes)
  if (tokens.size === 0 && said.cost === null) return null
  return {
    span,
    endAt: span.startAt + span.duration * 1000,
    payer: payerOf(span, said),
    agentSaid: said.agent.name,
    usage,
    tokens,
    stated: said.cost ?? undefined,
    tier: text(span.attributes, tiers).toLowerCase(),
    failed: span.status === 'error',
  }
}
