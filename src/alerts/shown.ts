// Alerts and groups as the API shows them, filtered, each with what holds it back.
import { anchored } from '../lib/regex.ts'
import type { Instant } from '../lib/time.ts'
import { isResolved } from '../model/alert.ts'
import type { AlertFilter, AlertStatus, ShownAlert, ShownGroup } from '../model/ports/alert-manager.ts'
import type { Group } from './dispatcher.ts'
import { printLabelSet } from './group.ts'
import type { Inhibitor } from './inhibit.ts'
import { type LabelSet, matcherTest, parseMatchers } from './matchers.ts'
import type { HeldAlert } from './merge.ts'
import { mutedBy, type NamedInterval } from './mute.ts'
import { type Route, routesFor } from './route.ts'

export interface View {
  readonly now: Instant
  readonly alerts: ReadonlyMap<string, HeldAlert>
  readonly groups: ReadonlyMap<string, Group>
  readonly route: Route
  readonly inhibitor: Inhibitor
  readonly intervals: ReadonlyMap<string, NamedInterval>
  readonly silencedBy: (labels: LabelSet) => string[]
}

const statusOf = (view: View, labels: LabelSet, muting: readonly string[]): AlertStatus => {
  const silencedBy = view.silencedBy(labels)
  const inhibitedBy = view.inhibitor.inhibitedBy(labels, view.now)
  const suppressed = silencedBy.length + inhibitedBy.length + muting.length > 0
  return { state: suppressed ? 'suppressed' : 'active', silencedBy, inhibitedBy, mutedBy: muting }
}

const wanted = (filter: AlertFilter): ((alert: ShownAlert) => boolean) => {
  const test = matcherTest((filter.matchers ?? []).flatMap((text) => parseMatchers(text)))
  return ({ labels, status }) => {
    if (!test(labels)) return false
    if (filter.active === false && status.state === 'active') return false
    if (filter.silenced === false && status.silencedBy.length > 0) return false
    if (filter.inhibited === false && status.inhibitedBy.length > 0) return false
    return !(filter.muted === false && status.mutedBy.length > 0)
  }
}

const receiverTest = (filter: AlertFilter): ((name: string) => boolean) =>
  filter.receiver ? anchored(filter.receiver) : () => true

const shown = (view: View, f: string, alert: HeldAlert, muting: readonly string[] | null): ShownAlert => {
  const { timeout: _, ...plain } = alert
  const routes = routesFor(view.route, alert.labels)
  const receivers = [...new Set(routes.map((r) => r.receiver))]
  // An alert on several routes is muted only where all of them are.
  const all = routes.map((r) => mutedBy(r, view.intervals, view.now))
  const mutes = muting ?? (all.every((m) => m.length > 0) ? [...new Set(all.flat())] : [])
  return { ...plain, fingerprint: f, receivers, status: statusOf(view, alert.labels, mutes) }
}

const byFingerprint = (a: ShownAlert, b: ShownAlert): number => (a.fingerprint < b.fingerprint ? -1 : 1)

export const showAlerts = (view: View, filter: AlertFilter): ShownAlert[] => {
  const test = wanted(filter)
  const receiver = receiverTest(filter)
  return [...view.alerts]
    .filter(([, alert]) => !isResolved(alert, view.now))
    .map(([f, alert]) => shown(view, f, alert, null))
    .filter((alert) => alert.receivers.some(receiver) && test(alert))
    .sort(byFingerprint)
}

export const showGroups = (view: View, filter: AlertFilter): ShownGroup[] => {
  const test = wanted(filter)
  const receiver = receiverTest(filter)
  const groups: ShownGroup[] = []
  for (const group of view.groups.values()) {
    if (!receiver(group.route.receiver)) continue
    const muting = mutedBy(group.route, view.intervals, view.now)
    const alerts = [...group.alerts]
      .filter(([, alert]) => !isResolved(alert, view.now))
      .map(([f, alert]) => shown(view, f, alert, muting))
      .filter(test)
      .sort(byFingerprint)
    if (alerts.length > 0) groups.push({ labels: group.labels, receiver: group.route.receiver, alerts })
  }
  const text = (g: ShownGroup): string => `${printLabelSet(g.labels)} ${g.receiver}`
  return groups.sort((a, b) => (text(a) < text(b) ? -1 : 1))
}
