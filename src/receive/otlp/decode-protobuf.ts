// OTLP metrics in protobuf, walked in place: points go to a PointSink one by one, attributes are decoded only when asked for.
// Field numbers: github.com/open-telemetry/opentelemetry-proto, metrics/v1, common/v1, resource/v1.
import { checkMessage, type Shape, WireReader } from '../../lib/protobuf.ts'
import { readAttributes } from './attributes-protobuf.ts'
import { readExemplar } from './exemplar-protobuf.ts'
import { readSide, zigzag32 } from './exponential.ts'
import type { MetricKind } from './names.ts'
import { PointFields } from './point-fields.ts'
import type { Attributes, PointExemplar, PointSink, Temporality } from './points.ts'

/**
 * Tells `sink` what an ExportMetricsServiceRequest holds. Throws `bad_data` when it is none; before any attributes are given out, the
 * whole message has been walked, so that a broken one makes no series.
 */
export const decodeProtobuf = (body: Buffer, sink: PointSink): void => {
  const walk = new Walk(body)
  walk.request(sink)
}

const leaf: Shape = {}
const anyValue: Record<number, Shape> = {}
const keyValue: Shape = { 18: anyValue }
// Lists and maps hold values again.
Object.assign(anyValue, { 42: { 10: anyValue }, 50: { 10: keyValue } })
const exemplar: Shape = { 58: keyValue }
const numbers: Shape = { 10: { 58: keyValue, 42: exemplar } }
const request: Shape = {
  10: {
    10: { 10: keyValue },
    18: {
      10: { 26: keyValue },
      18: {
        42: numbers,
        58: numbers,
        74: { 10: { 74: keyValue, 66: exemplar, 50: 'words', 58: 'words' } },
        82: { 10: { 10: keyValue, 66: { 18: 'varints' }, 74: { 18: 'varints' }, 90: exemplar } },
        90: { 10: { 58: keyValue, 50: leaf } },
      },
    },
  },
}

/** A metric's data field and what it stands for. */
const kinds: ReadonlyMap<number, MetricKind> = new Map([
  [42, 'gauge'],
  [58, 'monotonic'],
  [74, 'histogram'],
  [82, 'exponential'],
  [90, 'summary'],
])

const temporalities: readonly Temporality[] = ['unspecified', 'delta', 'cumulative']

/** Nanoseconds in two words as whole milliseconds, exactly: 2^64 does not fit a double, the remainder of a division does. */
export const millis = (low: number, high: number): number =>
  Math.floor(high / 1e6) * 4294967296 + Math.floor(((high % 1e6) * 4294967296 + low) / 1e6)

class Walk {
  readonly #r: WireReader
  readonly #point: PointFields
  #checked = false

  constructor(body: Buffer) {
    this.#r = new WireReader(body)
    this.#point = new PointFields((from, end) => this.attributes(from, end), this.#r.view)
  }

