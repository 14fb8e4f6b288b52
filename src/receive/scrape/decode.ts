// Text format 0.0.4 and OpenMetrics 1.0 into columns: one pass over the text, a series' labels read once and then known by its text.
import { AppError } from '../../lib/errors.ts'
import { staleHigh, staleLow } from '../../model/batch.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import type { Labels } from '../../model/labels.ts'
import { type Format, isBlank, LineError, readSeries, seriesEnd } from './line.ts'
import { MetadataLines } from './metadata.ts'
import { readNumber } from './number.ts'

export interface DecodeOptions {
  /** The labels a scraped series is kept under, null when it is dropped. Throws where a limit of the job is passed. */
  readonly finish: (scraped: Map<string, string>) => Labels | null
  readonly honorTimestamps: () => boolean
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

interface Entry {
  readonly text: string
  /** -1: dropped by relabelling; -2: refused by the limits, asked for again at each scrape. */
  ref: number
  /** The scrape it was last in with a time of the scrape's own, and the one it was in before that. */
  live: number
  before: number
  /** The scrape it was last in at all. */
  seen: number
}

const dropped = -1
const refused = -2
const newline = 10
const hash = 35

// A slice of a body would keep the whole body alive.
const copy = (text: string): string => Buffer.from(text, 'utf8').toString('utf8')

/** Decodes the scrapes of one target. Keeps what it knows of its series between them; `reset` forgets it. */
export class ScrapeDecoder {
  readonly #options: DecodeOptions
  #known = new Map<string, Entry>()
  /** Entries in the order of the last scrape: the n-th line mostly names the n-th series again. */
  #order: Entry[] = []
  #scrape = 0
  /** The last scrape that was taken, 0 when it failed or there was none. */
  #good = 0
  readonly #metadata = new MetadataLines()
  /** Counts of the last body, also of one that was refused. */
  counts: DecodeCounts = { scraped: 0, kept: 0, added: 0 }

  constructor(options: DecodeOptions) {
    this.#options = options
  }

  /**
   * Reads one body into `builder`, samples without a time of their own at `at`. Throws `bad_data` naming line and mend, or
   * `limit_exceeded`; the builder is then to be thrown away.
   */
  decode(text: string, format: Format, builder: BatchBuilder, at: number): DecodeCounts {
    const scan = new Scan(text, format, builder, at, ++this.#scrape)
    scan.limit = this.#options.sampleLimit()
    const order: Entry[] = []
    this.#metadata.begin(format)
    try {
      this.#lines(scan, order)
      if (format === 'openmetrics' && !scan.ended)
        throw new LineError('the body ends without # EOF; it was cut off')
      this.#checkLimit(scan)
    } catch (error) {
      for (const entry of order) if (entry.live === scan.number) entry.live = entry.before
      // The counts are told for a scrape that failed too, as Prometheus does: with the sample a limit refused, without a line that is wrong.
      const half = scan.inSample && !(error instanceof LineError) ? 1 : 0
      this.counts = { scraped: scan.scraped + half, kept: scan.kept, added: 0 }
      if (error instanceof LineError) throw new AppError('bad_data', `line ${scan.line}: ${error.message}`)
      throw error
    }
    this.#order = order
    this.#markGone(builder, at)
    this.#good = scan.number
    this.#metadata.flush(builder)
    this.#evict()
    this.counts = { scraped: scan.scraped, kept: scan.kept, added: scan.added }
    return this.counts
  }

  #checkLimit(scan: Scan): void {
    const { limit } = scan
    if (limit === 0 || scan.kept <= limit) return
    throw new AppError(
      'limit_exceeded',
      `${scan.kept} samples after relabelling, more than ${limit}; raise sample_limit or drop series with metric_relabel_configs`,
    )
  }

