// One Metric message of Prometheus's protobuf format, read into fields that are used over and over.
import type { WireReader } from '../../lib/protobuf.ts'

const zigzag32 = (n: number): number => (n >>> 1) ^ -(n & 1)

/** A signed 64-bit number in zigzag form, as a double. */
const sint64 = (r: WireReader): number => {
  r.varint()
  const whole = r.high * 4294967296 + r.low
  return r.low & 1 ? -(whole + 1) / 2 : whole / 2
}

/** Reads a repeated number, packed or one by one. */
const numbers = (r: WireReader, packed: boolean, stop: number, into: number[], one: () => number): void => {
  if (!packed) {
    into.push(one())
    return
  }
  const end = r.open(stop)
  while (r.at < end) into.push(one())
  r.close(end)
}

/** An exemplar as it stands: where it lies, where its labels lie (from and to in turn), its value, and its time in milliseconds, NaN without one. */
export interface RawExemplar {
  readonly from: number
  readonly to: number
  readonly labels: readonly number[]
  readonly value: number
  readonly at: number
}

export interface RawSpans {
  readonly offsets: number[]
  readonly lengths: number[]
  /** Differences from one bucket to the next, of integer histograms. */
  readonly deltas: number[]
  /** Counts of float histograms. */
  readonly counts: number[]
}

const noSpans = (): RawSpans => ({ offsets: [], lengths: [], deltas: [], counts: [] })
const emptied = (spans: RawSpans): RawSpans =>
  spans.lengths.length + spans.deltas.length + spans.counts.length === 0 ? spans : noSpans()

/** Fields of the metric that was read last. What a metric has not is 0 or empty. */
export class ProtobufMetric {
  /** Where its LabelPairs lie, from and to in turn. */
  labels: number[] = []
  /** Milliseconds; 0 = it has no time of its own. */
  time = 0
  /** Of counters, gauges and untyped ones. */
  value = 0
  count = 0
  countIsFloat = false
  sum = 0
  /** How many of `bounds` and `values` are this metric's: quantiles, or upper bounds with cumulative counts. */
  points = 0
  readonly bounds: number[] = []
  readonly values: number[] = []
  /** By bucket, and of a counter at 0. */
  readonly exemplars = new Map<number, RawExemplar>()
  /** Of a native histogram as a whole. */
  ownExemplars: RawExemplar[] = []
  schema = 0
  zeroThreshold = 0
  zeroCount = 0
  zeroIsFloat = false
  positive = noSpans()
  negative = noSpans()

  /** Whether it has anything only a native histogram has. */
  get isNative(): boolean {
    return (
      this.positive.lengths.length > 0 ||
      this.negative.lengths.length > 0 ||
      this.zeroThreshold > 0 ||
      this.zeroCount > 0
    )
  }

