// Carries an action out in a Kubernetes cluster: scales, sets images, rolls back; each once, however often it is asked for.
import { type Backoff, backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { KubernetesApi } from '../lib/kubernetes.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, formatDuration, second } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { Action } from '../model/decision.ts'
import type { ActOutcome, Actuator } from '../model/ports/actuator.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { KubernetesActConfig } from './config.ts'
import { type Step, stepsOf } from './kubernetes-plan.ts'
import { doStep, Refusal, type StepContext } from './kubernetes-steps.ts'

interface KubernetesActDeps {
  /** The connection; opened with the first action. */
  readonly api: () => Promise<KubernetesApi>
  readonly config: KubernetesActConfig
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly random?: () => number
}

const waits: Backoff = { first: second, most: duration(30_000) }
/** A conflict is over as soon as it is read anew. */
const conflictWaits: Backoff = { first: duration(50), most: duration(2000) }
/** One who is overtaken this often in a row meets a controller that fights back. */
const mostConflicts = 8
const mostCause = 1024

type Fate =
  | { readonly end: ActOutcome }
  | { readonly again: string; readonly after: Duration | null; readonly conflict: boolean }

const retryAfter = (error: Refusal): Duration | null => {
  const header = Number(error.answer.headers['retry-after'] ?? Number.NaN)
  const said = Number.isFinite(header)
    ? header
    : Number(error.answer.body?.details?.retryAfterSeconds ?? Number.NaN)
  return Number.isFinite(said) && said >= 0 ? duration(said * 1000) : null
}

const rights =
  'bind the ClusterRole airboss-act of collector/airboss-kubernetes.yaml to whom Airboss is there'

/** What becomes of an action whose step failed. */
const fateOf = (error: unknown): Fate => {
  const failed = (why: string, retryable: boolean): Fate => ({ end: { outcome: 'failed', why, retryable } })
  if (!(error instanceof Refusal)) {
    const retryable = !(error instanceof AppError) || error.retryable
    return retryable
      ? { again: messageOf(error), after: null, conflict: false }
      : failed(messageOf(error), false)
  }
  const { status } = error.answer
  const why = error.message
  if (status === 409 || status === 410) return { again: why, after: null, conflict: true }
  if (status === 429 || status === 408 || status >= 500)
    return { again: why, after: retryAfter(error), conflict: false }
  // Tokens are renewed; the next call may bring a good one.
  if (status === 401) return failed(`${why}; check the token or kubeconfig`, true)
  if (status === 403) return failed(`${why}; ${rights}`, false)
  if (status === 404) return failed(`${why}; correct workload, or make it first`, false)
  return failed(why, false)
}

class KubernetesActuator implements Actuator {
  readonly #deps: KubernetesActDeps
  readonly #steps

  constructor(deps: KubernetesActDeps) {
    this.#deps = deps
    this.#steps = deps.metrics.counter(
      'airboss_kubernetes_steps_total',
      'Steps of actions in Kubernetes by what came of them.',
      ['step', 'outcome'],
    )
  }

  async act(action: Action, by: Actor, signal: AbortSignal): Promise<ActOutcome> {
    const steps = stepsOf(action)
    if (typeof steps === 'string') return { outcome: 'failed', why: steps, retryable: false }
    const said: string[] = []
    for (const step of steps) {
      const outcome = await this.#patiently(step, action, by, signal)
      if (outcome.outcome !== 'done')
        return said.length === 0 || outcome.outcome === 'held'
          ? outcome
          : { ...outcome, why: `${said.join('; ')}; but ${outcome.why}` }
      said.push(outcome.detail)
    }
    return { outcome: 'done', detail: said.join('; ') || 'it runs already: nothing is to be changed' }
  }

  async rehearse(action: Action, by: Actor, signal: AbortSignal): Promise<string> {
    const steps = stepsOf(action)
    if (typeof steps === 'string') return `it would fail: ${steps}`
    const said: string[] = []
    try {
      for (const step of steps) said.push(await doStep(await this.#context(action, by, true, signal), step))
    } catch (error) {
      const fate = fateOf(error)
      return `the cluster would not take it: ${'end' in fate && fate.end.outcome !== 'done' ? fate.end.why : messageOf(error)}`
    }
    return `the cluster would take it: ${said.join('; ') || 'nothing is to be changed'}`
  }

  /** One step until it is done, refused for good, or not to be had. */
  async #patiently(step: Step, action: Action, by: Actor, signal: AbortSignal): Promise<ActOutcome> {
    const { clock, config, log, random } = this.#deps
    const startedAt = clock.monotonic()
    let conflicts = 0
    for (let attempt = 1; ; attempt++) {
      const fate = await this.#once(step, action, by, signal)
      if ('end' in fate) return fate.end
      if (fate.conflict) conflicts++
      const wait = duration(
        Math.max(fate.after ?? 0, backoff(fate.conflict ? conflictWaits : waits, attempt, random)),
      )
      const late = clock.monotonic() - startedAt + wait > config.give_up_after
      if (late || conflicts >= mostConflicts) {
        const how = late ? `over ${formatDuration(config.give_up_after)}` : 'and was overtaken each time'
        return { outcome: 'failed', why: `tried ${attempt} times ${how}: ${fate.again}`, retryable: true }
      }
      log.debug(
        { action: action.id, step: step.do, attempt, wait, why: fate.again },
        'step will be tried again',
      )
      await clock.sleep(wait, signal)
    }
  }

  async #once(step: Step, action: Action, by: Actor, signal: AbortSignal): Promise<Fate> {
    try {
      const detail = await doStep(await this.#context(action, by, false, signal), step)
      this.#steps.add(1, { step: step.do, outcome: 'done' })
      return { end: { outcome: 'done', detail } }
    } catch (error) {
      if (signal.aborted) throw new AppError('canceled', `${action.id} was interrupted`, { cause: error })
      const fate = fateOf(error)
      this.#steps.add(1, {
        step: step.do,
        outcome: 'end' in fate ? 'failed' : fate.conflict ? 'conflict' : 'retry',
      })
      return fate
    }
  }

  async #context(action: Action, by: Actor, dryRun: boolean, signal: AbortSignal): Promise<StepContext> {
    const { api, clock, config } = this.#deps
    const cause = `${by.id}: ${action.reason}`
    return {
      api: await api(),
      id: action.id,
      cause: cause.length > mostCause ? `${cause.slice(0, mostCause - 1)}…` : cause,
      dryRun,
      now: clock.now(),
      signal: () => clock.timeout(config.timeout, signal),
    }
  }
}

/**
 * An actuator over a cluster. An action is done once: its id stays on what it changed, and every change is made under the version that was
 * read. Conflicts are read anew and tried again, at most eight times; 429, 5xx and silence until `give_up_after`; other answers are final.
 */
export const createKubernetesActuator = (deps: KubernetesActDeps): Actuator => new KubernetesActuator(deps)
