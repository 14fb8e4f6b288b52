// The dashboard of service levels: objectives, how much of the error budget is left, and how fast it burns over the windows that page.
import type { Board } from './dashboard.ts'
import { toBoard, toConsole } from './links.ts'
import type { Panel, Steps } from './panel.ts'

const at = 'gen_ai_agent_name=~"$agent"'
const who = '{{gen_ai_agent_name}}'
const burn = (window: string): string =>
  `agent:slo_errors:ratio_rate${window}{${at}} / on () group_left () agent:slo_error_budget:ratio`
const rules = toConsole('Rules of service levels', '/rules')
const agent = toBoard('This agent', 'airboss-agents', 'var-agent=${__field.labels.gen_ai_agent_name}')
/** Failed of all over a range, weighed by requests. */
const failed = (range: string): string =>
  `sum by (gen_ai_agent_name) (sum_over_time(agent:slo_failures:rate5m{${at}}[${range}])) / (sum by (gen_ai_agent_name) (sum_over_time(agent:slo_requests:rate5m{${at}}[${range}])) > 0)`
const left = (range: string): string =>
  `1 - (${failed(range)}) / on () group_left () agent:slo_error_budget:ratio`
const budgetLeft: Steps = [
  [0, 'yellow'],
  [0.25, 'green'],
]

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'Objective',
    about: 'Share of invocations that must succeed. It is set in the rule agent:slo_objective:ratio.',
    unit: 'percentunit',
    decimals: 2,
    links: [rules],
    queries: [['agent:slo_objective:ratio', 'objective']],
  },
  {
    show: 'number',
    title: 'Worst of the last hour',
    about: 'Share of invocations that succeeded, of the agent that does worst.',
    unit: 'percentunit',
    decimals: 2,
    links: [agent],
    queries: [[`1 - max(agent:slo_errors:ratio_rate1h{${at}})`, 'succeeded']],
  },
  {
    show: 'number',
    title: 'Fastest burn',
    about:
      'How many times faster than allowed the budget of the worst agent burns, over 1 hour. At 14.4 somebody is paged.',
    unit: 'none',
    decimals: 1,
    steps: [
      [1, 'yellow'],
      [14.4, 'red'],
    ],
    links: [rules],
    queries: [[`max(${burn('1h')})`, 'times']],
  },
  {
    show: 'number',
    title: 'Alerts of service levels',
    about: 'Burn alerts that wait or fire.',
    unit: 'none',
    steps: [[1, 'red']],
    links: [toConsole('Alerts', '/alerts')],
    queries: [['count(ALERTS{alertname=~"AgentErrorBudget.*"}) or vector(0)', 'alerts']],
  },
]

const budget: readonly Panel[] = [
  {
    show: 'bars',
    title: 'Error budget left, 30 days',
    about:
      'Share of the failures that 30 days allow and that have not happened yet. Below 0 the objective is missed.',
    unit: 'percentunit',
    max: 1,
    steps: budgetLeft,
    links: [agent],
    queries: [[left('30d'), who]],
  },
  {
    show: 'bars',
    title: 'Error budget left, the range shown',
    about: 'The same over the range of this dashboard.',
    unit: 'percentunit',
    max: 1,
    steps: budgetLeft,
    links: [agent],
    queries: [[left('$__range'), who]],
  },
  {
    show: 'graph',
    title: 'Succeeded',
    about: 'Share of invocations that succeeded over 5 minutes, beside the objective.',
    unit: 'percentunit',
    max: 1,
    links: [agent],
    queries: [
      [`1 - agent:slo_errors:ratio_rate5m{${at}}`, who],
      ['agent:slo_objective:ratio', 'objective'],
    ],
  },
  {
    show: 'graph',
    title: 'Invocations and failures',
    about: 'A second. A ratio of few invocations says little.',
    unit: 'reqps',
    min: 0,
    queries: [
      [`agent:slo_requests:rate5m{${at}}`, who],
      [`agent:slo_failures:rate5m{${at}}`, `${who} failed`],
    ],
  },
]

const pair = (
  title: string,
  long: string,
  short: string,
  factor: number,
  color: 'yellow' | 'red',
  about: string,
): Panel => ({
  show: 'graph',
  title,
  about,
  unit: 'none',
  min: 0,
  steps: [[factor, color]],
  links: [rules],
  queries: [
    [burn(long), `${who} ${long}`],
    [burn(short), `${who} ${short}`],
  ],
})

const burns: readonly Panel[] = [
  pair(
    'Burn over 1 hour and 5 minutes',
    '1h',
    '5m',
    14.4,
    'red',
    'Both above 14.4: 2 % of the budget of 30 days goes in an hour, and somebody is paged.',
  ),
  pair(
    'Burn over 6 hours and 30 minutes',
    '6h',
    '30m',
    6,
    'red',
    'Both above 6: 5 % of the budget goes in six hours, and somebody is paged.',
  ),
  pair(
    'Burn over 1 day and 2 hours',
    '1d',
    '2h',
    3,
    'yellow',
    'Both above 3: 10 % of the budget goes in a day; a ticket is enough.',
  ),
  pair(
    'Burn over 3 days and 6 hours',
    '3d',
    '6h',
    1,
    'yellow',
    'Both above 1: the budget will not last; a ticket is enough.',
  ),
]

export const slo: Board = {
  uid: 'airboss-slo',
  title: 'Airboss / Service levels',
  about:
    'Objectives of agents, what is left of their error budgets, and how fast these burn over the windows that page.',
  tags: ['slo'],
  from: 'now-6h',
  links: [
    toConsole('Rules', '/rules'),
    toBoard('Agents', 'airboss-agents'),
    toBoard('Alerting', 'airboss-alerting'),
  ],
  variables: [
    {
      name: 'agent',
      label: 'Agent',
      values: 'label_values(agent:slo_errors:ratio_rate5m, gen_ai_agent_name)',
    },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Error budget', panels: budget },
    { title: 'Burn rate: times faster than the budget allows', panels: burns },
  ],
}
