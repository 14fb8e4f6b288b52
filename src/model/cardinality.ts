// Limits of active series by metric and by source: one label with a million values must not crowd out everything else.
import { type Labels, labelOf, metricName } from './labels.ts'
import type { SeriesRef, SeriesTable } from './series.ts'

export interface CardinalityLimits {
  readonly perMetric: number
  readonly perSource: number
  /** Limits of single metrics and sources by name. */
  readonly metrics: Readonly<Record<string, number>>
  readonly sources: Readonly<Record<string, number>>
}

export type CardinalityReason = 'metric_cardinality' | 'source_cardinality'

export interface GroupView {
  readonly name: string
  readonly series: number
  readonly limit: number
  /** Times that a series was refused since the start. */
  readonly refused: number
  /** The label whose values differ most; '' when not known. */
  readonly widest: string
}

export interface CardinalityView {
  readonly series: number
  /** The largest first; those that refuse before all others. */
  readonly metrics: readonly GroupView[]
  readonly sources: readonly GroupView[]
}

/** Told of series as they come into memory and leave it. */
export interface ActiveSeries {
  entered(ref: SeriesRef): void
  left(ref: SeriesRef): void
  /** Time has gone on: what was let in a while ago and never came is not active. */
  turned(): void
}

/** Series of a group that were let in last: what differs most among them is what makes them many. */
const mostRecent = 64

class Group {
  readonly name: string
  readonly limit: number
  series = 0
  refused = 0
  #recent: Labels[] = []
  #widest: string | null = null

  constructor(name: string, limit: number) {
    this.name = name
    this.limit = limit
  }

  note(labels: Labels): void {
    if (this.#recent.length < mostRecent) this.#recent.push(labels)
    else this.#recent[this.series % mostRecent] = labels
    this.#widest = null
  }

  get widest(): string {
    this.#widest ??= widestLabel(this.#recent)
    return this.#widest
  }
}

const widestLabel = (list: readonly Labels[]): string => {
  const values = new Map<string, Set<string>>()
  for (const labels of list)
    for (let i = 0; i < labels.length; i += 2)
      if (labels[i] !== metricName)
        values.getOrInsertComputed(labels[i]!, () => new Set()).add(labels[i + 1]!)
  let widest = ''
  let most = 1
  for (const [name, set] of values)
    if (set.size > most) {
      widest = name
      most = set.size
    }
  return widest
}

/** Groups by name, each under a number; one without series is forgotten and its number used again. */
class Groups {
  readonly #numbers = new Map<string, number>()
  readonly #groups: (Group | undefined)[] = []
  readonly #free: number[] = []
  readonly #limitOf: (name: string) => number

  constructor(limitOf: (name: string) => number) {
    this.#limitOf = limitOf
  }

  /** The group of this name when it takes no more; null when it does. */
  full(name: string): Group | null {
    const number = this.#numbers.get(name)
    if (number === undefined) return this.#limitOf(name) > 0 ? null : new Group(name, 0)
    const group = this.#groups[number]!
    return group.series >= group.limit ? group : null
  }

  /** Adds one series and returns the group's number. */
  enter(name: string): number {
    let number = this.#numbers.get(name)
    if (number === undefined) {
      number = this.#free.pop() ?? this.#groups.length
      this.#numbers.set(name, number)
      this.#groups[number] = new Group(name, this.#limitOf(name))
    }
    this.#groups[number]!.series++
    return number
  }

  at(number: number): Group {
    return this.#groups[number]!
  }

  leave(number: number): void {
    const group = this.#groups[number]!
    if (--group.series > 0) return
    this.#numbers.delete(group.name)
    this.#groups[number] = undefined
    this.#free.push(number)
  }

