// Watches budgets: what is spent in the period, where it will end, and who must be told.
import { type Period, periodAround } from '../lib/calendar.ts'
import { type Clock, every } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, formatDuration, type Instant, iso, minute, plus } from '../lib/time.ts'
import { system } from '../model/actor.ts'
import type { Alert } from '../model/alert.ts'
import type { Batch, Metadata } from '../model/batch.ts'
import { printMatcher } from '../model/matcher.ts'
import { type OwnSample, ownBatch } from '../model/own-series.ts'
import type { AlertSink } from '../model/ports/alert-sink.ts'
import type { Decisions } from '../model/ports/decisions.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesTable } from '../model/series.ts'
import type { BudgetConfig } from './budget-config.ts'
import { createSpendMeter, type SpendMeter } from './budget-spend.ts'

interface BudgetsDeps {
  readonly config: readonly BudgetConfig[]
  readonly querier: Querier
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  readonly alerts: AlertSink
  readonly decisions: Decisions
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Where people see it; goes into alerts. */
  readonly externalURL: () => string
}

/** One budget as lists show it. */
export interface BudgetState {
  readonly name: string
  readonly amount: number
  readonly period: Period
  /** Null before it was first added up. */
  readonly spent: number | null
  /** In a straight line to the period's end; null while too little of it has passed. */
  readonly projected: number | null
  /** Thresholds crossed in this period, with when: `0.8`, `projected`. */
  readonly crossed: Readonly<Record<string, Instant>>
  /** Why the last look failed, '' when it did not. */
  readonly problem: string
  readonly checkedAt: Instant | null
}

export interface Budgets extends Service {
  list(): readonly BudgetState[]
}

/** Ledger kind `budget`: what has been told in which period. */
interface Told {
  readonly period: string
  readonly crossed: Readonly<Record<string, Instant>>
  /** When the last of them was crossed. */
  readonly spent: number
}

interface Watched {
  readonly config: BudgetConfig
  meter: SpendMeter | null
  state: BudgetState
  /** Alerts that fire, by threshold. */
  readonly firing: Map<string, Alert>
}

const kind = 'budget'
const metadata: readonly Metadata[] = [
  { metric: 'airboss_budget_usd', type: 'gauge', help: 'The amount of a budget.', unit: '' },
  { metric: 'airboss_budget_spent_usd', type: 'gauge', help: 'Spent in the current period.', unit: '' },
  {
    metric: 'airboss_budget_projected_usd',
    type: 'gauge',
    help: 'Spending at the end of the period, in a straight line.',
    unit: '',
  },
  { metric: 'airboss_budget_spent_ratio', type: 'gauge', help: 'Spent of the amount.', unit: '' },
]
const usd = (n: number): string => `$${n.toFixed(n < 1 ? 4 : 2)}`
const percent = (n: number): string => `${Number((n * 100).toPrecision(3))} %`
/** A line drawn through less than this share of a period says nothing. */
const leastShare = 0.02

const severityOf = (threshold: string): string =>
  threshold === 'projected'
    ? 'warning'
    : Number(threshold) >= 1
      ? 'critical'
      : Number(threshold) >= 0.8
        ? 'warning'
        : 'info'

/** Linear: what is spent so far by the share of the period that has passed; null while that share is below 2 %. */
const projection = (spent: number, period: Period, now: Instant): number | null => {
  const share = (now - period.startAt) / (period.endAt - period.startAt)
  return share < leastShare ? null : spent / Math.min(share, 1)
}

class BudgetWatch implements Budgets {
  readonly #deps: BudgetsDeps
  readonly #watched: readonly Watched[]
  readonly #life = new AbortController()
  readonly #busy = new Set<Promise<void>>()
  readonly #failures

