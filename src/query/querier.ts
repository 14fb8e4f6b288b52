// The querier: PromQL expressions in, answers out, each under limits of time, series, samples and concurrency.
import type { Clock } from '../lib/clock.ts'
import { AppError, asAppError } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, type Instant, minute } from '../lib/time.ts'
import type { Span } from '../model/plan.ts'
import type { Counter, Gauge, Histogram, Metrics } from '../model/ports/metrics.ts'
import type { Checked, Querier } from '../model/ports/querier.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Answer, Matrix, Value } from '../model/result.ts'
import { matrixOf, vectorOf } from './answer.ts'
import { type Expr, selectorsOf, unwrap, type ValueType } from './ast.ts'
import { rowBlock } from './block.ts'
import { check } from './check.ts'
import { scalar, vector } from './evaluate.ts'
import type { Ends, Grid } from './grid.ts'
import { parse } from './parse.ts'
import { placeOf } from './place.ts'
import { print } from './print.ts'
import { rangeVector } from './range-vector.ts'
import { Run } from './run.ts'
import { countUses } from './scan.ts'
import { createTurns } from './turns.ts'

export interface QueryLimits {
  readonly timeout: Duration
  /** Series one query may read. */
  readonly series: number
  /** Samples one query may read and hold. */
  readonly samples: number
  /** Steps of a range query; 11000 as in Prometheus when left out. */
  readonly points?: number
  /** Queries evaluated at a time. */
  readonly concurrency: number
}

export interface QuerierDeps {
  readonly reader: SeriesReader
  readonly clock: Clock
  readonly limits: QueryLimits
  readonly lookback: Duration
  /** The resolution of a subquery that names none: the evaluation interval; 1m when left out. */
  readonly subqueryStep?: Duration
  readonly metrics: Metrics
  readonly log: Logger
}

interface Parsed {
  readonly expr: Expr
  readonly type: ValueType
}

/** Parsed expressions kept. */
const mostParsed = 2000

const instantValue = async (run: Run, { expr, type }: Parsed, at: Instant): Promise<Value> => {
  const grid: Grid = { startAt: at, step: 0, count: 1 }
  countUses(run, expr, grid)
  const inner = unwrap(expr)
  switch (type) {
    case 'string':
      return { kind: 'string', at, value: inner.kind === 'string' ? inner.value : '' }
    case 'scalar':
      return { kind: 'scalar', at, value: (await scalar(run, inner, grid))[0]! }
    case 'vector':
      return vectorOf(await vector(run, inner, grid), at)
    case 'matrix':
      return rangeVector(run, inner, grid)
  }
}

const rangeValue = async (run: Run, { expr, type }: Parsed, grid: Grid): Promise<Matrix> => {
  countUses(run, expr, grid)
  const block =
    type === 'scalar' ? rowBlock([], await scalar(run, expr, grid)) : await vector(run, expr, grid)
  return matrixOf(run, block, grid)
}

interface Meters {
  readonly seconds: Histogram
  readonly errors: Counter
  readonly running: Gauge
  readonly samples: Counter
}
/** What the querier tells about itself. */
const meters = (metrics: Metrics): Meters => ({
  seconds: metrics.histogram(
    'airboss_query_seconds',
    'How long queries took, waiting for their turn included.',
    [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60],
    ['kind'],
  ),
  errors: metrics.counter('airboss_query_errors_total', 'Queries that failed, by the code of the error.', [
    'code',
  ]),
  running: metrics.gauge('airboss_queries_running', 'Queries being evaluated.'),
  samples: metrics.counter('airboss_query_samples_total', 'Samples read by queries.'),
})

/** Whatever was thrown, as an error of ours: an abort is told apart as time-out or cancellation. */
const explained = (run: Run, error: unknown, outer: AbortSignal, log: Logger): AppError => {
  let told = error
  if (!(error instanceof AppError) && (run.signal.aborted || outer.aborted)) {
    try {
      run.check()
    } catch (reason) {
      told = reason
    }
  }
  const known = asAppError(told)
  if (known.code === 'internal') log.error({ err: error, expr: run.text }, 'query failed by a fault of ours')
  return known
}

