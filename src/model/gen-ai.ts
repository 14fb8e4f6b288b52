// One vocabulary for what agents and models do, read from spans of every generation of the GenAI conventions.

import { hash64 } from '../lib/hash.ts'
import { type Field, fieldAt, fieldCount, placeOf } from './gen-ai-attributes.ts'
import type { Attributes, Span } from './span.ts'

/** What a call is: one to a model, of a tool, of an agent or of a workflow; `other` is what is none of them (plan, retrieval, memory …). */
export type GenAiKind = 'model' | 'tool' | 'agent' | 'workflow' | 'other'

/** Null where the span does not say. Cached tokens are part of the input, reasoning tokens part of the output. */
export interface GenAiTokens {
  readonly input: number | null
  readonly output: number | null
  readonly cacheRead: number | null
  readonly cacheCreation: number | null
  readonly reasoning: number | null
}

/** Tokens of one modality; part of the input or of the output. */
export interface ModalityTokens {
  readonly modality: 'text' | 'image' | 'audio' | 'video'
  readonly side: 'input' | 'output'
  readonly tokens: number
}

export interface Evaluation {
  readonly name: string
  /** Null where only a label was given. */
  readonly value: number | null
  readonly label: string
  readonly errorType: string
}

/** What a span says of itself; texts are '' and numbers null where it does not. */
export interface GenAiCall {
  readonly kind: GenAiKind
  /** In the words of OpenTelemetry's `gen_ai.operation.name`: `chat`, `embeddings`, `execute_tool`, `invoke_agent` … */
  readonly operation: string
  readonly provider: string
  readonly requestModel: string
  readonly responseModel: string
  readonly responseId: string
  readonly agent: { readonly name: string; readonly id: string; readonly version: string }
  readonly workflow: string
  readonly tool: { readonly name: string; readonly type: string; readonly argumentsHash: string }
  readonly conversation: string
  readonly tokens: GenAiTokens
  readonly modalities: readonly ModalityTokens[]
  /** US dollars, as the sender reckons. */
  readonly cost: number | null
  /** Seconds. */
  readonly timeToFirstChunk: number | null
  readonly finishReasons: readonly string[]
  /** '' when the call did not fail. */
  readonly errorType: string
  readonly evaluations: readonly Evaluation[]
  /** Which attempt this is, 0 the first. */
  readonly attempt: number | null
  /** What chose the model, where something did. */
  readonly router: string
}

/** Words of other vocabularies for operations; '' is a span that only holds others together. */
const operations: Readonly<Record<string, string>> = {
  completion: 'text_completion',
  llm: 'chat',
  generation: 'chat',
  embedding: 'embeddings',
  embed: 'embeddings',
  rerank: 'rerank',
  reranker: 'rerank',
  retriever: 'retrieval',
  tool: 'execute_tool',
  agent: 'invoke_agent',
  workflow: 'invoke_workflow',
  guardrail: 'guardrail',
  evaluator: 'evaluate',
  task: '',
  chain: '',
  span: '',
  event: '',
  unknown: '',
  prompt: '',
  parser: '',
}
/** The Vercel AI SDK's: an outer span holds the steps of a run together, `do…` is one call. */
const aiOperations: readonly (readonly [RegExp, string])[] = [
  [/^ai\.toolCall$/, 'execute_tool'],
  [/\.doEmbed$/, 'embeddings'],
  [/\.do(Generate|Stream)$/, 'chat'],
  [/^ai\.(generate|stream)(Text|Object)$/, 'invoke_agent'],
]
const models: ReadonlySet<string> = new Set([
  'chat',
  'generate_content',
  'text_completion',
  'embeddings',
  'rerank',
])
const kinds: Readonly<Record<string, GenAiKind>> = {
  execute_tool: 'tool',
  invoke_agent: 'agent',
  invoke_workflow: 'workflow',
}

const values: (string | undefined)[] = new Array(fieldCount)
const ranks = new Uint8Array(fieldCount)

