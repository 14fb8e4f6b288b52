// The dashboard of Airboss itself: what comes in, what is kept, what is asked, what is told, and what all that takes.
import type { Board } from './dashboard.ts'
import type { Panel } from './panel.ts'

const at = 'job=~"$job",instance=~"$instance"'
const rate = (metric: string, more = ''): string => `rate(${metric}{${at}${more}}[$__rate_interval])`
const quantile = (q: number, metric: string, group = ''): string =>
  `histogram_quantile(${q}, sum by (le${group}) (${rate(`${metric}_bucket`)}))`

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'Samples in',
    about: 'Accepted and safe on disk, a second.',
    unit: 'none',
    decimals: 0,
    queries: [[`sum(${rate('airboss_log_samples_total')})`, 'samples']],
  },
  {
    show: 'number',
    title: 'Active series',
    about: 'Series with samples in the recent window, of those that may be.',
    unit: 'short',
    queries: [[`sum(airboss_head_series{${at}})`, 'series']],
  },
  {
    show: 'number',
    title: 'Store answers',
    about: 'Whether ClickHouse is there. Paging goes on without it.',
    unit: 'none',
    min: 0,
    max: 1,
    queries: [[`min(airboss_engine_up{${at}})`, 'up']],
  },
  {
    show: 'number',
    title: 'Log filled',
    about: 'Share of the log that waits for the store. At 100 % senders are told to wait.',
    unit: 'percentunit',
    decimals: 2,
    steps: [
      [0.5, 'yellow'],
      [0.85, 'red'],
    ],
    queries: [[`max(airboss_log_bytes{${at}} / airboss_log_max_bytes{${at}})`, 'filled']],
  },
  {
    show: 'number',
    title: 'CPU',
    about: 'Processors that the main process takes; the embedded engine has its own.',
    unit: 'none',
    decimals: 2,
    queries: [[`sum(${rate('process_cpu_seconds_total')})`, 'processors']],
  },
  {
    show: 'number',
    title: 'Memory',
    about: 'Resident memory of the main process.',
    unit: 'bytes',
    queries: [[`sum(process_resident_memory_bytes{${at}})`, 'resident']],
  },
]

