// The steps of a canary: watching until it is promoted, rolled back, or out of time.
import { type Duration, formatDuration, type Instant, plus } from '../lib/time.ts'
import type { Judgement } from './judge.ts'

export type Phase =
  /** Judged at each interval. */
  | 'watching'
  /** Not promoted by itself any more; still rolled back when it fails. */
  | 'held'
  | 'promoted'
  | 'rolled_back'

export interface Progress {
  readonly phase: Phase
  readonly startedAt: Instant
  /** Failed judgements since the last one that did not fail. */
  readonly failures: number
  /** Passed judgements since the last one that did not pass. */
  readonly passes: number
  /** Why it is not going on, said once: null while it is. */
  readonly waiting: 'nodata' | 'marginal' | null
  readonly decidedAt: Instant | null
}

export interface Rules {
  readonly duration: Duration
  readonly deadline: Duration
  readonly failures: number
  readonly onPass: 'promote' | 'hold'
  readonly onFail: 'rollback' | 'hold'
}

export type Effect = {
  readonly verdict: 'promote' | 'hold' | 'rollback'
  readonly reason: string
}

export interface Stepped {
  readonly state: Progress
  readonly effects: readonly Effect[]
}

export const begin = (now: Instant): Progress => ({
  phase: 'watching',
  startedAt: now,
  failures: 0,
  passes: 0,
  waiting: null,
  decidedAt: null,
})

const hold = (state: Progress, reason: string): Stepped => ({ state, effects: [{ verdict: 'hold', reason }] })

const failed = (state: Progress, { reason }: Judgement, rules: Rules, now: Instant): Stepped => {
  const failures = state.failures + 1
  const next: Progress = { ...state, failures, passes: 0, waiting: null }
  if (failures < rules.failures) return { state: next, effects: [] }
  const times = failures === 1 ? '' : ` It was so in ${failures} judgements one after another.`
  if (rules.onFail === 'rollback')
    return {
      state: { ...next, phase: 'rolled_back', decidedAt: now },
      effects: [{ verdict: 'rollback', reason: `${reason}${times}` }],
    }
  if (failures > rules.failures || state.phase === 'held') return { state: next, effects: [] }
  return hold(
    { ...next, phase: 'held', decidedAt: now },
    `${reason}${times} It is left to a person, as on_fail says.`,
  )
}

const passed = (state: Progress, { reason }: Judgement, rules: Rules, now: Instant): Stepped => {
  const passes = state.passes + 1
  const next: Progress = { ...state, failures: 0, passes, waiting: null }
  const early = now < plus(state.startedAt, rules.duration) || passes < rules.failures
  if (state.phase === 'held' || early) return { state: next, effects: [] }
  const after = `After ${formatDuration(rules.duration)}: ${reason}`
  if (rules.onPass === 'hold')
    return hold(
      { ...next, phase: 'held', decidedAt: now },
      `${after} It is left to a person, as on_pass says.`,
    )
  return {
    state: { ...next, phase: 'promoted', decidedAt: now },
    effects: [{ verdict: 'promote', reason: after }],
  }
}

const unclear = (state: Progress, judgement: Judgement): Stepped => {
  const waiting = judgement.outcome === 'marginal' ? 'marginal' : 'nodata'
  // What is merely unknown does not wipe out failures that were seen.
  const failures = waiting === 'marginal' ? 0 : state.failures
  const next: Progress = { ...state, failures, passes: 0, waiting }
  return state.waiting === waiting || state.phase === 'held'
    ? { state: next, effects: [] }
    : hold(next, judgement.reason)
}

/**
 * One judgement. `failures` bad ones in a row roll back; as many good ones promote, once `duration` is over; missing data does neither. Past `deadline` it
 * is only rolled back. A finished canary stays as it is.
 */
export const step = (state: Progress, judgement: Judgement, rules: Rules, now: Instant): Stepped => {
  if (state.phase === 'promoted' || state.phase === 'rolled_back') return { state, effects: [] }
  const { outcome } = judgement
  const stepped =
    outcome === 'fail'
      ? failed(state, judgement, rules, now)
      : outcome === 'pass'
        ? passed(state, judgement, rules, now)
        : unclear(state, judgement)
  if (stepped.state.phase !== 'watching' || now < plus(state.startedAt, rules.deadline)) return stepped
  const reason = `It was not promoted within ${formatDuration(rules.deadline)} and is left to a person. Last: ${judgement.reason}`
  return hold({ ...stepped.state, phase: 'held', decidedAt: now }, reason)
}
