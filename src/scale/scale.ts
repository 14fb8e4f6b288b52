// Watches the load of agents and decides how many replicas they should have.
import { type Clock, every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { formatDuration, type Instant, minute } from '../lib/time.ts'
import { system } from '../model/actor.ts'
import type { Decision } from '../model/decision.ts'
import { isFresh } from '../model/freshness.ts'
import type { Decisions } from '../model/ports/decisions.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import type { ScaleView } from '../model/views.ts'
import { placeText } from '../model/workload.ts'
import { type Combined, combine, type Measured, type Proposal, propose } from './compare.ts'
import type { Autoscaler } from './config.ts'
import { type Allowed, type Change, decide, type Run, recentChanges, remember } from './policy.ts'
import { reasonOf } from './words.ts'

interface ScalerDeps {
  readonly config: readonly Autoscaler[]
  readonly querier: Querier
  readonly decisions: Decisions
  readonly ledger: Ledger
  /** How many replicas a deployment says it has; null when it does not. */
  readonly declared: (agent: string) => number | null
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface Scaler extends Service {
  list(): readonly ScaleView[]
  /** Evaluates one autoscaler at a moment, as the timer does. */
  evaluate(name: string, now: Instant): Promise<void>
}

/** What outlives a restart: ledger kind `autoscale`, written when it changes. */
interface Memory {
  readonly runs: readonly Run[]
  readonly changes: readonly Change[]
  /** The count last decided for and not reached yet. */
  readonly asked: number | null
  /** When it was asked for last; left out where no one kept it. */
  readonly askedAt?: Instant
  readonly held: boolean
}

interface Watched {
  readonly config: Autoscaler
  readonly name: string
  memory: Memory
  state: ScaleView
}

const kind = 'autoscale'
const actionOf = (name: string, at: Instant): string => `scale:${name}:${at}:do`
/**
 * How long after an action failed for good, or was left too long, the same count is asked for again: seldom enough
 * to leave others their share of the hourly limit.
 */
const pause = 5 * minute
/** One that may be repeated is, every five minutes for a while; after this it was the last time. */
const givenUp = 15 * minute
const nothing: Memory = { runs: [], changes: [], asked: null, held: false }

class Autoscalers implements Scaler {
  readonly #deps: ScalerDeps
  readonly #watched = new Map<string, Watched>()
  readonly #life = new AbortController()
  readonly #busy = new Set<Promise<void>>()
  readonly #failures
  readonly #desired

  constructor(deps: ScalerDeps) {
    this.#deps = deps
    const { metrics } = deps
    this.#failures = metrics.counter(
      'airboss_autoscale_failures_total',
      'Autoscaler evaluations that failed.',
      ['name'],
    )
    this.#desired = metrics.gauge('airboss_autoscale_desired_replicas', 'Replicas an autoscaler wants.', [
      'name',
    ])
    for (const config of deps.config) {
      const name = config.name ?? config.agent
      const { agent, min_replicas: min, max_replicas: max } = config
      const state: ScaleView = {
        name,
        agent,
        min,
        max,
        current: null,
        desired: null,
        reason: 'Not looked at yet.',
        status: 'waiting',
        checkedAt: null,
      }
      this.#watched.set(name, { config, name, memory: nothing, state })
    }
  }

  async start(): Promise<void> {
    const { ledger, clock, log } = this.#deps
    const now = clock.now()
    for (const w of this.#watched.values()) {
      const kept = ledger.get<Memory>(kind, w.name)?.value
      // It is written on change only: what was recommended last held until the process ended, so it counts as of now.
      if (kept)
        w.memory = {
          ...kept,
          runs: kept.runs.map((r, i, all) => (i === all.length - 1 ? { ...r, toAt: now } : r)),
        }
      every(clock, w.config.interval, (at) => this.#track(w, at), {
        signal: this.#life.signal,
        failed: (error) => log.error({ err: error, autoscaler: w.name }, 'autoscaler failed'),
      })
    }
  }

  async drain(): Promise<void> {
    this.#life.abort()
    await Promise.all(this.#busy)
  }

  list(): readonly ScaleView[] {
    return [...this.#watched.values()].map((w) => w.state)
  }

  async evaluate(name: string, now: Instant): Promise<void> {
    const w = this.#watched.get(name)
    if (!w) throw new AppError('not_found', `no autoscaler is named ${name}`)
    await this.#track(w, now)
  }

  async #track(w: Watched, now: Instant): Promise<void> {
    const run = this.#evaluate(w, now).catch((error: unknown) => {
      if (this.#life.signal.aborted) return
      this.#failures.add(1, { name: w.name })
      this.#deps.log.warn({ autoscaler: w.name, why: messageOf(error) }, 'autoscaler could not be evaluated')
      w.state = {
        ...w.state,
        status: 'held',
        reason: `It could not be looked at: ${messageOf(error)}.`,
        checkedAt: now,
      }
    })
    this.#busy.add(run)
    await run
    this.#busy.delete(run)
  }

  async #evaluate(w: Watched, now: Instant): Promise<void> {
    const { config } = w
    const current = await this.#current(config, now)
    if (typeof current === 'string') return this.#hold(w, null, current, now, [])
    // What runs when it is first looked at counts as recommended, so that it is not taken away at once.
    if (w.memory.runs.length === 0)
      w.memory = { ...w.memory, runs: [{ fromAt: now, toAt: now, replicas: clamp(current, config) }] }
    if (w.memory.asked === current) w.memory = { ...w.memory, asked: null }
    const missing: string[] = []
    const measured = await Promise.all(config.metrics.map((m) => this.#measure(config, m, now, missing)))
    const { scale_up, scale_down } = config.behavior
    const tolerance = { up: scale_up.tolerance, down: scale_down.tolerance }
    const proposals = measured.map((m) => propose(m, current, tolerance))
    const combined = combine(proposals, current)
    const { runs } = w.memory
    const allowed = decide({
      current,
      wanted: combined.replicas,
      runs,
      changes: happened(w.memory, current),
      behavior: config.behavior,
      limits: { min: config.min_replicas, max: config.max_replicas },
      now,
    })
    const reason = reasonOf(config, current, winner(combined, proposals), missing, allowed)
    this.#desired.set(allowed.replicas, { name: w.name })
    const before = w.memory
    // A guess made without data is no recommendation to remember.
    if (!combined.held)
      w.memory = { ...w.memory, runs: remember(runs, clamp(combined.replicas, config), config.behavior, now) }
    w.memory = { ...w.memory, changes: recentChanges(w.memory.changes, config.behavior, now) }
    const inputs = {
      current,
      wanted: combined.replicas,
      desired: allowed.replicas,
      missing,
      metrics: measured,
      proposals,
    }
    if (allowed.replicas !== current) await this.#scale(w, current, allowed, reason, inputs, now)
    else if (combined.held) await this.#hold(w, current, reason, now, inputs)
    else {
      w.memory = { ...w.memory, asked: null, held: false }
      w.state = { ...w.state, current, desired: current, reason, status: 'steady', checkedAt: now }
    }
    if (changed(before, w.memory)) await this.#keep(w)
  }

  async #scale(
    w: Watched,
    current: number,
    { replicas }: Allowed,
    reason: string,
    inputs: Decision['inputs'],
    now: Instant,
  ): Promise<void> {
    w.state = { ...w.state, current, desired: replicas, reason, status: 'scaling', checkedAt: now }
    if (w.memory.asked === replicas && !this.#mayAskAgain(w, now)) return
    const { agent, actuator, workload } = w.config
    const id = `scale:${w.name}:${now}`
    const causes = [id]
    const params = { from: current, replicas, ...(workload ? { workload: placeText(workload) } : {}) }
    await this.#deps.decisions.record(
      {
        id,
        at: now,
        kind: 'scale',
        subject: agent,
        verdict: replicas > current ? 'scale_up' : 'scale_down',
        reason,
        inputs,
        causes: [],
        action: {
          id: actionOf(w.name, now),
          kind: 'scale',
          subject: agent,
          params,
          reason,
          causes,
          actuator,
        },
      },
      this.#life.signal,
    )
    const changes = [...happened(w.memory, current), { at: now, by: replicas - current }]
    w.memory = { ...w.memory, changes, asked: replicas, askedAt: now, held: false }
  }

  /** Whether what was asked for last came to nothing a while ago. What is held, under way or done is not asked for twice. */
  #mayAskAgain({ name, memory: { askedAt } }: Watched, now: Instant): boolean {
    if (askedAt === undefined) return false
    const last = this.#deps.ledger.get<{ state: string; retryable: boolean }>(
      'action',
      actionOf(name, askedAt),
    )
    if (!last?.value) return false
    const { state, retryable } = last.value
    if (state !== 'failed' && state !== 'expired') return false
    return now - last.at >= (retryable ? givenUp : pause)
  }

  /** Says once that it would have to look and cannot. */
  async #hold(
    w: Watched,
    current: number | null,
    reason: string,
    now: Instant,
    inputs: unknown,
  ): Promise<void> {
    w.state = { ...w.state, current, desired: current, reason, status: 'held', checkedAt: now }
    if (w.memory.held) return
    await this.#deps.decisions.record(
      {
        id: `scale:${w.name}:${now}`,
        at: now,
        kind: 'scale',
        subject: w.config.agent,
        verdict: 'hold',
        reason,
        inputs: { current, seen: inputs },
        causes: [],
        action: null,
      },
      this.#life.signal,
    )
    w.memory = { ...w.memory, held: true }
    await this.#keep(w)
  }

  async #keep(w: Watched): Promise<void> {
    await this.#deps.ledger.put(kind, w.name, w.memory, { by: system('scale'), why: w.state.reason })
  }

  /** The replicas there are, or in words why that cannot be told. */
  async #current(config: Autoscaler, now: Instant): Promise<number | string> {
    if (config.current === undefined) {
      const declared = this.#deps.declared(config.agent)
      return (
        declared ??
        `How many replicas ${config.agent} has is not known: give the autoscaler \`current\`, or the deployment resources.replicas.`
      )
    }
    const values = await this.#values(config, config.current, now)
    if (typeof values === 'string') return `How many replicas ${config.agent} has is not known: ${values}.`
    const n = values.length === 1 ? Math.round(values[0]!) : Number.NaN
    return n >= 0
      ? n
      : `${config.current} gives ${values.length} elements, first ${values[0]}: one count is needed.`
  }

  async #measure(
    config: Autoscaler,
    metric: Autoscaler['metrics'][number],
    now: Instant,
    missing: string[],
  ): Promise<Measured> {
    const base = { type: metric.target.type, target: metric.target.value }
    const values = await this.#values(config, metric.query, now)
    if (typeof values === 'string') {
      missing.push(values)
      return { ...base, values: null }
    }
    if (base.type !== 'Utilization' && values.length > 1) {
      missing.push(`${metric.query} gives ${values.length} elements, one is needed; wrap it in sum()`)
      return { ...base, values: null }
    }
    return { ...base, values }
  }

  /** The elements of an expression whose inputs are fresh; else why there are none. */
  async #values(config: Autoscaler, expr: string, now: Instant): Promise<readonly number[] | string> {
    const { querier, clock } = this.#deps
    const signal = clock.timeout(config.interval, this.#life.signal)
    try {
      if (!(await isFresh(querier, expr, now, config.stale_after, signal)))
        return `${expr} has had no new data for ${formatDuration(config.stale_after)}`
      const { value } = await querier.instant(expr, now, signal)
      if (value.kind === 'scalar') return [value.value]
      if (value.kind !== 'vector') return `${expr} is a ${value.kind}, not a vector`
      if (value.values.length === 0) return `${expr} is empty`
      return Array.from(value.values)
    } catch (error) {
      if (this.#life.signal.aborted) throw error
      return `${expr} failed: ${messageOf(error)}`
    }
  }
}