const receive: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Samples by protocol',
    about: 'Accepted and safe on disk, a second.',
    unit: 'none',
    min: 0,
    stacked: true,
    queries: [[`sum by (protocol) (${rate('airboss_receive_samples_total')})`, '{{protocol}}']],
  },
  {
    show: 'graph',
    title: 'Refused',
    about:
      'Samples and points refused a second, by protocol and reason; the sender’s error names an example.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum by (protocol, reason) (${rate('airboss_receive_refused_total')})`, '{{protocol}} {{reason}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Requests',
    about: 'Requests a second by protocol and status.',
    unit: 'reqps',
    min: 0,
    queries: [
      [`sum by (protocol, code) (${rate('airboss_receive_requests_total')})`, '{{protocol}} {{code}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Scraped targets',
    about: 'Share of each job’s targets that answer, and how long the slowest takes.',
    unit: 'none',
    min: 0,
    queries: [
      ['avg by (job) (up)', '{{job}} up'],
      ['max by (job) (scrape_duration_seconds)', '{{job}} slowest, seconds'],
    ],
  },
  {
    show: 'graph',
    title: 'Business events',
    about: 'Taken and not taken, a second.',
    unit: 'ops',
    min: 0,
    queries: [
      [`sum(${rate('airboss_events_received_total')})`, 'taken'],
      [`sum(${rate('airboss_events_refused_total')})`, 'refused'],
    ],
  },
]

const keep: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Log',
    about: 'Bytes of the log on disk. It grows while the store is away and falls when it is back.',
    unit: 'bytes',
    min: 0,
    queries: [[`sum by (instance) (airboss_log_bytes{${at}})`, '{{instance}}']],
  },
  {
    show: 'graph',
    title: 'Rows that wait',
    about: 'Accepted rows that the store has not taken yet.',
    unit: 'short',
    min: 0,
    queries: [[`sum by (instance) (airboss_log_pending_rows{${at}})`, '{{instance}}']],
  },
  {
    show: 'graph',
    title: 'Rows stored',
    about: 'Rows a second that ClickHouse took, by table.',
    unit: 'none',
    min: 0,
    queries: [[`sum by (table) (${rate('airboss_store_rows_total')})`, '{{table}}']],
  },
  {
    show: 'graph',
    title: 'Time to store a batch',
    about: 'Median and p95 of inserts into ClickHouse.',
    unit: 's',
    min: 0,
    queries: [
      [quantile(0.5, 'airboss_store_write_seconds'), 'p50'],
      [quantile(0.95, 'airboss_store_write_seconds'), 'p95'],
    ],
  },
  {
    show: 'graph',
    title: 'Head',
    about: 'Bytes that the recent window takes in memory.',
    unit: 'bytes',
    min: 0,
    queries: [[`sum by (instance) (airboss_head_bytes{${at}})`, '{{instance}}']],
  },
  {
    show: 'graph',
    title: 'Series',
    about: 'Series in the recent window, and the most that are taken.',
    unit: 'short',
    min: 0,
    queries: [
      [`sum by (instance) (airboss_head_series{${at}})`, '{{instance}} active'],
      [`max by (instance) (airboss_series_limit{${at}})`, '{{instance}} limit'],
    ],
  },
  {
    show: 'graph',
    title: 'Given up on',
    about:
      'Samples dropped from the head under its byte cap, doubled samples, and rows the store can never take. All 0 when things are well.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum(${rate('airboss_head_evicted_samples_total')})`, 'dropped from the head'],
      [`sum(${rate('airboss_duplicate_samples_total')})`, 'doubled'],
      [`sum(${rate('airboss_log_quarantined_rows_total')})`, 'set aside'],
    ],
  },
  {
    show: 'graph',
    title: 'Engine starts',
    about: 'How often the embedded engine was started again, in all.',
    unit: 'none',
    min: 0,
    queries: [[`sum by (instance) (airboss_engine_restarts_total{${at}})`, '{{instance}}']],
  },
]

const ask: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Queries',
    about: 'Queries a second by kind, those of rules among them.',
    unit: 'reqps',
    min: 0,
    stacked: true,
    queries: [[`sum by (kind) (${rate('airboss_query_seconds_count')})`, '{{kind}}']],
  },
  {
    show: 'graph',
    title: 'Time of a query',
    about: 'Median and p95, waiting for a turn included.',
    unit: 's',
    min: 0,
    queries: [
      [quantile(0.5, 'airboss_query_seconds', ', kind'), '{{kind}} p50'],
      [quantile(0.95, 'airboss_query_seconds', ', kind'), '{{kind}} p95'],
    ],
  },
  {
    show: 'graph',
    title: 'Failed queries',
    about: 'A second, by the code of the error.',
    unit: 'reqps',
    min: 0,
    queries: [[`sum by (code) (${rate('airboss_query_errors_total')})`, '{{code}}']],
  },
  {
    show: 'graph',
    title: 'Samples read',
    about: 'Samples that queries read, a second.',
    unit: 'short',
    min: 0,
    queries: [[`sum(${rate('airboss_query_samples_total')})`, 'samples']],
  },
]

