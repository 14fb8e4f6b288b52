// Metrics made of spans: what was accepted is counted, exactly once over crashes, and written out at a steady pace.
import { type Clock, every } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { duration } from '../../lib/time.ts'
import type { Batch } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import { genAiOf } from '../../model/gen-ai.ts'
import { isWantedAttribute } from '../../model/gen-ai-attributes.ts'
import { labelOf, metricName } from '../../model/labels.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Producer } from '../../model/ports/producer.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesTable } from '../../model/series.ts'
import type { Span } from '../../model/span.ts'
import { dimensionLabel, type SpanMetricsConfig } from './config.ts'
import { type Families, familiesOf } from './families.ts'
import { GenAiSeries } from './gen-ai-series.ts'
import { observe, type SavedEntry, SeriesBook } from './series-book.ts'
import { cut, SpanNames } from './span-names.ts'
import { type Call, callOf, type SavedTrace, TraceMemory } from './trace-memory.ts'

export interface SpanMetricsDeps {
  readonly config: SpanMetricsConfig
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  /** The spans of a batch that were in none before. */
  readonly fresh: (batch: Batch) => readonly Span[]
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** Whether these metrics look at an attribute of spans or of their resources. */
export const wantedBySpanMetrics = ({ dimensions }: SpanMetricsConfig): ((key: string) => boolean) => {
  const own = new Set(dimensions)
  return (key) => isWantedAttribute(key) || own.has(key)
}

interface Saved {
  readonly position: number
  readonly entries: readonly SavedEntry[]
  readonly names: ReturnType<SpanNames['save']>
  readonly traces: readonly SavedTrace[]
}

const pushWithin = duration(10_000)
/** How long after an invocation its late steps still count as part of it. */
const settle = 15_000
/** How long a trace in which nothing comes is remembered. */
const idle = 600_000
const prefix = 'traces_'

export class SpanMetrics implements Producer, Service {
  readonly name = 'span-metrics'
  readonly #deps: SpanMetricsDeps
  readonly #families: Families
  readonly #book: SeriesBook
  readonly #names: SpanNames
  readonly #traces: TraceMemory
  readonly #dimensions: readonly (readonly [key: string, label: string])[]
  readonly #stop = new AbortController()
  readonly #series
  readonly #counted
  #position = -1
  #now = 0
  #told = false

  constructor(deps: SpanMetricsDeps) {
    const { config, metrics } = deps
    this.#deps = deps
    this.#families = familiesOf(config)
    this.#series = metrics.gauge('airboss_span_metrics_series', 'Series made of spans.')
    this.#counted = metrics.counter('airboss_span_metrics_spans_total', 'Spans counted in metrics.')
    const overflowed = metrics.counter(
      'airboss_span_metrics_overflow_total',
      'Measurements without a series of their own, because otlp.traces.metrics.max_series is reached.',
      ['metric'],
    )
    this.#book = new SeriesBook(Object.values(this.#families), config.max_series, ({ name }) => {
      overflowed.add(1, { metric: name })
      this.#overflowed()
    })
    this.#names = new SpanNames(config.max_span_names, config.max_label_length)
    this.#dimensions = config.dimensions.map((key) => [key, dimensionLabel(key)] as const)
    const now = (): number => this.#now
    const series = new GenAiSeries({ config, book: this.#book, families: this.#families, now })
    const limits = { wait: config.agent_wait, settle, idle, spans: config.max_trace_spans }
    this.#traces = new TraceMemory(limits, series)
  }

  #overflowed(): void {
    if (this.#told) return
    this.#told = true
    this.#deps.log.warn(
      { limit: this.#deps.config.max_series },
      'the limit of series made of spans is reached: new ones count as otel_metric_overflow="true"; raise otlp.traces.metrics.max_series or send fewer names and values',
    )
  }

  start(): Promise<void> {
    const { clock, log, config } = this.#deps
    every(clock, config.interval, (now) => this.#flush(now), {
      signal: this.#stop.signal,
      failed: (error) => log.warn({ why: messageOf(error) }, 'metrics of spans not written'),
    })
    return Promise.resolve()
  }

