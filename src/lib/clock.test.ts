import { expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { every } from './clock.ts'
import { minute } from './time.ts'

test.each([
  ['forward', 3 * 60 * minute],
  ['back', -3 * 60 * minute],
])('a clock set %s: the next turn is now, not then', async (_, by) => {
  const clock = new FakeClock()
  const turns: number[] = []
  const life = new AbortController()
  every(clock, minute, (at) => void turns.push(at - clock.now()), {
    signal: life.signal,
    failed: (error) => {
      throw error
    },
  })
  await clock.advance(2.5 * minute)
  expect(turns).toEqual([0, 0])
  clock.jump(clock.now() + by)
  await clock.advance(2 * minute)
  // On multiples of the interval, and never further from now than one of them.
  expect(turns.length).toBeGreaterThanOrEqual(3)
  for (const late of turns) expect(Math.abs(late)).toBeLessThan(minute)
  life.abort()
})
