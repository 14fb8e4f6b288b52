// Takes bills in FOCUS as CSV or JSON, line by line as they come, each line once.
import { Readable } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { periodAround } from '../../lib/calendar.ts'
import type { Clock } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import { RecentIds } from '../../lib/recent-ids.ts'
import { day, duration, type Instant, instant } from '../../lib/time.ts'
import { type CostRow, sampleBatch } from '../../model/batch.ts'
import { missingColumns } from '../../model/focus.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Sink } from '../../model/ports/sink.ts'
import { type FocusOptions, focusCost, focusId, readFocusRow } from './decode.ts'

export interface FocusDeps {
  /** A sink that counts `batch.costs` once by id. */
  readonly sink: Sink
  /** Which rows are stored already. */
  readonly known: (ids: readonly string[], signal: AbortSignal) => Promise<ReadonlySet<string>>
  readonly options: FocusOptions
  readonly clock: Clock
  readonly metrics: Metrics
}

export interface FocusRefusal {
  /** In the file, the header being 1; of JSON the number of the object. */
  readonly line: number
  readonly column: string
  readonly error: string
}
export interface FocusTaken {
  readonly accepted: number
  /** Lines that had been taken before. */
  readonly duplicates: number
  /** Of those accepted: too old to raise the counters. */
  readonly uncounted: number
  readonly usd: number
  readonly rejected: number
  /** The first of them, one for each thing that is wrong. */
  readonly problems: readonly FocusRefusal[]
}

export interface FocusImport {
  /** Throws `bad_data` when the file as a whole is none; what was taken before a broken place stays taken, and sending the file again is safe. */
  take(body: AsyncIterable<Uint8Array>, form: 'csv' | 'json', signal: AbortSignal): Promise<FocusTaken>
}

const atOnce = 1000
const mostRecent = 262_144
const mostProblems = 200
/** JSON is read as a whole. */
const mostJson = 64 << 20
const pushTime = duration(30_000)

interface Line {
  readonly line: number
  readonly values: Readonly<Record<string, unknown>>
}

async function* csvLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const parser = parse({
    bom: true,
    info: true,
    skip_empty_lines: true,
    max_record_size: 1 << 20,
    columns: (header: string[]) => {
      checkHeader(header)
      return header
    },
  })
  const source = Readable.from(body)
  source.on('error', (error) => parser.destroy(error))
  source.pipe(parser)
  try {
    for await (const { record, info } of parser as AsyncIterable<{
      record: Record<string, string>
      info: { lines: number }
    }>)
      yield { line: info.lines, values: record }
  } catch (error) {
    if (error instanceof CsvError) {
      const line = (error as { lines?: number }).lines
      throw new AppError('bad_data', `line ${line ?? '?'}: ${error.message}`, { cause: error })
    }
    throw error
  }
}

const checkHeader = (header: readonly string[]): void => {
  const missing = missingColumns(header)
  if (missing.length > 0)
    throw new AppError(
      'bad_data',
      `line 1: the mandatory column${missing.length > 1 ? 's' : ''} ${missing.join(', ')} of FOCUS 1.2 ${missing.length > 1 ? 'are' : 'is'} missing`,
    )
  const twice = header.find((name, i) => header.indexOf(name) !== i)
  if (twice !== undefined) throw new AppError('bad_data', `line 1: the column ${twice} is there twice`)
}

async function* jsonLines(body: AsyncIterable<Uint8Array>): AsyncGenerator<Line> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const part of body) {
    size += part.length
    if (size > mostJson)
      throw new AppError('too_large', `the JSON is over ${mostJson} bytes; send it in parts, or as CSV`)
    parts.push(part)
  }
  let value: unknown
  try {
    value = JSON.parse(Buffer.concat(parts).toString('utf8'))
  } catch (error) {
    throw new AppError('bad_data', `the body is no JSON: ${messageOf(error)}`, { cause: error })
  }
  const list = Array.isArray(value) ? value : (value as { rows?: unknown } | null)?.rows
  if (!Array.isArray(list))
    throw new AppError('bad_data', 'the body must be a list of FOCUS rows, or { "rows": [...] }')
  for (const [i, item] of list.entries()) {
    if (typeof item !== 'object' || item === null || Array.isArray(item))
      throw new AppError('bad_data', `row ${i + 1} must be an object of columns`)
    yield { line: i + 1, values: item as Record<string, unknown> }
  }
}

/** Where the counters begin to count: the month that is running, and a week in any case. */
const countFrom = (now: Instant): Instant =>
  instant(Math.min(periodAround('monthly', now, 'UTC').startAt, now - 7 * day))

export const createFocusImport = ({ sink, known, options, clock, metrics }: FocusDeps): FocusImport => {
  const taken = metrics.counter('airboss_focus_lines_total', 'Lines of FOCUS bills taken.')
  const refused = metrics.counter('airboss_focus_lines_refused_total', 'Lines of FOCUS bills not taken.')

  // What was taken a moment ago is safe, but may not be in the store yet.
  const recent = new RecentIds(mostRecent)

  const store = async (rows: readonly CostRow[], signal: AbortSignal): Promise<readonly CostRow[]> => {
    const there = await known(
      rows.map((row) => row.id),
      signal,
    )
    const fresh = rows.filter((row) => !there.has(row.id) && !recent.has(row.id))
    if (fresh.length > 0)
      await sink.push({ ...sampleBatch([], [], []), costs: fresh }, clock.timeout(pushTime, signal))
    for (const row of fresh) recent.add(row.id)
    return fresh
  }

  return {
    take: async (body, form, signal) => {
      const from = countFrom(clock.now())
      const equal = new Map<string, number>()
      const sum = { accepted: 0, duplicates: 0, uncounted: 0, usd: 0, rejected: 0 }
      const problems: FocusRefusal[] = []
      let waiting: CostRow[] = []
      const flush = async (): Promise<void> => {
        const rows = waiting
        waiting = []
        const fresh = await store(rows, signal)
        sum.accepted += fresh.length
        sum.duplicates += rows.length - fresh.length
        for (const row of fresh) {
          sum.usd += row.usd
          if (row.attributes?.['counted'] === 'no') sum.uncounted++
        }
        taken.add(fresh.length)
      }
      for await (const { line, values } of form === 'csv' ? csvLines(body) : jsonLines(body)) {
        signal.throwIfAborted()
        const row = readFocusRow(values)
        const plain = focusId(row, 0)
        const nth = equal.get(plain) ?? 0
        equal.set(plain, nth + 1)
        const made = focusCost(row, nth, options, from)
        if ('id' in made) waiting.push(made)
        else {
          sum.rejected++
          for (const p of made) if (problems.length < mostProblems) problems.push({ line, ...p })
        }
        if (waiting.length >= atOnce) await flush()
      }
      if (waiting.length > 0) await flush()
      if (sum.rejected > 0) refused.add(sum.rejected)
      return { ...sum, problems }
    },
  }
}
