import { cpSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { duration } from '../../src/lib/time.ts'
import type { Batch } from '../../src/model/batch.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { NewSpans } from '../../src/model/new-spans.ts'
import type { Producer } from '../../src/model/ports/producer.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { spanMetricsSchema } from '../../src/receive/span-metrics/config.ts'
import { SpanMetrics, wantedBySpanMetrics } from '../../src/receive/span-metrics/span-metrics.ts'
import { openLog } from '../../src/store/log.ts'
import { CollectingSink } from '../kit/collecting-sink.ts'
import { fileWriter } from '../kit/file-writer.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { type SpanRow, spanBatch, spanRows } from '../kit/span-rows.ts'
import { tempDir } from '../kit/temp-dir.ts'
import { until } from '../kit/until.ts'

const never = new AbortController().signal
const config = spanMetricsSchema.parse({ interval: '20ms', agent_wait: '60ms' })
const wanted = wantedBySpanMetrics(config)

/** Metrics of spans over the real log, as a process would have them. */
const open = async (dir: string) => {
  const table = new SeriesTable(10_000)
  const seen = new CollectingSink(table)
  const metrics = fakeMetrics()
  const clock = systemClock
  const log = silentLogger()
  const newSpans = new NewSpans({ window: duration(600_000), most: 100_000, wanted, clock, metrics })
  const producers: Producer[] = []
  const keep = (batch: Batch): void => {
    seen.batches.push(batch)
    newSpans.of(batch)
  }
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
  const fresh = (batch: Batch) => newSpans.of(batch)
  const limits = defaultAdmission
  const spanMetrics = new SpanMetrics({ config, table, sink: wal, limits, fresh, clock, log, metrics })
  producers.push(spanMetrics)
  await wal.start()
  await spanMetrics.start()
  return {
    push: (...spans: SpanRow[]) => wal.push(spanBatch(spanRows(spans, wanted)), never),
    seen,
    close: async () => {
      await spanMetrics.drain()
      await wal.drain()
    },
  }
}

const id = (n: number, digits: number): string => (n + 1).toString(16).padStart(digits, '0')
/** The n-th step: a call that names its agent, one below an agent that comes a step later, one that nobody claims. */
const spansOf = (n: number): SpanRow[] => {
  const common = { start: BigInt(Date.now()) * 1_000_000n, resource: { 'service.name': 'shop' } }
  const chat = { 'gen_ai.operation.name': 'chat', 'gen_ai.usage.input_tokens': '10' }
  return [
    {
      ...common,
      traceId: id(n, 32),
      spanId: id(4 * n, 16),
      attributes: { ...chat, 'gen_ai.agent.name': 'a' },
    },
    {
      ...common,
      traceId: id(n, 32),
      spanId: id(4 * n + 1, 16),
      parentSpanId: id(4 * (n + 1) + 2, 16),
      attributes: chat,
    },
    {
      ...common,
      traceId: id(n - 1, 32),
      spanId: id(4 * n + 2, 16),
      attributes: { 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': 'b' },
    },
    {
      ...common,
      traceId: id(n, 32),
      spanId: id(4 * n + 3, 16),
      parentSpanId: 'ffffffffffffffff',
      attributes: chat,
    },
  ]
}

/** The last values of a metric, summed over its series. */
const total = (seen: CollectingSink, metric: string, more = ''): number =>
  Object.entries(seen.last())
    .filter(([series]) => series.startsWith(`${metric}{`) && series.includes(more))
    .reduce((sum, [, value]) => sum + Number(value), 0)

test('the process dies at any moment: every accepted span counts once, in RED and in tokens, sent again or not', async () => {
  const root = tempDir()
  const first = await open(join(root, 'live'))
  const copies: { dir: string; acknowledged: number }[] = []
  const steps = 60
  for (let n = 0; n < steps; n++) {
    const sending = first.push(...spansOf(n))
    if (n % 6 === 5) {
      for (let i = 0; i < n % 4; i++) await new Promise((resolve) => setImmediate(resolve))
      const dir = join(root, `copy${n}`)
      mkdirSync(dir)
      cpSync(join(root, 'live'), dir, { recursive: true })
      copies.push({ dir, acknowledged: n })
    }
    await sending
    if (n % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 25))
  }
  await first.close()
  for (const { dir, acknowledged } of copies) {
    const again = await open(dir)
    // The exporter saw no answer to its last requests and sends them again, and goes on.
    for (let n = Math.max(0, acknowledged - 3); n < acknowledged + 3; n++) await again.push(...spansOf(n))
    const sent = acknowledged + 3
    await until('everything to be counted', () => {
      const counted = total(again.seen, 'traces_gen_ai_client_operation_duration_seconds_count')
      return counted >= sent * 3
    })
    await new Promise((resolve) => setTimeout(resolve, 60))
    expect(total(again.seen, 'traces_spanmetrics_calls_total'), dir).toBe(sent * 4)
    expect(total(again.seen, 'traces_gen_ai_client_operation_duration_seconds_count'), dir).toBe(sent * 3)
    expect(total(again.seen, 'traces_gen_ai_client_tokens_total'), dir).toBe(sent * 30)
    expect(total(again.seen, 'traces_gen_ai_invoke_agent_duration_seconds_count'), dir).toBe(sent)
    // No counter ever falls, but for the zero before its first value.
    const last = new Map<string, { at: number; value: number }>()
    const samples = again.seen.samples().sort((a, b) => a.at - b.at)
    for (const { series, at, value } of samples) {
      if (!series.startsWith('traces_')) continue
      expect(Number(value), `${dir} ${series} at ${at}`).toBeGreaterThanOrEqual(last.get(series)?.value ?? 0)
      last.set(series, { at, value: Number(value) })
    }
    await again.close()
  }
  expect(copies).toHaveLength(10)
}, 120_000)
