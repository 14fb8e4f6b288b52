// Watches token counters pass by and says by how much each has grown.
import { RecentIds } from '../lib/recent-ids.ts'
import type { Batch } from '../model/batch.ts'
import { type Labels, labelOf, metricName } from '../model/labels.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { type Payer, payerOf, type TokenSeries, tokenSeries } from './pricer-tokens.ts'

export interface Increase {
  readonly ref: SeriesRef
  readonly series: TokenSeries
  readonly payer: Payer
  /** Times of the sample before, 0 where there was none, and of the sample that showed it. */
  readonly from: number
  readonly at: number
  readonly tokens: number
}

export interface TokenWatchState {
  readonly sinceAt: number
  /** By series: id in decimal, labels, time and value of the last sample. */
  readonly last: readonly (readonly [string, Labels, number, number])[]
  /** Series that were forgotten. */
  readonly gone?: string
}

interface Last {
  readonly at: number
  readonly value: number
}

interface Grown {
  readonly from: number
  readonly at: number
  readonly tokens: number
}

/** A counter silent for so long has ended: its process is gone. */
const idle = 24 * 3_600_000
/** Most counters remembered; past it the longest silent are forgotten. */
const mostSeries = 20_000
/** Most forgotten ones of which it is still known that they were there. */
const mostGone = 65_536

// 0 is a series not looked at yet.
const other = 1
const token = 2
const info = 3

const place = (labels: Labels): string => `${labelOf(labels, 'job')}\u00ff${labelOf(labels, 'instance')}`

export class TokenWatch {
  readonly #table: SeriesTable
  readonly #settle: number
  #sinceAt: number
  /** What each series is, by reference. */
  #class = new Uint8Array(4096)
  readonly #series = new Map<SeriesRef, TokenSeries>()
  readonly #last = new Map<SeriesRef, Last>()
  /** The highest rank seen by source. */
  readonly #rank = new Map<string, number>()
  readonly #info = new Map<string, Labels>()
  /** A forgotten counter that comes back would be taken for a new one, and billed whole again. */
  readonly #gone = new RecentIds(mostGone)

  constructor(table: SeriesTable, nowAt: number, settle: number) {
    this.#table = table
    this.#sinceAt = nowAt
    this.#settle = settle
  }

