// The series of a resource's objects: written at each look while the objects are there, ended by stale markers when they go.
import type { Instant } from '../../lib/time.ts'
import { staleHigh, staleLow } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { labelsOf, metricName } from '../../model/labels.ts'
import type { SeriesRef } from '../../model/series.ts'
import { isCounter, type Row } from './row.ts'

interface Entry {
  /** Not made into series yet. */
  rows: readonly Row[] | null
  refs: readonly SeriesRef[]
  values: Float64Array
}

export interface BookLimits {
  /** Series that may be made still. */
  room: number
  /** Metrics whose type was told. */
  readonly told: Set<string>
}

export class SeriesBook {
  readonly #entries = new Map<string, Entry>()
  /** How many objects have a series: one that left an object and came to another goes on. */
  readonly #uses = new Map<SeriesRef, number>()
  readonly #ended = new Set<SeriesRef>()
  readonly #base: Readonly<Record<string, string>>
  readonly #limits: BookLimits
  #asleep = false

  constructor(base: Readonly<Record<string, string>>, limits: BookLimits) {
    this.#base = base
    this.#limits = limits
  }

  get size(): number {
    return this.#entries.size
  }

  set(key: string, rows: readonly Row[]): void {
    const entry = this.#entries.get(key)
    if (entry) entry.rows = rows
    else this.#entries.set(key, { rows, refs: [], values: new Float64Array(0) })
  }

  delete(key: string): void {
    const entry = this.#entries.get(key)
    if (!entry) return
    this.#entries.delete(key)
    this.#release(entry.refs)
  }

  /** Lets go of everything that `keep` does not name. */
  retain(keep: ReadonlySet<string>): void {
    for (const key of this.#entries.keys()) if (!keep.has(key)) this.delete(key)
  }

  #release(refs: readonly SeriesRef[]): void {
    for (const ref of refs) {
      const left = (this.#uses.get(ref) ?? 0) - 1
      if (left > 0) this.#uses.set(ref, left)
      else {
        this.#uses.delete(ref)
        this.#ended.add(ref)
        this.#limits.room++
      }
    }
  }

  /** Every series at its value, and the end of those that have gone. Series over the limit are rejected in the builder. */
  write(builder: BatchBuilder, at: Instant): void {
    this.#asleep = false
    for (const entry of this.#entries.values()) {
      if (entry.rows) this.#resolve(entry, entry.rows, builder)
      const { refs, values } = entry
      for (let i = 0; i < refs.length; i++) builder.add(refs[i]!, at, values[i]!)
    }
    this.#end(builder, at)
  }

  /** Ends every series until the next `write`: what is known of them is no longer believed. */
  sleep(builder: BatchBuilder, at: Instant): void {
    this.#end(builder, at)
    if (this.#asleep) return
    this.#asleep = true
    for (const ref of this.#uses.keys()) builder.addBits(ref, at, staleLow, staleHigh)
  }

  #end(builder: BatchBuilder, at: Instant): void {
    for (const ref of this.#ended) if (!this.#uses.has(ref)) builder.addBits(ref, at, staleLow, staleHigh)
    this.#ended.clear()
  }

  #resolve(entry: Entry, rows: readonly Row[], builder: BatchBuilder): void {
    const refs: SeriesRef[] = []
    const values: number[] = []
    const before = entry.refs
    for (const row of rows) {
      const ref = this.#take(row, builder)
      if (ref < 0) continue
      refs.push(ref)
      values.push(row.value)
    }
    // What found no room is asked for again at the next look.
    entry.rows = refs.length < rows.length ? rows : null
    entry.refs = refs
    entry.values = Float64Array.from(values)
    // After the new ones are taken, so that those that stay are not ended in between.
    this.#release(before)
  }

  #take({ name, labels }: Row, builder: BatchBuilder): SeriesRef {
    const ref = builder.series(labelsOf({ ...labels, ...this.#base, [metricName]: name }))
    if (ref < 0) {
      builder.reject(builder.lastReason, builder.lastExample)
      return -1
    }
    if (!this.#limits.told.has(name)) {
      this.#limits.told.add(name)
      builder.metadata.push({ metric: name, type: isCounter(name) ? 'counter' : 'gauge', help: '', unit: '' })
    }
    const uses = this.#uses.get(ref) ?? 0
    if (uses === 0) {
      if (this.#limits.room <= 0) {
        builder.reject('series_limit', overLimit)
        return -1
      }
      this.#limits.room--
    }
    this.#uses.set(ref, uses + 1)
    return ref
  }
}

const overLimit =
  'the cluster has more series than kubernetes.max_series; raise it, or look at fewer namespaces'
