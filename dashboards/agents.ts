// The dashboard of what agents do inside: invocations, steps, loops, models, tokens, tools, scores, and the traces and logs behind them.

import { agentRows } from './agents-rows.ts'
import type { Board } from './dashboard.ts'
import {
  byAgent,
  calls,
  chosen,
  failedShare,
  firstChunk,
  loops,
  perSecond,
  quantile,
  rate,
  runs,
  steps,
  tools,
  total,
  totalFailedShare,
  whose,
} from './genai.ts'
import { toBoard, toConsole } from './links.ts'
import type { Panel } from './panel.ts'

const byModel = 'gen_ai_request_model, gen_ai_provider_name'
const model = ',gen_ai_request_model=~"$model"'
const modelName = '{{gen_ai_request_model}} ({{gen_ai_provider_name}})'
const byTool = `gen_ai_tool_name, ${byAgent}`
const stepsOf = (q: number): string =>
  `histogram_quantile(${q}, sum by (le, step, ${byAgent}) (${rate(`${steps}_bucket`)}))`
const cost = toBoard('Cost of this agent', 'airboss-cost', 'var-agent=${__field.labels.gen_ai_agent_name}')
const fires = toConsole('Rules of agents', '/rules')

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'Invocations',
    about: 'Invocations of the chosen agents a second.',
    unit: 'reqps',
    decimals: 2,
    queries: [[total(runs), 'invocations']],
  },
  {
    show: 'number',
    title: 'Failed',
    about: 'Share of invocations that ended in an error. Above 20 % somebody is paged.',
    unit: 'percentunit',
    decimals: 1,
    steps: [
      [0.05, 'yellow'],
      [0.2, 'red'],
    ],
    queries: [[totalFailedShare(runs), 'failed']],
  },
  {
    show: 'number',
    title: 'Slowest agent, p95',
    about: 'Of the invocations of the slowest agent in a version 5 % take longer.',
    unit: 's',
    queries: [[`max(${quantile(0.95, runs)})`, 'p95']],
  },
  {
    show: 'number',
    title: 'Model calls of an invocation',
    about: 'Calls of models within one invocation, p95 over all agents that send spans.',
    unit: 'none',
    decimals: 0,
    queries: [[`histogram_quantile(0.95, sum by (le) (${rate(`${steps}_bucket`, ',step="model"')}))`, 'p95']],
  },
  {
    show: 'number',
    title: 'Loops',
    about: 'Invocations a minute that went in circles: the same call again and again, or steps without end.',
    unit: 'none',
    decimals: 1,
    steps: [
      [0.1, 'yellow'],
      [5, 'red'],
    ],
    queries: [[`sum(${rate(loops)}) * 60`, 'a minute']],
  },
  {
    show: 'number',
    title: 'First chunk, p95',
    about: 'Time until a streamed answer begins; of all answers 5 % begin later.',
    unit: 's',
    queries: [[`max(${quantile(0.95, firstChunk)})`, 'p95']],
  },
]

const invocations: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Time of an invocation',
    about:
      'Median, p95 and p99 by agent and version. Dots are single invocations: a click leads to the trace.',
    unit: 's',
    min: 0,
    links: [cost],
    queries: [
      [quantile(0.5, runs), `${whose} p50`],
      [quantile(0.95, runs), `${whose} p95`],
      [quantile(0.99, runs), `${whose} p99`],
    ],
  },
  {
    show: 'graph',
    title: 'Failed invocations',
    about: 'Share that ended in an error, by agent and version.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.2, 'red']],
    links: [fires],
    queries: [[failedShare(runs), whose]],
  },
  {
    show: 'graph',
    title: 'Invocations',
    about: 'A second, by agent and version.',
    unit: 'reqps',
    min: 0,
    stacked: true,
    queries: [[perSecond(runs), whose]],
  },
  {
    show: 'graph',
    title: 'Why invocations fail',
    about: 'Failures a second, by the type of the error.',
    unit: 'reqps',
    min: 0,
    queries: [[perSecond(runs, `${byAgent}, error_type`, ',error_type!=""'), `${whose} {{error_type}}`]],
  },
  {
    show: 'graph',
    title: 'Steps of an invocation',
    about:
      'Calls of models and tools within one invocation. A rising p95 is an agent that does not find its way.',
    unit: 'none',
    min: 0,
    queries: [
      [stepsOf(0.5), `${whose} {{step}} p50`],
      [stepsOf(0.95), `${whose} {{step}} p95`],
    ],
  },
  {
    show: 'graph',
    title: 'Loops',
    about: 'Invocations a minute that went in circles, by how it showed.',
    unit: 'none',
    min: 0,
    steps: [[5, 'red']],
    queries: [[`sum by (${byAgent}, loop) (${rate(loops)}) * 60`, `${whose} {{loop}}`]],
  },
]

