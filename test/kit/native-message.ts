// Native histograms as remote write sends them, for tests.
import { bytesField, varintField } from '../../src/lib/protobuf.ts'
import { staleHigh, staleLow } from '../../src/model/batch.ts'
import { type Buckets, type NativeHistogram, resetHints, spansOf } from '../../src/model/native-histogram.ts'

const varint = (value: bigint): number[] => {
  const bytes: number[] = []
  let rest = value
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128)
  bytes.push(Number(rest))
  return bytes
}
const zigzag = (value: number): number[] => {
  const n = BigInt(value)
  return varint(n < 0n ? -n * 2n - 1n : n * 2n)
}
const double = (value: number): Buffer => {
  const out = Buffer.alloc(8)
  out.writeDoubleLE(value)
  return out
}
const doubleField = (field: number, value: number): Buffer =>
  Buffer.concat([Buffer.from(varint(BigInt(field * 8 + 1))), double(value)])
const signedField = (field: number, value: number): Buffer =>
  Buffer.concat([Buffer.from(varint(BigInt(field * 8))), Buffer.from(zigzag(value))])

const sideFields = (side: Buckets, first: number, integers: boolean): Buffer[] => {
  const { offsets, lengths } = spansOf(side)
  const spans = offsets.map((offset, i) =>
    bytesField(first, Buffer.concat([signedField(1, offset), varintField(2, lengths[i]!)])),
  )
  if (side.count.length === 0) return []
  const counts = integers
    ? bytesField(first + 1, Buffer.from(side.count.flatMap((n, i) => zigzag(n - (side.count[i - 1] ?? 0)))))
    : bytesField(first + 2, Buffer.concat(side.count.map(double)))
  return [...spans, counts]
}

/** The Histogram message: with integer counts as differences, or with floats. */
export const histogramMessage = (h: NativeHistogram, at: number, integers: boolean): Buffer =>
  Buffer.concat([
    integers ? Buffer.from([8, ...varint(BigInt(h.count))]) : doubleField(2, h.count),
    doubleField(3, h.sum),
    signedField(4, h.schema),
    doubleField(5, h.zeroThreshold),
    integers ? varintField(6, h.zeroCount) : doubleField(7, h.zeroCount),
    ...sideFields(h.negative, 8, integers),
    ...sideFields(h.positive, 11, integers),
    varintField(14, resetHints.indexOf(h.hint)),
    varintField(15, at),
    ...(h.bounds.length > 0 ? [bytesField(16, Buffer.concat(h.bounds.map(double)))] : []),
  ])

/** The message that ends a series of histograms. */
export const staleHistogram = (at: number): Buffer => {
  const sum = Buffer.alloc(9)
  sum[0] = 25
  sum.writeUInt32LE(staleLow, 1)
  sum.writeUInt32LE(staleHigh, 5)
  return Buffer.concat([varintField(1, 0), sum, varintField(15, at)])
}
