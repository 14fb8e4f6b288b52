// The demo's configuration: short windows, scrape jobs, one canary, one autoscaler, one budget, two people on call, live actions.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'

export interface DemoConfig {
  readonly dir: string
  readonly root: string
  /** Where the receiver listens. */
  readonly receiver: string
  readonly secret: string
  /** How often rules, scaler and budgets look; a Prometheus duration. */
  readonly every: string
  readonly shippedRules: boolean
  /** A cluster to watch, and the cgroup tree of its node. */
  readonly cluster: { readonly url: string; readonly cgroups: string } | null
}

const at = 'gen_ai_agent_name="$agent",gen_ai_agent_version="$version"'
const runs = 'gen_ai_invoke_agent_duration_seconds'

const canary = {
  baseline: '2.0.0',
  analysis: {
    metrics: [
      {
        name: 'failed runs',
        query: `(sum(rate(${runs}_count{${at},error_type!=""}[6s])) or sum(rate(${runs}_count{${at}}[6s])) * 0) / sum(rate(${runs}_count{${at}}[6s]))`,
        direction: 'increase',
        critical: true,
      },
      {
        name: 'run time',
        query: `sum(rate(${runs}_sum{${at}}[6s])) / sum(rate(${runs}_count{${at}}[6s]))`,
        direction: 'increase',
        allowed_change: 0.5,
      },
    ],
    step: '1s',
    interval: '2s',
    duration: '10m',
    window: '50s',
    failures: 2,
    stale_after: '20s',
  },
}

const deployments = [
  {
    agent: 'pilot',
    version: '2.0.0',
    capabilities: ['summarize'],
    owner: 'search',
    model: 'claude-sonnet-4-5',
  },
  {
    agent: 'pilot',
    version: '2.1.0',
    capabilities: ['summarize'],
    owner: 'search',
    model: 'claude-sonnet-4-5',
    canary,
  },
  { agent: 'scout', version: '1.4.0', capabilities: ['read'], owner: 'search', model: 'claude-haiku-4-5' },
  {
    agent: 'clerk',
    version: '0.9.0',
    capabilities: ['tickets'],
    owner: 'support',
    model: 'gemini-2.5-flash',
    resources: { replicas: 1 },
    dependencies: { scout: '>=1.4.0' },
  },
]

const rules = {
  groups: [
    {
      name: 'demo',
      rules: [
        {
          alert: 'AgentBroken',
          expr: `(sum by (gen_ai_agent_name, gen_ai_agent_version) (rate(${runs}_count{error_type!=""}[15s])) / sum by (gen_ai_agent_name, gen_ai_agent_version) (rate(${runs}_count[15s]))) > 0.2`,
          for: '3s',
          labels: { severity: 'critical' },
          annotations: {
            summary:
              '{{ $labels.gen_ai_agent_name }} {{ $labels.gen_ai_agent_version }} fails {{ $value | humanizePercentage }} of its work',
          },
        },
        {
          alert: 'QueueLong',
          expr: 'sum by (gen_ai_agent_name) (agent_queue_depth) > 20',
          for: '3s',
          labels: { severity: 'warning' },
          annotations: { summary: '{{ $value }} tasks wait for {{ $labels.gen_ai_agent_name }}' },
        },
      ],
    },
  ],
}

/** The receiver is found through a file; one target is gone, and one list of targets was broken by an editor. */
const scrapes = (dir: string) => [
  { job_name: 'receiver', file_sd_configs: [{ files: [join(dir, 'targets.json')], refresh_interval: '5s' }] },
  { job_name: 'gone', static_configs: [{ targets: ['127.0.0.1:1'] }] },
  { job_name: 'broken', file_sd_configs: [{ files: [join(dir, 'broken.json')], refresh_interval: '5s' }] },
]

