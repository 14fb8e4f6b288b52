// The scrapes of one target, each interval: fetched, decoded, reported, kept.

import type { Clock } from '../../lib/clock.ts'
import { every } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import { hashInto } from '../../lib/hash.ts'
import type { HttpSend } from '../../lib/http.ts'
import type { Logger } from '../../lib/log.ts'
import { type Duration, type Instant, second } from '../../lib/time.ts'
import { staleHigh, staleLow } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import type { Counter } from '../../model/ports/metrics.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesTable } from '../../model/series.ts'
import type { TargetView } from '../../model/views.ts'
import { ScrapeDecoder } from './decode.ts'
import { ProtobufDecoder } from './decode-protobuf.ts'
import { fetchTarget } from './fetch.ts'
import { finisher, targetLabels } from './labels.ts'
import { MetadataLines } from './metadata.ts'
import { type DecodeCounts, SeriesCache } from './series-cache.ts'
import type { Target } from './target.ts'

export interface LoopDeps {
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly failures: Counter
  readonly refused: Counter
  /** Exemplars that were left out. */
  readonly leftOut: Counter
}

const none: DecodeCounts = { scraped: 0, kept: 0, added: 0 }
// However small a target's timeout is, the log gets this long to take what was scraped.
const pushTime = (10 * second) as Duration

/** Spreads targets over the interval: the same target always at the same place. */
const offsetOf = (key: string, interval: number): number => {
  const words = new Uint32Array(2)
  hashInto([key], 0, words)
  return Math.floor((words[0]! / 2 ** 32) * interval)
}

export class Loop {
  target: Target
  /** How its job makes requests; it may change while the loop runs. */
  send: HttpSend
  /** While set, no request is made and every scrape fails with it. */
  forced: AppError | null = null
  readonly #deps: LoopDeps
  readonly #series: SeriesCache
  readonly #text: ScrapeDecoder
  readonly #protobuf: ProtobufDecoder
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #lastError = ''
  #lastAt: Instant | null = null
  #took = 0 as Duration
  #health: TargetView['health'] = 'unknown'

