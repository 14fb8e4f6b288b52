// One rule group at work: evaluated at its own times, its rules one after another, its samples written together.
import { type Clock, every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, type Instant, plus } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { Tracer } from '../model/ports/tracer.ts'
import type { RuleGroupState } from '../model/rule-group.ts'
import type { SeriesRef } from '../model/series.ts'
import { sameState } from './alerting.ts'
import { groupKey, groupOffset } from './group.ts'
import { orAborted } from './query-gate.ts'
import { restoreTable } from './restore.ts'
import type { Rule, RuleGroup } from './rule-file.ts'
import { type RuleMemory, RuleRunner, type RuleRunnerDeps } from './rule-runner.ts'
import { SeriesOutput } from './series-output.ts'
import type { SavedGroup } from './state-file.ts'

export interface GroupRunnerDeps extends RuleRunnerDeps {
  readonly sink: Sink<Batch>
  readonly clock: Clock
  readonly log: Logger
  readonly tracer: Tracer
  readonly outageTolerance: Duration
  readonly forGracePeriod: Duration
  /** Told after an evaluation that changed what a restart must find again; it never rejects. */
  changed(): Promise<void>
}

export class GroupRunner {
  readonly group: RuleGroup
  readonly key: string
  readonly rules: readonly RuleRunner[]
  readonly #deps: GroupRunnerDeps
  readonly #stop = new AbortController()
  #running: Promise<void> | null = null
  #evaluations = 0
  #lastEvaluationAt: Instant | null = null
  #evaluationTime = duration(0)

  constructor(
    group: RuleGroup,
    memories: readonly RuleMemory[],
    deps: GroupRunnerDeps,
    lastEvaluationAt: Instant | null = null,
  ) {
    this.group = group
    this.#lastEvaluationAt = lastEvaluationAt
    this.key = groupKey(group)
    this.#deps = deps
    this.rules = group.rules.map((rule: Rule, i) => new RuleRunner(rule, group, memories[i]!, deps))
    const labels = { rule_group: this.key }
    deps.metrics.interval.set(group.interval / 1000, labels)
    deps.metrics.rules.set(group.rules.length, labels)
    deps.metrics.evaluations.add(0, labels)
    deps.metrics.failures.add(0, labels)
    deps.metrics.missed.add(0, labels)
  }

  start(): void {
    const { clock, log, metrics } = this.#deps
    const labels = { rule_group: this.key }
    every(clock, this.group.interval, (now) => this.evaluate(now), {
      signal: this.#stop.signal,
      offset: groupOffset(this.group),
      failed: (error) => log.error({ group: this.key, err: error }, 'rule group failed'),
      missed: (n) => {
        metrics.missed.add(n, labels)
        metrics.iterations.add(n, labels)
        log.warn({ group: this.key, missed: n }, 'rule group takes longer than its interval')
      },
    })
  }

  /** Ends its timer and its queries; resolves when the evaluation under way is over. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
  }

  /** One evaluation at `now`; never two at once. */
  async evaluate(now: Instant): Promise<void> {
    if (this.#running || this.#stop.signal.aborted) return
    const { tracer } = this.#deps
    this.#running = tracer.span(
      'rule group',
      { 'airboss.rule_group': this.key },
      () => this.#evaluate(now),
      null,
    )
    try {
      await this.#running
    } finally {
      this.#running = null
    }
  }