/** Sorts attributes into `values`; whether one of them says that this is GenAI. */
const sort = (attributes: Attributes): boolean => {
  let telling = false
  values.fill(undefined)
  ranks.fill(255)
  for (const key in attributes) {
    const place = placeOf.get(key)
    if (place === undefined || place.rank >= ranks[place.field]!) continue
    const value = attributes[key]!
    if (value === '') continue
    ranks[place.field] = place.rank
    values[place.field] = value
    if (place.telling) telling = true
  }
  return telling
}
const text = (field: Field): string => values[fieldAt[field]] ?? ''
const amount = (field: Field): number | null => amountOf(values[fieldAt[field]])
const amountOf = (value: string | undefined): number | null => {
  if (value === undefined || value.trim() === '') return null
  const number = Number(value)
  return number >= 0 && number !== Number.POSITIVE_INFINITY ? number : null
}

const known = (word: string): string => {
  const plain = word.toLowerCase()
  return operations[plain] ?? plain
}

const operationOf = (): string => {
  const plain = text('operation')
  if (plain !== '') return known(plain)
  const ai = text('aiOperation')
  if (ai !== '') return aiOperations.find(([pattern]) => pattern.test(ai))?.[1] ?? ''
  for (const field of [
    'openInferenceKind',
    'traceloopKind',
    'langfuseKind',
    'langsmithKind',
    'requestType',
  ] as const) {
    const word = text(field)
    if (word !== '') return known(word)
  }
  // Nobody says what it is, but a model answered.
  if (text('requestModel') !== '' || text('responseModel') !== '') return 'chat'
  return text('toolName') !== '' ? 'execute_tool' : ''
}

const json = (value: string): Readonly<Record<string, unknown>> => {
  try {
    const parsed: unknown = JSON.parse(value)
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, unknown>) : {}
  } catch {
    // Some other instrumentation's text under the same key says nothing.
    return {}
  }
}

const detail = (details: Readonly<Record<string, unknown>>, ...keys: readonly string[]): number | null => {
  for (const key of keys)
    if (typeof details[key] === 'number' || typeof details[key] === 'string')
      return amountOf(String(details[key]))
  return null
}

const tokensOf = (): GenAiTokens => {
  const said = text('langfuseUsage')
  const more = said === '' ? {} : json(said)
  const output = amount('output') ?? detail(more, 'output', 'output_tokens')
  const input = amount('input') ?? detail(more, 'input', 'input_tokens')
  const total = amount('total')
  return {
    // Embeddings have no output, and some say only the total.
    input: input ?? (total === null ? null : Math.max(0, total - (output ?? 0))),
    output,
    cacheRead: amount('cacheRead') ?? detail(more, 'cache_read_input_tokens', 'input_cached_tokens'),
    cacheCreation: amount('cacheCreation') ?? detail(more, 'cache_creation_input_tokens'),
    reasoning: amount('reasoning') ?? detail(more, 'output_reasoning_tokens', 'reasoning_tokens'),
  }
}

const modalityFields = [
  ['textInput', 'text', 'input'],
  ['imageInput', 'image', 'input'],
  ['audioInput', 'audio', 'input'],
  ['videoInput', 'video', 'input'],
  ['textOutput', 'text', 'output'],
  ['imageOutput', 'image', 'output'],
  ['audioOutput', 'audio', 'output'],
  ['videoOutput', 'video', 'output'],
] as const
const noModalities: readonly ModalityTokens[] = []
const modalitiesOf = (): readonly ModalityTokens[] => {
  let found: ModalityTokens[] | null = null
  for (const [field, modality, side] of modalityFields) {
    const tokens = amount(field)
    if (tokens === null) continue
    found ??= []
    found.push({ modality, side, tokens })
  }
  return found ?? noModalities
}

/** A list as JSON, or a single word. */
const listOf = (value: string): readonly string[] => {
  if (value === '') return noWords
  if (!value.startsWith('[')) return [value]
  return Object.values(json(value)).map(String)
}
const noWords: readonly string[] = []

const firstChunk = (): number | null => {
  const seconds = amount('firstChunkSeconds')
  if (seconds !== null) return seconds
  const millis = amount('firstChunkMillis')
  return millis === null ? null : millis / 1000
}

const noEvaluations: readonly Evaluation[] = []
const evaluation = (): Evaluation => ({
  name: text('evaluation'),
  // A score may be below zero.
  value: Number.isFinite(Number(text('scoreValue') || 'none')) ? Number(text('scoreValue')) : null,
  label: text('scoreLabel'),
  errorType: text('errorType'),
})

