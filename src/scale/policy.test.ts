import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { instant, minute, second } from '../lib/time.ts'
import { combine, type Measured, propose } from './compare.ts'
import { autoscaleSchema, behaviorSchema } from './config.ts'
import { decide, type Run, rateLimit, recentChanges, remember, stabilize } from './policy.ts'

const tolerance = { up: 0.1, down: 0.1 }
const now = instant(10_000_000)
const defaults = behaviorSchema.parse({})
const ask = (type: Measured['type'], target: number, values: number[] | null, current: number) =>
  propose({ type, target, values }, current, tolerance)?.replicas ?? null

describe('what one metric asks for', () => {
  test.each([
    // type, target, values, current, expected
    ['Value', 100, [200], 5, 10], // ceil(5 × 2)
    ['Value', 100, [50], 5, 3], // ceil(2.5)
    ['Value', 100, [110], 10, 10], // exactly 10 % over: tolerance is inclusive
    ['Value', 100, [90], 10, 10], // exactly 10 % under
    ['Value', 100, [110.1], 10, 12], // just outside
    ['Value', 100, [89.9], 10, 9],
    ['Value', 100, [250], 0, 3], // from zero: ceil(ratio)
    ['Value', 100, [101], 0, 2], // from zero the tolerance is ignored
    ['Value', 100, [0], 0, 0],
    ['AverageValue', 30, [340], 8, 12], // ceil(340 / 30), ratio 340 / 240
    ['AverageValue', 30, [264], 8, 8], // 264 / 240 = 1.1
    ['AverageValue', 30, [216], 8, 8], // 0.9
    ['AverageValue', 30, [215], 8, 8], // outside, yet ceil(7.17) is 8
    ['AverageValue', 30, [200], 8, 7],
    ['AverageValue', 30, [1], 0, 1], // from zero
    ['AverageValue', 30, [0], 4, 0],
    ['AverageValue', 0.1, [0.3], 1, 3], // 0.3 / 0.1 is 2.9999999999999996: no fourth
    ['AverageValue', 0.1, [0.7], 1, 7], // 0.7 / 0.1 is 6.999999999999999
    ['Utilization', 50, [100, 100, 100], 3, 6],
    ['Utilization', 50, [55, 55], 2, 2],
    ['Utilization', 50, [20, 20], 2, 1],
    // One of three missing: up counts it as 0: mean 60, ratio 1.2, ceil(1.2 × 3) = 4.
    ['Utilization', 50, [90, 90], 3, 4],
    // Counted as 0 it would turn round: no change.
    ['Utilization', 50, [60, 60], 3, 3],
    // Down counts it at the goal: (10 + 10 + 50) / 3 / 50 = 0.47, ceil(1.4) = 2.
    ['Utilization', 50, [10, 10], 3, 2],
    // Exactly at the goal with some missing: nothing is assumed, no change.
    ['Utilization', 50, [50, 50], 4, 4],
    // Down with most missing: within tolerance, no change.
    ['Utilization', 50, [40], 10, 10],
  ] as const)('%s goal %d, measured %j, %d replicas: %d', (type, target, values, current, expected) => {
    expect(ask(type, target, [...values], current)).toBe(expected)
  })
  test('no data, NaN, or more than one element ask for nothing', () => {
    expect(ask('Value', 1, null, 3)).toBeNull()
    expect(ask('Value', 1, [], 3)).toBeNull()
    expect(ask('Value', 1, [Number.NaN], 3)).toBeNull()
    expect(ask('AverageValue', 1, [1, 2], 3)).toBeNull()
  })
})

test('recommendations and changes that lie ahead, by a clock set back, count as of now', () => {
  const ahead: Run[] = [{ fromAt: instant(now + 1000), toAt: instant(now + 7_200_000), replicas: 6 }]
  expect(stabilize(6, 9, ahead, defaults, now).replicas).toBe(9)
  expect(stabilize(6, 2, ahead, defaults, now).replicas).toBe(6)
  const kept = remember(ahead, 2, defaults, now)
  expect(kept).toEqual([
    { fromAt: now, toAt: now, replicas: 6 },
    { fromAt: now, toAt: now, replicas: 2 },
  ])
  expect(stabilize(6, 2, kept, defaults, instant(now + 5 * minute)).replicas).toBe(2)
  expect(recentChanges([{ at: instant(now + 1000), by: 4 }], defaults, now)).toEqual([])
})

