// The dashboard of alerting: what fires, who is told and how fast, who answers, what is held back, and whether rules are evaluated.
import type { Board } from './dashboard.ts'
import { toBoard, toConsole } from './links.ts'
import type { Panel, PromPanel } from './panel.ts'

const at = 'job=~"$job",instance=~"$instance"'
const rate = (metric: string, more = ''): string => `rate(${metric}{${at}${more}}[$__rate_interval])`
const increase = (metric: string): string => `increase(${metric}{${at}}[$__rate_interval])`
const quantile = (q: number, metric: string, group: string): string =>
  `histogram_quantile(${q}, sum by (le, ${group}) (${rate(`${metric}_bucket`)}))`
const alerts = toConsole('Alerts in the console', '/alerts')
const rules = toConsole('Rules in the console', '/rules')
const oncall = toConsole('On call in the console', '/on-call')

const number = (title: string, about: string, expr: string, more: Partial<PromPanel> = {}): Panel => ({
  show: 'number',
  title,
  about,
  unit: 'none',
  decimals: 0,
  queries: [[expr, title.toLowerCase()]],
  ...more,
})

const now: readonly Panel[] = [
  number(
    'Firing',
    'Alerts that fire and are told to somebody.',
    `sum(airboss_alerts_firing{${at},state="active"})`,
    {
      links: [alerts],
    },
  ),
  number(
    'Held back',
    'Alerts that fire and are silenced, inhibited or muted.',
    `sum(airboss_alerts_firing{${at},state="suppressed"})`,
    {
      links: [alerts],
    },
  ),
  number(
    'Waiting',
    'Alerts of rules whose `for` has not passed yet.',
    'sum(ALERTS{alertstate="pending"}) or vector(0)',
    {
      links: [rules],
    },
  ),
  number(
    'Nobody has answered',
    'Escalations that nobody has acknowledged.',
    `sum(airboss_oncall_escalations{${at},status="open"})`,
    { steps: [[1, 'red']], links: [oncall] },
  ),
  number(
    'Notifications that fail',
    'Share of what was to be delivered within the range of a rate. People may not hear of alerts.',
    `(sum(${rate('airboss_notifications_failed_total')}) or sum(${rate('airboss_notifications_total')}) * 0) / (sum(${rate('airboss_notifications_total')}) > 0) or vector(0)`,
    {
      unit: 'percentunit',
      decimals: 1,
      steps: [
        [0.01, 'yellow'],
        [0.05, 'red'],
      ],
    },
  ),
  number(
    'Failing rules',
    'Rules groups in which an evaluation failed within the range of a rate.',
    `count(sum by (rule_group) (${increase('airboss_rule_evaluation_failures_total')}) > 0) or vector(0)`,
    {
      steps: [[1, 'red']],
      links: [rules],
    },
  ),
]

const firing: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Alerts by state',
    about: 'Pending ones wait for their `for`; firing ones are told.',
    unit: 'none',
    min: 0,
    links: [alerts],
    queries: [['sum by (alertstate) (ALERTS)', '{{alertstate}}']],
  },
  {
    show: 'graph',
    title: 'Alerts that fire',
    about: 'By name and severity.',
    unit: 'none',
    min: 0,
    stacked: true,
    links: [alerts],
    queries: [['sum by (alertname, severity) (ALERTS{alertstate="firing"})', '{{alertname}} ({{severity}})']],
  },
  {
    show: 'graph',
    title: 'Told or held back',
    about: 'Alerts that fire, by whether a silence, an inhibition or a mute time holds them back.',
    unit: 'none',
    min: 0,
    stacked: true,
    links: [alerts],
    queries: [[`sum by (state) (airboss_alerts_firing{${at}})`, '{{state}}']],
  },
  {
    show: 'graph',
    title: 'Silences',
    about: 'Silences by state. Many active ones for long are alerts nobody wants.',
    unit: 'none',
    min: 0,
    links: [alerts],
    queries: [[`sum by (state) (airboss_silences{${at}})`, '{{state}}']],
  },
  {
    show: 'table',
    title: 'Firing now',
    about: 'Every alert of a rule that fires, and for how long it has been pending or firing.',
    unit: 's',
    none: 'nothing fires',
    columns: { alertname: { link: toConsole('Its rule', '/rules?filter=${__value.text}') } },
    queries: [
      ['time() - max by (alertname, severity, gen_ai_agent_name, instance) (ALERTS_FOR_STATE)', 'For'],
    ],
  },
]

