// Which attribute says what of a GenAI call, over all generations of the conventions and the instrumentations in the wild.

/**
 * By what it says: attribute names, the most trusted first. OpenTelemetry's GenAI conventions of every generation, OpenLLMetry (Traceloop),
 * OpenInference, the Vercel AI SDK, LiteLLM, Langfuse, LangSmith, Logfire.
 */
export const attributesFor = {
  operation: ['gen_ai.operation.name'],
  aiOperation: ['ai.operationId'],
  openInferenceKind: ['openinference.span.kind'],
  traceloopKind: ['traceloop.span.kind'],
  langfuseKind: ['langfuse.observation.type'],
  langsmithKind: ['langsmith.span.kind'],
  requestType: ['llm.request.type'],
  provider: [
    'gen_ai.provider.name',
    'gen_ai.system',
    'ai.model.provider',
    'llm.provider',
    'llm.system',
    'llm.vendor',
  ],
  requestModel: [
    'gen_ai.request.model',
    'ai.model.id',
    'llm.request.model',
    'llm.model_name',
    'embedding.model_name',
    'reranker.model_name',
    'langfuse.observation.model.name',
    'ls_model_name',
  ],
  responseModel: ['gen_ai.response.model', 'ai.response.model', 'llm.response.model'],
  responseId: ['gen_ai.response.id', 'ai.response.id', 'llm.response.id'],
  agentName: ['gen_ai.agent.name', 'agent.name', 'ai.telemetry.functionId', 'graph.node.name'],
  agentId: ['gen_ai.agent.id', 'agent.id'],
  agentVersion: ['gen_ai.agent.version', 'agent.version'],
  workflow: ['gen_ai.workflow.name', 'traceloop.workflow.name'],
  entity: ['traceloop.entity.name'],
  toolName: ['gen_ai.tool.name', 'tool.name', 'ai.toolCall.name'],
  toolType: ['gen_ai.tool.type'],
  toolArguments: [
    // What stands for arguments that are not kept: the same for the same, and nothing else can be told from it.
    'airboss.tool.call.arguments.digest',
    'gen_ai.tool.call.arguments',
    'gen_ai.tool.arguments',
    'tool.parameters',
    'ai.toolCall.args',
    'traceloop.entity.input',
  ],
  conversation: [
    'gen_ai.conversation.id',
    'session.id',
    'gen_ai.thread.id',
    'langfuse.session.id',
    'traceloop.association.properties.session_id',
    'ai.telemetry.metadata.sessionId',
    'langsmith.trace.session_id',
  ],
  input: [
    'gen_ai.usage.input_tokens',
    'gen_ai.usage.prompt_tokens',
    'llm.token_count.prompt',
    'llm.usage.prompt_tokens',
    'ai.usage.inputTokens',
    'ai.usage.promptTokens',
    'ai.usage.tokens',
  ],
  output: [
    'gen_ai.usage.output_tokens',
    'gen_ai.usage.completion_tokens',
    'llm.token_count.completion',
    'llm.usage.completion_tokens',
    'ai.usage.outputTokens',
    'ai.usage.completionTokens',
  ],
  total: ['llm.usage.total_tokens', 'gen_ai.usage.total_tokens', 'llm.token_count.total'],
  cacheRead: [
    'gen_ai.usage.cache_read.input_tokens',
    'gen_ai.usage.cache_read_input_tokens',
    'gen_ai.usage.details.cache_read_tokens',
    'gen_ai.usage.details.cached_tokens',
    'llm.token_count.prompt_details.cache_read',
    'llm.usage.cache_read_input_tokens',
    'ai.usage.cachedInputTokens',
  ],
  cacheCreation: [
    'gen_ai.usage.cache_creation.input_tokens',
    'gen_ai.usage.cache_write.input_tokens',
    'gen_ai.usage.cache_creation_input_tokens',
    'gen_ai.usage.details.cache_write_tokens',
    'llm.token_count.prompt_details.cache_write',
    'llm.usage.cache_creation_input_tokens',
  ],
  reasoning: [
    'gen_ai.usage.reasoning.output_tokens',
    'gen_ai.usage.reasoning_tokens',
    'gen_ai.usage.details.reasoning_tokens',
    'llm.token_count.completion_details.reasoning',
    'llm.usage.reasoning_tokens',
    'ai.usage.reasoningTokens',
  ],
  textInput: ['gen_ai.usage.text.input_tokens'],
  imageInput: ['gen_ai.usage.image.input_tokens'],
  audioInput: ['gen_ai.usage.audio.input_tokens', 'llm.token_count.prompt_details.audio'],
  videoInput: ['gen_ai.usage.video.input_tokens'],
  textOutput: ['gen_ai.usage.text.output_tokens'],
  imageOutput: ['gen_ai.usage.image.output_tokens'],
  audioOutput: ['gen_ai.usage.audio.output_tokens', 'llm.token_count.completion_details.audio'],
  videoOutput: ['gen_ai.usage.video.output_tokens'],
  langfuseUsage: ['langfuse.observation.usage_details'],
  langfuseCost: ['langfuse.observation.cost_details'],
  cost: [
    'gen_ai.usage.cost',
    'gen_ai.usage.total_cost',
    'gen_ai.cost.total_cost',
    'litellm.cost.total',
    'llm.usage.total_cost',
    'llm.cost.total',
    'operation.cost',
  ],
  firstChunkSeconds: [
    'gen_ai.response.time_to_first_chunk',
    'gen_ai.client.operation.time_to_first_chunk',
    'gen_ai.response.time_to_first_token',
    'gen_ai.server.time_to_first_token',
  ],
  firstChunkMillis: ['ai.response.msToFirstChunk'],
  finishReasons: [
    'gen_ai.response.finish_reasons',
    'ai.response.finishReason',
    'gen_ai.completion.0.finish_reason',
    'llm.response.finish_reason',
  ],
  errorType: ['error.type', 'exception.type'],
  evaluation: ['gen_ai.evaluation.name'],
  scoreValue: ['gen_ai.evaluation.score.value', 'gen_ai.evaluation.score'],
  scoreLabel: ['gen_ai.evaluation.score.label', 'gen_ai.evaluation.label'],
  attempt: ['gen_ai.request.attempt', 'gen_ai.retry.attempt', 'litellm.attempt', 'http.request.resend_count'],
  router: ['gen_ai.router.name', 'litellm.model_group', 'llm.router.name'],
} as const satisfies Readonly<Record<string, readonly string[]>>

