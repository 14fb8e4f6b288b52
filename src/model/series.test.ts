import { expect, it } from 'vitest'
import { labelsOf } from './labels.ts'
import { SeriesTable } from './series.ts'

it('gives one reference to one label set and different ones to others', () => {
  const table = new SeriesTable(10)
  const a = table.intern(labelsOf({ __name__: 'up', job: 'a' }))
  expect(table.intern(labelsOf({ job: 'a', __name__: 'up' }))).toBe(a)
  expect(table.intern(labelsOf({ __name__: 'up', job: 'b' }))).not.toBe(a)
})

it('tells label sets apart whatever stands in their values', () => {
  const table = new SeriesTable(10)
  const one = table.intern(['__name__', 'm', 'a', '1\u00ffb\u00ff2'])
  const two = table.intern(['__name__', 'm', 'a', '1', 'b', '2'])
  const three = table.intern(['__name__', 'm', 'a', '1', 'b\u00ff2', '3'])
  expect(new Set([one, two, three]).size).toBe(3)
  expect(table.intern(['__name__', 'm', 'a', '1\u00ffb\u00ff2'])).toBe(one)
})

it('puts stored series back under their stored id', () => {
  const table = new SeriesTable(10)
  const ref = table.restore(42n, labelsOf({ __name__: 'up' }))
  expect(table.id(ref)).toBe(42n)
  expect(table.intern(labelsOf({ __name__: 'up' }))).toBe(ref)
  expect(table.refOf(42n)).toBe(ref)
})

it('refuses new series past its limit and keeps known ones', () => {
  const table = new SeriesTable(1)
  const ref = table.intern(labelsOf({ __name__: 'a' }))
  expect(table.intern(labelsOf({ __name__: 'b' }))).toBe(-1)
  expect(table.intern(labelsOf({ __name__: 'a' }))).toBe(ref)
})

it('keeps ids apart over many series', () => {
  const table = new SeriesTable(200_000)
  for (let i = 0; i < 100_000; i++) table.intern(labelsOf({ __name__: 'm', i: String(i) }))
  expect(new Set(table.ids).size).toBe(100_000)
})
