// StatsD over UDP and TCP: lines are added up, and every interval becomes series that go on over a restart.
import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import { type Clock, every } from '../../lib/clock.ts'
import { durationSchema } from '../../lib/config.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { duration, hour, second } from '../../lib/time.ts'
import { type Batch, staleHigh, staleLow } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import { labelsOf } from '../../model/labels.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'
import { receiveMetrics } from '../receive-metrics.ts'
import { type Aggregate, counter, gauge, histogram, set, summary } from './aggregate.ts'
import { type Fault, LineReader, labelsOfTags, type Sample, type StatsdType } from './decode.ts'
import { type HostPort, type Listener, listenTcp, listenUdp } from './listen.ts'
import { defaultBuckets, type Mapped, type MetricKind, plainMapping, type StatsdMapping } from './mapping.ts'
import type { StatsdState } from './state.ts'

const address = z.string().transform((text, ctx): HostPort | null => {
  if (text === '') return null
  const m = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text)
  if (m && Number(m[3]) < 65_536) return { host: m[1] ?? m[2] ?? '', port: Number(m[3]) }
  ctx.addIssue(`not an address: ${JSON.stringify(text)}; write it as 127.0.0.1:8125, or '' for none`)
  return z.NEVER
})

/** `statsd:` in airboss.yaml. */
export const statsdConfigSchema = z.strictObject({
  udp: address.prefault('127.0.0.1:8125'),
  tcp: address.prefault('127.0.0.1:8125'),
  unixgram: z
    .undefined(
      'Node has no unix datagram sockets; point the client at udp, or put socat UNIX-RECV:…,fork UDP:… between',
    )
    .optional(),
  interval: durationSchema.prefault('10s').refine((d) => d > 0, 'must be above 0'),
  /** A file in statsd_exporter's form. */
  mapping: z.string().optional(),
  /** Upper bounds, in seconds for timers, where no mapping file is given. */
  buckets: z
    .array(z.number())
    .min(1)
    .refine((b) => b.every((x, i) => i === 0 || x > b[i - 1]!), 'must ascend')
    .default(defaultBuckets),
  /** A series that nobody sends any more ends after this; 0s = never. */
  ttl: durationSchema.default(duration(hour)),
  max_series: z.int().min(1).default(100_000),
})
export type StatsdConfig = z.output<typeof statsdConfigSchema>

export interface StatsdDeps {
  readonly config: StatsdConfig
  /** Null: timers become histograms with the configured buckets. */
  readonly mapping: StatsdMapping | null
  /** Also handed to the log, as a Producer. */
  readonly state: StatsdState
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface Statsd extends Service {
  /** Bound ports, null where not listened on. */
  ports(): { readonly udp: number | null; readonly tcp: number | null }
  /** Writes what has come in so far. Never rejects. */
  flush(): Promise<void>
}

/** One metric. Several spellings may lead to it: tags in another order, a histogram sent as a distribution too. */
interface Held {
  readonly aggregate: Aggregate
  readonly ttl: number
  readonly keys: string[]
  touchedAt: number
}
interface Entry {
  readonly held: Held
  readonly scale: number
}

const pushTime = duration(10 * second)
const kindOf: Readonly<Record<StatsdType, MetricKind>> = {
  c: 'counter',
  g: 'gauge',
  s: 'gauge',
  ms: 'observer',
  h: 'observer',
  d: 'observer',
}
type Told = 'counter' | 'gauge' | 'histogram' | 'summary'
/** What is added up in another way is another kind, though it is told as the same. */
type Kind = Told | 'set'

class StatsdReceiver implements Statsd {
  readonly #deps: StatsdDeps
  readonly #mapping: StatsdMapping
  readonly #entries = new Map<string, Entry | null>()
  /** By the first series. */
  readonly #held = new Map<SeriesRef, Held>()
  /** Which kind a name is: one name cannot be two. */
  readonly #kinds = new Map<string, Kind>()
  readonly #reader: LineReader
  readonly #life = new AbortController()
  readonly #listeners: { udp: Listener | null; tcp: Listener | null } = { udp: null, tcp: null }
  readonly #lines
  readonly #faults
  readonly #count
  readonly #gauge
  #series = 0
  #news: { metric: string; type: Told; help: string; unit: string }[] = []
  #lastAt = 0
  #turn: Promise<void> = Promise.resolve()

