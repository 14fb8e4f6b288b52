// Watches new versions: reads both sides, has them judged, and records what is decided.
import { type Clock, every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { hash64 } from '../lib/hash.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, formatDuration, type Instant, instant, second } from '../lib/time.ts'
import { type Actor, system } from '../model/actor.ts'
import { type Analysis, type Canary, type CanaryMetric, windowOf } from '../model/canary.ts'
import type { Action, Decision } from '../model/decision.ts'
import type { Deployment } from '../model/deployment.ts'
import { heardOver, isFresh, selectorsOf } from '../model/freshness.ts'
import type { Span } from '../model/plan.ts'
import type { Decisions } from '../model/ports/decisions.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import { workloadParams } from '../model/workload.ts'
import { type Judgement, judge, judgeSides, type Side } from './judge.ts'
import { queryFor } from './query-for.ts'
import { realPoints } from './real-points.ts'
import { begin, type Effect, type Progress, type Rules, step } from './strategy.ts'

interface RolloutDeps {
  /** What runs; those with a canary are watched. */
  readonly fleet: { list(): readonly { readonly deployment: Deployment }[] }
  readonly querier: Querier
  readonly decisions: Decisions
  readonly ledger: Ledger
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** One canary as lists show it. */
export interface RolloutState {
  /** `agent@version`. */
  readonly id: string
  readonly agent: string
  readonly version: string
  readonly baseline: string
  readonly progress: Progress
  /** Of this process; null before the first. */
  readonly judgement: Judgement | null
  readonly judgedAt: Instant | null
  /** When it may be promoted at the earliest. */
  readonly dueAt: Instant
}

export interface Rollouts extends Service {
  list(): readonly RolloutState[]
  /** Starts a canary over, whatever became of it. `not_found` when no deployment has such a canary. */
  restart(agent: string, version: string, by: Actor, why: string): Promise<void>
}

/** What a canary's progress is about: with another baseline or analysis it is worth nothing. */
interface Plan {
  readonly baseline: string
  /** A hash. */
  readonly analysis: string
}
const planOf = ({ baseline, analysis }: Canary): Plan => ({
  baseline,
  analysis: hash64([JSON.stringify(analysis)]),
})
const samePlan = (a: Plan, b: Plan): boolean => a.baseline === b.baseline && a.analysis === b.analysis

/** Ledger kind `rollout`. What was written without a plan counts as the present one's. */
interface Kept extends Progress {
  readonly plan?: Plan
}

interface Watched {
  readonly id: string
  readonly plan: Plan
  deployment: Deployment
  canary: Canary
  progress: Progress
  judgement: Judgement | null
  judgedAt: Instant | null
}

const kind = 'rollout'
const longestQuery = duration(30_000)
/** Canaries judged at once, so that many do not crowd out the rules' queries. */
const atOnce = 4

/** One look at a canary: both sides and all metrics have the same grid, and share what is known of selectors. */
interface Look {
  readonly w: Watched
  readonly now: Instant
  readonly span: Span
  readonly heard: Map<string, Promise<Float64Array>>
}

/** How far back a canary that is held for long is compared. */
const longestSpan = ({ step }: Analysis): Duration => duration(step * 1000)

/** The points since the canary began (after its warm-up), at most a thousand, on multiples of the step, so that one look after another sees the same. */
const spanOf = ({ progress, canary: { analysis } }: Watched, now: Instant): Span => {
  const { step, warm_up } = analysis
  const grid = (at: number): number => Math.floor(at / step) * step
  const toAt = instant(grid(now))
  const fromAt = instant(Math.max(grid(progress.startedAt + warm_up) + step, toAt - longestSpan(analysis)))
  return { fromAt, toAt, step }
}

const rulesOf = ({ analysis, on_pass, on_fail }: Canary): Rules => ({
  duration: analysis.duration,
  deadline: analysis.deadline ?? duration(analysis.duration * 3),
  failures: analysis.failures,
  onPass: on_pass,
  onFail: on_fail,
})

class CanaryWatch implements Rollouts {
  readonly #deps: RolloutDeps
  readonly #watched = new Map<string, Watched>()
  readonly #life = new AbortController()
  readonly #busy = new Map<string, Promise<void>>()
  readonly #judgements
  readonly #failures

  constructor(deps: RolloutDeps) {
    this.#deps = deps
    const { metrics } = deps
    this.#judgements = metrics.counter('airboss_rollout_judgements_total', 'Judgements of canaries.', [
      'outcome',
    ])
    this.#failures = metrics.counter(
      'airboss_rollout_failures_total',
      'Canary judgements that did not come about.',
    )
  }

  start(): Promise<void> {
    const { clock, log } = this.#deps
    every(clock, second, (now) => this.#tick(now), {
      signal: this.#life.signal,
      failed: (error) => log.error({ err: error }, 'canary watch failed'),
    })
    return this.#meet(clock.now())
  }

  async drain(): Promise<void> {
    this.#life.abort()
    await Promise.all(this.#busy.values())
  }

  list(): readonly RolloutState[] {
    return [...this.#watched.values()].map((w) => ({
      id: w.id,
      agent: w.deployment.agent,
      version: w.deployment.version,
      baseline: w.canary.baseline,
      progress: w.progress,
      judgement: w.judgement,
      judgedAt: w.judgedAt,
      dueAt: instant(w.progress.startedAt + w.canary.analysis.duration),
    }))
  }

  async restart(agent: string, version: string, by: Actor, why: string): Promise<void> {
    const now = this.#deps.clock.now()
    await this.#meet(now)
    const w = this.#watched.get(`${agent}@${version}`)
    if (!w) throw new AppError('not_found', `${agent} ${version} has no canary`)
    // A judgement under way belongs to the old run.
    await this.#busy.get(w.id)
    w.progress = begin(now)
    w.judgement = null
    w.judgedAt = null
    await this.#keep(w, by, why)
  }

  /** Takes up canaries that were declared, lets those go that are no more. */
  async #meet(now: Instant): Promise<void> {
    const { fleet } = this.#deps
    const seen = new Set<string>()
    for (const { deployment } of fleet.list()) {
      const { agent, version, canary } = deployment
      if (!canary) continue
      const id = `${agent}@${version}`
      seen.add(id)
      const known = this.#watched.get(id)
      if (known?.deployment === deployment) continue
      if (known && samePlan(known.plan, planOf(canary))) Object.assign(known, { deployment, canary })
      else await this.#take(id, deployment, canary, now)
    }
    for (const id of this.#watched.keys()) if (!seen.has(id)) this.#watched.delete(id)
  }

  /** Goes on where the record ends, or begins when there is none or it is about another baseline or analysis. */
  async #take(id: string, deployment: Deployment, canary: Canary, now: Instant): Promise<void> {
    const { agent, version } = deployment
    const plan = planOf(canary)
    const record = this.#deps.ledger.get<Kept>(kind, id)?.value
    const { plan: was = plan, ...kept }: Kept = record ?? begin(now)
    const goesOn = samePlan(was, plan)
    const progress = goesOn ? kept : begin(now)
    const w = { id, plan, deployment, canary, progress, judgement: null, judgedAt: null }
    this.#watched.set(id, w)
    if (goesOn && record?.plan) return
    const anew =
      was.baseline === plan.baseline
        ? `the analysis of ${agent} ${version} changed: it is compared with ${plan.baseline} anew`
        : `${agent} ${version} is compared with ${plan.baseline} anew, no longer with ${was.baseline}`
    const why = `${agent} ${version} is compared with ${plan.baseline}`
    await this.#keep(w, system('rollout'), goesOn ? why : anew)
  }

  async #keep({ id, progress, plan }: Watched, by: Actor, why: string): Promise<void> {
    await this.#deps.ledger.put<Kept>(kind, id, { ...progress, plan }, { by, why })
  }

  async #tick(now: Instant): Promise<void> {
    await this.#meet(now)
    for (const w of this.#watched.values()) {
      if (this.#busy.size >= atOnce) return
      if (this.#busy.has(w.id) || w.progress.phase === 'promoted' || w.progress.phase === 'rolled_back')
        continue
      const { interval, warm_up } = w.canary.analysis
      if (now < w.progress.startedAt + warm_up || (w.judgedAt !== null && now < w.judgedAt + interval))
        continue
      const run = this.#judge(w, now)
        .catch((error: unknown) => {
          if (this.#life.signal.aborted) return
          this.#failures.add()
          this.#deps.log.warn({ canary: w.id, why: messageOf(error) }, 'canary could not be judged')
        })
        .finally(() => this.#busy.delete(w.id))
      this.#busy.set(w.id, run)
    }
  }

  async #judge(w: Watched, now: Instant): Promise<void> {
    const { analysis } = w.canary
    w.judgedAt = now
    const recent = Math.round(windowOf(analysis) / analysis.step)
    const versions = { baseline: w.canary.baseline, canary: w.deployment.version }
    const look: Look = { w, now, span: spanOf(w, now), heard: new Map() }
    const metrics = []
    for (const metric of analysis.metrics) {
      const [before, after] = await Promise.all([
        this.#side(look, metric, versions.baseline, versions.canary),
        this.#side(look, metric, versions.canary, versions.baseline),
      ])
      metrics.push(judgeSides(metric, before, after, { ...analysis, versions }, recent))
    }
    // Taken away or changed meanwhile: what was found out is about something else.
    if (this.#watched.get(w.id) !== w) return
    const judgement = judge(metrics, analysis)
    this.#judgements.add(1, { outcome: judgement.outcome })
    w.judgement = judgement
    const { state, effects } = step(w.progress, judgement, rulesOf(w.canary), now)
    // Asked for and on record before the step is: a crash between the two repeats the decision under the same id.
    for (const effect of effects)
      await this.#deps.decisions.record(this.#decision(w, effect, judgement, now), this.#life.signal)
    const before = w.progress
    w.progress = state
    const moved =
      before.phase !== state.phase || before.failures !== state.failures || before.waiting !== state.waiting
    if (moved && this.#watched.get(w.id) === w) await this.#keep(w, system('rollout'), judgement.reason)
  }

  #decision(w: Watched, { verdict, reason }: Effect, judgement: Judgement, now: Instant): Decision {
    const { agent, version } = w.deployment
    const { baseline, actuator, workload } = w.canary
    const { startedAt } = w.progress
    // One promotion or rollback a run of the canary; it may be held more often.
    const id = `rollout:${w.id}:${startedAt}:${verdict}${verdict === 'hold' ? `:${now}` : ''}`
    const words = {
      promote: `${agent} ${version} is promoted over ${baseline}.`,
      rollback: `${agent} ${version} is rolled back to ${baseline}.`,
      hold: `${agent} ${version} is held beside ${baseline}.`,
    }
    const whole = `${words[verdict]} ${reason}`
    const action: Action | null =
      verdict === 'hold'
        ? null
        : {
            id: `${id}:do`,
            kind: verdict,
            subject: agent,
            params:
              verdict === 'promote'
                ? { version, from: baseline, to: version, ...workloadParams(workload, version) }
                : { version, from: version, to: baseline, ...workloadParams(workload, baseline) },
            reason: whole,
            causes: [id],
            actuator,
          }
    const inputs = {
      version,
      baseline,
      startedAt,
      score: judgement.score,
      outcome: judgement.outcome,
      metrics: judgement.metrics,
    }
    return {
      id,
      at: now,
      kind: 'rollout',
      subject: agent,
      verdict,
      reason: whole,
      inputs,
      causes: [],
      action,
    }
  }

  /** One side's points; why there are none when they cannot be had. */
  async #side(look: Look, metric: CanaryMetric, version: string, other: string): Promise<Side> {
    const { deployment, canary } = look.w
    const { baseline, analysis } = canary
    const who = version === baseline ? `the baseline ${version}` : `the new version ${version}`
    const expr = queryFor(metric.query, deployment.agent, version)
    const signal = this.#deps.clock.timeout(longestQuery, this.#life.signal)
    try {
      if (!(await isFresh(this.#deps.querier, expr, look.now, analysis.stale_after, signal)))
        return { missing: `${who} has sent nothing for ${formatDuration(analysis.stale_after)}` }
      const otherExpr = queryFor(metric.query, deployment.agent, other)
      return await this.#points(look, expr, otherExpr, who, signal)
    } catch (error) {
      if (this.#life.signal.aborted) throw error
      return { missing: `${who} could not be read: ${messageOf(error)}` }
    }
  }

  async #points(
    look: Look,
    expr: string,
    otherExpr: string,
    who: string,
    signal: AbortSignal,
  ): Promise<Side> {
    const { span, w } = look
    const { stale_after } = w.canary.analysis
    if (span.fromAt > span.toAt) return new Float64Array(0)
    const { value } = await this.#deps.querier.range(expr, span, signal)
    if (value.labels.length === 0 || value.end[0] === value.start[0]) return { missing: `${who} has no data` }
    if (value.labels.length > 1)
      return {
        missing: `${who} gives ${value.labels.length} series, one is needed; wrap the query in sum() or avg()`,
      }
    const [start, end] = [value.start[0]!, value.end[0]!]
    const silent = duration(span.toAt - value.at[end - 1]!)
    if (silent > stale_after) return { missing: `${who} has had no value for ${formatDuration(silent)}` }
    // Only what was measured counts: a gap is neither a zero nor a pass, and a value is no second one until a new sample comes.
    const inputs = await this.#inputs(look, expr, otherExpr, signal)
    return realPoints(value.at.slice(start, end), value.value.slice(start, end), inputs, span)
  }

  /**
   * When the newest samples of one side's own selectors came; of all its selectors when none is its own or has data (what both sides share
   * goes on when one of them is still).
   */
  async #inputs(
    { span, heard }: Look,
    expr: string,
    otherExpr: string,
    signal: AbortSignal,
  ): Promise<readonly Float64Array[]> {
    const { querier } = this.#deps
    const all = selectorsOf(querier, expr)
    const of = (selectors: ReadonlySet<string>): Promise<readonly Float64Array[]> =>
      Promise.all(
        [...selectors].map((selector) => {
          const asked = heard.get(selector) ?? heardOver(querier, selector, span, signal)
          heard.set(selector, asked)
          return asked
        }),
      )
    const own = await of(all.difference(selectorsOf(querier, otherExpr)))
    return own.some((times) => times.some((t) => !Number.isNaN(t))) ? own : of(all)
  }
}

/** The canaries of a fleet. Stale or missing data never promotes, nor does it roll back. */
export const createRollouts = (deps: RolloutDeps): Rollouts => new CanaryWatch(deps)
