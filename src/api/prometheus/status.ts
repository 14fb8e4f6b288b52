// Rules, alerts, targets and what Airboss says of itself, in the shapes Prometheus answers.
import type { Hono } from 'hono'
import { formatFloat } from '../../lib/template/float.ts'
import { formatDuration, iso } from '../../lib/time.ts'
import type { ActiveAlert } from '../../model/alert.ts'
import { labelOf, metricName, recordOf } from '../../model/labels.ts'
import type { RuleGroupState } from '../../model/rule-group.ts'
import type { TargetView } from '../../model/views.ts'
import type { Env } from '../mount.ts'
import type { PrometheusDoors } from './doors.ts'
import { dataResponse } from './encode.ts'

type RuleState = RuleGroupState['rules'][number]

/** Go's zero time: how Prometheus says "never". */
const never = '0001-01-01T00:00:00Z'

const alertJson = (alert: ActiveAlert): object => ({
  labels: recordOf(alert.labels),
  annotations: alert.annotations,
  state: alert.state,
  activeAt: iso(alert.activeAt),
  ...(alert.keepFiringSinceAt === null ? {} : { keepFiringSince: iso(alert.keepFiringSinceAt) }),
  value: formatFloat(alert.value, 'e', -1),
})

const ruleJson = (rule: RuleState, withAlerts: boolean): object => {
  const common = {
    name: rule.name,
    query: rule.query,
    labels: rule.labels,
    health: rule.health,
    ...(rule.lastError ? { lastError: rule.lastError } : {}),
    evaluationTime: rule.evaluationTime / 1000,
    lastEvaluation: rule.lastEvaluationAt === null ? never : iso(rule.lastEvaluationAt),
    type: rule.type,
  }
  if (rule.type === 'recording') return common
  return {
    ...common,
    state: rule.state,
    duration: rule.for / 1000,
    keepFiringFor: rule.keepFiringFor / 1000,
    annotations: rule.annotations,
    alerts: withAlerts ? rule.alerts.map(alertJson) : [],
  }
}

const groupJson = (group: RuleGroupState, rules: readonly RuleState[], withAlerts: boolean): object => ({
  name: group.name,
  file: group.file,
  rules: rules.map((r) => ruleJson(r, withAlerts)),
  interval: group.interval / 1000,
  limit: group.limit,
  evaluationTime: group.evaluationTime / 1000,
  lastEvaluation: group.lastEvaluationAt === null ? never : iso(group.lastEvaluationAt),
})

const targetJson = (t: TargetView): object => ({
  discoveredLabels: t.discoveredLabels,
  labels: t.labels,
  scrapePool: t.scrapePool,
  scrapeUrl: t.scrapeUrl,
  globalUrl: t.scrapeUrl,
  lastError: t.lastError,
  lastScrape: t.lastScrapeAt === null ? never : iso(t.lastScrapeAt),
  lastScrapeDuration: t.lastScrapeDuration / 1000,
  health: t.health,
  scrapeInterval: formatDuration(t.scrapeInterval),
  scrapeTimeout: formatDuration(t.scrapeTimeout),
})

/** Targets filtered by `state` (active, dropped; anything else is both) and `scrapePool`. */
const targetsData = (doors: PrometheusDoors, params: URLSearchParams): object => {
  const state = (params.get('state') ?? 'any').toLowerCase()
  const pool = params.get('scrapePool') ?? ''
  const fits = ({ scrapePool }: { readonly scrapePool: string }): boolean =>
    pool === '' || scrapePool === pool
  const active = state === 'dropped' ? [] : doors.targets().filter(fits).map(targetJson)
  const { kept, counts } = doors.droppedTargets()
  const shown = state !== 'active'
  return {
    activeTargets: active,
    droppedTargets: shown ? kept.filter(fits) : [],
    droppedTargetCounts: Object.fromEntries(
      Object.entries(counts).filter(([scrapePool]) => shown && fits({ scrapePool })),
    ),
  }
}

