// Collects decoded samples into columns, refuses what may not pass, and remembers why.
import { RowWriter } from '../lib/row-binary.ts'
import type { Instant } from '../lib/time.ts'
import type { Batch, CostRow, EventRow, Metadata } from './batch.ts'
import { type Cardinality, type CardinalityReason, unknownSource } from './cardinality.ts'
import { ExemplarRows, exemplarLabelsFit } from './exemplar.ts'
import { type Labels, labelOf, metricName } from './labels.ts'
import { encodeHistogram, fitted, type NativeHistogram, wrongWith } from './native-histogram.ts'
import type { SeriesRows } from './packed-rows.ts'
import type { SeriesRef, SeriesTable } from './series.ts'

export interface AdmissionLimits {
  /** Samples older than this many milliseconds before now are refused. */
  readonly maxAge: number
  /** Samples further than this ahead of now are refused. */
  readonly maxAhead: number
  readonly labels: number
  readonly labelNameLength: number
  readonly labelValueLength: number
  /** What Airboss says of itself: it may use the room that is kept beyond the limit of series. */
  readonly own?: boolean
  /** Counts active series; without it only their whole number is limited. */
  readonly cardinality?: Cardinality
  /** What stands for the source of series that have no job. */
  readonly protocol?: string
}

/** Accepted by default: one hour back, ten minutes ahead, 64 labels of 1 KiB names and 4 KiB values. */
export const defaultAdmission: AdmissionLimits = {
  maxAge: 3_600_000,
  maxAhead: 600_000,
  labels: 64,
  labelNameLength: 1024,
  labelValueLength: 4096,
}

/** Most buckets of a native histogram; one with more loses resolution until it has no more, or is refused. */
const mostBuckets = 10_000

export type RejectReason =
  | 'too_old'
  | 'too_far_ahead'
  | 'series_limit'
  | CardinalityReason
  | 'label_limit'
  | 'bad_labels'
  | 'bad_sample'
  | 'bad_histogram'
  | 'unsupported'

export interface Rejection {
  readonly reason: RejectReason
  readonly count: number
  /** One example in words, naming the series and the mend. */
  readonly example: string
}

export class BatchBuilder {
  readonly #table: SeriesTable
  readonly #limits: AdmissionLimits
  readonly #oldestAt: number
  readonly #newestAt: number
  readonly #rejections = new Map<RejectReason, { count: number; example: string }>()
  #ref: Uint32Array
  #at: Float64Array
  #value: Float64Array
  #length = 0
  #histograms: { refs: number[]; ats: number[]; ends: number[]; rows: RowWriter } | null = null
  readonly metadata: Metadata[] = []
  readonly events: EventRow[] = []
  readonly costs: CostRow[] = []
  #exemplars: ExemplarRows | null = null
  /** Exemplars that were too long, too old or ahead of time: they are left out and refuse nothing else. */
  exemplarsDropped = 0

  constructor(table: SeriesTable, limits: AdmissionLimits, now: Instant, capacity = 1024) {
    this.#table = table
    this.#limits = limits
    this.#oldestAt = now - limits.maxAge
    this.#newestAt = now + limits.maxAhead
    this.#ref = new Uint32Array(capacity)
    this.#at = new Float64Array(capacity)
    this.#value = new Float64Array(capacity)
  }

  get length(): number {
    return this.#length
  }
  /** Native histograms, which are not among the samples. */
  get histograms(): number {
    return this.#histograms?.refs.length ?? 0
  }
  /** Whether there is nothing to be pushed. */
  get empty(): boolean {
    return (
      this.#length + this.metadata.length + this.events.length + this.costs.length === 0 &&
      this.#exemplars === null &&
      this.#histograms === null
    )
  }
  get rejected(): number {
    let n = 0
    for (const r of this.#rejections.values()) n += r.count
    return n
  }
  get rejections(): Rejection[] {
    return [...this.#rejections].map(([reason, r]) => ({ reason, ...r }))
  }

  /** The reference of a label set, or -1 when it may not pass; the caller then rejects each of its samples with `lastReason`. */
  series(labels: Labels): SeriesRef {
    const why = this.#check(labels)
    if (why) {
      this.lastReason = why[0]
      this.lastExample = why[1]
      return -1
    }
    const { cardinality, own } = this.#limits
    const known = this.#table.find(labels)
    if (known !== undefined && (cardinality === undefined || cardinality.isActive(known))) return known
    return this.#newcomer(labels, cardinality, own ?? false)
  }

  /** A series that is new, or comes back after it was gone. */
  #newcomer(labels: Labels, cardinality: Cardinality | undefined, own: boolean): SeriesRef {
    const { protocol = unknownSource } = this.#limits
    const refused = own ? null : cardinality?.refusal(labels, protocol)
    if (refused) {
      this.lastReason = refused[0]
      this.lastExample = refused[1]
      return -1
    }
    const ref = this.#table.intern(labels, own)
    if (ref >= 0) cardinality?.expect(ref, protocol)
    else {
      this.lastReason = 'series_limit'
      this.lastExample = `the limit of series is reached (${this.#table.size}); raise storage.max_series or send fewer label values`
    }
    return ref
  }
  lastReason: RejectReason = 'bad_labels'
  lastExample = ''

  #check(labels: Labels): [RejectReason, string] | null {
    const l = this.#limits
    if (labels.length / 2 > l.labels)
      return ['label_limit', `${labels.length / 2} labels on ${labels[1]}, at most ${l.labels} are taken`]
    for (let i = 0; i < labels.length; i += 2) {
      if (labels[i]!.length > l.labelNameLength)
        return ['label_limit', `label name of ${labels[i]!.length} characters, at most ${l.labelNameLength}`]
      if (labels[i + 1]!.length > l.labelValueLength) {
        return [
          'label_limit',
          `value of label ${labels[i]} has ${labels[i + 1]!.length} characters, at most ${l.labelValueLength}`,
        ]
      }
    }
    return null
  }

