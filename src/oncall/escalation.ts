// One escalation as a machine: who is paged next, and when it is over.
import { hash64 } from '../lib/hash.ts'
import { type Duration, type Instant, plus } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import type { Policy } from './config.ts'

/** A message to one user. It is `asked` until the record says that it was sent. */
export interface PageRecord {
  readonly id: string
  readonly user: string
  /** From 1. */
  readonly step: number
  readonly about: 'firing' | 'resolved'
  readonly state: 'asked' | 'sent' | 'failed'
  readonly at: Instant
  readonly why: string
}

export interface EscalationState {
  readonly id: string
  readonly policy: string
  readonly groupKey: string
  readonly status: 'open' | 'acknowledged' | 'resolved'
  readonly startedAt: Instant
  /** How often the steps have been gone through already. */
  readonly round: number
  /** Index of the step that comes next. */
  readonly step: number
  /** When it comes; null when nobody is to be paged any more. */
  readonly nextAt: Instant | null
  readonly notification: Notification
  readonly pages: readonly PageRecord[]
  readonly acknowledgedBy: string | null
  readonly acknowledgedAt: Instant | null
  readonly endedAt: Instant | null
}

export type EscalationEvent =
  | { readonly kind: 'firing'; readonly notification: Notification }
  | { readonly kind: 'resolved'; readonly notification: Notification }
  /** `rangFor`: the instant whose timer rang; it has come then, whatever a clock that was set says. */
  | { readonly kind: 'tick'; readonly rangFor?: Instant }
  | { readonly kind: 'acknowledge'; readonly by: string }
  | { readonly kind: 'closed'; readonly by: string }
  | { readonly kind: 'delivered'; readonly page: string; readonly failure: string | null }

export interface Stepped {
  readonly state: EscalationState
  /** Pages to deliver now; they stand in the state as `asked`. */
  readonly effects: readonly PageRecord[]
}

/** The policy's id and the group's key and start: one group that fires again later is another escalation. */
export const escalationId = (policy: string, groupKey: string, startedAt: Instant): string =>
  hash64([policy, groupKey, String(startedAt)])

/** An escalation as it begins: its first step is due after that step's delay, which may be none. */
export const begin = (policy: Policy, notification: Notification, now: Instant): EscalationState => ({
  id: escalationId(policy.name, notification.groupKey, now),
  policy: policy.name,
  groupKey: notification.groupKey,
  status: 'open',
  startedAt: now,
  round: 0,
  step: 0,
  nextAt: plus(now, policy.steps[0]?.after ?? 0),
  notification,
  pages: [],
  acknowledgedBy: null,
  acknowledgedAt: null,
  endedAt: null,
})

const page = (
  state: EscalationState,
  user: string,
  step: number,
  about: PageRecord['about'],
  now: Instant,
): PageRecord => ({
  id: hash64([state.id, String(state.round), String(step), user, about]),
  user,
  step,
  about,
  state: 'asked',
  at: now,
  why: '',
})

const asking = (state: EscalationState, pages: readonly PageRecord[]): Stepped => ({
  state: { ...state, pages: [...state.pages, ...pages] },
  effects: pages,
})

/** The longest that a step may have to wait for. */
export const longestWait = (policy: Policy): Duration =>
  Math.max(60_000, ...policy.steps.map((s) => s.after)) as Duration

/** Goes through every step whose time has come, in order. */
const due = (start: EscalationState, policy: Policy, now: Instant, rangFor?: Instant): Stepped => {
  let state = start
  const effects: PageRecord[] = []
  let rang = rangFor
  while (state.status === 'open' && state.nextAt !== null && (state.nextAt <= now || state.nextAt === rang)) {
    rang = undefined
    const step = policy.steps[state.step]
    if (!step) {
      // The policy has fewer steps than when the escalation began.
      state = { ...state, nextAt: null }
      break
    }
    const pages = step.users.map((user) => page(state, user, state.step + 1, 'firing', now))
    effects.push(...pages)
    const last = state.step + 1 >= policy.steps.length
    const over = last && state.round >= policy.repeat
    const next = last ? 0 : state.step + 1
    // Whoever comes last has as long to answer as those before, and never less than a minute: no delays must not page without end.
    const wait = Math.max(policy.steps[next]?.after ?? 0, last ? Math.max(step.after, 60_000) : 0)
    state = {
      ...state,
      pages: [...state.pages, ...pages],
      round: last && !over ? state.round + 1 : state.round,
      step: next,
      nextAt: over ? null : plus(now, wait),
    }
  }
  return { state, effects }
}

/** Nobody answered in all rounds, and still the group has something to say: begin again with the first step. */
const fired = (
  state: EscalationState,
  notification: Notification,
  policy: Policy,
  now: Instant,
): EscalationState => {
  const exhausted = state.status === 'open' && state.nextAt === null && state.pages.length > 0
  if (!exhausted || notification.reason === 'some alerts resolved') return { ...state, notification }
  const nextAt = plus(now, policy.steps[0]?.after ?? 0)
  return { ...state, notification, round: state.round + 1, step: 0, nextAt }
}

const close = (state: EscalationState, notification: Notification, now: Instant): Stepped => {
  const told = new Map<string, number>()
  for (const p of state.pages) if (p.about === 'firing' && p.state !== 'failed') told.set(p.user, p.step)
  const ended: EscalationState = { ...state, status: 'resolved', nextAt: null, endedAt: now, notification }
  // Everybody who was paged is told once that it is over; a page still on its way is called off.
  const pages = [...told].map(([user, step]) => page(ended, user, step, 'resolved', now))
  const kept = ended.pages.map(
    (p): PageRecord =>
      p.state === 'asked' ? { ...p, state: 'failed', why: 'resolved before it was sent' } : p,
  )
  return asking({ ...ended, pages: kept }, pages)
}

/** One event. `policy` is the policy as it is now configured. */
export const step = (
  state: EscalationState,
  event: EscalationEvent,
  policy: Policy,
  now: Instant,
): Stepped => {
  const same: Stepped = { state, effects: [] }
  if (event.kind === 'delivered') {
    const pages = state.pages.map((p): PageRecord => {
      if (p.id !== event.page || p.state !== 'asked') return p
      return event.failure === null ? { ...p, state: 'sent' } : { ...p, state: 'failed', why: event.failure }
    })
    return { state: { ...state, pages }, effects: [] }
  }
  if (state.status === 'resolved') return same
  switch (event.kind) {
    case 'firing':
      return due(fired(state, event.notification, policy, now), policy, now)
    case 'tick':
      return due(state, policy, now, event.rangFor)
    case 'acknowledge':
      return state.status === 'acknowledged'
        ? same
        : {
            state: {
              ...state,
              status: 'acknowledged',
              nextAt: null,
              acknowledgedBy: event.by,
              acknowledgedAt: now,
            },
            effects: [],
          }
    case 'resolved':
      return close(state, event.notification, now)
    case 'closed':
      return close(
        { ...state, acknowledgedBy: state.acknowledgedBy ?? event.by },
        { ...state.notification, status: 'resolved' },
        now,
      )
  }
}
