// The recent window of every active series in memory, with its label index: what rules and instant queries read.
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { type Duration, type Instant, instant } from '../lib/time.ts'
import { type Batch, wordsOf } from '../model/batch.ts'
import type { ActiveSeries } from '../model/cardinality.ts'
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import type { Labels } from '../model/labels.ts'
import { packHistogram } from '../model/native-histogram.ts'
import { countRows, rowBytes, type SeriesRows } from '../model/packed-rows.ts'
import type { Scan } from '../model/plan.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { SeriesIndex } from '../model/ports/series-index.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { SeriesTable } from '../model/series.ts'
import { HistogramStore } from './histogram-store.ts'
import { LabelIndex } from './index.ts'
import { overLimit } from './over-limit.ts'
import { type Put, SeriesStore } from './series-store.ts'
import { without, withoutHistograms } from './without.ts'

export interface HeadOptions {
  readonly table: SeriesTable
  /** How far back samples are kept. */
  readonly window: Duration
  /** Most bytes of samples; past it the oldest go first. At least 2 MiB. */
  readonly maxBytes: number
  readonly clock: Clock
  readonly metrics: Metrics
  /** Told which series have samples here. */
  readonly active?: ActiveSeries
}

interface HeadStats {
  /** Series with at least one sample in memory, and known to the index. */
  readonly series: number
  readonly indexed: number
  readonly samples: number
  readonly bytes: number
}

export interface Head extends SeriesReader, SeriesIndex {
  readonly index: LabelIndex
  readonly table: SeriesTable
  /** Takes a batch in; of two samples of one series and time the first stays. Older than the window: indexed, not kept. */
  append(batch: Batch): void
  /** The batch without samples that the head already has; the batch itself when there are none. */
  admit(batch: Batch): Batch
  has(ref: number, at: number): boolean
  lastAt(ref: number): number
  /** From when on (exclusive) every accepted sample is here. Moves forward with time and when memory is short. */
  coveredFromAt(): Instant
  /** Says that every sample later than `at` was given to `append`. */
  coverFrom(at: Instant): void
  /** Reads the window from a store and covers it from then on. To be called once everything in the log was appended. */
  refill(store: SeriesReader, signal: AbortSignal): Promise<void>
  /** What the head has of a plan, covered or not: at most one slice, views of live memory. */
  scan(plan: Scan): SeriesColumns | null
  /** Lets go of samples older than the window; to be called every half minute or so. */
  trim(now: Instant): void
  stats(): HeadStats
}

export const createHead = (options: HeadOptions): Head => new MemoryHead(options)

class MemoryHead implements Head {
  readonly #o: HeadOptions
  readonly #store: SeriesStore
  readonly #histograms = new HistogramStore()
  readonly index: LabelIndex
  readonly table: SeriesTable
  readonly #duplicates
  readonly #evicted
  readonly #gauges
  #coverAt: number
  #floor = Number.NEGATIVE_INFINITY

