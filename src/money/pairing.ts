// Pairs tokens that spans count with the same tokens that metrics count, so that each is billed once.

/** Tokens that one side saw at some moment in `from … to` and that the other side has not matched yet. */
interface Chunk {
  from: number
  to: number
  free: number
  /** '' where the agent is not known, or where several were put together. */
  agent: string
  /** Whose they are: what a taking back is booked on. */
  payer: string
}
type Side = 'spans' | 'metrics'

interface Source {
  readonly spans: Chunk[]
  readonly metrics: Chunk[]
  /** Which sides were ever heard. */
  heardSpans: boolean
  heardMetrics: boolean
  usedAt: number
}

/** What is known of the instance names of a job: when each side was first heard, and whether any name was heard on both. */
interface Job {
  spansAt: number
  metricsAt: number
  agrees: boolean
}

/** What was seen: `tokens` of a pool, at some moment in `from … to` (milliseconds). */
export interface Seen {
  readonly side: Side
  readonly job: string
  /** What both sides agree on within a job: model, kind of token. */
  readonly pool: string
  /** Which instance of it. */
  readonly source: string
  /** Only where it is said: the agent. */
  readonly agent: string
  readonly from: number
  readonly to: number
  readonly tokens: number
  readonly payer: string
}
/** Tokens of the other side that are these. */
export interface Match {
  readonly payer: string
  readonly at: number
  readonly tokens: number
}
export interface PairingState {
  /** Pool, source, heard sides (1 spans, 2 metrics), used at, chunks as [side, from, to, free, agent, payer]. */
  readonly sources: readonly (readonly [
    string,
    string,
    number,
    number,
    readonly (readonly [0 | 1, number, number, number, string, string])[],
  ])[]
  /** Job, first heard of spans and metrics (0 never), whether a name was heard on both sides. */
  readonly jobs: readonly (readonly [string, number, number, boolean])[]
}

/** A call may be counted a little before or after its span ends, and clocks differ. The wider this is the more late spans find their partner taken. */
const slack = 5_000
/** Spans of so many milliseconds are kept as one. */
const slot = 10_000
/** Finer than this it is kept for the newest; what is older is put together. */
const mostChunks = 16
/** Not even between two tidyings: each thing seen looks at all of them. */
const mostHeld = 128
/** Both sides of a job were heard for so long and no instance on both: the sides name instances differently. */
const decided = 5 * 60_000
const mostSources = 20_000
const idle = 24 * 3_600_000

const compatible = (a: string, b: string): boolean => a === '' || b === '' || a === b

/**
 * The rule: a metric's increase between two samples holds the calls that ended between them, so tokens of spans that ended there are the
 * same tokens. They are looked for within the instance; only in a job whose sides name instances differently (a scrape names them by address)
 * in the whole job. What finds no partner waits for one, so that order does not matter. Between `begin` and `commit` or `rollback` everything
 * can be taken back.
 */
export class Pairing {
  readonly #pools = new Map<string, Map<string, Source>>()
  readonly #jobs = new Map<string, Job>()
  #count = 0
  #undo: (() => void)[] = []

  begin(): void {
    this.#undo = []
  }
  rollback(): void {
    for (const undo of this.#undo.reverse()) undo()
    this.#undo = []
  }
  commit(): void {
    this.#undo = []
  }

  get sources(): number {
    return this.#count
  }

  /** Takes in what was seen: the other side's tokens that are the same, and how many have no partner yet. */
  see(seen: Seen): { readonly matches: readonly Match[]; readonly left: number } {
    const own = this.#source(seen)
    const other = seen.side === 'spans' ? 'metrics' : 'spans'
    const matches: Match[] = []
    const differ = this.#differ(seen, own)
    let left = this.#take(own[other], seen, seen.tokens, matches)
    if (left > 0 && differ) left = this.#takeElsewhere(seen, other, left, matches)
    if (left > 0) this.#keep(own[seen.side], seen, left)
    return { matches, left }
  }

  /** Whether the sides of this job name their instances differently, as far as is known by now. */
  #differ({ job, side, from, to }: Seen, own: Source): boolean {
    let known = this.#jobs.get(job)
    if (!known) {
      known = { spansAt: 0, metricsAt: 0, agrees: false }
      this.#jobs.set(job, known)
    }
    if (side === 'spans') known.spansAt ||= from
    else known.metricsAt ||= to
    known.agrees ||= own.heardSpans && own.heardMetrics
    if (known.agrees || known.spansAt === 0 || known.metricsAt === 0) return false
    return to - Math.max(known.spansAt, known.metricsAt) >= decided
  }