  constructor(deps: StatsdDeps) {
    this.#deps = deps
    this.#mapping = deps.mapping ?? plainMapping(deps.config.buckets)
    const { metrics } = deps
    this.#lines = metrics.counter('airboss_statsd_samples_total', 'StatsD samples taken.')
    this.#faults = metrics.counter(
      'airboss_statsd_refused_total',
      'StatsD lines and samples not taken, by reason.',
      ['reason'],
    )
    this.#gauge = metrics.gauge('airboss_statsd_series', 'Series made of StatsD lines that are held.')
    this.#count = receiveMetrics(metrics, 'statsd')
    const fault = (reason: Fault): void => this.#faults.add(1, { reason })
    this.#reader = new LineReader({
      sample: (sample) => this.#take(sample),
      fault,
      unsupported: (what) => this.#count.dropped(what, 1),
    })
  }

  async start(): Promise<void> {
    const { config, clock, log } = this.#deps
    const data = (bytes: Buffer): void => this.#read(bytes)
    const failed = (error: unknown): void => log.warn({ why: messageOf(error) }, 'statsd listener')
    if (config.udp) this.#listeners.udp = await listenUdp(config.udp, data, failed)
    if (config.tcp)
      this.#listeners.tcp = await listenTcp(config.tcp, data, failed, () =>
        this.#faults.add(1, { reason: 'too_long' }),
      )
    every(clock, config.interval, () => this.flush(), { signal: this.#life.signal, failed })
    log.info(this.ports(), 'statsd listens')
  }

  async drain(): Promise<void> {
    this.#life.abort()
    await Promise.all([this.#listeners.udp?.close(), this.#listeners.tcp?.close()])
    await this.flush()
  }

  ports() {
    return { udp: this.#listeners.udp?.port ?? null, tcp: this.#listeners.tcp?.port ?? null }
  }

  #read(bytes: Buffer): void {
    if (!isUtf8(bytes)) {
      this.#faults.add(1, { reason: 'bad_utf8' satisfies Fault })
      return
    }
    for (const line of bytes.toString('utf8').split('\n')) {
      const text = line.endsWith('\r') ? line.slice(0, -1) : line
      if (text !== '') this.#reader.read(text)
    }
  }

  #take(sample: Sample): void {
    const now = this.#deps.clock.now()
    const key = `${sample.type}\n${sample.name}\n${sample.tags}`
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = this.#make(sample, key)
      if (entry === undefined) return
    }
    // Dropped by a rule.
    if (entry === null) return
    entry.held.touchedAt = now
    entry.held.aggregate.add(sample, entry.scale, now)
    this.#lines.add()
  }

  /** Null where a rule drops it; undefined where it may not be, which is counted. */
  #make(sample: Sample, key: string): Entry | null | undefined {
    const { config, table, limits, clock } = this.#deps
    const refuse = (reason: string): undefined => void this.#faults.add(1, { reason })
    const room = this.#entries.size < config.max_series * 2
    const mapped = this.#mapping.map(sample.name, kindOf[sample.type])
    if (mapped.drop) {
      // Only a short cut: what rules drop may not fill the memory.
      if (room) this.#entries.set(key, null)
      return null
    }
    if (this.#series >= config.max_series || !room) return refuse('series_limit')
    const { type } = mapped.observer
    const told: Told = kindOf[sample.type] === 'observer' ? type : (kindOf[sample.type] as Told)
    const kind: Kind = sample.type === 's' ? 'set' : told
    const known = this.#kinds.get(mapped.name)
    if (known !== undefined && known !== kind) return refuse('type_conflict')
    const builder = new BatchBuilder(table, limits, clock.now(), 1)
    const aggregate = this.#aggregate(sample, mapped, builder)
    if (!aggregate) return refuse(builder.lastReason)
    if (known === undefined) {
      if (this.#kinds.size > config.max_series * 2) this.#kinds.clear()
      this.#kinds.set(mapped.name, kind)
      this.#news.push({ metric: mapped.name, type: told, help: mapped.help, unit: '' })
    }
    const entry = {
      held: this.#hold(aggregate, mapped.ttl ?? config.ttl, key),
      // Timers come in milliseconds, and are seconds here.
      scale: mapped.scale * (sample.type === 'ms' ? 0.001 : 1),
    }
    this.#entries.set(key, entry)
    return entry
  }

  #hold(aggregate: Aggregate, ttl: number, key: string): Held {
    const first = aggregate.refs[0]!
    const known = this.#held.get(first)
    if (known) {
      known.keys.push(key)
      return known
    }
    const held = { aggregate, ttl, keys: [key], touchedAt: 0 }
    this.#held.set(first, held)
    this.#series += aggregate.refs.length
    return held
  }

  #aggregate(
    { type, tags }: Sample,
    { name, labels, honorLabels, observer }: Mapped,
    builder: BatchBuilder,
  ): Aggregate | null {
    const own = labelsOfTags(tags)
    const base = honorLabels ? { ...labels, ...own } : { ...own, ...labels }
    const refs: SeriesRef[] = []
    const ref = (metric: string, extra: Record<string, string> = {}): SeriesRef => {
      refs.push(builder.series(labelsOf({ ...base, ...extra, __name__: metric })))
      return refs.at(-1)!
    }
    const observed = type === 'ms' || type === 'h' || type === 'd'
    if (!observed) ref(name)
    else if (observer.type === 'histogram') {
      for (const bound of [...observer.buckets, '+Inf']) ref(`${name}_bucket`, { le: String(bound) })
    } else for (const q of observer.quantiles) ref(name, { quantile: String(q) })
    if (observed) for (const part of ['sum', 'count']) ref(`${name}_${part}`)
    if (refs.some((r) => r < 0)) return null
    if (type === 'c') return counter(refs[0]!)
    if (type === 'g') return gauge(refs[0]!, this.#deps.state.last(refs[0]!))
    if (type === 's') return set(refs[0]!)
    if (observer.type === 'summary') return summary(refs, observer)
    return histogram(refs, [...observer.buckets, Number.POSITIVE_INFINITY])
  }

  flush(): Promise<void> {
    this.#turn = this.#turn.then(() => this.#flush())
    return this.#turn
  }

  /** Everything that is held, at `at`; what nobody sends any more gets its end. */
  #collect(builder: BatchBuilder, now: number, at: number) {
    const { state, config } = this.#deps
    const written: [SeriesRef, number][] = []
    const value = (ref: SeriesRef, v: number, then = at): void => {
      if (builder.add(ref, then, v) && then === at) written.push([ref, v])
    }
    const total = (ref: SeriesRef, grown: number): void => {
      const before = state.last(ref)
      // So that the first increase of a counter shows.
      if (before === undefined) builder.add(ref, at - config.interval, 0)
      value(ref, (before ?? 0) + grown)
    }
    const live: Aggregate[] = []
    const over: Held[] = []
    for (const held of this.#held.values()) {
      if (held.ttl > 0 && now - held.touchedAt > held.ttl) over.push(held)
      else {
        held.aggregate.flush({ now: at, total, value })
        live.push(held.aggregate)
      }
    }
    for (const { aggregate } of over)
      for (const ref of aggregate.refs) builder.addBits(ref, at, staleLow, staleHigh)
    return { written, live, over }
  }

  async #flush(): Promise<void> {
    const { table, limits, sink, clock, log, state, config } = this.#deps
    const now = clock.now()
    this.#lastAt = now < this.#lastAt - 60_000 ? now : Math.max(now, this.#lastAt + 1)
    const at = this.#lastAt
    const builder = new BatchBuilder(table, limits, now, Math.max(64, this.#series))
    const { written, live, over } = this.#collect(builder, now, at)
    const news = this.#news
    builder.metadata.push(...news)
    let safe = true
    try {
      if (builder.length > 0) await sink.push(builder.build(), clock.timeout(pushTime))
    } catch (error) {
      safe = false
      log.warn({ why: messageOf(error) }, 'statsd series not written; they wait for the next flush')
    }
    for (const aggregate of live) aggregate.settle(safe)
    if (!safe) return
    this.#count.samples(builder.length)
    this.#count.rejections(builder.rejections)
    this.#news = this.#news.slice(news.length)
    for (const [ref, value] of written) state.wrote(ref, at, value)
    // Who was heard of again meanwhile goes on.
    for (const held of over) if (held.touchedAt < now) this.#end(held)
    state.sweep(now, config.ttl > 0 ? config.ttl : 24 * hour)
    this.#gauge.set(this.#series)
  }

  #end({ aggregate, keys }: Held): void {
    for (const key of keys) this.#entries.delete(key)
    this.#held.delete(aggregate.refs[0]!)
    this.#series -= aggregate.refs.length
    for (const ref of aggregate.refs) this.#deps.state.forget(ref)
  }
}

/** Nothing listens before `start`. */
export const createStatsd = (deps: StatsdDeps): Statsd => new StatsdReceiver(deps)
