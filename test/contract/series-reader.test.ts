import { expect, it } from 'vitest'
import { createHead, type Head } from '../../src/head/head.ts'
import { createWholeReader } from '../../src/head/whole-reader.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { AppError } from '../../src/lib/errors.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration, hour, instant, minute } from '../../src/lib/time.ts'
import { type Batch, sampleBatch } from '../../src/model/batch.ts'
import { labelsOf } from '../../src/model/labels.ts'
import type { SeriesReader } from '../../src/model/ports/series-reader.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { openLog } from '../../src/store/log.ts'
import { FakeClock } from '../kit/clock.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { type ReaderFixture, readAll, seriesReaderContract } from '../kit/series-reader-contract.ts'
import { tempDir } from '../kit/temp-dir.ts'

const headOf = (table: SeriesTable, clock: FakeClock, window = hour): Head => {
  const head = createHead({ table, window, maxBytes: 8 << 20, clock, metrics: fakeMetrics() })
  head.coverFrom(instant(0))
  return head
}
const fixture = (
  make: (table: SeriesTable, clock: FakeClock) => { reader: SeriesReader; write: (batch: Batch) => void },
): Promise<ReaderFixture> => {
  const clock = new FakeClock()
  const table = new SeriesTable(100_000)
  const { reader, write } = make(table, clock)
  return Promise.resolve({
    reader,
    table,
    now: clock.now(),
    write: async (batch) => write(batch),
    close: () => Promise.resolve(),
  })
}

seriesReaderContract('the head', () =>
  fixture((table, clock) => {
    const head = headOf(table, clock)
    return { reader: head, write: (batch) => head.append(batch) }
  }),
)

seriesReaderContract('the head alone under the whole reader', () =>
  fixture((table, clock) => {
    const head = headOf(table, clock)
    const away: SeriesReader = {
      // biome-ignore lint/correctness/useYield: it never gets so far
      read: async function* () {
        throw new AppError('unavailable', 'the store is stopped')
      },
    }
    const reader = createWholeReader({ head, store: away, pending: () => ({ batches: [], missing: null }) })
    return { reader, write: (batch) => head.append(batch) }
  }),
)

// A head of ten minutes, and a second one of an hour that plays the store; some batches are stored at once, some later, some never.
const whole = (window: number, storeEvery: number) => (): Promise<ReaderFixture> =>
  fixture((table, clock) => {
    const head = headOf(table, clock, duration(window))
    const store = headOf(table, clock)
    let waiting: Batch[] = []
    let n = 0
    const reader = createWholeReader({ head, store, pending: () => ({ batches: waiting, missing: null }) })
    return {
      reader,
      write: (batch) => {
        head.append(batch)
        waiting = [...waiting, batch]
        if (++n % storeEvery !== 0) return
        for (const b of waiting) store.append(b)
        waiting = []
      },
    }
  })
for (const [window, storeEvery] of [
  [10 * minute, 1],
  [10 * minute, 2],
  [10 * minute, 1000],
  [1 * minute, 3],
  [1000, 2],
] as const)
  seriesReaderContract(
    `the whole reader (head of ${window} ms, stored every ${storeEvery})`,
    whole(window, storeEvery),
  )

it('reads every acknowledged sample exactly once while the log takes, stores, fails and the head forgets', async () => {
  const clock = systemClock
  const startAt = clock.now() - 1
  const table = new SeriesTable(1000)
  const metrics = fakeMetrics()
  const headWith = (window: number): Head =>
    createHead({ table, window: duration(window), maxBytes: 2 << 20, clock, metrics })
  const head = headWith(150)
  const stored = headWith(3_600_000)
  stored.coverFrom(instant(0))
  const tokens = new Set<string>()
  let calls = 0
  const log = openLog({
    dir: tempDir(),
    table,
    writer: {
      write: async (batch, token) => {
        calls++
        await clock.sleep(duration(calls % 5))
        if (calls % 4 === 0) throw new AppError('unavailable', 'away')
        if (!tokens.has(token)) stored.append(batch)
        tokens.add(token)
        if (calls % 7 === 0) throw new AppError('unavailable', 'answer lost')
      },
    },
    producers: [],
    sealAfter: duration(10),
    clock,
    log: silentLogger(),
    metrics,
    accepted: (batch) => head.append(batch),
    replayed: () => undefined,
  })
  await log.start()
  const store: SeriesReader = {
    read: async function* (plan) {
      // A store answers as of some moment between the question and the answer.
      await clock.sleep(duration(2))
      const columns = structuredClone(stored.scan(plan))
      await clock.sleep(duration(15))
      if (columns) yield columns
    },
  }
  const reader = createWholeReader({ head, store, pending: () => log.pending() })
  const signal = new AbortController().signal
  const refs = Array.from({ length: 20 }, (_, i) => table.intern(labelsOf({ __name__: 'm', i: String(i) })))
  const acknowledged: { at: number }[] = []
  let running = true
  let lastAt = 0
  const write = async (): Promise<void> => {
    while (running) {
      const at = Math.max(clock.now(), lastAt + 1)
      lastAt = at
      await log.push(
        sampleBatch(
          refs,
          refs.map(() => at),
          refs.map(() => at),
        ),
        signal,
      )
      acknowledged.push({ at })
      await clock.sleep(duration(1))
    }
  }
  let whole = 0
  let recent = 0
  const check = async (back: number): Promise<void> => {
    while (running) {
      const toAt = clock.now()
      const plan = {
        kind: 'scan',
        matchers: [],
        fromAt: instant(Math.max(startAt, toAt - back)),
        toAt,
        pick: 'all',
        limits: { series: 1e6, samples: 1e9 },
      } as const
      const want = acknowledged.filter((a) => a.at > plan.fromAt && a.at <= toAt).map((a) => a.at)
      const inHead = plan.fromAt >= head.coveredFromAt()
      const got = await readAll(reader, plan)
      if (inHead) recent++
      else whole++
      for (const samples of got.values()) {
        const times = samples.map(([at]) => at)
        expect(new Set(times).size).toBe(times.length)
        expect(times).toEqual([...times].sort((a, b) => a - b))
        const there = new Set(times)
        expect(want.filter((at) => !there.has(at))).toEqual([])
      }
      expect(want.length === 0 || got.size === refs.length).toBe(true)
      await clock.sleep(duration(1))
    }
  }
  const writers = [write(), write(), write()]
  const checks = [check(1e9), check(1e9), check(60)]
  await clock.sleep(duration(1500))
  running = false
  await Promise.all([...writers, ...checks])
  expect(acknowledged.length).toBeGreaterThan(100)
  expect(whole).toBeGreaterThan(5)
  expect(recent).toBeGreaterThan(5)
  expect(calls).toBeGreaterThan(5)
  await log.drain()
})
