import { expect, it } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { histogramRows, plainHistogram } from '../../test/kit/native-histograms.ts'
import { duration, instant } from '../lib/time.ts'
import { type Batch, sampleBatch } from '../model/batch.ts'
import { Cardinality } from '../model/cardinality.ts'
import { labelsOf } from '../model/labels.ts'
import type { Scan } from '../model/plan.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import { SeriesTable } from '../model/series.ts'
import { createAdmission } from './admission.ts'
import { createHead } from './head.ts'
import { createWholeReader } from './whole-reader.ts'

const signal = new AbortController().signal
const plan = (fromAt: number, toAt: number, pick: Scan['pick'] = 'all'): Scan => ({
  kind: 'scan',
  matchers: [],
  fromAt: instant(fromAt),
  toAt: instant(toAt),
  pick,
  limits: { series: 1e9, samples: 1e9 },
})

const make = (maxBytes = 2 << 20) => {
  const clock = new FakeClock(1_000_000)
  const table = new SeriesTable(1000)
  const metrics = fakeMetrics()
  const active = new Cardinality(table, { perMetric: 100, perSource: 100, metrics: {}, sources: {} })
  const head = createHead({ table, window: duration(10_000), maxBytes, clock, metrics, active })
  head.coverFrom(instant(0))
  const ref = (name: string): number => table.intern(labelsOf({ __name__: name }))
  return { clock, table, metrics, head, ref, active }
}

/** A batch of floats `[ref, at, value]` and of histograms `[ref, at, buckets]`. */
const batchOf = (floats: [number, number, number][], histograms: [number, number, number][] = []): Batch => ({
  ...sampleBatch(
    floats.map(([ref]) => ref),
    floats.map(([, at]) => at),
    floats.map(([, , value]) => value),
  ),
  histograms: histogramRows(histograms.map(([ref, at, n]) => ({ ref, at, value: plainHistogram(n) }))),
})

const read = async (reader: SeriesReader, p: Scan): Promise<Record<string, (number | string)[][]>> => {
  const out: Record<string, (number | string)[][]> = {}
  for await (const c of reader.read(p, signal))
    c.labels.forEach((labels, s) => {
      const rows: [number, number | string][] = []
      for (let i = c.start[s]!; i < c.end[s]!; i++) rows.push([c.at[i]!, c.value[i]!])
      const run = c.histograms?.[s]
      run?.value.forEach((h, i) => {
        rows.push([run.at[i]!, `h${h.positive.index.length}`])
      })
      out[labels[1]!] = rows.sort(([a], [b]) => a - b)
    })
  return out
}

it('holds histograms beside floats, in order, one a time, and lets them go with their window', async () => {
  const { head, ref, clock } = make()
  const [a, b, c] = [ref('a'), ref('b'), ref('c')]
  head.append(
    batchOf(
      [
        [a, 999_000, 1],
        [c, 999_000, 7],
      ],
      [
        [b, 999_500, 2],
        [b, 999_000, 1],
        [a, 999_500, 3],
      ],
    ),
  )
  head.append(
    batchOf(
      [],
      [
        [b, 999_500, 9],
        [a, 999_000, 9],
      ],
    ),
  )
  expect(await read(head, plan(990_000, 1_000_000))).toEqual({
    a: [
      [999_000, 1],
      [999_500, 'h3'],
    ],
    b: [
      [999_000, 'h1'],
      [999_500, 'h2'],
    ],
    c: [[999_000, 7]],
  })
  expect(await read(head, plan(990_000, 1_000_000, 'last'))).toMatchObject({ b: [[999_500, 'h2']] })
  expect(await read(head, plan(990_000, 999_100))).toMatchObject({ b: [[999_000, 'h1']] })
  expect(head.has(b, 999_500)).toBe(true)
  expect(head.lastAt(b)).toBe(999_500)
  expect(head.stats().samples).toBe(5)
  clock.jump(1_009_200)
  head.trim(clock.now())
  expect(await read(head, plan(999_200, 1_009_200))).toEqual({ a: [[999_500, 'h3']], b: [[999_500, 'h2']] })
  expect(head.coveredFromAt()).toBe(999_200)
})

it('counts histograms against its cap: the oldest go, and it says what it covers no more', async () => {
  const { head, ref, clock } = make(2 << 20)
  const r = ref('wide')
  for (let i = 0; i < 100; i++) {
    clock.jump(1_000_000 + i * 50)
    head.append(batchOf([], [[r, clock.now(), 5000]]))
  }
  expect(head.stats().bytes).toBeLessThanOrEqual(2 << 20)
  const fromAt = head.coveredFromAt()
  expect(fromAt).toBeGreaterThan(1_000_000)
  const rows = (await read(head, plan(fromAt, clock.now())))['wide']!
  expect(rows.map(([at]) => at)).toEqual(
    Array.from({ length: 100 }, (_, i) => 1_000_000 + i * 50).filter((at) => at > fromAt),
  )
})

