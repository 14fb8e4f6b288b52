// Says in whole sentences why an agent is scaled, with the numbers.
import { formatDuration } from '../lib/time.ts'
import type { Proposal } from './compare.ts'
import type { Autoscaler, ScalingRules } from './config.ts'
import type { Allowed, LimitedBy } from './policy.ts'

const round = (x: number): string => String(Number(x.toPrecision(4)))

const sum = (metric: Autoscaler['metrics'][number], p: Proposal, current: number): string => {
  const { type, value: goal } = metric.target
  const measured = metric.means ? `${round(p.value)} ${metric.means}` : `${metric.query} is ${round(p.value)}`
  if (type === 'AverageValue') {
    const capacity =
      current > 0
        ? `ceil(${current} × ${round(p.value)}/${round(goal * current)})`
        : `ceil(${round(p.value)}/${round(goal)})`
    return `${measured}, goal ${round(goal)} a replica: ${capacity} = ${p.replicas}`
  }
  const factor = current > 0 ? `${current} × ` : ''
  const mean = type === 'Utilization' ? ' in the mean over replicas' : ''
  return `${measured}${mean}, goal ${round(goal)}: ceil(${factor}${round(p.ratio * goal)}/${round(goal)}) = ${p.replicas}`
}

const near = (p: Proposal, current: number): boolean => p.replicas === current

const rate = (rules: ScalingRules, sign: string): string =>
  rules.policies
    .map((p) => `${sign}${p.value}${p.type === 'Percent' ? ' %' : ''} in ${formatDuration(p.period)}`)
    .join(rules.select_policy === 'Min' ? ' and ' : ' or ')

const limited = (
  by: LimitedBy,
  { behavior, min_replicas, max_replicas }: Autoscaler,
  replicas: number,
): string => {
  const words: Record<LimitedBy, string> = {
    stabilization_up: `kept at ${replicas}: the lowest recommendation of the last ${formatDuration(behavior.scale_up.stabilization_window)} counts`,
    stabilization_down: `kept at ${replicas}: the highest recommendation of the last ${formatDuration(behavior.scale_down.stabilization_window)} counts`,
    rate_up: `limited to ${replicas}: at most ${rate(behavior.scale_up, '+')}`,
    rate_down: `limited to ${replicas}: at most ${rate(behavior.scale_down, '−')}`,
    min: `${min_replicas} is the minimum`,
    max: `${max_replicas} is the maximum`,
    disabled_up: 'scaling up is disabled',
    disabled_down: 'scaling down is disabled',
  }
  return words[by]
}

/** `340 runs wait, goal 30 a replica: ceil(8 × 340/240) = 12, limited to 10: at most +2 in 1m.` */
export const reasonOf = (
  config: Autoscaler,
  current: number,
  proposal: { readonly metric: number; readonly of: Proposal } | null,
  missing: readonly string[],
  allowed: Allowed,
): string => {
  const parts: string[] = []
  const metric = proposal ? config.metrics[proposal.metric] : undefined
  if (proposal && metric) {
    const kept = near(proposal.of, current) ? `, within tolerance of ${current} replicas` : ''
    parts.push(`${sum(metric, proposal.of, current)}${kept}`)
  } else parts.push(`No metric has data, so ${config.agent} stays at ${current} replicas`)
  if (allowed.limitedBy) parts[0] += `, ${limited(allowed.limitedBy, config, allowed.replicas)}`
  if (missing.length > 0) parts.push(`Missing: ${missing.join('; ')}; without it nothing is scaled down`)
  return `${parts.join('. ')}.`
}
