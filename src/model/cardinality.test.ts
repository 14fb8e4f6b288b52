import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { createHead } from '../head/head.ts'
import { duration } from '../lib/time.ts'
import { BatchBuilder, defaultAdmission } from './batch-builder.ts'
import { Cardinality, type CardinalityLimits } from './cardinality.ts'
import { labelsOf } from './labels.ts'
import { SeriesTable } from './series.ts'

const make = (more: Partial<CardinalityLimits> = {}) => {
  const table = new SeriesTable(100_000, 100)
  const limits = { perMetric: 100, perSource: 150, metrics: {}, sources: {}, ...more }
  const cardinality = new Cardinality(table, limits)
  const clock = new FakeClock()
  const head = createHead({
    table,
    window: duration(600_000),
    maxBytes: 16 << 20,
    clock,
    metrics: fakeMetrics(),
    active: cardinality,
  })
  /** Sends a sample of each; returns the reasons of what was refused. */
  const send = (
    list: readonly Readonly<Record<string, string>>[],
    admission: { own?: boolean; protocol?: string } = {},
  ): string[] => {
    const builder = new BatchBuilder(table, { ...defaultAdmission, cardinality, ...admission }, clock.now())
    const refused: string[] = []
    for (const labels of list) {
      const ref = builder.series(labelsOf(labels))
      if (ref >= 0) builder.add(ref, clock.now(), 1)
      else refused.push(`${builder.lastReason}: ${builder.lastExample}`)
    }
    head.append(builder.build())
    return refused
  }
  return { table, cardinality, clock, head, send }
}
const many = (n: number, name: string, job: string, from = 0) =>
  Array.from({ length: n }, (_, i) => ({ __name__: name, job, user: `u${from + i}`, code: String(i % 3) }))

describe('limits of active series', () => {
  test('by metric: the refusal names it, the label that makes it so many, and the mend', () => {
    const { send, table } = make()
    const refused = send(many(120, 'logins', 'web'))
    expect(refused).toHaveLength(20)
    expect(refused[0]).toBe(
      'metric_cardinality: metric "logins" has 100 active series, its limit; its label "user" has the most values: drop or bound it, or raise storage.cardinality.overrides.metrics["logins"]',
    )
    expect(table.size).toBe(100)
    expect(send(many(50, 'other', 'api'))).toEqual([])
    // What is in already goes on.
    expect(send(many(100, 'logins', 'web'))).toEqual([])
  })

  test('by source: the job, or the protocol of series that have none', () => {
    const { send, cardinality } = make()
    expect(send([...many(100, 'a', 'web'), ...many(60, 'b', 'web')])).toHaveLength(10)
    expect(send([...many(100, 'c', ''), ...many(60, 'd', '')], { protocol: 'remote_write' })[0]).toMatch(
      /^source_cardinality: source "remote_write" has 150 active series/,
    )
    const { series, metrics, sources } = cardinality.view(2)
    expect(series).toBe(300)
    expect(metrics.map((m) => [m.name, m.series, m.limit])).toEqual([
      ['a', 100, 100],
      ['c', 100, 100],
    ])
    expect(sources).toEqual([
      { name: 'remote_write', series: 150, limit: 150, refused: 10, widest: 'user' },
      { name: 'web', series: 150, limit: 150, refused: 10, widest: 'user' },
    ])
  })

  test('overrides, and what Airboss says of itself', () => {
    const { send } = make({ metrics: { big: 140, closed: 0 }, sources: { small: 5 } })
    expect(send(many(150, 'big', 'web'))).toHaveLength(10)
    expect(send(many(9, 'x', 'small'))).toHaveLength(4)
    expect(send(many(1, 'closed', 'web2'))).toHaveLength(1)
    expect(send(many(150, 'big', 'web', 1000), { own: true })).toEqual([])
  })

  test('series that have left memory make room: months of churn exhaust nothing', async () => {
    const { send, clock, head, cardinality } = make({ perSource: 100 })
    for (let week = 0; week < 20; week++) {
      expect(send(many(100, 'pods', 'kube', week * 100)), `week ${week}`).toEqual([])
      expect(send(many(1, 'pods', 'kube', 1e6))).toHaveLength(1)
      await clock.advance(700_000)
      head.trim(clock.now())
      expect(cardinality.active).toBe(0)
    }
    // And one that comes back counts again.
    expect(send(many(100, 'pods', 'kube', 0))).toEqual([])
    expect(send(many(1, 'pods', 'kube', 100))).toHaveLength(1)
  })

  test('series whose samples never came are forgotten after two turns', () => {
    const { table, cardinality, clock, head } = make()
    const builder = new BatchBuilder(table, { ...defaultAdmission, cardinality }, clock.now())
    for (const labels of many(100, 'm', 'j')) builder.series(labelsOf(labels))
    expect(cardinality.active).toBe(100)
    head.trim(clock.now())
    expect(cardinality.active).toBe(100)
    head.trim(clock.now())
    expect(cardinality.active).toBe(0)
    expect(cardinality.view(10)).toEqual({ series: 0, metrics: [], sources: [] })
  })
})
