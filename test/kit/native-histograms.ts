// Native histograms for tests: one with round numbers, and rows of a batch.
import { RowWriter } from '../../src/lib/row-binary.ts'
import { encodeHistogram, type NativeHistogram, noBuckets } from '../../src/model/native-histogram.ts'
import type { SeriesRows } from '../../src/model/packed-rows.ts'

/** Two observations in every bucket from 1 on, `n` buckets of schema 0. */
export const plainHistogram = (n: number, more: Partial<NativeHistogram> = {}): NativeHistogram => ({
  schema: 0,
  hint: 'unknown',
  count: n * 2,
  sum: n * 3,
  zeroThreshold: 0,
  zeroCount: 0,
  positive: { index: Array.from({ length: n }, (_, i) => i + 1), count: new Array<number>(n).fill(2) },
  negative: noBuckets,
  bounds: [],
  ...more,
})

export const histogramRows = (
  samples: readonly { readonly ref: number; readonly at: number; readonly value: NativeHistogram }[],
): SeriesRows | undefined => {
  if (samples.length === 0) return undefined
  const rows = new RowWriter(1024)
  const ends = samples.map(({ value }) => {
    encodeHistogram(value, rows)
    return rows.length
  })
  return {
    ref: Uint32Array.from(samples, (s) => s.ref),
    at: Float64Array.from(samples, (s) => s.at),
    ends: Uint32Array.from(ends),
    bytes: new Uint8Array(rows.bytes()),
  }
}
