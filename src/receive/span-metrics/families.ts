// The metrics made of spans: names, bounds and help.
import type { SpanMetricsConfig } from './config.ts'
import type { Family } from './series-book.ts'

const whole = [1, 2, 3, 5, 8, 13, 21, 34, 55, 100] as const

/**
 * RED by the names of the OpenTelemetry Collector's span metrics connector under the namespace `traces.spanmetrics`, which Tempo uses too.
 * GenAI by the conventions' names behind `traces_`, so that sums over what agents send themselves are not disturbed.
 */
export const familiesOf = (config: SpanMetricsConfig) => {
  const seconds = (name: string, help: string, bounds = config.gen_ai_buckets): Family => ({
    name,
    type: 'histogram',
    unit: 'seconds',
    help,
    bounds,
  })
  const counter = (name: string, help: string): Family => ({
    name,
    type: 'counter',
    unit: '',
    help,
    bounds: [],
  })
  return {
    red: {
      ...seconds('traces_spanmetrics_duration_seconds', 'Duration of spans.', config.buckets),
      counted: 'traces_spanmetrics_calls_total',
    },
    operation: seconds(
      'traces_gen_ai_client_operation_duration_seconds',
      'Duration of calls to models and of other GenAI operations, from spans.',
    ),
    firstChunk: seconds(
      'traces_gen_ai_client_operation_time_to_first_chunk_seconds',
      'Time until the first chunk of a streamed answer, from spans.',
    ),
    tokens: counter(
      'traces_gen_ai_client_tokens_total',
      'Tokens of calls to models, from spans. Cached ones are part of the input, reasoning ones part of the output.',
    ),
    tool: seconds(
      'traces_gen_ai_execute_tool_duration_seconds',
      'Duration of the calls of tools, from spans.',
    ),
    agent: seconds(
      'traces_gen_ai_invoke_agent_duration_seconds',
      'Duration of invocations of agents, from spans.',
    ),
    workflow: seconds('traces_gen_ai_workflow_duration_seconds', 'Duration of workflows, from spans.'),
    steps: {
      ...seconds(
        'traces_gen_ai_invoke_agent_steps',
        'Calls of models and of tools within one invocation of an agent, from spans.',
        [...whole],
      ),
      unit: '',
    },
    loops: counter(
      'traces_gen_ai_invoke_agent_loops_total',
      'Invocations of agents that went in circles, by how it showed, from spans.',
    ),
    score: {
      ...seconds(
        'traces_gen_ai_evaluation_score',
        'Scores of evaluations, from spans.',
        config.score_buckets,
      ),
      unit: '',
    },
    lastScore: {
      ...counter('traces_gen_ai_evaluation_score_last', 'The last score of an evaluation, from spans.'),
      type: 'gauge',
    },
  } as const satisfies Readonly<Record<string, Family>>
}
export type Families = ReturnType<typeof familiesOf>
