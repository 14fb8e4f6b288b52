// Stands before an actuator: dry run, red switch, approval, cooldown, hourly limit, no loops, and each action once only.
import type { Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { duration, formatDuration, hour, type Instant } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { Action, Decision } from '../model/decision.ts'
import type { ActOutcome, Actuator } from '../model/ports/actuator.ts'
import type { Ledger, LedgerVersion } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { GuardConfig } from './config.ts'
import { type ActionRecord, type Approval, type HoldCause, kindOf, type Switch, switchId } from './records.ts'

interface GuardDeps {
  readonly config: GuardConfig
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

interface Hold {
  readonly cause: HoldCause
  readonly why: string
}

const dryRun: Hold = {
  cause: 'dry_run',
  why: 'dry run: nothing is done until it is approved, or actions.mode is live',
}
/** How long the world may take to say whether it would take an action. */
const rehearsal = duration(15_000)
/** How far back the chain of causes is followed. */
const deepest = 1000

/**
 * Whether the action goes back to an action of the same kind on the same subject: then Airboss would be answering itself. The decision
 * that asked for the action is no such cause.
 */
const loopOf = (ledger: Ledger, action: Action): string | null => {
  const seen = new Set<string>()
  const queue = [...action.causes]
  while (queue.length > 0 && seen.size < deepest) {
    const id = queue.pop()!
    if (seen.has(id)) continue
    seen.add(id)
    if (id === action.id) return `${action.id} stands among its own causes`
    const decision = ledger.get<Decision>(kindOf.decision, id)?.value
    const asked = decision?.action ?? ledger.get<ActionRecord>(kindOf.action, id)?.value?.action ?? null
    if (asked && asked.id !== action.id && asked.kind === action.kind && asked.subject === action.subject)
      return `it goes back to ${asked.id}, itself a ${asked.kind} of ${asked.subject}`
    if (decision) queue.push(...decision.causes)
    if (asked && asked.id !== action.id) queue.push(...asked.causes)
  }
  return seen.size >= deepest ? `more than ${deepest} causes lie before it` : null
}

class Guard implements Actuator {
  readonly #inner: Actuator
  readonly #deps: GuardDeps
  readonly #running = new Map<string, Promise<ActOutcome>>()
  readonly #outcomes
  /** Reservations are made one at a time, so that two actions never share the last place under a limit. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(inner: Actuator, deps: GuardDeps) {
    this.#inner = inner
    this.#deps = deps
    this.#outcomes = deps.metrics.counter('airboss_guard_outcomes_total', 'What the guard let happen.', [
      'kind',
      'outcome',
    ])
  }

  act(action: Action, by: Actor, signal: AbortSignal): Promise<ActOutcome> {
    const running = this.#running.get(action.id)
    if (running) return running
    const run = this.#act(action, by, signal).finally(() => this.#running.delete(action.id))
    this.#running.set(action.id, run)
    return run
  }

  async #act(action: Action, by: Actor, signal: AbortSignal): Promise<ActOutcome> {
    const reserved = this.#turn.then(() => this.#reserve(action, by))
    this.#turn = reserved.catch(() => undefined)
    const gate = await reserved
    const outcome = 'outcome' in gate ? gate : await this.#do(action, by, gate, signal)
    if (outcome.outcome === 'held') await this.#rehearse(action, by, signal)
    this.#outcomes.add(1, { kind: action.kind, outcome: outcome.outcome })
    return outcome
  }

  /** Either an answer, or the record in state `doing` that lets the caller go on. */
  async #reserve(action: Action, by: Actor): Promise<ActOutcome | LedgerVersion<ActionRecord>> {
    const { ledger, clock } = this.#deps
    const known = ledger.get<ActionRecord>(kindOf.action, action.id)
    const last = known?.value ?? null
    const settled = last && answered(last)
    if (settled) return settled
    const now = clock.now()
    const hold = this.#hold(action, last, now)
    const record: ActionRecord = {
      action,
      askedAt: last?.askedAt ?? now,
      attempts: last?.attempts ?? 0,
      doneAt: last?.doneAt ?? null,
      retryable: false,
      by: last?.by ?? by.id,
      ...(hold
        ? { state: 'held' as const, detail: hold.why, hold: hold.cause }
        : {
            state: 'doing' as const,
            detail: '',
            hold: null,
            doneAt: now,
            attempts: (last?.attempts ?? 0) + 1,
          }),
    }
    if (hold && last?.state === 'held' && last.hold === hold.cause) return { outcome: 'held', why: hold.why }
    const put = await ledger.put(kindOf.action, action.id, record, {
      by,
      why: hold ? `held: ${hold.why}` : action.reason,
      expect: known?.version ?? 0,
    })
    return hold ? { outcome: 'held', why: hold.why } : put
  }

  /** In a dry run the world is asked once whether it would take the action, and the answer stands beside it. */
  async #rehearse(action: Action, by: Actor, signal: AbortSignal): Promise<void> {
    const { ledger, clock, log } = this.#deps
    const held = ledger.get<ActionRecord>(kindOf.action, action.id)
    if (!this.#inner.rehearse || held?.value?.hold !== 'dry_run' || held.value.detail !== dryRun.why) return
    try {
      const said = await this.#inner.rehearse(action, by, clock.timeout(rehearsal, signal))
      if (said === '') return
      const detail = `${dryRun.why}; ${said}`
      const put = { by, why: `held: ${detail}`, expect: held.version }
      await ledger.put(kindOf.action, action.id, { ...held.value, detail }, put)
    } catch (error) {
      // It is held all the same; and somebody may have approved it meanwhile.
      log.warn({ action: action.id, why: messageOf(error) }, 'action could not be rehearsed')
    }
  }

  #hold(action: Action, last: ActionRecord | null, now: Instant): Hold | null {
    const { ledger, config } = this.#deps
    const red = ledger.get<Switch>(kindOf.switch, switchId)
    if (red?.value?.stopped)
      return { cause: 'switch', why: `all actions were stopped by ${red.by}: ${red.value.why}` }
    // It was let through before and the process died while it ran: the receiver may know it already, its key keeps it single. A dry run
    // that was set meanwhile holds it all the same.
    if (last?.state === 'doing' && config.mode === 'live') return null
    const loop = loopOf(ledger, action)
    if (loop) return { cause: 'loop', why: `a decision never acts on its own descendants: ${loop}` }
    if (!ledger.get<Approval>(kindOf.approval, action.id)) {
      if (config.mode === 'dry_run') return dryRun
      if (config.approvals.includes(action.kind))
        return { cause: 'approval', why: `a ${action.kind} waits for somebody's approval` }
    }
    return this.#tooOften(action, now)
  }

  #tooOften(action: Action, now: Instant): Hold | null {
    const { ledger, config } = this.#deps
    const cooldown = config.cooldown[action.kind]
    const oldestAt = now - Math.max(hour, cooldown)
    let inHour = 0
    for (const { at, value, id } of ledger.list<ActionRecord>(kindOf.action)) {
      if (at < oldestAt) break
      if (!value?.doneAt || id === action.id) continue
      const age = now - value.doneAt
      if (age < hour) inHour++
      const same = value.action.kind === action.kind && value.action.subject === action.subject
      if (same && value.state !== 'failed' && age < cooldown)
        return {
          cause: 'cooldown',
          why: `the last ${action.kind} of ${action.subject} was ${formatDuration(age as never)} ago; there must be ${formatDuration(cooldown)} between two`,
        }
    }
    if (inHour < config.limit_per_hour) return null
    return {
      cause: 'limit',
      why: `${inHour} actions were taken within an hour, at most ${config.limit_per_hour} are (actions.limit_per_hour)`,
    }
  }

  async #do(
    action: Action,
    by: Actor,
    doing: LedgerVersion<ActionRecord>,
    signal: AbortSignal,
  ): Promise<ActOutcome> {
    const { ledger, log } = this.#deps
    let outcome: ActOutcome
    try {
      outcome = await this.#inner.act(action, by, signal)
    } catch (error) {
      // Interrupted: it stays `doing`, and is done again with the same key after the restart.
      if (signal.aborted) throw new AppError('canceled', `${action.id} was interrupted`, { cause: error })
      outcome = {
        outcome: 'failed',
        why: messageOf(error),
        retryable: error instanceof AppError && error.retryable,
      }
    }
    const detail = outcome.outcome === 'done' ? outcome.detail : outcome.why
    const record: ActionRecord = {
      ...doing.value!,
      state: outcome.outcome,
      detail,
      hold: outcome.outcome === 'held' ? 'approval' : null,
      retryable: outcome.outcome === 'failed' && outcome.retryable,
    }
    await ledger.put(kindOf.action, action.id, record, {
      by,
      why: `${outcome.outcome}: ${detail}`,
      expect: doing.version,
    })
    log[outcome.outcome === 'failed' ? 'error' : 'info'](
      { action: action.id, kind: action.kind, subject: action.subject, outcome: outcome.outcome, detail },
      'action carried out',
    )
    return outcome
  }
}

/** What an action that has come to its end answers when it is asked for again. */
const answered = (record: ActionRecord): ActOutcome | null => {
  if (record.state === 'done') return { outcome: 'done', detail: record.detail }
  if (record.state === 'failed' && !record.retryable)
    return { outcome: 'failed', why: record.detail, retryable: false }
  if (record.state === 'superseded' || record.state === 'expired')
    return { outcome: 'failed', why: record.detail, retryable: false }
  return null
}

/**
 * Wraps an actuator. An action that may go is recorded as `doing` before the inner actuator hears of it and as `done` or `failed` after;
 * its id is the idempotency key for whoever receives it. Rejects `canceled` when `signal` interrupts it, and with the ledger's own errors.
 */
export const guard = (inner: Actuator, deps: GuardDeps): Actuator => new Guard(inner, deps)
