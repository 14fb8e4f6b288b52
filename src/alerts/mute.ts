// Time intervals: when a route is muted or active, in the time zone the interval names.
import { z } from 'zod'
import { AppError } from '../lib/errors.ts'
import type { Instant } from '../lib/time.ts'

interface Range {
  readonly from: number
  readonly to: number
}

/** One set of conditions; all that are given must hold. */
export interface TimeInterval {
  /** Minutes of the day, the end excluded. */
  readonly times: readonly Range[]
  /** 0 = Sunday. */
  readonly weekdays: readonly Range[]
  /** 1 to 31, or −1 (the last) to −31. */
  readonly daysOfMonth: readonly Range[]
  readonly months: readonly Range[]
  readonly years: readonly Range[]
  readonly zone: string
}

export interface NamedInterval {
  readonly name: string
  readonly intervals: readonly TimeInterval[]
}

const days = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday']
const months = [
  'january',
  'february',
  'march',
  'april',
  'may',
  'june',
  'july',
  'august',
  'september',
  'october',
  'november',
  'december',
]

const range = (text: string, read: (part: string) => number, what: string): Range => {
  const parts = text.toLowerCase().split(':')
  if (parts.length > 2)
    throw new AppError('bad_data', `${JSON.stringify(text)}: a range of ${what} is from:to`)
  const from = read(parts[0]!.trim())
  const to = parts[1] === undefined ? from : read(parts[1].trim())
  return { from, to }
}

const integer = (text: string, low: number, high: number, what: string): number => {
  const n = /^-?\d+$/.test(text) ? Number(text) : Number.NaN
  if (!(n >= low && n <= high))
    throw new AppError('bad_data', `${JSON.stringify(text)} is not a ${what} (${low} to ${high})`)
  return n
}

const ordered = (r: Range, text: string): Range => {
  if (r.from > r.to) throw new AppError('bad_data', `${JSON.stringify(text)}: the start is after the end`)
  return r
}

const weekday = (text: string): Range =>
  ordered(
    range(
      text,
      (part) => {
        const n = days.indexOf(part)
        if (n < 0)
          throw new AppError('bad_data', `${JSON.stringify(part)} is not a weekday; write ${days.join(', ')}`)
        return n
      },
      'weekdays',
    ),
    text,
  )

const dayOfMonth = (text: string): Range => {
  const found = range(text, (part) => integer(part, -31, 31, 'day of the month'), 'days')
  const { from, to } = found
  if (from === 0 || to === 0) throw new AppError('bad_data', `${JSON.stringify(text)}: there is no day 0`)
  if (from < 0 && to > 0)
    throw new AppError(
      'bad_data',
      `${JSON.stringify(text)}: a range that starts from the end must end from the end`,
    )
  // Counted in the shortest and the longest month, so that a range that can never hold is refused.
  const [first, last] = [from < 0 ? 32 + from : from, to < 0 ? 32 + to : to]
  if (first > last) throw new AppError('bad_data', `${JSON.stringify(text)}: the start is after the end`)
  return found
}

const month = (text: string): Range =>
  ordered(
    range(
      text,
      (part) => (months.includes(part) ? months.indexOf(part) + 1 : integer(part, 1, 12, 'month')),
      'months',
    ),
    text,
  )

const year = (text: string): Range =>
  ordered(
    range(text, (part) => integer(part, 0, 9999, 'year'), 'years'),
    text,
  )

const minutes = (text: string): number => {
  const m = /^([01]\d|2[0-3]):([0-5]\d)$/.exec(text)
  if (text === '24:00') return 1440
  if (!m)
    throw new AppError(
      'bad_data',
      `${JSON.stringify(text)} is not a time of day; write it as 09:30, up to 24:00`,
    )
  return Number(m[1]) * 60 + Number(m[2])
}

