// Whether a receiver must be told about a group, given what it was told last.
import type { Duration, Instant } from '../lib/time.ts'
import type { NotifyReason } from '../model/alert.ts'

/** What one receiver's integration was last told about one group. */
export interface Told {
  readonly at: Instant
  /** Fingerprints. */
  readonly firing: readonly string[]
  readonly resolved: readonly string[]
}

export interface Standing {
  readonly firing: readonly string[]
  readonly resolved: readonly string[]
}

const within = (part: readonly string[], whole: readonly string[]): boolean => {
  const set = new Set(whole)
  return part.every((f) => set.has(f))
}

/**
 * The reason to notify, or null for none. The rules are Alertmanager's: a group never told of is told once it fires; then new
 * firing alerts, all resolved (also where resolves are not sent: it clears the record), newly resolved ones, and the repeat.
 */
export const needsUpdate = (
  told: Told | null,
  now: Standing,
  options: { sendResolved: boolean; repeatInterval: Duration; at: Instant },
): NotifyReason | null => {
  if (!told) return now.firing.length > 0 ? 'first notification' : null
  if (!within(now.firing, told.firing))
    return told.firing.length > 0 ? 'new alerts in group' : 'first notification'
  if (now.firing.length === 0) return told.firing.length > 0 ? 'all alerts resolved' : null
  if (options.sendResolved && !within(now.resolved, told.resolved)) return 'some alerts resolved'
  return options.at - told.at >= options.repeatInterval ? 'repeat interval elapsed' : null
}
