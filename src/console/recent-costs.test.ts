import { expect, it } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { duration, type Instant, minute, plus } from '../lib/time.ts'
import type { CostReports } from '../model/ports/cost-reports.ts'
import { recentCosts } from './recent-costs.ts'

const never = new AbortController().signal

it('serves an answer for ten seconds, a slow one for longer, and asks again after a failure', async () => {
  const clock = new FakeClock()
  let asked = 0
  let takes = 0
  let fails = false
  const costs = recentCosts(
    {
      topTraces: async () => {
        asked++
        if (takes > 0) await clock.sleep(duration(takes))
        if (fails) throw new Error('no')
        return []
      },
    } as unknown as CostReports,
    clock,
  )
  const fromAt = clock.now()
  const ask = (toAt: Instant = clock.now(), limit = 10) => costs.topTraces({ fromAt, toAt, limit }, never)
  await Promise.all([ask(), ask()])
  await clock.advance(9000)
  await ask()
  expect(asked).toBe(1)
  await ask(clock.now(), 20)
  expect(asked).toBe(2)
  await clock.advance(1500)
  takes = 2000
  const slow = ask()
  await clock.advance(2000)
  await slow
  await clock.advance(30_000)
  await ask()
  expect(asked).toBe(3)
  await clock.advance(20_000)
  takes = 0
  fails = true
  await expect(ask()).rejects.toThrow('no')
  fails = false
  await ask(plus(clock.now(), minute))
  expect(asked).toBe(5)
})
