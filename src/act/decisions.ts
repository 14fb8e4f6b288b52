// Writes decisions down, hands their actions to the guard, and goes on with what was held or interrupted.
import { type Clock, every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, formatDuration, minute, second } from '../lib/time.ts'
import { type Actor, system } from '../model/actor.ts'
import type { Batch } from '../model/batch.ts'
import type { Action, Decision } from '../model/decision.ts'
import { ownBatch } from '../model/own-series.ts'
import type { Actuator } from '../model/ports/actuator.ts'
import type { Decisions } from '../model/ports/decisions.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesTable } from '../model/series.ts'
import {
  type ActionRecord,
  type ActionState,
  type Approval,
  type DecisionEntry,
  kindOf,
  type Switch,
  switchId,
} from './records.ts'
import { createTally } from './tally.ts'

interface DecisionsDeps {
  readonly ledger: Ledger
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  /** The guarded actuator. */
  readonly actuator: Actuator
  /** A held action older than this is not done any more. */
  readonly expireAfter: Duration
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface DecisionDesk extends Decisions, Service {
  /** The newest decisions, with what became of their actions. */
  list(limit: number): readonly DecisionEntry[]
  /** Lets a held action go. `not_found`, or `conflict` when it waits no more. Resolves when the approval is on record. */
  approve(actionId: string, by: Actor, why: string): Promise<void>
  /** The big red switch: no action begins, and calls under way stop. */
  stop(by: Actor, why: string): Promise<void>
  resume(by: Actor, why: string): Promise<void>
  /** Whether actions are stopped, and by whom. */
  stopped(): { readonly by: string; readonly why: string } | null
  /** Tries again whatever is held by cooldown, limit or switch, or was interrupted; done every 15 s by itself. */
  retryHeld(): void
}

const tick = duration(15_000)
/** How often, and how many times, an action is asked for again after its actuator gave up. */
const retryEvery = duration(5 * minute)
const mostRetries = 5

const settled: ReadonlySet<ActionState> = new Set(['done', 'superseded', 'expired'])
const isOpen = (r: ActionRecord): boolean =>
  !settled.has(r.state) && !(r.state === 'failed' && (!r.retryable || r.attempts >= mostRetries))

class Desk implements DecisionDesk {
  readonly #deps: DecisionsDeps
  readonly #tally = createTally()
  /** Actions that have not come to their end. */
  readonly #open = new Set<string>()
  readonly #acting = new Set<string>()
  readonly #running = new Set<Promise<void>>()
  readonly #life = new AbortController()
  #go = new AbortController()
  readonly #lost

  constructor(deps: DecisionsDeps) {
    this.#deps = deps
    this.#lost = deps.metrics.counter(
      'airboss_decision_series_failures_total',
      'Samples of decision counters that could not be written.',
    )
  }