  /** Adds one sample; false when its time is outside the accepted age. */
  add(ref: SeriesRef, at: number, value: number): boolean {
    if (!this.#timely(ref, at)) return false
    if (this.#length === this.#ref.length) this.#grow()
    const i = this.#length++
    this.#ref[i] = ref
    this.#at[i] = at
    this.#value[i] = value
    return true
  }

  /** Adds one sample by the bits of its value, so that a stale marker keeps them. */
  addBits(ref: SeriesRef, at: number, low: number, high: number): boolean {
    if (!this.add(ref, at, 0)) return false
    const words = new Uint32Array(this.#value.buffer, (this.#length - 1) * 8, 2)
    words[0] = low
    words[1] = high
    return true
  }

  /**
   * Adds one native histogram; false when its time is outside the accepted age or it is none (`integers`: its counts came as integers, which
   * must add up). One with too many buckets, or too fine a schema, is kept at a lower resolution.
   */
  histogram(ref: SeriesRef, at: number, h: NativeHistogram, integers = false): boolean {
    if (!this.#timely(ref, at)) return false
    const why = wrongWith(h, integers)
    const kept = why ? null : fitted(h, mostBuckets)
    if (!kept) {
      this.reject(
        'bad_histogram',
        `native histogram ${this.nameOf(ref)}: ${why ?? `more than ${mostBuckets} buckets, and no lower resolution to bring it to`}`,
      )
      return false
    }
    this.#histograms ??= { refs: [], ats: [], ends: [], rows: new RowWriter(4096) }
    const { refs, ats, ends, rows } = this.#histograms
    encodeHistogram(kept, rows)
    refs.push(ref)
    ats.push(at)
    ends.push(rows.length)
    return true
  }

  /**
   * Adds an exemplar of a series, `labels` with `trace_id` and `span_id` among them; `at` in milliseconds. False when it is left out: its
   * labels have more than 128 characters, or its time is outside the accepted age.
   */
  exemplar(ref: SeriesRef, at: number, value: number, labels: Labels): boolean {
    if (!this.accepts(at) || !exemplarLabelsFit(labels)) {
      this.exemplarsDropped++
      return false
    }
    this.#exemplars ??= new ExemplarRows()
    this.#exemplars.add(ref, at, value, labels)
    return true
  }

  #timely(ref: SeriesRef, at: number): boolean {
    // NaN compares false, and so is refused.
    if (at >= this.#oldestAt && at <= this.#newestAt) return true
    this.rejectTime(this.#table.labels(ref)[1] ?? '', at)
    return false
  }

  /** The metric name of a series. */
  nameOf(ref: SeriesRef): string {
    return labelOf(this.#table.labels(ref), metricName)
  }

  /** Whether a sample at this time may pass: for those who would not make a series for one that may not. */
  accepts(at: number): boolean {
    return at >= this.#oldestAt && at <= this.#newestAt
  }

  /** Rejects a sample of metric `name` because of its time. */
  rejectTime(name: string, at: number, count = 1): void {
    if (at > this.#newestAt)
      this.reject(
        'too_far_ahead',
        `${name} at ${at} ms is ahead of now by more than ${this.#limits.maxAhead} ms; check the sender's clock`,
        count,
      )
    else if (at < this.#oldestAt)
      this.reject(
        'too_old',
        `${name} at ${at} ms is older than ${this.#limits.maxAge} ms; storage.out_of_order_time_window sets how old a sample may be`,
        count,
      )
    else this.reject('bad_sample', `${name} has a time that is no number`, count)
  }

  reject(reason: RejectReason, example: string, count = 1): void {
    const known = this.#rejections.get(reason)
    if (known) known.count += count
    else this.#rejections.set(reason, { count, example })
  }

  #grow(): void {
    const wider = this.#ref.length * 2
    const ref = new Uint32Array(wider)
    ref.set(this.#ref)
    this.#ref = ref
    // Through words, so that no NaN loses its bits on the way.
    const at = new Float64Array(wider)
    at.set(this.#at)
    this.#at = at
    const value = new Float64Array(wider)
    new Uint32Array(value.buffer).set(new Uint32Array(this.#value.buffer))
    this.#value = value
  }

  #histogramRows(): SeriesRows | undefined {
    if (!this.#histograms) return undefined
    const { refs, ats, ends, rows } = this.#histograms
    return {
      ref: Uint32Array.from(refs),
      at: Float64Array.from(ats),
      ends: Uint32Array.from(ends),
      bytes: rows.bytes(),
    }
  }

  build(): Batch {
    const n = this.#length
    return {
      ref: this.#ref.subarray(0, n),
      at: this.#at.subarray(0, n),
      value: this.#value.subarray(0, n),
      metadata: this.metadata,
      events: this.events,
      costs: this.costs,
      histograms: this.#histogramRows(),
      ...(this.#exemplars ? { exemplars: this.#exemplars.build() } : {}),
    }
  }
}
