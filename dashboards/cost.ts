// The dashboard of money: who spends it, on what, what of it was for nothing, and how far the budgets reach.
import { costRows } from './cost-rows.ts'
import type { Board } from './dashboard.ts'
import { byAgent, chosen, either, rate, runs } from './genai.ts'
import { toBoard, toConsole } from './links.ts'
import type { Panel, Steps } from './panel.ts'

const at = 'agent=~"$agent",version=~"$version",model=~"$model",owner=~"$owner"'
const spent = (group: string, metric = 'airboss_cost_usd_total'): string =>
  `sum by (${group}) (rate(${metric}{${at}}[$__rate_interval])) * 3600`
const budgetSteps: Steps = [
  [0.8, 'yellow'],
  [1, 'red'],
]
/** Invocations a second under the labels that money carries. */
const invocations = `label_replace(label_replace(${either(runs, (m) => `sum by (${byAgent}) (${rate(`${m}_count`, '', chosen)})`)}, "agent", "$1", "gen_ai_agent_name", "(.*)"), "version", "$1", "gen_ai_agent_version", "(.*)")`
const agent = toBoard('This agent', 'airboss-agents', 'var-agent=${__field.labels.agent}')
const decisions = toConsole('Decisions', '/decisions')

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'Spending',
    about: 'US dollars an hour at the present pace, of all that is chosen.',
    unit: 'currencyUSD',
    decimals: 2,
    queries: [[`sum(rate(airboss_cost_usd_total{${at}}[$__rate_interval])) * 3600`, 'an hour']],
  },
  {
    show: 'number',
    title: 'Spent in 24 hours',
    about: 'US dollars of the last 24 hours, or of as much of them as there is.',
    unit: 'currencyUSD',
    decimals: 2,
    queries: [[`sum(increase(airboss_cost_usd_total{${at}}[24h]))`, 'spent']],
  },
  {
    show: 'number',
    title: 'Fullest budget',
    about: 'The share spent of the budget that is nearest its end.',
    unit: 'percentunit',
    decimals: 0,
    steps: budgetSteps,
    links: [decisions],
    queries: [['max(airboss_budget_spent_ratio)', 'spent']],
  },
  {
    show: 'number',
    title: 'One invocation',
    about: 'US dollars for each invocation of the chosen agents, what they delegate included.',
    unit: 'currencyUSD',
    decimals: 4,
    queries: [
      [
        `sum(rate(airboss_cost_usd_total{${at}}[$__rate_interval])) / (sum(${invocations}) > 0)`,
        'an invocation',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Spent on failed calls',
    about: 'Share of the money that went into calls which ended in an error.',
    unit: 'percentunit',
    decimals: 1,
    steps: [[0.05, 'yellow']],
    queries: [
      [
        `(sum(rate(airboss_cost_failed_usd_total{${at}}[$__rate_interval])) or sum(rate(airboss_cost_usd_total{${at}}[$__rate_interval])) * 0) / (sum(rate(airboss_cost_usd_total{${at}}[$__rate_interval])) > 0)`,
        'failed',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Without a price',
    about:
      'Tokens a second of models that have no price. Spending is higher than shown: give the model a price.',
    unit: 'none',
    decimals: 0,
    none: '0',
    steps: [[0.001, 'yellow']],
    queries: [['sum(rate(airboss_unpriced_tokens_total[$__rate_interval]))', 'tokens']],
  },
]

const by = (group: string, title: string, about: string, legend: string): Panel => ({
  show: 'graph',
  title,
  about,
  unit: 'currencyUSD',
  min: 0,
  stacked: true,
  links: [agent],
  queries: [[spent(group), legend]],
})

const whom: readonly Panel[] = [
  by('agent, version', 'By agent', 'US dollars an hour, by agent and version.', '{{agent}} {{version}}'),
  by('model', 'By model', 'US dollars an hour, by the model that answered.', '{{model}}'),
  by('provider', 'By provider', 'US dollars an hour, by whom the bill comes from.', '{{provider}}'),
  by('owner', 'By owner', 'US dollars an hour, by the team that answers for the agent.', '{{owner}}'),
]

const worth: readonly Panel[] = [
  {
    show: 'graph',
    title: 'One invocation',
    about:
      'US dollars an agent itself spends for each of its invocations. A new version that costs more shows here first.',
    unit: 'currencyUSD',
    min: 0,
    decimals: 4,
    links: [agent],
    queries: [
      [
        `sum by (agent, version) (rate(airboss_cost_usd_total{${at}}[$__rate_interval])) / on (agent, version) (sum by (agent, version) (${invocations}) > 0)`,
        '{{agent}} {{version}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'A million tokens',
    about:
      'What a million input and output tokens come to, by model: caching lowers it, reasoning raises it.',
    unit: 'currencyUSD',
    min: 0,
    decimals: 2,
    queries: [
      [
        'sum by (model) (rate(airboss_cost_usd_total{model=~"$model"}[$__rate_interval])) / on (model) (sum by (model) (label_replace(rate(traces_gen_ai_client_tokens_total{gen_ai_token_type=~"input|output"}[$__rate_interval]), "model", "$1", "gen_ai_request_model", "(.*)")) > 0) * 1e6',
        '{{model}}',
      ],
    ],
  },
]

const whole: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Direct and inclusive',
    about:
      'US dollars an hour that an agent spends itself, and what its work costs with everything beneath it, sub-agents too. Read it agent by agent.',
    unit: 'currencyUSD',
    min: 0,
    links: [agent],
    queries: [
      [
        'sum by (agent) (rate(airboss_cost_usd_total{agent=~"$agent"}[$__rate_interval])) * 3600',
        '{{agent}} direct',
      ],
      [
        'sum by (agent) (rate(airboss_cost_inclusive_usd_total{agent=~"$agent"}[$__rate_interval])) * 3600',
        '{{agent}} inclusive',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'For nothing',
    about:
      'US dollars an hour that went into calls which failed, and the part of it for calls that were then made again.',
    unit: 'currencyUSD',
    min: 0,
    links: [agent],
    queries: [
      [
        'sum by (agent) (rate(airboss_cost_failed_usd_total{agent=~"$agent"}[$__rate_interval])) * 3600',
        '{{agent}} failed',
      ],
      [
        'sum by (agent) (rate(airboss_cost_retried_usd_total{agent=~"$agent"}[$__rate_interval])) * 3600',
        '{{agent}} made again',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Tokens without a price',
    about: 'Tokens a second by model that no price list knows.',
    unit: 'none',
    min: 0,
    queries: [
      [
        'sum by (model, provider) (rate(airboss_unpriced_tokens_total[$__rate_interval]))',
        '{{model}} ({{provider}})',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Calls billed',
    about:
      'Model calls a second that were billed from their spans, and tokens that were first billed from a counter.',
    unit: 'reqps',
    min: 0,
    queries: [
      ['sum(rate(airboss_priced_calls_total[$__rate_interval]))', 'calls'],
      ['sum(rate(airboss_cost_tokens_taken_back_total[$__rate_interval]))', 'tokens of counters taken back'],
    ],
  },
]

const budgets: readonly Panel[] = [
  {
    show: 'bars',
    title: 'Budgets, share spent',
    about: 'Of the present day, month or year. At 100 % somebody is paged.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: budgetSteps,
    links: [decisions],
    queries: [['max by (budget, period) (airboss_budget_spent_ratio)', '{{budget}} ({{period}})']],
  },
  {
    show: 'graph',
    title: 'Budgets, spent and expected',
    about: 'What is spent, what will be at the end of the period at the present pace, and the amount.',
    unit: 'currencyUSD',
    min: 0,
    queries: [
      ['max by (budget, period) (airboss_budget_spent_usd)', '{{budget}} spent'],
      ['max by (budget, period) (airboss_budget_projected_usd)', '{{budget}} expected'],
      ['max by (budget, period) (airboss_budget_usd)', '{{budget}} amount'],
    ],
  },
]

export const cost: Board = {
  uid: 'airboss-cost',
  title: 'Airboss / Cost',
  about:
    'What agents spend, by whom and on what, per invocation and against budgets, and what of it came to nothing.',
  tags: ['cost'],
  from: 'now-6h',
  links: [
    toConsole('Decisions', '/decisions'),
    toBoard('Agents', 'airboss-agents'),
    toBoard('Fleet', 'airboss-fleet'),
  ],
  variables: [
    { name: 'agent', label: 'Agent', values: 'label_values(airboss_cost_usd_total, agent)' },
    {
      name: 'version',
      label: 'Version',
      values: 'label_values(airboss_cost_usd_total{agent=~"$agent"}, version)',
    },
    { name: 'model', label: 'Model', values: 'label_values(airboss_cost_usd_total, model)' },
    { name: 'owner', label: 'Owner', values: 'label_values(airboss_cost_usd_total, owner)' },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Who spends, and on what', panels: whom },
    { title: 'What it is worth', panels: worth },
    { title: 'Direct, inclusive, and for nothing', panels: whole },
    { title: 'Budgets', panels: budgets },
    { title: 'Single calls and traces', panels: costRows },
  ],
}