/** Rules filtered as the rules API's parameters say: type, rule_name[], rule_group[], file[], exclude_alerts. */
const rulesData = (groups: readonly RuleGroupState[], params: URLSearchParams): object => {
  const wanted = { alert: 'alerting', record: 'recording' }[params.get('type') ?? '']
  const names = new Set(params.getAll('rule_name[]'))
  const groupNames = new Set(params.getAll('rule_group[]'))
  const files = new Set(params.getAll('file[]'))
  const withAlerts = params.get('exclude_alerts') !== 'true'
  const kept = groups
    .filter(
      (g) => (groupNames.size === 0 || groupNames.has(g.name)) && (files.size === 0 || files.has(g.file)),
    )
    .map((g) => ({
      g,
      rules: g.rules.filter((r) => (!wanted || r.type === wanted) && (names.size === 0 || names.has(r.name))),
    }))
    .filter(({ rules }) => rules.length > 0)
  return { groups: kept.map(({ g, rules }) => groupJson(g, rules, withAlerts)) }
}

export const statusRoutes = (app: Hono<Env>, doors: PrometheusDoors): void => {
  app.get('/api/v1/rules', (c) =>
    dataResponse(rulesData(doors.ruleGroups(), new URL(c.req.url).searchParams)),
  )
  app.get('/api/v1/alerts', () =>
    dataResponse({
      alerts: doors
        .ruleGroups()
        .flatMap((g) => g.rules.flatMap((r) => (r.type === 'alerting' ? r.alerts.map(alertJson) : []))),
    }),
  )
  app.get('/api/v1/targets', (c) => dataResponse(targetsData(doors, new URL(c.req.url).searchParams)))
  app.get('/api/v1/scrape_pools', () =>
    dataResponse({ scrapePools: Object.keys(doors.droppedTargets().counts).sort() }),
  )
  app.get('/api/v1/alertmanagers', () => dataResponse({ activeAlertmanagers: [], droppedAlertmanagers: [] }))
  // No `features`: Grafana takes a non-empty one for Mimir and asks for a ruler that is not there.
  app.get('/api/v1/status/buildinfo', () =>
    dataResponse({
      version: doors.version,
      revision: '',
      branch: '',
      buildUser: '',
      buildDate: '',
      goVersion: '',
    }),
  )
  app.get('/api/v1/status/runtimeinfo', () =>
    dataResponse({
      startTime: iso(doors.startedAt),
      reloadConfigSuccess: true,
      timeSeriesCount: seriesCount(doors),
      storageRetention: doors.retention,
    }),
  )
  app.get('/api/v1/status/config', () => dataResponse({ yaml: doors.configText() }))
  app.get('/api/v1/status/flags', () => dataResponse(doors.flags()))
  app.get('/api/v1/status/tsdb', () => dataResponse(tsdb(doors)))
}

const recent = (doors: PrometheusDoors) => {
  const toAt = doors.clock.now()
  return { fromAt: (toAt - 600_000) as typeof toAt, toAt }
}
const seriesCount = (doors: PrometheusDoors): number => doors.index.select([], recent(doors)).length

/** The ten largest metrics and labels of the last ten minutes, as Prometheus's TSDB status shows them. */
const tsdb = (doors: PrometheusDoors): object => {
  const span = recent(doors)
  const byMetric = new Map<string, number>()
  const valuesByLabel = new Map<string, Set<string>>()
  const refs = doors.index.select([], span)
  for (const ref of refs) {
    const labels = doors.labelsOf(ref)
    const name = labelOf(labels, metricName)
    byMetric.set(name, (byMetric.get(name) ?? 0) + 1)
    for (let i = 0; i < labels.length; i += 2) {
      const set = valuesByLabel.get(labels[i]!) ?? new Set()
      valuesByLabel.set(labels[i]!, set.add(labels[i + 1]!))
    }
  }
  const top = (pairs: Iterable<readonly [string, number]>): object[] =>
    [...pairs]
      .sort((a, b) => b[1] - a[1])
      .slice(0, 10)
      .map(([name, value]) => ({ name, value }))
  return {
    headStats: { numSeries: refs.length, minTime: span.fromAt, maxTime: span.toAt },
    seriesCountByMetricName: top(byMetric),
    labelValueCountByLabelName: top([...valuesByLabel].map(([name, set]) => [name, set.size] as const)),
    memoryInBytesByLabelName: [],
    seriesCountByLabelValuePair: [],
  }
}
