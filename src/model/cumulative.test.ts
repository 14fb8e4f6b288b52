import { expect, test } from 'vitest'
import { instant } from '../lib/time.ts'
import { BatchBuilder, defaultAdmission } from './batch-builder.ts'
import { Cumulative } from './cumulative.ts'
import { SeriesTable } from './series.ts'

const begin = () => {
  const table = new SeriesTable(100)
  const ref = table.intern(['__name__', 'c'])
  const other = table.intern(['__name__', 'elsewhere'])
  return { table, ref, other, totals: new Cumulative(table, ['c']) }
}
const builder = (table: SeriesTable) => new BatchBuilder(table, defaultAdmission, instant(100_000))

test('a draft that is not committed leaves nothing', () => {
  const { table, ref, totals } = begin()
  const draft = totals.draft()
  draft.add(ref, 2)
  draft.add(ref, 3)
  const into = builder(table)
  totals.write(draft, into, 100_000, 30_000)
  expect([...into.build().value]).toEqual([0, 5])
  expect(totals.size).toBe(0)
  totals.commit(draft, 100_000)
  expect(totals.total(ref)).toBe(5)
})

test('times go forward, except after a clock that was set back by more than a minute', () => {
  const { totals } = begin()
  totals.commit(totals.draft(), 1_000_000)
  expect(totals.nextAt(1_000_000)).toBe(1_000_001)
  expect(totals.nextAt(990_000)).toBe(1_000_001)
  expect(totals.nextAt(1_000_500)).toBe(1_000_500)
  expect(totals.nextAt(100_000)).toBe(100_000)
})

test('what is written never falls; the exact total comes back with its checkpoint', () => {
  const { table, ref, totals } = begin()
  for (const by of [5, -2, 1]) {
    const draft = totals.draft()
    draft.add(ref, by)
    totals.commit(draft, 100_000)
  }
  const back = new Cumulative(table, ['c'])
  back.load(JSON.parse(JSON.stringify(totals.save())))
  expect(back.total(ref)).toBe(4)
  const into = builder(table)
  back.writeRest(back.draft(), into, 100_000)
  expect([...into.build().value]).toEqual([5])
})

test('a replay takes only its own series, and the same batch twice changes nothing', () => {
  const { table, ref, other, totals } = begin()
  const into = builder(table)
  into.add(ref, 100_000, 7)
  into.add(other, 100_000, 9)
  const batch = into.build()
  totals.replay(batch)
  totals.replay(batch)
  expect([totals.total(ref), totals.has(other), totals.nextAt(0)]).toEqual([7, false, 0])
  expect(totals.nextAt(99_999)).toBe(100_001)
})
