// Watches token counters pass by and says by how much each has grown.
import type { Batch } from '../model/batch.ts'
import { type Labels, labelOf, metricName } from '../model/labels.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { type Payer, payerOf, type TokenSeries, tokenSeries } from './pricer-tokens.ts'

export interface Increase {
  readonly ref: SeriesRef
  readonly series: TokenSeries
  readonly payer: Payer
  /** Time of the sample that showed it. */
  readonly at: number
  readonly tokens: number
}

export interface TokenWatchState {
  readonly sinceAt: number
  /** By series: id in decimal, labels, time and value of the last sample. */
  readonly last: readonly (readonly [string, Labels, number, number])[]
}

interface Last {
  readonly at: number
  readonly value: number
}

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
    const grown = new Map<SeriesRef, { at: number; tokens: number }>()
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
      const tokens = this.#growth(last, at, value)
      if (tokens > 0) grown.set(ref, { at, tokens: tokens + (grown.get(ref)?.tokens ?? 0) })
    }
    for (const ref of next.keys()) this.#noteRank(ref)
    return {
      increases: this.#charged(grown),
      commit: () => {
        for (const [ref, last] of next) this.#last.set(ref, last)
      },
    }
  }

  #growth(last: Last | undefined, at: number, value: number): number {
    if (last) return value >= last.value ? value - last.value : value
    return at - this.#sinceAt >= this.#settle ? value : 0
  }

  #noteRank(ref: SeriesRef): void {
    const { source, rank } = this.#series.get(ref)!
    if (rank > (this.#rank.get(source) ?? -1)) this.#rank.set(source, rank)
  }

  #charged(grown: ReadonlyMap<SeriesRef, { at: number; tokens: number }>): Increase[] {
    const out: Increase[] = []
    for (const [ref, { at, tokens }] of grown) {
      const series = this.#series.get(ref)!
      if (series.rank < (this.#rank.get(series.source) ?? 0)) continue
      const labels = this.#table.labels(ref)
      out.push({ ref, series, payer: payerOf(labels, this.#info.get(place(labels)) ?? []), at, tokens })
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
    return { sinceAt: this.#sinceAt, last }
  }

  load(state: TokenWatchState): void {
    this.#sinceAt = state.sinceAt
    this.#last.clear()
    for (const [id, labels, at, value] of state.last) {
      const ref = this.#table.restore(BigInt(id), labels)
      this.#last.set(ref, { at, value })
      if (this.#classOf(ref) === token) this.#noteRank(ref)
    }
  }
}
