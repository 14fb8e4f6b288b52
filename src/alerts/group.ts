// Alerts gathered into groups: the group's labels, its key, and what its alerts have in common.
import { hash64 } from '../lib/hash.ts'
import type { Instant } from '../lib/time.ts'
import { type Alert, fingerprint, isResolved, type NotifiedAlert } from '../model/alert.ts'
import type { LabelSet } from './matchers.ts'
import type { Route } from './route.ts'

/** The labels a route groups by, as this alert has them; a label it has not stays out. */
export const groupLabels = (route: Pick<Route, 'groupBy'>, labels: LabelSet): LabelSet => {
  if (route.groupBy === 'all') return { ...labels }
  const out: Record<string, string> = {}
  for (const name of route.groupBy) if (Object.hasOwn(labels, name)) out[name] = labels[name]!
  return out
}

/** `{a="b", c="d"}`, sorted by name: the second half of a group key. */
export const printLabelSet = (labels: LabelSet): string =>
  `{${Object.keys(labels)
    .sort()
    .map((name) => `${name}=${JSON.stringify(labels[name])}`)
    .join(', ')}}`

/** A group's key as Alertmanager prints it: `{}/{team="a"}:{alertname="Hot"}`. The same after a restart. */
export const groupKey = (route: Pick<Route, 'key'>, labels: LabelSet): string =>
  `${route.key}:${printLabelSet(labels)}`

/** Names a group among all groups of all routes: two routes may print the same key. */
export const groupId = (route: Pick<Route, 'id'>, labels: LabelSet): string =>
  `${hash64([route.id])}${fingerprint(labels)}`

const common = (sets: readonly LabelSet[]): LabelSet => {
  const [first, ...rest] = sets
  if (!first) return {}
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(first))
    if (rest.every((s) => s[name] === value)) out[name] = value
  return out
}

export const commonLabels = (alerts: readonly Alert[]): LabelSet => common(alerts.map((a) => a.labels))
export const commonAnnotations = (alerts: readonly Alert[]): LabelSet =>
  common(alerts.map((a) => a.annotations))

/**
 * An alert as one notification shows it. While it fires its end is unknown to the receiver: `endsAt` 0 stands for that, as
 * the timeout in the alert itself only means "unless somebody says more".
 */
export const notified = (alert: Alert, now: Instant): NotifiedAlert => {
  const resolved = isResolved(alert, now)
  return {
    ...alert,
    endsAt: resolved ? alert.endsAt : (0 as Instant),
    status: resolved ? 'resolved' : 'firing',
    fingerprint: fingerprint(alert.labels),
  }
}

/** The order in which a notification lists them: by the `job` and `instance` labels, then by all labels. */
export const byLabels = (a: Alert, b: Alert): number => {
  for (const name of ['job', 'instance']) {
    const [x = '', y = ''] = [a.labels[name], b.labels[name]]
    if (x !== y) return x < y ? -1 : 1
  }
  const [x, y] = [printLabelSet(a.labels), printLabelSet(b.labels)]
  return x < y ? -1 : x > y ? 1 : 0
}