  async #evaluate(now: Instant): Promise<void> {
    const { clock, metrics } = this.#deps
    const { signal } = this.#stop
    const labels = { rule_group: this.key }
    const startedAt = clock.monotonic()
    const before = this.rules.map((r) => r.alerts)
    const output = new SeriesOutput(this.#deps.table)
    const live = new Map<object, ReadonlySet<SeriesRef>>()
    const time = { now, at: plus(now, -this.group.queryOffset) }
    metrics.iterations.add(1, labels)
    for (const runner of this.rules) {
      if (signal.aborted) return
      if (reads(runner.rule, output.names)) await this.#flush(output, live, signal)
      live.set(runner, runner.live)
      await runner.evaluate(time, output, signal)
      if (signal.aborted) break
      metrics.evaluations.add(1, labels)
      if (runner.failing) metrics.failures.add(1, labels)
    }
    await this.#flush(output, live, signal)
    if (signal.aborted) return
    this.#evaluations++
    if (this.#evaluations === 2) await this.#restore(now, signal)
    this.#lastEvaluationAt = now
    this.#evaluationTime = duration(clock.monotonic() - startedAt)
    metrics.duration.observe(this.#evaluationTime / 1000)
    metrics.lastDuration.set(this.#evaluationTime / 1000, labels)
    metrics.lastEvaluation.set(now / 1000, labels)
    metrics.lastSamples.set(output.samples, labels)
    // Not waited for: a slow disk must not hold up who is to be paged next.
    if (this.rules.some((r, i) => !sameState(before[i]!, r.alerts))) void this.#deps.changed()
  }

  async #flush(
    output: SeriesOutput,
    live: ReadonlyMap<object, ReadonlySet<SeriesRef>>,
    signal: AbortSignal,
  ): Promise<void> {
    const taken = output.take()
    if (!taken) return
    try {
      const limit = this.#deps.clock.timeout(this.#deps.sendTimeout, signal)
      const stop = (): Error => new AppError('timeout', 'the log took too long')
      await orAborted(this.#deps.sink.push(taken.batch, limit), limit, stop)
    } catch (error) {
      if (signal.aborted) return
      this.#deps.metrics.writeFailures.add()
      const why = new Error(`the result could not be written: ${messageOf(error)}`, { cause: error })
      for (const runner of this.rules)
        if (taken.owners.has(runner)) runner.notWritten(why, live.get(runner) ?? new Set())
    }
  }

  async #restore(now: Instant, signal: AbortSignal): Promise<void> {
    const { ask, log, metrics, outageTolerance: tolerance, forGracePeriod: grace } = this.#deps
    const deps = { ask, tolerance, grace, interval: this.group.interval }
    for (const runner of this.rules) {
      if (runner.restored || runner.rule.kind !== 'alerting') continue
      try {
        runner.alerts = await restoreTable(runner.rule, runner.alerts, deps, now, signal)
      } catch (error) {
        if (signal.aborted) return
        // As Prometheus does: the alert starts its wait anew rather than never being written.
        metrics.stateFailures.add()
        log.error({ alert: runner.rule.name, err: error }, 'state of alert could not be restored')
      }
      runner.restored = true
    }
  }

  /** Writes stale markers for series that no rule carries on. */
  async retire(refs: ReadonlySet<SeriesRef>, now: Instant, signal: AbortSignal): Promise<void> {
    if (refs.size === 0) return
    const output = new SeriesOutput(this.#deps.table)
    output.add(this, [], refs, plus(now, -this.group.queryOffset))
    await this.#flush(output, new Map(), signal)
  }

  get lastEvaluationAt(): Instant | null {
    return this.#lastEvaluationAt
  }

  saved(): SavedGroup | null {
    const rules = this.rules
      .filter((r) => r.rule.kind === 'alerting')
      .map((r) => ({ identity: r.identity, alerts: [...r.alerts.values()] }))
    if (rules.length === 0 || this.#lastEvaluationAt === null) return null
    return { evaluatedAt: this.#lastEvaluationAt, rules }
  }

  state(): RuleGroupState {
    const { group } = this
    return {
      name: group.name,
      file: group.file,
      interval: group.interval,
      limit: group.limit,
      queryOffset: group.queryOffset,
      evaluationTime: this.#evaluationTime,
      lastEvaluationAt: this.#lastEvaluationAt,
      rules: this.rules.map((r) => r.state()),
    }
  }
}

const reads = (rule: Rule, names: ReadonlySet<string>): boolean => {
  if (names.size === 0) return false
  if (rule.reads === null) return true
  for (const name of rule.reads) if (names.has(name)) return true
  return false
}
