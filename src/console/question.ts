// What Explore is asked, read from its address; and the answer, measured.
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { type Duration, duration, fromIso, type Instant, instant, parseDuration } from '../lib/time.ts'
import type { Labels } from '../model/labels.ts'
import { labelOf, metricName, printLabels, recordOf } from '../model/labels.ts'
import type { Checked, Querier } from '../model/ports/querier.ts'
import type { Matrix } from '../model/result.ts'

export interface Question {
  readonly expr: string
  readonly range: Duration
  readonly rangeText: string
  /** Null = now. */
  readonly endAt: Instant | null
  readonly step: Duration
  readonly stepText: string
}

export interface AnswerLine {
  readonly labels: Labels
  /** As a person tells it from the others. */
  readonly label: string
  readonly key: string
  readonly values: readonly (number | null)[]
}
export interface Answered {
  readonly checked: Checked
  readonly lines: readonly AnswerLine[]
  readonly fromAt: Instant
  readonly toAt: Instant
  readonly step: Duration
  readonly times: readonly number[]
  readonly points: number
  readonly tookMs: number
  readonly warnings: readonly string[]
  readonly infos: readonly string[]
  /** Where the answer is a text. */
  readonly text: string | null
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400]
const wantedPoints = 240
const mostPoints = 2000
const patience = duration(30_000)
const fallback = duration(3_600_000)

const read = (name: string, text: string, otherwise: Duration): Duration => {
  if (text === '') return otherwise
  const d = parseDuration(text)
  if (d === null || d < 1000)
    throw new AppError(
      'bad_data',
      `${name}: ${JSON.stringify(text)} is not a length of time; write it as 15m, 1h or 7d`,
    )
  return d
}

const readEnd = (text: string): Instant | null => {
  if (text === '') return null
  const seconds = Number(text)
  if (Number.isFinite(seconds)) return instant(seconds * 1000)
  try {
    return fromIso(text)
  } catch {
    throw new AppError(
      'bad_data',
      `end: ${JSON.stringify(text)} is no time; write it as 2026-11-23T03:14:00Z`,
    )
  }
}

/** Throws `bad_data` naming the part of the address that is wrong. */
export const readQuestion = (query: URLSearchParams): Question => {
  const get = (name: string): string => (query.get(name) ?? '').trim()
  const range = read('range', get('range'), fallback)
  const auto = duration((steps.find((s) => range / 1000 / s <= wantedPoints) ?? 86_400) * 1000)
  const step = read('step', get('step'), auto)
  if (range / step > mostPoints)
    throw new AppError(
      'bad_data',
      `step: ${Math.ceil(range / step)} points are asked for; take a step of ${auto / 1000}s or more`,
    )
  return {
    expr: get('expr'),
    range,
    rangeText: get('range') || '1h',
    endAt: readEnd(get('end')),
    step,
    stepText: get('step'),
  }
}

/** What tells the series apart: the labels in which they differ, or all of them. */
const namer = (all: readonly Labels[]): ((labels: Labels) => string) => {
  if (all.length === 1) return (l) => printLabels(l)
  const values = new Map<string, Set<string>>()
  for (const name of new Set(all.flatMap((l) => Object.keys(recordOf(l)))))
    values.set(name, new Set(all.map((l) => labelOf(l, name))))
  const telling = [...values].filter(([, v]) => v.size > 1).map(([name]) => name)
  if (telling.length === 0) return (l) => printLabels(l)
  if (telling.length === 1) return (l) => labelOf(l, telling[0]!) || `no ${telling[0]}`
  return (l) => {
    const name = telling.includes(metricName) ? labelOf(l, metricName) : ''
    const rest = telling
      .filter((t) => t !== metricName && labelOf(l, t) !== '')
      .sort()
      .map((t) => `${t}=${labelOf(l, t)}`)
    return [name, ...rest].filter(Boolean).join(' ')
  }
}

const gridOf = (q: Question, clock: Clock): { fromAt: Instant; toAt: Instant; times: number[] } => {
  const toAt = instant(Math.floor((q.endAt ?? clock.now()) / q.step) * q.step)
  const points = Math.floor(q.range / q.step) + 1
  const fromAt = instant(toAt - (points - 1) * q.step)
  return { fromAt, toAt, times: Array.from({ length: points }, (_, i) => (fromAt + i * q.step) / 1000) }
}

const lastOf = (l: AnswerLine): number => l.values.findLast((v) => v !== null) ?? Number.NEGATIVE_INFINITY

/** A native histogram is no line: what is read off it is drawn in its place. */
const readOff = (expr: string): string =>
  `histogram_quantiles(${expr}, "quantile", 0.5, 0.9, 0.99) or label_replace(histogram_avg(${expr}), "quantile", "average", "", "")`
const histogramNote =
  'native histograms are drawn as their average and their quantiles 0.5, 0.9 and 0.99 (of all that was ever observed, unless this is a rate); for others ask histogram_quantile(0.95, …) or histogram_fraction(0, 0.2, …)'

/** The lines of a matrix that have any float. */
const linesOf = (
  { labels, start, end, at, value: column }: Matrix,
  q: Question,
  fromAt: Instant,
  count: number,
): AnswerLine[] => {
  const name = namer(labels)
  return labels.flatMap((l, i): AnswerLine[] => {
    if (start[i] === end[i]) return []
    const values: (number | null)[] = new Array(count).fill(null)
    for (let k = start[i]!; k < end[i]!; k++) values[Math.round((at[k]! - fromAt) / q.step)] = column[k]!
    return [{ labels: l, label: name(l), key: l.join(','), values }]
  })
}

/** Asks; the largest last value first. Throws what the querier throws. */
export const answer = async (q: Question, querier: Querier, clock: Clock): Promise<Answered> => {
  const checked = querier.check(q.expr)
  const { fromAt, toAt, times } = gridOf(q, clock)
  const common = { checked, fromAt, toAt, step: q.step, times }
  if (checked.type === 'matrix')
    throw new AppError(
      'bad_data',
      `this gives a range of samples for each series, which cannot be drawn; ask for rate(…), max_over_time(…) or another function of it`,
    )
  const signal = clock.timeout(patience)
  const began = clock.monotonic()
  if (checked.type === 'string') {
    const { value, warnings, infos } = await querier.instant(q.expr, toAt, signal)
    const text = value.kind === 'string' ? value.value : ''
    return { ...common, lines: [], points: 0, tookMs: clock.monotonic() - began, warnings, infos, text }
  }
  const span = { fromAt, toAt, step: q.step }
  const { value, warnings, infos } = await querier.range(q.expr, span, signal)
  const notes = [...infos]
  const lines = linesOf(value, q, fromAt, times.length)
  if (value.histograms?.some((run) => run)) {
    const read = await querier.range(readOff(checked.text), span, signal)
    lines.push(...linesOf(read.value, q, fromAt, times.length))
    notes.push(histogramNote)
  }
  const tookMs = clock.monotonic() - began
  const points = lines.reduce((n, l) => n + l.values.filter((v) => v !== null).length, 0)
  lines.sort((a, b) => lastOf(b) - lastOf(a) || (a.label < b.label ? -1 : 1))
  return { ...common, lines, points, tookMs, warnings, infos: notes, text: null }
}
