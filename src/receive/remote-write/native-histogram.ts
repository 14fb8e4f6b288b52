// The Histogram message of remote write, which 1.0 and 2.0 share: spans with counts as they are or as differences.
import type { Shape, WireReader } from '../../lib/protobuf.ts'
import { staleHigh, staleLow } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import {
  type Buckets,
  bucketsOf,
  customSchema,
  mostCounts,
  type NativeHistogram,
  resetHints,
} from '../../model/native-histogram.ts'
import type { SeriesRef } from '../../model/series.ts'

/** How it is built, for a walk that must come before it is read. */
export const histogramShape: Shape = {
  66: {},
  74: 'varints',
  82: 'words',
  90: {},
  98: 'varints',
  106: 'words',
  130: 'words',
}

interface Side {
  readonly offsets: number[]
  readonly lengths: number[]
  readonly deltas: number[]
  readonly counts: number[]
}

const side = (): Side => ({ offsets: [], lengths: [], deltas: [], counts: [] })

/** A zigzag number of up to 64 bits, from the reader's last varint. */
const signed = (r: WireReader): number => {
  const odd = (r.low & 1) === 1
  const half = Math.floor(r.high * 2147483648 + r.low / 2)
  return odd ? -half - 1 : half
}

const readSpan = (r: WireReader, stop: number, into: Side): void => {
  const end = r.open(stop)
  let [offset, length] = [0, 0]
  while (r.at < end) {
    const tag = r.tag()
    if (tag === 8) {
      r.varint()
      offset = signed(r)
    } else if (tag === 16) length = r.uint32()
    else r.skip(tag, end)
  }
  r.close(end)
  into.offsets.push(offset)
  into.lengths.push(length)
}

const readDoubles = (r: WireReader, stop: number, into: number[]): void => {
  const end = r.open(stop)
  while (r.at < end) into.push(r.double())
  r.close(end)
}

const readDeltas = (r: WireReader, stop: number, into: number[]): void => {
  const end = r.open(stop)
  while (r.at < end) {
    r.varint()
    // One more than may be says that they are too many.
    if (into.length <= mostCounts) into.push(signed(r))
  }
  r.close(end)
}

class Message {
  count = 0
  integers = false
  sum = 0
  sumLow = 0
  sumHigh = 0
  schema = 0
  zeroThreshold = 0
  zeroCount = 0
  hint = 0
  at = 0
  readonly bounds: number[] = []
  readonly positive = side()
  readonly negative = side()

  /** A number that stands by itself; false when the field is another one. */
  scalar(r: WireReader, tag: number): boolean {
    if (tag === 8) {
      this.count = r.uint64()
      this.integers = true
    } else if (tag === 17) this.count = r.double()
    else if (tag === 25) {
      const at = r.need(8)
      this.sum = r.view.getFloat64(at, true)
      this.sumLow = r.view.getUint32(at, true)
      this.sumHigh = r.view.getUint32(at + 4, true)
    } else if (tag === 32) {
      r.varint()
      this.schema = signed(r)
    } else if (tag === 41) this.zeroThreshold = r.double()
    else if (tag === 48) this.zeroCount = r.uint64()
    else if (tag === 57) this.zeroCount = r.double()
    else if (tag === 112) this.hint = r.uint32()
    else if (tag === 120) this.at = r.int64()
    else return false
    return true
  }

  read(r: WireReader, stop: number): void {
    while (r.at < stop) {
      const tag = r.tag()
      if (this.scalar(r, tag)) continue
      if (tag === 66) readSpan(r, stop, this.negative)
      else if (tag === 90) readSpan(r, stop, this.positive)
      else if (tag === 74) readDeltas(r, stop, this.negative.deltas)
      else if (tag === 98) readDeltas(r, stop, this.positive.deltas)
      else if (tag === 82) readDoubles(r, stop, this.negative.counts)
      else if (tag === 106) readDoubles(r, stop, this.positive.counts)
      else if (tag === 130) readDoubles(r, stop, this.bounds)
      else r.skip(tag, stop)
    }
    r.close(stop)
  }

  #buckets(from: Side): Buckets | string {
    if (Math.max(from.deltas.length, from.counts.length) > mostCounts)
      return `it has more than ${mostCounts} buckets`
    return this.integers ? bucketsOf(from, from.deltas, true) : bucketsOf(from, from.counts, false)
  }

  /** The histogram, or why it is none. */
  histogram(): NativeHistogram | string {
    const positive = this.#buckets(this.positive)
    if (typeof positive === 'string') return `positive side: ${positive}`
    const negative = this.#buckets(this.negative)
    if (typeof negative === 'string') return `negative side: ${negative}`
    const { schema, count, sum, zeroThreshold, zeroCount, bounds } = this
    return {
      schema,
      hint: resetHints[this.hint] ?? 'unknown',
      count,
      sum,
      zeroThreshold,
      zeroCount,
      positive,
      negative,
      bounds: schema === customSchema || bounds.length > 0 ? bounds : [],
    }
  }
}

/** Reads the message up to `stop` and adds it to the series; whether it was taken. What is wrong with it is rejected in the builder. */
export const takeHistogram = (
  r: WireReader,
  stop: number,
  ref: SeriesRef,
  builder: BatchBuilder,
  name: () => string,
): boolean => {
  const message = new Message()
  message.read(r, stop)
  // The sum says that the series has ended, as the value of a float does.
  if (message.sumLow === staleLow && message.sumHigh === staleHigh)
    return builder.addBits(ref, message.at, staleLow, staleHigh)
  const made = message.histogram()
  if (typeof made !== 'string') return builder.histogram(ref, message.at, made, message.integers)
  builder.reject('bad_histogram', `native histogram ${name()}: ${made}`)
  return false
}

/** The time of the message between here and `stop`, which is left anywhere within. */
export const histogramTime = (r: WireReader, stop: number): number => {
  let at = 0
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 120) at = r.int64()
    else r.skip(tag, stop)
  }
  r.close(stop)
  return at
}
