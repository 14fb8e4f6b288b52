// The dashboard of the fleet: what agents do, how well, at what cost, and what was decided about them.
import type { Board } from './dashboard.ts'
import type { Panel } from './panel.ts'

const by = 'gen_ai_agent_name, gen_ai_agent_version'
const at = 'gen_ai_agent_name=~"$agent",gen_ai_agent_version=~"$version"'
const whose = '{{gen_ai_agent_name}} {{gen_ai_agent_version}}'
const money = 'agent=~"$agent",version=~"$version",model=~"$model"'
const rate = (metric: string, more = '', labels = at): string =>
  `rate(${metric}{${labels}${more}}[$__rate_interval])`
/** Rates of a GenAI histogram: what agents send themselves, or what Airboss makes of the spans of those that send no metrics. */
const either = (metric: string, suffix: string, more = '', labels = at): string =>
  `(${rate(`${metric}_${suffix}`, more, labels)} or ${rate(`traces_${metric}_${suffix}`, more, labels)} unless on (gen_ai_agent_name) ${metric}_count{${at}})`
const quantile = (q: number, metric: string, group: string, labels = at): string =>
  `histogram_quantile(${q}, sum by (le, ${group}) (${either(metric, 'bucket', '', labels)}))`
const runs = 'gen_ai_invoke_agent_duration_seconds'
const calls = 'gen_ai_client_operation_duration_seconds'
const tools = 'gen_ai_execute_tool_duration_seconds'
const scores = `gen_ai_evaluation_score{${at}} or traces_gen_ai_evaluation_score_last{${at}} unless on (gen_ai_agent_name) gen_ai_evaluation_score{${at}}`
/** Failed of all; 0 where nothing failed, nothing where nothing was done. */
const errors = (metric: string, group: string): string =>
  `(sum by (${group}) (${either(metric, 'count', ',error_type!=""')}) or sum by (${group}) (${either(metric, 'count')}) * 0) / (sum by (${group}) (${either(metric, 'count')}) > 0)`
