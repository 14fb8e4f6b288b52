// Scrapes Prometheus targets, each on its own loop, into batches.
import { type Clock, every } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import { hashInto } from '../../lib/hash.ts'
import type { HttpSend } from '../../lib/http.ts'
import type { Logger } from '../../lib/log.ts'
import { type Duration, type Instant, second } from '../../lib/time.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import type { Counter, Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesTable } from '../../model/series.ts'
import type { TargetView } from '../../model/views.ts'
import type { ScrapeConfig } from './config.ts'
import { type DecodeCounts, ScrapeDecoder } from './decode.ts'
import { fetchTarget } from './fetch.ts'
import { finisher, targetLabels } from './labels.ts'
import { type ScrapeGlobal, type Target, targetsOf } from './target.ts'

export interface ScraperDeps {
  readonly configs: readonly ScrapeConfig[]
  readonly global: ScrapeGlobal
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  /** The job that collects Airboss's own metrics: its series may use the room kept for them. */
  readonly ownJob?: string
  readonly send: HttpSend
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface Scraper extends Service {
  targets(): TargetView[]
  /** Takes a new configuration: targets that stay the same keep their loop, gone ones are ended with stale markers. */
  apply(configs: readonly ScrapeConfig[], global?: ScrapeGlobal): Promise<void>
}

const none: DecodeCounts = { scraped: 0, kept: 0, added: 0 }
// However small a target's timeout is, the log gets this long to take what was scraped.
const pushTime = (10 * second) as Duration

interface Shared extends ScraperDeps {
  readonly failures: Counter
  readonly refused: Counter
}

/** Spreads targets over the interval: the same target always at the same place. */
const offsetOf = (key: string, interval: number): number => {
  const words = new Uint32Array(2)
  hashInto([key], 0, words)
  return Math.floor((words[0]! / 2 ** 32) * interval)
}

class Loop {
  target: Target
  readonly #deps: Shared
  readonly #decoder: ScrapeDecoder
  readonly #stop = new AbortController()
  #running: Promise<void> = Promise.resolve()
  #lastError = ''
  #lastAt: Instant | null = null
  #took = 0 as Duration
  #health: TargetView['health'] = 'unknown'

  constructor(target: Target, deps: Shared) {
    this.target = target
    this.#deps = deps
    this.#decoder = new ScrapeDecoder({
      finish: (scraped) => finisher(this.target, scraped),
      honorTimestamps: () => this.target.job.honor_timestamps,
      sampleLimit: () => this.target.job.sample_limit,
    })
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

  /** Ends the loop; with `gone`, the target's series too. */
  async stop(gone: boolean): Promise<void> {
    this.#stop.abort(new AppError('canceled', 'scraping stops'))
    await this.#running.catch(() => undefined)
    if (!gone || this.#lastAt === null) return
    const { clock, table } = this.#deps
    const at = clock.now()
    const builder = new BatchBuilder(table, this.#limits(), at)
    this.#decoder.end(builder, at)
    for (const labels of targetLabels(this.target)) {
      const ref = builder.series(labels)
      if (ref >= 0) builder.addBits(ref, at, 2, 0x7ff00000)
    }
    await this.#push(builder)
  }

  #limits(): AdmissionLimits {
    const { limits, ownJob } = this.#deps
    return this.target.job.job_name === ownJob ? { ...limits, own: true } : limits
  }

  async #scrape(at: Instant): Promise<void> {
    const { clock, table } = this.#deps
    const began = clock.monotonic()
    let builder = new BatchBuilder(table, this.#limits(), at)
    let counts = none
    let problem = ''
    try {
      const got = await fetchTarget(this.target, this.#deps.send, clock, this.#stop.signal)
      try {
        this.#decoder.decode(got.text, got.format, builder, at)
      } finally {
        counts = this.#decoder.counts
      }
    } catch (error) {
      if (this.#stop.signal.aborted) return
      problem = messageOf(error)
      builder = new BatchBuilder(table, this.#limits(), at)
      this.#decoder.end(builder, at)
    }
    const took = clock.monotonic() - began
    this.#report(builder, at, took, counts, problem === '')
    this.#lastAt = at
    this.#took = took as Duration
    await this.#settle(builder, problem)
  }

  async #settle(builder: BatchBuilder, problem0: string): Promise<void> {
    const { log, failures, refused } = this.#deps
    const { url, job } = this.target
    let problem = problem0
    try {
      await this.#push(builder)
    } catch (error) {
      problem = `scraped, but not stored: ${messageOf(error)}`
    }
    for (const r of builder.rejections) refused.add(r.count, { job: job.job_name, reason: r.reason })
    if (problem !== '') failures.add(1, { job: job.job_name })
    // Said when it begins and when it ends, not at every scrape.
    if (problem !== '' && this.#health !== 'down')
      log.warn({ url, job: job.job_name, why: problem }, 'scrape failed')
    if (problem === '' && this.#health === 'down') log.info({ url, job: job.job_name }, 'scrape works again')
    this.#health = problem === '' ? 'up' : 'down'
    this.#lastError = problem
  }

  #report(builder: BatchBuilder, at: Instant, took: number, counts: DecodeCounts, up: boolean): void {
    const values = [up ? 1 : 0, took / 1000, counts.scraped, counts.kept, counts.added]
    targetLabels(this.target).forEach((labels, i) => {
      const ref = builder.series(labels)
      if (ref < 0) builder.reject(builder.lastReason, builder.lastExample)
      else builder.add(ref, at, values[i]!)
    })
  }

  async #push(builder: BatchBuilder): Promise<void> {
    if (builder.length === 0 && builder.metadata.length === 0) return
    await this.#deps.sink.push(builder.build(), this.#deps.clock.timeout(pushTime))
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

/** Scrapes every target of `configs` once started. A target that hangs is cut off at its timeout and delays nobody else. */
export const createScraper = (deps: ScraperDeps): Scraper => {
  const { metrics, log } = deps
  const shared: Shared = {
    ...deps,
    failures: metrics.counter('airboss_scrape_failures_total', 'Scrapes that failed.', ['job']),
    refused: metrics.counter('airboss_scrape_samples_refused_total', 'Scraped samples not taken.', [
      'job',
      'reason',
    ]),
  }
  const loops = new Map<string, Loop>()
  let { configs, global } = deps
  let running = false

  const sync = async (): Promise<void> => {
    const wanted = new Map<string, Target>()
    for (const job of configs) {
      const { targets, problems } = targetsOf(job, global)
      for (const target of targets) wanted.set(target.key, target)
      for (const why of problems) log.error({ job: job.job_name, why }, 'scrape target left out')
    }
    const gone = [...loops].filter(([key]) => !wanted.has(key))
    for (const [key] of gone) loops.delete(key)
    for (const [key, target] of wanted) {
      const loop = loops.get(key)
      // The same target, but its secrets may be new.
      if (loop) loop.target = target
      else {
        const made = new Loop(target, shared)
        loops.set(key, made)
        made.start()
      }
    }
    await Promise.all(
      gone.map(([, loop]) =>
        loop
          .stop(true)
          .catch((error: unknown) => log.warn({ err: error }, 'end of a scrape target not stored')),
      ),
    )
  }

  return {
    start: async () => {
      if (running) return
      running = true
      await sync()
    },
    drain: async () => {
      running = false
      const all = [...loops.values()]
      loops.clear()
      await Promise.all(all.map((loop) => loop.stop(false)))
    },
    apply: async (next, nextGlobal) => {
      configs = next
      global = nextGlobal ?? global
      if (running) await sync()
    },
    targets: () => [...loops.values()].map((loop) => loop.state()),
  }
}