describe('several metrics', () => {
  const p = (replicas: number) => ({ replicas, ratio: 1, value: 0 })
  test.each([
    [[p(3), p(7), p(5)], 4, { replicas: 7, by: 1, held: false }],
    [[p(2), p(3)], 4, { replicas: 3, by: 1, held: false }],
    [[p(2), null], 4, { replicas: 4, by: 0, held: true }], // down is not allowed while one is missing
    [[p(6), null], 4, { replicas: 6, by: 0, held: false }], // up is
    [[p(4), null], 4, { replicas: 4, by: 0, held: false }],
    [[null, null], 4, { replicas: 4, by: null, held: true }],
  ])('%j at %d', (proposals, current, expected) => {
    expect(combine(proposals, current)).toEqual(expected)
  })
})

const run = (ago: number, replicas: number): Run => ({
  fromAt: instant(now - ago - second),
  toAt: instant(now - ago),
  replicas,
})

describe('stabilisation', () => {
  test('down waits for the highest recommendation of five minutes', () => {
    const runs = [run(6 * minute, 10), run(4 * minute, 8), run(minute, 5)]
    expect(stabilize(10, 3, runs, defaults, now)).toEqual({ replicas: 8, limitedBy: 'stabilization_down' })
    expect(stabilize(10, 3, [run(6 * minute, 10)], defaults, now)).toEqual({ replicas: 3, limitedBy: null })
  })
  test('up does not wait by default, and else takes the lowest of its window', () => {
    expect(stabilize(3, 9, [run(minute, 4)], defaults, now)).toEqual({ replicas: 9, limitedBy: null })
    const slow = behaviorSchema.parse({ scale_up: { stabilization_window: '2m' } })
    expect(stabilize(3, 9, [run(minute, 4)], slow, now)).toEqual({
      replicas: 4,
      limitedBy: 'stabilization_up',
    })
    // Never down because of an up window.
    expect(stabilize(3, 9, [run(minute, 1)], slow, now)).toEqual({
      replicas: 3,
      limitedBy: 'stabilization_up',
    })
  })
  test('runs of the same recommendation are one, and old ones are forgotten', () => {
    let runs: readonly Run[] = []
    for (const [ago, replicas] of [
      [400, 2],
      [200, 5],
      [100, 5],
      [0, 3],
    ] as const)
      runs = remember(runs, replicas, defaults, instant(now - ago * second))
    expect(runs.map((r) => [r.replicas, (r.toAt - r.fromAt) / second])).toEqual([
      [5, 100],
      [3, 0],
    ])
  })
})

describe('rates', () => {
  const limits = { min: 1, max: 100 }
  const up = (
    current: number,
    wanted: number,
    behavior = defaults,
    changes: { at: typeof now; by: number }[] = [],
  ) => rateLimit(current, wanted, changes, behavior, limits, now)
  test.each([
    [1, 50, 5, 'rate_up'], // four pods beat 100 %
    [4, 50, 8, 'rate_up'],
    [10, 50, 20, 'rate_up'], // 100 % beats four
    [10, 15, 15, null],
    [0, 50, 4, 'rate_up'], // from zero only the pods policy moves
    [80, 500, 100, 'max'],
  ] as const)('up by default from %d to %d gives %d', (current, wanted, replicas, limitedBy) => {
    expect(up(current, wanted)).toEqual({ replicas, limitedBy })
  })
  test('what was added within the period counts', () => {
    // Began at 10, 6 were added 10 s ago: 20 is the bound, not 32.
    expect(up(16, 50, defaults, [{ at: instant(now - 10 * second), by: 6 }])).toMatchObject({ replicas: 20 })
    expect(up(16, 50, defaults, [{ at: instant(now - 20 * second), by: 6 }])).toMatchObject({ replicas: 32 })
    // Taken away 5 s ago: the period began at 20.
    expect(up(16, 50, defaults, [{ at: instant(now - 5 * second), by: -4 }])).toMatchObject({ replicas: 40 })
  })
  test('Min, Disabled and percentages that round up', () => {
    const careful = behaviorSchema.parse({
      scale_up: {
        select_policy: 'Min',
        policies: [
          { type: 'Percent', value: 10, period: '1m' },
          { type: 'Pods', value: 4, period: '1m' },
        ],
      },
      scale_down: { select_policy: 'Disabled' },
    })
    expect(up(11, 50, careful)).toEqual({ replicas: 13, limitedBy: 'rate_up' }) // 1.1 rounds up to 2
    expect(up(90, 99, careful)).toEqual({ replicas: 94, limitedBy: 'rate_up' })
    expect(up(11, 2, careful)).toEqual({ replicas: 11, limitedBy: 'disabled_down' })
    const slow = behaviorSchema.parse({
      scale_down: { policies: [{ type: 'Percent', value: 10, period: '1m' }] },
    })
    expect(up(11, 2, slow)).toEqual({ replicas: 9, limitedBy: 'rate_down' })
    const both = behaviorSchema.parse({
      scale_down: {
        policies: [
          { type: 'Percent', value: 50, period: '1m' },
          { type: 'Pods', value: 2, period: '1m' },
        ],
      },
    })
    expect(up(20, 1, both)).toEqual({ replicas: 10, limitedBy: 'rate_down' }) // Max = most change
  })
  test('changes outside every period are forgotten', () => {
    const at = (ago: number) => ({ at: instant(now - ago * second), by: 1 })
    expect(recentChanges([at(20), at(10)], defaults, now)).toEqual([at(10)])
  })
})

