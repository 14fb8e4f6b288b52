import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { silentLogger } from '../../lib/log.ts'
import { type Batch, isStaleAt, wordsOf } from '../../model/batch.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { printLabels } from '../../model/labels.ts'
import { decodeHistogram } from '../../model/native-histogram.ts'
import { countRows, rowBytes } from '../../model/packed-rows.ts'
import { SeriesTable } from '../../model/series.ts'
import { otlpSchema } from './config.ts'
import { DeltaState } from './delta.ts'
import { createOtlpIngest } from './ingest.ts'

const nowAt = Date.parse('2026-01-01T00:00:00Z')
const nanos = (second: number): string => `${nowAt + second * 1000}000000`

const rig = (delta?: DeltaState) => {
  const table = new SeriesTable(100)
  const batches: Batch[] = []
  const state = delta ?? new DeltaState({ table })
  const metrics = fakeMetrics()
  const ingest = createOtlpIngest({
    config: otlpSchema.parse({}),
    table,
    sink: { push: async (batch) => void batches.push(batch) },
    delta: state,
    limits: defaultAdmission,
    clock: new FakeClock(nowAt),
    log: silentLogger(),
    metrics,
  })
  const count = ingest.counted('test')
  const post = (temporality: number, ...dataPoints: object[]) =>
    ingest.take(
      Buffer.from(
        JSON.stringify({
          resourceMetrics: [
            {
              scopeMetrics: [
                {
                  scope: { name: 's' },
                  metrics: [
                    {
                      name: 'run.time',
                      unit: 's',
                      exponentialHistogram: { aggregationTemporality: temporality, dataPoints },
                    },
                  ],
                },
              ],
            },
          ],
        }),
      ),
      'json',
      count,
      new AbortController().signal,
    )
  const natives = () =>
    batches.flatMap(({ histograms: rows }) =>
      Array.from({ length: countRows(rows) }, (_, i) => ({
        series: printLabels(table.labels(rows!.ref[i]!)),
        at: (rows!.at[i]! - nowAt) / 1000,
        value: decodeHistogram(rowBytes(rows!, i)),
      })),
    )
  return { table, batches, state, post, natives }
}

const point = (second: number, more: object): object => ({
  startTimeUnixNano: nanos(second - 10),
  timeUnixNano: nanos(second),
  ...more,
})

