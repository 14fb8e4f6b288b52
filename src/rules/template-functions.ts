// The functions that Prometheus gives to alert templates.
import { escapeQuery } from '../lib/template/builtins.ts'
import { formatFloat } from '../lib/template/float.ts'
import { goTime } from '../lib/template/go-time.ts'
import { sprintf } from '../lib/template/printf.ts'
import { textFunctions } from '../lib/template/text-functions.ts'
import { type Instant, instant, parseDuration } from '../lib/time.ts'

/** One element of a query's result as templates see it. */
export interface TemplateSample {
  readonly Labels: ReadonlyMap<string, string>
  readonly Value: number | string
}

export interface TemplateContext {
  readonly now: Instant
  readonly externalURL: string
  query(expr: string): Promise<readonly TemplateSample[]>
}

const short = (value: number): string => formatFloat(value, 'g', 4)

const numberOf = (value: unknown): number => {
  if (typeof value === 'number') return value
  if (typeof value === 'string') {
    const text = value.trim()
    if (/^[+-]?inf(inity)?$/i.test(text))
      return text.startsWith('-') ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY
    if (/^nan$/i.test(text)) return Number.NaN
    const number = Number(text)
    if (text !== '' && !Number.isNaN(number)) return number
  }
  throw new Error(`cannot read ${JSON.stringify(value) ?? 'no value'} as a number`)
}

const larger = ['k', 'M', 'G', 'T', 'P', 'E', 'Z', 'Y']
const smaller = ['m', 'u', 'n', 'p', 'f', 'a', 'z', 'y']

const scale = (
  value: number,
  prefixes: readonly string[],
  by: number,
  done: (size: number) => boolean,
): [number, string] => {
  let rest = value
  let prefix = ''
  for (const next of prefixes) {
    if (done(Math.abs(rest))) break
    prefix = next
    rest *= by
  }
  return [rest, prefix]
}

/** 1234567 → `1.235M`, 0.0123 → `12.3m`. */
const humanize = (input: unknown): string => {
  const value = numberOf(input)
  if (value === 0 || !Number.isFinite(value)) return sprintf('%.4g', [value])
  const [rest, prefix] =
    Math.abs(value) >= 1
      ? scale(value, larger, 1 / 1000, (s) => s < 1000)
      : scale(value, smaller, 1000, (s) => s >= 1)
  return short(rest) + prefix
}

/** 1536 → `1.5ki`. */
const humanize1024 = (input: unknown): string => {
  const value = numberOf(input)
  if (Math.abs(value) <= 1 || !Number.isFinite(value)) return sprintf('%.4g', [value])
  const prefixes = ['ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei', 'Zi', 'Yi']
  const [rest, prefix] = scale(value, prefixes, 1 / 1024, (s) => s < 1024)
  return short(rest) + prefix
}

/** Seconds → `1d 2h 3m 4s`, `12.5s`, `3.2ms`. */
const humanizeDuration = (input: unknown): string => {
  const value = numberOf(input)
  if (!Number.isFinite(value)) return sprintf('%.4g', [value])
  if (value === 0) return '0s'
  const sign = value < 0 ? '-' : ''
  const size = Math.abs(value)
  if (size < 1) {
    const [rest, prefix] = scale(value, smaller, 1000, (s) => s >= 1)
    return `${short(rest)}${prefix}s`
  }
  const whole = Math.floor(size)
  const [seconds, minutes, hours, days] = [
    whole % 60,
    Math.floor(whole / 60) % 60,
    Math.floor(whole / 3600) % 24,
    Math.floor(whole / 86_400),
  ]
  if (days > 0) return `${sign}${days}d ${hours}h ${minutes}m ${seconds}s`
  if (hours > 0) return `${sign}${hours}h ${minutes}m ${seconds}s`
  if (minutes > 0) return `${sign}${minutes}m ${seconds}s`
  return `${sign}${short(size)}s`
}

