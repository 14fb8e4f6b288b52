// Scrapes Prometheus targets, found by discovery, each on its own loop, into batches.
import type { Clock } from '../../lib/clock.ts'
import type { HttpFactory, HttpSend } from '../../lib/http.ts'
import type { Logger } from '../../lib/log.ts'
import { type Duration, second } from '../../lib/time.ts'
import type { AdmissionLimits } from '../../model/batch-builder.ts'
import type { Gauge, Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesTable } from '../../model/series.ts'
import type { DroppedTargetsView, TargetView } from '../../model/views.ts'
import { createClient } from './client.ts'
import {
  defaultScrapeGlobal,
  jobsOf,
  type ScrapeConfig,
  type ScrapeGlobal,
  type ScrapeJob,
} from './config.ts'
import { createDiscovery, type Discovery } from './discovery/discovery.ts'
import { createDnsLookup, type DnsLookup } from './discovery/dns-lookup.ts'
import type { LoopDeps } from './loop.ts'
import { Pool } from './pool.ts'

export interface ScraperDeps {
  readonly configs: readonly ScrapeConfig[]
  readonly global: ScrapeGlobal
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  /** The job that collects Airboss's own metrics: its series may use the room kept for them. */
  readonly ownJob?: string
  /** The sender for what needs neither TLS settings nor a proxy. */
  readonly send: HttpSend
  /** Makes further senders, for what does. */
  readonly connect: HttpFactory
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** The system's resolver, and the place where Kubernetes gives a pod its account, where they are left out. */
  readonly lookup?: DnsLookup
  readonly serviceAccount?: string
  /** At the most so often a job's targets are made anew while discovery has news. */
  readonly settle?: Duration
}

export interface Scraper extends Service {
  targets(): TargetView[]
  /** Targets that relabelling dropped: those that are kept to be shown, and how many there are, by job. */
  dropped(): DroppedTargetsView
  /** Takes a new configuration: targets that stay the same keep their loop, gone ones end with stale markers. */
  apply(configs: readonly ScrapeConfig[], global?: ScrapeGlobal): Promise<void>
}

/** Runs `sync` for jobs that discovery has news of: at once, then not again before `settle` has passed. */
class Turns {
  readonly #clock: Clock
  readonly #settle: Duration
  readonly #sync: (job: string) => void
  readonly #due = new Set<string>()
  readonly #resting = new Map<string, { cancel(): void }>()

  constructor(clock: Clock, settle: Duration, sync: (job: string) => void) {
    this.#clock = clock
    this.#settle = settle
    this.#sync = sync
  }

  ask(job: string): void {
    if (this.#resting.has(job)) {
      this.#due.add(job)
      return
    }
    const rest = this.#clock.after(this.#settle, () => {
      this.#resting.delete(job)
      if (this.#due.delete(job)) this.ask(job)
    })
    this.#resting.set(job, rest)
    this.#sync(job)
  }

  stop(): void {
    for (const timer of this.#resting.values()) timer.cancel()
    this.#resting.clear()
    this.#due.clear()
  }
}

const loopDeps = (deps: ScraperDeps): LoopDeps => ({
  ...deps,
  failures: deps.metrics.counter('airboss_scrape_failures_total', 'Scrapes that failed.', ['job']),
  refused: deps.metrics.counter('airboss_scrape_samples_refused_total', 'Scraped samples not taken.', [
    'job',
    'reason',
  ]),
  leftOut: deps.metrics.counter(
    'airboss_scrape_exemplars_dropped_total',
    'Scraped exemplars left out: too long, too old or ahead of time. Their samples were taken.',
    ['job'],
  ),
})

/** The jobs that run, each with its pool. */
class Jobs {
  readonly #deps: ScraperDeps
  readonly #shared: LoopDeps
  readonly #counted: Gauge
  readonly #turns: Turns
  readonly #discovery: Discovery
  readonly #pools = new Map<string, Pool>()
  /** Pools of jobs that are no more, until their series have ended. */
  #leaving: Pool[] = []
  readonly #jobs = new Map<string, ScrapeJob>()

