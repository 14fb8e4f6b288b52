// One rule at work: its query, its alerts or recorded series, its health.
import { breathe, type Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, type Instant, instant } from '../lib/time.ts'
import type { Alert } from '../model/alert.ts'
import { labelsKey, printLabels, recordOf } from '../model/labels.ts'
import type { AlertSink } from '../model/ports/alert-sink.ts'
import type { AlertingRuleState, RecordingRuleState, RuleHealth } from '../model/rule-group.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { type AlertTemplates, createAlertTemplates, templateSample } from './alert-template.ts'
import {
  type AlertTable,
  activeCount,
  alertSeries,
  due,
  type Match,
  markSent,
  step,
  validUntil,
  worstState,
} from './alerting.ts'
import { ruleIdentity } from './group.ts'
import { type AskInstant, orAborted } from './query-gate.ts'
import { alertLabels, asVector, type Recorded, recorded, shownValue } from './recording.ts'
import type { AlertingRule, Rule } from './rule-file.ts'
import type { RuleMetrics } from './rule-metrics.ts'
import { refusedError, type SeriesOutput } from './series-output.ts'
import { explorePath, type TemplateContext } from './template-functions.ts'

export interface RuleRunnerDeps {
  readonly ask: AskInstant
  readonly table: SeriesTable
  readonly alerts: AlertSink
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: RuleMetrics
  readonly externalLabels: Readonly<Record<string, string>>
  readonly externalURL: () => string
  /** How long handing alerts on may take. */
  readonly sendTimeout: Duration
}

/** After so many alerts others get a turn of the event loop: some milliseconds. */
const breath = 256

/** What a rule carries from one version of its group to the next. */
export interface RuleMemory {
  readonly alerts: AlertTable
  readonly live: ReadonlySet<SeriesRef>
  readonly restored: boolean
}

export interface EvaluationTime {
  readonly now: Instant
  /** The time queried and written: now less the query offset. */
  readonly at: Instant
}

export class RuleRunner {
  readonly rule: Rule
  readonly identity: string
  readonly #deps: RuleRunnerDeps
  readonly #limit: number
  readonly #interval: Duration
  readonly #templates: AlertTemplates | null
  #alerts: AlertTable
  #live: ReadonlySet<SeriesRef>
  /** Whether its times of becoming active are known again; nothing is written before. */
  restored: boolean
  #health: RuleHealth = 'unknown'
  #lastError = ''
  #evaluationTime = duration(0)
  #lastEvaluationAt: Instant | null = null

  constructor(
    rule: Rule,
    group: { limit: number; interval: Duration },
    memory: RuleMemory,
    deps: RuleRunnerDeps,
  ) {
    this.rule = rule
    this.identity = ruleIdentity(rule)
    this.#deps = deps
    this.#limit = group.limit
    this.#interval = group.interval
    this.#alerts = memory.alerts
    this.#live = memory.live
    this.restored = memory.restored
    this.#templates =
      rule.kind === 'recording'
        ? null
        : createAlertTemplates(rule, {
            externalLabels: deps.externalLabels,
            failed: (name, error) => {
              deps.metrics.templateFailures.add()
              deps.log.warn({ alert: rule.name, text: name, err: error }, 'alert text could not be rendered')
            },
          })
  }

