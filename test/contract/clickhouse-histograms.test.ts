// Native histograms over a real engine: stored once, read beside floats, the first accepted of a time whatever its kind, known after a restart.
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Batch, sampleBatch } from '../../src/model/batch.ts'
import { labelsOf } from '../../src/model/labels.ts'
import type { Scan } from '../../src/model/plan.ts'
import { SeriesTable } from '../../src/model/series.ts'
import type { Store } from '../../src/store/store.ts'
import { histogramRows, plainHistogram } from '../kit/native-histograms.ts'
import { at, never, testEngine, testStore } from '../kit/store.ts'

const hour = 3_600_000
const start = Math.floor(Date.now() / hour) * hour - 5 * hour

let engine: Awaited<ReturnType<typeof testEngine>>
beforeAll(async () => {
  engine = await testEngine()
})
afterAll(async () => {
  await engine?.remove()
})

const scan = (more: Partial<Scan> = {}): Scan => ({
  kind: 'scan',
  matchers: [],
  fromAt: at(start - 1),
  toAt: at(start + 24 * hour),
  pick: 'all',
  limits: { series: 1000, samples: 100_000 },
  ...more,
})

/** Floats as `[ref, at, value]`, histograms as `[ref, at, buckets]`, times from `start`. */
const batchOf = (floats: [number, number, number][], histograms: [number, number, number][]): Batch => ({
  ...sampleBatch(
    floats.map(([ref]) => ref),
    floats.map(([, t]) => start + t),
    floats.map(([, , value]) => value),
  ),
  histograms: histogramRows(
    histograms.map(([ref, t, n]) => ({ ref, at: start + t, value: plainHistogram(n, { hint: 'gauge' }) })),
  ),
})

const read = async (store: Store, plan: Scan): Promise<Record<string, string>> => {
  const out: Record<string, string> = {}
  for await (const c of store.reader.read(plan, never))
    c.labels.forEach((labels, s) => {
      const rows: [number, string][] = []
      for (let i = c.start[s]!; i < c.end[s]!; i++) rows.push([c.at[i]! - start, String(c.value[i])])
      const run = c.histograms?.[s]
      run?.value.forEach((h, i) => {
        expect(h).toEqual(plainHistogram(h.positive.index.length, { hint: 'gauge' }))
        rows.push([run.at[i]! - start, `h${h.positive.index.length}`])
      })
      out[labels[1]!] = rows
        .sort(([a], [b]) => a - b)
        .map((r) => r.join(':'))
        .join(' ')
    })
  return out
}

it('are read beside floats, once per token, the first accepted of a time', async () => {
  const table = new SeriesTable(100)
  const { store, database } = await testStore(engine, { table })
  const [a, b, c] = ['a', 'b', 'c'].map((name) => table.intern(labelsOf({ __name__: name }))) as [
    number,
    number,
    number,
  ]
  const first = batchOf(
    [
      [a, 1000, 1],
      [c, 1000, 5],
    ],
    [
      [b, 1000, 2],
      [a, 2000, 3],
      [b, 3 * hour, 4],
    ],
  )
  await store.writer.write(first, 'one', never)
  await store.writer.write(first, 'one', never)
  // Late ones for times that are taken, by the other kind and by the same.
  await store.writer.write(
    batchOf(
      [
        [b, 1000, 9],
        [a, 2000, 9],
        [b, 500, 7],
      ],
      [
        [a, 1000, 9],
        [b, 3 * hour, 9],
        [a, 3000, 6],
      ],
    ),
    'two',
    never,
  )
  expect(await read(store, scan())).toEqual({
    a: '1000:1 2000:h3 3000:h6',
    b: `500:7 1000:h2 ${3 * hour}:h4`,
    c: '1000:5',
  })
  expect(await read(store, scan({ pick: 'last', toAt: at(start + 2000) }))).toMatchObject({
    b: expect.stringContaining('1000:h2'),
  })
  await expect(read(store, scan({ limits: { series: 1000, samples: 8 } }))).rejects.toThrow(
    /more than 8 samples/,
  )

  // Another process learns from the stored rows which series have histograms.
  const again = new SeriesTable(100)
  const restarted = await testStore(engine, { table: again, database })
  const known: string[] = []
  await restarted.store.loadSeries((ref) => {
    if (again.hasHistograms(ref)) known.push(again.labels(ref)[1]!)
  }, never)
  expect(known.sort()).toEqual(['a', 'b'])
  expect(await read(restarted.store, scan())).toMatchObject({ a: '1000:1 2000:h3 3000:h6', c: '1000:5' })
})
