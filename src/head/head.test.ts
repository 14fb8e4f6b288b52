import fc from 'fast-check'
import { expect, it } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { readAll } from '../../test/kit/series-reader-contract.ts'
import { type Duration, duration, instant } from '../lib/time.ts'
import { sampleBatch, staleMarker, wordsOf } from '../model/batch.ts'
import { labelsOf } from '../model/labels.ts'
import type { Scan } from '../model/plan.ts'
import { SeriesTable } from '../model/series.ts'
import { createHead, type Head } from './head.ts'

const signal = new AbortController().signal
const limits = { series: 1e9, samples: 1e9 }
const everything = (fromAt: number, toAt: number): Scan => ({
  kind: 'scan',
  matchers: [],
  fromAt: instant(fromAt),
  toAt: instant(toAt),
  pick: 'all',
  limits,
})
interface Made {
  readonly head: Head
  readonly clock: FakeClock
  readonly table: SeriesTable
  readonly metrics: ReturnType<typeof fakeMetrics>
  readonly refs: number[]
}
const make = (series: number, window: Duration = duration(1000), maxBytes = 2 << 20): Made => {
  const clock = new FakeClock(1_000_000)
  const table = new SeriesTable(1_000_000)
  const metrics = fakeMetrics()
  const head = createHead({ table, window, maxBytes, clock, metrics })
  head.coverFrom(instant(0))
  const refs = Array.from({ length: series }, (_, s) =>
    table.intern(labelsOf({ __name__: 'm', s: String(s) })),
  )
  return { head, clock, table, metrics, refs }
}

it('holds the window of many series as a plain model does, while time goes on and regions move', async () => {
  const step = fc.record({
    ahead: fc.nat(120),
    samples: fc.array(fc.tuple(fc.nat(7), fc.integer({ min: -1100, max: 200 })), { maxLength: 40 }),
    trim: fc.boolean(),
  })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { head, clock, refs, table } = make(8)
      const model = new Map<string, number>()
      let n = 0
      for (const { ahead, samples, trim } of steps) {
        clock.jump(clock.now() + ahead)
        const batch = sampleBatch(
          samples.map(([s]) => refs[s]!),
          samples.map(([, by]) => clock.now() + by),
          samples.map(() => ++n),
        )
        head.append(batch)
        batch.ref.forEach((ref, i) => {
          const key = `${table.labels(ref)[3]} ${batch.at[i]}`
          if (!model.has(key)) model.set(key, batch.value[i]!)
        })
        if (trim) head.trim(clock.now())
        const fromAt = head.coveredFromAt()
        expect(fromAt).toBe(clock.now() - 1000)
        const want = [...model].filter(([key]) => Number(key.split(' ')[1]) > fromAt)
        const got: [string, number][] = []
        const columns = head.scan(everything(fromAt, clock.now() + 500))
        columns?.labels.forEach((labels, s) => {
          for (let i = columns.start[s]!; i < columns.end[s]!; i++)
            got.push([`${labels[3]} ${columns.at[i]}`, columns.value[i]!])
        })
        expect(got.sort()).toEqual(want.sort())
      }
    }),
    { numRuns: 150 },
  )
})

it('keeps the bits of stale markers however regions grow and move', () => {
  const { head, clock, refs } = make(1, duration(50))
  for (let i = 0; i < 500; i++) {
    clock.jump(clock.now() + 1)
    const batch = sampleBatch([refs[0]!], [clock.now()], [i])
    if (i % 2 === 0) staleMarker(batch.value, 0)
    head.append(batch)
    const columns = head.scan(everything(head.coveredFromAt(), clock.now()))!
    const words = wordsOf(columns.value)
    for (let k = columns.start[0]!; k < columns.end[0]!; k++)
      expect(words[k * 2] === 2 && words[k * 2 + 1] === 0x7ff00000).toBe(
        (columns.at[k]! - 1_000_001) % 2 === 0,
      )
  }
})

it('lets the oldest go when it is full, says so, and is complete from where it says', async () => {
  const { head, clock, refs, metrics } = make(2000, duration(600_000))
  const start = clock.now()
  for (let round = 0; round < 200; round++) {
    clock.jump(clock.now() + 1000)
    head.append(
      sampleBatch(
        refs,
        refs.map(() => clock.now()),
        refs,
      ),
    )
    expect(head.stats().bytes).toBeLessThanOrEqual(2 << 20)
    const fromAt = head.coveredFromAt()
    const columns = head.scan(everything(fromAt, clock.now()))!
    const seconds = Math.ceil((clock.now() - Math.max(fromAt, start)) / 1000)
    expect(seconds).toBeGreaterThan(0)
    expect(columns.labels.length).toBe(2000)
    for (let s = 0; s < 2000; s++) expect(columns.end[s]! - columns.start[s]!).toBe(seconds)
  }
  expect(head.coveredFromAt()).toBeGreaterThan(start)
  expect(metrics.values.get('airboss_head_evicted_samples_total{}')).toBeGreaterThan(0)
  await expect(readAll(head, everything(start, clock.now()))).rejects.toMatchObject({ code: 'unavailable' })
})

