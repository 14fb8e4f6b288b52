// What every page knows at once, from memory: alerts with their rules, who has them, whether actions and data flow.
import { type Instant, instant } from '../lib/time.ts'
import type { ActiveAlert } from '../model/alert.ts'
import { fingerprint } from '../model/alert.ts'
import { recordOf } from '../model/labels.ts'
import type { ShownAlert } from '../model/ports/alert-manager.ts'
import type { Escalation } from '../model/ports/on-call.ts'
import type { AlertingRuleState, RuleGroupState } from '../model/rule-group.ts'
import type { ActionsView } from '../model/views.ts'
import type { ConsoleDoors } from './doors.ts'
import { length, type Unit, unitOf, write } from './format.ts'
import type { State } from './parts.ts'

/** One alert as pages show it. */
export interface AlertLine {
  readonly id: string
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly state: State
  readonly phase: 'firing' | 'pending' | 'silenced' | 'inhibited'
  /** What it is about: an agent, a machine. */
  readonly subject: string
  readonly summary: string
  readonly description: string
  readonly runbook: string
  /** '' where the rule is not ours. */
  readonly value: string
  readonly limit: string
  readonly expr: string
  readonly since: Instant
  readonly silencedBy: readonly string[]
  readonly escalation: Escalation | null
  readonly receivers: readonly string[]
}

export interface Picture {
  readonly now: Instant
  readonly firing: readonly AlertLine[]
  readonly pending: readonly AlertLine[]
  readonly quiet: readonly AlertLine[]
  readonly groups: readonly RuleGroupState[]
  readonly rules: number
  readonly broken: number
  readonly lookedAt: Instant | null
  readonly escalations: readonly Escalation[]
  readonly held: number
  readonly actions: ActionsView
  readonly newestAt: Instant | null
  readonly storeError: string
}

const loud = new Set(['critical', 'page', 'emergency', 'error', 'high', 'sev1', 'sev2'])
const subjects = ['agent', 'gen_ai_agent_name', 'service', 'budget', 'instance', 'job', 'channel', 'name']

const severity = (labels: Readonly<Record<string, string>>): State =>
  loud.has((labels['severity'] ?? '').toLowerCase()) ? 'crit' : 'warn'

const comparison = /(>=|<=|==|!=|>|<)\s*(?:bool\s+)?(-?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)\s*$/i
const signs: Readonly<Record<string, string>> = { '>=': '≥', '<=': '≤', '!=': '≠', '==': '=' }

/** The limit that an alerting expression ends with, in its own unit: `> 5 %`; '' where it has none. */
export const limitOf = (expr: string): { text: string; value: number; above: boolean } | null => {
  // With `and` and `or` the last comparison is not the whole promise.
  if (/\b(and|or|unless)\b/.test(expr)) return null
  const m = comparison.exec(expr.trim())
  if (!m) return null
  const value = Number(m[2])
  return {
    text: `${signs[m[1]!] ?? m[1]}\u202f${write[alertUnit(expr)](value).replace(/\.0+(?!\d)/, '')}`,
    value,
    above: m[1]!.startsWith('>'),
  }
}

/** Rates and ratios recorded under a colon name say their unit before the last colon's part. */
export const alertUnit = (expr: string): Unit => {
  if (/:ratio\b|:ratio_rate/.test(expr)) return 'ratio'
  if (/:p\d\d_|_seconds:/.test(expr)) return 'seconds'
  if (/_usd_per_hour/.test(expr)) return 'usd'
  return unitOf(expr)
}

interface Ruled {
  readonly rule: AlertingRuleState
  readonly alert: ActiveAlert
  readonly labels: Readonly<Record<string, string>>
}

const subjectOf = (labels: Readonly<Record<string, string>>): string => {
  for (const name of subjects) if (labels[name]) return labels[name]
  return ''
}

const line = (
  labels: Readonly<Record<string, string>>,
  annotations: Readonly<Record<string, string>>,
  since: Instant,
  phase: AlertLine['phase'],
  more: Partial<AlertLine> & { ruled?: Ruled | undefined },
): AlertLine => {
  const { ruled, ...rest } = more
  const expr = ruled?.rule.query ?? ''
  const limit = ruled ? limitOf(expr) : null
  const held = ruled && ruled.rule.for > 0 ? `for ${length(ruled.rule.for)}` : ''
  const state = severity(labels)
  return {
    id: fingerprint(labels),
    name: labels['alertname'] ?? 'Alert',
    labels,
    state: phase === 'firing' ? state : phase === 'pending' ? 'pending' : 'idle',
    phase,
    subject: subjectOf(labels),
    summary: annotations['summary'] ?? '',
    description: annotations['description'] ?? '',
    runbook: annotations['runbook_url'] ?? annotations['runbook'] ?? '',
    value: ruled ? write[alertUnit(expr)](ruled.alert.value) : '',
    limit: [limit?.text ?? '', held].filter(Boolean).join(' '),
    expr,
    since,
    silencedBy: [],
    escalation: null,
    receivers: [],
    ...rest,
  }
}

