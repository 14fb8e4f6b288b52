// On-call: a notifier that finds a person, and asks the next one until somebody answers.
import type { Clock, Timer } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { RowLog } from '../lib/row-log.ts'
import { type Duration, duration, type Instant, minute, plus } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { Notification } from '../model/alert.ts'
import type { Counter, Metrics } from '../model/ports/metrics.ts'
import type { Delivery, Notifier } from '../model/ports/notifier.ts'
import type { AckLink, Escalation, OnCall } from '../model/ports/on-call.ts'
import type { Page, Pager } from '../model/ports/pager.ts'
import type { Service } from '../model/ports/service.ts'
import type { AckSigner } from './ack-link.ts'
import type { OncallConfig, Policy, User } from './config.ts'
import {
  begin,
  type EscalationEvent,
  type EscalationState,
  longestWait,
  type PageRecord,
  step,
} from './escalation.ts'
import { createOncallMetrics } from './oncall-metrics.ts'

export interface OncallDeps {
  readonly config: OncallConfig
  /** The user's devices, in the order they are listed. */
  readonly pagersFor: (user: User) => readonly Pager[]
  readonly rows: RowLog
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly signer: AckSigner
  /** How people reach this Airboss when `public_url` is not configured. */
  readonly publicURL: () => string
}

export interface Oncall extends Service, OnCall {
  /** The notifier behind one `oncall_configs` entry. Throws `bad_data` for a policy that is not configured. */
  notifier(policy: string): Notifier
  /** Puts another configuration in force; escalations under way go on with it. */
  apply(config: OncallConfig, pagersFor: OncallDeps['pagersFor']): void
}

/** Ended escalations are shown this long. */
const kept = duration(24 * 60 * minute)
/** A page is given up, for the record, when its channel could not take it for so long. */
const pageTime = duration(10 * minute)
const compactAbove = 2 << 20

interface Row {
  readonly k: 'escalation'
  readonly state: EscalationState
}

