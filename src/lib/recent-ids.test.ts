import { expect, test } from 'vitest'
import { RecentIds } from './recent-ids.ts'

test('forgets the oldest first and comes back from its text', () => {
  const ids = new RecentIds(3)
  for (const id of ['a', 'b', 'c', 'a', 'd']) ids.add(id)
  expect(['a', 'b', 'c', 'd'].map((id) => ids.has(id))).toEqual([false, true, true, true])
  const other = new RecentIds(3)
  other.add('x')
  other.load(ids.save())
  expect(other.size).toBe(3)
  expect(['x', 'b', 'c', 'd'].map((id) => other.has(id))).toEqual([false, true, true, true])
  other.add('e')
  expect(other.has('b')).toBe(false)
})

test('keeps the order of age however often it has gone round', () => {
  const ids = new RecentIds(5)
  for (let i = 0; i < 23; i++) {
    ids.add(String(i))
    ids.add(String(Math.max(0, i - 3)))
  }
  const other = new RecentIds(2)
  other.load(ids.save())
  const all = Array.from({ length: 23 }, (_, i) => String(i))
  expect(ids.size).toBe(5)
  expect(all.filter((id) => ids.has(id))).toEqual(['18', '19', '20', '21', '22'])
  expect(all.filter((id) => other.has(id))).toEqual(['21', '22'])
})
