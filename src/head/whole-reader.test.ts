import { expect, it } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { readAll } from '../../test/kit/series-reader-contract.ts'
import { breathe } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { duration, instant } from '../lib/time.ts'
import { type Batch, sampleBatch } from '../model/batch.ts'
import { type Labels, labelsOf } from '../model/labels.ts'
import type { Scan } from '../model/plan.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import { SeriesTable } from '../model/series.ts'
import { createHead } from './head.ts'
import { createWholeReader } from './whole-reader.ts'

const make = () => {
  const clock = new FakeClock(1_000_000)
  const table = new SeriesTable(100)
  const headOf = (window: number) => {
    const head = createHead({
      table,
      window: duration(window),
      maxBytes: 2 << 20,
      clock,
      metrics: fakeMetrics(),
    })
    head.coverFrom(instant(0))
    return head
  }
  const head = headOf(10_000)
  const stored = headOf(1_000_000)
  const state = {
    waiting: [] as Batch[],
    whileReading: () => {},
    afterReading: () => {},
    own: (labels: Labels): Labels => labels,
  }
  const store: SeriesReader = {
    read: async function* (plan) {
      await breathe()
      state.whileReading()
      const columns = structuredClone(stored.scan(plan))
      state.afterReading()
      if (columns) yield { ...columns, labels: columns.labels.map(state.own) }
    },
  }
  const reader = createWholeReader({
    head,
    store,
    pending: () => ({ batches: state.waiting, missing: null }),
  })
  const refs = [0, 1].map((s) => table.intern(labelsOf({ __name__: 'm', s: String(s) })))
  const accept = (at: number): void => {
    const batch = sampleBatch(refs, [at, at], [at, -at])
    head.append(batch)
    state.waiting = [...state.waiting, batch]
  }
  const flush = (): void => {
    for (const batch of state.waiting) stored.append(batch)
    state.waiting = []
  }
  const plan = (fromAt: number): Scan => ({
    kind: 'scan',
    matchers: [],
    fromAt: instant(fromAt),
    toAt: clock.now(),
    pick: 'all',
    limits: { series: 100, samples: 1000 },
  })
  return { clock, head, state, reader, accept, flush, plan, store }
}
const times = async (reader: SeriesReader, plan: Scan): Promise<number[][]> =>
  [...(await readAll(reader, plan)).values()].map((s) => s.map(([at]) => at))

it.each(['whileReading', 'afterReading'] as const)(
  'neither misses nor doubles rows that are stored, or leave the head (%s)',
  async (moment) => {
    const f = make()
    for (let at = 960_000; at <= 1_000_000; at += 1000) {
      f.clock.jump(at)
      f.accept(at)
      if (at === 980_000) f.flush()
    }
    f.state[moment] = () => {
      f.flush()
      f.clock.jump(1_015_000)
      f.accept(1_015_000)
      f.head.trim(f.clock.now())
    }
    const plan = { ...f.plan(965_000), toAt: instant(1_000_000) }
    const want = Array.from({ length: 35 }, (_, i) => 966_000 + i * 1000)
    expect(await times(f.reader, plan)).toEqual([want, want])
  },
)

it('finds series by their text where the store makes label arrays of its own', async () => {
  const f = make()
  f.state.own = (labels) => [...labels]
  for (let at = 980_000; at <= 1_000_000; at += 5000) {
    f.clock.jump(at)
    f.accept(at)
    if (at === 985_000) f.flush()
  }
  const want = [980_000, 985_000, 990_000, 995_000, 1_000_000]
  expect(await times(f.reader, f.plan(970_000))).toEqual([want, want])
})

it('says that it cannot answer when the store is needed and away, or is behind what memory holds', async () => {
  const f = make()
  f.accept(995_000)
  f.state.whileReading = () => {
    throw new AppError('unavailable', 'stopped')
  }
  expect(await times(f.reader, f.plan(991_000))).toEqual([[995_000], [995_000]])
  await expect(times(f.reader, f.plan(900_000))).rejects.toMatchObject({ code: 'unavailable' })
  const behind = createWholeReader({
    head: f.head,
    store: f.store,
    pending: () => ({ batches: [], missing: { fromAt: instant(950_000), toAt: instant(960_000) } }),
  })
  f.state.whileReading = () => {}
  await expect(times(behind, f.plan(955_000))).rejects.toThrow(/behind/)
  expect(await times(behind, f.plan(960_000))).toEqual([[995_000], [995_000]])
  expect(await times(behind, { ...f.plan(900_000), toAt: instant(949_000) })).toEqual([])
})