const timeOf = (input: unknown): Instant | null => {
  const ms = numberOf(input) * 1000
  return Number.isFinite(ms) && Math.abs(ms) < 8.64e15 ? instant(Math.floor(ms)) : null
}

const needTime = (input: unknown): Instant => {
  const at = timeOf(input)
  if (at === null) throw new Error(`${short(numberOf(input))} is no time`)
  return at
}

const secondsOf = (text: unknown): number => {
  const length = parseDuration(String(text))
  if (length === null)
    throw new Error(`not a duration: ${JSON.stringify(text)}; write it as 30s, 5m or 1h30m`)
  return length / 1000
}

/** Host of `host:port` or `[v6]:port`; anything else as it is. */
const stripPort = (hostPort: string): string => {
  const found = /^(?:\[([^\]]*)\]|([^:[\]]*)):[^:]*$/.exec(hostPort)
  return found ? (found[1] ?? found[2])! : hostPort
}

/** `web1.example.org:80` → `web1:80`; addresses keep all. */
const stripDomain = (hostPort: string): string => {
  const host = stripPort(hostPort)
  const port = host === hostPort ? '' : hostPort.slice(hostPort.lastIndexOf(':'))
  if (/^\d+(\.\d+){3}$/.test(host) || host.includes(':')) return hostPort
  return host.split('.')[0] + port
}

const sampleOf = (value: unknown): TemplateSample => {
  if (typeof value === 'object' && value !== null && 'Labels' in value) return value as TemplateSample
  throw new Error('wants one element of a query, such as first gives')
}

const samplesOf = (value: unknown): readonly TemplateSample[] => {
  if (Array.isArray(value)) return value as readonly TemplateSample[]
  throw new Error('wants the result of a query')
}

const pathOf = (url: string): string => (URL.canParse(url) ? new URL(url).pathname.replace(/\/$/, '') : '')

/** Console address that shows an expression. */
export const explorePath = (expr: string): string => `/explore?expr=${encodeURIComponent(expr)}`

const sampleFunctions = {
  first: (vector: unknown) => {
    const all = samplesOf(vector)
    if (all.length === 0) throw new Error('first() called on a query without a result')
    return all[0]
  },
  value: (sample: unknown) => sampleOf(sample).Value,
  label: (name: string, sample: unknown) => sampleOf(sample).Labels.get(name) ?? '',
  strvalue: (sample: unknown) => sampleOf(sample).Labels.get('__value__') ?? '',
  sortByLabel: (name: string, vector: unknown) =>
    [...samplesOf(vector)].sort((a, b) => {
      const [x, y] = [a.Labels.get(name) ?? '', b.Labels.get(name) ?? '']
      return x < y ? -1 : x > y ? 1 : 0
    }),
  args: (...values: unknown[]) => Object.fromEntries(values.map((v, i) => [`arg${i}`, v])),
}

export const prometheusFunctions = (context: TemplateContext) => ({
  ...textFunctions,
  ...sampleFunctions,
  query: (expr: string) => context.query(expr),
  humanize,
  humanize1024,
  humanizeDuration,
  humanizePercentage: (v: unknown) => `${sprintf('%.4g', [numberOf(v) * 100])}%`,
  humanizeTimestamp: (v: unknown) => {
    const at = timeOf(v)
    return at === null ? sprintf('%.4g', [numberOf(v)]) : goTime(at)
  },
  toTime: (v: unknown) => goTime(needTime(v)),
  now: () => context.now / 1000,
  parseDuration: secondsOf,
  stripPort,
  stripDomain,
  safeHtml: (text: unknown) => text,
  urlQueryEscape: (text: unknown) => escapeQuery(String(text)),
  graphLink: explorePath,
  tableLink: (expr: string) => `${explorePath(expr)}&view=table`,
  externalURL: () => context.externalURL,
  pathPrefix: () => pathOf(context.externalURL),
})
