// The exemplars of an OTLP point go to the series that they stand for: a sum's own, a histogram's bucket that holds the value.
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { exemplarLabelsFit, spanLabel, traceLabel } from '../../model/exemplar.ts'
import { type Labels, labelsOf } from '../../model/labels.ts'
import type { LabelMaker } from './label-sets.ts'
import type { PointSeries } from './point-series.ts'
import type { PointExemplar } from './points.ts'

/** Trace and span, and the filtered attributes where there is room for them beside. */
const labelsFor = (exemplar: PointExemplar, names: LabelMaker): Labels => {
  const own: Record<string, string> = {}
  if (exemplar.traceId !== '') own[traceLabel] = exemplar.traceId
  if (exemplar.spanId !== '') own[spanLabel] = exemplar.spanId
  const attributes = exemplar.attributes()
  const more = typeof attributes === 'string' ? attributes : names.exemplar(attributes)
  if (typeof more === 'string') return labelsOf(own)
  const all = labelsOf({ ...Object.fromEntries(more), ...own })
  return exemplarLabelsFit(all) ? all : labelsOf(own)
}

/** Adds a point's exemplars in the order of their times; `at` stands for a time that was not said. */
export const addExemplars = (
  builder: BatchBuilder,
  list: readonly PointExemplar[],
  series: PointSeries,
  names: LabelMaker,
  at: number,
): void => {
  for (const exemplar of list.toSorted((a, b) => a.at - b.at)) {
    const { bounds, parts } = series
    const bucket = bounds.findIndex((bound) => exemplar.value <= bound)
    const ref = parts.length === 0 ? series.ref : (parts[bucket < 0 ? bounds.length : bucket] ?? series.ref)
    builder.exemplar(ref, exemplar.at || at, exemplar.value, labelsFor(exemplar, names))
  }
}
