// Counts decisions and actions as series, so that alerting on a decision is a rule like any other.
import { type Duration, type Instant, plus } from '../lib/time.ts'
import type { Metadata } from '../model/batch.ts'
import type { OwnSample } from '../model/own-series.ts'

interface Counted {
  readonly metric: string
  readonly labels: Readonly<Record<string, string>>
  value: number
  fresh: boolean
}

const metadata: readonly Metadata[] = [
  { metric: 'airboss_decisions_total', type: 'counter', help: 'Decisions taken.', unit: '' },
  { metric: 'airboss_actions_total', type: 'counter', help: 'What became of actions.', unit: '' },
]

export interface Tally {
  readonly metadata: readonly Metadata[]
  decision(kind: string, subject: string, verdict: string): void
  action(kind: string, outcome: string): void
  /** From now on new counters are announced with a 0 first, so that their first increase is seen. */
  loaded(): void
  samples(at: Instant, before: Duration): OwnSample[]
}

export const createTally = (): Tally => {
  const counters = new Map<string, Counted>()
  let announcing = false
  const add = (metric: string, labels: Readonly<Record<string, string>>): void => {
    const key = JSON.stringify([metric, labels])
    const known = counters.get(key)
    if (known) known.value++
    else counters.set(key, { metric, labels, value: 1, fresh: announcing })
  }
  return {
    metadata,
    decision: (kind, subject, verdict) => add('airboss_decisions_total', { kind, subject, verdict }),
    action: (kind, outcome) => add('airboss_actions_total', { kind, outcome }),
    loaded: () => {
      announcing = true
    },
    samples: (at, before) => {
      const out: OwnSample[] = []
      for (const counter of counters.values()) {
        const { metric, labels, value } = counter
        if (counter.fresh) out.push({ metric, labels, value: 0, at: plus(at, -before) })
        counter.fresh = false
        out.push({ metric, labels, value, at })
      }
      return out
    },
  }
}
