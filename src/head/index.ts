// The label index: from matchers to series, with when each series was first and last seen.
import { labelOf, metricName } from '../model/labels.ts'
import { labelsTest, type Matcher, valueTest } from '../model/matcher.ts'
import type { SeriesIndex, TimeSpan } from '../model/ports/series-index.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { intersect, Postings, union } from './postings.ts'

interface Chosen {
  /** How many series the metric had, and the last of them. */
  readonly generation: number
  readonly last: number
  readonly refs: Uint32Array
}
interface Verdicts {
  readonly values: number
  readonly positive: readonly string[]
}

const mostCached = 4096
// References and values held by the caches.
const mostHeld = 4_000_000
const empty = new Uint32Array(0)
const newValues = (): Map<string, Postings> => new Map()
const newPostings = (): Postings => new Postings()

export class LabelIndex implements SeriesIndex {
  readonly #table: SeriesTable
  readonly #names = new Map<string, Map<string, Postings>>()
  readonly #all = new Postings()
  readonly #chosen = new Map<string, Chosen>()
  #held = 0
  readonly #verdicts = new Map<string, Verdicts>()
  #verdictsHeld = 0
  /** By reference; +Infinity and -Infinity for a series that is not in the index. */
  firstSeenAt = new Float64Array(1024).fill(Number.POSITIVE_INFINITY)
  lastSeenAt = new Float64Array(1024).fill(Number.NEGATIVE_INFINITY)

  constructor(table: SeriesTable) {
    this.#table = table
  }

  get size(): number {
    return this.#all.length
  }

  /** Takes a series in, or widens the time it was seen in. */
  add(ref: SeriesRef, firstSeenAt: number, lastSeenAt: number): void {
    if (ref >= this.firstSeenAt.length) this.#widen(ref + 1)
    if (this.firstSeenAt[ref] === Number.POSITIVE_INFINITY) this.#enter(ref)
    if (firstSeenAt < this.firstSeenAt[ref]!) this.firstSeenAt[ref] = firstSeenAt
    if (lastSeenAt > this.lastSeenAt[ref]!) this.lastSeenAt[ref] = lastSeenAt
  }