const notifications: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Sent',
    about: 'Messages a minute that were asked for, by receiver and integration.',
    unit: 'none',
    min: 0,
    queries: [
      [
        `sum by (receiver, integration) (${rate('airboss_notifications_total')}) * 60`,
        '{{receiver}} {{integration}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Failed and tried again',
    about: 'In all, by receiver and reason. What is tried again may still arrive.',
    unit: 'none',
    min: 0,
    queries: [
      [
        `sum by (receiver, integration, reason) (airboss_notifications_failed_total{${at}})`,
        '{{receiver}} {{integration}} failed: {{reason}}',
      ],
      [
        `sum by (receiver, integration) (airboss_notification_retries_total{${at}})`,
        '{{receiver}} {{integration}} tried again',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Time to deliver',
    about: 'From asked to sent, median and p95 by receiver, attempts and all.',
    unit: 's',
    min: 0,
    queries: [
      [quantile(0.5, 'airboss_notification_latency_seconds', 'receiver'), '{{receiver}} p50'],
      [quantile(0.95, 'airboss_notification_latency_seconds', 'receiver'), '{{receiver}} p95'],
    ],
  },
  {
    show: 'graph',
    title: 'Alerts taken in',
    about:
      'Alerts a minute from rules, from others’ webhooks and from Prometheus, repeats among them; and groups of alerts held.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum by (status) (${rate('airboss_alerts_received_total')}) * 60`, '{{status}}'],
      [`sum(airboss_alert_groups{${at}})`, 'groups held'],
    ],
  },
]

const people: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Escalations',
    about: 'Escalations under way, by policy and whether somebody has answered.',
    unit: 'none',
    min: 0,
    links: [oncall],
    queries: [[`sum by (policy, status) (airboss_oncall_escalations{${at}})`, '{{policy}} {{status}}']],
  },
  {
    show: 'graph',
    title: 'Time to acknowledge',
    about:
      'From the beginning of an escalation to its acknowledgement, median and p95 of all since Airboss started.',
    unit: 's',
    min: 0,
    links: [oncall],
    queries: [
      [
        `histogram_quantile(0.5, sum by (le, policy) (airboss_oncall_acknowledge_seconds_bucket{${at}}))`,
        '{{policy}} p50',
      ],
      [
        `histogram_quantile(0.95, sum by (le, policy) (airboss_oncall_acknowledge_seconds_bucket{${at}}))`,
        '{{policy}} p95',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Begun and passed on',
    about: 'Escalations in all, and how often nobody answered and the next person was asked.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum by (policy) (airboss_oncall_escalations_total{${at}})`, '{{policy}} begun'],
      [`sum by (policy) (airboss_oncall_passed_on_total{${at}})`, '{{policy}} passed on'],
    ],
  },
  {
    show: 'graph',
    title: 'Pages',
    about: 'Pages to people in all, by policy and outcome.',
    unit: 'none',
    min: 0,
    queries: [[`sum by (policy, outcome) (airboss_oncall_pages_total{${at}})`, '{{policy}} {{outcome}}']],
  },
]

const evaluation: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Time of rule groups, of their interval',
    about: 'Share of its interval that a group takes. At 100 % evaluations fall away.',
    unit: 'percentunit',
    min: 0,
    steps: [
      [0.5, 'yellow'],
      [1, 'red'],
    ],
    links: [rules],
    queries: [
      [
        `max by (rule_group) (airboss_rule_group_last_duration_seconds{${at}} / airboss_rule_group_interval_seconds{${at}})`,
        '{{rule_group}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Evaluations that failed or fell away',
    about: 'A minute, by group. Alerts of such rules stand still.',
    unit: 'none',
    min: 0,
    links: [rules],
    queries: [
      [
        `sum by (rule_group) (${rate('airboss_rule_evaluation_failures_total')}) * 60`,
        '{{rule_group}} failed',
      ],
      [
        `sum by (rule_group) (${rate('airboss_rule_group_iterations_missed_total')}) * 60`,
        '{{rule_group}} fell away',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Last evaluated',
    about: 'How long ago each group was evaluated. It never exceeds the interval by much.',
    unit: 's',
    min: 0,
    links: [rules],
    queries: [
      [
        `time() - max by (rule_group) (airboss_rule_group_last_evaluation_timestamp_seconds{${at}})`,
        '{{rule_group}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Decisions and actions',
    about: 'What Airboss decided by itself, and what became of it.',
    unit: 'none',
    min: 0,
    links: [toConsole('Decisions in the console', '/decisions')],
    queries: [
      [
        'sum by (kind, subject, verdict) (increase(airboss_decisions_total[$__rate_interval]))',
        '{{kind}} {{subject}}: {{verdict}}',
      ],
      ['sum by (kind, outcome) (increase(airboss_actions_total[$__rate_interval]))', '{{kind}} {{outcome}}'],
    ],
  },
]

export const alerting: Board = {
  uid: 'airboss-alerting',
  title: 'Airboss / Alerting and on-call',
  about:
    'What fires, who is told and how fast, who answers, what is held back, and whether rules are evaluated.',
  tags: ['alerting'],
  from: 'now-3h',
  links: [
    toConsole('Alerts', '/alerts'),
    toConsole('On call', '/on-call'),
    toConsole('Rules', '/rules'),
    toBoard('Service levels', 'airboss-slo'),
  ],
  variables: [
    { name: 'job', label: 'Job', values: 'label_values(airboss_alerts, job)' },
    { name: 'instance', label: 'Instance', values: 'label_values(airboss_alerts{job=~"$job"}, instance)' },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Alerts', panels: firing },
    { title: 'Notifications', panels: notifications },
    { title: 'People', panels: people },
    { title: 'Rules and decisions', panels: evaluation },
  ],
}
