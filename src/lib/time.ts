// Instants and durations in milliseconds, branded so that one is never passed for the other.

/** Milliseconds since the Unix epoch. A name of this type ends in `At`. */
export type Instant = number & { readonly __instant: true }
/** A length of time in milliseconds. */
export type Duration = number & { readonly __duration: true }

export const instant = (ms: number): Instant => ms as Instant
export const duration = (ms: number): Duration => ms as Duration
export const second = 1000 as Duration
export const minute = 60_000 as Duration
export const hour = 3_600_000 as Duration
export const day = 86_400_000 as Duration

export const plus = (at: Instant, by: number): Instant => (at + by) as Instant
/** RFC 3339 in UTC with milliseconds, as `new Date(at).toISOString()` writes it. */
export const iso = (at: Instant): string =>
  Temporal.Instant.fromEpochMilliseconds(Math.floor(at)).toString({ fractionalSecondDigits: 3 })
/** Milliseconds of an RFC 3339 text; throws RangeError when it is none. */
export const fromIso = (text: string): Instant => instant(Temporal.Instant.from(text).epochMilliseconds)

const units: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
}

/** Prometheus's duration syntax (`1h30m`, `90s`, `0`): units descending, each at most once. Null when it is none. */
export const parseDuration = (text: string): Duration | null => {
  if (text === '0') return duration(0)
  const m = /^(?:(\d+)y)?(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/.exec(text)
  if (!m || text === '') return null
  const names = ['y', 'w', 'd', 'h', 'm', 's', 'ms']
  const ms = names.reduce((sum, unit, i) => sum + Number(m[i + 1] ?? 0) * (units[unit] ?? 0), 0)
  return Number.isSafeInteger(ms) ? duration(ms) : null
}

/** The shortest text that `parseDuration` reads back to the same value (`5m`, `1h30m`, `0s`). */
export const formatDuration = (length: Duration): string => {
  if (length === 0) return '0s'
  let rest = Math.abs(Math.round(length))
  let text = length < 0 ? '-' : ''
  for (const unit of ['y', 'w', 'd', 'h', 'm', 's', 'ms']) {
    const size = units[unit] ?? 1
    // Years and weeks only where they say the whole, as Prometheus prints them.
    if ((unit === 'y' || unit === 'w') && rest % size !== 0) continue
    const n = Math.floor(rest / size)
    if (n > 0) text += `${n}${unit}`
    rest -= n * size
  }
  return text
}