  get alerts(): AlertTable {
    return this.#alerts
  }
  set alerts(table: AlertTable) {
    this.#alerts = table
  }
  get memory(): RuleMemory {
    return { alerts: this.#alerts, live: this.#live, restored: this.restored }
  }

  /** Evaluates at `time`, leaving samples in `output`. Its errors stay in its health; a failure changes no alert. */
  async evaluate(time: EvaluationTime, output: SeriesOutput, signal: AbortSignal): Promise<void> {
    const startedAt = this.#deps.clock.monotonic()
    try {
      const refused =
        this.rule.kind === 'recording'
          ? await this.#record(time, output, signal)
          : await this.#alert(this.rule, time, output, signal)
      if (refused > 0) throw refusedError(refused, this.#deps.table)
      this.#health = 'ok'
      this.#lastError = ''
    } catch (error) {
      if (signal.aborted) return
      this.failed(error)
      // What fired goes on firing while its query fails, and those who were told must hear so.
      if (this.rule.kind === 'alerting') await this.#send(this.rule, time.now, signal)
    } finally {
      this.#evaluationTime = duration(this.#deps.clock.monotonic() - startedAt)
      this.#lastEvaluationAt = time.now
    }
  }

  /** Marks the rule as failing. */
  failed(error: unknown): void {
    const message = messageOf(error)
    if (this.#lastError !== message) this.#deps.log.warn({ rule: this.rule.name, err: error }, 'rule failed')
    this.#health = 'err'
    this.#lastError = message
  }

  /** Its samples did not reach the sink: what was live before may still be unmarked. */
  notWritten(error: unknown, before: ReadonlySet<SeriesRef>): void {
    this.#live = new Set([...this.#live, ...before])
    this.failed(error)
  }

  get live(): ReadonlySet<SeriesRef> {
    return this.#live
  }

  #write(output: SeriesOutput, series: readonly Recorded[], at: Instant): number {
    const { live, refused } = output.add(this, series, this.#live, at)
    this.#live = live
    return refused
  }

  async #record({ at }: EvaluationTime, output: SeriesOutput, signal: AbortSignal): Promise<number> {
    const answer = await this.#deps.ask(this.rule.expr, at, signal)
    const series = recorded(asVector(answer.value), this.rule.name, this.rule.labels)
    if (this.#limit > 0 && series.length > this.#limit)
      throw new AppError('limit_exceeded', `exceeded limit of ${this.#limit} with ${series.length} series`)
    return this.#write(output, series, at)
  }

  async #alert(
    rule: AlertingRule,
    time: EvaluationTime,
    output: SeriesOutput,
    signal: AbortSignal,
  ): Promise<number> {
    const { now, at } = time
    const answer = await this.#deps.ask(rule.expr, at, signal)
    const matches = await this.#matches(rule, asVector(answer.value), at, signal)
    const next = step(this.#alerts, matches, rule, now)
    const active = activeCount(next)
    if (this.#limit > 0 && active > this.#limit) {
      this.#alerts = new Map()
      this.#live = new Set()
      throw new AppError('limit_exceeded', `exceeded limit of ${this.#limit} with ${active} alerts`)
    }
    this.#alerts = next
    // People first: nobody is paged later because a disk is slow.
    await this.#send(rule, now, signal)
    return this.restored ? this.#write(output, alertSeries(this.#alerts), at) : 0
  }

  async #matches(
    rule: AlertingRule,
    samples: ReturnType<typeof asVector>,
    at: Instant,
    signal: AbortSignal,
  ): Promise<Match[]> {
    const context: TemplateContext = {
      now: at,
      externalURL: this.#deps.externalURL(),
      query: async (expr) => {
        const vector = asVector((await this.#deps.ask(expr, at, signal)).value)
        return vector.labels.map((labels, i) => templateSample(labels, shownValue(vector, i)))
      },
    }
    const matches: Match[] = []
    const keys = new Set<string>()
    for (const [i, result] of samples.labels.entries()) {
      // A histogram is there or not; as a number an alert shows 0 for it, as Prometheus does.
      const value = samples.histograms?.[i] ? 0 : samples.values[i]!
      if (i % breath === breath - 1) await breathe()
      const texts = await this.#templates!.render({ labels: result, value: shownValue(samples, i) }, context)
      const labels = alertLabels(result, texts.labels, rule.name)
      const key = labelsKey(labels)
      if (keys.has(key))
        throw new AppError(
          'execution',
          `two elements of the result become one alert ${printLabels(labels)}; let labels tell them apart`,
        )
      keys.add(key)
      matches.push({ key, labels, annotations: texts.annotations, value })
    }
    return matches
  }

  async #send(rule: AlertingRule, now: Instant, signal: AbortSignal): Promise<void> {
    const keys = due(this.#alerts, now)
    if (keys.length === 0) return
    const { clock, alerts, metrics, log, sendTimeout } = this.#deps
    const limit = clock.timeout(sendTimeout, signal)
    try {
      const stop = (): Error => new AppError('timeout', 'alerts could not be handed on in time')
      await orAborted(alerts.push(this.#outgoing(rule, keys, now), limit), limit, stop)
      this.#alerts = markSent(this.#alerts, keys, now)
      metrics.alertsSent.add(keys.length)
    } catch (error) {
      // Not marked as sent: the next evaluation tries again.
      if (signal.aborted) return
      metrics.alertSendFailures.add(keys.length)
      log.error({ alert: rule.name, alerts: keys.length, err: error }, 'alerts could not be handed on')
    }
  }

  #outgoing(rule: AlertingRule, keys: readonly string[], now: Instant): Alert[] {
    const { externalLabels, externalURL } = this.#deps
    const generatorURL = externalURL().replace(/\/$/, '') + explorePath(rule.text)
    return keys.map((key): Alert => {
      const entry = this.#alerts.get(key)!
      return {
        labels: { ...externalLabels, ...recordOf(entry.labels) },
        annotations: entry.annotations,
        // Where the clock was set back in between, an end before the beginning would be refused.
        startsAt: instant(
          Math.min(entry.firedAt ?? entry.activeAt, entry.resolvedAt ?? Number.POSITIVE_INFINITY),
        ),
        endsAt: entry.resolvedAt ?? validUntil(now, this.#interval),
        generatorURL,
      }
    })
  }

  get failing(): boolean {
    return this.#health === 'err'
  }

  state(): AlertingRuleState | RecordingRuleState {
    const { rule } = this
    const common = {
      name: rule.name,
      query: rule.text,
      labels: rule.labels,
      health: this.#health,
      lastError: this.#lastError,
      evaluationTime: this.#evaluationTime,
      lastEvaluationAt: this.#lastEvaluationAt,
    }
    if (rule.kind === 'recording') return { type: 'recording', ...common }
    const alerts = [...this.#alerts.values()].filter((a) => a.state !== 'inactive')
    return {
      type: 'alerting',
      ...common,
      state: worstState(this.#alerts),
      for: rule.for,
      keepFiringFor: rule.keepFiringFor,
      annotations: rule.annotations,
      alerts: alerts.map((a) => ({
        labels: a.labels,
        annotations: a.annotations,
        state: a.state,
        activeAt: instant(a.activeAt),
        keepFiringSinceAt: a.keepFiringSinceAt,
        value: a.value,
      })),
    }
  }
}
