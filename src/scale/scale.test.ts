import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { memoryLedger } from '../../test/kit/memory-ledger.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { scriptedQuerier } from '../../test/kit/scripted-querier.ts'
import { silentLogger } from '../lib/log.ts'
import { type Duration, minute } from '../lib/time.ts'
import { system } from '../model/actor.ts'
import type { Decision } from '../model/decision.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import { autoscaleSchema } from './config.ts'
import { createScaler } from './scale.ts'

/** 8 replicas for ever, and work for 34: the rate limit lets it go to 16. `ends` says how each action ends, at once. */
const asking = (ends?: { state: string; retryable: boolean }) => {
  const clock = new FakeClock()
  const decided: Decision[] = []
  const times: number[] = []
  const kept = memoryLedger()
  // The ledger in memory has no times.
  const changedAt = new Map<string, number>()
  const ledger: Ledger = {
    ...kept,
    get: <T>(kind: string, id: string) => {
      const version = kept.get<T>(kind, id)
      return version && { ...version, at: (changedAt.get(id) ?? 0) as never }
    },
  }
  const startedAt = clock.now()
  const open = () =>
    createScaler({
      config: autoscaleSchema.parse([
        {
          agent: 'pilot',
          max_replicas: 50,
          current: 'count(up{job="pilot"})',
          metrics: [{ query: 'sum(waiting{})', target: { value: 30 } }],
          interval: '5s',
        },
      ]),
      querier: scriptedQuerier((expr) => [
        { labels: {}, value: () => (expr.startsWith('count') ? 8 : 1000) },
      ]),
      decisions: {
        record: async (d: Decision) => {
          decided.push(d)
          times.push(clock.now() - startedAt)
          if (!ends) return
          changedAt.set(d.action!.id, clock.now())
          await kept.put('action', d.action!.id, ends, { by: system('act'), why: '' })
        },
      },
      ledger,
      declared: () => null,
      clock,
      log: silentLogger(),
      metrics: fakeMetrics(),
    })
  const run = async (length: Duration): Promise<void> => {
    const scaler = open()
    await scaler.start()
    await clock.advance(length)
    expect(scaler.list()[0]).toMatchObject({ status: 'scaling', desired: 16 })
    await scaler.drain()
  }
  const counts = () => decided.map((d) => d.action?.params)
  return { run, counts, times, decided }
}
const once = { from: 8, replicas: 16 }
const ten = (10 * minute) as Duration

describe('what is asked for', () => {
  test('and not done, as in a dry run, is asked for once', async () => {
    const { run, counts } = asking()
    await run(ten)
    expect(counts()).toEqual([once])
  })
  test.each([
    ['held', false],
    ['doing', false],
    ['done', false],
    // The desk itself repeats it.
    ['failed', true],
  ])('and %s (to be repeated: %s) is asked for once', async (state, retryable) => {
    const { run, counts } = asking({ state, retryable })
    await run(ten)
    expect(counts()).toEqual([once])
  })
  test('and failed for good is asked for again after five minutes, with another key, over a restart too', async () => {
    const { run, counts, times, decided } = asking({ state: 'failed', retryable: false })
    await run((11 * minute) as Duration)
    expect(counts()).toEqual([once, once, once])
    expect(times[1]! - times[0]!).toBe(5 * minute)
    await run((5 * minute) as Duration)
    expect(counts()).toHaveLength(4)
    expect(times[3]! - times[2]!).toBeGreaterThanOrEqual(5 * minute)
    expect(new Set(decided.map((d) => d.action?.id)).size).toBe(4)
  })
  test('and given up after repetitions is asked for again too', async () => {
    const { run, counts } = asking({ state: 'failed', retryable: true })
    await run((20 * minute) as Duration)
    expect(counts()).toEqual([once, once])
  })
})
