// Batches without some of their rows.
import type { Batch } from '../model/batch.ts'
import { joinSeriesRows, sliceSeriesRows } from '../model/packed-rows.ts'

/** The batch without the samples at these ascending indexes; values keep their bits. */
export const without = (batch: Batch, dropped: readonly number[]): Batch => {
  if (dropped.length === 0) return batch
  const n = batch.ref.length - dropped.length
  const ref = new Uint32Array(n)
  const at = new Float64Array(n)
  const value = new Float64Array(n)
  let from = 0
  let to = 0
  for (const stop of [...dropped, batch.ref.length]) {
    ref.set(batch.ref.subarray(from, stop), to)
    at.set(batch.at.subarray(from, stop), to)
    value.set(batch.value.subarray(from, stop), to)
    to += stop - from
    from = stop + 1
  }
  return { ...batch, ref, at, value }
}

/** The batch without the histograms at these ascending indexes. */
export const withoutHistograms = (batch: Batch, dropped: readonly number[]): Batch => {
  const { histograms } = batch
  if (dropped.length === 0 || !histograms) return batch
  const kept = [...dropped, histograms.ref.length].map((stop, i) =>
    sliceSeriesRows(histograms, i === 0 ? 0 : dropped[i - 1]! + 1, stop),
  )
  return { ...batch, histograms: joinSeriesRows(kept) }
}
