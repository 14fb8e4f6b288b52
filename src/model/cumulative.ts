// Counters that live longer than the process: their values, how they enter a batch, and how they come back from a log.

import type { Batch } from './batch.ts'
import type { BatchBuilder } from './batch-builder.ts'
import { type Labels, labelOf, metricName } from './labels.ts'
import type { SeriesRef, SeriesTable } from './series.ts'

export interface CumulativeState {
  readonly lastAt: number
  /** Id of the series in decimal, its labels, its exact total, what was last written. */
  readonly series: readonly (readonly [string, Labels, number, number])[]
}

/**
 * Totals by series. Changes are collected in a `draft` and become final with `commit`, once the batch that carries them is safe. What is written
 * never decreases: a total that falls (a correction) is written as the highest it has been until it has grown past that.
 */
export class Cumulative {
  readonly #table: SeriesTable
  readonly #names: ReadonlySet<string>
  readonly #total = new Map<SeriesRef, number>()
  readonly #written = new Map<SeriesRef, number>()
  #lastAt = 0

  /** `names` are the metric names that are this producer's own: what `replay` takes back from a batch. */
  constructor(table: SeriesTable, names: readonly string[]) {
    this.#table = table
    this.#names = new Set(names)
  }

  get size(): number {
    return this.#total.size
  }
  has(ref: SeriesRef): boolean {
    return this.#total.has(ref)
  }
  /** Every series with its total. */
  entries(): IterableIterator<[SeriesRef, number]> {
    return this.#total.entries()
  }
  total(ref: SeriesRef): number {
    return this.#total.get(ref) ?? 0
  }

  /** The time of the next samples: now, but always later than the last ones, so that none is taken for a repetition. */
  nextAt(now: number): number {
    // A clock set back by more than a minute: start again from where it is, the samples in between fall away.
    return now < this.#lastAt - 60_000 ? now : Math.max(now, this.#lastAt + 1)
  }

  draft(): Draft {
    return new Draft(this)
  }

  /** Writes the draft's series at `at`. A series seen for the first time gets a zero `lead` milliseconds before, so that its first increase shows. */
  write(draft: Draft, builder: BatchBuilder, at: number, lead: number): void {
    for (const [ref, total] of draft.totals) {
      if (!this.#total.has(ref)) builder.add(ref, at - lead, 0)
      builder.add(ref, at, this.#shown(ref, total))
    }
  }

  /** Writes every series that the draft does not change as it stands, so that none goes stale between changes. */
  writeRest(draft: Draft, builder: BatchBuilder, at: number): void {
    for (const [ref, value] of this.#written) if (!draft.totals.has(ref)) builder.add(ref, at, value)
  }

  commit(draft: Draft, at: number): void {
    for (const [ref, total] of draft.totals) {
      this.#written.set(ref, this.#shown(ref, total))
      this.#total.set(ref, total)
    }
    this.#lastAt = at
  }

  /** As `commit`, for those whose totals change by `replayAdd` alone: only what was written is noted, totals may have grown since. */
  shown(draft: Draft, at: number): void {
    for (const [ref, total] of draft.totals) this.#written.set(ref, this.#shown(ref, total))
    this.#lastAt = at
  }

  #shown(ref: SeriesRef, total: number): number {
    return Math.max(this.#written.get(ref) ?? 0, total)
  }

  save(): CumulativeState {
    const series = [...this.#total].map(
      ([ref, total]) =>
        [
          String(this.#table.id(ref)),
          this.#table.labels(ref),
          total,
          this.#written.get(ref) ?? total,
        ] as const,
    )
    return { lastAt: this.#lastAt, series }
  }

  load(state: CumulativeState): void {
    this.#total.clear()
    this.#written.clear()
    this.#lastAt = state.lastAt
    for (const [id, labels, total, written] of state.series) {
      const ref = this.#table.restore(BigInt(id), labels)
      this.#total.set(ref, total)
      this.#written.set(ref, written)
    }
  }

  /**
   * Takes back what a logged batch says of this producer's series; the same batch again changes nothing. `totals: false` where the caller
   * rebuilds totals from rows.
   */
  replay(batch: Batch, totals = true): void {
    for (let i = 0; i < batch.ref.length; i++) {
      const ref = batch.ref[i]!
      if (!this.#names.has(labelOf(this.#table.labels(ref), metricName))) continue
      const value = batch.value[i]!
      if (Number.isNaN(value)) continue
      this.#lastAt = Math.max(this.#lastAt, batch.at[i]!)
      const known = this.#written.get(ref)
      if (known !== undefined && value <= known) continue
      this.#written.set(ref, value)
      if (totals) this.#total.set(ref, value)
      else if (!this.#total.has(ref)) this.#total.set(ref, 0)
    }
  }

  /** Adds to a total during replay, where rows say what samples cannot. */
  replayAdd(ref: SeriesRef, by: number): void {
    this.#total.set(ref, this.total(ref) + by)
    if (!this.#written.has(ref)) this.#written.set(ref, 0)
  }
}

/** Totals as they will be once a batch is safe. */
export class Draft {
  readonly totals = new Map<SeriesRef, number>()
  readonly #base: Cumulative
  constructor(base: Cumulative) {
    this.#base = base
  }
  add(ref: SeriesRef, by: number): void {
    this.totals.set(ref, (this.totals.get(ref) ?? this.#base.total(ref)) + by)
  }
}
