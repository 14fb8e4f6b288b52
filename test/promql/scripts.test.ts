// Runs every load/eval script of this folder against the querier, over slices of several sizes that are overwritten once used.
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration, minute } from '../../src/lib/time.ts'
import { createQuerier } from '../../src/query/querier.ts'
import { createMemoryReader } from '../kit/memory-reader.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { runScript } from '../kit/promql-script.ts'

const folder = new URL('.', import.meta.url)
const scripts = readdirSync(folder).filter((f) => f.endsWith('.test'))

describe.each([1, 1000])('in slices of %d series', (sliceRows) => {
  it.each(scripts)('%s', async (file) => {
    const reader = createMemoryReader({ sliceRows })
    const querier = createQuerier({
      reader,
      clock: systemClock,
      limits: { timeout: duration(30_000), series: 10_000, samples: 1e7, concurrency: 20 },
      lookback: duration(5 * minute),
      metrics: fakeMetrics(),
      log: silentLogger(),
    })
    const { wrong, evals } = await runScript(readFileSync(new URL(file, folder), 'utf8'), reader, querier)
    expect(wrong).toEqual([])
    expect(evals).toBeGreaterThan(5)
  })
})
