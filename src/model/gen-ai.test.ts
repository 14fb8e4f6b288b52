import { describe, expect, test } from 'vitest'
import { span } from '../../test/kit/span.ts'
import { type GenAiCall, genAiOf } from './gen-ai.ts'
import { attributesFor, isWantedAttribute } from './gen-ai-attributes.ts'
import type { Attributes, Span } from './span.ts'

const read = (attributes: Attributes, more: Parameters<typeof span>[1] = {}): GenAiCall => {
  const call = genAiOf(span(attributes, more))
  if (!call) throw new Error('not taken for a GenAI span')
  return call
}
const tokens = (input: number | null, output: number | null, more: Partial<GenAiCall['tokens']> = {}) => ({
  input,
  output,
  cacheRead: null,
  cacheCreation: null,
  reasoning: null,
  ...more,
})

describe('a call to a model, as each generation says it', () => {
  const generations: readonly (readonly [string, Attributes, Partial<GenAiCall>])[] = [
    [
      'OpenTelemetry 1.4x',
      {
        'gen_ai.operation.name': 'chat',
        'gen_ai.provider.name': 'anthropic',
        'gen_ai.request.model': 'claude-sonnet',
        'gen_ai.response.model': 'claude-sonnet-4',
        'gen_ai.response.id': 'msg_1',
        'gen_ai.response.finish_reasons': '["stop","length"]',
        'gen_ai.usage.input_tokens': '900',
        'gen_ai.usage.output_tokens': '80',
        'gen_ai.usage.cache_read.input_tokens': '600',
        'gen_ai.usage.cache_creation.input_tokens': '100',
        'gen_ai.usage.reasoning.output_tokens': '30',
        'gen_ai.usage.audio.input_tokens': '12',
        'gen_ai.conversation.id': 'c-1',
        'gen_ai.agent.name': 'writer',
        'gen_ai.agent.id': 'a1',
        'gen_ai.agent.version': '2.0.0',
        'gen_ai.response.time_to_first_chunk': '0.25',
      },
      {
        operation: 'chat',
        provider: 'anthropic',
        requestModel: 'claude-sonnet',
        responseModel: 'claude-sonnet-4',
        responseId: 'msg_1',
        finishReasons: ['stop', 'length'],
        tokens: tokens(900, 80, { cacheRead: 600, cacheCreation: 100, reasoning: 30 }),
        modalities: [{ modality: 'audio', side: 'input', tokens: 12 }],
        conversation: 'c-1',
        agent: { name: 'writer', id: 'a1', version: '2.0.0' },
        timeToFirstChunk: 0.25,
      },
    ],
    [
      'OpenTelemetry 1.27: gen_ai.system, prompt and completion',
      {
        'gen_ai.system': 'openai',
        'gen_ai.request.model': 'gpt-4o',
        'gen_ai.usage.prompt_tokens': '10',
        'gen_ai.usage.completion_tokens': '5',
      },
      { operation: 'chat', provider: 'openai', tokens: tokens(10, 5) },
    ],
    [
      'OpenLLMetry',
      {
        'llm.request.type': 'completion',
        'gen_ai.system': 'OpenAI',
        'llm.request.model': 'gpt-3.5',
        'llm.usage.prompt_tokens': '7',
        'llm.usage.completion_tokens': '3',
        'llm.usage.total_tokens': '10',
        'traceloop.association.properties.session_id': 's-1',
      },
      {
        operation: 'text_completion',
        requestModel: 'gpt-3.5',
        tokens: tokens(7, 3),
        conversation: 's-1',
      },
    ],
    [
      'OpenInference',
      {
        'openinference.span.kind': 'LLM',
        'llm.model_name': 'gpt-4o',
        'llm.provider': 'azure',
        'llm.token_count.prompt': '40',
        'llm.token_count.completion': '4',
        'llm.token_count.prompt_details.cache_read': '20',
        'llm.token_count.completion_details.reasoning': '2',
        'session.id': 's-2',
        'llm.cost.total': '0.5',
      },
      {
        operation: 'chat',
        provider: 'azure',
        tokens: tokens(40, 4, { cacheRead: 20, reasoning: 2 }),
        conversation: 's-2',
        cost: 0.5,
      },
    ],
    [
      'Vercel AI SDK',
      {
        'ai.operationId': 'ai.streamText.doStream',
        'ai.model.id': 'gpt-4o',
        'ai.model.provider': 'openai.chat',
        'ai.usage.promptTokens': '8',
        'ai.usage.completionTokens': '2',
        'ai.response.msToFirstChunk': '125',
        'ai.response.finishReason': 'stop',
        'ai.response.id': 'r',
      },
      {
        operation: 'chat',
        provider: 'openai.chat',
        tokens: tokens(8, 2),
        timeToFirstChunk: 0.125,
        finishReasons: ['stop'],
        responseId: 'r',
      },
    ],
    [
      'Langfuse',
      {
        'langfuse.observation.type': 'generation',
        'langfuse.observation.model.name': 'm',
        'langfuse.observation.usage_details': '{"input":5,"output":"6","cache_read_input_tokens":1}',
        'langfuse.observation.cost_details': '{"total":0.001}',
        'langfuse.session.id': 's',
      },
      { operation: 'chat', requestModel: 'm', tokens: tokens(5, 6, { cacheRead: 1 }), cost: 0.001 },
    ],
    [
      'LiteLLM',
      {
        'gen_ai.request.model': 'claude',
        'gen_ai.cost.total_cost': '0.02',
        'litellm.model_group': 'smart',
        'litellm.attempt': '2',
      },
      { operation: 'chat', cost: 0.02, router: 'smart', attempt: 2 },
    ],
    ['LangSmith', { 'langsmith.span.kind': 'llm', ls_model_name: 'x' }, { operation: 'chat' }],
    [
      'embeddings that say only a total',
      { 'gen_ai.operation.name': 'embeddings', 'gen_ai.usage.total_tokens': '33' },
      { operation: 'embeddings', tokens: tokens(33, null) },
    ],
  ]
  test.each(generations)('%s', (_, attributes, expected) => {
    expect(read(attributes)).toMatchObject({ kind: 'model', ...expected })
  })
})

