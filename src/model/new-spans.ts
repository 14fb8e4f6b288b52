// Says which spans of a batch were not seen before: an exporter that tries again sends what was already accepted, and it counts once.
import type { Clock } from '../lib/clock.ts'
import type { Duration } from '../lib/time.ts'
import type { Batch } from './batch.ts'
import { countRows } from './packed-rows.ts'
import type { Metrics } from './ports/metrics.ts'
import type { Span } from './span.ts'
import { idWords, SpanIds, wordsOfIds } from './span-ids.ts'
import { readSpans, type Wanted } from './span-rows.ts'

export interface NewSpansDeps {
  /** How long a span is remembered, at least. */
  readonly window: Duration
  /** Most spans remembered; past it the oldest are forgotten early, and counted. */
  readonly most: number
  /** Attributes that spans carry which are read back from rows; the same as the decoder's. */
  readonly wanted: Wanted
  readonly clock: Clock
  readonly metrics: Metrics
}

const none: readonly Span[] = []

/**
 * Remembers accepted spans in two generations: the older one is forgotten whole when the younger has filled its half of the places, or its
 * share of the time. Ask `of` for every accepted batch, in order, and for every batch that comes back from the log.
 */
export class NewSpans {
  readonly #deps: NewSpansDeps
  readonly #id = new Int32Array(idWords)
  readonly #remembered
  readonly #repeated
  readonly #early
  #young: SpanIds
  #old: SpanIds
  /** When the younger generation began, and when the older one ended. */
  #since: number
  #batch: Batch | null = null
  #fresh: readonly Span[] = none

  constructor(deps: NewSpansDeps) {
    this.#deps = deps
    this.#young = new SpanIds()
    this.#old = new SpanIds()
    this.#since = deps.clock.now()
    const { metrics } = deps
    this.#remembered = metrics.gauge('airboss_spans_remembered', 'Spans remembered to know repeated ones by.')
    this.#repeated = metrics.counter(
      'airboss_spans_repeated_total',
      'Spans accepted that had been accepted before; they count once.',
    )
    this.#early = metrics.counter(
      'airboss_spans_forgotten_early_total',
      'Spans forgotten before otlp.traces.dedup_window was over, because otlp.traces.dedup_spans is reached.',
    )
  }

  /**
   * The spans of a batch that were not in one before. All who ask about one batch get the same answer, as long as nobody has asked about
   * another in between.
   */
  of(batch: Batch): readonly Span[] {
    if (batch === this.#batch) return this.#fresh
    const rows = batch.spans
    if (!rows || countRows(rows) === 0) return none
    const spans = rows.read ?? readSpans(rows, this.#deps.wanted)
    this.#turn()
    const fresh = spans.filter((span) => this.#add(span))
    if (fresh.length < spans.length) this.#repeated.add(spans.length - fresh.length)
    this.#remembered.set(this.#young.size + this.#old.size)
    this.#batch = batch
    this.#fresh = fresh.length === spans.length ? spans : fresh
    return this.#fresh
  }

  /** Whether a span was in an accepted batch; `id` is its six words, most significant first (span-ids.ts). */
  has(id: Int32Array): boolean {
    return this.#young.has(id) || this.#old.has(id)
  }

  #add(span: Span): boolean {
    wordsOfIds(span.traceId, span.spanId, this.#id)
    if (this.#old.has(this.#id) || !this.#young.add(this.#id)) return false
    if (this.#young.size * 2 >= this.#deps.most) this.#forget()
    return true
  }

  #turn(): void {
    if (this.#deps.clock.now() - this.#since >= this.#deps.window) this.#forget()
  }

  #forget(): void {
    const now = this.#deps.clock.now()
    if (now - this.#since < this.#deps.window && this.#old.size > 0) this.#early.add(this.#old.size)
    this.#old = this.#young
    this.#young = new SpanIds()
    this.#since = now
  }
}
