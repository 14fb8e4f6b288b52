import { expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { memoryLedger } from '../../test/kit/memory-ledger.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { scriptedQuerier } from '../../test/kit/scripted-querier.ts'
import { silentLogger } from '../lib/log.ts'
import { minute } from '../lib/time.ts'
import type { Decision } from '../model/decision.ts'
import { autoscaleSchema } from './config.ts'
import { createScaler } from './scale.ts'

test('what is asked for and not done, as in a dry run, is asked for once', async () => {
  const clock = new FakeClock()
  const decided: Decision[] = []
  const scaler = createScaler({
    config: autoscaleSchema.parse([
      {
        agent: 'pilot',
        max_replicas: 50,
        current: 'count(up{job="pilot"})',
        metrics: [{ query: 'sum(waiting{})', target: { value: 30 } }],
        interval: '5s',
      },
    ]),
    // 8 replicas for ever, and work for 34: the rate limit lets it go to 16.
    querier: scriptedQuerier((expr) => [{ labels: {}, value: () => (expr.startsWith('count') ? 8 : 1000) }]),
    decisions: { record: async (d: Decision) => void decided.push(d) },
    ledger: memoryLedger(),
    declared: () => null,
    clock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await scaler.start()
  await clock.advance(10 * minute)
  expect(decided.map((d) => d.action?.params)).toEqual([{ from: 8, replicas: 16 }])
  expect(scaler.list()[0]).toMatchObject({ status: 'scaling', desired: 16 })
  await scaler.drain()
})
