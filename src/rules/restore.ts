// Brings back since when alerts were active from their ALERTS_FOR_STATE series, when no kept state knows them.
import { type Duration, duration, type Instant, instant, plus } from '../lib/time.ts'
import { type Labels, labelsKey, withLabels, withoutName } from '../model/labels.ts'
import { type AlertTable, restoredActiveAt } from './alerting.ts'
import type { AskInstant } from './query-gate.ts'
import type { AlertingRule } from './rule-file.ts'

export interface RestoreDeps {
  readonly ask: AskInstant
  readonly interval: Duration
  /** How far back a state still counts. */
  readonly tolerance: Duration
  /** Least time between restoring and firing of an alert that had not fired. */
  readonly grace: Duration
}

interface LastSample {
  readonly at: Instant
  readonly value: number
}

const selector = (rule: AlertingRule): string => `ALERTS_FOR_STATE{alertname=${JSON.stringify(rule.name)}}`

const lastSamples = async (
  rule: AlertingRule,
  { ask, tolerance }: RestoreDeps,
  now: Instant,
  signal: AbortSignal,
): Promise<Map<string, LastSample>> => {
  const range = `${selector(rule)}[${Math.round(tolerance / 1000)}s]`
  const { value } = await ask(range, now, signal)
  const found = new Map<string, LastSample>()
  if (value.kind !== 'matrix') return found
  for (const [i, labels] of value.labels.entries()) {
    const last = value.end[i]! - 1
    if (last < value.start[i]!) continue
    found.set(labelsKey(withoutName(labels)), { at: instant(value.at[last]!), value: value.value[last]! })
  }
  return found
}

/** Keys of series that had not ended by a stale marker one evaluation after their last sample. */
const notEnded = async (
  rule: AlertingRule,
  samples: ReadonlyMap<string, LastSample>,
  { ask, interval }: RestoreDeps,
  signal: AbortSignal,
): Promise<Set<string>> => {
  const alive = new Set<string>()
  const look = duration(Math.min(2 * interval, 240_000))
  for (const lastAt of new Set([...samples.values()].map((s) => s.at))) {
    const { value } = await ask(selector(rule), plus(lastAt, look), signal)
    if (value.kind !== 'vector') continue
    for (const labels of value.labels as readonly Labels[]) alive.add(labelsKey(withoutName(labels)))
  }
  return alive
}

/** The table with restored times; it is the same one when nothing is known. Rejects when a read fails. */
export const restoreTable = async (
  rule: AlertingRule,
  table: AlertTable,
  deps: RestoreDeps,
  now: Instant,
  signal: AbortSignal,
): Promise<AlertTable> => {
  if (table.size === 0 || rule.for < deps.grace) return table
  const samples = await lastSamples(rule, deps, now, signal)
  if (samples.size === 0) return table
  const alive = await notEnded(rule, samples, deps, signal)
  const next = new Map(table)
  for (const [key, entry] of table) {
    const series = labelsKey(withLabels(entry.labels, {}))
    const last = samples.get(series)
    if (!last || !alive.has(series) || entry.state === 'inactive') continue
    const activeAt = restoredActiveAt(rule.for, instant(last.value * 1000), last.at, now, deps.grace)
    next.set(key, { ...entry, activeAt })
  }
  return next
}
