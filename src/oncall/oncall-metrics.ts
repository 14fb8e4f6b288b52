// What on-call does, as metrics: pages, escalations under way, and how long people take to answer.
import type { Metrics } from '../model/ports/metrics.ts'
import type { EscalationState, PageRecord } from './escalation.ts'

/** Seconds: from a person at the keyboard to an hour of nobody. */
const buckets = [5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600]
const statuses = ['open', 'acknowledged'] as const

export const createOncallMetrics = (metrics: Metrics) => {
  const pages = metrics.counter('airboss_oncall_pages_total', 'Pages to users', ['policy', 'outcome'])
  const escalations = metrics.counter('airboss_oncall_escalations_total', 'Escalations begun', ['policy'])
  const passedOn = metrics.counter(
    'airboss_oncall_passed_on_total',
    'Times nobody had answered and the next step was taken',
    ['policy'],
  )
  const underWay = metrics.gauge('airboss_oncall_escalations', 'Escalations that are not over', [
    'policy',
    'status',
  ])
  const answered = metrics.histogram(
    'airboss_oncall_acknowledge_seconds',
    'From the beginning of an escalation to its acknowledgement',
    buckets,
    ['policy'],
  )
  const known = new Set<string>()
  return {
    paged: (policy: string, outcome: 'sent' | 'failed') => pages.add(1, { policy, outcome }),
    /** What one step of an escalation changed; `before` is null where it began. */
    stepped: (before: EscalationState | null, after: EscalationState, asked: readonly PageRecord[]) => {
      const { policy } = after
      const labels = { policy }
      if (before === null) escalations.add(1, labels)
      const steps = new Set(asked.filter((p) => p.about === 'firing').map((p) => p.step)).size
      // The first page of an escalation is nobody's failure to answer.
      const first = (before?.pages.length ?? 0) === 0 && steps > 0
      if (steps > 0) passedOn.add(steps - (first ? 1 : 0), labels)
      if (after.acknowledgedAt !== null && (before?.acknowledgedAt ?? null) === null)
        answered.observe((after.acknowledgedAt - after.startedAt) / 1000, labels)
    },
    underWay: (states: Iterable<EscalationState>) => {
      const counts = new Map<string, number>()
      for (const { policy, status } of states) {
        known.add(policy)
        const key = `${status} ${policy}`
        counts.set(key, (counts.get(key) ?? 0) + 1)
      }
      for (const policy of known)
        for (const status of statuses)
          underWay.set(counts.get(`${status} ${policy}`) ?? 0, { policy, status })
    },
  }
}