  #lines(scan: Scan, order: Entry[]): void {
    const { text, format } = scan
    let from = 0
    while (from < text.length) {
      scan.line++
      let to = text.indexOf('\n', from)
      if (to < 0) {
        if (format === 'openmetrics' && text.slice(from) !== '# EOF')
          throw new LineError('the last line has no newline; the body was cut off')
        to = text.length
      }
      if (scan.ended) throw new LineError('there is text after # EOF')
      const c = text.charCodeAt(from)
      if (c === hash) {
        if (this.#metadata.read(text.slice(from, to), format)) scan.ended = true
      } else if (format === 'openmetrics') {
        if (c === newline || isBlank(c)) throw new LineError('OpenMetrics has no blank lines and no indents')
        this.#sample(scan, from, to, order)
      } else {
        let start = from
        while (start < to && isBlank(text.charCodeAt(start))) start++
        const first = text.charCodeAt(start)
        if (first === hash) this.#metadata.read(text.slice(start, to), format)
        else if (start < to && !(first === 13 && start + 1 === to)) this.#sample(scan, start, to, order)
      }
      from = to + 1
    }
  }

  #sample(scan: Scan, from: number, to: number, order: Entry[]): void {
    const { text } = scan
    scan.inSample = true
    const expected = this.#order[order.length]
    let entry: Entry
    let end: number
    if (
      expected !== undefined &&
      text.slice(from, from + expected.text.length) === expected.text &&
      isBlank(text.charCodeAt(from + expected.text.length)) &&
      text.charCodeAt(from + expected.text.length + 1) !== 123
    ) {
      entry = expected
      if (entry.ref === refused) entry.ref = this.#resolve(readSeries(entry.text), scan.builder)
      end = from + expected.text.length
    } else {
      end = seriesEnd(text, from, to)
      entry = this.#entry(text.slice(from, end), scan.builder)
    }
    order.push(entry)
    scan.values(end, to)
    scan.scraped++
    scan.inSample = false
    if (entry.ref !== dropped) this.#keep(scan, entry)
  }

