// The dashboard of what comes in: every receiver's accepted and refused, scrape targets, limits of cardinality, and whether what was taken is kept.
import type { Board } from './dashboard.ts'
import { toBoard, toConsole } from './links.ts'
import type { Panel, Steps } from './panel.ts'

const at = 'job=~"$job",instance=~"$instance"'
const rate = (metric: string, more = ''): string => `rate(${metric}{${at}${more}}[$__rate_interval])`
const quantile = (q: number, metric: string, group = ''): string =>
  `histogram_quantile(${q}, sum by (le${group}) (${rate(`${metric}_bucket`)}))`
const ingest = toConsole('Ingest in the console', '/ingest')
const filled: Steps = [
  [0.7, 'yellow'],
  [0.9, 'red'],
]

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'Samples',
    about: 'Samples a second that were accepted and are safe on disk.',
    unit: 'none',
    decimals: 0,
    links: [ingest],
    queries: [[`sum(${rate('airboss_receive_samples_total')})`, 'samples']],
  },
  {
    show: 'number',
    title: 'Spans',
    about: 'Spans a second that were accepted and are safe on disk.',
    unit: 'none',
    decimals: 0,
    links: [toConsole('Traces', '/traces')],
    queries: [[`sum(${rate('airboss_receive_spans_total')})`, 'spans']],
  },
  {
    show: 'number',
    title: 'Log records',
    about: 'Log records a second that were accepted and are safe on disk.',
    unit: 'none',
    decimals: 0,
    queries: [[`sum(${rate('airboss_receive_log_records_total')})`, 'records']],
  },
  {
    show: 'number',
    title: 'Refused',
    about:
      'Samples, spans and log records refused a second. Senders get the reason, and an example, in the answer.',
    unit: 'none',
    decimals: 2,
    steps: [[1, 'red']],
    queries: [
      [
        [
          'airboss_receive_refused_total',
          'airboss_receive_spans_refused_total',
          'airboss_receive_log_records_refused_total',
        ]
          .map((metric) => `(sum(${rate(metric)}) or vector(0))`)
          .join(' + '),
        'refused',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Targets down',
    about: 'Scrape targets that did not answer last.',
    unit: 'none',
    decimals: 0,
    steps: [[1, 'red']],
    queries: [['count(up == 0) or vector(0)', 'down']],
  },
  {
    show: 'number',
    title: 'Series of all that may be',
    about: 'Active series, of those that are taken. At 100 % new series are refused.',
    unit: 'percentunit',
    decimals: 2,
    steps: filled,
    queries: [[`max(airboss_series{${at}} / airboss_series_limit{${at}})`, 'series']],
  },
]

const receivers: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Samples by protocol',
    about: 'Accepted and safe on disk, a second: OTLP, remote write, scrapes and what Airboss makes itself.',
    unit: 'none',
    min: 0,
    stacked: true,
    queries: [[`sum by (protocol) (${rate('airboss_receive_samples_total')})`, '{{protocol}}']],
  },
  {
    show: 'graph',
    title: 'Spans and log records by protocol',
    about: 'Accepted and safe on disk, a second.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum by (protocol) (${rate('airboss_receive_spans_total')})`, 'spans, {{protocol}}'],
      [`sum by (protocol) (${rate('airboss_receive_log_records_total')})`, 'log records, {{protocol}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Refused, by reason',
    about:
      'A second, by protocol and reason. A clock that lags shows as too old, a leak of labels as a limit.',
    unit: 'none',
    min: 0,
    links: [ingest],
    queries: [
      [
        `sum by (protocol, reason) (${rate('airboss_receive_refused_total')})`,
        '{{protocol}} samples: {{reason}}',
      ],
      [
        `sum by (protocol, reason) (${rate('airboss_receive_spans_refused_total')})`,
        '{{protocol}} spans: {{reason}}',
      ],
      [
        `sum by (protocol, reason) (${rate('airboss_receive_log_records_refused_total')})`,
        '{{protocol}} log records: {{reason}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Requests by answer',
    about: 'Requests a second by protocol and status. 503 says that the log is full and senders wait.',
    unit: 'reqps',
    min: 0,
    queries: [
      [`sum by (protocol, code) (${rate('airboss_receive_requests_total')})`, '{{protocol}} {{code}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Prompts and answers not kept',
    about:
      'Attributes with content a second that were dropped, by attribute. otlp.content says what is kept.',
    unit: 'none',
    min: 0,
    queries: [[`sum by (key) (${rate('airboss_content_dropped_total')})`, '{{key}}']],
  },
  {
    show: 'graph',
    title: 'Spans that metrics are made of',
    about:
      'Spans a second that went into the series of latency, errors and GenAI, and those sent twice, which count once.',
    unit: 'none',
    min: 0,
    queries: [
      [`sum(${rate('airboss_span_metrics_spans_total')})`, 'reckoned with'],
      [`sum(${rate('airboss_spans_repeated_total')})`, 'repeated'],
    ],
  },
]

const targets: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Targets up',
    about: 'Share of the targets of each job that answer.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    queries: [['avg by (job) (up)', '{{job}}']],
  },
  {
    show: 'graph',
    title: 'Time of a scrape',
    about: 'The slowest target of each job. Near its timeout, targets begin to fail.',
    unit: 's',
    min: 0,
    queries: [['max by (job) (scrape_duration_seconds)', '{{job}}']],
  },
  {
    show: 'graph',
    title: 'Samples of a scrape',
    about: 'Samples that the targets of a job have together, and how many series of them were new.',
    unit: 'short',
    min: 0,
    queries: [
      ['sum by (job) (scrape_samples_post_metric_relabeling)', '{{job}} samples'],
      ['sum by (job) (scrape_series_added)', '{{job}} new series'],
    ],
  },
  {
    show: 'table',
    title: 'Targets',
    about: 'Every target with whether it answered last, how long it took and what it had.',
    unit: 'none',
    width: 12,
    columns: { Took: { unit: 's' } },
    queries: [
      ['max by (job, instance) (up)', 'Up'],
      ['max by (job, instance) (scrape_duration_seconds)', 'Took'],
      ['max by (job, instance) (scrape_samples_scraped)', 'Samples'],
    ],
  },
]

const discovery: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Targets found',
    about: 'Targets of each job: active ones, and those that relabelling dropped.',
    unit: 'none',
    min: 0,
    queries: [['sum by (exported_job, state) (airboss_scrape_targets)', '{{exported_job}} {{state}}']],
  },
  {
    show: 'graph',
    title: 'Discovery that fails',
    about:
      'Files, addresses and APIs that cannot be read now, and looks that failed a minute. What was known before stays.',
    unit: 'none',
    min: 0,
    steps: [[1, 'red']],
    queries: [
      ['sum by (mechanism) (airboss_sd_failing_sources)', '{{mechanism}} cannot be read'],
      ['sum by (mechanism) (rate(airboss_sd_failures_total[$__rate_interval])) * 60', '{{mechanism}} failed'],
    ],
  },
  {
    show: 'graph',
    title: 'Scrapes that failed',
    about: 'A minute, by job.',
    unit: 'none',
    min: 0,
    queries: [
      [
        'sum by (exported_job) (rate(airboss_scrape_failures_total[$__rate_interval])) * 60',
        '{{exported_job}}',
      ],
    ],
  },
]

