import { describe, expect, it } from 'vitest'
import { createMemoryReader } from '../../test/kit/memory-reader.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { silentLogger } from '../lib/log.ts'
import { duration, instant, minute } from '../lib/time.ts'
import { labelsOf, recordOf } from '../model/labels.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import { queryConfig } from './config.ts'
import { createQuerier, type QueryLimits } from './querier.ts'

const { signal } = new AbortController()
const limits: QueryLimits = { timeout: duration(20_000), series: 1000, samples: 100_000, concurrency: 2 }

const house = (
  over: Partial<QueryLimits> = {},
  wrap: (r: SeriesReader) => SeriesReader = (r) => r,
  clock = systemClock,
) => {
  const reader = createMemoryReader({ sliceRows: 10 })
  for (let i = 0; i < 100; i++) {
    const samples = Array.from({ length: 60 }, (_, k) => ({ at: k * 15_000, value: i + k }))
    reader.add(labelsOf({ __name__: 'm_total', i: String(i), g: String(i % 3) }), samples)
  }
  const metrics = fakeMetrics()
  const querier = createQuerier({
    reader: wrap(reader),
    clock,
    limits: { ...limits, ...over },
    lookback: duration(5 * minute),
    metrics,
    log: silentLogger(),
  })
  return { reader, querier, metrics }
}
const at = instant(600_000)
const span = { fromAt: instant(300_000), toAt: instant(600_000), step: duration(30_000) }
const failure = async (work: Promise<unknown>): Promise<AppError> => {
  const error = await work.then(
    () => null,
    (e: unknown) => e,
  )
  expect(error).toBeInstanceOf(AppError)
  return error as AppError
}

describe('what is read', () => {
  it('asks only for the last sample of an instant selector, and for all over a range', async () => {
    const { reader, querier } = house()
    await querier.instant('m_total', at, signal)
    expect(reader.plans).toEqual([expect.objectContaining({ pick: 'last', fromAt: 300_000, toAt: 600_000 })])
    reader.plans.length = 0
    await querier.range('m_total', span, signal)
    expect(reader.plans).toEqual([expect.objectContaining({ pick: 'all', fromAt: 0, toAt: 600_000 })])
  })
  it('reads each selector once, however often it is written', async () => {
    const { reader, querier } = house()
    const { value } = await querier.instant(
      'sum(rate(m_total[5m])) / sum(increase(m_total[5m])) + on() sum(rate(m_total[5m]))',
      at,
      signal,
    )
    expect(reader.plans).toHaveLength(1)
    expect(value.kind === 'vector' && value.values[0]).toBeCloseTo(1 / 300 + 100 / 15, 9)
  })
  it('reads what does not change from step to step once, at one step', async () => {
    const { reader, querier } = house()
    await querier.range('sum(m_total @ 450)', span, signal)
    expect(reader.plans).toEqual([expect.objectContaining({ pick: 'last', fromAt: 150_000, toAt: 450_000 })])
  })
  it('spans offsets and subqueries', async () => {
    const { reader, querier } = house()
    await querier.instant('max_over_time(rate(m_total[1m] offset 1m)[2m:30s])', at, signal)
    expect(reader.plans).toEqual([expect.objectContaining({ fromAt: 390_000, toAt: 540_000 })])
  })
})

