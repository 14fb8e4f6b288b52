// Text format 0.0.4 and OpenMetrics 1.0 into columns: one pass over the text, a series' labels read once and then known by its text.
import { AppError } from '../../lib/errors.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import { type Labels, labelsOf } from '../../model/labels.ts'
import { type Format, isBlank, LineError, readSeries, seriesEnd } from './line.ts'
import { MetadataLines } from './metadata.ts'
import { readNumber } from './number.ts'
import { copy, type DecodeCounts, type DecodeOptions, type Entry, SeriesCache } from './series-cache.ts'

const newline = 10
const hash = 35

/** Decodes the text scrapes of one target. Keeps what it knows of its series between them in `series`, which other formats may share. */
export class ScrapeDecoder {
  readonly series: SeriesCache
  readonly #metadata: MetadataLines
  /** Counts of the last body, also of one that was refused. */
  counts: DecodeCounts = { scraped: 0, kept: 0, added: 0 }

  constructor(options: DecodeOptions, series = new SeriesCache(options), metadata = new MetadataLines()) {
    this.series = series
    this.#metadata = metadata
  }

  /**
   * Reads one body into `builder`, samples without a time of their own at `at`. Throws `bad_data` naming line and mend, or
   * `limit_exceeded`; the builder is then to be thrown away.
   */
  decode(text: string, format: Format, builder: BatchBuilder, at: number): DecodeCounts {
    const { series } = this
    const scan = new Scan(text, format, builder)
    series.begin(builder, at)
    this.#metadata.begin(format)
    try {
      this.#lines(scan)
      if (format === 'openmetrics' && !scan.ended)
        throw new LineError('the body ends without # EOF; it was cut off')
      series.checkLimit()
    } catch (error) {
      series.rollback()
      // The counts are told for a scrape that failed too, as Prometheus does: with the sample a limit refused, without a line that is wrong.
      const half = scan.inSample && !(error instanceof LineError) ? 1 : 0
      this.counts = { scraped: series.scraped + half, kept: series.kept, added: 0 }
      if (error instanceof LineError) throw new AppError('bad_data', `line ${scan.line}: ${error.message}`)
      throw error
    }
    series.commit()
    this.#metadata.flush(builder)
    this.counts = { scraped: series.scraped, kept: series.kept, added: series.added }
    return this.counts
  }

  #lines(scan: Scan): void {
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
        this.#sample(scan, from, to)
      } else {
        let start = from
        while (start < to && isBlank(text.charCodeAt(start))) start++
        const first = text.charCodeAt(start)
        if (first === hash) this.#metadata.read(text.slice(start, to), format)
        else if (start < to && !(first === 13 && start + 1 === to)) this.#sample(scan, start, to)
      }
      from = to + 1
    }
  }

  #sample(scan: Scan, from: number, to: number): void {
    const { series } = this
    const { text } = scan
    scan.inSample = true
    const expected = series.expected()
    let entry: Entry
    let end: number
    if (
      expected !== undefined &&
      text.slice(from, from + expected.text.length) === expected.text &&
      isBlank(text.charCodeAt(from + expected.text.length)) &&
      text.charCodeAt(from + expected.text.length + 1) !== 123
    ) {
      entry = expected
      series.again(entry)
      end = from + expected.text.length
    } else {
      end = seriesEnd(text, from, to)
      entry = series.entry(text.slice(from, end))
    }
    scan.values(end, to)
    scan.inSample = false
    const at = series.keep(entry, scan.hasTime, scan.time)
    if (Number.isNaN(at)) return
    scan.add(entry.ref, at)
    if (scan.exemplarAt >= 0) scan.addExemplar(entry, at, to)
  }
}

interface ReadExemplar {
  readonly labels: Labels
  readonly value: number
  /** Milliseconds, null without one. */
  readonly time: number | null
}

/** Labels in braces, a value, and it may be a time in seconds. Throws LineError. */
const readExemplar = (text: string): ReadExemplar => {
  const end = seriesEnd(text, 0, text.length)
  const labels = readSeries(`exemplar${text.slice(0, end)}`)
  labels.delete('__name__')
  const parts = text
    .slice(end)
    .trim()
    .split(/[ \t]+/)
  const [value, seconds = null] = parts.map((p) => readNumber(p, 0, p.length))
  if (parts.length > 2 || value === null || value === undefined || (parts.length === 2 && seconds === null))
    throw new LineError('an exemplar must have a value, and may have a time, after its labels')
  return {
    labels: labelsOf(Object.fromEntries(labels)),
    value,
    time: seconds === null ? null : Math.round(seconds * 1000),
  }
}

/** One pass over one body. */
class Scan {
  readonly text: string
  readonly format: Format
  readonly builder: BatchBuilder
  line = 0
  ended = false
  inSample = false
  hasTime = false
  time = 0
  /** Where the exemplar of the sample begins, -1 without one. */
  exemplarAt = -1
  #value = 0

  constructor(text: string, format: Format, builder: BatchBuilder) {
    this.text = text
    this.format = format
    this.builder = builder
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
    this.exemplarAt = -1
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
    this.exemplarAt = i + 2
    if (text.charCodeAt(i + 2) !== 123)
      throw new LineError('an exemplar must begin with its labels in braces')
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

  /** Keeps the exemplar of a sample at `at`, unless it is the one the series came with before. */
  addExemplar(entry: Entry, at: number, to: number): void {
    const written = this.text.slice(this.exemplarAt, to)
    if (written === entry.exemplar) return
    const { labels, value, time } = readExemplar(written)
    entry.exemplar = copy(written)
    this.builder.exemplar(entry.ref, time ?? at, value, labels)
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
