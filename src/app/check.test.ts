import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { messageOf } from '../lib/errors.ts'
import { checkAll, checkSettings } from './check.ts'
import { readSettings } from './config.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'airboss-check-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const write = (files: Record<string, string>): string => {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), text)
  return join(dir, 'airboss.yaml')
}
const am = (entry: string): string => `route: { receiver: r }\nreceivers:\n  - name: r\n    ${entry}\n`
/** What is said, without the folder. */
const said = (text: string, more: Record<string, string> = {}): string => {
  try {
    return checkAll(readSettings({ config: write({ 'airboss.yaml': text, ...more }) }, {})).join('\n')
  } catch (error) {
    return messageOf(error).replaceAll(`${dir}/`, '')
  }
}
const agent = 'autoscale:\n  - agent: a\n    max_replicas: 3\n    metrics:\n      - query: '
const canary = (query: string, more = ''): string =>
  `deployments:\n  - agent: a\n    version: '2'\n    canary:\n      baseline: '1'${more}\n      analysis:\n        metrics:\n          - name: m\n            query: ${query}\n`

describe('each problem is named with file, line and mend', () => {
  test.each([
    ['unknown key', 'hosst: {}', {}, /^airboss\.yaml:1: hosst: unknown key; check its spelling/],
    [
      'what is missing, and what is of another kind',
      'containers: { enabled: yes, max: many }\nprices: { models: [{ input_mtok: 1 }] }\ncosts: { column: Effective }',
      {},
      /containers\.enabled: must be true or false, not text.*containers\.max: must be a number, not text.*\.model: is needed: text.*costs\.column: must be one of EffectiveCost, BilledCost/s,
    ],
    [
      'the one form of several that was meant',
      'hooks:\n  h: { source: grafana, auth: { bearer: { env: NOT_THERE } } }\n  i: { source: grafana, auth: { hmac: { scheme: gitlab, secret: s } } }',
      {},
      /^airboss\.yaml:2: hooks\.h\.auth\.bearer: the environment variable NOT_THERE is not set\nairboss\.yaml:3: hooks\.i\.auth\.hmac\.scheme: must be one of github,/,
    ],
    [
      'a threshold in per cent',
      'budgets: [{ name: b, amount: 1, thresholds: [50] }]',
      {},
      /^airboss\.yaml:1: budgets\[0\]\.thresholds\[0\]: is a share of the amount/,
    ],
    [
      "Prometheus's storage",
      'storage:\n  tsdb: { out_of_order_time_window: 30m }',
      {},
      /^airboss\.yaml:2: storage\.tsdb: not supported; write out_of_order_time_window under storage itself/,
    ],
    [
      'budget',
      'budgets:\n  - name: b\n    amount: 1\n    filter: [agent]',
      {},
      /^airboss\.yaml:4: budgets\[0\]\.filter\[0\]: not a matcher: agent; write it as/,
    ],
    [
      'budget labels',
      'budgets:\n  - name: b\n    amount: 1\n    labels: { alertname: x }',
      {},
      /^airboss\.yaml:4: budgets\[0\]\.labels\.alertname: is set by Airboss/,
    ],
    [
      'autoscale query',
      `${agent}'sum(('\n        target: { value: 1 }`,
      {},
      /^airboss\.yaml:5: autoscale\[0\]\.metrics\[0\]\.query: .*parse/,
    ],
    [
      'autoscale query of another type',
      `${agent}'up[5m]'\n        target: { value: 1 }`,
      {},
      /^airboss\.yaml:5: .*is a matrix; .* instant vector is needed/,
    ],
    [
      'autoscale current',
      `${agent}up\n        target: { value: 1 }\n    current: 'count('`,
      {},
      /^airboss\.yaml:7: autoscale\[0\]\.current: /,
    ],
    [
      'autoscale actuator',
      `${agent}up\n        target: { value: 1 }\n    actuator: k8s`,
      {},
      /^airboss\.yaml:7: autoscale\[0\]\.actuator: no webhook is named "k8s"; actions\.webhooks has none/,
    ],
    [
      'autoscale on Kubernetes without a cluster',
      `${agent}up\n        target: { value: 1 }\n    actuator: kubernetes\n    workload: { name: a }`,
      {},
      /^airboss\.yaml:7: autoscale\[0\]\.actuator: .*no cluster is configured; add kubernetes: \{\}/,
    ],
    [
      'autoscale on Kubernetes without a workload',
      `kubernetes: {}\n${agent}up\n        target: { value: 1 }\n    actuator: kubernetes`,
      {},
      /^airboss\.yaml:8: autoscale\[0\]\.actuator: .*say what runs there, as workload/,
    ],
    [
      'workload',
      canary(`x{v="$version"}`, `\n      workload: { name: a, image: 'a:latest' }`),
      {},
      /workload\.image: must say where the version stands/,
    ],
    [
      'StatefulSet without an image',
      canary(`x{v="$version"}`, `\n      workload: { kind: StatefulSet, name: a }`),
      {},
      /workload.*image: is needed for a StatefulSet/,
    ],
    [
      'webhook called kubernetes',
      `actions: { webhooks: { kubernetes: { url: 'http://x' } } }`,
      {},
      /actions\.webhooks\.kubernetes: this name stands for the cluster itself/,
    ],
    [
      'kubernetes in two ways',
      `kubernetes: { api_server: 'https://x', kubeconfig_file: y }`,
      {},
      /^airboss\.yaml:1: kubernetes\.kubeconfig_file: stands beside api_server/,
    ],
    [
      'canary query',
      canary(`sum(x{v="$version"}`),
      {},
      /^airboss\.yaml:9: deployments\[0\]\.canary\.analysis\.metrics\[0\]\.query: /,
    ],
    [
      'canary that acts nowhere',
      `actions: { mode: live }\n${canary(`x{v="$version"}`)}`,
      {},
      /^airboss\.yaml:\d+: deployments\[0\]\.canary\.actuator: actions\.mode is live and this has no webhook/,
    ],
    [
      'dependency',
      'deployments:\n  - agent: a\n    version: "1"\n    dependencies: { b: "=> one" }',
      {},
      /^airboss\.yaml:4: .*that is no range; write it as/,
    ],
    [
      'scrape target',
      'scrape_configs:\n  - job_name: j\n    static_configs:\n      - targets: ["http://x:1/metrics"]',
      {},
      /^airboss\.yaml:4: .*is not an address; write it as host:port/,
    ],
    [
      'scrape timeout',
      'scrape_configs:\n  - job_name: j\n    scrape_timeout: 2m',
      {},
      /^airboss\.yaml:3: .*longer than its scrape_interval \(1m\)/,
    ],
    [
      'scrape secret',
      'scrape_configs:\n  - job_name: j\n    authorization: { credentials_file: gone }',
      {},
      /^airboss\.yaml:2: .*secret file gone/,
    ],
    [
      'short token',
      'access:\n  tokens:\n    - { name: a, token: short, roles: [viewer] }',
      {},
      /^airboss\.yaml:3: access\.tokens\[0\]\.token: has fewer than 16 characters; make one/,
    ],
    [
      'token file',
      'access:\n  tokens:\n    - { name: a, token: { file: /gone }, roles: [viewer] }',
      {},
      /^airboss\.yaml:3: access\.tokens\[0\]\.token: secret file \/gone/,
    ],
    [
      'environment',
      'actions:\n  webhooks:\n    d: { url: "http://x", secret: { env: GONE } }',
      {},
      /^airboss\.yaml:3: .*environment variable GONE is not set/,
    ],
    [
      'port',
      'listen:\n  http: 127.0.0.1:99999',
      {},
      /^airboss\.yaml:2: listen\.http: .*write it as host:port/,
    ],
    [
      'rule file',
      'rule_files:\n  - gone.yaml',
      {},
      /^airboss\.yaml:2: rule_files\[0\]: there is no file gone\.yaml/,
    ],
    [
      'alertmanager file',
      'name: x\nalertmanager: gone.yml',
      {},
      /^airboss\.yaml:2: alertmanager: there is no file gone\.yml/,
    ],
    [
      'on-call user',
      'oncall:\n  users: {}\n  policies:\n    night:\n      steps: [{ users: [mara] }]',
      {},
      /^airboss\.yaml:5: .*user "mara" is not defined/,
    ],
    [
      'on-call policy',
      'alertmanager: am.yml',
      { 'am.yml': am('oncall_configs: [{ policy: night }]') },
      /^am\.yml:4: receivers\[0\]\.oncall_configs\[0\]\.policy: policy "night" is not defined; add it under oncall\.policies, which has none/,
    ],
    [
      'on-call without receivers',
      'name: x\noncall: {}',
      {},
      /^airboss\.yaml:2: oncall: no receiver can name/,
    ],
    [
      'receiver template',
      'alertmanager: am.yml',
      { 'am.yml': am(`pagerduty_configs: [{ routing_key: k, description: '{{ template "gone" . }}' }]`) },
      /^am\.yml:4: receivers\[0\]\.pagerduty_configs\[0\]: .*gone/,
    ],
    [
      'receiver secret',
      'alertmanager: am.yml',
      { 'am.yml': am('webhook_configs: [{ url_file: /gone }]') },
      /^am\.yml:4: receivers\[0\]\.webhook_configs\[0\]\.url: secret file \/gone/,
    ],
    [
      'slack without an address',
      'alertmanager: am.yml',
      { 'am.yml': am('slack_configs: [{ channel: x }]') },
      /^am\.yml:4: receivers\[0\]\.slack_configs\[0\]: no Slack address: give api_url/,
    ],
    [
      'email without a server',
      'alertmanager: am.yml',
      { 'am.yml': am('email_configs: [{ to: a@b }]') },
      /^am\.yml:4: receivers\[0\]\.email_configs\[0\]: no mail server: give smarthost/,
    ],
    [
      'mail settings',
      'alertmanager: am.yml',
      { 'am.yml': `global:\n  smtp_smarthost: mail\n${am('webhook_configs: []')}` },
      /^am\.yml:2: global\.smtp_smarthost: not a mail server: "mail"; write it as host:port/,
    ],
    [
      'TLS file of a receiver',
      'alertmanager: am.yml',
      {
        'am.yml': am('webhook_configs: [{ url: http://x, http_config: { tls_config: { ca_file: gone } } }]'),
      },
      /^am\.yml:4: receivers\[0\]\.webhook_configs\[0\]\.http_config: secret file .*gone/,
    ],
    [
      "a user's email without a server",
      'alertmanager: am.yml\noncall:\n  users:\n    mara:\n      notify:\n        - { email: mara@example.com }',
      { 'am.yml': am('webhook_configs: []') },
      /^airboss\.yaml:6: oncall\.users\.mara\.notify\[0\]: no mail server/,
    ],
    [
      'hook',
      'hooks:\n  h:\n    alert:\n      labels: { alertname: $.a.. }',
      {},
      /^airboss\.yaml:4: hooks\.h\.alert\.labels\.alertname: path \$\.a\.\. cannot be read at/,
    ],
    [
      'statsd mapping',
      'statsd: { mapping: m.yml }',
      { 'm.yml': 'mappings:\n  - match: a.**\n    name: x' },
      /^m\.yml:2: mappings\[0\]\.match: not a pattern/,
    ],
    [
      'statsd mapping file',
      'statsd: { mapping: gone.yml }',
      {},
      /^airboss\.yaml:1: statsd\.mapping: there is no file gone\.yml/,
    ],
    [
      'rule',
      'rule_files: [r.yaml]',
      { 'r.yaml': 'groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: sum((' },
      /r\.yaml:5: /,
    ],
  ])('%s', (_, text, more, expected) => expect(said(text, more as Record<string, string>)).toMatch(expected))
})