/** Parses and checks expressions, keeping the last ones: rules and dashboards ask the same over and over. */
const createReading = (): ((text: string) => Parsed) => {
  const kept = new Map<string, Parsed>()
  return (text) => {
    const known = kept.get(text)
    if (known) return known
    const expr = parse(text)
    const made = { expr, type: check(text, expr) }
    if (kept.size >= mostParsed) kept.delete(kept.keys().next().value ?? '')
    kept.set(text, made)
    return made
  }
}

type Evaluate = <V extends Value>(
  kind: 'instant' | 'range',
  text: string,
  ends: Ends,
  outer: AbortSignal,
  work: (run: Run) => Promise<V>,
) => Promise<Answer<V>>

/** Runs one query's work in its turn, under its limits, measured. */
const createEvaluate = (deps: QuerierDeps, meter: Meters): Evaluate => {
  const { clock, limits, reader, lookback, log } = deps
  const runDeps = { reader, clock, limits, lookback, subqueryStep: deps.subqueryStep ?? minute }
  const turns = createTurns(limits.concurrency)
  return async (kind, text, ends, outer, work) => {
    const begunAt = clock.monotonic()
    const signal = clock.timeout(limits.timeout, outer)
    const run = new Run(runDeps, text, ends, signal, begunAt + limits.timeout)
    let leave: (() => void) | undefined
    try {
      leave = await turns.enter(signal)
      meter.running.set(turns.running())
      run.check()
      const value = await work(run)
      return { value, warnings: [...run.warnings], infos: [...run.infos] }
    } catch (error) {
      throw explained(run, error, outer, log)
    } finally {
      leave?.()
      meter.running.set(turns.running())
      meter.samples.add(run.read)
      meter.seconds.observe((clock.monotonic() - begunAt) / 1000, { kind })
    }
  }
}

/** Makes a querier over a reader. It holds no timers and needs no start. */
export const createQuerier = (deps: QuerierDeps): Querier => {
  const meter = meters(deps.metrics)
  const evaluate = createEvaluate(deps, meter)
  const read = createReading()
  const points = deps.limits.points ?? 11_000
  const counted = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work()
    } catch (error) {
      const known = asAppError(error)
      meter.errors.add(1, { code: known.code })
      throw known
    }
  }
  return {
    check: (text): Checked => {
      const { expr, type } = read(text)
      return { type, text: print(expr), selectors: selectorsOf(expr).map((s) => s.matchers) }
    },
    instant: (text, at, signal) =>
      counted(async () => {
        const query = read(text)
        const ends = { startAt: at, endAt: at }
        return evaluate('instant', text, ends, signal, (run) => instantValue(run, query, at))
      }),
    range: (text, span, signal) =>
      counted(async () => {
        const query = read(text)
        const grid = gridOf(text, query, span, points)
        const ends = { startAt: span.fromAt, endAt: span.toAt }
        return evaluate('range', text, ends, signal, (run) => rangeValue(run, query, grid))
      }),
  }
}

const typeNames = { vector: 'instant vector', matrix: 'range vector', scalar: 'scalar', string: 'string' }

const gridOf = (text: string, query: Parsed, { fromAt, toAt, step }: Span, points: number): Grid => {
  if (query.type !== 'scalar' && query.type !== 'vector')
    throw new AppError(
      'bad_data',
      `${placeOf(text, 0)}: invalid expression type "${typeNames[query.type]}" for range query, must be scalar or instant vector`,
    )
  if (!(step > 0))
    throw new AppError(
      'bad_data',
      'zero or negative query resolution step widths are not accepted. Try a positive integer',
    )
  if (!(toAt >= fromAt)) throw new AppError('bad_data', 'end timestamp must not be before start time')
  const count = Math.floor((toAt - fromAt) / step) + 1
  if (count > points)
    throw new AppError(
      'bad_data',
      `exceeded maximum resolution of ${points} points per timeseries: this asks for ${count}. Try decreasing the query resolution (?step=XX)`,
    )
  return { startAt: fromAt, step: count === 1 ? 0 : step, count }
}
