// Which series count tokens: every spelling of the GenAI conventions, and whom their tokens are charged to.
import { type Labels, labelOf, metricName } from '../model/labels.ts'
import type { TokenKind } from './prices.ts'

/** Whom a cost belongs to; '' where it is not known. */
export interface Payer {
  readonly agent: string
  readonly version: string
  readonly model: string
  readonly provider: string
  readonly service: string
  readonly owner: string
}

/** A cumulative series of tokens. */
export interface TokenSeries {
  readonly kind: TokenKind
  readonly modality: string
  /** 0 the first histogram, 1 the counter by type, 2 the counters by kind: where one application sends several, the highest is charged. */
  readonly rank: number
  /** What of several ranks would count the same tokens. */
  readonly source: string
  readonly job: string
  readonly instance: string
  /** The agent, where the series itself names one. */
  readonly agentSaid: string
}

const typed: readonly (readonly [RegExp, number])[] = [
  [/^gen_ai_client_token_usage(?:_tokens?)?_sum$/, 0],
  [/^gen_ai_client_inference_tokens?(?:_tokens?)?(?:_sum|_total)$/, 1],
]
const usage =
  /^gen_ai_client_inference_usage_(input|output|cache_read_input|cache_write_input|cache_creation_input|reasoning_output)_tokens?(?:_tokens?)?(?:_total|_sum)$/

const kinds: Readonly<Record<string, TokenKind>> = {
  input: 'input',
  prompt: 'input',
  output: 'output',
  completion: 'output',
  cache_read: 'cache_read',
  cache_read_input: 'cache_read',
  cached: 'cache_read',
  cache_write: 'cache_write',
  cache_write_input: 'cache_write',
  cache_creation: 'cache_write',
  cache_creation_input: 'cache_write',
  reasoning: 'reasoning',
  reasoning_output: 'reasoning',
}

/** An attribute, with its dots or with underscores. */
const attribute = (labels: Labels, ...names: readonly string[]): string => {
  for (const name of names) {
    const value = labelOf(labels, name) || labelOf(labels, name.replaceAll('.', '_'))
    if (value !== '') return value
  }
  return ''
}

const kindOf = (labels: Labels): [TokenKind, number] | null => {
  const name = labelOf(labels, metricName).replaceAll('.', '_')
  if (!name.startsWith('gen_ai_client_')) return null
  const direct = usage.exec(name)
  if (direct) return [kinds[direct[1]!]!, 2]
  for (const [pattern, rank] of typed) {
    if (!pattern.test(name)) continue
    const kind =
      kinds[
        attribute(labels, 'gen_ai.token.type')
          .toLowerCase()
          .replace(/_tokens$/, '')
      ]
    return kind ? [kind, rank] : null
  }
  return null
}

/** Whom the tokens of a series are charged to; `info` is the `target_info` of its job and instance, for what the series itself does not say. */
export const payerOf = (labels: Labels, info: Labels): Payer => {
  const either = (...names: readonly string[]): string =>
    attribute(labels, ...names) || attribute(info, ...names)
  const service = either('service.name') || labelOf(labels, 'job')
  return {
    agent: either('gen_ai.agent.name', 'agent.name', 'agent') || service,
    version: either('gen_ai.agent.version', 'agent.version', 'service.version', 'version'),
    model: attribute(labels, 'gen_ai.response.model', 'gen_ai.request.model', 'model'),
    provider: attribute(labels, 'gen_ai.provider.name', 'gen_ai.system', 'provider'),
    service,
    owner: either('owner', 'team'),
  }
}

/** What a series counts, null when it counts no tokens. */
export const tokenSeries = (labels: Labels): TokenSeries | null => {
  const found = kindOf(labels)
  if (!found) return null
  const [kind, rank] = found
  const { agent, model, provider } = payerOf(labels, [])
  const job = labelOf(labels, 'job')
  const instance = labelOf(labels, 'instance')
  const source = [job, instance, agent, model, provider, kind].join('\u00ff')
  const agentSaid = attribute(labels, 'gen_ai.agent.name', 'agent.name', 'agent')
  const modality = attribute(labels, 'gen_ai.token.modality') || 'text'
  return { kind, modality, rank, source, job, instance, agentSaid }
}
