// OTLP metrics become Prometheus series: one Translation a request, over what a TranslationMemory has learnt from those before.
import { staleHigh, staleLow } from '../../model/batch.ts'
import type { BatchBuilder, RejectReason } from '../../model/batch-builder.ts'
import { atSchema, mostSchema, wrongWith } from '../../model/native-histogram.ts'
import type { SeriesRef } from '../../model/series.ts'
import type { DeltaOutcome, DeltaTransaction } from './delta.ts'
import { nativeOf } from './exponential.ts'
import type { ScopeLabels } from './label-sets.ts'
import { addExemplars } from './point-exemplars.ts'
import {
  ascending,
  eachBucket,
  histogramSeries,
  none,
  numberSeries,
  type PointSeries,
  type SeriesMaker,
  sameNumbers,
  summarySeries,
} from './point-series.ts'
import type {
  ExponentialPoint,
  HistogramPoint,
  MetricHead,
  NumberPoint,
  Point,
  PointExemplar,
  PointSink,
  ResourceHead,
  ScopeHead,
  SummaryPoint,
} from './points.ts'
import type { MetricContext, ResourceContext, TranslationMemory } from './translation-memory.ts'

const noExemplars: readonly PointExemplar[] = []

/** Turns what a decoder tells into samples in a builder; each point that may not pass is rejected there, counted once. */
export class Translation implements PointSink {
  readonly #memory: TranslationMemory
  readonly #builder: BatchBuilder
  readonly #delta: () => DeltaTransaction | null
  readonly #news = new Set<string>()
  #resource: ResourceContext | string = 'points without a resource'
  #scope: ScopeLabels | null = null
  #scopeKey = ''
  #metric: MetricContext | null = null
  #latestAt = 0
  /** Samples that points made, without target_info. */
  samples = 0
  /** Of the point that comes next. */
  #exemplars: readonly PointExemplar[] = noExemplars
  /** Delta points came while another request's were under way: translate again when it is over. */
  blocked = false

  /** `delta` opens the transaction for delta points on first use, or gives null while another is open. */
  constructor(memory: TranslationMemory, builder: BatchBuilder, delta: () => DeltaTransaction | null) {
    this.#memory = memory
    this.#builder = builder
    this.#delta = delta
  }

  resource(head: ResourceHead): void {
    this.#resource = this.#memory.resource(head)
    this.#latestAt = 0
    this.#scope = null
    this.#scopeKey = ''
  }

