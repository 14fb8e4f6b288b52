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
