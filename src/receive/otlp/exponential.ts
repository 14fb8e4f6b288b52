// OTLP's exponential histograms and Prometheus's native ones: the same buckets, counted from another place.
import type { WireReader } from '../../lib/protobuf.ts'
import {
  type Buckets,
  leastSchema,
  mostCounts,
  type NativeHistogram,
  noBuckets,
} from '../../model/native-histogram.ts'
import type { ExponentialPoint, ExponentialSide } from './points.ts'

/** The width of a zero bucket that says none, as Prometheus's own OTLP receiver sets it. */
const defaultThreshold = 1e-128

/** OTLP's bucket i is (base^i, base^(i+1)], Prometheus's ends at base^i: one further. */
const bucketsOf = ({ offset, counts }: ExponentialSide): Buckets => {
  const index: number[] = []
  const count: number[] = []
  for (let i = 0; i < counts.length; i++) {
    if (counts[i] === 0) continue
    index.push(offset + i + 1)
    count.push(counts[i]!)
  }
  return index.length === 0 ? noBuckets : { index, count }
}

/** A point as a native histogram, at its own scale; a text says why it is none. */
export const nativeOf = (p: ExponentialPoint): NativeHistogram | string => {
  if (p.scale < leastSchema) return `its scale is ${p.scale}; ${leastSchema} and finer are taken`
  if (Math.max(p.positive.counts.length, p.negative.counts.length) > mostCounts)
    return `one of its sides has more than ${mostCounts} buckets`
  return {
    schema: p.scale,
    hint: 'unknown',
    count: p.count,
    sum: p.hasSum ? p.sum : 0,
    zeroThreshold: p.zeroThreshold === 0 ? defaultThreshold : p.zeroThreshold,
    zeroCount: p.zeroCount,
    positive: bucketsOf(p.positive),
    negative: bucketsOf(p.negative),
    bounds: [],
  }
}

/** A signed number of 32 bits from a zigzag varint. */
export const zigzag32 = (r: WireReader): number => {
  const raw = r.uint32()
  return (raw >>> 1) ^ -(raw & 1)
}

/** The Buckets message that begins here. */
export const readSide = (r: WireReader, stop: number): ExponentialSide => {
  const end = r.open(stop)
  let offset = 0
  const counts: number[] = []
  const take = (): void => {
    const count = r.uint64()
    // One more than may be says that they are too many.
    if (counts.length <= mostCounts) counts.push(count)
  }
  while (r.at < end) {
    const tag = r.tag()
    if (tag === 8) offset = zigzag32(r)
    else if (tag === 16) take()
    else if (tag === 18) {
      const packed = r.open(end)
      while (r.at < packed) take()
      r.close(packed)
    } else r.skip(tag, end)
  }
  r.close(end)
  return { offset, counts }
}
