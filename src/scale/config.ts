// What an operator may set about scaling one agent: bounds, metrics and their goals, and how fast it may go.
import { z } from 'zod'
import { durationSchema } from '../lib/config.ts'
import { scaleTargetSchema } from '../model/workload.ts'

const span = (text: string) => durationSchema.prefault(text)

const policySchema = z.strictObject({
  type: z.enum(['Percent', 'Pods']),
  value: z.int().min(1),
  /** Within how long at most that much may change. */
  period: durationSchema.refine((d) => d > 0 && d <= 1_800_000, 'between 1s and 30m'),
})
const rules = (stabilization: string, policies: z.input<typeof policySchema>[]) =>
  z
    .strictObject({
      stabilization_window: span(stabilization).refine((d) => d <= 3_600_000, 'at most 1h'),
      select_policy: z.enum(['Max', 'Min', 'Disabled']).default('Max'),
      policies: z.array(policySchema).min(1).prefault(policies),
      /** Below this distance from the goal nothing is changed; 0.1 is 10 %. */
      tolerance: z.number().min(0).max(1).default(0.1),
    })
    .prefault({})

/** `behavior`, with the defaults of Kubernetes's HorizontalPodAutoscaler v2. */
export const behaviorSchema = z
  .strictObject({
    scale_up: rules('0s', [
      { type: 'Percent', value: 100, period: '15s' },
      { type: 'Pods', value: 4, period: '15s' },
    ]),
    scale_down: rules('5m', [{ type: 'Percent', value: 100, period: '15s' }]),
  })
  .prefault({})

const metricSchema = z.strictObject({
  /** PromQL. One element for `Value` and `AverageValue`, one a replica for `Utilization`. */
  query: z.string().min(1),
  target: z.strictObject({
    /**
     * `AverageValue`: the query's sum divided among the replicas shall be `value`. `Value`: the query's value itself shall be. `Utilization`:
     * the mean over replicas shall be.
     */
    type: z.enum(['AverageValue', 'Value', 'Utilization']).default('AverageValue'),
    value: z.number().positive(),
  }),
  /** What the number counts, for reasons in words: `runs wait`. */
  means: z.string().default(''),
})

const autoscalerSchema = z
  .strictObject({
    agent: z.string().min(1),
    /** Left out: the agent's name. */
    name: z.string().min(1).optional(),
    min_replicas: z.int().min(0).default(1),
    max_replicas: z.int().min(1),
    metrics: z.array(metricSchema).min(1).max(20),
    /** PromQL of how many replicas there are; left out: what the deployment says. */
    current: z.string().min(1).optional(),
    behavior: behaviorSchema,
    interval: span('15s').refine((d) => d >= 1000, 'at least 1s'),
    /** Data older than this counts as missing; a query looks back five minutes at most. */
    stale_after: span('2m').refine((d) => d > 0 && d <= 300_000, 'between 1ms and 5m'),
    actuator: z.string().default(''),
    /** What is scaled, for the actuator `kubernetes`. */
    workload: scaleTargetSchema.optional(),
  })
  .refine((a) => a.min_replicas <= a.max_replicas, {
    path: ['max_replicas'],
    message: 'is below min_replicas',
  })

/** Schema of `autoscale:`. */
export const autoscaleSchema = z
  .array(autoscalerSchema)
  .default([])
  .superRefine((all, ctx) => {
    const seen = new Set<string>()
    all.forEach((a, i) => {
      const name = a.name ?? a.agent
      if (seen.has(name))
        ctx.addIssue({
          code: 'custom',
          path: [i, 'name'],
          message: `${name} is named twice; give one another name`,
        })
      seen.add(name)
    })
  })

export type Autoscaler = z.output<typeof autoscaleSchema>[number]
export type Behavior = Autoscaler['behavior']
export type ScalingRules = Behavior['scale_up']