describe('what is no call to a model', () => {
  const others: readonly (readonly [Attributes, string, Partial<GenAiCall>])[] = [
    [
      {
        'gen_ai.operation.name': 'execute_tool',
        'gen_ai.tool.name': 'search',
        'gen_ai.tool.type': 'function',
      },
      'x',
      { kind: 'tool', tool: { name: 'search', type: 'function', argumentsHash: '' } },
    ],
    [
      { 'gen_ai.operation.name': 'execute_tool' },
      'execute_tool find',
      { tool: { name: 'find', type: '', argumentsHash: '' } },
    ],
    [
      { 'traceloop.span.kind': 'tool', 'traceloop.entity.name': 'grep' },
      'grep.tool',
      { kind: 'tool', tool: { name: 'grep', type: '', argumentsHash: '' } },
    ],
    [
      { 'openinference.span.kind': 'TOOL', 'tool.name': 't' },
      'x',
      { kind: 'tool', operation: 'execute_tool' },
    ],
    [
      { 'gen_ai.operation.name': 'invoke_agent' },
      'invoke_agent pilot',
      { kind: 'agent', agent: { name: 'pilot', id: '', version: '' } },
    ],
    [
      { 'openinference.span.kind': 'AGENT' },
      'planner',
      { kind: 'agent', agent: { name: 'planner', id: '', version: '' } },
    ],
    [
      { 'traceloop.span.kind': 'agent', 'traceloop.entity.name': 'crew' },
      'crew.agent',
      { agent: { name: 'crew', id: '', version: '' } },
    ],
    [
      { 'ai.operationId': 'ai.generateText', 'ai.telemetry.functionId': 'helper' },
      'ai.generateText',
      { kind: 'agent', agent: { name: 'helper', id: '', version: '' } },
    ],
    [{ 'ai.operationId': 'ai.toolCall', 'ai.toolCall.name': 'w' }, 'ai.toolCall', { kind: 'tool' }],
    [
      { 'gen_ai.operation.name': 'invoke_workflow', 'gen_ai.workflow.name': 'crawl' },
      'x',
      { kind: 'workflow', workflow: 'crawl' },
    ],
    [{ 'gen_ai.operation.name': 'retrieval' }, 'x', { kind: 'other', operation: 'retrieval' }],
    [{ 'openinference.span.kind': 'RETRIEVER' }, 'x', { kind: 'other', operation: 'retrieval' }],
    [{ 'gen_ai.operation.name': 'plan' }, 'x', { kind: 'other', operation: 'plan' }],
    [{ 'gen_ai.operation.name': 'create_agent' }, 'x', { kind: 'other', operation: 'create_agent' }],
  ]
  test.each(others)('%j of %s', (attributes, name, expected) => {
    expect(read(attributes, { name })).toMatchObject(expected)
  })

  test('other spans are none: by their attributes, or because they only hold others together', () => {
    const none: readonly (readonly [Attributes, Partial<Span>?])[] = [
      [{}],
      [{ 'error.type': 'timeout', 'session.id': 's', 'agent.name': 'kubelet' }],
      [{ 'traceloop.span.kind': 'task' }],
      [{ 'openinference.span.kind': 'CHAIN' }],
      [{}, { events: [{ name: 'log', at: 1, attributes: {} }] }],
    ]
    for (const [attributes, more] of none) expect(genAiOf(span(attributes, more))).toBeNull()
  })
})