  top(most: number): GroupView[] {
    const all = this.#groups.filter((g): g is Group => g !== undefined)
    const rank = (g: Group): number => (g.series >= g.limit ? 1 : 0)
    return all
      .sort((a, b) => rank(b) - rank(a) || b.series - a.series || (a.name < b.name ? -1 : 1))
      .slice(0, most)
      .map(({ name, series, limit, refused, widest }) => ({ name, series, limit, refused, widest }))
  }
}

// What a series is, by reference.
const away = 0
/** Let in, and its first sample is on its way. */
const expected = 1
const here = 2

/**
 * Counts series while they are in memory: one is let in when its labels are first seen or seen again after it was gone, and counts until its
 * last sample has left the head. A source is the job label, or the protocol where there is none.
 */
export class Cardinality implements ActiveSeries {
  readonly #table: SeriesTable
  readonly #metrics: Groups
  readonly #sources: Groups
  #state = new Uint8Array(4096)
  #metricOf = new Uint32Array(4096)
  #sourceOf = new Uint32Array(4096)
  #active = 0
  /** Let in since the last turn, and in the turn before. */
  #young: SeriesRef[] = []
  #old: SeriesRef[] = []

  constructor(table: SeriesTable, limits: CardinalityLimits) {
    this.#table = table
    this.#metrics = new Groups((name) => limits.metrics[name] ?? limits.perMetric)
    this.#sources = new Groups((name) => limits.sources[name] ?? limits.perSource)
  }

  get active(): number {
    return this.#active
  }

  isActive(ref: SeriesRef): boolean {
    return ref < this.#state.length && this.#state[ref] !== away
  }

  /** Why a series that is not active may not come in, with the mend; null when it may. */
  refusal(labels: Labels, protocol: string): readonly [CardinalityReason, string] | null {
    const metric = this.#metrics.full(labelOf(labels, metricName))
    if (metric) return ['metric_cardinality', refused(metric, 'metric')]
    const source = this.#sources.full(labelOf(labels, 'job') || protocol)
    return source ? ['source_cardinality', refused(source, 'source')] : null
  }

  /** Counts a series that was let in and whose first sample is on its way. */
  expect(ref: SeriesRef, protocol: string): void {
    if (this.isActive(ref)) return
    this.#enter(ref, expected, protocol)
    this.#young.push(ref)
  }

  #enter(ref: SeriesRef, state: number, protocol: string): void {
    if (ref >= this.#state.length) this.#widen(ref + 1)
    const labels = this.#table.labels(ref)
    this.#state[ref] = state
    this.#active++
    this.#metricOf[ref] = this.#metrics.enter(labelOf(labels, metricName))
    this.#sourceOf[ref] = this.#sources.enter(labelOf(labels, 'job') || protocol)
    this.#metrics.at(this.#metricOf[ref]!).note(labels)
    this.#sources.at(this.#sourceOf[ref]!).note(labels)
  }

  #widen(least: number): void {
    const length = Math.max(least, this.#state.length * 2)
    const copy = (old: Uint32Array): Uint32Array<ArrayBuffer> => {
      const wider = new Uint32Array(length)
      wider.set(old)
      return wider
    }
    const state = new Uint8Array(length)
    state.set(this.#state)
    this.#state = state
    this.#metricOf = copy(this.#metricOf)
    this.#sourceOf = copy(this.#sourceOf)
  }

  entered(ref: SeriesRef): void {
    if (this.isActive(ref)) this.#state[ref] = here
    else this.#enter(ref, here, unknownSource)
  }

  left(ref: SeriesRef): void {
    if (!this.isActive(ref)) return
    this.#state[ref] = away
    this.#active--
    this.#metrics.leave(this.#metricOf[ref]!)
    this.#sources.leave(this.#sourceOf[ref]!)
  }

  turned(): void {
    for (const ref of this.#old) if (this.#state[ref] === expected) this.left(ref)
    this.#old = this.#young
    this.#young = []
  }

  view(most: number): CardinalityView {
    return { series: this.#active, metrics: this.#metrics.top(most), sources: this.#sources.top(most) }
  }
}

/** Series without a job that came by no protocol, as those that rules write, or whose protocol is no longer known: they came back from disk. */
export const unknownSource = 'no job'

const refused = (group: Group, kind: 'metric' | 'source'): string => {
  group.refused++
  const { name, limit, widest } = group
  const label =
    widest === '' ? '' : `; its label ${JSON.stringify(widest)} has the most values: drop or bound it`
  return `${kind} ${JSON.stringify(name)} has ${limit} active series, its limit${label}, or raise storage.cardinality.overrides.${kind}s[${JSON.stringify(name)}]`
}
