// The series that spans make: counters, histograms and gauges in memory, bounded in number, written out as cumulative samples.
import { staleHigh, staleLow } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { exemplarLabelsFit, spanLabel, traceLabel } from '../../model/exemplar.ts'
import { type Labels, labelsOf, metricName } from '../../model/labels.ts'
import type { SeriesRef } from '../../model/series.ts'

export interface Family {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly unit: string
  /** Upper bounds of a histogram, without +Inf. */
  readonly bounds: readonly number[]
  /** A counter beside a histogram that counts the same. */
  readonly counted?: string
}

/** Where a measurement comes from. */
export interface Origin {
  readonly traceId: string
  readonly spanId: string
  /** '' where there is none. */
  readonly conversation: string
  /** Milliseconds. */
  readonly at: number
}

interface Shown extends Origin {
  readonly value: number
}

export interface Entry {
  readonly family: Family
  readonly labels: Labels
  /** Of a histogram: how many fell into each bucket alone, +Inf last; else empty. */
  readonly counts: Float64Array
  sum: number
  /** How many were observed; of a counter its total, of a gauge its value. */
  value: number
  touchedAt: number
  /** Written before; only then is there no zero to begin with. */
  written: boolean
  /** Buckets, sum, count, and the counter beside; -1 where the series may not pass. */
  refs: SeriesRef[] | null
  shown: (Shown | undefined)[] | null
}

/** Family, key, labels, counts, sum, value, touched, written. */
export type SavedEntry = readonly [string, string, Labels, readonly number[], number, number, number, boolean]

/** The label of the series that takes in what the limit leaves no room for: as OpenTelemetry's SDKs name it. */
const overflow: Labels = ['otel_metric_overflow', 'true']
const overflowKey = '\u0000overflow'
const noCounts = new Float64Array(0)

const boundText = (bound: number): string => String(bound)

const suffixed = (labels: Labels, name: string, le?: string): Labels => {
  const record: Record<string, string> = { [metricName]: name }
  for (let i = 0; i < labels.length; i += 2) record[labels[i]!] = labels[i + 1]!
  if (le !== undefined) record['le'] = le
  return labelsOf(record)
}

export class SeriesBook {
  readonly #families: readonly Family[]
  readonly #most: number
  readonly #overflowed: (family: Family) => void
  readonly #entries = new Map<Family, Map<string, Entry>>()
  /** What was last written of series, as the log told after a restart: nothing lower is written. */
  readonly #floors = new Map<SeriesRef, number>()
  #series = 0

  /** `overflowed` is told of each measurement that goes to the overflow series of a family. */
  constructor(families: readonly Family[], most: number, overflowed: (family: Family) => void) {
    this.#families = families
    this.#most = most
    this.#overflowed = overflowed
    for (const family of families) this.#entries.set(family, new Map())
  }

  /** How many series there are, each bucket one. */
  get size(): number {
    return this.#series
  }

  /** The entry under a key that stands for its labels; `labels` makes them when it is new. */
  entry(family: Family, key: string, now: number, labels: () => Readonly<Record<string, string>>): Entry {
    const known = this.#entries.get(family)!.get(key)
    if (known) {
      known.touchedAt = now
      return known
    }
    if (this.#series + costOf(family) <= this.#most) return this.#make(family, key, labelsOf(labels()), now)
    this.#overflowed(family)
    const spare = this.#entries.get(family)!.get(overflowKey)
    if (spare) spare.touchedAt = now
    return spare ?? this.#make(family, overflowKey, overflow, now)
  }

  #make(family: Family, key: string, labels: Labels, now: number): Entry {
    const entry: Entry = {
      family,
      labels,
      counts: family.type === 'histogram' ? new Float64Array(family.bounds.length + 1) : noCounts,
      sum: 0,
      value: 0,
      touchedAt: now,
      written: false,
      refs: null,
      shown: null,
    }
    this.#entries.get(family)!.set(key, entry)
    this.#series += costOf(family)
    return entry
  }

  /**
   * Writes every series at `at`, one that is new with a zero `lead` milliseconds before, and ends those not touched for `ttl` with a stale
   * marker. `done` is to be called when the batch is safe.
   */
  write(builder: BatchBuilder, at: number, lead: number, ttl: number): { readonly done: () => void } {
    const fresh: Entry[] = []
    for (const [family, entries] of this.#entries) {
      if (entries.size > 0) this.#describe(builder, family)
      for (const [key, entry] of entries) {
        entry.refs ??= refsOf(entry, builder)
        if (at - entry.touchedAt > ttl) {
          this.#end(builder, entry.refs, at)
          entries.delete(key)
          this.#series -= costOf(family)
          continue
        }
        if (!entry.written) fresh.push(entry)
        this.#writeEntry(builder, entry, at, lead)
      }
    }
    return {
      done: () => {
        for (const entry of fresh) entry.written = true
      },
    }
  }

