import { describe, expect, it } from 'vitest'
import { instant } from '../lib/time.ts'
import { BatchBuilder, defaultAdmission } from './batch-builder.ts'
import { labelsOf } from './labels.ts'
import {
  atSchema,
  bucketsOf,
  decodeHistogram,
  fitted,
  type NativeHistogram,
  noBuckets,
  packHistogram,
  spansOf,
  wrongWith,
} from './native-histogram.ts'
import { rowBytes } from './packed-rows.ts'
import { SeriesTable } from './series.ts'

const plain: NativeHistogram = {
  schema: 1,
  hint: 'unknown',
  count: 12,
  sum: 3.5,
  zeroThreshold: 0.001,
  zeroCount: 2,
  positive: { index: [-3, -2, 4], count: [1, 2, 3] },
  negative: { index: [7], count: [4] },
  bounds: [],
}
const custom: NativeHistogram = {
  ...plain,
  schema: -53,
  hint: 'gauge',
  count: 6,
  zeroThreshold: 0,
  zeroCount: 0,
  positive: { index: [0, 2], count: [1, 5] },
  negative: noBuckets,
  bounds: [0.1, 10],
}

describe('packed native histograms', () => {
  it('come back as they were', () => {
    for (const h of [plain, custom]) expect(decodeHistogram(packHistogram(h))).toEqual(h)
  })
})

describe('spans', () => {
  it('become buckets, absolute or by differences, without the empty ones, and back', () => {
    const spans = { offsets: [-3, 5], lengths: [2, 3] }
    const buckets = { index: [-3, -2, 4, 6], count: [1, 2, 3, 1] }
    expect(bucketsOf(spans, [1, 2, 3, 0, 1], false)).toEqual({ index: [-3, -2, 4, 6], count: [1, 2, 3, 1] })
    expect(bucketsOf(spans, [1, 1, 1, -3, 1], true)).toEqual(buckets)
    expect(spansOf(buckets)).toEqual({ offsets: [-3, 5, 1], lengths: [2, 1, 1] })
  })

  it('say why they do not fit', () => {
    expect(bucketsOf({ offsets: [0], lengths: [3] }, [1, 2], false)).toMatch(/more than the 2 buckets/)
    expect(bucketsOf({ offsets: [0], lengths: [1] }, [1, 2], false)).toMatch(/hold 1 buckets, 2 are there/)
    expect(bucketsOf({ offsets: [0, -2], lengths: [1, 1] }, [1, 2], false)).toMatch(/span 2 begins before/)
    expect(bucketsOf({ offsets: [2 ** 31], lengths: [1] }, [1], false)).toMatch(/out of range/)
    expect(bucketsOf({ offsets: [0], lengths: [4e9] }, [1], false)).toMatch(/more than the 1 buckets/)
  })
})

describe('validity', () => {
  it('of what is right', () => {
    expect(wrongWith(plain, true)).toBeNull()
    expect(wrongWith(custom, true)).toBeNull()
    expect(wrongWith({ ...plain, count: 13, sum: Number.NaN }, true)).toBeNull()
    expect(wrongWith({ ...plain, count: 13 }, false)).toBeNull()
  })

  it.each([
    [{ ...plain, schema: -5 }, /schema is -5/],
    [{ ...plain, schema: 53 }, /schema is 53/],
    [{ ...plain, count: 13 }, /hold 12 observations, its count is 13/],
    [{ ...plain, count: 11, sum: Number.NaN }, /hold 12/],
    [{ ...plain, zeroCount: -1 }, /zero bucket has the count -1/],
    [{ ...plain, zeroThreshold: Number.NaN }, /zero threshold is NaN/],
    [{ ...plain, bounds: [1] }, /no custom bounds/],
    [{ ...plain, negative: { index: [7], count: [-4] } }, /negative bucket 7 has the count -4/],
    [{ ...custom, bounds: [10, 10] }, /10 does not come after 10/],
    [{ ...custom, bounds: [1, Number.POSITIVE_INFINITY] }, /bounds are finite/],
    [{ ...custom, bounds: [1] }, /outside the 2 that 1 custom bounds make/],
    [{ ...custom, zeroCount: 1 }, /no zero bucket/],
    [{ ...custom, negative: { index: [1], count: [1] } }, /no negative side/],
  ])('of what is wrong: %#', (h, why) => {
    expect(wrongWith(h, true)).toMatch(why)
  })
})

describe('resolution', () => {
  it('goes down by joining neighbours', () => {
    const fine = {
      ...plain,
      schema: 2,
      positive: { index: [-4, -3, 0, 1, 2, 3, 4, 5], count: [1, 2, 3, 4, 5, 6, 7, 8] },
    }
    // Bucket i of schema 2 lies in bucket ceil(i / 2) of schema 1.
    expect(atSchema(fine, 1).positive).toEqual({ index: [-2, -1, 0, 1, 2, 3], count: [1, 2, 3, 9, 13, 8] })
    expect(atSchema(atSchema(fine, 1), 0)).toEqual(atSchema(fine, 0))
  })

  it('is taken down until few enough buckets are left, and never of custom ones', () => {
    const wide = { ...plain, positive: { index: [1, 2, 3, 4], count: [1, 1, 1, 1] }, negative: noBuckets }
    expect(fitted(wide, 2)).toMatchObject({ schema: 0, positive: { index: [1, 2], count: [2, 2] } })
    expect(fitted({ ...wide, schema: 10 }, 10)!.schema).toBe(8)
    expect(fitted({ ...wide, positive: { index: [-40, 1], count: [1, 1] } }, 0)).toBeNull()
    expect(fitted(custom, 1)).toBeNull()
  })
})

describe('a batch builder', () => {
  it('packs histograms by series and time and refuses bad ones by name', () => {
    const table = new SeriesTable(10)
    const builder = new BatchBuilder(table, defaultAdmission, instant(1e9))
    const ref = builder.series(labelsOf({ __name__: 'latency', job: 'a' }))
    expect(builder.histogram(ref, 1e9, plain)).toBe(true)
    expect(builder.histogram(ref, 1e9 + 1, { ...plain, schema: 99 })).toBe(false)
    expect(builder.histogram(ref, 1, plain)).toBe(false)
    expect(builder.histogram(ref, 1e9 + 2, custom)).toBe(true)
    const { histograms } = builder.build()
    expect([...histograms!.ref]).toEqual([ref, ref])
    expect([...histograms!.at]).toEqual([1e9, 1e9 + 2])
    expect(decodeHistogram(rowBytes(histograms!, 0))).toEqual(plain)
    expect(decodeHistogram(rowBytes(histograms!, 1))).toEqual(custom)
    expect(builder.rejections.map((r) => [r.reason, r.count])).toEqual([
      ['bad_histogram', 1],
      ['too_old', 1],
    ])
    expect(builder.rejections[0]!.example).toMatch(/latency: its schema is 99/)
  })
})
