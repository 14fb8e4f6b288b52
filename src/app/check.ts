// What is looked at beyond the schemas: queries against the query language, names against what they name, addresses; for `airboss check` rules,
// templates and secrets' files too.
import { kubernetesName } from '../act/config.ts'
import { splitAddress } from '../api/server.ts'
import { unmetBy } from '../fleet/compare.ts'
import { systemClock } from '../lib/clock.ts'
import { Secret } from '../lib/config.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { createHttp } from '../lib/http.ts'
import { silentLogger } from '../lib/log.ts'
import { duration, formatDuration } from '../lib/time.ts'
import { type Problem, problemAt, problemsError, say } from '../lib/yaml.ts'
import type { Querier } from '../model/ports/querier.ts'
import { SeriesTable } from '../model/series.ts'
import { type Channels, createChannels } from '../notify/channels.ts'
import { createQuerier } from '../query/querier.ts'
import { checkClients } from '../receive/scrape/http-config.ts'
import { queryFor } from '../rollout/query-for.ts'
import { createRules } from '../rules/rules.ts'
import type { Settings } from './config.ts'
import { createOwnMetrics } from './own-metrics.ts'

type Path = readonly PropertyKey[]
type Report = (path: Path, message: string) => void

/** A querier that only checks: it reads nothing. */
const checkingQuerier = ({ config }: Settings): Querier =>
  createQuerier({
    reader: { read: async function* () {} },
    clock: systemClock,
    limits: { timeout: config.query.timeout, series: 1, samples: 1, concurrency: 1 },
    lookback: config.query.lookback_delta,
    metrics: createOwnMetrics(),
    log: silentLogger(),
  })

/** What throws becomes a problem at its place. */
const trying = (path: Path, report: Report, run: () => unknown): void => {
  try {
    run()
  } catch (error) {
    if (error instanceof AppError && error.code === 'internal') throw error
    report(path, messageOf(error))
  }
}

const checkQueries = (settings: Settings, report: Report): void => {
  const querier = checkingQuerier(settings)
  const check = (path: Path, expr: string): void =>
    trying(path, report, () => {
      const { type } = querier.check(expr)
      if (type !== 'vector' && type !== 'scalar')
        report(
          path,
          `the expression is a ${type}; a number or an instant vector is needed, such as rate(…) or sum(…) gives`,
        )
    })
  for (const [i, { metrics, current }] of settings.config.autoscale.entries()) {
    for (const [j, m] of metrics.entries()) check(['autoscale', i, 'metrics', j, 'query'], m.query)
    if (current !== undefined) check(['autoscale', i, 'current'], current)
  }
  for (const [i, { agent, version, canary }] of settings.config.deployments.entries())
    for (const [j, m] of (canary?.analysis.metrics ?? []).entries())
      check(
        ['deployments', i, 'canary', 'analysis', 'metrics', j, 'query'],
        queryFor(m.query, agent, version),
      )
}

const checkActuators = ({ config }: Settings, report: Report): void => {
  const { mode, default: otherwise } = config.actions
  const hooks = Object.keys(config.actions.webhooks)
  const known = hooks.join(', ') || 'none'
  const check = (path: Path, actuator: string, workload: unknown): void => {
    const name = actuator || otherwise
    if (name === kubernetesName && config.kubernetes === undefined)
      report(
        path,
        'is for Kubernetes, and no cluster is configured; add kubernetes: {} for the one Airboss runs in, or kubernetes: { kubeconfig_file: … }',
      )
    else if (name === kubernetesName && workload === undefined)
      report(path, 'is kubernetes: say what runs there, as workload: { namespace: …, name: … } beside it')
    else if (actuator !== '' && actuator !== kubernetesName && !hooks.includes(actuator))
      report(
        path,
        `no webhook is named ${JSON.stringify(actuator)}; actions.webhooks has ${known}, and kubernetes is the cluster itself`,
      )
    else if (name === '' && mode === 'live' && hooks.length !== 1)
      report(
        path,
        `actions.mode is live and this has no webhook to go to: name one here or in actions.default (actions.webhooks has ${known})`,
      )
  }
  for (const [i, a] of config.autoscale.entries()) check(['autoscale', i, 'actuator'], a.actuator, a.workload)
  for (const [i, d] of config.deployments.entries())
    if (d.canary) check(['deployments', i, 'canary', 'actuator'], d.canary.actuator, d.canary.workload)
}

const checkDeployments = ({ config }: Settings, report: Report): void => {
  for (const [i, d] of config.deployments.entries())
    for (const { problem, needs, why } of unmetBy(d, config.deployments))
      if (problem === 'bad_range') report(['deployments', i, 'dependencies', needs], why)
}