export type Field = keyof typeof attributesFor

/** Fields that alone do not make a span one of GenAI: others use these attributes too. */
const common: ReadonlySet<Field> = new Set([
  'conversation',
  'errorType',
  'attempt',
  'entity',
  'workflow',
  'agentName',
  'agentId',
  'agentVersion',
  'toolArguments',
])

const names = Object.keys(attributesFor) as Field[]

export interface Place {
  readonly field: number
  /** 0 is the most trusted. */
  readonly rank: number
  /** Whether it alone says that the span is one of GenAI. */
  readonly telling: boolean
}

/** Where an attribute's value belongs. */
export const placeOf: ReadonlyMap<string, Place> = new Map(
  names.flatMap((name, field) =>
    attributesFor[name].map((key, rank): [string, Place] => [
      key,
      { field, rank, telling: !common.has(name) || (name.startsWith('agent') && key.startsWith('gen_ai.')) },
    ]),
  ),
)
export const fieldCount = names.length
/** The number of a field by its name. */
export const fieldAt = Object.fromEntries(names.map((name, i) => [name, i])) as Readonly<
  Record<Field, number>
>

/** Whether `genAiOf` looks at this attribute of a span or of its events. */
export const isWantedAttribute = (key: string): boolean => placeOf.has(key)

/** The attribute that stands for a tool's arguments where these are not kept. */
export const argumentsDigest = attributesFor.toolArguments[0]
/** Whether this attribute holds what a tool was given. */
export const isToolArguments = (key: string): boolean =>
  (attributesFor.toolArguments as readonly string[]).includes(key)
