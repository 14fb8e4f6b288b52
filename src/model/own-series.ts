// Figures of Airboss's own making as a batch: labelled values at one moment.
import type { Instant } from '../lib/time.ts'
import { type Batch, type Metadata, sampleBatch } from './batch.ts'
import { labelsOf, metricName } from './labels.ts'
import type { SeriesTable } from './series.ts'

export interface OwnSample {
  readonly metric: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
  readonly at: Instant
}

/** The batch, and how many samples found no place because the limit of series is reached. */
export const ownBatch = (
  table: SeriesTable,
  samples: readonly OwnSample[],
  metadata: readonly Metadata[],
): { batch: Batch; dropped: number } => {
  const refs: number[] = []
  const kept: OwnSample[] = []
  for (const sample of samples) {
    const ref = table.intern(labelsOf({ ...sample.labels, [metricName]: sample.metric }), true)
    if (ref < 0) continue
    refs.push(ref)
    kept.push(sample)
  }
  const batch = sampleBatch(
    refs,
    kept.map((s) => s.at),
    kept.map((s) => s.value),
  )
  return { batch: { ...batch, metadata }, dropped: samples.length - kept.length }
}
