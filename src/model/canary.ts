// How a new version is compared with the one it shall replace: the `canary:` part of a deployment.
import { z } from 'zod'
import { durationSchema } from '../lib/config.ts'
import { type Duration, duration } from '../lib/time.ts'
import { workloadSchema } from './workload.ts'

const span = (text: string) => durationSchema.prefault(text)

const canaryMetricSchema = z.strictObject({
  name: z.string().min(1),
  /**
   * PromQL that gives one series for one version: `$version` and `$agent` (or `{{version}}`, `{{agent}}`) are put in, once with the baseline's
   * version and once with the canary's.
   */
  query: z
    .string()
    .min(1)
    .refine((q) => /\$version|\{\{\s*version\s*\}\}/.test(q), {
      message: 'the query must say which version it is about: put $version where the label value stands',
    }),
  /** Which way is worse: more (errors, latency), less (scores, throughput), or any difference. */
  direction: z.enum(['increase', 'decrease', 'either']).default('either'),
  /** The confidence interval of the shift must lie further from 0 than this share of the shift itself. */
  tolerance: z.number().min(0).max(1).default(0.25),
  /** A mean that differs by less than this share of the baseline's is no difference; 0.1 is 10 %. */
  allowed_change: z.number().min(0).default(0.1),
  /** If this one is worse, the canary fails whatever the others say. */
  critical: z.boolean().default(false),
  /** Its share in the score, among those of the others. */
  weight: z.number().positive().default(1),
  /** A point without a value is left out, or counts as 0 (a rate of something that did not happen). */
  nan: z.enum(['remove', 'zero']).default('remove'),
  /** Points more than three interquartile ranges outside the quartiles are left out. */
  outliers: z.enum(['keep', 'remove']).default('keep'),
})

export const canarySchema = z.strictObject({
  /** The version in use. */
  baseline: z.string().min(1),
  analysis: z
    .strictObject({
      metrics: z.array(canaryMetricSchema).min(1).max(50),
      /** How often it is judged. */
      interval: span('30s').refine((d) => d >= 1000, 'at least 1s'),
      /** The shortest distance between points: one counts only when a sample came since the one before. 50 a side are needed to judge. */
      step: span('5s').refine((d) => d >= 1000, 'at least 1s'),
      /** Left out of the comparison while the new version warms up. */
      warm_up: span('0s'),
      /** How long it must do well before it is promoted. */
      duration: span('10m'),
      /** After this it is not promoted by itself any more. Left out: three times the duration. */
      deadline: durationSchema.optional(),
      /**
       * The last stretch, judged by itself beside the whole, so that a version that breaks half-way is not excused by its good beginning. Left
       * out: half the duration, or 1.2 × step × min_points where that is longer.
       */
      window: durationSchema.optional(),
      min_points: z.int().min(50, 'fewer than 50 points a side tell nothing').default(50),
      confidence: z.number().gt(0.5).lt(1).default(0.98),
      /** Scores from 0 to 100: at least `pass` is good, below `marginal` has failed. */
      pass: z.number().min(0).max(100).default(95),
      marginal: z.number().min(0).max(100).default(75),
      /** So many judgements one after another must fail before it is rolled back, and pass before it is promoted. */
      failures: z.int().min(1).default(3),
      /** No newer point than this: the data counts as missing. */
      stale_after: span('2m').refine((d) => d > 0 && d <= 300_000, 'between 1ms and 5m'),
    })
    .refine((a) => a.marginal <= a.pass, { path: ['marginal'], message: 'is above pass' })
    .refine((a) => a.deadline === undefined || a.deadline >= a.duration, {
      path: ['deadline'],
      message: 'is before the duration is over',
    })
    .refine((a) => a.window === undefined || a.window >= a.step * a.min_points, {
      path: ['window'],
      message: 'is too short: step × min_points does not fit into it',
    }),
  on_pass: z.enum(['promote', 'hold']).default('promote'),
  on_fail: z.enum(['rollback', 'hold']).default('rollback'),
  /** The webhook or other actuator that carries it out; '' = the default one. */
  actuator: z.string().default(''),
  /** Where it runs, for the actuator `kubernetes`. */
  workload: workloadSchema.optional(),
})

/** The last stretch that is judged by itself. */
export const windowOf = ({ window, duration: whole, step, min_points }: Analysis): Duration =>
  window ?? duration(Math.max(whole / 2, 1.2 * step * min_points))

export type Canary = z.output<typeof canarySchema>
export type Analysis = Canary['analysis']
export type CanaryMetric = Analysis['metrics'][number]
