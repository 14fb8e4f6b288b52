// Judges a new version's points against the old one's: metric by metric, then all together.
import { autocorrelation, mean, withoutOutliers } from '../lib/stats/describe.ts'
import { hodgesLehmann } from '../lib/stats/mann-whitney.ts'
import type { Analysis, CanaryMetric } from '../model/canary.ts'

/** The points of one side in the order of time, NaN where there is none; or why there are none. */
export type Side = Float64Array | { readonly missing: string }

export type Classification = 'pass' | 'high' | 'low' | 'nodata'

export interface MetricJudgement {
  readonly name: string
  readonly classification: Classification
  /** Whether it counts against the new version. */
  readonly bad: boolean
  readonly critical: boolean
  readonly weight: number
  readonly points: { readonly baseline: number; readonly canary: number }
  /** Means; null without data. */
  readonly baseline: number | null
  readonly canary: number | null
  /** The Hodges–Lehmann shift with its interval; null where it was not computed, an infinite bound too. */
  readonly shift: { readonly estimate: number; readonly lower: number; readonly upper: number } | null
  /** In words, with the numbers. */
  readonly reason: string
}

/** By what the sides are judged, and which versions they are. */
export interface Terms extends Pick<Analysis, 'min_points' | 'confidence'> {
  readonly versions: { readonly baseline: string; readonly canary: string }
}

export interface Judgement {
  readonly outcome: 'pass' | 'marginal' | 'fail' | 'nodata'
  /** 0 to 100. */
  readonly score: number
  readonly metrics: readonly MetricJudgement[]
  readonly reason: string
}

const round = (x: number): string => String(Number(x.toPrecision(3)))

/** The points that count: without NaN, or with 0 in its place; without outliers where asked. */
const prepared = (values: Float64Array, metric: CanaryMetric): Float64Array => {
  const whole =
    metric.nan === 'zero'
      ? values.map((v) => (Number.isNaN(v) ? 0 : v))
      : values.filter((v) => !Number.isNaN(v))
  return metric.outliers === 'remove' ? withoutOutliers(whole, 3) : whole
}

/**
 * By how much the variance of a mean of correlated points exceeds that of independent ones: (1 + ρ) / (1 − ρ) for a first-order process.
 * Points of a rate over overlapping windows resemble their neighbours, and a test that took each for news would find differences in noise.
 * The baseline tells ρ: a canary that breaks half-way has two levels and would excuse itself by them.
 */
const inflationOf = (baseline: Float64Array): number => {
  const rho = Math.min(Math.max(autocorrelation(baseline), 0), 0.95)
  return (1 + rho) / (1 - rho)
}

const same = (a: Float64Array, b: Float64Array): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i])

const single = (values: Float64Array): boolean => values.every((v) => v === values[0])

const base = (metric: CanaryMetric) => ({
  name: metric.name,
  critical: metric.critical,
  weight: metric.weight,
  bad: false,
  shift: null,
})

const nodata = (metric: CanaryMetric, points: MetricJudgement['points'], why: string): MetricJudgement => ({
  ...base(metric),
  classification: 'nodata',
  points,
  baseline: null,
  canary: null,
  reason: `${metric.name} cannot be judged: ${why}`,
})

/** `12 of 50 points for 4.3.0, 80 for 4.2.7: hold`; the side that lacks points first. */
const lacking = (points: MetricJudgement['points'], { versions, min_points }: Terms): string => {
  const sides = [
    { n: points.canary, version: versions.canary },
    { n: points.baseline, version: versions.baseline },
  ].sort((a, b) => Number(a.n >= min_points) - Number(b.n >= min_points))
  const said = sides.map(({ n, version }) =>
    n < min_points ? `${n} of ${min_points} points for ${version}` : `${n} for ${version}`,
  )
  return `${said.join(', ')}: hold`
}

/** Whether the means differ by as much as is allowed, up (1) or down (−1). */
const enough = (baseline: number, canary: number, allowed: number, direction: 1 | -1): boolean =>
  baseline === 0 ? canary !== 0 : (direction * (canary - baseline)) / Math.abs(baseline) >= allowed

/**
 * One metric: `high` or `low` when the interval of the shift lies beyond `tolerance` times the shift and the means differ by the allowed
 * change. (Kayenta's Mann–Whitney classifier, with the interval widened for correlated points.)
 */