/** Where it is noon now: a day that has just begun has no projection yet. */
const zoneOfNoon = (): string => {
  const later = 12 - new Date().getUTCHours()
  return later === 0 ? 'UTC' : `Etc/GMT${later > 0 ? '-' : '+'}${Math.abs(later)}`
}

const airboss = ({ dir, root, receiver, secret, every, shippedRules, cluster }: DemoConfig) => ({
  name: 'demo',
  global: { evaluation_interval: every, scrape_interval: every },
  host: { interval: every },
  self: { interval: every },
  otlp: { traces: { metrics: { interval: every } } },
  storage: {
    log: { max_size: '1GB' },
    head: { max_size: '256MB' },
    // What the mishaps leak into.
    cardinality: { overrides: { metrics: { leaking_requests_total: 20 } } },
  },
  scrape_configs: scrapes(dir),
  ...(cluster && {
    containers: { root: cluster.cgroups, interval: every },
    kubernetes: { api_server: cluster.url, interval: every },
  }),
  rule_files: [join(dir, 'rules.yaml'), ...(shippedRules ? [join(root, 'rules/*.yaml')] : [])],
  alertmanager: join(dir, 'alertmanager.yaml'),
  oncall: {
    users: {
      mara: { name: 'mara', notify: [{ webhook: `${receiver}/page/mara` }] },
      jonas: { name: 'jonas', notify: [{ webhook: `${receiver}/page/jonas` }] },
    },
    policies: { agents: { steps: [{ users: ['mara'] }, { after: '15s', users: ['jonas'] }] } },
  },
  deployments,
  autoscale: [
    {
      agent: 'clerk',
      min_replicas: 1,
      max_replicas: 6,
      metrics: [
        {
          query: 'sum(agent_queue_depth{gen_ai_agent_name="clerk"})',
          target: { type: 'AverageValue', value: 10 },
          means: 'tasks wait',
        },
      ],
      current: 'sum(agent_workers{gen_ai_agent_name="clerk"})',
      behavior: { scale_down: { stabilization_window: '30s' } },
      interval: every,
      stale_after: '20s',
    },
  ],
  budgets: [{ name: 'fleet', amount: 5, period: 'daily', timezone: zoneOfNoon(), interval: every }],
  actions: {
    mode: 'live',
    webhooks: { deploy: { url: `${receiver}/act`, secret } },
    cooldown: { rollback: '30s', promote: '30s' },
  },
})

const alertmanager = ({ receiver }: DemoConfig) => ({
  route: {
    receiver: 'chat',
    group_by: ['alertname'],
    group_wait: '1s',
    group_interval: '10s',
    repeat_interval: '1h',
    routes: [
      { receiver: 'people', matchers: ['alertname="AgentBroken"'], continue: true },
      { receiver: 'retired', matchers: ['alertname=~"QueueLong|AgentBroken"'], continue: true },
      { receiver: 'chat', matchers: ['alertname=~".+"'] },
    ],
  },
  receivers: [
    { name: 'people', oncall_configs: [{ policy: 'agents' }] },
    { name: 'chat', webhook_configs: [{ url: `${receiver}/chat` }] },
    { name: 'retired', webhook_configs: [{ url: `${receiver}/retired` }] },
  ],
})

/** Writes airboss.yaml, the files it names, and lists of targets into `dir`; gives the path of the first. */
export const writeConfig = (config: DemoConfig): string => {
  const file = join(config.dir, 'airboss.yaml')
  const targets = [{ targets: [new URL(config.receiver).host], labels: { team: 'search' } }]
  writeFileSync(join(config.dir, 'targets.json'), JSON.stringify(targets))
  writeFileSync(join(config.dir, 'broken.json'), '[{ "targets": [')
  writeFileSync(file, stringify(airboss(config)))
  writeFileSync(join(config.dir, 'rules.yaml'), stringify(rules))
  writeFileSync(join(config.dir, 'alertmanager.yaml'), stringify(alertmanager(config)))
  return file
}