  #keep(scan: Scan, entry: Entry): void {
    scan.kept++
    // Past the limit samples are only counted, so that the error can say how many there are.
    if (scan.limit > 0 && scan.kept > scan.limit) return
    if (entry.seen !== scan.number && entry.seen !== scan.number - 1) scan.added++
    entry.seen = scan.number
    if (entry.ref === refused) {
      scan.builder.reject(scan.builder.lastReason, scan.builder.lastExample)
      return
    }
    const own = scan.hasTime && this.#options.honorTimestamps()
    if (!own && entry.live !== scan.number) {
      entry.before = entry.live
      entry.live = scan.number
    }
    scan.add(entry.ref, own ? scan.time : scan.at)
  }

  #entry(text: string, builder: BatchBuilder): Entry {
    const known = this.#known.get(text)
    if (known) {
      // Refused once, asked for again: the limit may not be reached any more.
      if (known.ref === refused) known.ref = this.#resolve(readSeries(known.text), builder)
      return known
    }
    const entry: Entry = { text: copy(text), ref: refused, live: -1, before: -1, seen: -1 }
    entry.ref = this.#resolve(readSeries(entry.text), builder)
    this.#known.set(entry.text, entry)
    return entry
  }

  #resolve(scraped: Map<string, string>, builder: BatchBuilder): number {
    const labels = this.#options.finish(scraped)
    if (labels === null) return dropped
    const ref = builder.series(labels)
    return ref < 0 ? refused : ref
  }

  #markGone(builder: BatchBuilder, at: number): void {
    if (this.#good === 0) return
    const gone = new Set<number>()
    for (const entry of this.#known.values())
      if (entry.ref >= 0 && entry.live === this.#good) gone.add(entry.ref)
    // Two texts can name one series.
    if (gone.size > 0)
      for (const entry of this.#order) if (entry.live === this.#scrape) gone.delete(entry.ref)
    for (const ref of gone) builder.addBits(ref, at, staleLow, staleHigh)
  }

  /** The target failed or is gone: stale markers at `at` for every series of the last scrape that was taken. Gives their number. */
  end(builder: BatchBuilder, at: number): number {
    const gone = new Set<number>()
    if (this.#good > 0)
      for (const entry of this.#known.values())
        if (entry.ref >= 0 && entry.live === this.#good) gone.add(entry.ref)
    for (const ref of gone) builder.addBits(ref, at, staleLow, staleHigh)
    this.#good = 0
    return gone.size
  }

  #evict(): void {
    if (this.#known.size <= this.#order.length * 2 + 1000) return
    for (const [text, entry] of this.#known)
      if (entry.ref !== dropped && entry.seen < this.#scrape - 1) this.#known.delete(text)
    if (this.#known.size > this.#order.length * 2 + 1000) {
      const listed = new Set(this.#order)
      for (const [text, entry] of this.#known) if (!listed.has(entry)) this.#known.delete(text)
    }
  }
}

/** One pass over one body. */
class Scan {
  readonly text: string
  readonly format: Format
  readonly builder: BatchBuilder
  readonly at: number
  readonly number: number
  line = 0
  ended = false
  inSample = false
  limit = 0
  scraped = 0
  kept = 0
  added = 0
  hasTime = false
  time = 0
  #value = 0

  constructor(text: string, format: Format, builder: BatchBuilder, at: number, number: number) {
    this.text = text
    this.format = format
    this.builder = builder
    this.at = at
    this.number = number
  }

  /** Reads value and time, and steps over an exemplar, in `text[from, to)`. */
  values(from: number, to: number): void {
    const { text } = this
    let i = this.#skip(from, to)
    if (i === from) throw new LineError('a blank is missing between the series and its value')
    let end = this.#word(i, to)
    const value = readNumber(text, i, end)
    if (value === null || end === i) throw new LineError(`${JSON.stringify(text.slice(i, end))} is no value`)
    this.#value = value
    this.hasTime = false
    i = this.#skip(end, to)
    if (i >= to || text.charCodeAt(i) === 13) return
    if (text.charCodeAt(i) !== hash) {
      end = this.#word(i, to)
      this.#readTime(i, end)
      i = this.#skip(end, to)
      if (i >= to || text.charCodeAt(i) === 13) return
    }
    if (this.format === 'text' || text.charCodeAt(i) !== hash || text.charCodeAt(i + 1) !== 32)
      throw new LineError(`${JSON.stringify(text.slice(i, to))} follows the sample`)
    this.#exemplar(i + 2, to)
  }

  #readTime(from: number, to: number): void {
    const { text } = this
    const time = readNumber(text, from, to)
    if (time === null || !Number.isFinite(time) || (this.format === 'text' && !Number.isInteger(time))) {
      throw new LineError(
        `${JSON.stringify(text.slice(from, to))} is no time; ${this.format === 'text' ? 'write whole milliseconds' : 'write seconds'}`,
      )
    }
    this.hasTime = true
    this.time = this.format === 'text' ? time : Math.round(time * 1000)
  }

  // An exemplar is checked for its shape and not kept.
  #exemplar(from: number, to: number): void {
    const { text } = this
    if (text.charCodeAt(from) !== 123) throw new LineError('an exemplar must begin with its labels in braces')
    const end = seriesEnd(text, from, to)
    readSeries(`exemplar${text.slice(from, end)}`)
    const parts = text
      .slice(end, to)
      .trim()
      .split(/[ \t]+/)
    if (parts.length > 2 || parts.some((p) => readNumber(p, 0, p.length) === null))
      throw new LineError('an exemplar must have a value, and may have a time, after its labels')
  }

  add(ref: number, at: number): void {
    this.builder.add(ref, at, this.#value)
  }

  #skip(from: number, to: number): number {
    let i = from
    while (i < to && isBlank(this.text.charCodeAt(i))) i++
    return i
  }
  #word(from: number, to: number): number {
    let i = from
    while (i < to) {
      const c = this.text.charCodeAt(i)
      if (c === 32 || c === 9 || c === 13) break
      i++
    }
    return i
  }
}
