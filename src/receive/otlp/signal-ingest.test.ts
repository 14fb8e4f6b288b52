import { expect, test } from 'vitest'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { otlpDoors } from '../../../test/kit/otlp-doors.ts'
import { idOf, requestOf, spanMessage } from '../../../test/kit/otlp-items.ts'
import { systemClock } from '../../lib/clock.ts'
import { minute } from '../../lib/time.ts'
import type { Batch } from '../../model/batch.ts'
import { NewSpans } from '../../model/new-spans.ts'
import { countRows } from '../../model/packed-rows.ts'
import { readSpans } from '../../model/span-rows.ts'

const never = new AbortController().signal
const request = (spans: number): Buffer => {
  const start = BigInt(Date.now() - minute) * 1_000_000n
  return requestOf(
    { 'service.name': 'shop' },
    Array.from({ length: spans }, (_, i) =>
      spanMessage({ traceId: idOf(16, i), spanId: idOf(8, i), name: `n${i}`, start, end: start + 1n }),
    ),
  )
}

test('many spans go on in batches of few, in order and whole, and others get their turn in between', async () => {
  const batches: Batch[] = []
  let turns = 0
  let pushed: (() => void) | null = () => {
    turns++
    if (pushed) setImmediate(pushed)
  }
  const sink = {
    push: async (batch: Batch) => {
      batches.push(batch)
    },
  }
  setImmediate(pushed)
  const exported = await otlpDoors({ sink }).items.take('traces', request(4500), 'protobuf', 'test', never)
  pushed = null
  expect(exported.rejected).toBe(0)
  expect(batches.map((b) => countRows(b.spans))).toEqual([2000, 2000, 500])
  expect(turns).toBeGreaterThanOrEqual(2)
  const read = batches.flatMap((b) => readSpans(b.spans!, () => false))
  expect(read.map((s) => s.name)).toEqual(Array.from({ length: 4500 }, (_, i) => `n${i}`))
  expect(batches.flatMap((b) => b.spans!.read ?? [])).toEqual(read)
})

test('a request that failed half way is sent again: what was safe is known, the rest is taken, each counts once', async () => {
  const metrics = fakeMetrics()
  const clock = systemClock
  const newSpans = new NewSpans({ window: minute, most: 100_000, wanted: () => false, clock, metrics })
  const sizes: number[] = []
  let refuse = true
  const sink = {
    push: async (batch: Batch) => {
      if (refuse && sizes.length === 1) throw new Error('full')
      sizes.push(countRows(batch.spans))
      newSpans.of(batch)
    },
  }
  const { items } = otlpDoors({ sink, metrics, accepted: (id) => newSpans.has(id) })
  const body = request(4500)
  await expect(items.take('traces', body, 'protobuf', 'test', never)).rejects.toThrow('full')
  refuse = false
  await items.take('traces', body, 'protobuf', 'test', never)
  expect(sizes).toEqual([2000, 2000, 500])
  expect(metrics.values.get('airboss_receive_spans_total{protocol="test"}')).toBe(4500)
  expect(metrics.values.get('airboss_receive_spans_repeated_total{protocol="test"}')).toBe(2000)
})
