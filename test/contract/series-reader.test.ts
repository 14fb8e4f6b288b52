import { createHead, type Head } from '../../src/head/head.ts'
import { createWholeReader } from '../../src/head/whole-reader.ts'
import { AppError } from '../../src/lib/errors.ts'
import { duration, hour, instant, minute } from '../../src/lib/time.ts'
import type { Batch } from '../../src/model/batch.ts'
import type { SeriesReader } from '../../src/model/ports/series-reader.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { FakeClock } from '../kit/clock.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { type ReaderFixture, seriesReaderContract } from '../kit/series-reader-contract.ts'

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
