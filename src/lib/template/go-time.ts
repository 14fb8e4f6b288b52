// A moment as Go's time.Time shows itself to templates: a record of methods.
import { type Instant, instant } from '../time.ts'

const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]
const days = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday']
const layoutParts =
  /January|Jan|Monday|Mon|MST|2006|002|01|02|03|04|05|06|15|PM|pm|Z07:00|Z0700|Z07|-07:00|-0700|-07|_2|[.,]0+(?!\d)|[.,]9+(?!\d)|1|2|3|4|5/g

const two = (n: number): string => String(n).padStart(2, '0')

const zoneText = (zoned: Temporal.ZonedDateTime, part: string): string => {
  const minutes = Math.round(zoned.offsetNanoseconds / 60e9)
  if (part.startsWith('Z') && minutes === 0) return 'Z'
  const size = Math.abs(minutes)
  const sign = minutes < 0 ? '-' : '+'
  const form = part.slice(1)
  if (form === '07') return sign + two(Math.floor(size / 60))
  return `${sign}${two(Math.floor(size / 60))}${form === '07:00' ? ':' : ''}${two(size % 60)}`
}

const abbreviation = (zoned: Temporal.ZonedDateTime): string => {
  if (zoned.timeZoneId === 'UTC') return 'UTC'
  const parts = new Intl.DateTimeFormat('en-US', { timeZone: zoned.timeZoneId, timeZoneName: 'short' })
  return parts.formatToParts(zoned.epochMilliseconds).find((p) => p.type === 'timeZoneName')?.value ?? 'UTC'
}

const partText = (t: Temporal.ZonedDateTime, part: string): string => {
  const hour12 = t.hour % 12 === 0 ? 12 : t.hour % 12
  const plain: Record<string, () => string> = {
    January: () => months[t.month - 1]!,
    Jan: () => months[t.month - 1]!.slice(0, 3),
    Monday: () => days[t.dayOfWeek - 1]!,
    Mon: () => days[t.dayOfWeek - 1]!.slice(0, 3),
    MST: () => abbreviation(t),
    2006: () => String(t.year).padStart(4, '0'),
    '06': () => two(t.year % 100),
    '002': () => String(t.dayOfYear).padStart(3, '0'),
    '01': () => two(t.month),
    1: () => String(t.month),
    '02': () => two(t.day),
    _2: () => String(t.day).padStart(2, ' '),
    2: () => String(t.day),
    15: () => two(t.hour),
    '03': () => two(hour12),
    3: () => String(hour12),
    '04': () => two(t.minute),
    4: () => String(t.minute),
    '05': () => two(t.second),
    5: () => String(t.second),
    PM: () => (t.hour < 12 ? 'AM' : 'PM'),
    pm: () => (t.hour < 12 ? 'am' : 'pm'),
  }
  const known = plain[part]
  if (known) return known()
  if (/^[Z-]/.test(part)) return zoneText(t, part)
  const nanoseconds = String(t.millisecond * 1e6 + t.microsecond * 1e3 + t.nanosecond).padStart(9, '0')
  const cut = nanoseconds.slice(0, part.length - 1)
  if (part[1] === '0') return part[0] + cut
  const kept = cut.replace(/0+$/, '')
  return kept === '' ? '' : part[0] + kept
}

/** Go's Time.Format for a moment in a time zone (UTC unless told). */
export const formatGoTime = (at: Instant, layout: string, zone = 'UTC'): string => {
  const zoned = Temporal.Instant.fromEpochMilliseconds(Math.floor(at)).toZonedDateTimeISO(zone)
  return layout.replace(layoutParts, (part) => partText(zoned, part))
}

export interface GoTime {
  readonly [method: string]: (...args: never[]) => unknown
}

/** Nanoseconds since 1970 as Go's Duration prints itself: `1h2m3.5s`. */
export const goDurationText = (ms: number): string => {
  if (ms === 0) return '0s'
  const size = Math.abs(ms)
  const sign = ms < 0 ? '-' : ''
  if (size < 1000) return `${sign}${size}ms`
  const hours = Math.floor(size / 3_600_000)
  const minutes = Math.floor(size / 60_000) % 60
  const seconds = Number(((size % 60_000) / 1000).toFixed(3))
  if (hours > 0) return `${sign}${hours}h${minutes}m${seconds}s`
  return minutes > 0 ? `${sign}${minutes}m${seconds}s` : `${sign}${seconds}s`
}

const goDuration = (ms: number): GoTime => ({
  String: () => goDurationText(ms),
  Seconds: () => ms / 1000,
  Minutes: () => ms / 60_000,
  Hours: () => ms / 3_600_000,
  Milliseconds: () => BigInt(Math.floor(ms)),
})

/** Milliseconds of a GoTime or of a duration made by `Sub`, through the methods they have. */
const msOf = (value: GoTime): number => {
  const { UnixMilli, Milliseconds } = value
  const read = (UnixMilli ?? Milliseconds) as (() => bigint) | undefined
  if (!read) throw new Error('not a time')
  return Number(read())
}

/** A moment with the methods that templates of Prometheus and Alertmanager call on time.Time. */
export const goTime = (at: Instant, zone = 'UTC'): GoTime => {
  const zoned = Temporal.Instant.fromEpochMilliseconds(Math.floor(at)).toZonedDateTimeISO(zone)
  return {
    String: () => formatGoTime(at, '2006-01-02 15:04:05.999999999 -0700 MST', zone),
    Format: (layout: string) => formatGoTime(at, layout, zone),
    Unix: () => BigInt(Math.floor(at / 1000)),
    UnixMilli: () => BigInt(Math.floor(at)),
    UnixNano: () => BigInt(Math.floor(at)) * 1_000_000n,
    UTC: () => goTime(at),
    Local: () => goTime(at, zone),
    In: (other: string) => goTime(at, other),
    Year: () => BigInt(zoned.year),
    Month: () => months[zoned.month - 1],
    Day: () => BigInt(zoned.day),
    Hour: () => BigInt(zoned.hour),
    Minute: () => BigInt(zoned.minute),
    Second: () => BigInt(zoned.second),
    Weekday: () => days[zoned.dayOfWeek - 1],
    YearDay: () => BigInt(zoned.dayOfYear),
    IsZero: () => at === -62_135_596_800_000,
    Before: (other: GoTime) => at < msOf(other),
    After: (other: GoTime) => at > msOf(other),
    Equal: (other: GoTime) => at === msOf(other),
    Sub: (other: GoTime) => goDuration(at - msOf(other)),
    Add: (length: GoTime | number) =>
      goTime(instant(at + (typeof length === 'number' ? length / 1e6 : msOf(length))), zone),
  }
}
