// All rule groups: read from files, kept running over reloads, their alerts kept over restarts.
import type { Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration } from '../lib/time.ts'
import type { ActiveAlert } from '../model/alert.ts'
import type { Batch } from '../model/batch.ts'
import { labelsKey } from '../model/labels.ts'
import type { AlertSink } from '../model/ports/alert-sink.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { noTracer, type Tracer } from '../model/ports/tracer.ts'
import type { RuleGroupState } from '../model/rule-group.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { type AlertTable, alertSeries, resumed } from './alerting.ts'
import { carryOver, groupKey, sameGroup } from './group.ts'
import { GroupRunner, type GroupRunnerDeps } from './group-runner.ts'
import { createQueryGate } from './query-gate.ts'
import { type Rule, type RuleGroup, readRuleFile } from './rule-file.ts'
import { createRuleMetrics } from './rule-metrics.ts'
import type { RuleMemory } from './rule-runner.ts'
import { createSaver, loadState, type SavedGroups } from './state-file.ts'

export interface RulesDeps {
  readonly querier: Querier
  /** Where recorded series, ALERTS and ALERTS_FOR_STATE go. */
  readonly sink: Sink<Batch>
  readonly table: SeriesTable
  readonly alerts: AlertSink
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly externalLabels: Readonly<Record<string, string>>
  readonly externalURL: () => string
  /** For groups without `interval`. */
  readonly evaluationInterval: Duration
  /** For groups without `query_offset`; 0 unless told. */
  readonly queryOffset?: Duration
  /** Where alerts are kept over restarts; null keeps them only as ALERTS_FOR_STATE. */
  readonly stateFile: string | null
  /** Queries at a time; 4 unless told. */
  readonly concurrency?: number
  /** 2 m unless told. */
  readonly queryTimeout?: Duration
  /** How long a pause may last and pending alerts still count; 1 h unless told. */
  readonly outageTolerance?: Duration
  /** 10 m unless told. */
  readonly forGracePeriod?: Duration
  /** Makes a trace of each evaluation; left out: none. */
  readonly tracer?: Tracer
}

export interface RuleText {
  readonly file: string
  readonly text: string
}

export interface Rules extends Service {
  /**
   * Takes these files as the whole configuration. Groups that did not change run on; rules of the same name and labels keep their
   * alerts. Throws `bad_data` with every problem (`file:line: path: message`) and then changes nothing.
   */
  apply(files: readonly RuleText[]): Promise<void>
  /** Checks as `apply` does, and changes nothing. */
  check(files: readonly RuleText[]): void
  groups(): RuleGroupState[]
  /** All pending and firing alerts. */
  alertsList(): ActiveAlert[]
}

const blank = (restored: boolean): RuleMemory => ({ alerts: new Map(), live: new Set(), restored })

class RuleManager implements Rules {
  readonly #deps: RulesDeps
  readonly #groupDeps: GroupRunnerDeps
  readonly #save: () => Promise<void>
  #runners = new Map<string, GroupRunner>()
  #saved: SavedGroups | null = null
  #applied = false
  #started = false
  #drained = false
  #turn: Promise<void> = Promise.resolve()

  constructor(deps: RulesDeps) {
    this.#deps = deps
    const { querier, clock, concurrency = 4, queryTimeout = duration(120_000) } = deps
    const metrics = createRuleMetrics(deps.metrics)
    this.#save =
      deps.stateFile === null ? async () => {} : createSaver(deps.stateFile, () => this.#snapshot())
    this.#groupDeps = {
      ...deps,
      ask: createQueryGate({ querier, clock, concurrency, timeout: queryTimeout, patience: duration(5000) }),
      metrics,
      tracer: deps.tracer ?? noTracer,
      sendTimeout: duration(30_000),
      outageTolerance: deps.outageTolerance ?? duration(3_600_000),
      forGracePeriod: deps.forGracePeriod ?? duration(600_000),
      changed: () => this.#keep(),
    }
  }

  check(files: readonly RuleText[]): void {
    this.#read(files)
  }

