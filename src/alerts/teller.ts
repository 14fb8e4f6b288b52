// Tells receivers about groups: what is held back stays out, what is known already is not said again, one slow receiver delays nobody.
import type { Clock } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { createGate, type Gate } from '../lib/gate.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, day, type Instant, plus, second } from '../lib/time.ts'
import { isResolved, type Notification, type NotifyReason } from '../model/alert.ts'
import type { Integration } from '../model/ports/channel.ts'
import type { Delivery } from '../model/ports/notifier.ts'
import { needsUpdate, type Told } from './dedup.ts'
import type { Group } from './dispatcher.ts'
import { byLabels, commonAnnotations, commonLabels, notified } from './group.ts'
import type { HeldAlert } from './merge.ts'
import type { AlertState } from './state.ts'

/** A delivery has at least this long, however short the group interval is. */
const leastTime = 10 * second
const mostAtOnce = 32

export interface TellerDeps {
  readonly state: AlertState
  readonly clock: Clock
  readonly log: Logger
  readonly externalURL: () => string
  readonly integrations: ReadonlyMap<string, readonly Integration[]>
  /** Whether an alert is held back now, by a silence, an inhibition or its route's times. */
  readonly held: (group: Group, fingerprint: string, alert: HeldAlert, at: Instant) => boolean
}

const sameSet = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((f) => b.includes(f))

export const toldKey = (group: Group, integration: string): string =>
  `${group.key} ${group.route.receiver}/${integration}`

/** Deliveries under way by key, with what to look at again when one is done. Shared over a reload. */
export type UnderWay = Map<string, { again: (() => Promise<boolean>) | null }>

export class Teller {
  readonly #deps: TellerDeps
  readonly #gates = new Map<string, Gate>()
  readonly #under: UnderWay
  readonly #stop = new AbortController()
  constructor(deps: TellerDeps, under: UnderWay) {
    this.#deps = deps
    this.#under = under
  }

  /** Ends the deliveries under way; they count as not done and are taken up after a restart. */
  abort(): void {
    this.#stop.abort(new Error('stopping'))
  }

  /** Tells every integration of the group's receiver what it does not know; true when all of them know all. */
  async tell(group: Group, at: Instant): Promise<boolean> {
    const integrations = this.#deps.integrations.get(group.route.receiver) ?? []
    const done = await Promise.all(integrations.map((one) => this.#one(group, one, at)))
    return done.every(Boolean)
  }

  async #one(group: Group, integration: Integration, at: Instant): Promise<boolean> {
    const key = toldKey(group, integration.name)
    const busy = this.#under.get(key)
    if (busy) {
      // The newest asker: after a reload the group that began this delivery is no longer kept up.
      busy.again = () => this.#one(group, integration, this.#deps.clock.now())
      return false
    }
    const mark: { again: (() => Promise<boolean>) | null } = { again: null }
    this.#under.set(key, mark)
    let done = false
    try {
      done = await this.#update(group, integration, key, at)
    } finally {
      this.#under.delete(key)
    }
    return mark.again && !this.#stop.signal.aborted ? mark.again() : done
  }

  async #update(group: Group, integration: Integration, key: string, at: Instant): Promise<boolean> {
    const { state } = this.#deps
    const alerts = [...group.alerts].filter(([f, alert]) => !this.#deps.held(group, f, alert, at))
    if (alerts.length === 0) return true
    const firing = alerts.filter(([, a]) => !isResolved(a, at)).map(([f]) => f)
    const resolved = alerts.filter(([, a]) => isResolved(a, at)).map(([f]) => f)
    const { repeatInterval } = group.route
    const reason = needsUpdate(
      state.told.get(key) ?? null,
      { firing, resolved },
      { ...integration, repeatInterval, at },
    )
    if (!reason) return true
    const interrupted = state.asked.get(key)
    const again =
      interrupted && sameSet(interrupted.firing, firing) && sameSet(interrupted.resolved, resolved)
    const told: Told = { at: again ? interrupted.at : at, firing, resolved }
    const wanted = integration.sendResolved ? alerts : alerts.filter(([f]) => firing.includes(f))
    if (wanted.length > 0) {
      await state.ask(key, told)
      const notification = this.#notification(group, wanted, reason, told.at, at)
      if (!(await this.#deliver(group, integration, notification))) return false
    }
    // Forgotten too early, the end of what it tells of would be news to nobody.
    await state.tell(key, { ...told, at, untilAt: plus(at, Math.max(2 * repeatInterval, day)) })
    return true
  }

  #notification(
    group: Group,
    wanted: readonly (readonly [string, HeldAlert])[],
    reason: NotifyReason,
    decidedAt: Instant,
    at: Instant,
  ): Notification {
    const alerts = wanted.map(([, a]) => a).sort(byLabels)
    const shown = alerts.map(({ updatedAt: _, timeout: __, ...alert }) => notified(alert, at))
    return {
      receiver: group.route.receiver,
      groupKey: group.key,
      status: shown.some((a) => a.status === 'firing') ? 'firing' : 'resolved',
      reason,
      groupLabels: group.labels,
      commonLabels: commonLabels(alerts),
      commonAnnotations: commonAnnotations(alerts),
      routeLabels: {},
      externalURL: this.#deps.externalURL(),
      truncatedAlerts: 0,
      alerts: shown,
      at: decidedAt,
    }
  }

  async #deliver(group: Group, integration: Integration, notification: Notification): Promise<boolean> {
    const { clock, log } = this.#deps
    const name = `${group.route.receiver}/${integration.name}`
    const gate = this.#gates.get(name) ?? createGate(mostAtOnce)
    this.#gates.set(name, gate)
    const time = Math.max(group.route.groupInterval, leastTime) as Duration
    const signal = clock.timeout(time, this.#stop.signal)
    let delivery: Delivery
    try {
      delivery = await withSignal(
        signal,
        gate(() => integration.notifier.notify(notification, signal)),
      )
    } catch (error) {
      delivery = { outcome: 'retry', why: messageOf(error), after: null }
    }
    if (delivery.outcome === 'sent') return true
    const fields = {
      receiver: group.route.receiver,
      integration: integration.name,
      group: group.key,
      why: delivery.why,
    }
    if (this.#stop.signal.aborted) log.info(fields, 'notification interrupted, taken up after the restart')
    else log.error(fields, 'notification not delivered, tried again at the next group interval')
    return false
  }
}

/** A notifier that does not heed its signal must not hold the group: the wait for it ends with the signal. */
const withSignal = <T>(signal: AbortSignal, work: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