const checked = <I, O>(schema: z.ZodType<I>, read: (input: I) => O) =>
  schema.transform((input, ctx): O => {
    try {
      return read(input)
    } catch (error) {
      ctx.addIssue(error instanceof Error ? error.message : String(error))
      return z.NEVER
    }
  })

const text = z.union([z.string(), z.number()]).transform(String)
const ranges = (read: (part: string) => Range) => z.array(checked(text, read)).default([])

const time = checked(z.strictObject({ start_time: z.string(), end_time: z.string() }), (t) => {
  const r = { from: minutes(t.start_time), to: minutes(t.end_time) }
  if (r.from >= r.to)
    throw new AppError('bad_data', 'start_time must be before end_time; write a night as two ranges')
  return r
})

const zone = checked(z.string(), (name) => {
  const wanted = name === 'Local' ? Intl.DateTimeFormat().resolvedOptions().timeZone : name
  try {
    new Intl.DateTimeFormat('en', { timeZone: wanted })
  } catch {
    throw new AppError(
      'bad_data',
      `${JSON.stringify(name)} is not a time zone; write it as Europe/Berlin, UTC or Local`,
    )
  }
  return wanted
})

const intervalSchema = z
  .strictObject({
    times: z.array(time).default([]),
    weekdays: ranges(weekday),
    days_of_month: ranges(dayOfMonth),
    months: ranges(month),
    years: ranges(year),
    location: zone.default('UTC'),
  })
  .transform(
    (i): TimeInterval => ({
      times: i.times,
      weekdays: i.weekdays,
      daysOfMonth: i.days_of_month,
      months: i.months,
      years: i.years,
      zone: i.location,
    }),
  )

/** `{ name, time_intervals: [...] }`, as Alertmanager writes it. */
export const namedIntervalSchema = z
  .strictObject({
    name: z.string().min(1, 'an interval needs a name'),
    time_intervals: z.array(intervalSchema).default([]),
  })
  .transform((i): NamedInterval => ({ name: i.name, intervals: i.time_intervals }))

const within = (list: readonly Range[], n: number): boolean =>
  list.length === 0 || list.some((r) => n >= r.from && n <= r.to)

const holds = (i: TimeInterval, at: Instant): boolean => {
  const local = Temporal.Instant.fromEpochMilliseconds(Math.floor(at)).toZonedDateTimeISO(i.zone)
  const minute = local.hour * 60 + local.minute
  if (i.times.length > 0 && !i.times.some((r) => minute >= r.from && minute < r.to)) return false
  const length = local.daysInMonth
  const day = (n: number): number => Math.min(Math.max(n < 0 ? length + 1 + n : n, 1), length)
  const dayHolds =
    i.daysOfMonth.length === 0 ||
    i.daysOfMonth.some((r) => {
      // 30:31 does not hold on the last day of February: a start past the month's end is never reached.
      if (r.from > length) return false
      return local.day >= day(r.from) && local.day <= day(r.to)
    })
  return (
    dayHolds &&
    within(i.weekdays, local.dayOfWeek % 7) &&
    within(i.months, local.month) &&
    within(i.years, local.year)
  )
}

/** Whether any of the interval's sets of conditions holds at this instant, read on the wall clock of its zone. */
export const intervalHolds = (named: NamedInterval, at: Instant): boolean =>
  named.intervals.some((i) => holds(i, at))

/** Names of the intervals that mute a route now: mute intervals that hold, or the active ones when none of them holds. */
export const mutedBy = (
  route: { readonly muteIntervals: readonly string[]; readonly activeIntervals: readonly string[] },
  intervals: ReadonlyMap<string, NamedInterval>,
  at: Instant,
): string[] => {
  const now = (name: string): boolean => {
    const named = intervals.get(name)
    return named !== undefined && intervalHolds(named, at)
  }
  const muting = route.muteIntervals.filter(now)
  if (route.activeIntervals.length > 0 && !route.activeIntervals.some(now))
    return [...muting, ...route.activeIntervals]
  return muting
}