  scope(head: ScopeHead): void {
    if (!this.#memory.config.promote_scope_metadata) return
    const attributes = head.attributes()
    const list = typeof attributes === 'string' ? [] : attributes
    this.#scope = { name: head.name, version: head.version, schemaUrl: head.schemaUrl, attributes: list }
    this.#scopeKey = JSON.stringify(this.#scope)
  }

  metric(head: MetricHead): void {
    this.#metric =
      typeof this.#resource === 'string' ? null : this.#memory.metric(this.#resource, head, this.#scopeKey)
  }

  number(point: NumberPoint): void {
    this.#exemplify(this.#number(point), point.at)
  }

  /** The point's series when it was kept. */
  #number(point: NumberPoint): PointSeries | null {
    const metric = this.#open(point)
    if (!metric) return null
    if (!point.hasValue && !point.stale) {
      this.#refuse('bad_sample', `${metric.name} has a point without a value`)
      return null
    }
    const series = this.#series(metric, point, numberSeries, none)
    if (!series) return null
    if (point.stale) this.#stale(series.ref, point.at)
    else if (!metric.delta) this.#add(series.ref, point.at, point.value)
    else if (!this.#count(metric, series.ref, point, point.value)) return null
    this.#seen(point)
    return series
  }

  histogram(point: HistogramPoint): void {
    this.#exemplify(this.#histogram(point), point.at)
  }

  #histogram(point: HistogramPoint): PointSeries | null {
    const metric = this.#open(point)
    if (!metric) return null
    const { counts, bounds } = point
    if (counts.length > 0 ? counts.length !== bounds.length + 1 : bounds.length > 0) {
      this.#refuse(
        'bad_sample',
        `${metric.name} has ${counts.length} bucket counts for ${bounds.length} bounds; there must be one more`,
      )
      return null
    }
    if (!ascending(bounds)) {
      this.#refuse('bad_sample', `${metric.name} has bounds out of order`)
      return null
    }
    const series = this.#series(metric, point, histogramSeries, bounds)
    if (!series) return null
    if (point.stale) {
      this.#staleAll(series, point)
      return series
    }
    const { at, startAt } = point
    if (metric.delta) {
      if (!this.#count(metric, series.ref, point, point.count)) return null
      const tx = this.#delta()!
      const part = (ref: SeriesRef, value: number): void => {
        if (tx.add(ref, startAt, at, value, true) === 'taken') this.#add(ref, at, tx.total)
      }
      if (point.hasSum) part(series.sum, point.sum)
      eachBucket(point, (i, value) => part(series.parts[i]!, value))
    } else {
      if (point.hasSum) this.#add(series.sum, at, point.sum)
      this.#add(series.ref, at, point.count)
      eachBucket(point, (i, value) => this.#add(series.parts[i]!, at, value))
    }
    this.#seen(point)
    return series
  }

  summary(point: SummaryPoint): void {
    const metric = this.#open(point)
    if (!metric) return
    const series = this.#series(metric, point, summarySeries, point.quantiles)
    if (!series) return
    if (point.stale) {
      this.#staleAll(series, point)
      return
    }
    this.#add(series.sum, point.at, point.sum)
    this.#add(series.ref, point.at, point.count)
    for (let i = 0; i < series.parts.length; i++) this.#add(series.parts[i]!, point.at, point.values[i]!)
    this.#seen(point)
  }

  exponential(point: ExponentialPoint): void {
    this.#exemplify(this.#exponential(point), point.at)
  }

  #exponential(point: ExponentialPoint): PointSeries | null {
    const metric = this.#open(point)
    if (!metric) return null
    const made = point.stale ? null : nativeOf(point)
    if (typeof made === 'string') {
      this.#refuse('bad_histogram', `${metric.name}: ${made}`)
      return null
    }
    // What the batch would refuse makes no series, and must not go into a running total.
    const why = made && wrongWith(made, true)
    if (why) {
      this.#refuse('bad_histogram', `${metric.name}: ${why}`)
      return null
    }
    const series = this.#series(metric, point, numberSeries, none)
    if (!series) return null
    const { ref } = series
    if (!made) this.#stale(ref, point.at)
    else if (!metric.delta) {
      if (!this.#builder.histogram(ref, point.at, made, true)) return null
      this.samples++
    } else {
      const tx = this.#delta()!
      const kept = atSchema(made, Math.min(made.schema, mostSchema))
      const outcome = tx.addHistogram(ref, point.startAt, point.at, kept)
      if (!this.#counted(metric, point, outcome)) return null
      if (this.#builder.histogram(ref, point.at, tx.histogram!, true)) this.samples++
    }
    this.#seen(point)
    return series
  }

  exemplars(list: readonly PointExemplar[]): void {
    this.#exemplars = list
  }

  /** The exemplars of this point go in, or with the point that was refused nowhere. */
  #exemplify(series: PointSeries | null, at: number): void {
    const list = this.#exemplars
    if (list.length === 0) return
    this.#exemplars = noExemplars
    if (series) addExemplars(this.#builder, list, series, this.#memory.labels, at)
    else this.#builder.exemplarsDropped += list.length
  }

  endResource(): void {
    const resource = this.#resource
    this.#metric = null
    if (typeof resource === 'string' || resource.labels.info === null || this.#latestAt === 0) return
    if (resource.info === null) {
      const ref = this.#builder.series(resource.labels.info)
      if (ref >= 0) resource.info = ref
    }
    // Past a limit the points themselves say so; the description of their target is left out.
    if (resource.info !== null) this.#builder.add(resource.info, this.#latestAt, 1)
  }

  /** The current metric when this point may be looked at; else it has been rejected. */
  #open(point: Point): MetricContext | null {
    const metric = this.#metric
    if (metric === null) this.#refuse('bad_labels', String(this.#resource))
    else if (metric.refusal) this.#refuse(metric.refusal.reason, metric.refusal.why)
    else if (point.at === 0) this.#refuse('bad_sample', `${metric.name} has a point without timeUnixNano`)
    else if (!this.#builder.accepts(point.at)) this.#builder.rejectTime(metric.family, point.at)
    else if (metric.delta && this.#delta() === null) this.blocked = true
    else return metric
    return null
  }

  #series(
    metric: MetricContext,
    point: Point,
    make: SeriesMaker,
    bounds: readonly number[],
  ): PointSeries | null {
    const { view, from, end } = point
    const { series } = this.#memory
    const known = view === null ? undefined : series.get(view, from, end, metric.id)
    if (known !== undefined && sameNumbers(known.bounds, bounds)) return known
    const attributes = point.attributes()
    const resource = this.#resource as ResourceContext
    const labels =
      typeof attributes === 'string'
        ? attributes
        : this.#memory.labels.point(attributes, resource.labels, this.#scope)
    if (typeof labels === 'string') {
      this.#refuse('bad_labels', `${metric.name}: ${labels}`)
      return null
    }
    const made = make(this.#builder, metric.family, labels, bounds.slice())
    if (made === null) this.#refuse(this.#builder.lastReason, this.#builder.lastExample)
    // One set of bounds a label set is remembered: another one is made anew each time.
    else if (view !== null && known === undefined) series.set(view, from, end, metric.id, made)
    return made
  }

  /** Adds a delta point's first series; false when the point is not to be counted (again). */
  #count(metric: MetricContext, ref: SeriesRef, point: Point, value: number): boolean {
    const tx = this.#delta()!
    const outcome = tx.add(ref, point.startAt, point.at, value, false)
    if (outcome === 'taken') this.#add(ref, point.at, tx.total)
    return this.#counted(metric, point, outcome)
  }

  /** Whether a delta point was taken; what was not and should have been is refused. */
  #counted(metric: MetricContext, point: Point, outcome: DeltaOutcome): boolean {
    if (outcome === 'older')
      this.#refuse(
        'bad_sample',
        `${metric.name} has a delta point that ends at ${point.at} ms, not after the one before; send them in order`,
      )
    else if (outcome === 'full')
      this.#refuse(
        'series_limit',
        `${metric.name}: the limit of delta series is reached; send cumulative sums`,
      )
    // Counted before: the client sends it again because it never saw our answer. Nothing to do, and nothing to complain of.
    return outcome === 'taken'
  }

  #add(ref: SeriesRef, at: number, value: number): void {
    if (this.#builder.add(ref, at, value)) this.samples++
  }

  #stale(ref: SeriesRef, at: number): void {
    if (this.#builder.addBits(ref, at, staleLow, staleHigh)) this.samples++
  }

  #staleAll(series: PointSeries, point: Point): void {
    for (const ref of [series.ref, series.sum, ...series.parts]) this.#stale(ref, point.at)
    this.#seen(point)
  }

  /** A point was kept: its resource has data up to here, and its metric's metadata goes along once. */
  #seen(point: Point): void {
    if (point.at > this.#latestAt) this.#latestAt = point.at
    const { metadata } = this.#metric!
    if (this.#news.has(metadata.metric)) return
    this.#news.add(metadata.metric)
    if (this.#memory.metadata.isNews(metadata)) this.#builder.metadata.push(metadata)
  }

  #refuse(reason: RejectReason, why: string, count = 1): void {
    this.#builder.reject(reason, why, count)
  }
}