const ruledAlerts = (groups: readonly RuleGroupState[]): Ruled[] =>
  groups.flatMap((g) =>
    g.rules.flatMap((rule) =>
      rule.type === 'alerting'
        ? rule.alerts.map((alert) => ({ rule, alert, labels: recordOf(alert.labels) }))
        : [],
    ),
  )

/** Routed alerts carry the external labels too: a rule's alert is the one whose labels all stand in them. */
const finder = (ruled: readonly Ruled[]) => {
  const byName = new Map<string, Ruled[]>()
  for (const r of ruled) {
    const name = r.labels['alertname'] ?? ''
    const known = byName.get(name)
    if (known) known.push(r)
    else byName.set(name, [r])
  }
  return (alert: ShownAlert): Ruled | undefined =>
    byName
      .get(alert.labels['alertname'] ?? '')
      ?.find((r) => Object.entries(r.labels).every(([k, v]) => alert.labels[k] === v))
}

const rank: Readonly<Partial<Record<State, number>>> = { crit: 0, warn: 1 }
const worstFirst = (a: AlertLine, b: AlertLine): number =>
  (rank[a.state] ?? 2) - (rank[b.state] ?? 2) || a.since - b.since || (a.id < b.id ? -1 : 1)

const linesFrom = (doors: ConsoleDoors, groups: readonly RuleGroupState[], open: readonly Escalation[]) => {
  const ruled = ruledAlerts(groups)
  const find = finder(ruled)
  const escalationOf = new Map<string, Escalation>()
  for (const e of open) for (const a of e.notification.alerts) escalationOf.set(a.fingerprint, e)
  const seen = new Set<Ruled>()
  const routed = doors.alerts.alerts({}).map((a) => {
    const known = find(a)
    if (known) seen.add(known)
    const { silencedBy, inhibitedBy, mutedBy } = a.status
    const phase =
      silencedBy.length > 0
        ? 'silenced'
        : inhibitedBy.length > 0 || mutedBy.length > 0
          ? 'inhibited'
          : 'firing'
    return line(a.labels, a.annotations, a.startsAt, phase, {
      ruled: known,
      silencedBy,
      receivers: a.receivers,
      escalation: escalationOf.get(a.fingerprint) ?? null,
    })
  })
  // What a rule just decided and has not been routed yet, and what still waits for its time.
  const fresh = ruled
    .filter((r) => !seen.has(r) && r.alert.state !== 'inactive')
    .map((r) =>
      line(
        r.labels,
        r.alert.annotations,
        r.alert.activeAt,
        r.alert.state === 'firing' ? 'firing' : 'pending',
        {
          ruled: r,
        },
      ),
    )
  return [...routed, ...fresh].sort(worstFirst)
}

/** Everything here comes from memory; it is cheap enough for each page. */
export const takePicture = (doors: ConsoleDoors): Picture => {
  const groups = doors.ruleGroups()
  const escalations = doors.oncall.open()
  const lines = linesFrom(doors, groups, escalations)
  const rules = groups.flatMap((g) => g.rules)
  const looked = rules.map((r) => r.lastEvaluationAt).filter((at): at is Instant => at !== null)
  return {
    now: doors.clock.now(),
    firing: lines.filter((l) => l.phase === 'firing'),
    pending: lines.filter((l) => l.phase === 'pending'),
    quiet: lines.filter((l) => l.phase === 'silenced' || l.phase === 'inhibited'),
    groups,
    rules: rules.length,
    broken: rules.filter((r) => r.health === 'err').length,
    lookedAt: looked.length > 0 ? looked.reduce((a, b) => instant(Math.max(a, b))) : null,
    escalations,
    held: doors.decisions(200).filter((d) => d.approvable).length,
    actions: doors.actions(),
    newestAt: doors.newestAt(),
    storeError: doors.keep().storeError,
  }
}