  constructor(deps: BudgetsDeps) {
    this.#deps = deps
    this.#failures = deps.metrics.counter(
      'airboss_budget_failures_total',
      'Budgets that could not be looked at.',
      ['budget'],
    )
    const now = deps.clock.now()
    this.#watched = deps.config.map((config) => ({
      config,
      meter: null,
      firing: new Map(),
      state: {
        name: config.name,
        amount: config.amount,
        period: periodAround(config.period, now, config.timezone),
        spent: null,
        projected: null,
        crossed: {},
        problem: '',
        checkedAt: null,
      },
    }))
  }

  async start(): Promise<void> {
    const { clock, log, ledger } = this.#deps
    const startAt = clock.now()
    for (const w of this.#watched) {
      const told = ledger.get<Told>(kind, w.config.name)?.value
      if (told?.period === w.state.period.label) this.#remember(w, told, startAt)
      every(clock, w.config.interval, (now) => this.#track(w, now), {
        signal: this.#life.signal,
        failed: (error) => log.error({ err: error, budget: w.config.name }, 'budget watch failed'),
      })
    }
  }

  /** Money that is spent stays spent: until it can be read again, what was passed before the restart goes on firing. */
  #remember(w: Watched, { crossed, spent }: Told, now: Instant): void {
    w.state = { ...w.state, crossed }
    for (const threshold of w.config.thresholds) {
      const crossedAt = crossed[threshold]
      if (crossedAt === undefined || !(spent >= threshold * w.config.amount)) continue
      const name = String(threshold)
      w.firing.set(name, this.#alert(w, name, spent, null, crossedAt, now))
    }
  }

  async drain(): Promise<void> {
    this.#life.abort()
    await Promise.all(this.#busy)
  }

  list(): readonly BudgetState[] {
    return this.#watched.map((w) => w.state)
  }

  async #track(w: Watched, now: Instant): Promise<void> {
    const run = this.#evaluate(w, now).catch((error: unknown) => {
      if (this.#life.signal.aborted) return
      this.#failures.add(1, { budget: w.config.name })
      this.#deps.log.warn({ budget: w.config.name, why: messageOf(error) }, 'budget could not be looked at')
      w.state = { ...w.state, problem: messageOf(error) }
      return this.#sustain(w, now)
    })
    this.#busy.add(run)
    await run
    this.#busy.delete(run)
  }

  /** What fires goes on firing while the spending cannot be read. */
  async #sustain(w: Watched, now: Instant): Promise<void> {
    if (w.firing.size === 0) return
    for (const [t, alert] of w.firing) w.firing.set(t, { ...alert, endsAt: this.#endOf(w, now) })
    await this.#deps.alerts.push([...w.firing.values()], this.#life.signal).catch((error: unknown) => {
      this.#deps.log.error({ budget: w.config.name, err: error }, 'budget alerts could not be handed on')
    })
  }

  async #evaluate(w: Watched, now: Instant): Promise<void> {
    const { config } = w
    const period = periodAround(config.period, now, config.timezone)
    const signal = this.#life.signal
    if (period.startAt !== w.state.period.startAt) {
      w.state = { ...w.state, period, crossed: {}, spent: null, projected: null }
      // With the period its alerts end.
      await this.#resolve(w, [...w.firing.keys()], now)
    }
    if (w.meter?.startAt !== period.startAt)
      w.meter = createSpendMeter(this.#deps.querier, config.filter, period.startAt)
    const spent = await w.meter.until(now, signal)
    const projected = projection(spent, period, now)
    w.state = { ...w.state, spent, projected, problem: '', checkedAt: now }
    await this.#tell(w, spent, projected, now)
    await this.#write(w, spent, projected, now)
  }

  async #tell(w: Watched, spent: number, projected: number | null, now: Instant): Promise<void> {
    const { config } = w
    const over = config.thresholds.filter((t) => spent >= t * config.amount).map(String)
    if (config.projected && projected !== null && projected >= config.amount && spent < config.amount)
      over.push('projected')
    for (const threshold of over) {
      const crossedAt = w.state.crossed[threshold]
      if (crossedAt === undefined) await this.#cross(w, threshold, spent, projected, now)
      w.firing.set(threshold, this.#alert(w, threshold, spent, projected, crossedAt ?? now, now))
    }
    const still = new Set(over)
    await this.#resolve(
      w,
      [...w.firing.keys()].filter((t) => !still.has(t)),
      now,
    )
    if (w.firing.size > 0) await this.#deps.alerts.push([...w.firing.values()], this.#life.signal)
  }

  async #resolve(w: Watched, thresholds: readonly string[], now: Instant): Promise<void> {
    const ended = thresholds.flatMap((t) => {
      const alert = w.firing.get(t)
      return alert ? [{ ...alert, endsAt: now }] : []
    })
    if (ended.length === 0) return
    await this.#deps.alerts.push(ended, this.#life.signal)
    for (const t of thresholds) w.firing.delete(t)
  }

  async #cross(
    w: Watched,
    threshold: string,
    spent: number,
    projected: number | null,
    now: Instant,
  ): Promise<void> {
    const { config } = w
    const { name, amount, filter } = config
    const { period } = w.state
    const reason = this.#words(w, threshold, spent, projected, now)
    await this.#deps.decisions.record(
      {
        id: `budget:${name}:${period.label}:${threshold}`,
        at: now,
        kind: 'budget',
        subject: name,
        verdict: 'page',
        reason,
        inputs: {
          amount,
          spent,
          projected,
          threshold,
          period: period.label,
          startAt: period.startAt,
          endAt: period.endAt,
          filter: filter.map(printMatcher),
        },
        causes: [],
        action: null,
      },
      this.#life.signal,
    )
    w.state = { ...w.state, crossed: { ...w.state.crossed, [threshold]: now } }
    const told: Told = { period: period.label, crossed: w.state.crossed, spent }
    await this.#deps.ledger.put(kind, name, told, { by: system('budget'), why: reason })
  }

  #words(
    { config, state }: Watched,
    threshold: string,
    spent: number,
    projected: number | null,
    now: Instant,
  ): string {
    const { name, amount } = config
    const { period } = state
    const left = formatDuration((Math.round((period.endAt - now) / minute) * minute) as Duration)
    const so = `${usd(spent)} of ${usd(amount)} (${percent(spent / amount)}) is spent in ${period.label}, with ${left} to go`
    if (threshold === 'projected')
      return `Budget ${name}: ${so}. In a straight line it will be ${usd(projected ?? 0)} at ${iso(period.endAt)}, which is ${percent((projected ?? 0) / amount)}.`
    const line = projected === null ? '' : ` In a straight line it will be ${usd(projected)}.`
    return `Budget ${name} has passed ${percent(Number(threshold))}: ${so}.${line}`
  }

  /** Said again at every look; should the process die it ends by itself. */
  #endOf({ config }: Watched, now: Instant): Instant {
    return plus(now, 4 * Math.max(config.interval, minute))
  }

  #alert(
    w: Watched,
    threshold: string,
    spent: number,
    projected: number | null,
    startsAt: Instant,
    now: Instant,
  ): Alert {
    const { config, state } = w
    return {
      labels: {
        alertname: 'BudgetThreshold',
        budget: config.name,
        period: state.period.label,
        threshold,
        severity: severityOf(threshold),
        ...config.labels,
      },
      annotations: {
        summary:
          threshold === 'projected'
            ? `Budget ${config.name} will not last: ${usd(projected ?? 0)} of ${usd(config.amount)} expected`
            : `Budget ${config.name} has passed ${percent(Number(threshold))}`,
        description: this.#words(w, threshold, spent, projected, now),
      },
      startsAt,
      endsAt: this.#endOf(w, now),
      generatorURL: this.#deps.externalURL(),
    }
  }

  async #write(w: Watched, spent: number, projected: number | null, now: Instant): Promise<void> {
    const { config } = w
    const labels = { budget: config.name, period: config.period }
    const of = (metric: string, value: number): OwnSample => ({ metric, labels, value, at: now })
    const samples = [
      of('airboss_budget_usd', config.amount),
      of('airboss_budget_spent_usd', spent),
      of('airboss_budget_spent_ratio', spent / config.amount),
      ...(projected === null ? [] : [of('airboss_budget_projected_usd', projected)]),
    ]
    const { batch, dropped } = ownBatch(this.#deps.table, samples, metadata)
    if (dropped > 0) this.#failures.add(dropped, { budget: config.name })
    await this.#deps.sink.push(batch, this.#life.signal)
  }
}

/** Budgets over the cost counters. Spending that cannot be read neither fires nor resolves anything. */
export const createBudgets = (deps: BudgetsDeps): Budgets => new BudgetWatch(deps)