const hourly = (group: string): string =>
  `sum by (${group}) (${rate('airboss_cost_usd_total', '', money)}) * 3600`

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'Runs',
    about: 'Invocations of agents a second.',
    unit: 'reqps',
    decimals: 2,
    queries: [[`sum(${either(runs, 'count')})`, 'runs']],
  },
  {
    show: 'number',
    title: 'Failed runs',
    about: 'Share of invocations that ended in an error. Above 20 % somebody is paged.',
    unit: 'percentunit',
    decimals: 1,
    steps: [
      [0.05, 'yellow'],
      [0.2, 'red'],
    ],
    queries: [
      [
        `(sum(${either(runs, 'count', ',error_type!=""')}) or sum(${either(runs, 'count')}) * 0) / (sum(${either(runs, 'count')}) > 0)`,
        'failed',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Run time, p95',
    about: 'Of all invocations 5 % take longer.',
    unit: 's',
    queries: [[`histogram_quantile(0.95, sum by (le) (${either(runs, 'bucket')}))`, 'p95']],
  },
  {
    show: 'number',
    title: 'Spending',
    about: 'US dollars an hour at the present pace, all agents chosen.',
    unit: 'currencyUSD',
    decimals: 2,
    queries: [[`sum(${rate('airboss_cost_usd_total', '', money)}) * 3600`, 'an hour']],
  },
  {
    show: 'number',
    title: 'Lowest score',
    about: 'The lowest mean evaluation score of an agent in a version. Below 0.7 is a warning.',
    unit: 'none',
    decimals: 2,
    queries: [[`min(avg by (${by}) (${scores}))`, 'score']],
  },
  {
    show: 'number',
    title: 'Agents reporting',
    about: 'Agents of which something came within 5 minutes.',
    unit: 'none',
    queries: [
      [`count(count by (gen_ai_agent_name) (${runs}_count{${at}} or traces_${runs}_count{${at}}))`, 'agents'],
    ],
  },
]

const speed: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Run time',
    about:
      'Median and p95 of invocations, by agent and version: where a new version is slower, it shows here.',
    unit: 's',
    min: 0,
    queries: [
      [quantile(0.5, runs, by), `${whose} p50`],
      [quantile(0.95, runs, by), `${whose} p95`],
    ],
  },
  {
    show: 'graph',
    title: 'Failed runs',
    about: 'Share of invocations that ended in an error.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.2, 'red']],
    queries: [[errors(runs, by), whose]],
  },
  {
    show: 'graph',
    title: 'Runs',
    about: 'Invocations a second.',
    unit: 'reqps',
    min: 0,
    stacked: true,
    queries: [[`sum by (${by}) (${either(runs, 'count')})`, whose]],
  },
  {
    show: 'graph',
    title: 'Model calls',
    about: 'Median and p95 of calls, by model.',
    unit: 's',
    min: 0,
    queries: [
      [
        quantile(0.5, calls, 'gen_ai_request_model', `${at},gen_ai_request_model=~"$model"`),
        '{{gen_ai_request_model}} p50',
      ],
      [
        quantile(0.95, calls, 'gen_ai_request_model', `${at},gen_ai_request_model=~"$model"`),
        '{{gen_ai_request_model}} p95',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Failed model calls',
    about: 'Share of calls that ended in an error, by agent and version. 5 % for 5 minutes is a warning.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.05, 'yellow']],
    queries: [[errors(calls, by), whose]],
  },
  {
    show: 'graph',
    title: 'Evaluation score',
    about: 'Mean score by agent, version and evaluation.',
    unit: 'none',
    min: 0,
    max: 1,
    queries: [[`avg by (${by}, gen_ai_evaluation_name) (${scores})`, `${whose} {{gen_ai_evaluation_name}}`]],
  },
]

const toolPanels: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Tool calls',
    about: 'Calls of each tool a second.',
    unit: 'reqps',
    min: 0,
    stacked: true,
    queries: [[`sum by (gen_ai_tool_name) (${either(tools, 'count')})`, '{{gen_ai_tool_name}}']],
  },
  {
    show: 'graph',
    title: 'Tool failures',
    about: 'Share of calls that failed, by tool, agent and version. 10 % for 10 minutes is a warning.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.1, 'yellow']],
    queries: [[errors(tools, `gen_ai_tool_name, ${by}`), `{{gen_ai_tool_name}} of ${whose}`]],
  },
  {
    show: 'graph',
    title: 'Tool time, p95',
    about: 'Of all calls of a tool 5 % take longer.',
    unit: 's',
    min: 0,
    queries: [[quantile(0.95, tools, 'gen_ai_tool_name'), '{{gen_ai_tool_name}}']],
  },
  {
    show: 'graph',
    title: 'Why tools fail',
    about: 'Failures a second by the type of the error.',
    unit: 'reqps',
    min: 0,
    queries: [
      [
        `sum by (gen_ai_tool_name, error_type) (${either(tools, 'count', ',error_type!=""')})`,
        '{{gen_ai_tool_name}} {{error_type}}',
      ],
    ],
  },
]