  #end(builder: BatchBuilder, refs: readonly SeriesRef[], at: number): void {
    for (const ref of refs) {
      if (ref < 0) continue
      builder.addBits(ref, at, staleLow, staleHigh)
      this.#floors.delete(ref)
    }
  }

  #describe(builder: BatchBuilder, { name, type, help, unit, counted }: Family): void {
    builder.metadata.push({ metric: name, type, help, unit })
    if (counted) builder.metadata.push({ metric: counted, type: 'counter', help: 'Spans.', unit: '' })
  }

  #writeEntry(builder: BatchBuilder, entry: Entry, at: number, lead: number): void {
    const { family, counts } = entry
    const refs = entry.refs!
    const put = (i: number, value: number): void => {
      const ref = refs[i]!
      if (ref < 0) return
      if (family.type === 'gauge') {
        builder.add(ref, at, value)
        return
      }
      const floor = this.#floors.get(ref)
      if (floor === undefined && !entry.written) builder.add(ref, at - lead, 0)
      builder.add(ref, at, Math.max(floor ?? 0, value))
      if (floor !== undefined && entry.written && value >= floor) this.#floors.delete(ref)
    }
    if (family.type !== 'histogram') {
      put(0, entry.value)
      return
    }
    let below = 0
    for (let i = 0; i < counts.length; i++) {
      below += counts[i]!
      put(i, below)
    }
    put(counts.length, entry.sum)
    put(counts.length + 1, entry.value)
    if (family.counted) put(counts.length + 2, entry.value)
    this.#writeShown(builder, entry, at)
  }

  #writeShown(builder: BatchBuilder, entry: Entry, at: number): void {
    if (!entry.shown) return
    for (const [i, shown] of entry.shown.entries()) {
      const ref = entry.refs![i]!
      if (!shown || ref < 0) continue
      const labels = { [traceLabel]: shown.traceId, [spanLabel]: shown.spanId }
      const more = labelsOf({ ...labels, gen_ai_conversation_id: shown.conversation })
      const fitting = exemplarLabelsFit(more) ? more : labelsOf(labels)
      builder.exemplar(ref, Math.round(Math.min(shown.at, at)), shown.value, fitting)
    }
    entry.shown = null
  }

  /** Takes the value of one of our series from the log: what was written once is not taken back. */
  floor(ref: SeriesRef, value: number): void {
    // A stale marker: what comes after it begins anew.
    if (Number.isNaN(value)) this.#floors.delete(ref)
    else if (value > (this.#floors.get(ref) ?? 0)) this.#floors.set(ref, value)
  }

  save(): SavedEntry[] {
    const out: SavedEntry[] = []
    for (const [{ name }, entries] of this.#entries)
      for (const [key, e] of entries)
        out.push([name, key, e.labels, Array.from(e.counts), e.sum, e.value, e.touchedAt, e.written])
    return out
  }

  /** Histograms whose bounds are not what they were begin anew. */
  load(saved: readonly SavedEntry[]): void {
    this.#series = 0
    for (const entries of this.#entries.values()) entries.clear()
    for (const [name, key, labels, counts, sum, value, touchedAt, written] of saved) {
      const family = this.#families.find((f) => f.name === name)
      if (!family) continue
      const entry = this.#make(family, key, labels, touchedAt)
      if (counts.length !== entry.counts.length) continue
      entry.counts.set(counts)
      Object.assign(entry, { sum, value, written })
    }
  }
}

const costOf = ({ type, bounds, counted }: Family): number =>
  type === 'histogram' ? bounds.length + 3 + (counted ? 1 : 0) : 1

const refsOf = ({ family, labels }: Entry, builder: BatchBuilder): SeriesRef[] => {
  const { name, type, bounds, counted } = family
  const made = (full: Labels): SeriesRef => {
    const ref = builder.series(full)
    if (ref < 0) builder.reject(builder.lastReason, builder.lastExample)
    return ref
  }
  if (type !== 'histogram') return [made(suffixed(labels, name))]
  return [
    ...bounds.map((bound) => made(suffixed(labels, `${name}_bucket`, boundText(bound)))),
    made(suffixed(labels, `${name}_bucket`, '+Inf')),
    made(suffixed(labels, `${name}_sum`)),
    made(suffixed(labels, `${name}_count`)),
    ...(counted ? [made(suffixed(labels, counted))] : []),
  ]
}

/** Adds one measurement to a histogram; the newest of each bucket is shown as its exemplar. */
export const observe = (entry: Entry, value: number, origin: Origin): void => {
  const { bounds } = entry.family
  let i = 0
  while (i < bounds.length && value > bounds[i]!) i++
  entry.counts[i]!++
  entry.sum += value
  entry.value++
  entry.shown ??= new Array(entry.counts.length)
  const before = entry.shown[i]
  if (before === undefined || origin.at >= before.at) {
    const { traceId, spanId, conversation, at } = origin
    entry.shown[i] = { traceId, spanId, conversation, at, value }
  }
}

export const add = (entry: Entry, by: number): void => {
  entry.value += by
}
