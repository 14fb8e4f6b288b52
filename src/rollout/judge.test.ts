import { describe, expect, test } from 'vitest'
import { normalQuantile } from '../lib/stats/distributions.ts'
import { duration, instant, minute } from '../lib/time.ts'
import { canarySchema } from '../model/canary.ts'
import { type Judgement, judge, judgeMetric, type MetricJudgement } from './judge.ts'
import { begin, type Progress, type Rules, step } from './strategy.ts'

const metricOf = (more: object = {}) =>
  canarySchema.parse({
    baseline: '1',
    analysis: { metrics: [{ name: 'latency', query: '$version', ...more }] },
  }).analysis.metrics[0]!
const settings = { min_points: 50, confidence: 0.98, versions: { baseline: '4.2.7', canary: '4.3.0' } }
let seed = 1
const random = (): number => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return (seed + 0.5) / 2 ** 32
}
const noise = (n: number, mean: number, deviation: number): Float64Array =>
  Float64Array.from({ length: n }, () => mean + deviation * normalQuantile(random()))

describe('one metric', () => {
  const old = noise(80, 100, 10)
  test('worse, better, and no different', () => {
    const worse = judgeMetric(metricOf({ direction: 'increase' }), old, noise(80, 150, 10), settings)
    expect(worse).toMatchObject({ classification: 'high', bad: true, points: { baseline: 80, canary: 80 } })
    expect(worse.reason).toMatch(
      /^latency is higher, which is worse: 1[45]\d in the new version against (99|10\d)(\.\d+)? in the old \(shift [45]/,
    )
    expect(judgeMetric(metricOf({ direction: 'decrease' }), old, noise(80, 150, 10), settings)).toMatchObject(
      {
        classification: 'high',
        bad: false,
      },
    )
    expect(judgeMetric(metricOf({ direction: 'decrease' }), old, noise(80, 50, 10), settings)).toMatchObject({
      classification: 'low',
      bad: true,
    })
    expect(judgeMetric(metricOf(), old, noise(80, 50, 10), settings)).toMatchObject({ bad: true })
    expect(judgeMetric(metricOf(), old, noise(80, 100, 10), settings)).toMatchObject({
      classification: 'pass',
      bad: false,
    })
  })
  test('a change that is certain yet small is allowed, unless nothing is', () => {
    const canary = old.map((v) => v * 1.05)
    const many = Float64Array.from({ length: 2000 }, (_, i) => 100 + (i % 7))
    const more = many.map((v) => v + 5)
    expect(judgeMetric(metricOf(), many, more, settings)).toMatchObject({ classification: 'pass' })
    expect(judgeMetric(metricOf({ allowed_change: 0 }), many, more, settings)).toMatchObject({
      classification: 'high',
    })
    expect(
      judgeMetric(metricOf({ allowed_change: 0 }), old, canary, settings).shift?.estimate,
    ).toBeGreaterThan(0)
  })
  test('fewer than 50 points on either side say nothing', () => {
    const few = judgeMetric(metricOf(), old, noise(49, 500, 1), settings)
    expect(few).toMatchObject({ classification: 'nodata', bad: false })
    expect(few.reason).toBe('latency cannot be judged: 49 of 50 points for 4.3.0, 80 for 4.2.7: hold')
    const fewer = judgeMetric(metricOf(), old.slice(0, 12), old.slice(0, 60), settings)
    expect(fewer.reason).toBe('latency cannot be judged: 12 of 50 points for 4.2.7, 60 for 4.3.0: hold')
    const both = judgeMetric(metricOf(), old.slice(0, 9), old.slice(0, 8), settings)
    expect(both.reason).toBe(
      'latency cannot be judged: 8 of 50 points for 4.3.0, 9 of 50 points for 4.2.7: hold',
    )
    const gone = judgeMetric(metricOf(), { missing: 'the baseline 1 has no data' }, old, settings)
    expect(gone).toMatchObject({ classification: 'nodata', reason: expect.stringContaining('has no data') })
  })
  test('identical sides pass; constant ones pass when equal and are told apart when not', () => {
    const flat = (v: number) => new Float64Array(60).fill(v)
    expect(judgeMetric(metricOf(), old, old.slice(), settings)).toMatchObject({ classification: 'pass' })
    expect(judgeMetric(metricOf(), flat(3), new Float64Array(75).fill(3), settings)).toMatchObject({
      classification: 'pass',
      reason: expect.stringMatching(/same on both sides: 3 .* 3/),
    })
    expect(judgeMetric(metricOf(), flat(0.02), flat(0.2), settings)).toMatchObject({ classification: 'high' })
    expect(judgeMetric(metricOf(), flat(0), flat(0.2), settings)).toMatchObject({ classification: 'high' })
  })
  test('NaN is left out or counts as zero', () => {
    const holes = Float64Array.from({ length: 80 }, (_, i) => (i % 2 ? Number.NaN : 100))
    expect(judgeMetric(metricOf(), old, holes, settings)).toMatchObject({ classification: 'nodata' })
    expect(judgeMetric(metricOf({ nan: 'zero' }), old, holes, settings)).toMatchObject({
      points: { canary: 80 },
      canary: 50,
    })
  })
  test('points that follow one another are less evidence', () => {
    const drift = (start: number): Float64Array => {
      let v = start
      return Float64Array.from({ length: 80 }, () => {
        v = 0.95 * v + normalQuantile(random())
        return 10 + v
      })
    }
    let wrong = 0
    for (let i = 0; i < 100; i++)
      if (judgeMetric(metricOf({ allowed_change: 0 }), drift(0), drift(0), settings).bad) wrong++
    // Taken as independent, about 60 of 100 differ.
    expect(wrong).toBeLessThan(15)
  })
})

describe('all metrics', () => {
  const of = (
    classification: MetricJudgement['classification'],
    more: Partial<MetricJudgement> = {},
  ): MetricJudgement => ({
    name: 'm',
    classification,
    bad: classification === 'high' || classification === 'low',
    critical: false,
    weight: 1,
    points: { baseline: 60, canary: 60 },
    baseline: 1,
    canary: 1,
    shift: null,
    reason: `m is ${classification}`,
    ...more,
  })
  const bounds = { pass: 95, marginal: 75 }
  test.each([
    [[of('pass'), of('pass')], 'pass', 100],
    [[of('pass'), of('pass'), of('pass'), of('high')], 'marginal', 75],
    [[of('pass'), of('pass'), of('high')], 'fail', 66.7],
    [[of('pass', { weight: 9 }), of('high')], 'marginal', 90],
    [[of('pass', { weight: 99 }), of('high', { critical: true })], 'fail', 0],
    [[of('nodata'), of('nodata'), of('high', { critical: true })], 'fail', 0],
    [[of('pass'), of('nodata')], 'nodata', 100],
    [[of('pass'), of('pass'), of('nodata')], 'nodata', 100],
    [[of('high'), of('pass'), of('nodata')], 'fail', 50],
    [[of('nodata')], 'nodata', 100],
    [[of('high', { bad: false })], 'pass', 100],
  ] as const)('%#: %s', (metrics, outcome, score) => {
    const judgement = judge(metrics, bounds)
    expect(judgement.outcome).toBe(outcome)
    expect(judgement.score).toBeCloseTo(score, 1)
    expect(judgement.reason).toMatch(/\.$/)
  })
})

describe('steps', () => {
  const startAt = instant(0)
  const rules: Rules = {
    duration: duration(10 * minute),
    deadline: duration(30 * minute),
    failures: 3,
    onPass: 'promote',
    onFail: 'rollback',
  }
  const said = (outcome: Judgement['outcome']): Judgement => ({
    outcome,
    score: 0,
    metrics: [],
    reason: `${outcome}.`,
  })
  const play = (outcomes: string, more: Partial<Rules> = {}, every = 30_000) => {
    let state: Progress = begin(startAt)
    const verdicts: string[] = []
    const names = { p: 'pass', m: 'marginal', f: 'fail', n: 'nodata' } as const
    ;[...outcomes].forEach((o, i) => {
      const next = step(
        state,
        said(names[o as keyof typeof names]),
        { ...rules, ...more },
        instant((i + 1) * every),
      )
      state = next.state
      for (const e of next.effects) verdicts.push(`${i + 1} ${e.verdict}`)
    })
    return { verdicts, phase: state.phase, state }
  }
  test('three failures in a row roll back, and nothing follows', () => {
    expect(play('fffffp')).toMatchObject({ verdicts: ['3 rollback'], phase: 'rolled_back' })
    expect(play('ffpffpffpff')).toMatchObject({ verdicts: [], phase: 'watching' })
    expect(play('f', { failures: 1 })).toMatchObject({ verdicts: ['1 rollback'] })
  })
  test('missing data neither forgives nor convicts', () => {
    expect(play('ffnf')).toMatchObject({ verdicts: ['3 hold', '4 rollback'] })
    expect(play('nnnnnnnn')).toMatchObject({ verdicts: ['1 hold'], phase: 'watching' })
    expect(play(`${'n'.repeat(25)}pppn`)).toMatchObject({ verdicts: ['1 hold', '28 promote'] })
  })
  test('it is promoted after its duration, not before, and only while it passes', () => {
    expect(play('p'.repeat(19))).toMatchObject({ verdicts: [], phase: 'watching' })
    expect(play('p'.repeat(21))).toMatchObject({ verdicts: ['20 promote'], phase: 'promoted' })
    expect(play(`${'p'.repeat(19)}fppp`)).toMatchObject({ verdicts: ['23 promote'] })
    expect(play(`${'p'.repeat(19)}nm`).phase).toBe('watching')
  })
  test('past the deadline a person decides, but a failure still rolls back', () => {
    const late = play(`${'m'.repeat(61)}ppp`)
    expect(late).toMatchObject({ verdicts: ['1 hold', '60 hold'], phase: 'held' })
    expect(play(`${'m'.repeat(61)}fff`)).toMatchObject({ phase: 'rolled_back' })
  })
  test('hold instead of acting, where it is set so', () => {
    expect(play('p'.repeat(25), { onPass: 'hold' })).toMatchObject({ verdicts: ['20 hold'], phase: 'held' })
    expect(play('ffffff', { onFail: 'hold' })).toMatchObject({ verdicts: ['3 hold'], phase: 'held' })
  })
})