test('why it failed: said, from an exception, or not known', () => {
  const failed = (attributes: Attributes, events: Span['events'] = []): string =>
    read({ 'gen_ai.operation.name': 'chat', ...attributes }, { status: 'error', events }).errorType
  expect(failed({ 'error.type': 'timeout' })).toBe('timeout')
  expect(failed({}, [{ name: 'exception', at: 1, attributes: { 'exception.type': 'RateLimit' } }])).toBe(
    'RateLimit',
  )
  expect(failed({})).toBe('_OTHER')
  expect(read({ 'gen_ai.operation.name': 'chat' }).errorType).toBe('')
})

test('evaluations come as events of a call, of any span, or as the span itself', () => {
  const event = {
    name: 'gen_ai.evaluation.result',
    at: 1,
    attributes: {
      'gen_ai.evaluation.name': 'relevance',
      'gen_ai.evaluation.score.value': '-0.5',
      'gen_ai.evaluation.score.label': 'poor',
    },
  }
  const relevance = { name: 'relevance', value: -0.5, label: 'poor', errorType: '' }
  expect(read({ 'gen_ai.operation.name': 'chat' }, { events: [event, event] }).evaluations).toEqual([
    relevance,
    relevance,
  ])
  expect(read({}, { events: [event] })).toMatchObject({ operation: '', evaluations: [relevance] })
  expect(
    read({ 'gen_ai.evaluation.name': 'tone', 'gen_ai.evaluation.score.label': 'kind' }).evaluations,
  ).toEqual([{ name: 'tone', value: null, label: 'kind', errorType: '' }])
})

test('the same arguments of a tool have the same hash', () => {
  const hash = (sent: string): string =>
    read({ 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.call.arguments': sent }).tool.argumentsHash
  expect(hash('{"q":1}')).toBe(hash('{"q":1}'))
  expect(hash('{"q":1}')).not.toBe(hash('{"q":2}'))
})

test('numbers that are none say nothing, and texts that are no JSON do no harm', () => {
  const call = read({
    'gen_ai.operation.name': 'chat',
    'gen_ai.usage.input_tokens': 'many',
    'gen_ai.usage.output_tokens': '-1',
    'langfuse.observation.usage_details': '{"input":',
    'gen_ai.response.finish_reasons': '[stop',
  })
  expect(call).toMatchObject({ tokens: tokens(null, null), finishReasons: [] })
})

test('what is wanted of a span is what is looked at, each attribute once', () => {
  const all = Object.values(attributesFor).flat()
  expect(new Set(all).size).toBe(all.length)
  expect(all.every(isWantedAttribute)).toBe(true)
  expect(isWantedAttribute('http.route')).toBe(false)
})