it('covers nothing rather than something it does not have, with more series than fit', () => {
  const { head, clock, refs } = make(60_000, duration(600_000))
  for (let round = 0; round < 3; round++) {
    clock.jump(clock.now() + 1000)
    head.append(
      sampleBatch(
        refs,
        refs.map(() => clock.now()),
        refs,
      ),
    )
    const fromAt = head.coveredFromAt()
    const columns = head.scan(everything(fromAt, clock.now() + 1000))
    // All or, where not all fit, none of the time that is covered.
    expect(columns === null || columns.labels.length === 60_000).toBe(true)
  }
})

it('gives regions back when series fall silent', () => {
  const { head, clock, refs } = make(2000, duration(60_000))
  for (let i = 0; i < 30; i++) {
    clock.jump(clock.now() + 1000)
    head.append(
      sampleBatch(
        refs,
        refs.map(() => clock.now()),
        refs,
      ),
    )
  }
  const full = head.stats()
  expect(full).toMatchObject({ series: 2000, samples: 60_000 })
  clock.jump(clock.now() + 60_000)
  head.trim(clock.now())
  expect(head.stats()).toMatchObject({ series: 0, samples: 0, bytes: 0, indexed: 2000 })
})

it('admits what is new and drops what is there', () => {
  const { head, clock, refs, metrics } = make(3)
  const at = clock.now()
  head.append(sampleBatch(refs, [at, at, at - 10], [1, 2, 3]))
  const fresh = sampleBatch(refs, [at + 1, at - 5, at], [4, 5, 6])
  expect(head.admit(fresh)).toBe(fresh)
  const mixed = sampleBatch(
    [refs[0]!, refs[1]!, refs[2]!, refs[2]!],
    [at, at + 1, at - 10, at],
    [7, 8, 9, 10],
  )
  const admitted = head.admit(mixed)
  expect([...admitted.value]).toEqual([8, 10])
  expect([...admitted.ref]).toEqual([refs[1], refs[2]])
  expect(metrics.values.get('airboss_duplicate_samples_total{}')).toBe(2)
})

it('covers the window again after a refill from a store', async () => {
  const before = make(5, duration(60_000))
  for (let i = 0; i < 50; i++) {
    before.clock.jump(before.clock.now() + 1000)
    before.head.append(
      sampleBatch(
        before.refs,
        before.refs.map(() => before.clock.now()),
        before.refs,
      ),
    )
  }
  const { table, clock } = before
  const after = createHead({
    table,
    window: duration(30_000),
    maxBytes: 2 << 20,
    clock,
    metrics: fakeMetrics(),
  })
  expect(after.coveredFromAt()).toBe(clock.now())
  clock.jump(clock.now() + 500)
  after.append(
    sampleBatch(
      before.refs,
      before.refs.map(() => clock.now()),
      before.refs,
    ),
  )
  await after.refill(
    {
      read: async function* (plan) {
        const columns = before.head.scan(plan)
        if (columns) yield columns
      },
    },
    signal,
  )
  expect(after.coveredFromAt()).toBe(clock.now() - 30_000)
  const got = await readAll(after, everything(clock.now() - 30_000, clock.now()))
  expect([...got.values()].map((s) => s.length)).toEqual([31, 31, 31, 31, 31])
})

it('goes on covering what comes after the clock was set ahead and back', () => {
  const { head, clock, refs } = make(1)
  const one = (at: number): void => head.append(sampleBatch([refs[0]!], [at], [1]))
  const begun = clock.now()
  one(begun)
  clock.jump(begun + 5 * 3_600_000)
  head.trim(clock.now())
  expect(head.stats().samples).toBe(0)
  clock.jump(begun + 100)
  one(clock.now())
  expect(head.coveredFromAt()).toBe(begun)
  expect(head.scan(everything(head.coveredFromAt(), clock.now()))?.labels).toHaveLength(1)
  // What was let go while the clock stood ahead is not claimed.
  expect(head.has(refs[0]!, begun)).toBe(false)
})

it('takes samples again after more than fitted came at one time', () => {
  const { head, clock, refs } = make(100_000, duration(600_000))
  const all = (at: number, of: readonly number[]): void =>
    head.append(
      sampleBatch(
        [...of],
        of.map(() => at),
        of.map(() => 1),
      ),
    )
  all(clock.now(), refs)
  const missedAt = head.coveredFromAt()
  expect(missedAt).toBeGreaterThanOrEqual(clock.now())
  clock.jump(clock.now() + 1000)
  all(clock.now(), refs.slice(0, 10))
  expect(head.coveredFromAt()).toBeLessThan(clock.now())
  expect(head.scan(everything(head.coveredFromAt(), clock.now()))?.labels).toHaveLength(10)
})