const checkScrapes = (settings: Settings, report: Report): void => {
  const { config } = settings
  const { scrape_interval: interval, scrape_timeout: timeout } = config.global
  if (timeout !== undefined && timeout > interval)
    report(
      ['global', 'scrape_timeout'],
      `is longer than scrape_interval (${formatDuration(interval)}); make it shorter`,
    )
  const here = (settings.written['scrape_configs'] as unknown[] | undefined)?.length ?? 0
  for (const [i, job] of config.scrape_configs.entries()) {
    // A job of another file is told of where that file is named.
    const say = (path: Path, message: string): void =>
      i < here
        ? report(['scrape_configs', i, ...path], message)
        : report(['scrape_config_files'], `job ${job.job_name}: ${path.join('.')}: ${message}`)
    const every = job.scrape_interval ?? interval
    if (job.scrape_timeout !== undefined && job.scrape_timeout > every)
      say(
        ['scrape_timeout'],
        `is longer than its scrape_interval (${formatDuration(every)}); make it shorter`,
      )
    // Where relabelling makes the address, as for a blackbox exporter, a target may be anything.
    for (const [j, group] of job.static_configs.entries())
      for (const [k, target] of group.targets.entries())
        if (job.relabel_configs.length === 0 && /[/\s@?#]/.test(target))
          say(
            ['static_configs', j, 'targets', k],
            `${JSON.stringify(target)} is not an address; write it as host:port, with scheme and metrics_path beside it`,
          )
  }
}

/** What makes a configuration unfit to run, beyond its schema; each problem with its place. */
const unfit = (settings: Settings): Problem[] => {
  const problems: Problem[] = []
  const report: Report = (path, message) => problems.push(problemAt(settings.yaml, path, message))
  const { external_url: _, ...listen } = settings.config.listen
  for (const [name, address] of Object.entries(listen))
    trying(['listen', name], report, () => splitAddress(address))
  checkQueries(settings, report)
  checkActuators(settings, report)
  checkDeployments(settings, report)
  checkScrapes(settings, report)
  checkDevices(settings, report)
  return problems
}

/** Throws `bad_data` with every problem for a configuration that could be read and cannot be run. */
export const checkSettings = (settings: Settings): void => {
  const problems = unfit(settings)
  if (problems.length > 0) throw problemsError(problems)
}

/** Every secret below a value, read once: a file that is missing is found now and not when it is needed. */
const readSecrets = (value: unknown, path: Path, report: Report): void => {
  if (value instanceof Secret) trying(path, report, () => value.reveal())
  if (value === null || typeof value !== 'object' || value instanceof Secret) return
  const entries = value instanceof Map ? [...value] : Object.entries(value)
  for (const [key, below] of entries)
    readSecrets(below, [...path, Array.isArray(value) ? Number(key) : key], report)
}

/** Channels for looking at only; null where a template file cannot be read, which is told. */
const checkingChannels = ({ alerts }: Settings, report: Report): Channels | null => {
  let channels: Channels | null = null
  trying(['templates'], report, () => {
    channels = createChannels({
      globals: alerts.globals,
      send: createHttp().send,
      clock: systemClock,
      log: silentLogger(),
      metrics: createOwnMetrics(),
    })
  })
  return channels
}

/** A user's email needs a mail server, and so on: nobody may find that out at night. */
const checkDevices = (settings: Settings, report: Report): void => {
  const { oncall } = settings.config
  const channels = oncall ? checkingChannels(settings, () => {}) : null
  if (!channels) return
  for (const [id, user] of oncall?.users ?? [])
    for (const [i, target] of user.notify.entries())
      trying(['oncall', 'users', id, 'notify', i], report, () => channels.checkPager(target))
}

const checkReceivers = (settings: Settings, report: Report): void => {
  const { alerts, config } = settings
  const channels = checkingChannels(settings, report)
  if (!channels) return
  for (const [i, receiver] of alerts.receivers.entries())
    for (const entry of receiver.entries) {
      const path = ['receivers', i, `${entry.kind}_configs`, entry.index]
      if (entry.kind !== 'oncall') trying(path, report, () => channels.notifier(receiver.name, entry))
      readSecrets(entry.config, path, report)
      const http = (entry.config as { http_config?: { headers(): unknown; options(): unknown } }).http_config
      if (http)
        trying([...path, 'http_config'], report, () => {
          http.headers()
          http.options()
        })
    }
  if (config.alertmanager === undefined && config.oncall !== undefined)
    report(['oncall'], 'no receiver can name its policies: set alertmanager to a file with oncall_configs')
}

const checkRules = (settings: Settings): string[] => {
  const { config, rules } = settings
  const checker = createRules({
    querier: checkingQuerier(settings),
    sink: { push: async () => {} },
    table: new SeriesTable(1),
    alerts: { push: async () => {} },
    clock: systemClock,
    log: silentLogger(),
    metrics: createOwnMetrics(),
    externalLabels: config.global.external_labels,
    externalURL: () => '',
    evaluationInterval: config.global.evaluation_interval,
    queryOffset: duration(0),
    stateFile: null,
  })
  try {
    checker.check(rules)
    return []
  } catch (error) {
    return [messageOf(error)]
  }
}

/** Throws `bad_data` with every problem; else what was found good, a line each. */
export const checkAll = (settings: Settings): string[] => {
  const { config, alerts, rules, yaml, alertsYaml } = settings
  const problems = unfit(settings)
  const here: Report = (path, message) => problems.push(problemAt(yaml, path, message))
  for (const section of Object.keys(config) as (keyof typeof config)[])
    readSecrets(config[section], [section], here)
  for (const [i, job] of config.scrape_configs.entries())
    trying(['scrape_configs', i], here, () => checkClients(job))
  checkReceivers(settings, (path, message) => problems.push(problemAt(alertsYaml ?? yaml, path, message)))
  const said = [...new Set([...problems.map(say), ...checkRules(settings)])]
  if (said.length > 0) throw new AppError('bad_data', said.join('\n'))
  const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`
  return [
    `${settings.file || 'built-in defaults'}: good`,
    `${count(rules.length, 'rule file')}: good`,
    `${[
      count(alerts.receivers.length, 'receiver'),
      count(config.oncall?.policies.size ?? 0, 'on-call policy').replace('policys', 'policies'),
      count(config.scrape_configs.length, 'scrape job'),
      count(config.deployments.length, 'deployment'),
      count(config.autoscale.length, 'autoscaler'),
      count(config.budgets.length, 'budget'),
      count(config.access.tokens.length, 'token'),
    ].join(', ')}: good`,
  ]
}