const clamp = (n: number, c: Autoscaler): number => Math.min(Math.max(n, c.min_replicas), c.max_replicas)

/** The changes as far as they came about: of what was asked for last and is not there yet (a dry run, a slow actuator) only what moved counts. */
const happened = ({ changes, asked }: Memory, current: number): readonly Change[] => {
  const last = changes.at(-1)
  if (asked === null || !last) return changes
  const from = asked - last.by
  return [...changes.slice(0, -1), { ...last, by: current - from }]
}

const winner = ({ by }: Combined, proposals: readonly (Proposal | null)[]) => {
  const of = by === null ? null : (proposals[by] ?? null)
  return by === null || of === null ? null : { metric: by, of }
}

/** Whether a restart would lose something: the end of the running recommendation is made up for at the start. */
const changed = (a: Memory, b: Memory): boolean =>
  a.asked !== b.asked ||
  a.askedAt !== b.askedAt ||
  a.held !== b.held ||
  a.changes.at(-1)?.at !== b.changes.at(-1)?.at ||
  a.runs.at(-1)?.fromAt !== b.runs.at(-1)?.fromAt

/** Autoscalers by Kubernetes's formula over any PromQL. Stale or missing data never scales down. */
export const createScaler = (deps: ScalerDeps): Scaler => new Autoscalers(deps)