  #source({ side, job, pool: name, source, to }: Seen): Source {
    const pool = `${job}\u00ff${name}`
    let sources = this.#pools.get(pool)
    if (!sources) {
      sources = new Map()
      this.#pools.set(pool, sources)
    }
    let own = sources.get(source)
    if (!own) {
      own = { spans: [], metrics: [], heardSpans: false, heardMetrics: false, usedAt: to }
      sources.set(source, own)
      this.#count++
    }
    own.usedAt = Math.max(own.usedAt, to)
    // Stays true after a rollback: that the side speaks is known all the same.
    if (side === 'spans') own.heardSpans = true
    else own.heardMetrics = true
    return own
  }

  #takeElsewhere(seen: Seen, other: Side, wanted: number, matches: Match[]): number {
    let left = wanted
    for (const [name, source] of this.#pools.get(`${seen.job}\u00ff${seen.pool}`)!) {
      if (left <= 0) break
      if (name === seen.source) continue
      left = this.#take(source[other], seen, left, matches)
    }
    return left
  }

  /** First what overlaps, then what lies within the slack; the oldest of each first. */
  #take(chunks: readonly Chunk[], seen: Seen, wanted: number, matches: Match[]): number {
    let left = wanted
    for (const reach of [0, slack]) {
      for (const chunk of chunks) {
        if (left <= 0) return left
        if (chunk.free <= 0 || chunk.to < seen.from - reach || chunk.from > seen.to + reach) continue
        if (!compatible(chunk.agent, seen.agent)) continue
        const tokens = Math.min(chunk.free, left)
        chunk.free -= tokens
        left -= tokens
        this.#undo.push(() => {
          chunk.free += tokens
        })
        matches.push({ payer: chunk.payer, at: chunk.to, tokens })
      }
    }
    return left
  }

  #keep(chunks: Chunk[], seen: Seen, tokens: number): void {
    const { side, from, to, agent, payer } = seen
    if (side === 'spans') {
      const same = chunks.find(
        (c) =>
          c.agent === agent && Math.floor(c.from / slot) === Math.floor(from / slot) && c.to - c.from < slot,
      )
      if (same) {
        const before = { ...same }
        same.from = Math.min(same.from, from)
        same.to = Math.max(same.to, to)
        same.free += tokens
        this.#undo.push(() =>
          Object.assign(same, { from: before.from, to: before.to, free: same.free - tokens }),
        )
        return
      }
    }
    const chunk: Chunk = { from, to, free: tokens, agent, payer }
    chunks.push(chunk)
    this.#undo.push(() => chunks.splice(chunks.indexOf(chunk), 1))
    if (chunks.length > mostHeld) this.#joinOldest(chunks)
  }

  #joinOldest(chunks: Chunk[]): void {
    let [a, b] = chunks as [Chunk, Chunk]
    if (b.to < a.to) [a, b] = [b, a]
    for (const chunk of chunks.slice(2))
      if (chunk.to < a.to) [a, b] = [chunk, a]
      else if (chunk.to < b.to) b = chunk
    const before = { ...a }
    const place = chunks.indexOf(b)
    Object.assign(a, joined(a, b))
    chunks.splice(place, 1)
    this.#undo.push(() => {
      Object.assign(a, before)
      chunks.splice(place, 0, b)
    })
  }

  /** Puts old chunks together and forgets sources long silent: to be called between batches. */
  tidy(now: number): void {
    for (const [pool, sources] of this.#pools) {
      for (const [name, source] of sources) {
        if (now - source.usedAt > idle) this.#drop(pool, sources, name)
        else {
          compact(source.spans)
          compact(source.metrics)
        }
      }
    }
    if (this.#count > mostSources) this.#dropOldest()
    const jobs = new Set([...this.#pools.keys()].map((pool) => pool.slice(0, pool.indexOf('\u00ff'))))
    for (const job of this.#jobs.keys()) if (!jobs.has(job)) this.#jobs.delete(job)
  }

  #drop(pool: string, sources: Map<string, Source>, name: string): void {
    if (!sources.delete(name)) return
    this.#count--
    if (sources.size === 0) this.#pools.delete(pool)
  }

  #dropOldest(): void {
    const all = [...this.#pools].flatMap(([pool, sources]) =>
      [...sources].map(([name, { usedAt }]) => ({ pool, sources, name, usedAt })),
    )
    all.sort((a, b) => a.usedAt - b.usedAt)
    for (const { pool, sources, name } of all.slice(0, this.#count - Math.floor(mostSources * 0.9)))
      this.#drop(pool, sources, name)
  }

  save(): PairingState {
    const sources: PairingState['sources'][number][] = []
    for (const [pool, all] of this.#pools)
      for (const [name, s] of all) {
        const row = (side: 0 | 1) => (c: Chunk) => [side, c.from, c.to, c.free, c.agent, c.payer] as const
        const chunks = [
          ...s.spans.filter((c) => c.free > 0).map(row(0)),
          ...s.metrics.filter((c) => c.free > 0).map(row(1)),
        ]
        sources.push([pool, name, (s.heardSpans ? 1 : 0) + (s.heardMetrics ? 2 : 0), s.usedAt, chunks])
      }
    const jobs = [...this.#jobs].map(([job, j]) => [job, j.spansAt, j.metricsAt, j.agrees] as const)
    return { sources, jobs }
  }

  load({ sources, jobs }: PairingState): void {
    this.#pools.clear()
    this.#jobs.clear()
    for (const [job, spansAt, metricsAt, agrees] of jobs) this.#jobs.set(job, { spansAt, metricsAt, agrees })
    this.#count = 0
    for (const [pool, name, sides, usedAt, chunks] of sources) {
      const source: Source = {
        spans: [],
        metrics: [],
        heardSpans: (sides & 1) !== 0,
        heardMetrics: (sides & 2) !== 0,
        usedAt,
      }
      for (const [side, from, to, free, agent, payer] of chunks)
        source[side === 0 ? 'spans' : 'metrics'].push({ from, to, free, agent, payer })
      const all = this.#pools.get(pool) ?? new Map<string, Source>()
      this.#pools.set(pool, all.set(name, source))
      this.#count++
    }
  }
}

/** Drops what is matched; past the limit the oldest two become one that covers both. */
const compact = (chunks: Chunk[]): void => {
  if (chunks.some((c) => c.free <= 0)) chunks.splice(0, chunks.length, ...chunks.filter((c) => c.free > 0))
  if (chunks.length <= mostChunks) return
  chunks.sort((a, b) => a.to - b.to)
  chunks.unshift(chunks.splice(0, chunks.length - mostChunks + 1).reduce(joined))
}

const joined = (a: Chunk, b: Chunk): Chunk => ({
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
  free: a.free + b.free,
  agent: a.agent === b.agent ? a.agent : '',
  payer: a.free >= b.free ? a.payer : b.payer,
})
