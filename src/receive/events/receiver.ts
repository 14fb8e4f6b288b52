// Takes business events: rows, a counter and a histogram by name, agent, version and outcome, each id once.
import { z } from 'zod'
import { type Clock, every } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { RecentIds } from '../../lib/recent-ids.ts'
import { type Duration, second } from '../../lib/time.ts'
import type { Batch, EventRow } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import { Cumulative, type CumulativeState, type Draft } from '../../model/cumulative.ts'
import { labelsOf } from '../../model/labels.ts'
import type { HandlerRequest, HandlerResponse, HttpHandler } from '../../model/ports/http-handler.ts'
import type { Counter, Metrics } from '../../model/ports/metrics.ts'
import type { Producer } from '../../model/ports/producer.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'
import type { ItemProblem } from '../item.ts'
import { checkPost, errorAnswer, itemAnswer } from '../item-answer.ts'
import { decodeEvents, defaultEventLimits, type Event } from './decode.ts'

/** `events:` in airboss.yaml. */
export const eventsConfigSchema = z
  .strictObject({
    /** Upper bounds of the value histogram, ascending; +Inf is added. */
    buckets: z
      .array(z.number())
      .min(1)
      .refine((b) => b.every((x, i) => i === 0 || x > b[i - 1]!), 'must ascend')
      .default([0.001, 0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 1e4, 1e5, 1e6]),
    /** How many of the newest ids are remembered, so that an event sent again counts once. */
    remember: z.int().min(1).max(1_000_000).default(65_536),
  })
  .prefault({})
type EventsConfig = z.output<typeof eventsConfigSchema>

export interface EventsDeps {
  readonly config: EventsConfig
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** Body limit of a request of events. */
const maxBytes = 8 << 20
/** Counters are written this often even when nothing happens, so that they never go stale. */
const heartbeat = (30 * second) as Duration
/** Events that may wait for the batch under way to be safe. */
const mostWaiting = 50_000
const pushTime = (10 * second) as Duration
const seriesNames = [
  'airboss_events_total',
  'airboss_event_value_bucket',
  'airboss_event_value_sum',
  'airboss_event_value_count',
]

interface Waiting {
  readonly events: readonly Event[]
  readonly problems: ItemProblem[]
  /** Asks for all counters to be written. */
  readonly beat: boolean
  readonly done: (answer: HandlerResponse) => void
}

interface EventSeries {
  readonly count: SeriesRef
  readonly value: readonly SeriesRef[] | null
}

const bucketLabel = (bound: number): string => (bound === Number.POSITIVE_INFINITY ? '+Inf' : String(bound))

class Events implements HttpHandler, Producer, Service {
  readonly name = 'events'
  readonly maxBytes = maxBytes
  readonly #deps: EventsDeps
  readonly #totals: Cumulative
  readonly #seen: RecentIds
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, EventSeries>()
  readonly #stop = new AbortController()
  readonly #taken: Counter
  readonly #refused: Counter
  #waiting: Waiting[] = []
  #working: Promise<void> | null = null
  #told = false

  constructor(deps: EventsDeps) {
    this.#deps = deps
    this.#totals = new Cumulative(deps.table, seriesNames)
    this.#seen = new RecentIds(deps.config.remember)
    this.#bounds = [...deps.config.buckets, Number.POSITIVE_INFINITY]
    this.#taken = deps.metrics.counter('airboss_events_received_total', 'Business events taken.')
    this.#refused = deps.metrics.counter('airboss_events_refused_total', 'Business events not taken.')
  }

  start(): Promise<void> {
    const { clock, log } = this.#deps
    every(clock, heartbeat, () => this.#beat(), {
      signal: this.#stop.signal,
      failed: (error) => log.warn({ why: messageOf(error) }, 'event counters not written'),
    })
    return Promise.resolve()
  }