  constructor(options: HeadOptions) {
    this.#o = options
    this.table = options.table
    this.index = new LabelIndex(options.table)
    this.#store = new SeriesStore(options.maxBytes)
    this.#coverAt = options.clock.now()
    const { metrics } = options
    this.#duplicates = metrics.counter(
      'airboss_duplicate_samples_total',
      'Samples of a series at a time that already had one; the first stays',
    )
    this.#evicted = metrics.counter(
      'airboss_head_evicted_samples_total',
      'Samples that left the head before their window had passed, because it was full',
    )
    this.#gauges = {
      bytes: metrics.gauge('airboss_head_bytes', 'Bytes of samples in the head'),
      series: metrics.gauge('airboss_head_series', 'Series with samples in the head'),
      samples: metrics.gauge('airboss_head_samples', 'Samples in the head'),
    }
  }

  append(batch: Batch): void {
    const duplicates = this.#take(batch) + this.#takeHistograms(batch.histograms)
    if (this.#histograms.bytes > 0 && this.#overCap()) this.#evict()
    if (duplicates > 0) this.#duplicates.add(duplicates)
  }

  /** Returns how many samples were there already. */
  #take(batch: Batch): number {
    this.#advance(this.#o.clock.now())
    const { ref: refs, at: times } = batch
    const words = wordsOf(batch.value)
    const store = this.#store
    store.widen(this.table.size)
    const { to, limit, lastAt, slab } = store
    const index = this.index
    let duplicates = 0
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!
      const at = times[i]!
      const place = to[ref]!
      // Nearly every sample is newer than its series' last and has room: the rest goes the long way.
      if (at > lastAt[ref]! && place < limit[ref]! && at > this.#floor) {
        slab.at[place] = at
        slab.words[place * 2] = words[i * 2]!
        slab.words[place * 2 + 1] = words[i * 2 + 1]!
        to[ref] = place + 1
        lastAt[ref] = at
      } else if (this.#put(ref, at, words[i * 2]!, words[i * 2 + 1]!) === 'duplicate') duplicates++
      const seen = index.lastSeenAt[ref]!
      if (at > seen && seen > Number.NEGATIVE_INFINITY) index.lastSeenAt[ref] = at
      else if (!(at >= index.firstSeenAt[ref]! && at <= seen)) index.add(ref, at, at)
    }
    return duplicates
  }

  #takeHistograms(rows: SeriesRows | undefined): number {
    if (!rows) return 0
    let duplicates = 0
    for (let i = 0; i < rows.ref.length; i++) {
      if (!this.#putHistogram(rows.ref[i]!, rows.at[i]!, rowBytes(rows, i))) duplicates++
    }
    return duplicates
  }

  #putHistogram(ref: number, at: number, row: Uint8Array): boolean {
    this.table.sawHistogram(ref)
    this.index.add(ref, at, at)
    if (at <= this.#floor) {
      this.#store.lose(at)
      return true
    }
    if (this.#store.has(ref, at) || !this.#histograms.put(ref, at, row)) return false
    this.#o.active?.entered(ref)
    return true
  }

  /** Histograms count in the same cap as samples do. */
  #overCap(): boolean {
    return this.#histograms.bytes + this.#store.slab.usedBytes > this.#o.maxBytes
  }

  #put(ref: number, at: number, low: number, high: number): Put {
    const { active } = this.#o
    if (!active || this.#store.limit[ref]! > 0) return this.#place(ref, at, low, high)
    const put = this.#place(ref, at, low, high)
    if (this.#store.limit[ref]! > 0) active.entered(ref)
    return put
  }

  #place(ref: number, at: number, low: number, high: number): Put {
    let put = this.#store.put(ref, at, low, high, this.#floor)
    if (put !== 'full') return put
    this.#evict()
    put = this.#store.put(ref, at, low, high, this.#floor)
    // Not even now: what was to be kept is not, so the head covers nothing up to it.
    if (put === 'full') {
      this.#evicted.add(1)
      this.#store.lose(at)
      this.#floor = Math.max(this.#floor, at)
    }
    return put
  }

  /** Makes room by letting the oldest quarter of what is covered go, again and again until there is some. */
  #evict(): void {
    const now = this.#o.clock.now()
    for (let round = 0; round < 16 && (!this.#store.slab.hasRoom || this.#overCap()); round++) {
      const from = Math.min(Math.max(this.#floor, now - this.#o.window), now)
      this.#floor =
        round === 15 ? this.#newestAt() : Math.max(this.#floor, from + Math.max((now - from) / 4, 1))
      let gone = this.#trimHistograms()
      for (let ref = 0; ref < this.#store.length; ref++) gone += this.#trim(ref, true)
      this.#evicted.add(gone)
    }
  }

  #trimHistograms(): number {
    const { gone, newestAt, emptied } = this.#histograms.trim(this.#floor)
    if (gone > 0) this.#store.lose(newestAt)
    for (const ref of emptied) if (this.#store.limit[ref] === 0) this.#o.active?.left(ref)
    return gone
  }

  #trim(ref: number, tight: boolean): number {
    const { limit } = this.#store
    if (limit[ref] === 0) return 0
    const gone = this.#store.trim(ref, this.#floor, tight)
    if (limit[ref] === 0 && !this.#histograms.holds(ref)) this.#o.active?.left(ref)
    return gone
  }

  #newestAt(): number {
    const { lastAt } = this.#store
    let newest = Math.max(this.#floor, this.#histograms.newestAt())
    for (let ref = 0; ref < lastAt.length; ref++) if (lastAt[ref]! > newest) newest = lastAt[ref]!
    return newest
  }

  /** A floor far ahead of now is left from before the clock was set back: with it nothing would be kept until the clock is there again. */
  #advance(now: number): void {
    const floor = now - this.#o.window
    if (floor > this.#floor || this.#floor > now + this.#o.window) this.#floor = floor
  }

  admit(batch: Batch): Batch {
    const dropped: number[] = []
    for (let i = 0; i < batch.ref.length; i++) {
      const ref = batch.ref[i]!
      const at = batch.at[i]!
      if (at <= this.lastAt(ref) && this.has(ref, at)) dropped.push(i)
    }
    const { histograms } = batch
    const rows: number[] = []
    for (let i = 0; i < countRows(histograms); i++)
      if (this.has(histograms!.ref[i]!, histograms!.at[i]!)) rows.push(i)
    if (dropped.length + rows.length > 0) this.#duplicates.add(dropped.length + rows.length)
    return withoutHistograms(without(batch, dropped), rows)
  }

  has(ref: number, at: number): boolean {
    return this.#store.has(ref, at) || this.#histograms.has(ref, at)
  }

  lastAt(ref: number): number {
    const floats = this.#store.lastAt[ref] ?? Number.NEGATIVE_INFINITY
    return this.table.hasHistograms(ref) ? Math.max(floats, this.#histograms.lastAt(ref)) : floats
  }

  coveredFromAt(): Instant {
    return instant(Math.max(this.#coverAt, this.#floor, this.#store.lostAt))
  }

  coverFrom(at: Instant): void {
    this.#coverAt = at
  }

  async refill(store: SeriesReader, signal: AbortSignal): Promise<void> {
    const now = this.#o.clock.now()
    const fromAt = instant(now - this.#o.window)
    // Samples may be stamped ahead of now; a window ahead takes in all that is ever accepted.
    const toAt = instant(now + Math.max(this.#o.window, 3_600_000))
    const limits = { series: Number.POSITIVE_INFINITY, samples: Number.POSITIVE_INFINITY }
    for await (const columns of store.read(
      { kind: 'scan', matchers: [], fromAt, toAt, pick: 'all', limits },
      signal,
    ))
      this.#fill(columns)
    if (fromAt < this.#coverAt) this.#coverAt = fromAt
  }

  #fill(columns: SeriesColumns): void {
    for (let s = 0; s < columns.labels.length; s++) {
      const ref = this.table.intern(columns.labels[s]!)
      if (ref < 0)
        throw new AppError(
          'limit_exceeded',
          'the head cannot be refilled: storage.max_series is below what is stored',
        )
      const start = columns.start[s]!
      const end = columns.end[s]!
      const refs = new Uint32Array(end - start).fill(ref)
      const at = columns.at.subarray(start, end)
      const value = columns.value.subarray(start, end)
      // What is here already came from the log: no sender repeated it.
      this.#take({ ref: refs, at, value, metadata: [], events: [], costs: [] })
      const run = columns.histograms?.[s]
      run?.value.forEach((h, i) => {
        this.#putHistogram(ref, run.at[i]!, packHistogram(h))
      })
    }
  }

  scan(plan: Scan): SeriesColumns | null {
    const refs = this.index.matching(plan.matchers)
    const store = this.#store
    const labels: Labels[] = []
    const start = new Uint32Array(refs.length)
    const end = new Uint32Array(refs.length)
    const { fromAt, toAt, limits } = plan
    const last = plan.pick === 'last'
    let runs: (HistogramRun | undefined)[] | null = null
    let n = 0
    let samples = 0
    for (let i = 0; i < refs.length; i++) {
      const ref = refs[i]!
      // The newest time stands beside the slab: idle series cost one look.
      const idle = ref >= store.length || store.lastAt[ref]! <= fromAt || store.from[ref] === store.to[ref]
      let stop = idle ? 0 : store.lastAt[ref]! <= toAt ? store.to[ref]! : store.after(ref, toAt)
      let begin = idle ? 0 : last ? stop - 1 : store.after(ref, fromAt)
      if (begin >= stop || begin < store.from[ref]! || (last && store.slab.at[begin]! <= fromAt)) {
        begin = 0
        stop = 0
      }
      const run = this.table.hasHistograms(ref) ? this.#run(ref, plan) : undefined
      if (begin === stop && !run) continue
      if (run) {
        runs ??= new Array<undefined>(refs.length)
        runs[n] = run
        samples += run.at.length
      }
      labels.push(this.table.labels(ref))
      start[n] = begin
      end[n++] = stop
      samples += stop - begin
      if (n > limits.series || samples > limits.samples) throw overLimit(plan, n > limits.series)
    }
    if (n === 0) return null
    return {
      labels,
      start: start.subarray(0, n),
      end: end.subarray(0, n),
      at: store.slab.at,
      value: store.slab.value,
      histograms: runs?.slice(0, n),
    }
  }

  #run(ref: number, { fromAt, toAt, pick }: Scan): HistogramRun | undefined {
    const taken = (at: number): boolean => this.#store.has(ref, at)
    return this.#histograms.run(ref, fromAt, toAt, pick === 'last', taken)
  }

  async *read(plan: Scan, signal: AbortSignal): AsyncGenerator<SeriesColumns> {
    signal.throwIfAborted()
    const coveredFromAt = this.coveredFromAt()
    if (plan.fromAt < coveredFromAt)
      throw new AppError(
        'unavailable',
        `the recent window in memory begins at ${coveredFromAt}, after ${plan.fromAt}`,
      )
    const columns = this.scan(plan)
    if (columns) yield columns
  }

  select(...args: Parameters<SeriesIndex['select']>): number[] {
    return this.index.select(...args)
  }
  names(...args: Parameters<SeriesIndex['names']>): string[] {
    return this.index.names(...args)
  }
  values(...args: Parameters<SeriesIndex['values']>): string[] {
    return this.index.values(...args)
  }

  trim(now: Instant): void {
    this.#advance(now)
    this.#trimHistograms()
    for (let ref = 0; ref < this.#store.length; ref++) this.#trim(ref, false)
    this.#o.active?.turned()
    const { bytes, series, samples } = this.stats()
    this.#gauges.bytes.set(bytes)
    this.#gauges.series.set(series)
    this.#gauges.samples.set(samples)
  }

  stats(): HeadStats {
    let { series, samples } = this.#histograms
    const { from, to } = this.#store
    for (let ref = 0; ref < from.length; ref++) {
      const n = to[ref]! - from[ref]!
      if (n > 0 && !this.#histograms.holds(ref)) series++
      samples += n
    }
    return {
      series,
      indexed: this.index.size,
      samples,
      bytes: this.#store.slab.usedBytes + this.#histograms.bytes,
    }
  }
}