  constructor(deps: ScraperDeps) {
    this.#deps = deps
    this.#shared = loopDeps(deps)
    this.#counted = deps.metrics.gauge(
      'airboss_scrape_targets',
      'Targets of a scrape job: active, and dropped by relabelling.',
      ['job', 'state'],
    )
    this.#turns = new Turns(deps.clock, deps.settle ?? second, (name) => {
      this.#sync(name).catch((error: unknown) =>
        deps.log.error({ err: error, job: name }, 'targets of a job not updated'),
      )
    })
    this.#discovery = createDiscovery({
      ...deps,
      lookup: deps.lookup ?? createDnsLookup(),
      serviceAccount: deps.serviceAccount ?? '/var/run/secrets/kubernetes.io/serviceaccount',
      changed: (names) => {
        for (const name of names) this.#turns.ask(name)
      },
    })
  }

  #count(name: string): void {
    const pool = this.#pools.get(name)
    this.#counted.set(pool?.size ?? 0, { job: name, state: 'active' })
    this.#counted.set(pool?.dropped().count ?? 0, { job: name, state: 'dropped' })
  }

  async #sync(name: string): Promise<void> {
    const job = this.#jobs.get(name)
    if (!job) return
    await this.#pools.get(name)?.sync(this.#discovery.groups(job))
    this.#count(name)
  }

  #limits(job: ScrapeJob): LoopDeps {
    if (job.job_name !== this.#deps.ownJob) return this.#shared
    return { ...this.#shared, limits: { ...this.#shared.limits, own: true } }
  }

  async take(configs: readonly ScrapeConfig[], global: ScrapeGlobal): Promise<void> {
    // What Airboss says of itself knows no limits of others.
    const own = configs.filter((c) => c.job_name === this.#deps.ownJob)
    const others = configs.filter((c) => c.job_name !== this.#deps.ownJob)
    const next = [...jobsOf(others, global), ...jobsOf(own, defaultScrapeGlobal)]
    const names = new Set(next.map((job) => job.job_name))
    const gone = [...this.#pools].filter(([name]) => !names.has(name))
    for (const [name] of gone) this.#pools.delete(name)
    this.#jobs.clear()
    for (const job of next) {
      const name = job.job_name
      this.#jobs.set(name, job)
      const client = createClient(job, this.#deps)
      const pool = this.#pools.get(name)
      if (pool) pool.configure(job, client)
      else this.#pools.set(name, new Pool(job, client, this.#limits(job), () => this.#pools.get(name)))
    }
    await this.#discovery.apply(next)
    await Promise.all([...names].map((name) => this.#sync(name)))
    await Promise.all(gone.map(([, pool]) => pool.stop(true)))
    this.#leaving = [...this.#leaving, ...gone.map(([, pool]) => pool)].filter((pool) => pool.waits)
    for (const [name] of gone) this.#count(name)
  }

  async drain(): Promise<void> {
    this.#turns.stop()
    this.#discovery.stop()
    const all = [...this.#pools.values(), ...this.#leaving]
    this.#pools.clear()
    this.#leaving = []
    await Promise.all(all.map((pool) => pool.stop(false)))
  }

  pools(): [string, Pool][] {
    return [...this.#pools]
  }
}

/** Scrapes every target of `configs` once started. A target that hangs is cut off at its timeout and delays nobody else. */
export const createScraper = (deps: ScraperDeps): Scraper => {
  let { configs, global } = deps
  let running = false
  const jobs = new Jobs(deps)
  return {
    start: async () => {
      if (running) return
      running = true
      await jobs.take(configs, global)
    },
    drain: () => {
      running = false
      return jobs.drain()
    },
    apply: async (next, nextGlobal) => {
      configs = next
      global = nextGlobal ?? global
      if (running) await jobs.take(configs, global)
    },
    targets: () => jobs.pools().flatMap(([, pool]) => pool.targets()),
    dropped: () => {
      const all = jobs.pools().map(([name, pool]) => ({ name, ...pool.dropped() }))
      return {
        kept: all.flatMap(({ kept }) => kept),
        counts: Object.fromEntries(all.map(({ name, count }) => [name, count])),
      }
    },
  }
}