  async drain(): Promise<void> {
    this.#stop.abort()
    while (this.#working) await this.#working
  }

  async handle(request: HandlerRequest): Promise<HandlerResponse> {
    try {
      checkPost(request.method, request.headers['content-type'])
      const limits = { ...defaultEventLimits, maxAhead: this.#deps.limits.maxAhead }
      const { events, problems } = decodeEvents(request.body, this.#deps.clock.now(), limits)
      return await this.#take(events, problems)
    } catch (error) {
      return errorAnswer(error)
    }
  }

  #take(events: readonly Event[], problems: ItemProblem[]): Promise<HandlerResponse> {
    const waiting = this.#waiting.reduce((n, w) => n + w.events.length, 0)
    if (waiting + events.length > mostWaiting && waiting > 0) {
      throw new AppError(
        'unavailable',
        `${waiting} events wait for the disk already; send again a little later`,
        {
          retryAfter: 1000,
        },
      )
    }
    return new Promise((done) => {
      this.#waiting.push({ events, problems, beat: false, done })
      this.#work()
    })
  }

  #beat(): Promise<void> {
    if (this.#totals.size === 0) return Promise.resolve()
    this.#waiting.push({ events: [], problems: [], beat: true, done: () => undefined })
    this.#work()
    return this.#working ?? Promise.resolve()
  }

  #work(): void {
    this.#working ??= this.#run().finally(() => {
      this.#working = null
    })
  }

  /** Everything that waits goes into one batch: one at a time, so that totals are final before they are added to. */
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const requests = this.#waiting
      this.#waiting = []
      const answers = await this.#batch(requests)
      requests.forEach((r, i) => {
        r.done(answers[i]!)
      })
    }
  }

  async #batch(requests: readonly Waiting[]): Promise<HandlerResponse[]> {
    const { table, limits, sink, clock, log } = this.#deps
    try {
      const now = clock.now()
      const at = this.#totals.nextAt(now)
      const builder = new BatchBuilder(table, limits, now)
      const draft = this.#totals.draft()
      const fresh = new Set<string>()
      const answers = requests.map((request) => this.#request(request, builder, draft, fresh))
      if (requests.some((r) => r.beat)) this.#totals.writeRest(draft, builder, at)
      this.#totals.write(draft, builder, at, heartbeat)
      this.#metadata(builder)
      const batch = builder.build()
      if (batch.ref.length + batch.events.length > 0) {
        await sink.push(batch, clock.timeout(pushTime))
        this.#totals.commit(draft, at)
        for (const id of fresh) this.#seen.add(id)
        this.#told = true
      }
      this.#taken.add(fresh.size)
      return answers
    } catch (error) {
      log.warn({ why: messageOf(error), requests: requests.length }, 'events not taken')
      return requests.map(() => errorAnswer(error))
    }
  }

  #request(request: Waiting, builder: BatchBuilder, draft: Draft, fresh: Set<string>): HandlerResponse {
    let accepted = 0
    let duplicates = 0
    const problems = [...request.problems]
    for (const event of request.events) {
      const { row, index } = event
      if (this.#seen.has(row.id) || fresh.has(row.id)) {
        duplicates++
        continue
      }
      const series = this.#seriesOf(row, event.hasValue, builder)
      if (!series) {
        problems.push({ index, id: row.id, field: '', error: builder.lastExample })
        continue
      }
      fresh.add(row.id)
      builder.events.push(row)
      this.#count(series, event, draft)
      accepted++
    }
    if (problems.length > 0) this.#refused.add(problems.length)
    return itemAnswer(accepted, duplicates, problems)
  }

  #count(series: EventSeries, { row, hasValue }: Event, draft: Draft): void {
    draft.add(series.count, 1)
    if (!hasValue || !series.value) return
    this.#bounds.forEach((bound, i) => {
      draft.add(series.value![i]!, row.value <= bound ? 1 : 0)
    })
    draft.add(series.value[this.#bounds.length]!, row.value)
    draft.add(series.value[this.#bounds.length + 1]!, 1)
  }

  #seriesOf(row: EventRow, hasValue: boolean, builder: BatchBuilder): EventSeries | null {
    const key = [row.name, row.agent, row.version, row.outcome].join('\u00ff')
    const known = this.#series.get(key)
    if (known && (known.value || !hasValue)) return known
    const base = { name: row.name, agent: row.agent, version: row.version, outcome: row.outcome }
    const ref = (name: string, le = ''): SeriesRef =>
      builder.series(labelsOf({ ...base, le, __name__: name }))
    const count = known?.count ?? ref('airboss_events_total')
    if (count < 0) return null
    let value: SeriesRef[] | null = null
    if (hasValue) {
      value = [
        ...this.#bounds.map((b) => ref('airboss_event_value_bucket', bucketLabel(b))),
        ref('airboss_event_value_sum'),
        ref('airboss_event_value_count'),
      ]
      if (value.some((r) => r < 0)) return null
    }
    const made = { count, value }
    this.#series.set(key, made)
    return made
  }

  #metadata(builder: BatchBuilder): void {
    if (this.#told || builder.length === 0) return
    builder.metadata.push(
      { metric: 'airboss_events_total', type: 'counter', help: 'Business events by outcome.', unit: '' },
      { metric: 'airboss_event_value', type: 'histogram', help: 'Values of business events.', unit: '' },
    )
  }

  checkpoint(): { totals: CumulativeState; seen: string } {
    return { totals: this.#totals.save(), seen: this.#seen.save() }
  }

  restore(state: unknown): void {
    const { totals, seen } = state as ReturnType<Events['checkpoint']>
    this.#totals.load(totals)
    this.#seen.load(seen)
  }

  replay(batch: Batch): void {
    this.#totals.replay(batch)
    for (const row of batch.events) this.#seen.add(row.id)
  }
}

/**
 * `POST /api/ops/v1/events`. Every event is a row; `airboss_events_total` counts it, and where it has a value
 * `airboss_event_value_{bucket,sum,count}` do. A counter's first sample is preceded by a zero one heartbeat (30 s) earlier, so that
 * `increase()` sees the first event. `sum` shows the highest it has been when values are negative.
 */
export const createEvents = (deps: EventsDeps): HttpHandler & Producer & Service => new Events(deps)
