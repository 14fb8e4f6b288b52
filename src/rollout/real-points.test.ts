import { expect, test } from 'vitest'
import { duration, instant } from '../lib/time.ts'
import { realPoints } from './real-points.ts'

const span = { fromAt: instant(5000), step: duration(5000) }
const points = Float64Array.from({ length: 24 }, (_, i) => i)
const at = points.map((i) => 5000 + 5000 * i)
/** Samples each `every` seconds from `first` on, as the grid sees their newest. */
const each = (every: number, first = 0): Float64Array =>
  at.map((ms) => first + Math.floor((ms / 1000 - first) / every) * every)

test('a sample a minute gives a point a minute, whatever the step', () => {
  expect([...realPoints(at, points, [each(60)], span)]).toEqual([11, 23])
})
test('a sample each step or more gives every point', () => {
  expect(realPoints(at, points, [each(5)], span)).toHaveLength(24)
  expect(realPoints(at, points, [each(1)], span)).toHaveLength(24)
})
test('one of several inputs is enough', () => {
  expect([...realPoints(at, points, [each(60), each(60, 30)], span)]).toEqual([5, 11, 17, 23])
})
test('a sample that was there before the grid begins is no point of it', () => {
  const old = new Float64Array(24).fill(-3)
  expect(realPoints(at, points, [old], span)).toHaveLength(0)
  expect([...realPoints(at, points, [new Float64Array(24).fill(3)], span)]).toEqual([0])
})
test('news that came while there was no value counts at the next value', () => {
  const some = points.filter((i) => i >= 13)
  expect([
    ...realPoints(
      some.map((i) => 5000 + 5000 * i),
      some,
      [each(60)],
      span,
    ),
  ]).toEqual([13, 23])
})
test('an input that is gone or goes back to an older sample does not move', () => {
  const back = at.map((_, i) => (i < 3 ? 6 + i * 5 : i < 6 ? Number.NaN : 8))
  expect([...realPoints(at, points, [back], span)]).toEqual([0, 1, 2])
})
test('an expression without inputs keeps all', () => {
  expect(realPoints(at, points, [], span)).toHaveLength(24)
})
