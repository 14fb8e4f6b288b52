// Prometheus's protobuf format (io.prometheus.client.MetricFamily, delimited) into columns: one walk over the bytes, a metric's labels read once and then known by their bytes.
import { AppError } from '../../lib/errors.ts'
import { WireReader } from '../../lib/protobuf.ts'
import { formatFloat } from '../../lib/template/float.ts'
import type { MetricType } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { type Labels, labelsOf } from '../../model/labels.ts'
import { bucketsOf, type NativeHistogram } from '../../model/native-histogram.ts'
import { LineError } from './line.ts'
import type { MetadataLines } from './metadata.ts'
import { ProtobufMetric, type RawExemplar, type RawSpans } from './protobuf-metric.ts'
import type { DecodeCounts, Entry, SeriesCache } from './series-cache.ts'

export interface ProtobufOptions {
  /** Whether native histograms are kept as such. */
  readonly native: boolean
  /** Whether the classic buckets of a histogram that is native are kept too. */
  readonly classicToo: boolean
}

const types: readonly MetricType[] = ['counter', 'gauge', 'summary', 'unknown', 'histogram', 'gaugehistogram']
const summary = 2
const histogram = 4
const gaugeHistogram = 5

/** A metric as it was: its name, type and label bytes, by which it is known again, and the texts of its series. */
interface Slot {
  readonly key: string
  readonly metric: string
  readonly type: number
  readonly bytes: Buffer
  readonly pairs: readonly string[]
  /** By place (count, sum, then bound after bound) the text of a series, and the bound it was made with. */
  readonly texts: string[]
  readonly bounds: number[]
  /** The text of the series without suffix or further label, as a native histogram has it. */
  own: string
}

interface Family {
  name: string
  help: string
  unit: string
  type: number
  /** Where its metrics lie, from and to in turn. */
  readonly metrics: number[]
}

/** Labels' numbers are written as OpenMetrics has them, so that 1 and 1.0 are one bucket. */
const bound = (value: number): string => {
  const text = formatFloat(value, 'g', -1)
  return /[.eNI]/.test(text) ? text : `${text}.0`
}