  async start(): Promise<void> {
    const { ledger, clock, log } = this.#deps
    const versions = [...ledger.history({ kind: kindOf.action, limit: Number.POSITIVE_INFINITY })].reverse()
    for (const { value } of versions) {
      const record = value as ActionRecord | null
      if (record && ['held', 'done', 'failed'].includes(record.state))
        this.#tally.action(record.action.kind, record.state)
    }
    for (const { value } of ledger.list<Decision>(kindOf.decision)) {
      if (!value) continue
      this.#tally.decision(value.kind, value.subject, value.verdict)
      // The process may have died between the decision and its action.
      const young = clock.now() - value.at < this.#deps.expireAfter
      if (value.action && young && !ledger.get(kindOf.action, value.action.id))
        await this.#ask(value.action, system(value.kind))
    }
    this.#tally.loaded()
    for (const { id, value } of ledger.list<ActionRecord>(kindOf.action))
      if (value && isOpen(value)) this.#open.add(id)
    this.retryHeld()
    every(clock, tick, () => this.#tick(), {
      signal: this.#life.signal,
      failed: (error) => log.error({ err: error }, 'decision counters failed'),
    })
  }

  async drain(): Promise<void> {
    this.#life.abort()
    this.#go.abort()
    await Promise.all(this.#running)
  }

  async record(decision: Decision, signal: AbortSignal): Promise<void> {
    const by = system(decision.kind)
    try {
      await this.#deps.ledger.put(kindOf.decision, decision.id, decision, {
        by,
        why: decision.reason,
        expect: 0,
      })
    } catch (error) {
      // The same decision again, after a restart: what it asked for is looked after below.
      if (!(error instanceof AppError && error.code === 'conflict')) throw error
      if (decision.action) await this.#ask(decision.action, by)
      return
    }
    this.#tally.decision(decision.kind, decision.subject, decision.verdict)
    if (decision.action) await this.#ask(decision.action, by)
    await this.#write(signal)
  }

  async #ask(action: Action, by: Actor): Promise<void> {
    const { ledger, clock } = this.#deps
    if (ledger.get(kindOf.action, action.id)) return
    const record: ActionRecord = {
      action,
      state: 'asked',
      askedAt: clock.now(),
      doneAt: null,
      attempts: 0,
      detail: '',
      hold: null,
      retryable: false,
      by: by.id,
    }
    await ledger.put(kindOf.action, action.id, record, { by, why: action.reason, expect: 0 })
    await this.#supersede(action, by)
    this.#open.add(action.id)
    this.#run(action)
  }

  /** What waits from before is overtaken: a person who approves it later would bring back an old state of the world. */
  async #supersede(action: Action, by: Actor): Promise<void> {
    for (const id of this.#open) {
      const record = this.#recordOf(id)
      const same = record?.action.kind === action.kind && record.action.subject === action.subject
      if (id === action.id || !record || !same || record.state === 'doing') continue
      await this.#end(id, 'superseded', `${action.id} came after it`, by)
    }
  }

  async #end(id: string, state: ActionState, detail: string, by: Actor): Promise<void> {
    const version = this.#deps.ledger.get<ActionRecord>(kindOf.action, id)
    this.#open.delete(id)
    if (!version?.value) return
    const next: ActionRecord = { ...version.value, state, detail, hold: null, retryable: false }
    await this.#deps.ledger
      .put(kindOf.action, id, next, { by, why: detail, expect: version.version })
      .catch((error: unknown) => this.#failed(id, error))
  }

  #recordOf(id: string): ActionRecord | null {
    return this.#deps.ledger.get<ActionRecord>(kindOf.action, id)?.value ?? null
  }

  /** Hands an action to the guard, without waiting for it. */
  #run(action: Action): void {
    if (this.#life.signal.aborted || this.#acting.has(action.id)) return
    this.#acting.add(action.id)
    this.#spawn(action.id, () => this.#act(action).finally(() => this.#acting.delete(action.id)))
  }

  async #act(action: Action): Promise<void> {
    const { ledger, actuator } = this.#deps
    const before = ledger.get(kindOf.action, action.id)?.version
    const by = this.#recordOf(action.id)?.by ?? 'system:act'
    const outcome = await actuator.act(action, { id: by, kind: 'system' }, this.#go.signal)
    const after = ledger.get<ActionRecord>(kindOf.action, action.id)
    if (after?.value && !isOpen(after.value)) this.#open.delete(action.id)
    if (after?.version === before) return
    this.#tally.action(action.kind, outcome.outcome)
    await this.#write(this.#life.signal)
  }

  #failed(id: string, error: unknown): void {
    if (error instanceof AppError && (error.code === 'canceled' || error.code === 'conflict'))
      this.#deps.log.info({ action: id, why: error.message }, 'action goes on later')
    else this.#deps.log.error({ action: id, err: error }, 'action could not be handled')
  }

  retryHeld(): void {
    const { clock, ledger } = this.#deps
    const now = clock.now()
    for (const id of [...this.#open]) {
      const version = ledger.get<ActionRecord>(kindOf.action, id)
      const record = version?.value
      if (!record) this.#open.delete(id)
      // One that was interrupted is no younger for it.
      else if (!this.#acting.has(id) && now - record.askedAt > this.#deps.expireAfter)
        this.#spawn(id, () =>
          this.#end(
            id,
            'expired',
            `it waited longer than ${formatDuration(this.#deps.expireAfter)}`,
            system('act'),
          ),
        )
      else if (this.#due(record, now - version.at)) this.#run(record.action)
    }
  }

  #due(record: ActionRecord, unchanged: number): boolean {
    if (record.state === 'failed') return unchanged >= retryEvery
    if (record.state !== 'held') return true
    // A configuration made live, or a kind no longer to be approved, does not set free what was held before: a person does.
    const approved = this.#deps.ledger.get(kindOf.approval, record.action.id) !== null
    return approved || record.hold === 'cooldown' || record.hold === 'limit' || record.hold === 'switch'
  }

  #spawn(id: string, run: () => Promise<void>): void {
    const task = run().catch((error: unknown) => this.#failed(id, error))
    this.#running.add(task)
    void task.finally(() => this.#running.delete(task))
  }

  list(limit: number): readonly DecisionEntry[] {
    const { ledger } = this.#deps
    const entries: DecisionEntry[] = []
    for (const { value: decision } of ledger.list<Decision>(kindOf.decision)) {
      if (entries.length >= limit) break
      if (!decision) continue
      const id = decision.action?.id
      entries.push({
        decision,
        action: id === undefined ? null : this.#recordOf(id),
        approval: id === undefined ? null : (ledger.get<Approval>(kindOf.approval, id)?.value ?? null),
      })
    }
    return entries
  }

  async approve(actionId: string, by: Actor, why: string): Promise<void> {
    const record = this.#recordOf(actionId)
    if (!record) throw new AppError('not_found', `no action has the id ${actionId}`)
    if (record.state !== 'held')
      throw new AppError('conflict', `${actionId} is ${record.state}: only a held action can be approved`)
    if (record.hold === 'loop')
      throw new AppError('conflict', `${actionId} cannot be approved: ${record.detail}`)
    const approval: Approval = { by: by.id, why }
    await this.#deps.ledger.put(kindOf.approval, actionId, approval, { by, why })
    this.#run(record.action)
  }

  stopped(): { readonly by: string; readonly why: string } | null {
    const red = this.#deps.ledger.get<Switch>(kindOf.switch, switchId)
    return red?.value?.stopped ? { by: red.by, why: red.value.why } : null
  }

  async stop(by: Actor, why: string): Promise<void> {
    await this.#deps.ledger.put(kindOf.switch, switchId, { stopped: true, why } satisfies Switch, { by, why })
    this.#go.abort()
  }

  async resume(by: Actor, why: string): Promise<void> {
    await this.#deps.ledger.put(kindOf.switch, switchId, { stopped: false, why } satisfies Switch, {
      by,
      why,
    })
    if (this.#life.signal.aborted) return
    this.#go = new AbortController()
    this.retryHeld()
  }

  async #tick(): Promise<void> {
    this.retryHeld()
    await this.#write(this.#life.signal)
  }

  async #write(signal: AbortSignal): Promise<void> {
    const { table, sink, clock, log } = this.#deps
    const samples = this.#tally.samples(clock.now(), second)
    if (samples.length === 0) return
    const { batch, dropped } = ownBatch(table, samples, this.#tally.metadata)
    if (dropped > 0) this.#lost.add(dropped)
    try {
      await sink.push(batch, signal)
    } catch (error) {
      // The decision itself is in the ledger; its counter comes with the next tick.
      this.#lost.add(samples.length)
      log.warn({ why: messageOf(error) }, 'decision counters could not be written')
    }
  }
}

/** Decisions over a ledger and a guarded actuator. `start` after the ledger's own. */
export const createDecisions = (deps: DecisionsDeps): DecisionDesk => new Desk(deps)
