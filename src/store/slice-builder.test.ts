import { expect, it } from 'vitest'
import { labelsOf } from '../model/labels.ts'
import { SeriesTable } from '../model/series.ts'
import type { Block } from './native.ts'
import { SliceBuilder, settle } from './slice-builder.ts'

const table = new SeriesTable(100)
const refs = ['a', 'b', 'c'].map((i) => table.intern(labelsOf({ __name__: 'm', i })))
const block = (rows: readonly (readonly [ref: number, at: number, value: number])[]): Block => ({
  rows: rows.length,
  columns: [
    BigUint64Array.from(rows, ([ref]) => table.id(ref)).buffer,
    BigInt64Array.from(rows, ([, at]) => BigInt(at)).buffer,
    Float64Array.from(rows, ([, , value]) => value).buffer,
  ],
})

it('sorts times, drops doubles, leaves out strangers and series without samples', () => {
  const [a, b, c] = refs as [number, number, number]
  const builder = new SliceBuilder(table, [a, b])
  builder.add(
    block([
      [a, 5, 1],
      [c, 5, 9],
      [b, 7, 2],
    ]),
  )
  builder.add(
    block([
      [a, -3, 3],
      [a, 5, 1],
      [a, 6, 4],
    ]),
  )
  const { columns, conflicts, refs: found } = builder.build()
  expect(builder.rows).toBe(5)
  expect(conflicts).toEqual([])
  expect(found).toEqual([a, b])
  expect([...columns.at.subarray(columns.start[0], columns.end[0])]).toEqual([-3, 5, 6])
  expect([...columns.value.subarray(columns.start[0], columns.end[0])]).toEqual([3, 1, 4])
  expect([...columns.at.subarray(columns.start[1], columns.end[1])]).toEqual([7])
  expect(new SliceBuilder(table, [c]).build().columns.labels).toEqual([])
})

it('names each contended time once and takes the settled value', () => {
  const a = refs[0]!
  const builder = new SliceBuilder(table, [a])
  builder.add(
    block([
      [a, 1, 1],
      [a, 2, 10],
      [a, 2, 20],
      [a, 2, 30],
      [a, 3, 3],
    ]),
  )
  const { columns, conflicts, refs: found } = builder.build()
  expect(conflicts).toEqual([{ ref: a, at: 2 }])
  settle(
    columns,
    found,
    table,
    block([
      [a, 2, 20],
      [a, 99, 5],
    ]),
  )
  expect([...columns.value.subarray(columns.start[0], columns.end[0])]).toEqual([1, 20, 3])
})