const escaped = (text: string): string => text.replace(/[\\"\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))
const bareMetric = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const bareLabel = /^[a-zA-Z_][a-zA-Z0-9_]*$/

/** Decodes the protobuf scrapes of one target; `series` is shared with its text scrapes. */
export class ProtobufDecoder {
  readonly #series: SeriesCache
  readonly #metadata: MetadataLines
  readonly #options: () => ProtobufOptions
  readonly #metric = new ProtobufMetric()
  /** Metrics by name, type and label bytes. */
  #known = new Map<string, Slot>()
  /** Slots in the order of the last scrape, and of this one: the n-th metric mostly is the n-th again. */
  #lastOrder: Slot[] = []
  #order: Slot[] = []
  /** The time of the sample added last. */
  #keptAt = 0
  /** Counts of the last body, also of one that was refused. */
  counts: DecodeCounts = { scraped: 0, kept: 0, added: 0 }

  constructor(series: SeriesCache, metadata: MetadataLines, options: () => ProtobufOptions) {
    this.#series = series
    this.#metadata = metadata
    this.#options = options
  }

  /**
   * Reads one body into `builder`, samples without a time of their own at `at`. Throws `bad_data` naming the byte, or `limit_exceeded`; the
   * builder is then to be thrown away.
   */
  decode(body: Buffer, builder: BatchBuilder, at: number): DecodeCounts {
    const series = this.#series
    series.begin(builder, at)
    this.#metadata.begin('text')
    this.#order = []
    try {
      const r = new WireReader(body)
      while (r.at < r.end) this.#family(r, r.open(r.end), builder)
      series.checkLimit()
    } catch (error) {
      series.rollback()
      this.counts = { scraped: series.scraped, kept: series.kept, added: 0 }
      if (error instanceof LineError) throw new AppError('bad_data', `protobuf: ${error.message}`)
      throw error
    }
    if (this.#known.size > this.#order.length * 2 + 1000)
      this.#known = new Map(this.#order.map((slot) => [slot.key, slot]))
    this.#lastOrder = this.#order
    series.commit()
    this.#metadata.flush(builder)
    this.counts = { scraped: series.scraped, kept: series.kept, added: series.added }
    return this.counts
  }

  #family(r: WireReader, stop: number, builder: BatchBuilder): void {
    const family: Family = { name: '', help: '', unit: '', type: 0, metrics: [] }
    while (r.at < stop) {
      const tag = r.tag()
      if (tag === 10) family.name = textAt(r, stop)
      else if (tag === 18) family.help = textAt(r, stop)
      else if (tag === 24) family.type = r.uint32()
      else if (tag === 34) {
        const end = r.open(stop)
        family.metrics.push(r.at, end)
        r.at = end
      } else if (tag === 42) family.unit = textAt(r, stop)
      else r.skip(tag, stop)
    }
    r.close(stop)
    if (family.name === '') throw new AppError('bad_data', `a metric family before byte ${stop} has no name`)
    this.#metadata.family(family.name, types[family.type] ?? 'unknown', family.help, family.unit)
    for (let i = 0; i < family.metrics.length; i += 2) {
      r.at = family.metrics[i]!
      this.#metric.read(r, family.metrics[i + 1]!)
      this.#samples(family, builder, r)
    }
    r.at = stop
  }

  #samples(family: Family, builder: BatchBuilder, r: WireReader): void {
    const metric = this.#metric
    const slot = this.#slot(family, r)
    if (family.type === summary) {
      this.#add(slot, 0, '_count', '', 0, metric.count, builder)
      this.#add(slot, 1, '_sum', '', 0, metric.sum, builder)
      for (let i = 0; i < metric.points; i++)
        this.#add(slot, i + 2, '', 'quantile', metric.bounds[i]!, metric.values[i]!, builder)
    } else if (family.type === histogram || family.type === gaugeHistogram) {
      const { native, classicToo } = this.#options()
      const isNative = native && metric.isNative
      if (isNative) this.#native(slot, builder, r)
      if (!isNative || (classicToo && metric.points > 0)) this.#classic(slot, builder, r)
    } else {
      const entry = this.#add(slot, 0, '', '', 0, metric.value, builder)
      if (metric.exemplars.size > 0) this.#exemplar(entry, metric.exemplars.get(0), builder, r)
    }
  }

  #native(slot: Slot, builder: BatchBuilder, r: WireReader): void {
    const metric = this.#metric
    if (slot.own === '') slot.own = textOf(slot, '', '', 0)
    const entry = this.#series.entry(slot.own)
    const at = this.#series.keep(entry, metric.time !== 0, metric.time)
    if (Number.isNaN(at)) return
    const made = nativeOf(metric, slot.type === gaugeHistogram)
    if (typeof made === 'string') {
      builder.reject('bad_histogram', `native histogram ${slot.metric}: ${made}`)
      return
    }
    builder.histogram(entry.ref, at, made, !isFloat(metric))
    // Its own, or those of its classic buckets; without a time none can be told from one that was kept before.
    const all = metric.ownExemplars.length > 0 ? metric.ownExemplars : [...metric.exemplars.values()]
    for (const e of all.filter((x) => !Number.isNaN(x.at)).sort((a, b) => a.at - b.at)) {
      if (e.at <= entry.exemplarAt) continue
      entry.exemplarAt = e.at
      builder.exemplar(entry.ref, e.at, e.value, exemplarLabels(r, e))
    }
  }

  #classic(slot: Slot, builder: BatchBuilder, r: WireReader): void {
    const { points, bounds, values, count, sum, exemplars } = this.#metric
    this.#add(slot, 0, '_count', '', 0, count, builder)
    this.#add(slot, 1, '_sum', '', 0, sum, builder)
    for (let i = 0; i < points; i++) {
      const entry = this.#add(slot, i + 2, '_bucket', 'le', bounds[i]!, values[i]!, builder)
      if (exemplars.size > 0) this.#exemplar(entry, exemplars.get(i), builder, r)
    }
    if (points === 0 || bounds[points - 1] !== Number.POSITIVE_INFINITY)
      this.#add(slot, points + 2, '_bucket', 'le', Number.POSITIVE_INFINITY, count, builder)
  }

  /** Adds the sample at a place of the slot; its entry when it was kept. */
  #add(
    slot: Slot,
    place: number,
    suffix: string,
    label: string,
    at: number,
    value: number,
    builder: BatchBuilder,
  ): Entry | null {
    const series = this.#series
    const { time } = this.#metric
    const known = slot.bounds[place] === at ? slot.texts[place] : undefined
    const expected = series.expected()
    let entry: Entry
    if (known !== undefined && expected?.text === known) {
      entry = expected
      series.again(entry)
    } else {
      entry = series.entry(known ?? textOf(slot, suffix, label, at))
      // The same text object, so that comparing it is comparing an address.
      slot.texts[place] = entry.text
      slot.bounds[place] = at
    }
    const keptAt = series.keep(entry, time !== 0, time)
    if (Number.isNaN(keptAt)) return null
    builder.add(entry.ref, keptAt, value)
    this.#keptAt = keptAt
    return entry
  }

  /** Keeps an exemplar of the sample just added, unless it is the one the series came with before. */
  #exemplar(entry: Entry | null, raw: RawExemplar | undefined, builder: BatchBuilder, r: WireReader): void {
    if (entry === null || raw === undefined) return
    const written = r.bytes.toString('latin1', raw.from, raw.to)
    if (written === entry.exemplar) return
    entry.exemplar = written
    const at = Number.isNaN(raw.at) ? this.#keptAt : raw.at
    builder.exemplar(entry.ref, at, raw.value, exemplarLabels(r, raw))
  }

  /** What is known of the metric just read, by all the bytes from its first label to its last. */
  #slot(family: Family, r: WireReader): Slot {
    const { labels } = this.#metric
    const from = labels.length === 0 ? 0 : labels[0]!
    const to = labels.length === 0 ? 0 : labels.at(-1)!
    const expected = this.#lastOrder[this.#order.length]
    const slot =
      expected !== undefined && isSame(expected, family, r, from, to)
        ? expected
        : this.#found(family, r, from, to)
    this.#order.push(slot)
    return slot
  }

  #found(family: Family, r: WireReader, from: number, to: number): Slot {
    const { labels } = this.#metric
    const key = `${family.type} ${family.name}\u00ff${r.bytes.toString('latin1', from, to)}`
    let slot = this.#known.get(key)
    if (!slot) {
      const pairs: string[] = []
      for (let i = 0; i < labels.length; i += 2) {
        r.at = labels[i]!
        pairs.push(pairOf(r, labels[i + 1]!))
      }
      const bytes = Buffer.from(r.bytes.subarray(from, to))
      slot = { key, metric: family.name, type: family.type, bytes, pairs, texts: [], bounds: [], own: '' }
      this.#known.set(key, slot)
    }
    return slot
  }
}