class OncallRoom implements Oncall {
  readonly #deps: OncallDeps
  readonly #states = new Map<string, EscalationState>()
  readonly #timers = new Map<string, Timer>()
  readonly #sending = new Set<Promise<void>>()
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #calledOff = new Map<string, AbortController>()
  readonly #stop = new AbortController()
  readonly #figures
  readonly #failures: Counter
  #config: OncallConfig
  #pagersFor: OncallDeps['pagersFor']
  #compactAt = compactAbove
  constructor(deps: OncallDeps) {
    this.#deps = deps
    this.#config = deps.config
    this.#pagersFor = deps.pagersFor
    this.#figures = createOncallMetrics(deps.metrics)
    this.#failures = deps.metrics.counter(
      'airboss_oncall_state_failures_total',
      'Escalation rows not written',
    )
  }

  async start(): Promise<void> {
    const now = this.#deps.clock.now()
    for (const row of (await this.#deps.rows.replay()) as Row[]) this.#states.set(row.state.id, row.state)
    for (const state of [...this.#states.values()]) {
      if (state.endedAt !== null && state.endedAt < now - kept) this.#states.delete(state.id)
      // What was asked for and not recorded as done is done again, under the same id.
      for (const page of state.pages) if (page.state === 'asked') this.#send(state, page)
      this.#arm(state)
    }
    this.#figures.underWay(this.#states.values())
    this.#deps.log.info({ open: this.open().length }, 'on-call started')
  }

  apply(config: OncallConfig, pagersFor: OncallDeps['pagersFor']): void {
    this.#config = config
    this.#pagersFor = pagersFor
  }

  notifier(policyName: string): Notifier {
    if (!this.#config.policies.has(policyName))
      throw new AppError(
        'bad_data',
        `policy ${JSON.stringify(policyName)} is not defined under oncall.policies`,
      )
    return {
      notify: async (notification) => {
        try {
          return await this.#notified(policyName, notification)
        } catch (error) {
          return { outcome: 'retry', why: messageOf(error), after: null }
        }
      },
    }
  }

  #notified(policyName: string, notification: Notification): Promise<Delivery> {
    return this.#inTurn(`${policyName} ${notification.groupKey}`, async () => {
      const policy = this.#policy(policyName)
      if (!policy) return { outcome: 'refused', why: `policy ${policyName} is not configured any more` }
      const open = [...this.#states.values()].find(
        (s) => s.status !== 'resolved' && s.policy === policyName && s.groupKey === notification.groupKey,
      )
      const firing = notification.status === 'firing'
      if (!open && !firing) return { outcome: 'sent' }
      const state = open ?? begin(policy, notification, this.#deps.clock.now())
      // The record first: once it says `sent`, the escalation survives whatever happens.
      await this.#advance(state, { kind: firing ? 'firing' : 'resolved', notification }, true)
      return { outcome: 'sent' }
    })
  }

  #policy(name: string): Policy | null {
    return this.#config.policies.get(name) ?? null
  }

  /** One after the other for one key, so that two events never start from the same state. */
  #inTurn<T>(key: string, run: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key) ?? Promise.resolve()
    const turn = before.then(run, run)
    const mark = turn
      .catch(() => undefined)
      .finally(() => {
        if (this.#turns.get(key) === mark) this.#turns.delete(key)
      })
    this.#turns.set(key, mark)
    return turn
  }

  /** Steps the machine, records, then pages. Where the record must hold first (`strict`), a failed write changes nothing. */
  async #advance(state: EscalationState, event: EscalationEvent, strict: boolean): Promise<EscalationState> {
    const gone: Policy = { name: state.policy, repeat: 0, steps: [] }
    const next = step(state, event, this.#policy(state.policy) ?? gone, this.#deps.clock.now())
    if (next.state === state && this.#states.has(state.id)) return state
    try {
      await this.#deps.rows.append([{ k: 'escalation', state: next.state } satisfies Row])
    } catch (error) {
      if (strict) throw error
      // A page that cannot be recorded still goes out: one too many beats one too few.
      this.#failures.add()
      this.#deps.log.error({ error: messageOf(error), escalation: state.id }, 'escalation not recorded')
    }
    this.#figures.stepped(this.#states.get(state.id) ?? null, next.state, next.effects)
    this.#states.set(state.id, next.state)
    this.#figures.underWay(this.#states.values())
    for (const page of next.state.pages) if (page.state === 'failed') this.#calledOff.get(page.id)?.abort()
    for (const page of next.effects) this.#send(next.state, page)
    this.#arm(next.state)
    await this.#compact()
    return next.state
  }

  #arm(state: EscalationState): void {
    this.#timers.get(state.id)?.cancel()
    this.#timers.delete(state.id)
    const { nextAt } = state
    if (nextAt === null || this.#stop.signal.aborted) return
    const policy = this.#policy(state.policy)
    const left = Math.max(nextAt - this.#deps.clock.now(), 0)
    // More than any step may wait is left only by a clock that was set back: nobody sleeps through that.
    const wait = (policy ? Math.min(left, longestWait(policy)) : left) as Duration
    this.#timers.set(
      state.id,
      this.#deps.clock.after(
        wait,
        () => void this.#event(state.id, { kind: 'tick', rangFor: nextAt }, false).catch(() => undefined),
      ),
    )
  }

  async #event(id: string, event: EscalationEvent, strict: boolean): Promise<EscalationState> {
    const known = this.#states.get(id)
    if (!known) throw new AppError('not_found', `escalation ${id} not found`)
    return await this.#inTurn(`${known.policy} ${known.groupKey}`, () =>
      this.#advance(this.#states.get(id) ?? known, event, strict),
    )
  }

  #send(state: EscalationState, page: PageRecord): void {
    const run = this.#page(state, page)
      .catch((error: unknown) =>
        this.#deps.log.error({ error: messageOf(error), page: page.id }, 'page failed'),
      )
      .finally(() => this.#sending.delete(run))
    this.#sending.add(run)
  }

  async #page(state: EscalationState, record: PageRecord): Promise<void> {
    const { clock, log } = this.#deps
    const off = new AbortController()
    this.#calledOff.set(record.id, off)
    const signal = clock.timeout(pageTime, AbortSignal.any([off.signal, this.#stop.signal]))
    const user = this.#config.users.get(record.user)
    const page = this.#pageOf(state, record)
    const outcomes = user
      ? await Promise.all(this.#pagersFor(user).map((pager) => pager.page(page, signal)))
      : [{ outcome: 'refused', why: `user ${record.user} is not configured any more` } as const]
    this.#calledOff.delete(record.id)
    // Interrupted by our own stopping: it stays asked, and is sent after the restart.
    if (this.#stop.signal.aborted && !outcomes.some((o) => o.outcome === 'sent')) return
    const failures = outcomes.flatMap((o) => (o.outcome === 'sent' ? [] : [o.why]))
    // One device that rang is enough.
    const failure =
      failures.length === outcomes.length ? failures.join('; ') || 'the user has no device' : null
    this.#figures.paged(state.policy, failure === null ? 'sent' : 'failed')
    if (failure !== null)
      log.error({ user: record.user, escalation: state.id, why: failure }, 'page not delivered')
    await this.#event(state.id, { kind: 'delivered', page: record.id, failure }, false)
  }

  #pageOf(state: EscalationState, record: PageRecord): Page {
    const { signer, publicURL } = this.#deps
    const expiresAt = plus(record.at, this.#config.ackExpiry)
    const token = signer.sign({ escalation: state.id, user: record.user, page: record.id, expiresAt })
    const base = this.#config.publicURL ?? publicURL()
    return {
      id: record.id,
      user: record.user,
      notification: { ...state.notification, status: record.about },
      escalation: { id: state.id, policy: state.policy, step: record.step },
      ackURL: record.about === 'firing' ? `${base}/oncall/ack/${token}` : null,
      at: record.at,
    }
  }

  async #compact(): Promise<void> {
    if (this.#deps.rows.size() < this.#compactAt) return
    this.#compactAt = Number.POSITIVE_INFINITY
    const limit = this.#deps.clock.now() - kept
    for (const s of this.#states.values())
      if (s.endedAt !== null && s.endedAt < limit) this.#states.delete(s.id)
    try {
      await this.#deps.rows.rewrite([...this.#states.values()].map((state) => ({ k: 'escalation', state })))
    } catch (error) {
      this.#failures.add()
      this.#deps.log.error({ error: messageOf(error) }, 'escalations not compacted')
    } finally {
      this.#compactAt = Math.max(compactAbove, this.#deps.rows.size() * 2)
    }
  }

  open(): Escalation[] {
    return this.all().filter((e) => e.status !== 'resolved')
  }
  all(): Escalation[] {
    return [...this.#states.values()].sort((a, b) => b.startedAt - a.startedAt)
  }
  acknowledge(id: string, by: Actor): Promise<Escalation> {
    if (this.#states.get(id)?.status === 'resolved')
      return Promise.reject(new AppError('conflict', `escalation ${id} is over already`))
    return this.#event(id, { kind: 'acknowledge', by: by.id }, true)
  }
  resolve(id: string, by: Actor): Promise<Escalation> {
    return this.#event(id, { kind: 'closed', by: by.id }, true)
  }
  verifyLink(token: string): AckLink {
    const claim = this.#deps.signer.verify(token, this.#deps.clock.now() as Instant)
    const escalation = this.#states.get(claim.escalation)
    if (!escalation?.pages.some((p) => p.id === claim.page && p.user === claim.user))
      throw new AppError('not_found', 'what this link was about is over and no longer kept')
    return { escalation, user: claim.user }
  }

  async drain(): Promise<void> {
    this.#stop.abort(new Error('stopping'))
    for (const timer of this.#timers.values()) timer.cancel()
    await Promise.all([...this.#sending, ...this.#turns.values()])
  }
}

/** On-call. Nothing runs before `start`, which reads back what the rows hold. */
export const createOncall = (deps: OncallDeps): Oncall => new OncallRoom(deps)
