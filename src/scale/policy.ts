// Slows scaling down to what its rules allow: stabilisation windows, changes a period, and bounds.
import { type Instant, instant } from '../lib/time.ts'
import type { Behavior, ScalingRules } from './config.ts'

/** A recommendation that held from one moment to another. */
export interface Run {
  readonly fromAt: Instant
  readonly toAt: Instant
  readonly replicas: number
}
/** A change that was asked for: positive is up. */
export interface Change {
  readonly at: Instant
  readonly by: number
}

export interface Limits {
  readonly min: number
  readonly max: number
}

export type LimitedBy =
  | 'stabilization_up'
  | 'stabilization_down'
  | 'rate_up'
  | 'rate_down'
  | 'min'
  | 'max'
  | 'disabled_up'
  | 'disabled_down'

export interface Allowed {
  readonly replicas: number
  readonly limitedBy: LimitedBy | null
}

/**
 * Down goes to the highest recommendation of the scale-down window, up to the lowest of the scale-up window; `wanted` is one of each.
 */
export const stabilize = (
  current: number,
  wanted: number,
  runs: readonly Run[],
  behavior: Behavior,
  now: Instant,
): Allowed => {
  let lowest = wanted
  let highest = wanted
  for (const run of runs) {
    // By a clock that was set back it lies ahead: it ended at the latest now.
    const toAt = Math.min(run.toAt, now)
    if (toAt > now - behavior.scale_up.stabilization_window) lowest = Math.min(lowest, run.replicas)
    if (toAt > now - behavior.scale_down.stabilization_window) highest = Math.max(highest, run.replicas)
  }
  const replicas = Math.min(Math.max(current, lowest), highest)
  if (replicas === wanted) return { replicas, limitedBy: null }
  return { replicas, limitedBy: wanted > current ? 'stabilization_up' : 'stabilization_down' }
}

/** How many replicas there were when a period began: what was added since taken off, what was removed put back. */
const atStart = (current: number, changes: readonly Change[], sinceAt: number): number =>
  changes.reduce((n, change) => (change.at > sinceAt ? n - change.by : n), current)

const limit = (
  current: number,
  changes: readonly Change[],
  rules: ScalingRules,
  now: Instant,
  direction: 1 | -1,
): number => {
  const bounds = rules.policies.map((policy) => {
    const start = atStart(current, changes, now - policy.period)
    if (policy.type === 'Pods') return start + direction * policy.value
    const share = (start * policy.value) / 100
    // The number changed is rounded up, either way.
    return start + direction * Math.ceil(share - 1e-9)
  })
  // Max is the most change: highest when going up, lowest when going down.
  const highest = (rules.select_policy === 'Max') === (direction === 1)
  return highest ? Math.max(...bounds) : Math.min(...bounds)
}

/** What the rules allow of going from `current` to `wanted` now. The answer is within `limits` unless `current` is outside them. */
export const rateLimit = (
  current: number,
  wanted: number,
  changes: readonly Change[],
  behavior: Behavior,
  { min, max }: Limits,
  now: Instant,
): Allowed => {
  if (wanted > current) {
    if (behavior.scale_up.select_policy === 'Disabled') return { replicas: current, limitedBy: 'disabled_up' }
    const most = Math.max(limit(current, changes, behavior.scale_up, now, 1), current)
    if (wanted <= Math.min(most, max)) return { replicas: wanted, limitedBy: null }
    return most < max ? { replicas: most, limitedBy: 'rate_up' } : { replicas: max, limitedBy: 'max' }
  }
  if (wanted < current) {
    if (behavior.scale_down.select_policy === 'Disabled')
      return { replicas: current, limitedBy: 'disabled_down' }
    const least = Math.min(Math.max(limit(current, changes, behavior.scale_down, now, -1), 0), current)
    if (wanted >= Math.max(least, min)) return { replicas: wanted, limitedBy: null }
    return least > min ? { replicas: least, limitedBy: 'rate_down' } : { replicas: min, limitedBy: 'min' }
  }
  return { replicas: current, limitedBy: null }
}

/**
 * The whole way from what the metrics ask for to what is done. A `current` outside the bounds goes to the nearer bound at once, whatever the
 * metrics say; 0 with a minimum above 0 means that somebody switched it off, and it stays.
 */
export const decide = (input: {
  readonly current: number
  readonly wanted: number
  readonly runs: readonly Run[]
  readonly changes: readonly Change[]
  readonly behavior: Behavior
  readonly limits: Limits
  readonly now: Instant
}): Allowed => {
  const { current, wanted, runs, changes, behavior, limits, now } = input
  if (current === 0 && limits.min > 0) return { replicas: 0, limitedBy: null }
  if (current > limits.max) return { replicas: limits.max, limitedBy: 'max' }
  if (current < limits.min) return { replicas: limits.min, limitedBy: 'min' }
  const steady = stabilize(current, wanted, runs, behavior, now)
  const allowed = rateLimit(current, steady.replicas, changes, behavior, limits, now)
  return allowed.limitedBy ? allowed : { ...allowed, limitedBy: steady.limitedBy }
}

/** Adds a recommendation to the runs and forgets what no window reaches any more. */
export const remember = (
  runs: readonly Run[],
  replicas: number,
  behavior: Behavior,
  now: Instant,
): readonly Run[] => {
  const window = Math.max(behavior.scale_up.stabilization_window, behavior.scale_down.stabilization_window)
  const until = (at: Instant): Instant => instant(Math.min(at, now))
  const kept = runs
    .filter((r) => r.toAt > now - window)
    .map((r) => (r.toAt > now ? { ...r, fromAt: until(r.fromAt), toAt: now } : r))
  const last = kept.at(-1)
  if (last?.replicas === replicas) return [...kept.slice(0, -1), { ...last, toAt: now }]
  return [...kept, { fromAt: now, toAt: now, replicas }]
}

/** Without the changes that no policy's period reaches any more, and without those that a clock set back has put ahead. */
export const recentChanges = (
  changes: readonly Change[],
  behavior: Behavior,
  now: Instant,
): readonly Change[] => {
  const periods = [...behavior.scale_up.policies, ...behavior.scale_down.policies].map((p) => p.period)
  return changes.filter((c) => c.at > now - Math.max(...periods) && c.at <= now)
}