test('all of them are said at once, each once', () => {
  const text = `${agent}'sum(('\n        target: { value: 1 }\n    actuator: k8s\nrule_files: [r.yaml]\n`
  const rules = 'groups:\n  - name: g\n    rules:\n      - alert: A\n        expr: sum(('
  expect(
    said(text, { 'r.yaml': rules })
      .split('\n')
      .map((l) => /^\S+?:\d+/.exec(l)?.[0] ?? l),
  ).toHaveLength(3)
})

test('the shipped configuration is good, and fit to run', () => {
  expect(() => checkSettings(readSettings({ config: 'airboss.yaml' }, {}))).not.toThrow()
  expect(checkAll(readSettings({ config: 'airboss.yaml' }, {})).join('\n')).toMatch(/airboss\.yaml: good/)
})

test('the Alertmanager file is shown without its secrets', () => {
  const http =
    '{ proxy_url: http://p, proxy_connect_header: { X: [hush1] }, basic_auth: { username: u, password: hush2 } }'
  const text = `global: { slack_api_url: 'https://hush3', smtp_auth_password: hush4, smtp_smarthost: 'h:25', smtp_from: a@b }
route: { receiver: r }
receivers:
  - name: r
    slack_configs: [{ app_token: hush5 }, { api_url: 'https://hush6', http_config: ${http} }]
    email_configs: [{ to: a@b, auth_secret: hush7, tls_config: { cert: c, key: hush8 } }]
`
  const { alerts } = readSettings(
    { config: write({ 'airboss.yaml': 'alertmanager: am.yml', 'am.yml': text }) },
    {},
  )
  expect(alerts.shown).not.toContain('hush')
  expect(alerts.shown).toContain('smtp_smarthost: h:25')
})
