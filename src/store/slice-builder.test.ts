import { expect, it } from 'vitest'
import { labelsOf } from '../model/labels.ts'
import { SeriesTable } from '../model/series.ts'
import type { Block } from './native.ts'
import { SliceBuilder, settle } from './slice-builder.ts'

const table = new SeriesTable(100)
const refs = ['a', 'b', 'c'].map((i) => table.intern(labelsOf({ __name__: 'm', i })))
type Rows = readonly (readonly [ref: number, at: number, value: number])[]
const form = { base: -10, narrow: true }
/** As a slice is read: low words of ids, times from the base. */
const narrow = (rows: Rows): Block => ({
  rows: rows.length,
  columns: [
    Uint32Array.from(rows, ([ref]) => Number(table.id(ref) & 0xffffffffn)).buffer,
    Uint32Array.from(rows, ([, at]) => at - form.base).buffer,
    Float64Array.from(rows, ([, , value]) => value).buffer,
  ],
})
const block = (rows: Rows): Block => ({
  rows: rows.length,
  columns: [
    BigUint64Array.from(rows, ([ref]) => table.id(ref)).buffer,
    BigInt64Array.from(rows, ([, at]) => BigInt(at)).buffer,
    Float64Array.from(rows, ([, , value]) => value).buffer,
  ],
})

it('sorts times, drops doubles, leaves out strangers and series without samples', () => {
  const [a, b, c] = refs as [number, number, number]
  const builder = new SliceBuilder(table, [a, b], form)
  builder.add(
    narrow([
      [a, 5, 1],
      [c, 5, 9],
      [b, 7, 2],
    ]),
  )
  builder.add(
    narrow([
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
  expect(new SliceBuilder(table, [c], form).build().columns.labels).toEqual([])
})

it('names each contended time once and takes the settled value', () => {
  const a = refs[0]!
  const builder = new SliceBuilder(table, [a], form)
  builder.add(
    narrow([
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

it('reads spans too long for 32 bits as wide times', () => {
  const a = refs[0]!
  const builder = new SliceBuilder(table, [a], { base: 1000, narrow: false })
  builder.add({
    rows: 2,
    columns: [
      Uint32Array.of(Number(table.id(a) & 0xffffffffn), Number(table.id(a) & 0xffffffffn)).buffer,
      BigInt64Array.of(-2000n, 5_000_000_000n).buffer,
      Float64Array.of(1, 2).buffer,
    ],
  })
  expect([...builder.build().columns.at]).toEqual([-1000, 5_000_001_000])
})