  /** Reads the message from `r.at` to `stop`; throws `bad_data` where it is broken. */
  read(r: WireReader, stop: number): void {
    this.#clear()
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 10) {
        const end = r.open(stop)
        this.labels.push(r.at, end)
        r.at = end
      } else if (tag === 18 || tag === 26 || tag === 42) this.#simple(r, r.open(stop))
      else if (tag === 34) this.#summary(r, r.open(stop))
      else if (tag === 58) this.#histogram(r, r.open(stop))
      else if (tag === 48) this.time = r.int64()
      else r.skip(tag, stop)
    }
    r.close(stop)
  }

  #clear(): void {
    this.labels = []
    this.time = 0
    this.value = 0
    this.count = 0
    this.countIsFloat = false
    this.sum = 0
    this.points = 0
    if (this.exemplars.size > 0) this.exemplars.clear()
    if (this.ownExemplars.length > 0) this.ownExemplars = []
    this.schema = 0
    this.zeroThreshold = 0
    this.zeroCount = 0
    this.zeroIsFloat = false
    this.positive = emptied(this.positive)
    this.negative = emptied(this.negative)
  }

  /** Gauge, Counter, Untyped: all have their value as field 1, a counter an exemplar as field 2. */
  #simple(r: WireReader, stop: number): void {
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 9) this.value = r.double()
      else if (tag === 18) this.exemplars.set(0, this.#exemplar(r, r.open(stop)))
      else r.skip(tag, stop)
    }
    r.close(stop)
  }

  #summary(r: WireReader, stop: number): void {
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 8) this.count = r.uint64()
      else if (tag === 17) this.sum = r.double()
      else if (tag === 26) this.#quantile(r, r.open(stop))
      else r.skip(tag, stop)
    }
    r.close(stop)
  }

  #quantile(r: WireReader, stop: number): void {
    let quantile = 0
    let value = 0
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 9) quantile = r.double()
      else if (tag === 17) value = r.double()
      else r.skip(tag, stop)
    }
    r.close(stop)
    this.#point(quantile, value)
  }

  #point(bound: number, value: number): void {
    this.bounds[this.points] = bound
    this.values[this.points] = value
    this.points++
  }

  #histogram(r: WireReader, stop: number): void {
    while (r.at < stop) {
      const tag = r.tag()
      switch (tag) {
        case 8: {
          const count = r.uint64()
          if (!this.countIsFloat) this.count = count
          break
        }
        case 33: {
          const count = r.double()
          if (count > 0) {
            this.count = count
            this.countIsFloat = true
          }
          break
        }
        case 17:
          this.sum = r.double()
          break
        case 26:
          this.#bucket(r, r.open(stop))
          break
        default:
          this.#nativeField(r, tag, stop)
      }
    }
    r.close(stop)
  }

  #nativeField(r: WireReader, tag: number, stop: number): void {
    const field = tag >>> 3
    const packed = (tag & 7) === 2
    switch (field) {
      case 5:
        this.schema = zigzag32(r.uint32())
        return
      case 6:
        this.zeroThreshold = r.double()
        return
      case 7: {
        const count = r.uint64()
        if (!this.zeroIsFloat) this.zeroCount = count
        return
      }
      case 8: {
        const count = r.double()
        if (count > 0) {
          this.zeroCount = count
          this.zeroIsFloat = true
        }
        return
      }
      case 9:
      case 12:
        this.#span(r, r.open(stop), field === 12 ? this.positive : this.negative)
        return
      case 10:
      case 13:
        numbers(r, packed, stop, (field === 13 ? this.positive : this.negative).deltas, () => sint64(r))
        return
      case 11:
      case 14:
        numbers(r, packed, stop, (field === 14 ? this.positive : this.negative).counts, () => r.double())
        return
      case 16:
        this.ownExemplars.push(this.#exemplar(r, r.open(stop)))
        return
      default:
        r.skip(tag, stop)
    }
  }

  #span(r: WireReader, stop: number, into: RawSpans): void {
    let offset = 0
    let length = 0
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 8) offset = zigzag32(r.uint32())
      else if (tag === 16) length = r.uint32()
      else r.skip(tag, stop)
    }
    r.close(stop)
    into.offsets.push(offset)
    into.lengths.push(length)
  }

  #bucket(r: WireReader, stop: number): void {
    let count = 0
    let float = 0
    let bound = 0
    let exemplar: RawExemplar | null = null
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 8) count = r.uint64()
      else if (tag === 33) float = r.double()
      else if (tag === 17) bound = r.double()
      else if (tag === 26) exemplar = this.#exemplar(r, r.open(stop))
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (exemplar) this.exemplars.set(this.points, exemplar)
    this.#point(bound, float > 0 ? float : count)
  }

  #exemplar(r: WireReader, stop: number): RawExemplar {
    const from = r.at
    const labels: number[] = []
    let value = 0
    let at = Number.NaN
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 10) {
        const end = r.open(stop)
        labels.push(r.at, end)
        r.at = end
      } else if (tag === 17) value = r.double()
      else if (tag === 26) at = this.#timestamp(r, r.open(stop))
      else r.skip(tag, stop)
    }
    r.close(stop)
    return { from, to: stop, labels, value, at }
  }

  #timestamp(r: WireReader, stop: number): number {
    let seconds = 0
    let nanos = 0
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 8) seconds = r.int64()
      else if (tag === 16) nanos = r.uint32()
      else r.skip(tag, stop)
    }
    r.close(stop)
    return seconds * 1000 + Math.floor(nanos / 1e6)
  }
}