const cardinality: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Series',
    about: 'Active series, and the most that are taken.',
    unit: 'short',
    min: 0,
    queries: [
      [`sum by (instance) (airboss_head_series{${at}})`, '{{instance}} in the recent window'],
      [`sum by (instance) (airboss_active_series{${at}})`, '{{instance}} counted against limits'],
      [`sum by (instance) (airboss_series{${at}})`, '{{instance}} known'],
      [`max by (instance) (airboss_series_limit{${at}})`, '{{instance}} limit'],
    ],
  },
  {
    show: 'graph',
    title: 'Refused for cardinality',
    about:
      'Samples a second refused because their metric or their source has too many series already. Ingest names the label that makes them so many.',
    unit: 'none',
    min: 0,
    steps: [[0.1, 'red']],
    links: [ingest],
    queries: [
      [
        `sum by (protocol, reason) (${rate('airboss_receive_refused_total', ',reason=~".*cardinality"')})`,
        '{{protocol}} {{reason}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Series made of spans',
    about:
      'Series that spans make, each bucket one, and measurements a second that found no place among them.',
    unit: 'short',
    min: 0,
    queries: [[`sum by (instance) (airboss_span_metrics_series{${at}})`, '{{instance}} series']],
  },
]

const kept: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Log filled',
    about: 'Share of the log that waits for the store. At 100 % senders get 503 and wait.',
    unit: 'percentunit',
    min: 0,
    steps: [
      [0.5, 'yellow'],
      [0.85, 'red'],
    ],
    queries: [
      [`max by (instance) (airboss_log_bytes{${at}} / airboss_log_max_bytes{${at}})`, '{{instance}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Rows that wait',
    about: 'Accepted rows that the store has not taken yet: how far what you read by SQL lags behind.',
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
    title: 'Recent window in memory',
    about: 'Bytes of the head. Paging reads from it, also while the store is away.',
    unit: 'bytes',
    min: 0,
    queries: [[`sum by (instance) (airboss_head_bytes{${at}})`, '{{instance}}']],
  },
  {
    show: 'graph',
    title: 'Store',
    about: 'Whether ClickHouse answers, and how often the embedded engine was started again.',
    unit: 'none',
    min: 0,
    queries: [
      [`min by (instance) (airboss_engine_up{${at}})`, '{{instance}} up'],
      [`sum by (instance) (airboss_engine_restarts_total{${at}})`, '{{instance}} started again'],
    ],
  },
  {
    show: 'table',
    title: 'Tables',
    about: 'Rows and bytes of each table on disk.',
    unit: 'none',
    width: 12,
    columns: { Bytes: { unit: 'bytes' }, Rows: { unit: 'short' } },
    sql: `SELECT name AS Table, total_rows AS Rows, total_bytes AS Bytes FROM system.tables
WHERE database = currentDatabase() AND total_rows > 0 ORDER BY Bytes DESC`,
  },
  {
    show: 'table',
    title: 'Who sends series',
    about: 'Jobs by how many series they had within the range: where a leak of labels comes from.',
    unit: 'none',
    width: 12,
    columns: { Series: { unit: 'short' } },
    sql: `SELECT labels['job'] AS Job, countDistinct(id) AS Series, countDistinct(metric) AS Metrics
FROM series WHERE $__timeFilter(last_seen) GROUP BY Job ORDER BY Series DESC LIMIT 25`,
  },
]

export const collectors: Board = {
  uid: 'airboss-collectors',
  title: 'Airboss / Collection',
  about:
    'What comes in by which door, what is refused and why, scrape targets, limits, and whether what was taken is kept.',
  tags: ['collection'],
  from: 'now-1h',
  links: [
    toConsole('Ingest', '/ingest'),
    toConsole('Traces', '/traces'),
    toBoard('Airboss itself', 'airboss-self'),
  ],
  variables: [
    { name: 'job', label: 'Job', values: 'label_values(airboss_receive_samples_total, job)' },
    {
      name: 'instance',
      label: 'Instance',
      values: 'label_values(airboss_receive_samples_total{job=~"$job"}, instance)',
    },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Receivers', panels: receivers },
    { title: 'Scrape targets and discovery', panels: [...targets, ...discovery] },
    { title: 'Cardinality', panels: cardinality },
    { title: 'Log, head and store', panels: kept },
  ],
}
