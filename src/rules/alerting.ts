// The life of an alert, pure: pending, firing, kept firing, resolved; what is due to be sent; what is written as series.
import { type Duration, duration, type Instant, instant, plus } from '../lib/time.ts'
import { type Labels, withLabels } from '../model/labels.ts'

export interface AlertEntry {
  /** With `alertname`; fixed for the alert's life. */
  readonly labels: Labels
  readonly annotations: Readonly<Record<string, string>>
  readonly state: 'pending' | 'firing' | 'inactive'
  readonly value: number
  readonly activeAt: Instant
  readonly firedAt: Instant | null
  readonly resolvedAt: Instant | null
  readonly keepFiringSinceAt: Instant | null
  readonly lastSentAt: Instant | null
}
/** Alerts by the key of their labels. */
export type AlertTable = ReadonlyMap<string, AlertEntry>

/** One element of the expression's result under its alert's labels. */
export interface Match {
  readonly key: string
  readonly labels: Labels
  readonly annotations: Readonly<Record<string, string>>
  readonly value: number
}

export interface AlertTiming {
  readonly for: Duration
  readonly keepFiringFor: Duration
}

/** How long a resolved alert is remembered and sent again. */
const resolvedRetention = duration(15 * 60_000)
/** An alert that goes on is sent again after this. */
const resendDelay = duration(60_000)

const born = (match: Match, now: Instant): AlertEntry => ({
  labels: match.labels,
  annotations: match.annotations,
  state: 'pending',
  value: match.value,
  activeAt: now,
  firedAt: null,
  resolvedAt: null,
  keepFiringSinceAt: null,
  lastSentAt: null,
})

/** Fires when it has been active for long enough, and falls back to pending when `for` was raised above its age. */
const aged = (entry: AlertEntry, timing: AlertTiming, now: Instant): AlertEntry => {
  const ripe = now - entry.activeAt >= timing.for
  if (entry.state === 'pending' && ripe) return { ...entry, state: 'firing', firedAt: now }
  // A clock that was set back makes nothing younger: only an age measured after it fired counts.
  if (entry.state === 'firing' && !ripe && now >= entry.firedAt!)
    return { ...entry, state: 'pending', firedAt: null }
  return entry
}

/** An alert whose element is gone from the result; null when it is forgotten. */
const absent = (entry: AlertEntry, timing: AlertTiming, now: Instant): AlertEntry | null => {
  if (entry.state === 'pending') return null
  if (entry.state === 'inactive') return now - entry.resolvedAt! > resolvedRetention ? null : entry
  if (timing.keepFiringFor > 0) {
    const since = instant(Math.min(entry.keepFiringSinceAt ?? now, now))
    if (now - since < timing.keepFiringFor) return aged({ ...entry, keepFiringSinceAt: since }, timing, now)
  }
  return { ...entry, state: 'inactive', resolvedAt: now }
}

/** The alerts after one evaluation that gave `matches`, at the evaluation's time. */
export const step = (
  table: AlertTable,
  matches: readonly Match[],
  timing: AlertTiming,
  now: Instant,
): AlertTable => {
  const next = new Map<string, AlertEntry>()
  const found = new Map(matches.map((m) => [m.key, m]))
  for (const [key, entry] of table) {
    if (found.has(key)) continue
    const left = absent(entry, timing, now)
    if (left) next.set(key, left)
  }
  for (const match of matches) {
    const known = table.get(match.key)
    const entry =
      known && known.state !== 'inactive'
        ? {
            ...known,
            value: match.value,
            annotations: match.annotations,
            keepFiringSinceAt: null,
            // By a clock that was set back it has not begun yet: it waits from now on, and not for hours more.
            activeAt: known.state === 'pending' ? instant(Math.min(known.activeAt, now)) : known.activeAt,
          }
        : born(match, now)
    next.set(match.key, aged(entry, timing, now))
  }
  return next
}

/** Alerts that count for a group's limit: pending and firing ones. */
export const activeCount = (table: AlertTable): number => {
  let n = 0
  for (const entry of table.values()) if (entry.state !== 'inactive') n++
  return n
}

