// One query under way: its limits, its deadline, its notes, and when to let the rest of the process breathe.
import { breathe, type Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Ends } from './grid.ts'
import { placeOf } from './place.ts'

export interface RunLimits {
  /** Series read by one query. */
  readonly series: number
  /** Samples read by one query, and as many points made on the way to its answer. */
  readonly samples: number
}

export interface RunDeps {
  readonly reader: SeriesReader
  readonly clock: Clock
  readonly limits: RunLimits
  /** How far back an instant selector looks, in milliseconds. */
  readonly lookback: number
  /** The resolution of a subquery that names none, in milliseconds. */
  readonly subqueryStep: number
}

/** How long a loop may hold the process before it lets others run, in milliseconds. */
const slice = 8

export class Run {
  readonly deps: RunDeps
  readonly text: string
  readonly ends: Ends
  readonly signal: AbortSignal
  readonly warnings = new Set<string>()
  readonly infos = new Set<string>()
  /** How often each selector's window is needed: above once it is copied and kept. */
  readonly uses = new Map<string, number>()
  readonly kept = new Map<string, Promise<unknown>>()
  /** Samples read, points made, series read so far. */
  read = 0
  made = 0
  series = 0
  readonly #deadlineAt: number
  #breathedAt: number

  constructor(deps: RunDeps, text: string, ends: Ends, signal: AbortSignal, deadlineAt: number) {
    this.deps = deps
    this.text = text
    this.ends = ends
    this.signal = signal
    this.#deadlineAt = deadlineAt
    this.#breathedAt = deps.clock.monotonic()
  }

  warn(message: string, from: number): void {
    this.warnings.add(`PromQL warning: ${message} (${placeOf(this.text, from)})`)
  }
  inform(message: string, from: number): void {
    this.infos.add(`PromQL info: ${message} (${placeOf(this.text, from)})`)
  }

  /** Throws when the query was canceled or its time is over. For loops that cannot wait. */
  check(): void {
    if (this.deps.clock.monotonic() > this.#deadlineAt || isTimeout(this.signal))
      throw new AppError(
        'timeout',
        'query timed out in expression evaluation; ask for less, or raise query.timeout',
      )
    if (this.signal.aborted) throw new AppError('canceled', 'query was canceled')
  }

  /** Between pieces of work: checks, and lets other work go first when this one has held the process long enough. */
  async pause(): Promise<void> {
    this.check()
    if (this.deps.clock.monotonic() - this.#breathedAt < slice) return
    await breathe()
    this.#breathedAt = this.deps.clock.monotonic()
    this.check()
  }

  countSeries(n: number): void {
    this.series += n
    const most = this.deps.limits.series
    if (this.series > most)
      throw new AppError(
        'limit_exceeded',
        `the query reads more than ${most} series; narrow its selectors, or raise query.max_series`,
      )
  }

  /** Counts samples read; throws `limit_exceeded` past the limit. */
  countSamples(n: number): void {
    this.read += n
    if (this.read > this.deps.limits.samples) throw this.#tooMany('reads')
  }

  /** Counts points before room is made for them; throws `limit_exceeded` past the limit. */
  reserve(rows: number, steps: number): void {
    this.made += rows * steps
    if (this.made > this.deps.limits.samples) throw this.#tooMany('makes')
  }

  #tooMany(does: string): AppError {
    return new AppError(
      'limit_exceeded',
      `the query ${does} more than ${this.deps.limits.samples} samples; narrow its selectors, shorten its range or widen its step, or raise query.max_samples`,
    )
  }
}

const isTimeout = (signal: AbortSignal): boolean =>
  signal.aborted && signal.reason instanceof Error && signal.reason.name === 'TimeoutError'