describe('limits', () => {
  it('names the limit of series and how to raise it', async () => {
    const error = await failure(house({ series: 50 }).querier.instant('m_total', at, signal))
    expect(error.code).toBe('limit_exceeded')
    const own = await failure(
      house({ series: 50 }, (r) => ({
        read: (plan, s) => r.read({ ...plan, limits: { series: 1e9, samples: 1e9 } }, s),
      })).querier.instant('m_total', at, signal),
    )
    expect(own.message).toContain('more than 50 series')
    expect(own.message).toContain('query.max_series')
  })
  it('names the limit of samples, for what is read and what is made', async () => {
    const read = await failure(house({ samples: 1000 }).querier.instant('rate(m_total[5m])', at, signal))
    expect([read.code, read.message]).toEqual([
      'limit_exceeded',
      expect.stringContaining('query.max_samples'),
    ])
    const made = await failure(
      house({ samples: 5000 }).querier.range(
        'vector(1) or vector(time())',
        { ...span, step: duration(100) },
        signal,
      ),
    )
    expect(made.message).toContain('makes more than 5000 samples')
  })
  it('refuses more steps than 11000', async () => {
    const error = await failure(house().querier.range('m_total', { ...span, step: duration(10) }, signal))
    expect([error.code, error.message]).toEqual(['bad_data', expect.stringContaining('11000 points')])
  })
  it('stops at the time-out, in a reader that hangs too, and gives its turn back', async () => {
    const hang: SeriesReader = {
      async *read(_plan, s) {
        await new Promise((_, reject) => s.addEventListener('abort', () => reject(s.reason)))
      },
    }
    const { querier, metrics } = house({ timeout: duration(30), concurrency: 1 }, () => hang)
    const both = await Promise.all([
      failure(querier.instant('a', at, signal)),
      failure(querier.instant('b', at, signal)),
    ])
    expect(both.map((e) => e.code)).toEqual(['timeout', 'timeout'])
    expect(metrics.values.get('airboss_queries_running{}')).toBe(0)
    expect(metrics.values.get('airboss_query_errors_total{code="timeout"}')).toBe(2)
  })
  it('stops long work that never waits', async () => {
    const { querier } = house({ timeout: duration(50), samples: 1e9 })
    const begun = performance.now()
    const error = await failure(
      querier.range('quantile_over_time(0.5, m_total[15m])', { ...span, step: duration(100) }, signal),
    )
    expect(error.code).toBe('timeout')
    expect(performance.now() - begun).toBeLessThan(5000)
  })
  it('tells cancellation from time-out', async () => {
    const stop = new AbortController()
    stop.abort()
    expect((await failure(house().querier.instant('m_total', at, stop.signal))).code).toBe('canceled')
  })
  it('lets other work go first in long evaluations', async () => {
    // Each look at this clock costs a millisecond, so that how long the work holds the process does not depend on the machine.
    let elapsed = 0
    const clock = { ...systemClock, monotonic: () => ++elapsed }
    const { querier } = house({ samples: 1e9, timeout: duration(1e9) }, (r) => r, clock)
    let turns = 0
    let beat = setImmediate(function turn() {
      turns++
      beat = setImmediate(turn)
    })
    await querier.range('sum(max_over_time(m_total[15m:1s]))', { ...span, step: duration(1000) }, signal)
    clearImmediate(beat)
    expect(turns).toBeGreaterThan(10)
  })
})

describe('answers', () => {
  it('carries scalars, strings, vectors, matrices', async () => {
    const { querier } = house()
    expect((await querier.instant('time()', at, signal)).value).toEqual({ kind: 'scalar', at, value: 600 })
    expect((await querier.instant('"x"', at, signal)).value).toEqual({ kind: 'string', at, value: 'x' })
    const vector = (await querier.instant('m_total{i="7"}', at, signal)).value
    expect(vector.kind === 'vector' && [recordOf(vector.labels[0]!), vector.values[0]]).toEqual([
      { __name__: 'm_total', i: '7', g: '1' },
      47,
    ])
    const matrix = (await querier.instant('m_total{i="7"}[30s]', at, signal)).value
    expect(matrix.kind === 'matrix' && [[...matrix.at], [...matrix.value]]).toEqual([
      [585_000, 600_000],
      [46, 47],
    ])
  })
  it('gives a range its rows in the order of their labels', async () => {
    const { value } = await house().querier.range('sum by (g) (m_total)', span, signal)
    expect(value.labels.map((l) => l[1])).toEqual(['0', '1', '2'])
  })
  it('refuses a range of what is no vector', async () => {
    const error = await failure(house().querier.range('m_total[5m]', span, signal))
    expect(error.message).toContain('invalid expression type "range vector"')
  })
  it('passes a reader that fails on as it is', async () => {
    const broken: SeriesReader = {
      // biome-ignore lint/correctness/useYield: it fails before its first slice
      async *read() {
        throw new AppError('unavailable', 'the store is away')
      },
    }
    const error = await failure(house({}, () => broken).querier.instant('m_total', at, signal))
    expect([error.code, error.message]).toEqual(['unavailable', 'the store is away'])
  })
  it('checks without reading', () => {
    expect(house().querier.check('sum(rate(up{a="b"}[5m]))')).toEqual({
      type: 'vector',
      text: 'sum(rate(up{a="b"}[5m]))',
      selectors: [
        [
          { name: 'a', op: '=', value: 'b' },
          { name: '__name__', op: '=', value: 'up' },
        ],
      ],
    })
  })
})

it('has the defaults of Prometheus', () => {
  expect(queryConfig.parse({})).toEqual({
    lookback_delta: 300_000,
    timeout: 120_000,
    max_samples: 50_000_000,
    max_series: 500_000,
    max_concurrency: 20,
  })
  expect(() => queryConfig.parse({ lookback: '5m' })).toThrow()
})
