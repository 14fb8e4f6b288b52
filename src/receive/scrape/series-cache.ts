// What is known of a target's series between scrapes: their references by their text, and which were in the last scrape.
import { AppError } from '../../lib/errors.ts'
import { staleHigh, staleLow } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import type { Labels } from '../../model/labels.ts'
import { readSeries } from './line.ts'

export interface DecodeOptions {
  /** The labels a scraped series is kept under, null when it is dropped. Throws where a limit of the job is passed. */
  readonly finish: (scraped: Map<string, string>) => Labels | null
  readonly honorTimestamps: () => boolean
  /** Whether series with times of their own end with a stale marker too. */
  readonly trackTimestamps?: () => boolean
  /** Most samples kept of one scrape; 0 = no limit. */
  readonly sampleLimit: () => number
}

export interface DecodeCounts {
  /** Samples in the text. */
  readonly scraped: number
  /** Samples left after relabelling. */
  readonly kept: number
  /** Series that were not in the scrape before. */
  readonly added: number
}

export interface Entry {
  readonly text: string
  /** -1: dropped by relabelling; -2: refused by the limits, asked for again at each scrape. */
  ref: number
  /** The scrape it was last in and is watched for leaving, and the one it was in before that. */
  live: number
  before: number
  /** The scrape it was last in at all. */
  seen: number
  /** The exemplar it came with last, as it was written: targets repeat one until they have another. */
  exemplar: string
  /** The time of the newest exemplar of a native histogram, which has several. */
  exemplarAt: number
}

export const dropped = -1
const refused = -2

/** The text for itself: a slice of a body would keep the whole body alive. */
export const copy = (text: string): string => Buffer.from(text, 'utf8').toString('utf8')

/** One scrape is `begin`, then an `entry` and a `keep` for each sample, then `commit` or `rollback`. */
export class SeriesCache {
  readonly #options: DecodeOptions
  #known = new Map<string, Entry>()
  /** Entries in the order of the last scrape: the n-th line mostly names the n-th series again. */
  #last: Entry[] = []
  #order: Entry[] = []
  #number = 0
  /** The last scrape that was taken, 0 when it failed or there was none. */
  #good = 0
  #builder: BatchBuilder | null = null
  #at = 0
  #limit = 0
  #honor = true
  #track = false
  scraped = 0
  kept = 0
  added = 0

  constructor(options: DecodeOptions) {
    this.#options = options
  }

  begin(builder: BatchBuilder, at: number): void {
    this.#number++
    this.#builder = builder
    this.#at = at
    this.#limit = this.#options.sampleLimit()
    this.#honor = this.#options.honorTimestamps()
    this.#track = this.#options.trackTimestamps?.() ?? false
    this.#order = []
    this.scraped = 0
    this.kept = 0
    this.added = 0
  }

  /** What stood at this place in the last scrape. */
  expected(): Entry | undefined {
    return this.#last[this.#order.length]
  }

  /** The entry `expected` gave is here again. */
  again(entry: Entry): void {
    if (entry.ref === refused) entry.ref = this.#resolve(readSeries(entry.text))
    this.#order.push(entry)
  }

  /** The entry of a series by its text in the exposition format. Throws LineError where that is wrong. */
  entry(text: string): Entry {
    const known = this.#known.get(text)
    if (known) {
      // Refused once, asked for again: the limit may not be reached any more.
      this.again(known)
      return known
    }
    const entry: Entry = {
      text: copy(text),
      ref: refused,
      live: -1,
      before: -1,
      seen: -1,
      exemplar: '',
      exemplarAt: 0,
    }
    entry.ref = this.#resolve(readSeries(entry.text))
    this.#known.set(entry.text, entry)
    this.#order.push(entry)
    return entry
  }

  #resolve(scraped: Map<string, string>): number {
    const labels = this.#options.finish(scraped)
    if (labels === null) return dropped
    const ref = this.#builder!.series(labels)
    return ref < 0 ? refused : ref
  }

  /**
   * Counts a sample of a series, `hasTime` when it has a time of its own. The time to keep it at, NaN when it is not to be kept: dropped,
   * refused, or past the limit of samples, where they are only counted so that the error can say how many there are.
   */
  keep(entry: Entry, hasTime: boolean, time: number): number {
    this.scraped++
    if (entry.ref === dropped) return Number.NaN
    this.kept++
    if (this.#limit > 0 && this.kept > this.#limit) return Number.NaN
    if (entry.seen !== this.#number && entry.seen !== this.#number - 1) this.added++
    entry.seen = this.#number
    if (entry.ref === refused) {
      const builder = this.#builder!
      builder.reject(builder.lastReason, builder.lastExample)
      return Number.NaN
    }
    const own = hasTime && this.#honor
    if ((!own || this.#track) && entry.live !== this.#number) {
      entry.before = entry.live
      entry.live = this.#number
    }
    return own ? time : this.#at
  }

  checkLimit(): void {
    if (this.#limit === 0 || this.kept <= this.#limit) return
    throw new AppError(
      'limit_exceeded',
      `${this.kept} samples after relabelling, more than ${this.#limit}; raise sample_limit or drop series with metric_relabel_configs`,
    )
  }

  rollback(): void {
    for (const entry of this.#order) if (entry.live === this.#number) entry.live = entry.before
    this.#builder = null
  }

  /** The scrape is taken: what was in the one before and is not in this one ends. */
  commit(): void {
    this.#last = this.#order
    this.#markGone(this.#builder!, this.#at)
    this.#good = this.#number
    this.#evict()
    this.#builder = null
  }

  #markGone(builder: BatchBuilder, at: number): void {
    if (this.#good === 0) return
    const gone = this.#liveIn(this.#good)
    // Two texts can name one series.
    if (gone.size > 0) for (const entry of this.#last) if (entry.live === this.#number) gone.delete(entry.ref)
    for (const ref of gone) builder.addBits(ref, at, staleLow, staleHigh)
  }

  #liveIn(scrape: number): Set<number> {
    const refs = new Set<number>()
    for (const entry of this.#known.values()) if (entry.ref >= 0 && entry.live === scrape) refs.add(entry.ref)
    return refs
  }

  /** Series of the last scrape that was taken. */
  live(): Set<number> {
    return this.#good === 0 ? new Set() : this.#liveIn(this.#good)
  }

  /** The target failed or is gone: stale markers at `at` for every series of the last scrape that was taken. Gives their number. */
  end(builder: BatchBuilder, at: number): number {
    const gone = this.live()
    for (const ref of gone) builder.addBits(ref, at, staleLow, staleHigh)
    this.#good = 0
    return gone.size
  }

  #evict(): void {
    if (this.#known.size <= this.#last.length * 2 + 1000) return
    for (const [text, entry] of this.#known)
      if (entry.ref !== dropped && entry.seen < this.#number - 1) this.#known.delete(text)
    if (this.#known.size > this.#last.length * 2 + 1000) {
      const listed = new Set(this.#last)
      for (const [text, entry] of this.#known) if (!listed.has(entry)) this.#known.delete(text)
    }
  }
}
