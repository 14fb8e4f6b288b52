import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createMemoryReader, type Sample } from '../../test/kit/memory-reader.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { silentLogger } from '../lib/log.ts'
import { duration, instant } from '../lib/time.ts'
import { labelsKey, labelsOf } from '../model/labels.ts'
import type { Value } from '../model/result.ts'
import { paramTypes, type ValueType } from './ast.ts'
import { createQuerier } from './querier.ts'
import { signatures } from './signatures.ts'

const leaf: Record<ValueType, fc.Arbitrary<string>> = {
  scalar: fc.constantFrom('0', '1', '-2.5', '0.5', 'NaN', 'Inf', 'time()', '5m', 'pi()'),
  string: fc.constantFrom('"g"', '"i"', '"new"', '"$1"', '"(.*)"', '"__name__"', '""', '"le"'),
  vector: fc.constantFrom(
    'm',
    'n',
    '{__name__=~"m|n"}',
    'm{i="1"}',
    'h_bucket',
    'nothing',
    'm offset 1m',
    'm @ end()',
    'n @ 300',
  ),
  matrix: fc.constantFrom(
    'm[2m]',
    'n[5m]',
    '{g="0"}[90s]',
    'm[1m] offset 30s',
    'n[3m] @ start()',
    'm[2m:20s]',
    '(m + n)[3m:]',
  ),
}
const pickFrom = (r: fc.GeneratorValue, list: readonly string[]): string => r(fc.constantFrom, ...list)
const matchings = ['', 'on(g) ', 'ignoring(i) ', 'on(g) group_left ', 'on(g, i) group_right(x) ', 'on() ']
const groupings = ['', 'by (g) ', 'without (i) ', 'by (__name__, le) ']
const aggregations = [
  'sum',
  'avg',
  'min',
  'max',
  'count',
  'group',
  'stddev',
  'stdvar',
  ...Object.keys(paramTypes),
]
const byReturn = (type: ValueType): string[] =>
  [...signatures].filter(([, s]) => s.returns === type).map(([n]) => n)

/** A well-typed expression, mostly. */
const make = (r: fc.GeneratorValue, type: ValueType, depth: number): string => {
  if (depth === 0 || type === 'string' || r(fc.integer, { min: 0, max: 9 }) < 2) return r(() => leaf[type])
  const kind = r(fc.integer, { min: 0, max: 9 })
  if (type === 'matrix') return kind < 6 ? r(() => leaf.matrix) : `(${make(r, 'vector', depth - 1)})[2m:30s]`
  if (type === 'vector' && kind < 3) {
    const op = pickFrom(r, aggregations)
    const param = paramTypes[op] ? `${make(r, paramTypes[op], depth - 1)}, ` : ''
    return `${op} ${pickFrom(r, groupings)}(${param}${make(r, 'vector', depth - 1)})`
  }
  if (kind < 6) {
    const right = type === 'scalar' || r(fc.boolean) ? 'scalar' : 'vector'
    const op = pickFrom(r, [
      '+',
      '-',
      '*',
      '/',
      '%',
      '^',
      'atan2',
      '== bool',
      '>= bool',
      ...(type === 'vector' ? ['>', '!=', 'and', 'or', 'unless'] : []),
    ])
    const how = right === 'vector' && !op.includes('bool') ? pickFrom(r, matchings) : ''
    return `(${make(r, type, depth - 1)} ${op} ${how}${make(r, right, depth - 1)})`
  }
  const name = pickFrom(r, byReturn(type))
  const { args } = signatures.get(name)!
  return `${name}(${args.map((a) => make(r, a, depth - 1)).join(', ')})`
}
const expression: fc.Arbitrary<string> = fc.gen().map((r) =>
  make(
    r,
    r(() => fc.constantFrom<ValueType>('vector', 'vector', 'scalar')),
    4,
  ),
)

const reader = createMemoryReader({ sliceRows: 3 })
for (let i = 0; i < 4; i++)
  for (const name of ['m', 'n']) {
    const samples = Array.from({ length: 60 }, (_, k): Sample => {
      const odd =
        k === 20 + i
          ? 'stale'
          : k % 17 === 0
            ? Number.NaN
            : k % 23 === 0
              ? Number.POSITIVE_INFINITY
              : (k * (i + 3)) % 11
      return { at: k * 10_000 + i * 37, value: odd }
    }).filter((_, k) => (k + i) % 7 !== 0)
    reader.add(labelsOf({ __name__: name, i: String(i), g: String(i % 2) }), samples)
  }
for (const le of ['0.1', '1', '+Inf', 'x'])
  reader.add(
    labelsOf({ __name__: 'h_bucket', le }),
    Array.from({ length: 60 }, (_, k) => ({ at: k * 10_000, value: k * le.length })),
  )

const querier = createQuerier({
  reader,
  clock: systemClock,
  limits: { timeout: duration(10_000), series: 1000, samples: 1_000_000, concurrency: 20 },
  lookback: duration(300_000),
  metrics: fakeMetrics(),
  log: silentLogger(),
})
const { signal } = new AbortController()

const rowsAt = (value: Value, at: number): Map<string, number> => {
  const out = new Map<string, number>()
  if (value.kind === 'scalar') out.set('', value.value)
  if (value.kind === 'vector')
    value.labels.forEach((l, i) => {
      out.set(labelsKey(l), value.values[i]!)
    })
  if (value.kind === 'matrix')
    value.labels.forEach((l, i) => {
      for (let k = value.start[i]!; k < value.end[i]!; k++)
        if (value.at[k] === at) out.set(labelsKey(l), value.value[k]!)
    })
  return out
}
const near = (a: number, b: number | undefined): boolean =>
  b !== undefined &&
  (Object.is(a, b) || a === b || Math.abs(a - b) <= 1e-7 * Math.max(1, Math.abs(a), Math.abs(b)))

/** An answer, or null where it was an error of the query; anything else that is thrown fails the test. */
const ask = async (work: Promise<{ value: Value }>): Promise<Value | null> => {
  try {
    return (await work).value
  } catch (error) {
    if (error instanceof AppError && ['bad_data', 'execution', 'limit_exceeded'].includes(error.code))
      return null
    throw error
  }
}

it('gives at each step of a range what an instant query gives there, or an error of the query', {
  timeout: 60_000,
}, async () => {
  const span = { fromAt: instant(200_000), toAt: instant(500_000), step: duration(100_000) }
  let answered = 0
  await fc.assert(
    fc.asyncProperty(expression, async (expr) => {
      const whole = await ask(querier.range(expr, span, signal))
      // Labels decide these alike, but @ start() and end() stand for other times in an instant query.
      // Which ones limitk takes, and topk and bottomk of equals, depends on the order they are given, and that may differ, as in Prometheus.
      const sorts = expr.match(/sort/g) ?? []
      const same = !/start\(\)|end\(\)|limitk|topk|bottomk/.test(expr) && sorts.length < 2
      for (let at = 200_000; at <= 500_000; at += 100_000) {
        const one = await ask(querier.instant(expr, instant(at), signal))
        if (!whole || !one || !same) continue
        answered++
        const [range, single] = [rowsAt(whole, at), rowsAt(one, at)]
        expect([...range.keys()].sort(), expr).toEqual([...single.keys()].sort())
        for (const [key, v] of single)
          expect(near(v, range.get(key)), `${expr} at ${at}: ${v} ${range.get(key)}`).toBe(true)
      }
    }),
    { numRuns: 1500, verbose: 1 },
  )
  expect(answered).toBeGreaterThan(500)
})
