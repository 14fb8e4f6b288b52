// Remote write 2.0: texts stand once in a table of symbols, and each series carries its metadata.
// Format: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/ and io.prometheus.write.v2's types.proto.
import { AppError } from '../../lib/errors.ts'
import { checkMessage, type Shape, textOf, WireReader } from '../../lib/protobuf.ts'
import type { MetricType } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { type Labels, labelOf, labelsOf, metricName } from '../../model/labels.ts'
import { histogramShape, takeHistogram } from './native-histogram.ts'

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

/** What was kept, by the names of the answer's headers. */
export interface Written {
  samples: number
  histograms: number
  exemplars: number
}

const leaf: Shape = {}
const request: Shape = {
  42: { 10: 'varints', 18: leaf, 26: histogramShape, 34: { 10: 'varints' }, 42: leaf },
}

export class WriteRequestV2Decoder {
  readonly #r: WireReader
  readonly #builder: BatchBuilder
  readonly #symbols: (readonly [from: number, end: number])[] = []
  readonly #texts = new Map<number, string | null>()
  readonly written: Written = { samples: 0, histograms: 0, exemplars: 0 }

  /** Walks the whole message first: throws `bad_data` when it is no Request, and then no series was made. */
  constructor(body: Buffer, builder: BatchBuilder) {
    this.#r = new WireReader(body)
    this.#builder = builder
    const r = this.#r
    checkMessage(r, r.end, request)
    r.at = 0
    while (r.at < r.end) {
      const tag = r.tag()
      if (tag !== 34) r.skip(tag, r.end)
      else {
        const end = r.open(r.end)
        this.#symbols.push([r.at, end])
        r.at = end
      }
    }
    const first = this.#symbols[0]
    if (first && first[0] !== first[1])
      throw new AppError('bad_data', 'remote write 2.0: the first symbol must be the empty text')
    r.at = 0
  }

  /** Goes on for `most` series, or to the end; true when it is done. */
  run(most: number): boolean {
    const r = this.#r
    let left = most
    while (r.at < r.end) {
      if (left === 0) return false
      const tag = r.tag()
      if (tag !== 42) r.skip(tag, r.end)
      else {
        left--
        this.#series(r.open(r.end))
      }
    }
    return true
  }

  #text(symbol: number): string | null {
    const known = this.#texts.get(symbol)
    if (known !== undefined) return known
    const place = this.#symbols[symbol]
    const text = place ? textOf(this.#r.bytes, place[0], place[1]) : null
    this.#texts.set(symbol, text)
    return text
  }

  #series(stop: number): void {
    const r = this.#r
    const from = r.at
    const refs: number[] = []
    let points = 0
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 10) {
        const end = r.open(stop)
        while (r.at < end) refs.push(r.uint32())
      } else if (tag === 8) refs.push(r.uint32())
      else {
        if (tag === 18 || tag === 26) points++
        r.skip(tag, stop)
      }
    }
    const labels = this.#labels(refs)
    const ref = typeof labels === 'string' ? -1 : this.#builder.series(labels)
    if (ref >= 0) {
      r.at = from
      this.#points(ref, labelOf(labels as Labels, metricName), stop)
      return
    }
    r.at = stop
    if (points === 0) return
    if (typeof labels === 'string') this.#builder.reject('bad_labels', labels, points)
    else this.#builder.reject(this.#builder.lastReason, this.#builder.lastExample, points)
  }

  /** The labels of pairs of symbols, or why they are none. */
  #labels(refs: readonly number[]): Labels | string {
    if (refs.length % 2 !== 0) return 'a series has a label name without a value'
    const record: Record<string, string> = {}
    for (let i = 0; i < refs.length; i += 2) {
      const name = this.#text(refs[i]!)
      const value = this.#text(refs[i + 1]!)
      const of = record[metricName] ?? 'a series'
      if (name === null || value === null)
        return `${of} has a label that is no UTF-8, or a symbol beyond the ${this.#symbols.length} that are there`
      if (name === '' || value === '') return `${of} has a label without a name or a value`
      if (Object.hasOwn(record, name)) return `${of} has the label ${name} twice`
      record[name] = value
    }
    return Object.hasOwn(record, metricName) ? labelsOf(record) : 'a series has no __name__'
  }

  #points(ref: number, name: string, stop: number): void {
    const r = this.#r
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 18) this.#sample(ref, r.open(stop))
      else if (tag === 26) {
        if (takeHistogram(r, r.open(stop), ref, this.#builder, () => name)) this.written.histograms++
      } else if (tag === 42) this.#metadata(name, r.open(stop))
      else if (tag === 34) this.#exemplar(ref, r.open(stop))
      else r.skip(tag, stop)
    }
  }

  #sample(ref: number, stop: number): void {
    const r = this.#r
    let at = 0
    let [low, high] = [0, 0]
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 9) {
        r.fixed64()
        low = r.low
        high = r.high
      } else if (tag === 16) at = r.int64()
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (this.#builder.addBits(ref, at, low, high)) this.written.samples++
  }

  #exemplar(ref: number, stop: number): void {
    const r = this.#r
    const record: Record<string, string> = {}
    let [value, at, readable] = [0, 0, true]
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 10) {
        const end = r.open(stop)
        while (r.at < end) {
          const name = this.#text(r.uint32())
          const text = r.at < end ? this.#text(r.uint32()) : null
          if (name === null || text === null) readable = false
          else record[name] = text
        }
      } else if (tag === 17) value = r.double()
      else if (tag === 24) at = r.int64()
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (!readable) this.#builder.exemplarsDropped++
    else if (this.#builder.exemplar(ref, at, value, labelsOf(record))) this.written.exemplars++
  }

  #metadata(name: string, stop: number): void {
    const r = this.#r
    let [type, help, unit] = [0, 0, 0]
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 8) type = r.uint32()
      else if (tag === 24) help = r.uint32()
      else if (tag === 32) unit = r.uint32()
      else r.skip(tag, stop)
    }
    r.close(stop)
    // Its series carry a family's metadata each; what says nothing is none.
    if (type === 0 && help === 0 && unit === 0) return
    const metric = type === 3 || type === 5 ? name.replace(/_(bucket|count|sum)$/, '') : name
    this.#builder.metadata.push({
      metric,
      type: types[type] ?? 'unknown',
      help: this.#text(help) ?? '',
      unit: this.#text(unit) ?? '',
    })
  }
}