const isSame = (slot: Slot, family: Family, r: WireReader, from: number, to: number): boolean => {
  const { bytes } = slot
  const size = to - from
  if (bytes.length !== size || slot.type !== family.type || slot.metric !== family.name) return false
  const whole = r.bytes
  for (let i = 0; i < size; i++) if (bytes[i] !== whole[from + i]) return false
  return true
}

/** A series as the text format writes it: by it all formats know it as the same. */
const textOf = (slot: Slot, suffix: string, label: string, at: number): string => {
  const pairs = label === '' ? slot.pairs : [...slot.pairs, `${label}="${bound(at)}"`]
  const name = slot.metric + suffix
  const isBare = bareMetric.test(name)
  const all = isBare ? pairs : [`"${escaped(name)}"`, ...pairs]
  const head = isBare ? name : ''
  return all.length === 0 ? head : `${head}{${all.join(',')}}`
}

const textAt = (r: WireReader, stop: number): string => {
  const at = r.at
  const text = r.text(stop)
  if (text === null) throw new AppError('bad_data', `protobuf: text at byte ${at} is no valid UTF-8`)
  return text
}

interface LabelPair {
  readonly name: string
  readonly value: string
}

const readPair = (r: WireReader, stop: number): LabelPair => {
  let name = ''
  let value = ''
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 10) name = textAt(r, stop)
    else if (tag === 18) value = textAt(r, stop)
    else r.skip(tag, stop)
  }
  r.close(stop)
  if (name === '') throw new AppError('bad_data', `protobuf: a label before byte ${stop} has no name`)
  return { name, value }
}

/** A LabelPair as the text format writes it. */
const pairOf = (r: WireReader, stop: number): string => {
  const { name, value } = readPair(r, stop)
  return `${bareLabel.test(name) ? name : `"${escaped(name)}"`}="${escaped(value)}"`
}

const exemplarLabels = (r: WireReader, { labels }: RawExemplar): Labels => {
  const found: Record<string, string> = {}
  for (let i = 0; i < labels.length; i += 2) {
    r.at = labels[i]!
    const { name, value } = readPair(r, labels[i + 1]!)
    found[name] = value
  }
  return labelsOf(found)
}

const isFloat = (metric: ProtobufMetric): boolean => metric.countIsFloat || metric.zeroIsFloat

/** The native histogram of a metric; a text says why it is none. */
const nativeOf = (metric: ProtobufMetric, isGauge: boolean): NativeHistogram | string => {
  const side = (spans: RawSpans) =>
    isFloat(metric) ? bucketsOf(spans, spans.counts, false) : bucketsOf(spans, spans.deltas, true)
  const positive = side(metric.positive)
  if (typeof positive === 'string') return positive
  const negative = side(metric.negative)
  if (typeof negative === 'string') return negative
  const { schema, count, sum, zeroThreshold, zeroCount } = metric
  const hint = isGauge ? 'gauge' : 'unknown'
  return { schema, hint, count, sum, zeroThreshold, zeroCount, positive, negative, bounds: [] }
}
