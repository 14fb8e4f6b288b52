// The reader's contract held by ClickHouse itself, and by the whole reader over a short head and a real store.
import { afterAll, beforeAll, vi } from 'vitest'
import { createHead } from '../../src/head/head.ts'
import { createWholeReader } from '../../src/head/whole-reader.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { duration, instant, minute } from '../../src/lib/time.ts'
import type { Batch } from '../../src/model/batch.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { type ReaderFixture, seriesReaderContract } from '../kit/series-reader-contract.ts'
import { never, testEngine, testStore } from '../kit/store.ts'

// Hundreds of small inserts a test, each durable before it answers.
vi.setConfig({ testTimeout: 120_000 })

let engine: Awaited<ReturnType<typeof testEngine>>
beforeAll(async () => {
  engine = await testEngine()
})
afterAll(async () => {
  await engine?.remove()
})

const clickhouse = async (): Promise<ReaderFixture> => {
  const { store, table } = await testStore(engine)
  let token = 0
  return {
    reader: store.reader,
    table,
    now: systemClock.now(),
    write: (batch) => store.writer.write(batch, `t${token++}`, never),
    close: () => store.close(),
  }
}

/** Batches go into the head at once and into ClickHouse when `storeEvery` of them wait. */
const whole = (window: number, storeEvery: number) => async (): Promise<ReaderFixture> => {
  const { store, table } = await testStore(engine)
  const clock = systemClock
  const now = clock.now()
  const head = createHead({
    table,
    window: duration(window),
    maxBytes: 8 << 20,
    clock,
    metrics: fakeMetrics(),
  })
  // Every batch goes through the head: what it covers is bounded by its window alone.
  head.coverFrom(instant(0))
  let waiting: Batch[] = []
  let token = 0
  return {
    reader: createWholeReader({
      head,
      store: store.reader,
      pending: () => ({ batches: waiting, missing: null }),
    }),
    table,
    now,
    write: async (batch) => {
      head.append(batch)
      waiting = [...waiting, batch]
      if (waiting.length < storeEvery) return
      for (const b of waiting) await store.writer.write(b, `t${token++}`, never)
      waiting = []
    },
    close: () => store.close(),
  }
}

seriesReaderContract('ClickHouse', clickhouse)
seriesReaderContract('a head of ten minutes over ClickHouse that is behind', whole(10 * minute, 3))
seriesReaderContract('a head of a second over ClickHouse', whole(1000, 2))