const tell: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Time of rule groups',
    about: 'How long each group took last. Longer than its interval, and evaluations fall away.',
    unit: 's',
    min: 0,
    queries: [[`max by (rule_group) (airboss_rule_group_last_duration_seconds{${at}})`, '{{rule_group}}']],
  },
  {
    show: 'graph',
    title: 'Rules that fail, evaluations that fell away',
    about: 'A second, by group. Alerts of such rules stand still; the rules page names the error.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum by (rule_group) (${rate('airboss_rule_evaluation_failures_total')})`, '{{rule_group}} failed'],
      [
        `sum by (rule_group) (${rate('airboss_rule_group_iterations_missed_total')})`,
        '{{rule_group}} missed',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Alerts',
    about: 'Alerts of rules that wait or fire, and alerts that came in a minute, repeats among them.',
    unit: 'none',
    min: 0,
    queries: [
      ['sum by (alertstate) (ALERTS)', '{{alertstate}}'],
      [`sum by (status) (${rate('airboss_alerts_received_total')}) * 60`, '{{status}}, came in a minute'],
    ],
  },
  {
    show: 'graph',
    title: 'Notifications',
    about: 'Messages asked for, in all, by receiver and integration.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum by (receiver, integration) (airboss_notifications_total{${at}})`, '{{receiver}} {{integration}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Notifications that failed or were tried again',
    about: 'In all. People may not hear of alerts: see the log for the reason.',
    unit: 'none',
    min: 0,
    queries: [
      [
        `sum by (receiver, integration, reason) (airboss_notifications_failed_total{${at}})`,
        '{{receiver}} {{integration}} {{reason}}',
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
    about: 'From asked to sent, p95.',
    unit: 's',
    min: 0,
    queries: [[quantile(0.95, 'airboss_notification_latency_seconds', ', receiver'), '{{receiver}}']],
  },
  {
    show: 'graph',
    title: 'Pages to people',
    about: 'In all, by policy and outcome.',
    unit: 'none',
    min: 0,
    queries: [[`sum by (policy, outcome) (airboss_oncall_pages_total{${at}})`, '{{policy}} {{outcome}}']],
  },
  {
    show: 'graph',
    title: 'Action webhooks',
    about: 'Calls in all, by webhook and outcome.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum by (webhook, outcome) (airboss_webhook_attempts_total{${at}})`, '{{webhook}} {{outcome}}'],
    ],
  },
]

const takes: readonly Panel[] = [
  {
    show: 'graph',
    title: 'CPU',
    about: 'Processors taken by the main process.',
    unit: 'none',
    min: 0,
    stacked: true,
    queries: [
      [`sum by (instance) (${rate('process_cpu_user_seconds_total')})`, '{{instance}} user'],
      [`sum by (instance) (${rate('process_cpu_system_seconds_total')})`, '{{instance}} system'],
    ],
  },
  {
    show: 'graph',
    title: 'Memory',
    about: 'Resident memory and heap of the main process.',
    unit: 'bytes',
    min: 0,
    queries: [
      [`process_resident_memory_bytes{${at}}`, '{{instance}} resident'],
      [`nodejs_heap_size_used_bytes{${at}}`, '{{instance}} heap'],
      [`nodejs_external_memory_bytes{${at}}`, '{{instance}} columns and buffers'],
    ],
  },
  {
    show: 'graph',
    title: 'Event loop lag',
    about: 'How long the main process kept others waiting. Pages are late by as much.',
    unit: 's',
    min: 0,
    queries: [
      [`nodejs_eventloop_lag_p99_seconds{${at}}`, '{{instance}} p99'],
      [`nodejs_eventloop_lag_max_seconds{${at}}`, '{{instance}} longest'],
    ],
  },
  {
    show: 'graph',
    title: 'Records and files',
    about: 'Versions the ledger holds, and open files.',
    unit: 'short',
    min: 0,
    queries: [
      [`airboss_ledger_versions{${at}}`, '{{instance}} records'],
      [`process_open_fds{${at}}`, '{{instance}} files'],
    ],
  },
]

export const airboss: Board = {
  uid: 'airboss-self',
  title: 'Airboss / Itself',
  about: 'What Airboss takes in, keeps, answers and tells, and what that costs the machine.',
  tags: ['self'],
  from: 'now-1h',
  variables: [
    { name: 'job', label: 'Job', values: 'label_values(airboss_head_series, job)' },
    {
      name: 'instance',
      label: 'Instance',
      values: 'label_values(airboss_head_series{job=~"$job"}, instance)',
    },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Receive', panels: receive },
    { title: 'Keep', panels: keep },
    { title: 'Ask', panels: ask },
    { title: 'Tell and act', panels: tell },
    { title: 'What it takes', panels: takes },
  ],
}
