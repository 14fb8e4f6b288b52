// Calendar periods in a time zone: the day, month or year that a moment lies in.
import { type Instant, instant } from './time.ts'

export type PeriodKind = 'daily' | 'monthly' | 'annual'

export interface Period {
  readonly startAt: Instant
  /** Exclusive: the start of the next one. */
  readonly endAt: Instant
  /** `2026-11-23`, `2026-11`, `2026`. */
  readonly label: string
}

/** Whether the zone is known here (`Europe/Berlin`, `UTC`). */
export const isTimeZone = (zone: string): boolean => {
  try {
    Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(zone)
    return true
  } catch {
    return false
  }
}

const span = { daily: { days: 1 }, monthly: { months: 1 }, annual: { years: 1 } } as const

/** The period around a moment, by the wall clock of the zone: a day may have 23 or 25 hours. Throws RangeError on an unknown zone. */
export const periodAround = (kind: PeriodKind, at: Instant, zone: string): Period => {
  const now = Temporal.Instant.fromEpochMilliseconds(Math.floor(at)).toZonedDateTimeISO(zone).toPlainDate()
  const first =
    kind === 'daily' ? now : kind === 'monthly' ? now.with({ day: 1 }) : now.with({ month: 1, day: 1 })
  const midnight = (date: Temporal.PlainDate): Instant =>
    instant(date.toZonedDateTime(zone).epochMilliseconds)
  const digits = { daily: 10, monthly: 7, annual: 4 }[kind]
  return {
    startAt: midnight(first),
    endAt: midnight(first.add(span[kind])),
    label: first.toString().slice(0, digits),
  }
}