describe('exponential histograms', () => {
  it('become native ones: an index further, their own scale, a zero bucket', async () => {
    const r = rig()
    const answer = await r.post(
      2,
      point(0, {
        count: '9',
        sum: 3.5,
        scale: 2,
        zeroCount: '1',
        zeroThreshold: 0.25,
        positive: { offset: -1, bucketCounts: ['2', '0', '3'] },
        negative: { offset: 4, bucketCounts: ['3'] },
      }),
      point(1, { count: '0', scale: 20 }),
    )
    expect(answer).toEqual({ rejected: 0, message: '' })
    expect(r.natives()).toEqual([
      {
        series: 'run_time_seconds',
        at: 0,
        value: {
          schema: 2,
          hint: 'unknown',
          count: 9,
          sum: 3.5,
          zeroThreshold: 0.25,
          zeroCount: 1,
          positive: { index: [0, 2], count: [2, 3] },
          negative: { index: [5], count: [3] },
          bounds: [],
        },
      },
      expect.objectContaining({
        at: 1,
        value: expect.objectContaining({ schema: 8, zeroThreshold: 1e-128 }),
      }),
    ])
  })

  it('finer than Prometheus keeps are joined two by two', async () => {
    const r = rig()
    // Scale 10: bucket 0 is (1, 2^(1/1024)], four of them make one of scale 8.
    await r.post(
      2,
      point(0, {
        count: '10',
        sum: 10,
        scale: 10,
        positive: { offset: 0, bucketCounts: ['1', '2', '3', '0', '4'] },
      }),
    )
    expect(r.natives()[0]!.value).toMatchObject({ schema: 8, positive: { index: [1, 2], count: [6, 4] } })
  })

  it('end with a stale marker, and bad ones are refused without making a series', async () => {
    const r = rig()
    const answer = await r.post(
      2,
      point(0, { count: '3', scale: 0, positive: { bucketCounts: ['1'] } }),
      point(0, { count: '0', scale: -9 }),
    )
    expect(answer.rejected).toBe(2)
    expect(answer.message).toMatch(
      /bad_histogram: 2 points, the first: run.time: its buckets hold 1 observations, its count is 3/,
    )
    expect(r.table.size).toBe(0)
    await r.post(2, point(0, { flags: 1 }))
    const [batch] = r.batches
    expect(isStaleAt(wordsOf(batch!.value), 0)).toBe(true)
  })

  it('of delta temporality add up, each interval once, also over a restart and at another scale', async () => {
    const r = rig()
    const first = point(0, {
      count: '3',
      sum: 6,
      scale: 1,
      positive: { offset: 0, bucketCounts: ['1', '2'] },
    })
    await r.post(1, first)
    await r.post(1, first)
    await r.post(
      1,
      point(10, {
        count: '2',
        sum: 1,
        scale: 0,
        zeroCount: '1',
        positive: { offset: 0, bucketCounts: ['1'] },
      }),
    )
    expect(
      r.natives().map(({ at, value }) => [at, value.count, value.sum, value.schema, value.positive]),
    ).toEqual([
      [0, 3, 6, 1, { index: [1, 2], count: [1, 2] }],
      [10, 5, 7, 0, { index: [1], count: [4] }],
    ])
    const late = await r.post(
      1,
      point(5, { count: '1', sum: 1, scale: 0, positive: { bucketCounts: ['1'] } }),
    )
    expect(late.message).toMatch(/delta point that ends at/)

    const again = new DeltaState({ table: r.table })
    again.restore(structuredClone(r.state.checkpoint()))
    for (const batch of r.batches) again.replay(batch)
    const tx = again.tryBegin(nowAt)!
    const ref = r.batches[0]!.histograms!.ref[0]!
    const one = r.natives()[0]!.value
    expect(tx.addHistogram(ref, nowAt, nowAt + 10_000, one)).toBe('again')
    expect(tx.addHistogram(ref, nowAt + 10_000, nowAt + 20_000, one)).toBe('taken')
    expect(tx.histogram).toMatchObject({ count: 8, sum: 13, positive: { index: [1], count: [7] } })
    tx.rollback()

    // From the log alone, where the checkpoint is older than it.
    const replayed = new DeltaState({ table: r.table })
    for (const batch of r.batches) replayed.replay(batch)
    const other = replayed.tryBegin(nowAt)!
    expect(other.addHistogram(ref, nowAt + 10_000, nowAt + 20_000, one)).toBe('taken')
    expect(other.histogram!.count).toBe(8)
    other.rollback()
  })
})

describe('what no histogram has', () => {
  const fine = {
    timeUnixNano: nanos(-10),
    count: '1',
    sum: 1,
    scale: 0,
    positive: { offset: 0, bucketCounts: ['1'] },
  }
  it.each([
    [
      'an index past 32 bits',
      { offset: 2147483647, bucketCounts: ['1'] },
      /positive bucket 2147483648 is out of range/,
    ],
    ['an index far below', { offset: -2147483648, bucketCounts: ['1'] }, null],
    [
      'counts without end',
      { offset: 0, bucketCounts: ['1', ...new Array(100_001).fill('0')] },
      /more than 100000 buckets/,
    ],
  ])('%s is refused alone, the other points are kept', async (_, positive, why) => {
    const { post, batches } = rig()
    const other = { ...fine, attributes: [{ key: 'a', value: { stringValue: 'b' } }] }
    const { rejected, message } = await post(2, { ...fine, positive }, other)
    expect(rejected).toBe(why === null ? 0 : 1)
    if (why !== null) expect(message).toMatch(why)
    expect(countRows(batches[0]!.histograms)).toBe(why === null ? 2 : 1)
  })
})