/** Keys of alerts that are due to be sent now. Pending ones never are; a resolved one is due at once, then like one that goes on. A time of
 * sending that lies ahead means that the clock was set back: due as well. */
export const due = (table: AlertTable, now: Instant): string[] => {
  const keys: string[] = []
  for (const [key, entry] of table) {
    if (entry.state === 'pending') continue
    const sentAt = entry.lastSentAt ?? Number.NEGATIVE_INFINITY
    if ((entry.resolvedAt ?? Number.NEGATIVE_INFINITY) > sentAt || sentAt + resendDelay < now || sentAt > now)
      keys.push(key)
  }
  return keys
}

export const markSent = (table: AlertTable, keys: readonly string[], now: Instant): AlertTable => {
  const next = new Map(table)
  for (const key of keys) {
    const entry = next.get(key)
    if (entry) next.set(key, { ...entry, lastSentAt: now })
  }
  return next
}

/** Until when a firing alert counts as firing if nothing more is heard: room for some failed evaluations or sends. */
export const validUntil = (now: Instant, interval: Duration): Instant =>
  plus(now, 4 * Math.max(interval, resendDelay))

/** ALERTS and ALERTS_FOR_STATE of every pending or firing alert. */
export const alertSeries = (table: AlertTable): { labels: Labels; value: number }[] => {
  const out: { labels: Labels; value: number }[] = []
  for (const entry of table.values()) {
    if (entry.state === 'inactive') continue
    out.push({ labels: withLabels(entry.labels, { __name__: 'ALERTS', alertstate: entry.state }), value: 1 })
    out.push({
      labels: withLabels(entry.labels, { __name__: 'ALERTS_FOR_STATE' }),
      value: Math.floor(entry.activeAt / 1000),
    })
  }
  return out
}

/** Whether anything but values and annotations differs: what a restart must find again. */
export const sameState = (a: AlertTable, b: AlertTable): boolean => {
  if (a.size !== b.size) return false
  for (const [key, x] of a) {
    const y = b.get(key)
    if (
      !y ||
      x.state !== y.state ||
      x.activeAt !== y.activeAt ||
      x.firedAt !== y.firedAt ||
      x.resolvedAt !== y.resolvedAt ||
      x.keepFiringSinceAt !== y.keepFiringSinceAt ||
      x.lastSentAt !== y.lastSentAt
    )
      return false
  }
  return true
}

export const worstState = (table: AlertTable): 'inactive' | 'pending' | 'firing' => {
  let worst: 'inactive' | 'pending' = 'inactive'
  for (const entry of table.values()) {
    if (entry.state === 'firing') return 'firing'
    if (entry.state === 'pending') worst = 'pending'
  }
  return worst
}

/** After a pause such as a restart: time not watched does not count towards `for`, beyond the evaluation that was due anyway. Pending alerts
 * older than `tolerance` are forgotten; firing and resolved ones stay, so that their end is still told. */
export const resumed = (
  table: AlertTable,
  lastEvaluationAt: Instant,
  now: Instant,
  interval: Duration,
  tolerance: Duration,
): AlertTable => {
  const pause = now - lastEvaluationAt
  if (pause <= 2 * interval) return table
  const next = new Map<string, AlertEntry>()
  for (const [key, entry] of table) {
    if (entry.state !== 'pending') next.set(key, entry)
    else if (pause <= tolerance) next.set(key, { ...entry, activeAt: plus(entry.activeAt, pause - interval) })
  }
  return next
}

/** An alert's time of becoming active, from its last ALERTS_FOR_STATE sample before a pause, as Prometheus restores it. */
export const restoredActiveAt = (
  hold: Duration,
  activeAt: Instant,
  lastSampleAt: Instant,
  now: Instant,
  grace: Duration,
): Instant => {
  const remaining = hold - (lastSampleAt - activeAt)
  if (remaining <= 0) return activeAt
  if (remaining < grace) return plus(now, grace - hold)
  return plus(activeAt, now - lastSampleAt)
}
