// What demo agents call things: the newest GenAI conventions, and those of a generation before, which many fleets still speak.

export type Generation = 'newest' | 'older'

export interface Who {
  readonly agent: string
  readonly version: string
}

export interface Usage {
  /** Tokens; those from the cache and those of reasoning are part of input and output. */
  readonly input: number
  readonly output: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly reasoning: number
}

export interface ModelName {
  readonly model: string
  readonly provider: string
}

type Said = Record<string, string | number | string[]>

export interface Vocabulary {
  agent(who: Who, conversation: string): Said
  call(who: Who, asked: ModelName): Said
  answer(answered: ModelName, usage: Usage, firstChunk: number | null, finish: string): Said
  /** `given` in JSON. Airboss reads arguments to know a repeated call, and keeps them only where it is told to. */
  tool(who: Who, tool: string, call: string, given: string): Said
}

const newest: Vocabulary = {
  agent: ({ agent, version }, conversation) => ({
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': agent,
    'gen_ai.agent.version': version,
    'gen_ai.conversation.id': conversation,
  }),
  call: ({ agent, version }, { model, provider }) => ({
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': provider,
    'gen_ai.request.model': model,
    'gen_ai.agent.name': agent,
    'gen_ai.agent.version': version,
  }),
  answer: ({ model }, usage, firstChunk, finish) => ({
    'gen_ai.response.model': model,
    'gen_ai.response.finish_reasons': [finish],
    ...(firstChunk === null ? {} : { 'gen_ai.response.time_to_first_chunk': firstChunk }),
    'gen_ai.usage.input_tokens': usage.input,
    'gen_ai.usage.output_tokens': usage.output,
    'gen_ai.usage.cache_read.input_tokens': usage.cacheRead,
    'gen_ai.usage.cache_creation.input_tokens': usage.cacheWrite,
    'gen_ai.usage.reasoning.output_tokens': usage.reasoning,
  }),
  tool: ({ agent, version }, tool, call, given) => ({
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': tool,
    'gen_ai.tool.type': 'function',
    'gen_ai.tool.call.id': call,
    'gen_ai.tool.call.arguments': given,
    'gen_ai.agent.name': agent,
    'gen_ai.agent.version': version,
  }),
}

/** The provider is a system, tokens are of prompt and completion, a conversation is a session; versions are the resource's alone. */
const older: Vocabulary = {
  agent: ({ agent }, conversation) => ({
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': agent,
    'session.id': conversation,
  }),
  call: ({ agent }, { model, provider }) => ({
    'gen_ai.operation.name': 'chat',
    'gen_ai.system': provider,
    'gen_ai.request.model': model,
    'gen_ai.agent.name': agent,
  }),
  answer: ({ model }, usage, _firstChunk, finish) => ({
    'gen_ai.response.model': model,
    'gen_ai.response.finish_reasons': [finish],
    'gen_ai.usage.prompt_tokens': usage.input,
    'gen_ai.usage.completion_tokens': usage.output,
  }),
  tool: ({ agent }, tool, call, given) => ({
    'gen_ai.operation.name': 'execute_tool',
    'gen_ai.tool.name': tool,
    'gen_ai.tool.call.id': call,
    'gen_ai.tool.call.arguments': given,
    'gen_ai.agent.name': agent,
  }),
}

export const vocabularies: Readonly<Record<Generation, Vocabulary>> = { newest, older }
