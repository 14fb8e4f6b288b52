import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type Batch, sampleBatch, staleMarker, wordsOf } from '../model/batch.ts'
import { labelsOf } from '../model/labels.ts'
import { countRows, type PackedRows, rowBytes } from '../model/packed-rows.ts'
import { SeriesTable } from '../model/series.ts'
import { createMerger, rowsOf, sliceBatch } from './batch-rows.ts'
import { BatchDecoder, BatchEncoder, newestBefore } from './log-codec.ts'

const event = {
  id: 'e',
  at: 5 as never,
  name: 'n',
  value: Number.NaN,
  agent: 'a',
  version: '1',
  outcome: 'ok',
  attributes: { ü: 'ß' },
}

const batchOf = fc
  .array(
    fc.tuple(
      fc.nat(20),
      fc.oneof(
        fc.integer({ min: 1, max: 2 ** 45 }),
        fc.double({ min: 0, max: 1e13, noNaN: true }),
        fc.constant(1.7e12),
      ),
      fc.double(),
    ),
    { maxLength: 40 },
  )
  .map((rows) =>
    sampleBatch(
      rows.map((r) => r[0]),
      rows.map((r) => r[1]),
      rows.map((r) => r[2]),
    ),
  )

it('gives back the same columns in another process, segment by segment', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(batchOf, fc.nat(2)), { maxLength: 12 }), (given) => {
      const table = new SeriesTable(100)
      for (let i = 0; i <= 20; i++) table.intern(labelsOf({ __name__: 'm', i: `${i} "ÿ\n` }))
      const encoder = new BatchEncoder(table, 7)
      let segment = 0
      const records = given.map(([batch, roll]) => {
        if (roll === 0) segment++
        return { segment, bytes: Buffer.from(encoder.encode(batch, segment)) }
      })
      // Each segment alone, into a table that has other references.
      for (const only of new Set(records.map((r) => r.segment))) {
        const other = new SeriesTable(100)
        other.intern(labelsOf({ __name__: 'shifts references' }))
        const decoder = new BatchDecoder(other)
        for (const [i, record] of records.entries()) {
          if (record.segment !== only) continue
          const got = decoder.decode(record.bytes, record.segment)
          const want = given[i]![0]
          expect(Array.from(got.ref, (r) => other.id(r))).toEqual(Array.from(want.ref, (r) => table.id(r)))
          expect(Array.from(got.ref, (r) => other.labels(r))).toEqual(
            Array.from(want.ref, (r) => table.labels(r)),
          )
          expect(Array.from(got.at)).toEqual(Array.from(want.at))
          expect(Array.from(wordsOf(got.value))).toEqual(Array.from(wordsOf(want.value)))
        }
      }
      let newest = 7
      for (const [i, { bytes }] of records.entries()) {
        expect(newestBefore(bytes)).toBe(newest)
        newest = Math.max(newest, ...given[i]![0].at)
      }
    }),
  )
})

it('keeps stale markers and rows that are no samples', () => {
  const table = new SeriesTable(10)
  const ref = table.intern(labelsOf({ __name__: 'up' }))
  const batch: Batch = { ...sampleBatch([ref], [1.5], [0]), events: [event] }
  staleMarker(batch.value, 0)
  const got = new BatchDecoder(table).decode(Buffer.from(new BatchEncoder(table, 0).encode(batch, 1)), 1)
  expect(Array.from(wordsOf(got.value))).toEqual([2, 0x7ff00000])
  expect(got.at[0]).toBe(1.5)
  expect(got.events).toEqual([event])
})

it('costs at most 16 bytes a sample beside its head', () => {
  const table = new SeriesTable(1000)
  const refs = Array.from({ length: 500 }, (_, i) => table.intern(labelsOf({ __name__: 'm', i: String(i) })))
  const batch = sampleBatch(
    refs,
    refs.map((r) => 1.8e12 + r),
    refs,
  )
  const encoder = new BatchEncoder(table, 0)
  encoder.encode(batch, 1)
  expect(encoder.encode(batch, 1).length).toBe(40 + 500 * 16)
})

it('merges in order and slices through every kind of row', () => {
  const a: Batch = { ...sampleBatch([0, 1], [1, 2], [3, 4]), events: [event] }
  const b: Batch = {
    ...sampleBatch([2], [5], [6]),
    metadata: [{ metric: 'm', type: 'gauge', help: '', unit: '' }],
  }
  const all = createMerger()([a, b])
  expect(Array.from(all.ref)).toEqual([0, 1, 2])
  expect(rowsOf(all)).toBe(5)
  for (let cut = 0; cut <= 5; cut++) {
    const again = createMerger()([sliceBatch(all, 0, cut), sliceBatch(all, cut, 5)])
    expect(again).toEqual(all)
    expect(rowsOf(sliceBatch(all, 0, cut))).toBe(cut)
  }
})

it('carries packed rows, with their series where they have one', () => {
  const table = new SeriesTable(10)
  const refs = ['a', 'b'].map((i) => table.intern(labelsOf({ __name__: 'h', i })))
  const packed = (...rows: string[]) => ({
    bytes: Buffer.from(rows.join('')),
    ends: Uint32Array.from(rows, (_, i) => rows.slice(0, i + 1).join('').length),
  })
  const ofSeries = { ref: Uint32Array.from(refs), at: Float64Array.of(1, 2.5) }
  const batch: Batch = {
    ...sampleBatch([refs[1]!], [7], [8]),
    histograms: { ...packed('one', 'second'), ...ofSeries },
    exemplars: { ...packed('', 'x'), ...ofSeries },
    spans: packed('span', '', 'of three'),
    logs: packed('log'),
  }
  expect(rowsOf(batch)).toBe(9)
  const other = new SeriesTable(10)
  other.intern(labelsOf({ __name__: 'shifts references' }))
  const got = new BatchDecoder(other).decode(Buffer.from(new BatchEncoder(table, 0).encode(batch, 1)), 1)
  const text = (rows: PackedRows | undefined): string[] =>
    Array.from({ length: countRows(rows) }, (_, i) => Buffer.from(rowBytes(rows!, i)).toString())
  expect(text(got.histograms)).toEqual(['one', 'second'])
  expect(text(got.exemplars)).toEqual(['', 'x'])
  expect(text(got.spans)).toEqual(['span', '', 'of three'])
  expect(text(got.logs)).toEqual(['log'])
  expect(Array.from(got.histograms!.ref, (r) => other.labels(r))).toEqual(refs.map((r) => table.labels(r)))
  expect(Array.from(got.exemplars!.at)).toEqual([1, 2.5])
  for (let cut = 0; cut <= 9; cut++) {
    const again = createMerger()([sliceBatch(batch, 0, cut), sliceBatch(batch, cut, 9)])
    expect(text(again.histograms)).toEqual(['one', 'second'])
    expect(Array.from(again.exemplars!.ref)).toEqual(refs)
    expect(text(again.spans)).toEqual(['span', '', 'of three'])
    expect(text(again.logs)).toEqual(['log'])
  }
})