/** What the span's events say besides: they are sorted through the same memory, so after the span itself was read. */
const eventsOf = (span: Span) => {
  const evaluations: Evaluation[] = []
  let exception = ''
  let chunk: number | null = null
  for (const event of span.events) {
    sort(event.attributes)
    if (text('evaluation') !== '') evaluations.push(evaluation())
    else if (event.name === 'exception') exception ||= text('errorType')
    chunk ??= firstChunk()
  }
  return { evaluations, exception, chunk }
}

/** The name that a span's own name ends in: `execute_tool search`. */
const named = (span: Span, operation: string): string =>
  span.name.startsWith(`${operation} `) ? span.name.slice(operation.length + 1) : ''

const agentOf = (span: Span, operation: string) => ({
  name:
    text('agentName') ||
    (operation === 'invoke_agent'
      ? text('entity') || named(span, operation) || (text('aiOperation') === '' ? span.name : '')
      : ''),
  id: text('agentId'),
  version: text('agentVersion'),
})

const toolOf = (span: Span, operation: string) => {
  if (operation !== 'execute_tool') return { name: text('toolName'), type: '', argumentsHash: '' }
  const sent = text('toolArguments')
  return {
    name: text('toolName') || text('entity') || named(span, operation) || span.name,
    type: text('toolType'),
    argumentsHash: sent === '' ? '' : hash64([sent]),
  }
}

/** Metrics, prices and sums of costs all ask about the same spans, one after the other. */
const answers = new WeakMap<Span, GenAiCall | null>()

/** What a GenAI span says, null for any other span. Looks only at attributes that `isWantedAttribute` names. */
export const genAiOf = (span: Span): GenAiCall | null => {
  const known = answers.get(span)
  if (known !== undefined) return known
  const said = read(span)
  answers.set(span, said)
  return said
}

const read = (span: Span): GenAiCall | null => {
  if (!sort(span.attributes)) return span.events.length === 0 ? null : evaluatedOnly(span)
  const operation = operationOf()
  const own = text('evaluation') === '' ? null : evaluation()
  const cost = amount('cost') ?? detail(json(text('langfuseCost') || '{}'), 'total')
  const call = {
    kind: models.has(operation) ? 'model' : (kinds[operation] ?? 'other'),
    operation,
    provider: text('provider'),
    requestModel: text('requestModel'),
    responseModel: text('responseModel'),
    responseId: text('responseId'),
    agent: agentOf(span, operation),
    workflow: text('workflow') || (operation === 'invoke_workflow' ? text('entity') || span.name : ''),
    tool: toolOf(span, operation),
    conversation: text('conversation'),
    tokens: tokensOf(),
    modalities: modalitiesOf(),
    cost,
    timeToFirstChunk: firstChunk(),
    finishReasons: listOf(text('finishReasons')),
    errorType: text('errorType'),
    attempt: amount('attempt'),
    router: text('router'),
  } as const
  const said = span.events.length === 0 ? null : eventsOf(span)
  const evaluations = [...(own ? [own] : []), ...(said?.evaluations ?? [])]
  if (operation === '' && evaluations.length === 0) return null
  return {
    ...call,
    timeToFirstChunk: call.timeToFirstChunk ?? said?.chunk ?? null,
    // A span that failed without saying why: OpenTelemetry's word for it.
    errorType: span.status === 'error' ? call.errorType || said?.exception || '_OTHER' : call.errorType,
    evaluations: evaluations.length === 0 ? noEvaluations : evaluations,
  }
}

const nobody = { name: '', id: '', version: '' }
const nothing: Omit<GenAiCall, 'evaluations'> = {
  kind: 'other',
  operation: '',
  provider: '',
  requestModel: '',
  responseModel: '',
  responseId: '',
  agent: nobody,
  workflow: '',
  tool: { name: '', type: '', argumentsHash: '' },
  conversation: '',
  tokens: { input: null, output: null, cacheRead: null, cacheCreation: null, reasoning: null },
  modalities: noModalities,
  cost: null,
  timeToFirstChunk: null,
  finishReasons: noWords,
  errorType: '',
  attempt: null,
  router: '',
}

/** A span that is not GenAI's itself but carries evaluations of what happened within it. */
const evaluatedOnly = (span: Span): GenAiCall | null => {
  const { evaluations } = eventsOf(span)
  return evaluations.length === 0 ? null : { ...nothing, evaluations }
}