it('is refilled from a store with both kinds', async () => {
  const { head, ref } = make()
  const store = make()
  for (const name of ['a', 'b']) store.ref(name)
  store.head.append(
    batchOf(
      [[0, 995_000, 1]],
      [
        [0, 996_000, 2],
        [1, 996_000, 3],
      ],
    ),
  )
  ref('b')
  await head.refill(store.head, signal)
  expect(await read(head, plan(990_000, 1_000_000))).toEqual({
    a: [
      [995_000, 1],
      [996_000, 'h2'],
    ],
    b: [[996_000, 'h3']],
  })
})

it('of a float and a histogram at one time admits the first', async () => {
  const { head, table, metrics, ref } = make()
  const [a, b] = [ref('a'), ref('b')]
  const pushed: Batch[] = []
  const sink = createAdmission({
    known: head,
    sink: {
      push: async (batch) => {
        pushed.push(batch)
        head.append(batch)
      },
    },
    metrics,
  })
  await sink.push(
    batchOf(
      [[a, 999_000, 1]],
      [
        [a, 999_000, 1],
        [b, 999_000, 2],
        [b, 999_000, 3],
      ],
    ),
    signal,
  )
  await sink.push(
    batchOf(
      [
        [b, 999_000, 5],
        [a, 998_000, 4],
      ],
      [
        [a, 999_000, 6],
        [b, 998_000, 6],
        [b, 999_500, 7],
      ],
    ),
    signal,
  )
  expect(await read(head, plan(990_000, 1_000_000))).toEqual({
    a: [
      [998_000, 4],
      [999_000, 1],
    ],
    b: [
      [998_000, 'h6'],
      [999_000, 'h2'],
      [999_500, 'h7'],
    ],
  })
  expect(pushed.map((p) => [p.ref.length, p.histograms?.ref.length ?? 0])).toEqual([
    [1, 1],
    [1, 2],
  ])
  expect(table.hasHistograms(b)).toBe(true)
})

it('is read as one with rows on their way and the store behind it', async () => {
  const { head, ref } = make()
  const [a, b] = [ref('a'), ref('b')]
  head.coverFrom(instant(996_000))
  // What is on its way was given to the head too, which knows its series and keeps no sample that old.
  const late = batchOf(
    [[b, 995_500, 8]],
    [
      [a, 995_000, 4],
      [a, 994_000, 9],
      [b, 995_000, 6],
    ],
  )
  head.append(late)
  head.append(batchOf([], [[a, 997_000, 5]]))
  const older = make()
  older.ref('a')
  older.head.append(batchOf([[0, 993_000, 1]], [[0, 994_000, 3]]))
  const whole = createWholeReader({
    head: {
      ...head,
      scan: (p) => head.scan(p),
      coveredFromAt: () => head.coveredFromAt(),
      index: head.index,
      table: head.table,
    },
    store: older.head,
    pending: () => ({ batches: [late], missing: null }),
  })
  expect(await read(whole, plan(992_000, 1_000_000))).toEqual({
    a: [
      [993_000, 1],
      [994_000, 'h3'],
      [995_000, 'h4'],
      [997_000, 'h5'],
    ],
    b: [
      [995_000, 'h6'],
      [995_500, 8],
    ],
  })
})

it('a series is active while it has a float or a histogram in memory, and is one series with both', async () => {
  const { head, ref, clock, active } = make()
  const [only, both] = [ref('only'), ref('both')]
  active.expect(only, 'scrape')
  active.expect(both, 'scrape')
  head.append(
    batchOf(
      [[both, 996_000, 1]],
      [
        [both, 999_000, 1],
        [only, 999_000, 1],
      ],
    ),
  )
  expect(head.stats().series).toBe(2)
  for (let turn = 0; turn < 3; turn++) head.trim(clock.now())
  expect([active.isActive(only), active.isActive(both)]).toEqual([true, true])
  // The float has gone, the histograms have not.
  await clock.advance(7000)
  head.trim(clock.now())
  expect([active.isActive(only), active.isActive(both)]).toEqual([true, true])
  // The histograms have gone, and a float has come.
  head.append(batchOf([[both, 1_007_000, 2]]))
  await clock.advance(3000)
  head.trim(clock.now())
  expect([active.isActive(only), active.isActive(both)]).toEqual([false, true])
  await clock.advance(8000)
  head.trim(clock.now())
  expect(active.active).toBe(0)
})