  /** The fields of a message by key, with where each value begins and ends: for messages of few fields. */
  #fields(stop: number, each: (tag: number, from: number, end: number) => void): void {
    const r = this.#r
    while (r.at < stop) {
      const tag = r.tag()
      if ((tag & 7) !== 2) {
        const from = r.at
        r.skip(tag, stop)
        each(tag, from, r.at)
      } else {
        const end = r.open(stop)
        each(tag, r.at, end)
        r.at = end
      }
    }
    r.close(stop)
  }

  request(sink: PointSink): void {
    this.#fields(this.#r.end, (tag, from, end) => {
      if (tag === 10) this.#resource(from, end, sink)
    })
  }

  #resource(from: number, end: number, sink: PointSink): void {
    const r = this.#r
    let [resourceFrom, resourceEnd] = [0, 0]
    const scopes: number[] = []
    r.at = from
    this.#fields(end, (tag, at, stop) => {
      if (tag === 10) [resourceFrom, resourceEnd] = [at, stop]
      else if (tag === 18) scopes.push(at, stop)
    })
    sink.resource({
      key: `p${r.bytes.toString('latin1', resourceFrom, resourceEnd)}`,
      attributes: () => this.#attributesIn(resourceFrom, resourceEnd, 10),
    })
    for (let i = 0; i < scopes.length; i += 2) this.#scope(scopes[i]!, scopes[i + 1]!, sink)
    sink.endResource()
  }

  #scope(from: number, end: number, sink: PointSink): void {
    const r = this.#r
    let [name, version, schemaUrl] = ['', '', '']
    let [scopeFrom, scopeEnd] = [0, 0]
    const metrics: number[] = []
    r.at = from
    this.#fields(end, (tag, at, stop) => {
      if (tag === 10) [scopeFrom, scopeEnd] = [at, stop]
      else if (tag === 18) metrics.push(at, stop)
      else if (tag === 26) schemaUrl = r.bytes.toString('utf8', at, stop)
    })
    r.at = scopeFrom
    this.#fields(scopeEnd, (tag, at, stop) => {
      if (tag === 10) name = r.bytes.toString('utf8', at, stop)
      else if (tag === 18) version = r.bytes.toString('utf8', at, stop)
    })
    sink.scope({ name, version, schemaUrl, attributes: () => this.#attributesIn(scopeFrom, scopeEnd, 26) })
    for (let i = 0; i < metrics.length; i += 2) this.#metric(metrics[i]!, metrics[i + 1]!, sink)
  }

  #metric(from: number, end: number, sink: PointSink): void {
    const r = this.#r
    let [name, description, unit] = ['', '', '']
    let [data, dataFrom, dataEnd] = [0, 0, 0]
    r.at = from
    this.#fields(end, (tag, at, stop) => {
      if (tag === 10) name = r.bytes.toString('utf8', at, stop)
      else if (tag === 18) description = r.bytes.toString('utf8', at, stop)
      else if (tag === 26) unit = r.bytes.toString('utf8', at, stop)
      else if (kinds.has(tag)) [data, dataFrom, dataEnd] = [tag, at, stop]
    })
    let kind = kinds.get(data)
    if (kind === undefined) return
    let temporality: Temporality = data === 42 || data === 90 ? 'cumulative' : 'unspecified'
    // Temporality stands behind the points, so it is looked for first.
    r.at = dataFrom
    let monotonic = false
    while (r.at < dataEnd) {
      const tag = r.tag()
      if (tag === 16 && data !== 42 && data !== 90) temporality = temporalities[r.uint32()] ?? 'unspecified'
      else if (tag === 24 && data === 58) monotonic = r.uint32() !== 0
      else r.skip(tag, dataEnd)
    }
    r.close(dataEnd)
    if (data === 58 && !monotonic) kind = 'updown'
    sink.metric({ name, description, unit, kind, temporality })
    r.at = dataFrom
    while (r.at < dataEnd) {
      const tag = r.tag()
      if (tag !== 10) {
        r.skip(tag, dataEnd)
        continue
      }
      const stop = r.open(dataEnd)
      if (kind === 'histogram') this.#histogram(stop, sink)
      else if (kind === 'exponential') this.#exponential(stop, sink)
      else if (kind === 'summary') this.#summary(stop, sink)
      else this.#number(stop, sink)
      // Reading attributes moved about.
      r.at = stop
    }
  }

  #number(stop: number, sink: PointSink): void {
    const r = this.#r
    const p = this.#point
    p.clear()
    const exemplars: PointExemplar[] = []
    while (r.at < stop) {
      const tag = r.tag()
      switch (tag) {
        case 58:
          this.#attribute(stop)
          break
        case 17:
          r.fixed64()
          p.startAt = millis(r.low, r.high)
          break
        case 25:
          r.fixed64()
          p.at = millis(r.low, r.high)
          break
        case 33:
          p.value = r.double()
          p.hasValue = true
          break
        case 49:
          r.fixed64()
          p.value = (r.high | 0) * 4294967296 + r.low
          p.hasValue = true
          break
        case 64:
          p.stale = (r.uint32() & 1) === 1
          break
        case 42:
          exemplars.push(this.#exemplar(r.open(stop)))
          break
        default:
          r.skip(tag, stop)
      }
    }
    r.close(stop)
    if (exemplars.length > 0) sink.exemplars(exemplars)
    sink.number(this.#whole(58, stop))
  }

  #histogram(stop: number, sink: PointSink): void {
    const r = this.#r
    const p = this.#point
    p.clear()
    const exemplars: PointExemplar[] = []
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 74) this.#attribute(stop)
      else if (tag === 41) {
        p.sum = r.double()
        p.hasSum = true
      } else if (tag === 50) this.#words(stop, p.counts, false)
      else if (tag === 58) this.#words(stop, p.bounds, true)
      else if (tag === 49) p.counts.push(this.#unsigned())
      else if (tag === 57) p.bounds.push(r.double())
      else if (tag === 80) p.stale = (r.uint32() & 1) === 1
      else if (tag === 17 || tag === 25 || tag === 33) this.#head(tag)
      else if (tag === 66) exemplars.push(this.#exemplar(r.open(stop)))
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (exemplars.length > 0) sink.exemplars(exemplars)
    sink.histogram(this.#whole(74, stop))
  }

  #exponential(stop: number, sink: PointSink): void {
    const r = this.#r
    const p = this.#point
    p.clear()
    const exemplars: PointExemplar[] = []
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 10) this.#attribute(stop)
      else if (tag === 17 || tag === 25 || tag === 33) this.#head(tag)
      else if (tag === 41) {
        p.sum = r.double()
        p.hasSum = true
      } else if (tag === 48) p.scale = zigzag32(r)
      else if (tag === 57) p.zeroCount = this.#unsigned()
      else if (tag === 66) p.positive = readSide(r, stop)
      else if (tag === 74) p.negative = readSide(r, stop)
      else if (tag === 80) p.stale = (r.uint32() & 1) === 1
      else if (tag === 113) p.zeroThreshold = r.double()
      else if (tag === 90) exemplars.push(this.#exemplar(r.open(stop)))
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (exemplars.length > 0) sink.exemplars(exemplars)
    sink.exponential(this.#whole(10, stop))
  }

  #summary(stop: number, sink: PointSink): void {
    const r = this.#r
    const p = this.#point
    p.clear()
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 58) this.#attribute(stop)
      else if (tag === 41) p.sum = r.double()
      else if (tag === 64) p.stale = (r.uint32() & 1) === 1
      else if (tag === 17 || tag === 25 || tag === 33) this.#head(tag)
      else if (tag === 50) {
        const end = r.open(stop)
        let [quantile, value] = [0, 0]
        while (r.at < end) {
          const inner = r.tag()
          if (inner === 9) quantile = r.double()
          else if (inner === 17) value = r.double()
          else r.skip(inner, end)
        }
        r.close(end)
        p.quantiles.push(quantile)
        p.values.push(value)
      } else r.skip(tag, stop)
    }
    r.close(stop)
    sink.summary(this.#whole(58, stop))
  }

  #exemplar(stop: number): PointExemplar {
    return readExemplar(this.#r, stop, millis, (...where) => this.#attributesIn(...where))
  }

  /** Start, time and count, which histograms and summaries share. */
  #head(tag: number): void {
    const r = this.#r
    const p = this.#point
    r.fixed64()
    if (tag === 17) p.startAt = millis(r.low, r.high)
    else if (tag === 25) p.at = millis(r.low, r.high)
    else p.count = r.high * 4294967296 + r.low
  }

  #unsigned(): number {
    const r = this.#r
    r.fixed64()
    return r.high * 4294967296 + r.low
  }

  #words(stop: number, into: number[], floats: boolean): void {
    const r = this.#r
    const end = r.open(stop)
    while (r.at < end) into.push(floats ? r.double() : this.#unsigned())
    r.close(end)
  }

  /** Notes an attribute's field, whose key has just been read; the key is one byte. */
  #attribute(stop: number): void {
    const r = this.#r
    const p = this.#point
    const from = r.at - 1
    r.at = r.open(stop)
    if (p.scattered !== null) p.scattered.push(from, r.at)
    else if (p.end === 0) {
      p.from = from
      p.end = r.at
    } else if (p.end === from) p.end = r.at
    else p.scattered = [p.from, p.end, from, r.at]
  }

  /** The point with its attributes in one range of bytes: those that stand apart make the whole point stand for them. */
  #whole(key: number, stop: number): PointFields {
    const p = this.#point
    this.#key = key
    if (p.scattered !== null) {
      p.from = p.scattered[0]!
      p.end = stop
    }
    return p
  }
  #key = 0

  attributes(from: number, end: number): Attributes {
    return this.#attributesIn(from, end, this.#key)
  }

  #attributesIn(from: number, end: number, key: number): Attributes {
    const r = this.#r
    if (!this.#checked) {
      r.at = 0
      checkMessage(r, r.end, request)
      this.#checked = true
    }
    return readAttributes(r, from, end, key)
  }
}