  drain(): Promise<void> {
    this.#stop.abort(new AppError('canceled', 'stopping'))
    return Promise.resolve()
  }

  accepted(batch: Batch, position: number): void {
    if (position <= this.#position) return
    this.#position = position
    const spans = this.#deps.fresh(batch)
    if (spans.length === 0) return
    this.#now = this.#deps.clock.now()
    const calls: Call[] = []
    for (const span of spans) {
      this.#red(span)
      const said = genAiOf(span)
      if (said) calls.push(callOf(span, said))
    }
    this.#traces.take(spans, calls, this.#now)
    this.#counted.add(spans.length)
  }

  #red(span: Span): void {
    const { resource, kind, status, duration } = span
    const { max_label_length: longest } = this.#deps.config
    const job = cut(resource.job, longest)
    const service = cut(resource.service, longest)
    const name = this.#names.of(job, span.name)
    // Of cut values, as the labels are: one series must have one key.
    let key = `${job}\u0000${service}\u0000${name}\u0000${kind}\u0000${status}`
    for (const [attribute] of this.#dimensions) key += `\u0000${this.#dimension(span, attribute)}`
    const entry = this.#book.entry(this.#families.red, key, this.#now, () => ({
      ...this.#ownDimensions(span),
      job,
      service_name: service,
      span_name: name,
      span_kind: `SPAN_KIND_${kind.toUpperCase()}`,
      status_code: `STATUS_CODE_${status.toUpperCase()}`,
    }))
    const { traceId, spanId } = span
    const conversation = span.attributes['gen_ai.conversation.id'] ?? ''
    observe(entry, duration, { traceId, spanId, conversation, at: span.startAt + duration * 1000 })
  }

  #dimension({ attributes, resource }: Span, attribute: string): string {
    return cut(
      attributes[attribute] ?? resource.attributes[attribute] ?? '',
      this.#deps.config.max_label_length,
    )
  }

  #ownDimensions(span: Span): Record<string, string> {
    const out: Record<string, string> = {}
    for (const [attribute, label] of this.#dimensions) out[label] = this.#dimension(span, attribute)
    return out
  }

  async #flush(at: number): Promise<void> {
    const { config, table, limits, clock, sink } = this.#deps
    this.#now = at
    this.#traces.tick(at)
    if (this.#book.size === 0) return
    const builder = new BatchBuilder(table, limits, clock.now(), this.#book.size + 64)
    const { done } = this.#book.write(builder, at, config.interval / 2, config.series_ttl)
    this.#series.set(this.#book.size)
    for (const { reason, count, example } of builder.rejections)
      this.#deps.log.warn({ reason, count, example }, 'series made of spans refused')
    await sink.push(builder.build(), clock.timeout(pushWithin, this.#stop.signal))
    done()
  }

  checkpoint(): unknown {
    const saved: Saved = {
      position: this.#position,
      entries: this.#book.save(),
      names: this.#names.save(),
      traces: this.#traces.save(),
    }
    return saved
  }

  /** Throws `bad_data` when `state` is no checkpoint of this producer. */
  restore(state: unknown): void {
    const saved = state as Partial<Saved> | null
    if (typeof saved?.position !== 'number' || !saved.entries || !saved.names || !saved.traces)
      throw new AppError('bad_data', 'the checkpoint of span-metrics has another form')
    this.#position = saved.position
    this.#now = this.#deps.clock.now()
    this.#book.load(saved.entries)
    this.#names.load(saved.names)
    this.#traces.load(saved.traces)
  }

  replay(batch: Batch, position: number): void {
    const { table } = this.#deps
    for (let i = 0; i < batch.ref.length; i++) {
      const ref = batch.ref[i]!
      if (labelOf(table.labels(ref), metricName).startsWith(prefix)) this.#book.floor(ref, batch.value[i]!)
    }
    this.accepted(batch, position)
  }
}
