// Remote write 1.0: a WriteRequest becomes columns; a series seen before costs a hash of its label bytes.
// Format: https://prometheus.io/docs/specs/prw/remote_write_spec/ and prompb's remote.proto, types.proto.

import { AppError } from '../../lib/errors.ts'
import { checkMessage, type Shape, WireReader } from '../../lib/protobuf.ts'
import type { MetricType } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { type Labels, labelsOf, metricName, recordOf } from '../../model/labels.ts'
import type { SeriesRef } from '../../model/series.ts'
import type { ByteCache } from '../byte-cache.ts'
import { histogramShape, histogramTime, takeHistogram } from './native-histogram.ts'

const types: readonly MetricType[] = [
  'unknown',
  'counter',
  'gauge',
  'histogram',
  'gaugehistogram',
  'summary',
  'info',
  'stateset',
]

/**
 * Fills `builder` from an uncompressed WriteRequest. What may not pass is rejected in the builder and the rest kept. A message that is
 * no WriteRequest throws `bad_data`, and then no new series was made: before the first unknown one the whole message is walked.
 */
export const decodeWriteRequest = (
  body: Buffer,
  builder: BatchBuilder,
  known: ByteCache<SeriesRef>,
): void => {
  new WriteRequestDecoder(body, builder, known).run(Number.POSITIVE_INFINITY)
}

/** The same in pieces: what is slow is to meet series for the first time. */
export class WriteRequestDecoder {
  readonly #r: WireReader
  readonly #builder: BatchBuilder
  readonly #known: ByteCache<SeriesRef>
  #checked = false
  #met = 0

  constructor(body: Buffer, builder: BatchBuilder, known: ByteCache<SeriesRef>) {
    this.#r = new WireReader(body)
    this.#builder = builder
    this.#known = known
  }

  /** Goes on until `most` new label sets were met, or to the end; true when it is done. */
  run(most: number): boolean {
    const r = this.#r
    const stop = this.#met + most
    while (r.at < r.end) {
      if (this.#met >= stop) return false
      const tag = r.tag()
      if (tag === 10) this.#series(r.open(r.end))
      else if (tag === 26) this.#metadata(r.open(r.end))
      else r.skip(tag, r.end)
    }
    return true
  }

  #series(stop: number): void {
    const r = this.#r
    const from = r.at
    const end = labelsEnd(r, stop)
    let ref = this.#known.get(r.view, from, end, 0)
    if (ref === undefined) {
      if (!this.#checked) checkRequest(r)
      this.#checked = true
      ref = this.#meet(from, end, stop)
      if (ref < 0) return
    }
    r.at = end
    this.#samples(ref, stop)
    r.close(stop)
  }

  /** Makes the series of unknown label bytes; -1 when it may not pass, its samples are then rejected and skipped. */
  #meet(from: number, end: number, stop: number): SeriesRef {
    const r = this.#r
    const builder = this.#builder
    this.#met++
    const labels = readLabels(r, from, end)
    r.at = end
    const times = readTimes(r, stop)
    if (typeof labels === 'string') {
      builder.reject('bad_labels', labels, Math.max(times.length, 1))
      return -1
    }
    if (times.length > 0 && !times.some((at) => builder.accepts(at))) {
      for (const at of times) builder.rejectTime(labels[labels.indexOf(metricName) + 1]!, at)
      return -1
    }
    const ref = builder.series(labels)
    if (ref < 0) {
      builder.reject(builder.lastReason, builder.lastExample, Math.max(times.length, 1))
      return -1
    }
    // The reads above moved on; the cache keeps the hash of the last bytes it was asked for.
    this.#known.set(r.view, from, end, 0, ref)
    return ref
  }

  #samples(ref: SeriesRef, stop: number): void {
    const r = this.#r
    const { bytes, view } = r
    while (r.at < stop) {
      const at = r.at
      // The shape every sender uses: a sample of 16 bytes, value then a time of six bytes (2004 to 2109).
      if (
        bytes[at] === 18 &&
        bytes[at + 1] === 16 &&
        at + 18 <= stop &&
        bytes[at + 2] === 9 &&
        bytes[at + 11] === 16 &&
        (bytes[at + 12]! & bytes[at + 13]! & bytes[at + 14]! & bytes[at + 15]! & bytes[at + 16]! & 128) !==
          0 &&
        bytes[at + 17]! < 128
      ) {
        const words = view.getUint32(at + 12, true)
        const low =
          (words & 127) | ((words >>> 1) & 0x3f80) | ((words >>> 2) & 0x1fc000) | ((words >>> 3) & 0xfe00000)
        const time = low + ((bytes[at + 16]! & 127) | (bytes[at + 17]! << 7)) * 268435456
        this.#keep(ref, time, at + 3)
        r.at = at + 18
        continue
      }
      this.#other(ref, r.tag(), stop)
    }
  }

  #other(ref: SeriesRef, tag: number, stop: number): void {
    const r = this.#r
    if (tag === 18) this.#sample(ref, r.open(stop))
    else if (tag === 26) this.#exemplar(ref, r.open(stop))
    else if (tag === 34) {
      takeHistogram(r, r.open(stop), ref, this.#builder, () => this.#builder.nameOf(ref))
    } else if (tag === 10) throw labelsLate(r.at)
    else r.skip(tag, stop)
  }

  #exemplar(ref: SeriesRef, stop: number): void {
    const r = this.#r
    const labels: Record<string, string> = {}
    let value = 0
    let time = 0
    let readable = true
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 17) value = r.double()
      else if (tag === 24) time = r.int64()
      else if (tag === 10) readable = readLabel(r, r.open(stop), labels) && readable
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (readable) this.#builder.exemplar(ref, time, value, labelsOf(labels))
    else this.#builder.exemplarsDropped++
  }

  #sample(ref: SeriesRef, stop: number): void {
    const r = this.#r
    let value = -1
    let time = 0
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 9) value = r.need(8)
      else if (tag === 16) time = r.int64()
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (value < 0) this.#builder.add(ref, time, 0)
    else this.#keep(ref, time, value)
  }

  /** Adds the sample whose value lies at byte `at`: a NaN by its bits, so that a stale marker stays one. */
  #keep(ref: SeriesRef, time: number, at: number): void {
    const { view } = this.#r
    const high = view.getUint32(at + 4, true)
    if ((high & 0x7ff00000) === 0x7ff00000) this.#builder.addBits(ref, time, view.getUint32(at, true), high)
    else this.#builder.add(ref, time, view.getFloat64(at, true))
  }

  #metadata(stop: number): void {
    const r = this.#r
    let type = 0
    let metric: string | null = ''
    let help: string | null = ''
    let unit: string | null = ''
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 8) type = r.uint32()
      else if (tag === 18) metric = r.text(stop)
      else if (tag === 34) help = r.text(stop)
      else if (tag === 42) unit = r.text(stop)
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (metric)
      this.#builder.metadata.push({
        metric,
        type: types[type] ?? 'unknown',
        help: help ?? '',
        unit: unit ?? '',
      })
  }
}