  #read(files: readonly RuleText[]): RuleGroup[] {
    const defaults = {
      interval: this.#deps.evaluationInterval,
      queryOffset: this.#deps.queryOffset ?? duration(0),
    }
    const problems: string[] = []
    const groups = files.flatMap(({ file, text }) => {
      try {
        return readRuleFile(text, file, this.#deps.querier, defaults)
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'bad_data') throw error
        problems.push(error.message)
        return []
      }
    })
    if (problems.length > 0) throw new AppError('bad_data', problems.join('\n'))
    return groups
  }

  apply(files: readonly RuleText[]): Promise<void> {
    const turn = this.#turn.then(() => this.#apply(files))
    this.#turn = turn.catch(() => {})
    return turn
  }

  async #apply(files: readonly RuleText[]): Promise<void> {
    const { reloaded } = this.#groupDeps.metrics
    let groups: RuleGroup[]
    try {
      groups = this.#read(files)
    } catch (error) {
      reloaded.set(0)
      throw error
    }
    if (!this.#applied) this.#saved = await this.#load()
    const old = this.#runners
    const next = new Map<string, GroupRunner>()
    const kept = new Set<GroupRunner>()
    for (const group of groups) {
      const known = old.get(groupKey(group))
      if (known && sameGroup(known.group, group)) kept.add(known)
      if (known && !kept.has(known)) await known.stop()
      next.set(groupKey(group), known && kept.has(known) ? known : this.#create(group, known))
    }
    this.#runners = next
    this.#applied = true
    for (const runner of next.values()) if (this.#started && !kept.has(runner)) runner.start()
    for (const [key, runner] of old) if (!kept.has(runner)) await this.#retire(runner, next.get(key))
    reloaded.set(1)
    await this.#keep()
  }

  async #load(): Promise<SavedGroups | null> {
    if (this.#deps.stateFile === null) return null
    try {
      return await loadState(this.#deps.stateFile)
    } catch (error) {
      this.#groupDeps.metrics.stateFailures.add()
      this.#deps.log.error({ file: this.#deps.stateFile, err: error }, 'kept alerts could not be read')
      return null
    }
  }

  #create(group: RuleGroup, before: GroupRunner | undefined): GroupRunner {
    const memories = before
      ? carryOver(
          before.rules.map((r) => ({ identity: r.identity, state: r.memory })),
          group.rules,
        )
      : this.#applied
        ? []
        : this.#remembered(group)
    const { forGracePeriod } = this.#groupDeps
    return new GroupRunner(
      group,
      group.rules.map((rule, i) => {
        // Only a start has anything to restore, and only for rules that wait long enough.
        const nothing = this.#applied || rule.kind === 'recording' || rule.for < forGracePeriod
        return memories[i] ?? blank(nothing)
      }),
      this.#groupDeps,
      before?.lastEvaluationAt ?? null,
    )
  }

  /** What the kept state says about a group's rules, brought over the pause. */
  #remembered(group: RuleGroup): (RuleMemory | undefined)[] {
    const saved = this.#saved?.[groupKey(group)]
    if (!saved) return []
    const now = this.#deps.clock.now()
    const { outageTolerance } = this.#groupDeps
    const found = carryOver(
      saved.rules.map((r) => ({ identity: r.identity, state: r.alerts })),
      group.rules,
    )
    return group.rules.map((rule: Rule, i) => {
      const alerts = found[i]
      if (!alerts || rule.kind !== 'alerting') return undefined
      const table: AlertTable = new Map(alerts.map((a) => [labelsKey(a.labels), a]))
      const written = alertSeries(table).map((s) => this.#deps.table.intern(s.labels, true))
      return {
        alerts: resumed(table, saved.evaluatedAt, now, group.interval, outageTolerance),
        live: new Set(written.filter((ref) => ref >= 0)),
        restored: true,
      }
    })
  }

  async #retire(runner: GroupRunner, successor: GroupRunner | undefined): Promise<void> {
    await runner.stop()
    const carried = new Set<SeriesRef>(successor?.rules.flatMap((r) => [...r.live]) ?? [])
    const gone = new Set(runner.rules.flatMap((r) => [...r.live]).filter((ref) => !carried.has(ref)))
    const { clock } = this.#deps
    await runner.retire(gone, clock.now(), clock.timeout(duration(10_000)))
  }

  #snapshot(): SavedGroups {
    const groups: Record<string, NonNullable<ReturnType<GroupRunner['saved']>>> = {}
    for (const [key, runner] of this.#runners) {
      const saved = runner.saved() ?? this.#saved?.[key] ?? null
      if (saved) groups[key] = saved
    }
    return groups
  }

  /** Keeps the state; a failure is said and counted, and evaluation goes on. */
  async #keep(): Promise<void> {
    try {
      await this.#save()
    } catch (error) {
      this.#groupDeps.metrics.stateFailures.add()
      this.#deps.log.error(
        { file: this.#deps.stateFile, reason: messageOf(error) },
        'alerts could not be kept',
      )
    }
  }

  async start(): Promise<void> {
    if (this.#started) return
    this.#started = true
    for (const runner of this.#runners.values()) runner.start()
  }

  async drain(): Promise<void> {
    if (this.#drained) return
    this.#drained = true
    await this.#turn
    await Promise.all([...this.#runners.values()].map((r) => r.stop()))
    if (this.#applied) await this.#keep()
  }

  groups(): RuleGroupState[] {
    return [...this.#runners.values()]
      .map((r) => r.state())
      .sort((a, b) => (a.file === b.file ? (a.name < b.name ? -1 : 1) : a.file < b.file ? -1 : 1))
  }

  alertsList(): ActiveAlert[] {
    return this.groups().flatMap((g) => g.rules.flatMap((r) => (r.type === 'alerting' ? r.alerts : [])))
  }
}

/** The rules of a running Airboss; nothing runs before `start`. */
export const createRules = (deps: RulesDeps): Rules => new RuleManager(deps)
