// How Airboss writes numbers, money, durations and times for people; the console's wording rules in one place.
import type { Instant } from '../lib/time.ts'

const thin = '\u202f'
/** What stands where a value is not known: never a zero. */
export const unknown = '-'

const grouped = (n: number): string => n.toLocaleString('en-US', { maximumFractionDigits: 0 })
const significant = (n: number): string => {
  const a = Math.abs(n)
  return a >= 100 ? n.toFixed(0) : a >= 10 ? n.toFixed(1) : n.toFixed(2)
}

/** Three significant digits, a suffix from ten thousand up: 840, 1,284, 12.4 k, 3.10 M; 0.0042 stays readable. */
export const count = (n: number): string => {
  const a = Math.abs(n)
  if (!Number.isFinite(n)) return Number.isNaN(n) ? unknown : n > 0 ? '+∞' : '−∞'
  if (a >= 1e12) return n.toExponential(2)
  if (a >= 1e9) return `${significant(n / 1e9)}${thin}G`
  if (a >= 1e6) return `${significant(n / 1e6)}${thin}M`
  if (a >= 1e4) return `${significant(n / 1e3)}${thin}k`
  if (a >= 100 || Number.isInteger(n)) return grouped(n)
  return a >= 1 || a === 0 ? trimZeros(significant(n)) : String(Number(n.toPrecision(3)))
}
const trimZeros = (text: string): string => text.replace(/\.?0+$/, '')

/** A ratio as percent; near one it keeps two digits, since 99.9 and 99.99 are different nights. */
export const percent = (ratio: number): string =>
  Number.isFinite(ratio) ? `${(ratio * 100).toFixed(ratio > 0.99 && ratio < 1 ? 2 : 1)}${thin}%` : unknown

/** Four decimals under $1, cents under $100, none above. */
export const usd = (n: number): string => {
  if (!Number.isFinite(n)) return unknown
  const a = Math.abs(n)
  const sign = n < 0 ? '−' : ''
  if (a >= 100) return `${sign}$${grouped(a)}`
  return a >= 1 || a === 0 ? `${sign}$${a.toFixed(2)}` : `${sign}$${a.toFixed(4)}`
}

const binary = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']
export const bytes = (n: number): string => {
  if (!Number.isFinite(n)) return unknown
  const power = Math.min(binary.length - 1, Math.max(0, Math.floor(Math.log2(Math.max(Math.abs(n), 1)) / 10)))
  return `${power === 0 ? grouped(n) : significant(n / 1024 ** power)}${thin}${binary[power]}`
}

export const seconds = (s: number): string => {
  if (!Number.isFinite(s)) return unknown
  if (s < 0.001 && s > 0) return `${(s * 1e6).toFixed(0)}${thin}µs`
  if (s < 1) return `${Math.round(s * 1000)}${thin}ms`
  return s < 60 ? `${s.toFixed(s < 10 ? 1 : 0)}${thin}s` : length(s * 1000)
}

/** Two units at most, the larger first: 4 s, 14 min, 1 h 22 min, 3 d 4 h. */
export const length = (ms: number): string => {
  const s = Math.round(ms / 1000)
  if (s < 60) return `${s}${thin}s`
  const m = Math.floor(s / 60)
  if (m < 10 && s % 60) return `${m}${thin}min ${s % 60}${thin}s`
  if (m < 60) return `${m}${thin}min`
  const h = Math.floor(m / 60)
  if (h < 24) return m % 60 ? `${h}${thin}h ${m % 60}${thin}min` : `${h}${thin}h`
  const d = Math.floor(h / 24)
  return h % 24 && d < 14 ? `${d}${thin}d ${h % 24}${thin}h` : `${d}${thin}d`
}

export const ago = (at: Instant, now: Instant): string => {
  if (at > now) return `in ${length(at - now)}`
  return now - at < 5000 ? 'just now' : `${length(now - at)} ago`
}

const formatter = (options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat =>
  new Intl.DateTimeFormat('en-GB', options)
const hourMinute = formatter({ hour: '2-digit', minute: '2-digit' })
const withSeconds = formatter({ hour: '2-digit', minute: '2-digit', second: '2-digit' })
const dayName = formatter({ weekday: 'short', day: 'numeric', month: 'short' })
export const clockText = (at: Instant): string => hourMinute.format(at)
export const clockSeconds = (at: Instant): string => withSeconds.format(at)
export const dayText = (at: Instant): string => dayName.format(at)

/** How a plot, a table or a sentence writes one metric's values. */
export type Unit = 'count' | 'ratio' | 'usd' | 'seconds' | 'bytes'
export const write: Readonly<Record<Unit, (n: number) => string>> = {
  count,
  ratio: percent,
  usd,
  seconds,
  bytes,
}

/** The unit that a Prometheus metric name or expression speaks of, by its suffix; rates of bytes stay bytes. */
export const unitOf = (expr: string): Unit => {
  if (
    /histogram_quantile|_seconds(?!_(count|total))\b/.test(expr) &&
    !/_seconds_count|rate\([^)]*_seconds_total/.test(expr)
  )
    return 'seconds'
  if (/_usd(_total)?\b/.test(expr)) return 'usd'
  if (/_bytes(_total)?\b/.test(expr)) return 'bytes'
  if (/_ratio\b/.test(expr)) return 'ratio'
  return 'count'
}