  constructor(target: Target, send: HttpSend, deps: LoopDeps) {
    this.target = target
    this.send = send
    this.#deps = deps
    const options = {
      finish: (scraped: Map<string, string>) => finisher(this.target, scraped),
      honorTimestamps: () => this.target.job.honor_timestamps,
      trackTimestamps: () => this.target.job.track_timestamps_staleness,
      sampleLimit: () => this.target.job.sample_limit,
    }
    const metadata = new MetadataLines()
    this.#series = new SeriesCache(options)
    this.#text = new ScrapeDecoder(options, this.#series, metadata)
    this.#protobuf = new ProtobufDecoder(this.#series, metadata, () => ({
      native: this.target.job.scrape_native_histograms,
      classicToo: this.target.job.always_scrape_classic_histograms,
    }))
  }

  start(): void {
    const { clock, log } = this.#deps
    every(
      clock,
      this.target.interval,
      (at) => {
        this.#running = this.#scrape(at)
        return this.#running
      },
      {
        signal: this.#stop.signal,
        offset: offsetOf(this.target.key, this.target.interval),
        failed: (error) => log.error({ err: error, url: this.target.url }, 'scrape loop failed'),
      },
    )
  }

  async stop(): Promise<void> {
    this.#stop.abort(new AppError('canceled', 'scraping stops'))
    await this.#running.catch(() => undefined)
  }

  /** When the next scrape would have been, null when there was none yet. */
  nextAt(): Instant | null {
    return this.#lastAt === null ? null : ((this.#lastAt + this.target.interval) as Instant)
  }

  /** Series it has in its last scrape, and those that tell about it. */
  live(): Set<number> {
    const refs = this.#series.live()
    if (this.#lastAt === null) return refs
    const { table, limits, clock } = this.#deps
    const builder = new BatchBuilder(table, limits, clock.now(), 0)
    for (const labels of targetLabels(this.target)) {
      const ref = builder.series(labels)
      if (ref >= 0) refs.add(ref)
    }
    return refs
  }

  async #scrape(at: Instant): Promise<void> {
    const { clock, table, limits } = this.#deps
    const began = clock.monotonic()
    let builder = new BatchBuilder(table, limits, at)
    let counts = none
    let problem = ''
    let size = 0
    try {
      if (this.forced) throw this.forced
      const got = await fetchTarget(this.target, this.send, clock, this.#stop.signal)
      size = got.body.length
      const decoder = got.format === 'protobuf' ? this.#protobuf : this.#text
      try {
        if (got.format === 'protobuf') this.#protobuf.decode(got.body, builder, at)
        else this.#text.decode(got.body.toString('utf8'), got.format, builder, at)
      } finally {
        counts = decoder.counts
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return
      problem = messageOf(error)
      if (error instanceof AppError && error.code === 'too_large') size = -1
      builder = new BatchBuilder(table, limits, at)
      this.#series.end(builder, at)
    }
    const took = clock.monotonic() - began
    this.#report(builder, at, [
      problem === '' ? 1 : 0,
      took / 1000,
      counts.scraped,
      counts.kept,
      counts.added,
      this.target.timeout / 1000,
      this.target.job.sample_limit,
      size,
    ])
    this.#lastAt = at
    this.#took = took as Duration
    await this.#settle(builder, problem)
  }

  async #settle(builder: BatchBuilder, problem0: string): Promise<void> {
    const { log, failures, refused, leftOut } = this.#deps
    const { url, job } = this.target
    let problem = problem0
    try {
      await pushBatch(builder, this.#deps)
    } catch (error) {
      problem = `scraped, but not stored: ${messageOf(error)}`
    }
    for (const r of builder.rejections) refused.add(r.count, { job: job.job_name, reason: r.reason })
    if (builder.exemplarsDropped > 0) leftOut.add(builder.exemplarsDropped, { job: job.job_name })
    if (problem !== '') failures.add(1, { job: job.job_name })
    // Said when it begins and when it ends, not at every scrape.
    if (problem !== '' && this.#health !== 'down')
      log.warn({ url, job: job.job_name, why: problem }, 'scrape failed')
    if (problem === '' && this.#health === 'down') log.info({ url, job: job.job_name }, 'scrape works again')
    this.#health = problem === '' ? 'up' : 'down'
    this.#lastError = problem
  }

  #report(builder: BatchBuilder, at: Instant, values: readonly number[]): void {
    targetLabels(this.target).forEach((labels, i) => {
      const ref = builder.series(labels)
      if (ref < 0) builder.reject(builder.lastReason, builder.lastExample)
      else builder.add(ref, at, values[i]!)
    })
  }

  state(): TargetView {
    const { target } = this
    return {
      discoveredLabels: target.discovered,
      labels: target.labels,
      scrapePool: target.job.job_name,
      scrapeUrl: target.url,
      lastError: this.#lastError,
      lastScrapeAt: this.#lastAt,
      lastScrapeDuration: this.#took,
      health: this.#health,
      scrapeInterval: target.interval,
      scrapeTimeout: target.timeout,
    }
  }
}

const pushBatch = async (
  builder: BatchBuilder,
  { sink, clock }: Pick<LoopDeps, 'sink' | 'clock'>,
): Promise<void> => {
  if (builder.length === 0 && builder.metadata.length === 0) return
  await sink.push(builder.build(), clock.timeout(pushTime))
}

/** Writes stale markers for series at `at`, or now where that is too long ago to be taken. */
export const endSeries = async (
  refs: Iterable<number>,
  at: Instant,
  deps: Pick<LoopDeps, 'sink' | 'clock' | 'table' | 'limits'>,
): Promise<void> => {
  const now = deps.clock.now()
  const builder = new BatchBuilder(deps.table, deps.limits, now)
  const endAt = builder.accepts(at) ? at : now
  for (const ref of refs) builder.addBits(ref, endAt, staleLow, staleHigh)
  await pushBatch(builder, deps)
}