/** Where the labels that begin here end; leaves the reader anywhere. */
const labelsEnd = (r: WireReader, stop: number): number => {
  const { bytes } = r
  let at = r.at
  while (at < stop && bytes[at] === 10) {
    const size = bytes[at + 1]!
    if (size < 128) at += 2 + size
    else {
      r.at = at + 1
      at = r.open(stop)
    }
  }
  if (at > stop) throw new AppError('bad_data', `protobuf: a label runs past its series at byte ${at}`)
  return at
}

/** The times of a series' samples and histograms, before it is made. */
const readTimes = (r: WireReader, stop: number): number[] => {
  const times: number[] = []
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 34) {
      times.push(histogramTime(r, r.open(stop)))
      continue
    }
    if (tag !== 18) {
      r.skip(tag, stop)
      continue
    }
    const end = r.open(stop)
    let time = 0
    while (r.at < end) {
      const inner = r.tag()
      if (inner === 16) time = r.int64()
      else r.skip(inner, end)
    }
    r.close(end)
    times.push(time)
  }
  r.close(stop)
  return times
}

/** Reads one label into a record; false when it is no UTF-8. */
const readLabel = (r: WireReader, stop: number, into: Record<string, string>): boolean => {
  let name: string | null = ''
  let value: string | null = ''
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 10) name = r.text(stop)
    else if (tag === 18) value = r.text(stop)
    else r.skip(tag, stop)
  }
  r.close(stop)
  if (name === null || value === null) return false
  if (name !== '') into[name] = value
  return true
}

/** The labels between two bytes, or why they are none: sorted, unique, non-empty, valid UTF-8 and with a metric name. */
const readLabels = (r: WireReader, from: number, end: number): Labels | string => {
  const labels: string[] = []
  let sortedHere = true
  let before: Buffer | null = null
  r.at = from
  while (r.at < end) {
    r.tag()
    const stop = r.open(end)
    let name: string | null = ''
    let value: string | null = ''
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 10) name = r.text(stop)
      else if (tag === 18) value = r.text(stop)
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (name === null || value === null) return `${describe(labels)} has a label that is no UTF-8`
    if (name === '') return `${describe(labels)} has a label without a name`
    if (value === '') return `${describe(labels)} has the label ${name} without a value; leave it out`
    const bytes = Buffer.from(name)
    const order: number = before === null ? -1 : Buffer.compare(before, bytes)
    if (order === 0) return `${describe(labels)} has the label ${name} twice`
    if (order > 0) return `${describe(labels)} has the label ${name} out of order; sort labels by name`
    if (before !== null && labels[labels.length - 2]! > name) sortedHere = false
    before = bytes
    labels.push(name, value)
  }
  if (!labels.includes(metricName)) return `${describe(labels)} has no __name__`
  // Bytes and UTF-16 units sort differently past U+FFFF; we keep the latter.
  return sortedHere ? labels : labelsOf(recordOf(labels))
}

const describe = (labels: readonly string[]): string => {
  for (let i = 0; i < labels.length; i += 2) if (labels[i] === metricName) return labels[i + 1]!.slice(0, 200)
  return 'a series'
}

const labelsLate = (at: number): AppError =>
  new AppError('bad_data', `protobuf: labels after samples at byte ${at}; labels come first`)

/** Walks the whole message once and throws `bad_data` where decoding would; the reader is left where it was. */
const checkRequest = (r: WireReader): void => {
  const back = r.at
  r.at = 0
  checkMessage(r, r.end, request)
  r.at = 0
  while (r.at < r.end) {
    const tag = r.tag()
    if (tag !== 10) {
      r.skip(tag, r.end)
      continue
    }
    const stop = r.open(r.end)
    r.at = labelsEnd(r, stop)
    while (r.at < stop) {
      const inner = r.tag()
      if (inner === 10) throw labelsLate(r.at)
      r.skip(inner, stop)
    }
  }
  r.at = back
}

const leaf: Shape = {}
const request: Shape = { 10: { 10: leaf, 18: leaf, 26: { 10: leaf }, 34: histogramShape }, 26: leaf }
