// The series one point is made of: a number's own, or a histogram's and summary's `_count`, `_sum` and parts.
import type { BatchBuilder } from '../../model/batch-builder.ts'
import type { SeriesRef } from '../../model/series.ts'
import { seriesLabels } from './label-sets.ts'
import { plainFloat } from './names.ts'
import type { HistogramPoint } from './points.ts'

/** The series of one point: `ref` of a number or of `_count`, `sum`, and one for each bound or quantile, then `+Inf`. */
export interface PointSeries {
  readonly ref: SeriesRef
  readonly sum: SeriesRef
  readonly bounds: readonly number[]
  readonly parts: readonly SeriesRef[]
}

/** Calls back with each bucket's count cumulative over the bounds, `+Inf` last. */
export const eachBucket = (point: HistogramPoint, bucket: (i: number, value: number) => void): void => {
  let value = 0
  for (let i = 0; i < point.bounds.length; i++) {
    value += point.counts[i]!
    bucket(i, value)
  }
  bucket(point.bounds.length, point.count)
}

export const none: readonly number[] = []

export const ascending = (bounds: readonly number[]): boolean => {
  // Written so that NaN is out of order too.
  for (let i = 0; i < bounds.length; i++)
    if (!(bounds[i]! > (i === 0 ? -Infinity : bounds[i - 1]!))) return false
  return true
}

export const sameNumbers = (a: readonly number[], b: readonly number[]): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export type SeriesMaker = (
  builder: BatchBuilder,
  family: string,
  labels: ReadonlyMap<string, string>,
  bounds: readonly number[],
) => PointSeries | null

export const numberSeries: SeriesMaker = (builder, family, labels) => {
  const ref = builder.series(seriesLabels(labels, family))
  return ref < 0 ? null : { ref, sum: -1, bounds: none, parts: [] }
}

const partsSeries =
  (suffix: string, label: string, closed: boolean): SeriesMaker =>
  (builder, family, labels, bounds) => {
    const ref = builder.series(seriesLabels(labels, `${family}_count`))
    const sum = ref < 0 ? -1 : builder.series(seriesLabels(labels, `${family}_sum`))
    if (sum < 0) return null
    const parts: SeriesRef[] = []
    const texts = bounds.map(plainFloat)
    if (closed) texts.push('+Inf')
    for (const text of texts) {
      const part = builder.series(seriesLabels(labels, family + suffix, [label, text]))
      if (part < 0) return null
      parts.push(part)
    }
    return { ref, sum, bounds, parts }
  }

export const histogramSeries = partsSeries('_bucket', 'le', true)
export const summarySeries = partsSeries('', 'quantile', false)