const moneyPanels: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Spending by agent',
    about: 'US dollars an hour, by agent and version.',
    unit: 'currencyUSD',
    min: 0,
    stacked: true,
    queries: [[hourly('agent, version'), '{{agent}} {{version}}']],
  },
  {
    show: 'graph',
    title: 'Spending by model',
    about: 'US dollars an hour, by model and provider.',
    unit: 'currencyUSD',
    min: 0,
    stacked: true,
    queries: [[hourly('model, provider'), '{{model}} ({{provider}})']],
  },
  {
    show: 'graph',
    title: 'Cost of one run',
    about: 'US dollars spent by an agent for each invocation.',
    unit: 'currencyUSD',
    min: 0,
    decimals: 4,
    queries: [
      [
        `sum by (agent, version) (${rate('airboss_cost_usd_total', '', money)}) / on (agent, version) (sum by (agent, version) (label_replace(label_replace(${either(runs, 'count')}, "agent", "$1", "gen_ai_agent_name", "(.*)"), "version", "$1", "gen_ai_agent_version", "(.*)")) > 0)`,
        '{{agent}} {{version}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Tokens',
    about: 'Tokens a second by kind. Cached and reasoning tokens are part of input and output.',
    unit: 'none',
    min: 0,
    queries: [
      [
        `sum by (gen_ai_token_type) (${rate('gen_ai_client_token_usage_sum', ',gen_ai_request_model=~"$model"')})`,
        '{{gen_ai_token_type}}',
      ],
      ...(['input', 'output', 'cache_read_input', 'cache_write_input', 'reasoning_output'] as const).map(
        (kind) =>
          [
            `sum(${rate(`gen_ai_client_inference_usage_${kind}_tokens_total`)})`,
            `${kind} (counters)`,
          ] as const,
      ),
    ],
  },
  {
    show: 'bars',
    title: 'Budgets, share spent',
    about: 'Of the present day, month or year. At 100 % somebody is paged.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [
      [0.8, 'yellow'],
      [1, 'red'],
    ],
    queries: [['max by (budget, period) (airboss_budget_spent_ratio)', '{{budget}} ({{period}})']],
  },
  {
    show: 'graph',
    title: 'Budgets, spent and expected',
    about: 'What is spent, what will be at the present pace, and the amount.',
    unit: 'currencyUSD',
    min: 0,
    queries: [
      ['max by (budget, period) (airboss_budget_spent_usd)', '{{budget}} spent'],
      ['max by (budget, period) (airboss_budget_projected_usd)', '{{budget}} expected'],
      ['max by (budget, period) (airboss_budget_usd)', '{{budget}} amount'],
    ],
  },
]

const decided: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Decisions',
    about: 'What Airboss decided: promotions, rollbacks, scaling, budgets.',
    unit: 'none',
    min: 0,
    queries: [
      [
        'sum by (kind, subject, verdict) (increase(airboss_decisions_total{subject=~"$agent"}[$__rate_interval]))',
        '{{kind}} {{subject}}: {{verdict}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Actions',
    about: 'What became of actions. Held ones wait for a person, or for the switch to live.',
    unit: 'none',
    min: 0,
    queries: [
      ['sum by (kind, outcome) (increase(airboss_actions_total[$__rate_interval]))', '{{kind}} {{outcome}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Replicas wanted',
    about: 'How many replicas each autoscaler wants.',
    unit: 'none',
    min: 0,
    queries: [['max by (name) (airboss_autoscale_desired_replicas)', '{{name}}']],
  },
  {
    show: 'graph',
    title: 'Judgements of canaries',
    about: 'How new versions did against the old ones, by outcome.',
    unit: 'none',
    min: 0,
    queries: [
      ['sum by (outcome) (increase(airboss_rollout_judgements_total[$__rate_interval]))', '{{outcome}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Alerts that fire',
    about: 'By name and severity.',
    unit: 'none',
    min: 0,
    queries: [['sum by (alertname, severity) (ALERTS{alertstate="firing"})', '{{alertname}} ({{severity}})']],
  },
  {
    show: 'graph',
    title: 'Business events',
    about: 'Events a second by name and outcome.',
    unit: 'ops',
    min: 0,
    queries: [
      [
        'sum by (name, outcome) (rate(airboss_events_total{agent=~"$agent",version=~"$version"}[$__rate_interval]))',
        '{{name}} {{outcome}}',
      ],
    ],
  },
]

export const fleet: Board = {
  uid: 'airboss-fleet',
  title: 'Airboss / Fleet',
  about:
    'Agents that report by the OpenTelemetry GenAI conventions: speed, errors, tools, scores, money, decisions.',
  tags: ['fleet'],
  from: 'now-30m',
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
    { name: 'model', label: 'Model', values: 'label_values(airboss_cost_usd_total, model)' },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Speed and quality', panels: speed },
    { title: 'Tools', panels: toolPanels },
    { title: 'Money', panels: moneyPanels },
    { title: 'Decided and done', panels: decided },
  ],
}
