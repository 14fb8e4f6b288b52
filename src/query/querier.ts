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
import { firstAt, type Grid, lastAt, subgrid, windowsOf } from './grid.ts'
import { parse } from './parse.ts'
import { placeOf } from './place.ts'
import { print } from './print.ts'
import { Run } from './run.ts'
import { countUses, slices, sourceOf, wordsFor } from './scan.ts'
import { createTurns } from './turns.ts'
import { withoutStale } from './kernel.ts'

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

/** Parsed expressions kept: rules and dashboards ask the same ones over and over. */
const mostParsed = 2000

/** The points of a range vector as they were read: `foo[5m]` or a subquery asked for by itself. */
const rangeVector = async (run: Run, e: Expr, grid: Grid): Promise<Matrix> => {
  if (e.kind === 'subquery') {
    const inner = subgrid(e, grid, run.ends, run.deps.subqueryStep)
    if (inner.count === 0) return joined([])
    return matrixOf(run, await vector(run, e.expr, inner), inner)
  }
  if (e.kind !== 'matrix') throw new AppError('internal', `${e.kind} is no range vector`)
  const source = sourceOf(e.selector, e.range, grid, run.ends, false)
  const windows = windowsOf(e.selector, e.range, grid, run.ends)
  const found: { labels: Matrix['labels'][number]; at: Float64Array; value: Float64Array }[] = []
  for await (const { columns } of slices(run, source)) {
    const words = wordsFor(columns)
    columns.labels.forEach((labels, i) => {
      const view = { at: columns.at, value: columns.value, words, from: columns.start[i]!, to: columns.end[i]! }
      withoutStale(view)
      let { from, to } = view
      while (from < to && view.at[from]! <= firstAt(windows)) from++
      while (to > from && view.at[to - 1]! > lastAt(windows)) to--
      if (from < to) found.push({ labels, at: view.at.slice(from, to), value: view.value.slice(from, to) })
    })
  }
  return joined(found)
}

const joined = (
  series: readonly { labels: Matrix['labels'][number]; at: Float64Array; value: Float64Array }[],
): Matrix => {
  const size = series.reduce((n, s) => n + s.at.length, 0)
  const start = new Uint32Array(series.length)
  const end = new Uint32Array(series.length)
  const at = new Float64Array(size)
  const value = new Float64Array(size)
  let n = 0
  series.forEach((s, i) => {
    start[i] = n
    at.set(s.at, n)
    value.set(s.value, n)
    n += s.at.length
    end[i] = n
  })
  return { kind: 'matrix', labels: series.map((s) => s.labels), start, end, at, value }
}

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

/** What the querier tells about itself. */
const meters = (metrics: Metrics): { seconds: Histogram; errors: Counter; running: Gauge; samples: Counter } => ({
  seconds: metrics.histogram(
    'airboss_query_seconds',
    'How long queries took, waiting for their turn included.',
    [0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10, 60],
    ['kind'],
  ),
  errors: metrics.counter('airboss_query_errors_total', 'Queries that failed, by the code of the error.', ['code']),
  running: metrics.gauge('airboss_queries_running', 'Queries being evaluated.'),
  samples: metrics.counter('airboss_query_samples_total', 'Samples read and points made by queries.'),
})

/** Makes a querier over a reader. It holds no timers and needs no start. */
export const createQuerier = (deps: QuerierDeps): Querier => {
  const { clock, limits, log } = deps
  const points = limits.points ?? 11_000
  const runDeps = {
    reader: deps.reader,
    clock,
    limits,
    lookback: deps.lookback,
    subqueryStep: deps.subqueryStep ?? minute,
  }
  const meter = meters(deps.metrics)
  const turns = createTurns(limits.concurrency)
  const parsed = new Map<string, Parsed>()

  const read = (text: string): Parsed => {
    const known = parsed.get(text)
    if (known) return known
    const expr = parse(text)
    const made = { expr, type: check(text, expr) }
    if (parsed.size >= mostParsed) parsed.delete(parsed.keys().next().value ?? '')
    parsed.set(text, made)
    return made
  }

  const evaluate = async <V extends Value>(
    kind: 'instant' | 'range',
    text: string,
    ends: { startAt: number; endAt: number },
    outer: AbortSignal,
    work: (run: Run) => Promise<V>,
  ): Promise<Answer<V>> => {
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
      throw explained(run, error, outer)
    } finally {
      leave?.()
      meter.running.set(turns.running())
      meter.samples.add(run.samples)
      meter.seconds.observe((clock.monotonic() - begunAt) / 1000, { kind })
    }
  }

  /** Whatever was thrown, as an error of ours: an abort is told apart as time-out or cancellation. */
  const explained = (run: Run, error: unknown, outer: AbortSignal): AppError => {
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
  if (!(step > 0)) throw new AppError('bad_data', 'zero or negative query resolution step widths are not accepted. Try a positive integer')
  if (!(toAt >= fromAt)) throw new AppError('bad_data', 'end timestamp must not be before start time')
  const count = Math.floor((toAt - fromAt) / step) + 1
  if (count > points)
    throw new AppError(
      'bad_data',
      `exceeded maximum resolution of ${points} points per timeseries: this asks for ${count}. Try decreasing the query resolution (?step=XX)`,
    )
  return { startAt: fromAt, step: count === 1 ? 0 : step, count }
}