export const judgeMetric = (
  metric: CanaryMetric,
  before: Side,
  after: Side,
  settings: Terms,
): MetricJudgement => {
  const count = (side: Side): number => (side instanceof Float64Array ? side.length : 0)
  const missing = [before, after].flatMap((s) => ('missing' in s ? [s.missing] : []))
  if (!(before instanceof Float64Array) || !(after instanceof Float64Array))
    return nodata(metric, { baseline: count(before), canary: count(after) }, missing.join('; '))
  const baseline = prepared(before, metric)
  const canary = prepared(after, metric)
  const points = { baseline: baseline.length, canary: canary.length }
  if (Math.min(points.baseline, points.canary) < settings.min_points)
    return nodata(metric, points, lacking(points, settings))
  const means = { baseline: mean(baseline), canary: mean(canary) }
  const numbers = `${round(means.canary)} in the new version against ${round(means.baseline)} in the old`
  const known = { ...base(metric), points, ...means }
  if (same(baseline, canary) || (single(baseline) && single(canary) && baseline[0] === canary[0]))
    return {
      ...known,
      classification: 'pass',
      reason: `${metric.name} is the same on both sides: ${numbers}`,
    }
  const { estimate, lower, upper } = hodgesLehmann(
    canary,
    baseline,
    settings.confidence,
    inflationOf(baseline),
  )
  const bound = metric.tolerance * Math.abs(estimate)
  const high = lower > bound && enough(means.baseline, means.canary, metric.allowed_change, 1)
  const low = upper < -bound && enough(means.baseline, means.canary, metric.allowed_change, -1)
  const classification = high ? 'high' : low ? 'low' : 'pass'
  const bad = (high && metric.direction !== 'decrease') || (low && metric.direction !== 'increase')
  const percent = `${round(settings.confidence * 100)} %`
  const interval = `shift ${round(estimate)}, between ${round(lower)} and ${round(upper)} with ${percent} confidence`
  const verdict = bad
    ? `${metric.name} is ${high ? 'higher' : 'lower'}, which is worse`
    : classification === 'pass'
      ? `${metric.name} does not differ`
      : `${metric.name} is ${high ? 'higher' : 'lower'}, which is no harm`
  return {
    ...known,
    classification,
    bad,
    shift: { estimate, lower, upper },
    reason: `${verdict}: ${numbers} (${interval}, ${points.canary} and ${points.baseline} points)`,
  }
}

/**
 * One metric over all its points, and over the last ones by themselves: a version that breaks half-way is not excused by its good beginning,
 * one that is a little worse all the time is found when there are points enough. The worse of the two counts.
 */
export const judgeSides = (
  metric: CanaryMetric,
  before: Side,
  after: Side,
  settings: Terms,
  recent: number,
): MetricJudgement => {
  const whole = judgeMetric(metric, before, after, settings)
  const sided = before instanceof Float64Array && after instanceof Float64Array
  if (whole.bad || !sided || (before.length <= recent && after.length <= recent)) return whole
  const last = judgeMetric(metric, before.slice(-recent), after.slice(-recent), settings)
  return last.bad ? { ...last, reason: `lately, ${last.reason}` } : whole
}

/** The share of weight, in percent, that metrics with data and without fault have; 0 when a critical one is bad, 100 of none. */
const scoreOf = (metrics: readonly MetricJudgement[]): number => {
  const judged = metrics.filter((m) => m.classification !== 'nodata')
  if (judged.some((m) => m.bad && m.critical)) return 0
  const weight = (of: readonly MetricJudgement[]): number => of.reduce((sum, m) => sum + m.weight, 0)
  const all = weight(judged)
  return all === 0 ? 100 : (100 * weight(judged.filter((m) => !m.bad))) / all
}

/**
 * All metrics together. A critical metric that is worse fails it, whatever is missing. Where half or more have no data nothing is said
 * (`nodata`); where any has none it is no pass.
 */
export const judge = (
  metrics: readonly MetricJudgement[],
  { pass, marginal }: Pick<Analysis, 'pass' | 'marginal'>,
): Judgement => {
  const score = scoreOf(metrics)
  const blind = metrics.filter((m) => m.classification === 'nodata')
  const bad = metrics.filter((m) => m.bad)
  const said = (of: readonly MetricJudgement[]): string => of.map((m) => m.reason).join('; ')
  const of = `${metrics.length - blind.length - bad.length} of ${metrics.length} metrics are fine, score ${round(score)}`
  if (bad.some((m) => m.critical))
    return {
      outcome: 'fail',
      score,
      metrics,
      reason: `${said(bad)}. A critical metric is worse, so the score is 0.`,
    }
  if (blind.length * 2 >= metrics.length)
    return { outcome: 'nodata', score, metrics, reason: `${said(blind)}.` }
  if (score < marginal)
    return { outcome: 'fail', score, metrics, reason: `${said(bad)}. ${of}, below ${marginal}.` }
  if (blind.length > 0) return { outcome: 'nodata', score, metrics, reason: `${said(blind)}. ${of}.` }
  if (score < pass)
    return { outcome: 'marginal', score, metrics, reason: `${said(bad)}. ${of}, below ${pass}.` }
  return { outcome: 'pass', score, metrics, reason: `${said(metrics)}. ${of}.` }
}