  /** Whether the batch has token counters; remembers every `target_info` it has. */
  concerns(batch: Batch): boolean {
    let found = false
    for (const ref of batch.ref) if (this.#classOf(ref) === token) found = true
    return found
  }

  /** Time of the last sample known of a series; before all time when there is none. */
  lastAt(ref: SeriesRef): number {
    return this.#last.get(ref)?.at ?? Number.NEGATIVE_INFINITY
  }

  /** By how much every token counter in the batch has grown; `commit` makes the batch's samples the last ones known. */
  look(batch: Batch): { readonly increases: Increase[]; readonly commit: () => void } {
    const next = new Map<SeriesRef, Last>()
    const grown = new Map<SeriesRef, Grown>()
    for (let i = 0; i < batch.ref.length; i++) {
      const ref = batch.ref[i]!
      if (this.#classOf(ref) !== token) continue
      const at = batch.at[i]!
      const value = batch.value[i]!
      // A stale marker ends a series and says nothing about its value.
      if (!(value >= 0) || value === Number.POSITIVE_INFINITY) continue
      const last = next.get(ref) ?? this.#last.get(ref)
      if (last && at <= last.at) continue
      next.set(ref, { at, value })
      const tokens = this.#growth(ref, last, at, value)
      const before = grown.get(ref)
      if (tokens > 0)
        grown.set(ref, { from: before?.from ?? last?.at ?? 0, at, tokens: tokens + (before?.tokens ?? 0) })
    }
    for (const ref of next.keys()) this.#noteRank(ref)
    return {
      increases: this.#charged(grown),
      commit: () => {
        for (const [ref, last] of next) this.#last.set(ref, last)
      },
    }
  }

  #growth(ref: SeriesRef, last: Last | undefined, at: number, value: number): number {
    if (!last && this.#gone.size > 0 && this.#gone.has(this.#name(ref))) return 0
    if (last) return value >= last.value ? value - last.value : value
    return at - this.#sinceAt >= this.#settle ? value : 0
  }

  #name(ref: SeriesRef): string {
    return this.#table.id(ref).toString(16)
  }

  /** Forgets counters that have been silent for a day, and the longest silent beyond 20,000; how many. What comes back begins with a baseline. */
  tidy(now: number): number {
    const stale = [...this.#last].filter(([, { at }]) => now - at > idle).map(([ref]) => ref)
    const over = this.#last.size - stale.length - mostSeries
    if (over > 0) {
      const gone = new Set(stale)
      const rest = [...this.#last].filter(([ref]) => !gone.has(ref)).sort(([, a], [, b]) => a.at - b.at)
      stale.push(...rest.slice(0, over).map(([ref]) => ref))
    }
    for (const ref of stale) {
      this.#last.delete(ref)
      this.#gone.add(this.#name(ref))
    }
    if (stale.length > 0) this.#forgetPlaces()
    return stale.length
  }

  /** What belongs to no counter that is still remembered goes too; a series that comes back is looked at anew. */
  #forgetPlaces(): void {
    const sources = new Set<string>()
    const places = new Set<string>()
    for (const ref of this.#last.keys()) {
      const series = this.#series.get(ref)
      if (series) sources.add(series.source)
      places.add(place(this.#table.labels(ref)))
    }
    for (const source of this.#rank.keys()) if (!sources.has(source)) this.#rank.delete(source)
    for (const ref of this.#series.keys()) {
      if (this.#last.has(ref)) continue
      this.#series.delete(ref)
      this.#class[ref] = 0
    }
    for (const [where, labels] of this.#info) {
      if (places.has(where)) continue
      this.#info.delete(where)
      const ref = this.#table.intern(labels)
      if (ref >= 0) this.#class[ref] = 0
    }
  }

  get size(): number {
    return this.#last.size
  }

  /** Whom a counter's tokens are charged to. */
  payer(ref: SeriesRef): Payer {
    const labels = this.#table.labels(ref)
    return payerOf(labels, this.#info.get(place(labels)) ?? [])
  }

  #noteRank(ref: SeriesRef): void {
    const { source, rank } = this.#series.get(ref)!
    if (rank > (this.#rank.get(source) ?? -1)) this.#rank.set(source, rank)
  }

  #charged(grown: ReadonlyMap<SeriesRef, Grown>): Increase[] {
    const out: Increase[] = []
    for (const [ref, { from, at, tokens }] of grown) {
      const series = this.#series.get(ref)!
      if (series.rank < (this.#rank.get(series.source) ?? 0)) continue
      out.push({ ref, series, payer: this.payer(ref), from, at, tokens })
    }
    return out
  }

  #classOf(ref: SeriesRef): number {
    if (ref >= this.#class.length) {
      const wider = new Uint8Array(Math.max(this.#class.length * 2, ref + 1))
      wider.set(this.#class)
      this.#class = wider
    }
    return this.#class[ref] || this.#classify(ref)
  }

  #classify(ref: SeriesRef): number {
    const labels = this.#table.labels(ref)
    let found = other
    const series = tokenSeries(labels)
    if (series) {
      this.#series.set(ref, series)
      found = token
    } else if (labelOf(labels, metricName) === 'target_info') {
      // A new set of attributes is a new series: the newest one seen first holds.
      this.#info.set(place(labels), labels)
      found = info
    }
    this.#class[ref] = found
    return found
  }

  save(): TokenWatchState {
    const last = [...this.#last].map(
      ([ref, l]) => [String(this.#table.id(ref)), this.#table.labels(ref), l.at, l.value] as const,
    )
    return { sinceAt: this.#sinceAt, last, gone: this.#gone.save() }
  }

  load(state: TokenWatchState): void {
    this.#sinceAt = state.sinceAt
    this.#last.clear()
    this.#gone.load(state.gone ?? '')
    for (const [id, labels, at, value] of state.last) {
      const ref = this.#table.restore(BigInt(id), labels)
      this.#last.set(ref, { at, value })
      if (this.#classOf(ref) === token) this.#noteRank(ref)
    }
  }
}
