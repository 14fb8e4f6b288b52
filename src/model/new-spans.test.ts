import { expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { spanBatch, spanRows } from '../../test/kit/span-rows.ts'
import { duration, minute } from '../lib/time.ts'
import { NewSpans } from './new-spans.ts'
import { idWords, SpanIds, wordsOfIds } from './span-ids.ts'

const wanted = (): boolean => true
const make = (most = 1000) => {
  const clock = new FakeClock()
  const metrics = fakeMetrics()
  const spans = new NewSpans({ window: duration(10 * minute), most, wanted, clock, metrics })
  return { clock, metrics, spans }
}
const row = (n: number) => ({
  traceId: Math.floor(n / 4)
    .toString(16)
    .padStart(32, 'a'),
  spanId: n.toString(16).padStart(16, '0'),
})
const batch = (from: number, to: number, read = false) =>
  spanBatch(
    spanRows(
      Array.from({ length: to - from }, (_, i) => row(from + i)),
      read ? wanted : undefined,
    ),
  )
const ids = (spans: readonly { spanId: string }[]): number[] =>
  spans.map((s) => Number.parseInt(s.spanId, 16))
const seen = (spans: NewSpans, n: number): boolean => {
  const id = new Int32Array(idWords)
  wordsOfIds(row(n).traceId, row(n).spanId, id)
  return spans.has(id)
}

test('a span counts once, whether its batch was decoded or came back from disk', () => {
  const { spans, metrics } = make()
  expect(ids(spans.of(batch(0, 3, true)))).toEqual([0, 1, 2])
  expect(ids(spans.of(batch(1, 5)))).toEqual([3, 4])
  expect(spans.of(batch(0, 5, true))).toEqual([])
  expect(metrics.values.get('airboss_spans_repeated_total{}')).toBe(7)
  expect(metrics.values.get('airboss_spans_remembered{}')).toBe(5)
})

test('a span twice in one batch counts once', () => {
  const { spans } = make()
  const twice = spanBatch(spanRows([row(1), row(2), row(1)]))
  expect(ids(spans.of(twice))).toEqual([1, 2])
})

test('all who ask about one batch get the same answer, over batches without spans too', () => {
  const { spans } = make()
  const first = batch(0, 2)
  const { spans: _, ...empty } = batch(0, 1)
  const answer = spans.of(first)
  expect(spans.of(empty)).toEqual([])
  expect(spans.of(first)).toBe(answer)
})

test('has says what was accepted and remembers nothing', () => {
  const { spans } = make()
  spans.of(batch(0, 1))
  expect([seen(spans, 0), seen(spans, 1), seen(spans, 1)]).toEqual([true, false, false])
})

test('a span is remembered for the window and forgotten within twice of it', async () => {
  const { spans, clock } = make()
  spans.of(batch(0, 1))
  await clock.advance(10 * minute)
  expect(ids(spans.of(batch(0, 2)))).toEqual([1])
  await clock.advance(10 * minute)
  expect(ids(spans.of(batch(0, 2)))).toEqual([0])
})

test('the cap forgets the oldest early, and says so', () => {
  const { spans, metrics } = make(100)
  spans.of(batch(0, 50))
  expect(metrics.values.get('airboss_spans_forgotten_early_total{}')).toBeUndefined()
  spans.of(batch(50, 100))
  expect(metrics.values.get('airboss_spans_forgotten_early_total{}')).toBe(50)
  expect([seen(spans, 0), seen(spans, 99)]).toEqual([false, true])
})

test('ids are compared whole and survive the growing of the set', () => {
  const set = new SpanIds(7)
  const id = new Int32Array(idWords)
  const made = (n: number): Int32Array => {
    wordsOfIds(n.toString(16).padStart(32, '0'), 'ffffffffffffffff', id)
    return id
  }
  for (let n = 0; n < 5000; n++) expect(set.add(made(n))).toBe(true)
  for (let n = 0; n < 5000; n++) expect(set.add(made(n))).toBe(false)
  expect(set.has(made(5000))).toBe(false)
  set.clear()
  expect([set.size, set.has(made(1))]).toEqual([0, false])
})