  #widen(least: number): void {
    const length = Math.max(least, this.firstSeenAt.length * 2)
    const first = new Float64Array(length).fill(Number.POSITIVE_INFINITY)
    const last = new Float64Array(length).fill(Number.NEGATIVE_INFINITY)
    first.set(this.firstSeenAt)
    last.set(this.lastSeenAt)
    this.firstSeenAt = first
    this.lastSeenAt = last
  }

  #enter(ref: SeriesRef): void {
    const labels = this.#table.labels(ref)
    for (let i = 0; i < labels.length; i += 2) {
      const values = this.#names.getOrInsertComputed(labels[i]!, newValues)
      values.getOrInsertComputed(labels[i + 1]!, newPostings).add(ref)
    }
    this.#all.add(ref)
  }

  /** Every series that matches, whenever it was seen, ascending. Shared: not to be written. Throws `bad_data` on a bad regular expression. */
  matching(matchers: readonly Matcher[]): Uint32Array {
    // A query names its metric nearly always, and only new series of that metric can change its answer.
    const metric = matchers.find((m) => m.name === metricName && m.op === '=' && m.value !== '')
    const postings = metric ? this.#names.get(metricName)?.get(metric.value) : this.#all
    if (!postings) {
      for (const m of matchers) valueTest(m)
      return empty
    }
    if (metric && matchers.length === 1) return postings.refs
    const key = matchers.map((m) => `${m.name}\u0000${m.op}${m.value}`).join('\u0001')
    const known = this.#chosen.get(key)
    if (known?.generation === postings.length) return known.refs
    const all = postings.refs
    const refs =
      known && all[known.generation - 1] === known.last
        ? this.#extended(known, all, matchers)
        : this.#choose(matchers)
    this.#hold(key, { generation: all.length, last: all.at(-1) ?? -1, refs })
    return refs
  }

  /** Series only ever come, mostly behind the others: then only the new ones are looked at. */
  #extended(known: Chosen, all: Uint32Array, matchers: readonly Matcher[]): Uint32Array {
    const test = labelsTest(matchers)
    const more = all.subarray(known.generation).filter((ref) => test(this.#table.labels(ref)))
    if (more.length === 0) return known.refs
    const refs = new Uint32Array(known.refs.length + more.length)
    refs.set(known.refs)
    refs.set(more, known.refs.length)
    return refs
  }

  #hold(key: string, chosen: Chosen): void {
    this.#held += chosen.refs.length - (this.#chosen.get(key)?.refs.length ?? 0)
    this.#chosen.delete(key)
    this.#chosen.set(key, chosen)
    for (const [oldest, { refs }] of this.#chosen) {
      if (this.#chosen.size <= mostCached && this.#held <= mostHeld) break
      this.#held -= refs.length
      this.#chosen.delete(oldest)
    }
  }

  #choose(matchers: readonly Matcher[]): Uint32Array {
    const lists: Uint32Array[] = []
    const rest: { name: string; test: (value: string) => boolean }[] = []
    for (const matcher of matchers) {
      const test = valueTest(matcher)
      // A matcher that the empty value passes also takes the series without the label: no list holds those.
      if (test('')) rest.push({ name: matcher.name, test: remembered(test) })
      else lists.push(this.#holding(matcher, test))
    }
    lists.sort((a, b) => a.length - b.length)
    let refs = lists[0] ?? this.#all.refs
    for (const list of lists.slice(1)) refs = intersect(refs, list)
    if (rest.length === 0) return refs.slice()
    return refs.filter((ref) => {
      const labels = this.#table.labels(ref)
      return rest.every(({ name, test }) => test(labelOf(labels, name)))
    })
  }

  #holding(matcher: Matcher, test: (value: string) => boolean): Uint32Array {
    const values = this.#names.get(matcher.name)
    if (!values) return empty
    if (matcher.op === '=') return values.get(matcher.value)?.refs ?? empty
    const key = `${matcher.name}\u0000${matcher.op}${matcher.value}`
    let verdicts = this.#verdicts.get(key)
    if (verdicts?.values !== values.size) {
      verdicts = { values: values.size, positive: [...values.keys()].filter(test) }
      this.#verdictsHeld += verdicts.positive.length
      if (this.#verdicts.size >= mostCached || this.#verdictsHeld > mostHeld) {
        this.#verdicts.clear()
        this.#verdictsHeld = verdicts.positive.length
      }
      this.#verdicts.set(key, verdicts)
    }
    const lists = verdicts.positive.map((value) => values.get(value)!.refs)
    return lists.length === 0 ? empty : union(lists)
  }

  #seen(ref: number, span: TimeSpan): boolean {
    return this.firstSeenAt[ref]! <= span.toAt && this.lastSeenAt[ref]! >= span.fromAt
  }

  #anySeen(postings: Postings, span: TimeSpan): boolean {
    return postings.refs.some((ref) => this.#seen(ref, span))
  }

  select(matchers: readonly Matcher[], span: TimeSpan): SeriesRef[] {
    const out: SeriesRef[] = []
    for (const ref of this.matching(matchers)) if (this.#seen(ref, span)) out.push(ref)
    return out
  }

  names(matchers: readonly Matcher[], span: TimeSpan): string[] {
    if (matchers.length === 0)
      return [...this.#names]
        .filter(([, values]) => values.values().some((p) => this.#anySeen(p, span)))
        .map(([name]) => name)
        .sort()
    const names = new Set<string>()
    for (const ref of this.select(matchers, span)) {
      const labels = this.#table.labels(ref)
      for (let i = 0; i < labels.length; i += 2) names.add(labels[i]!)
    }
    return [...names].sort()
  }

  values(name: string, matchers: readonly Matcher[], span: TimeSpan): string[] {
    const values = this.#names.get(name)
    if (!values) return []
    if (matchers.length === 0)
      return [...values]
        .filter(([, p]) => this.#anySeen(p, span))
        .map(([value]) => value)
        .sort()
    const found = new Set<string>()
    for (const ref of this.select(matchers, span)) {
      const value = labelOf(this.#table.labels(ref), name)
      if (value !== '') found.add(value)
    }
    return [...found].sort()
  }
}

/** One test of a value, however many series carry it. */
const remembered = (test: (value: string) => boolean): ((value: string) => boolean) => {
  const known = new Map<string, boolean>()
  return (value) => {
    const verdict = known.get(value) ?? test(value)
    known.set(value, verdict)
    return verdict
  }
}
