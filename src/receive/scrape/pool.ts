// The targets of one job: loops for those that are there, an end for those that are gone.
import { AppError } from '../../lib/errors.ts'
import { type Duration, duration, type Instant } from '../../lib/time.ts'
import type { TargetView } from '../../model/views.ts'
import type { Client } from './client.ts'
import type { ScrapeJob } from './config.ts'
import { endSeries, Loop, type LoopDeps } from './loop.ts'
import { type GroupTargets, type Target, type TargetGroup, targetsOf } from './target.ts'

/** A target that relabelling dropped. */
export interface DroppedTarget {
  readonly discoveredLabels: Readonly<Record<string, string>>
  readonly scrapePool: string
}

/** A gone target is waited for this many of its intervals, that it may come back under another configuration without a break. */
const patience = 2.1

interface Gone {
  readonly refs: Set<number>
  readonly at: Instant
  /** The turn in which it was found gone. */
  readonly turn: number
}

export class Pool {
  #job: ScrapeJob
  #client: Client
  /** Clients of configurations before, which loops use until the next sync. */
  #former: Client[] = []
  readonly #deps: LoopDeps
  readonly #loops = new Map<string, Loop>()
  /** Relabelling is done once for a group as long as it and the job stay the same. */
  #made = new WeakMap<TargetGroup, GroupTargets>()
  #dropped: Readonly<Record<string, string>>[] = []
  #droppedCount = 0
  #problems = new Set<string>()
  readonly #waiting = new Set<{ cancel(): void }>()
  /** Counts syncs; by loop the one it began in. */
  #turn = 0
  readonly #born = new WeakMap<Loop, number>()
  readonly #heir: () => Pool | undefined

  /** `heir`: the pool that has the job's name now, while this one only waits to end its series. */
  constructor(job: ScrapeJob, client: Client, deps: LoopDeps, heir: () => Pool | undefined) {
    this.#job = job
    this.#client = client
    this.#deps = deps
    this.#heir = heir
  }

  /** Takes another configuration of the same job; it is in force with the next sync. */
  configure(job: ScrapeJob, client: Client): void {
    this.#former.push(this.#client)
    this.#job = job
    this.#client = client
    this.#made = new WeakMap()
  }

  /** Makes the loops fit what is discovered now. */
  async sync(groups: readonly TargetGroup[]): Promise<void> {
    this.#turn++
    const wanted = this.#targets(groups)
    const gone = [...this.#loops].filter(([key]) => !wanted.has(key))
    for (const [key] of gone) this.#loops.delete(key)
    const { target_limit: limit } = this.#job
    const forced =
      limit > 0 && wanted.size > limit
        ? new AppError(
            'limit_exceeded',
            `the job has ${wanted.size} targets, more than target_limit ${limit}; raise it, or drop targets with relabel_configs`,
          )
        : null
    for (const [key, target] of wanted) {
      let loop = this.#loops.get(key)
      if (!loop) {
        loop = new Loop(target, this.#client.send, this.#deps)
        this.#loops.set(key, loop)
        this.#born.set(loop, this.#turn)
        loop.forced = forced
        loop.start()
      }
      // The same target, but its secrets may be new.
      loop.target = target
      loop.send = this.#client.send
      loop.forced = forced
    }
    // They end when the requests under way have; nobody waits for that.
    for (const client of this.#former.splice(0)) void client.close().catch(() => undefined)
    await this.#retire(gone.map(([, loop]) => loop))
  }

  #targets(groups: readonly TargetGroup[]): Map<string, Target> {
    const wanted = new Map<string, Target>()
    const { keep_dropped_targets: most, job_name: job } = this.#job
    const problems = new Set<string>()
    this.#dropped = []
    this.#droppedCount = 0
    for (const group of groups) {
      let made = this.#made.get(group)
      if (!made) {
        made = targetsOf(this.#job, group)
        this.#made.set(group, made)
      }
      for (const target of made.targets) if (!wanted.has(target.key)) wanted.set(target.key, target)
      for (const why of made.problems) problems.add(why)
      this.#droppedCount += made.dropped.length
      for (const one of made.dropped) if (most === 0 || this.#dropped.length < most) this.#dropped.push(one)
    }
    for (const why of problems)
      if (!this.#problems.has(why)) this.#deps.log.error({ job, why }, 'scrape target left out')
    this.#problems = problems
    return wanted
  }

  /** Ends loops. Their series end when none of the job's targets has them after two more intervals, at the time of the first missed scrape. */
  async #retire(loops: readonly Loop[]): Promise<void> {
    await Promise.all(loops.map((loop) => loop.stop()))
    const byInterval = new Map<Duration, Gone[]>()
    for (const loop of loops) {
      const at = loop.nextAt()
      if (at === null) continue
      const { interval } = loop.target
      byInterval.set(interval, [
        ...(byInterval.get(interval) ?? []),
        { refs: loop.live(), at, turn: this.#turn },
      ])
    }
    for (const [interval, gone] of byInterval) {
      const timer = this.#deps.clock.after(duration(interval * patience), () => {
        this.#waiting.delete(timer)
        void this.#end(gone)
      })
      this.#waiting.add(timer)
    }
  }

  /** Loops that may have series of what is gone since `turn`: those that began then; with honor_labels any, for they choose their own labels. */
  #successors(turn: number): Loop[] {
    const heir = this.#heir()
    const own = [...this.#loops.values()]
    const others = heir === this || heir === undefined ? [] : [...heir.#loops.values()]
    if (this.#job.honor_labels) return [...own, ...others]
    return [...own.filter((loop) => (this.#born.get(loop) ?? 0) >= turn), ...others]
  }

  async #end(gone: readonly Gone[]): Promise<void> {
    const live = new Set<number>()
    const since = Math.min(...gone.map(({ turn }) => turn))
    for (const loop of this.#successors(since)) for (const ref of loop.live()) live.add(ref)
    for (const { refs, at } of gone) {
      const ended = [...refs].filter((ref) => !live.has(ref))
      await endSeries(ended, at, this.#deps).catch((error: unknown) =>
        this.#deps.log.warn({ err: error, job: this.#job.job_name }, 'end of a scrape target not stored'),
      )
    }
  }

  /** Whether series of gone targets are still to be ended. */
  get waits(): boolean {
    return this.#waiting.size > 0
  }

  /** Ends every loop. `gone`: the job is no more, and so are its series; else they go on where they were after a restart. */
  async stop(gone: boolean): Promise<void> {
    const loops = [...this.#loops.values()]
    this.#loops.clear()
    if (gone) await this.#retire(loops)
    else {
      for (const timer of this.#waiting) timer.cancel()
      this.#waiting.clear()
      await Promise.all(loops.map((loop) => loop.stop()))
    }
    for (const client of [this.#client, ...this.#former.splice(0)])
      await client.close().catch(() => undefined)
  }

  get size(): number {
    return this.#loops.size
  }

  targets(): TargetView[] {
    return [...this.#loops.values()].map((loop) => loop.state())
  }

  dropped(): { readonly kept: DroppedTarget[]; readonly count: number } {
    const scrapePool = this.#job.job_name
    return {
      kept: this.#dropped.map((discoveredLabels) => ({ discoveredLabels, scrapePool })),
      count: this.#droppedCount,
    }
  }
}
