// Two reports about one alert become one.
import { type Instant, instant } from '../lib/time.ts'
import { type Alert, isResolved } from '../model/alert.ts'

export interface HeldAlert extends Alert {
  readonly updatedAt: Instant
  /** Its end was not given by the sender: it is the resolve timeout. */
  readonly timeout: boolean
  /** It was posted, and is no rule's. */
  readonly outside?: boolean
}

/**
 * What holds after `next` came in over `old`. Where the two overlap in time the earlier start stays; a resolve wins, two
 * resolves give the later end; and an end that a sender gave is not shortened by a mere timeout.
 */
export const mergeAlerts = (old: HeldAlert, next: HeldAlert, now: Instant): HeldAlert => {
  const overlaps =
    (next.endsAt > old.startsAt && next.endsAt < old.endsAt) ||
    (next.startsAt > old.startsAt && next.startsAt < old.endsAt)
  if (!overlaps) return next
  const startsAt = instant(Math.min(old.startsAt, next.startsAt))
  const keepOld = isResolved(next, now)
    ? isResolved(old, now) && old.endsAt > next.endsAt
    : old.endsAt > next.endsAt && !old.timeout
  return { ...next, startsAt, endsAt: keepOld ? old.endsAt : next.endsAt }
}
