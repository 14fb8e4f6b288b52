// Pushed metrics as families, and the plain series they are stored as.
import type { Metadata } from '../../model/batch.ts'
import type { Labels } from '../../model/labels.ts'

export type FamilyType = 'counter' | 'gauge' | 'histogram' | 'summary' | 'untyped'

/** One metric of a family. `value` for the plain types; `points` are buckets (upper bound, cumulative count) or quantiles. */
export interface Metric {
  /** Without the name. */
  readonly labels: Labels
  value: number
  readonly points: [number, number][]
  sum: number
  /** NaN while nobody has said it. */
  count: number
}

export interface Family {
  readonly name: string
  readonly type: FamilyType
  readonly help: string
  readonly metrics: Metric[]
}

/** What a body holds. */
export interface Pushed {
  readonly families: readonly Family[]
  /** The name of the first metric that came with a time of its own, '' when none did. */
  readonly timed: string
}

export const emptyMetric = (labels: Labels): Metric => ({
  labels,
  value: Number.NaN,
  points: [],
  sum: 0,
  count: Number.NaN,
})

/** A number as Prometheus writes it in `le` and `quantile`. */
export const boundText = (bound: number): string =>
  bound === Number.POSITIVE_INFINITY ? '+Inf' : bound === Number.NEGATIVE_INFINITY ? '-Inf' : String(bound)

/** Calls `each` with name, one more label (name and value, '' for none) and value of every series of a metric. */
export const eachSeries = (
  { name, type }: Family,
  metric: Metric,
  each: (name: string, label: string, value: string, sample: number) => void,
): void => {
  if (type !== 'histogram' && type !== 'summary') {
    each(name, '', '', metric.value)
    return
  }
  const last = metric.points.at(-1)
  const whole = type === 'histogram' && last?.[0] !== Number.POSITIVE_INFINITY
  const count = Number.isNaN(metric.count) ? (last && type === 'histogram' ? last[1] : 0) : metric.count
  for (const [bound, sample] of metric.points) {
    if (type === 'histogram') each(`${name}_bucket`, 'le', boundText(bound), sample)
    else each(name, 'quantile', boundText(bound), sample)
  }
  if (whole) each(`${name}_bucket`, 'le', '+Inf', count)
  each(`${name}_sum`, '', '', metric.sum)
  each(`${name}_count`, '', '', count)
}

export const metadataOf = ({ name, type, help }: Family): Metadata => ({
  metric: name,
  type: type === 'untyped' ? 'unknown' : type,
  help,
  unit: '',
})
