import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { calcPrice } from '@pydantic/genai-prices'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration } from '../../src/lib/time.ts'
import { type Batch, sampleBatch } from '../../src/model/batch.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { labelsOf } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createPricer } from '../../src/money/pricer.ts'
import { createPrices } from '../../src/money/prices.ts'
import { pricesConfigSchema } from '../../src/money/prices-config.ts'
import { createCosts } from '../../src/receive/costs/receiver.ts'
import { createEvents, eventsConfigSchema } from '../../src/receive/events/receiver.ts'
import { openLog } from '../../src/store/log.ts'
import { CollectingSink } from '../kit/collecting-sink.ts'
import { fileWriter } from '../kit/file-writer.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { tempDir } from '../kit/temp-dir.ts'

const never = new AbortController().signal
const clock = systemClock
const log = silentLogger()
const metrics = fakeMetrics()
const limits = defaultAdmission

/** Events, costs and token counters over the real log, as a process would have them. */
const open = async (dir: string) => {
  const table = new SeriesTable(1000)
  const seen = new CollectingSink(table)
  const keep = (batch: Batch): void => void seen.batches.push(batch)
  const producers: Parameters<typeof openLog>[0]['producers'][number][] = []
  const wal = openLog({
    dir,
    table,
    writer: fileWriter(join(dir, 'store'), table),
    producers,
    sealAfter: duration(15),
    clock,
    log,
    metrics,
    accepted: keep,
    replayed: keep,
  })
  const prices = createPrices(pricesConfigSchema.parse({}))
  const pricer = createPricer({ sink: wal, table, prices, clock, metrics, log })
  const events = createEvents({
    config: eventsConfigSchema.parse({}),
    sink: pricer,
    table,
    limits,
    clock,
    log,
    metrics,
  })
  const costs = createCosts({ sink: pricer, limits, price: prices.request, clock, log, metrics })
  producers.push(events, pricer)
  await wal.start()
  const post = (to: typeof events | typeof costs, item: unknown) =>
    to.handle(
      {
        method: 'POST',
        path: '/',
        query: new URLSearchParams(),
        headers: {},
        body: Buffer.from(JSON.stringify(item)),
      },
      never,
    )
  const tokens = table.intern(
    labelsOf({
      __name__: 'gen_ai_client_inference_usage_output_tokens_total',
      job: 'shop',
      gen_ai_request_model: 'gpt-4o',
      gen_ai_provider_name: 'openai',
    }),
  )
  let lastAt = 0
  return {
    /** The n-th of everything. */
    send: async (n: number, withTokens = true): Promise<void> => {
      lastAt = Math.max(clock.now(), lastAt + 1)
      await Promise.all([
        post(events, { id: `e${n}`, name: 'sale', value: 2 }),
        post(costs, { id: `c${n}`, usd: 0.25, owner: 'mara' }),
        withTokens ? pricer.push(sampleBatch([tokens], [lastAt], [1000 * n]), never) : undefined,
      ])
    },
    last: () => seen.last(),
    close: () => wal.drain(),
  }
}

test('the process dies at any moment: what was acknowledged is counted, what is sent again is not counted twice', async () => {
  const root = tempDir()
  const first = await open(join(root, 'live'))
  const copies: { dir: string; acknowledged: number }[] = []
  const steps = 40
  await first.send(0)
  for (let n = 1; n <= steps; n++) {
    const sending = first.send(n)
    if (n % 4 === 0) {
      // In the middle of it: the copy is what a process that is killed now leaves behind.
      for (let i = 0; i < n % 3; i++) await new Promise((resolve) => setImmediate(resolve))
      const dir = join(root, `copy${n}`)
      mkdirSync(dir)
      cpSync(join(root, 'live'), dir, { recursive: true })
      copies.push({ dir, acknowledged: n - 1 })
    }
    await sending
    if (n % 5 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  await first.close()
  const perStep = calcPrice({ output_tokens: 1000 }, 'gpt-4o', { providerId: 'openai' })!.total_price
  for (const { dir, acknowledged } of copies) {
    const again = await open(dir)
    for (let n = Math.max(acknowledged - 5, 0); n <= acknowledged + 3; n++) {
      // A counter goes on where its sender is: it does not send older values again.
      await again.send(n, n > acknowledged)
    }
    const last = again.last()
    expect(last['airboss_events_total{name="sale"}'], dir).toBe(acknowledged + 4)
    expect(last['airboss_event_value_sum{name="sale"}'], dir).toBe(2 * (acknowledged + 4))
    expect(last['airboss_cost_usd_total{owner="mara"}'], dir).toBeCloseTo(0.25 * (acknowledged + 4), 9)
    const spent = Number(
      last['airboss_cost_usd_total{agent="shop", model="gpt-4o", provider="openai", service="shop"}'],
    )
    expect(spent, dir).toBeCloseTo(perStep * (acknowledged + 3), 9)
    await again.close()
  }
  expect(copies).toHaveLength(10)
}, 60_000)