describe('all together', () => {
  const base = { runs: [], changes: [], behavior: defaults, limits: { min: 2, max: 10 }, now }
  test.each([
    [12, 12, 10, 'max'], // above the bounds: back at once
    [1, 1, 2, 'min'],
    [0, 9, 0, null], // switched off by hand
    [5, 0, 2, 'min'],
    [5, 30, 10, 'max'],
    [5, 5, 5, null],
  ] as const)('%d, wanted %d: %d', (current, wanted, replicas, limitedBy) => {
    expect(decide({ ...base, current, wanted })).toEqual({ replicas, limitedBy })
  })
  test('always within bounds, never past what was wanted, never the other way', () => {
    const small = fc.integer({ min: 0, max: 60 })
    const history = fc.array(fc.record({ ago: fc.integer({ min: 0, max: 600 }), replicas: small }), {
      maxLength: 6,
    })
    fc.assert(
      fc.property(small, small, small, small, history, history, (current, wanted, a, b, past, moved) => {
        const limits = { min: Math.min(a, b), max: Math.max(a, b, 1) }
        const runs = past.map((r) => run(r.ago * second, r.replicas))
        const changes = moved.map((m) => ({ at: instant(now - m.ago * second), by: m.replicas - 30 }))
        const { replicas } = decide({ current, wanted, runs, changes, behavior: defaults, limits, now })
        if (current === 0 && limits.min > 0) {
          expect(replicas).toBe(0)
          return
        }
        expect(replicas).toBeGreaterThanOrEqual(limits.min)
        expect(replicas).toBeLessThanOrEqual(limits.max)
        if (current < limits.min || current > limits.max) return
        if (wanted > current) expect(replicas).toBeGreaterThanOrEqual(current)
        // Down never goes below what was wanted, but for the minimum's sake.
        if (wanted < current) expect(replicas).toBeGreaterThanOrEqual(Math.min(wanted, current))
        const highest = Math.max(wanted, current, ...runs.map((r) => r.replicas), limits.min)
        expect(replicas).toBeLessThanOrEqual(highest)
      }),
    )
  })
  test('more load never asks for fewer', () => {
    const load = fc.double({ min: 0, max: 1e6, noNaN: true })
    fc.assert(
      fc.property(load, load, fc.integer({ min: 1, max: 50 }), (x, y, current) => {
        const [low, high] = x < y ? [x, y] : [y, x]
        for (const type of ['Value', 'AverageValue'] as const)
          expect(ask(type, 30, [high], current)!).toBeGreaterThanOrEqual(ask(type, 30, [low], current)!)
      }),
    )
  })
})

test('the configuration has the defaults of Kubernetes and names mistakes', () => {
  const metrics = [{ query: 'sum(waiting)', target: { value: 30 } }]
  expect(autoscaleSchema.parse([{ agent: 'pilot', max_replicas: 9, metrics }])[0]).toMatchObject({
    min_replicas: 1,
    interval: 15_000,
    metrics: [{ target: { type: 'AverageValue', value: 30 } }],
    behavior: {
      scale_up: { stabilization_window: 0, select_policy: 'Max', tolerance: 0.1 },
      scale_down: {
        stabilization_window: 300_000,
        policies: [{ type: 'Percent', value: 100, period: 15_000 }],
      },
    },
  })
  const wrong = (text: object): string => JSON.stringify(autoscaleSchema.safeParse([text]).error?.issues)
  expect(wrong({ agent: 'p', min_replicas: 5, max_replicas: 2, metrics })).toMatch(/below min_replicas/)
  expect(wrong({ agent: 'p', max_replicas: 2, metrics, maxReplicas: 3 })).toMatch(/maxReplicas/)
  const twice = autoscaleSchema.safeParse([
    { agent: 'p', max_replicas: 2, metrics },
    { agent: 'p', max_replicas: 2, metrics },
  ])
  expect(JSON.stringify(twice.error?.issues)).toMatch(/named twice/)
})