const models: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Time of a model call',
    about: 'Median and p95, by model and provider.',
    unit: 's',
    min: 0,
    queries: [
      [quantile(0.5, calls, byModel, model), `${modelName} p50`],
      [quantile(0.95, calls, byModel, model), `${modelName} p95`],
    ],
  },
  {
    show: 'graph',
    title: 'Time to first chunk',
    about: 'How long until a streamed answer begins: what a person who waits feels.',
    unit: 's',
    min: 0,
    queries: [
      [quantile(0.5, firstChunk, byModel, model), `${modelName} p50`],
      [quantile(0.95, firstChunk, byModel, model), `${modelName} p95`],
    ],
  },
  {
    show: 'graph',
    title: 'Calls by model',
    about: 'Calls a second. A model that was not asked for before is a fallback, or somebody’s new idea.',
    unit: 'reqps',
    min: 0,
    stacked: true,
    queries: [[perSecond(calls, byModel, model), modelName]],
  },
  {
    show: 'graph',
    title: 'Why model calls fail',
    about: 'Failures a second by model and type of error: refusals at a limit show here before agents fail.',
    unit: 'reqps',
    min: 0,
    queries: [
      [
        perSecond(calls, 'gen_ai_request_model, error_type', `${model},error_type!=""`),
        '{{gen_ai_request_model}} {{error_type}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Tokens by kind',
    about: 'Tokens a second from spans. Cached ones are part of input, reasoning ones part of output.',
    unit: 'none',
    min: 0,
    queries: [
      [
        `sum by (gen_ai_token_type) (${rate('traces_gen_ai_client_tokens_total', model)})`,
        '{{gen_ai_token_type}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Tokens by agent',
    about: 'Input and output tokens a second, by agent and version.',
    unit: 'none',
    min: 0,
    stacked: true,
    links: [cost],
    queries: [
      [
        `sum by (${byAgent}) (${rate('traces_gen_ai_client_tokens_total', ',gen_ai_token_type=~"input|output"')})`,
        whose,
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Share of the input from the cache',
    about:
      'Cached input is up to ten times cheaper. A prompt whose beginning changes with each call falls to 0.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    queries: [
      [
        `sum by (${byAgent}) (${rate('traces_gen_ai_client_tokens_total', ',gen_ai_token_type="cache_read"')}) / (sum by (${byAgent}) (${rate('traces_gen_ai_client_tokens_total', ',gen_ai_token_type="input"')}) > 0)`,
        whose,
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Failed model calls',
    about: 'Share of calls that failed, by agent and version. 5 % for 5 minutes is a warning.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.05, 'yellow']],
    queries: [[failedShare(calls), whose]],
  },
]

const toolPanels: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Tool calls',
    about: 'A second, by tool and agent.',
    unit: 'reqps',
    min: 0,
    stacked: true,
    queries: [[perSecond(tools, byTool), `{{gen_ai_tool_name}} of ${whose}`]],
  },
  {
    show: 'graph',
    title: 'Tool failures',
    about: 'Share of calls that failed. 10 % for 10 minutes is a warning.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.1, 'yellow']],
    queries: [[failedShare(tools, byTool), `{{gen_ai_tool_name}} of ${whose}`]],
  },
  {
    show: 'graph',
    title: 'Time of a tool call, p95',
    about: 'Of all calls of a tool 5 % take longer.',
    unit: 's',
    min: 0,
    queries: [[quantile(0.95, tools, 'gen_ai_tool_name'), '{{gen_ai_tool_name}}']],
  },
  {
    show: 'graph',
    title: 'Evaluation scores',
    about: 'Mean score by agent, version and evaluation. Below 0.7 is a warning.',
    unit: 'none',
    min: 0,
    max: 1,
    queries: [
      [
        `(avg by (${byAgent}, gen_ai_evaluation_name) (gen_ai_evaluation_score{${chosen}}) or sum by (${byAgent}, gen_ai_evaluation_name) (${rate('traces_gen_ai_evaluation_score_sum')}) / (sum by (${byAgent}, gen_ai_evaluation_name) (${rate('traces_gen_ai_evaluation_score_count')}) > 0))`,
        `${whose} {{gen_ai_evaluation_name}}`,
      ],
    ],
  },
]

export const agents: Board = {
  uid: 'airboss-agents',
  title: 'Airboss / Agents and GenAI',
  about:
    'Inside the agents: invocations, steps, loops, models, tokens, tools and scores, from what they measure or from their spans alone.',
  tags: ['agents'],
  from: 'now-30m',
  links: [
    toConsole('Traces', '/traces'),
    toConsole('Decisions', '/decisions'),
    toBoard('Cost', 'airboss-cost'),
    toBoard('Service levels', 'airboss-slo'),
  ],
  variables: [
    {
      name: 'agent',
      label: 'Agent',
      values: `label_values({__name__=~"(traces_)?${runs}_count"}, gen_ai_agent_name)`,
    },
    {
      name: 'version',
      label: 'Version',
      values: `label_values({__name__=~"(traces_)?${runs}_count",gen_ai_agent_name=~"$agent"}, gen_ai_agent_version)`,
    },
    {
      name: 'model',
      label: 'Model',
      values: `label_values({__name__=~"(traces_)?${calls}_count"}, gen_ai_request_model)`,
    },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Invocations', panels: invocations },
    { title: 'Models and tokens', panels: models },
    { title: 'Tools and quality', panels: toolPanels },
    { title: 'Traces and logs', panels: agentRows },
  ],
}
