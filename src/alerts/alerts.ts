// Alerts become notifications: taken in, merged, routed, grouped, held back where somebody said so, and told once.
import { type Clock, every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { RowLog } from '../lib/row-log.ts'
import { duration, type Instant, minute, plus, second } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import { type Alert, fingerprint, isResolved } from '../model/alert.ts'
import type { AlertFilter, AlertManager, PostedAlert, WantedSilence } from '../model/ports/alert-manager.ts'
import type { AlertSink } from '../model/ports/alert-sink.ts'
import type { Integration, ReceiverConfig } from '../model/ports/channel.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Service } from '../model/ports/service.ts'
import { createAlertGauges } from './alert-gauges.ts'
import type { AlertsConfig } from './config.ts'
import { Dispatcher, type Group } from './dispatcher.ts'
import { createInhibitor, type Inhibitor } from './inhibit.ts'
import { type HeldAlert, mergeAlerts } from './merge.ts'
import { mutedBy } from './mute.ts'
import { makeRoutes, type Route } from './route.ts'
import { showAlerts, showGroups, type View } from './shown.ts'
import { createSilences, type Silences } from './silence.ts'
import { AlertState } from './state.ts'
import { Teller, toldKey, type UnderWay } from './teller.ts'

export interface AlertsLimits {
  readonly alerts: number
  readonly groups: number
}

export interface AlertsDeps {
  readonly config: AlertsConfig
  /** The real channels of a receiver; asked once for each receiver and configuration. */
  readonly notifiers: (receiver: ReceiverConfig) => readonly Integration[]
  readonly ledger: Ledger
  readonly rows: RowLog
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** How people reach this Airboss: stands in notifications. */
  readonly externalURL: () => string
  readonly limits?: AlertsLimits
  /** Told when alerts from outside came in and are on disk. */
  readonly outsideChanged?: () => Promise<void>
}

export interface Alerts extends AlertSink, Service, AlertManager {
  /** Puts another configuration in force; groups that exist in both keep their clocks. Throws what making its receivers throws, and then the old one goes on. */
  apply(config: AlertsConfig): Promise<void>
  /** Alerts that were posted and are held, firing or not. */
  outside(): readonly HeldAlert[]
}

interface Running {
  readonly config: AlertsConfig
  readonly route: Route
  readonly inhibitor: Inhibitor
  readonly dispatcher: Dispatcher
  readonly teller: Teller
  readonly integrations: ReadonlyMap<string, readonly Integration[]>
}

const drainTime = duration(5 * second)
const countEvery = duration(10 * second)

const cleaned = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== ''))

class AlertRoom implements Alerts {
  readonly #deps: AlertsDeps
  readonly #state: AlertState
  readonly #silences: Silences
  readonly #limits: AlertsLimits
  readonly #under: UnderWay = new Map()
  readonly #stop = new AbortController()
  readonly #received
  readonly #limited
  readonly #gauges
  #startedAt: Instant
  #running: Running
  #started = false
  constructor(deps: AlertsDeps) {
    this.#deps = deps
    const { metrics } = deps
    this.#limits = deps.limits ?? { alerts: 50_000, groups: 10_000 }
    this.#received = metrics.counter('airboss_alerts_received_total', 'Alerts taken in', ['status'])
    this.#limited = metrics.counter('airboss_alerts_limited_total', 'Alerts refused at a limit', ['limit'])
    this.#gauges = createAlertGauges(metrics)
    const failures = metrics.counter('airboss_alert_state_failures_total', 'Alert state rows not written')
    this.#state = new AlertState(deps.rows, deps.log, failures)
    this.#silences = createSilences(deps.ledger)
    this.#startedAt = deps.clock.now()
    this.#running = this.#make(deps.config)
  }

  #make(config: AlertsConfig): Running {
    const { clock, log, externalURL } = this.#deps
    const route = makeRoutes(config.route)
    const integrations = new Map(config.receivers.map((r) => [r.name, this.#deps.notifiers(r)]))
    const inhibitor = createInhibitor(config.inhibitRules)
    const held = (group: Group, f: string, alert: HeldAlert, at: Instant): boolean =>
      mutedBy(group.route, config.intervals, at).length > 0 || this.#heldBy(f, alert, at, inhibitor)
    const teller = new Teller(
      { state: this.#state, clock, log, externalURL, integrations, held },
      this.#under,
    )
    const dispatcher = new Dispatcher({
      route,
      clock,
      log,
      mostGroups: this.#limits.groups,
      tell: (group, at) => teller.tell(group, at),
      resumeAt: (group) => this.#resumeAt(group, integrations.get(group.route.receiver) ?? []),
      left: (fingerprints) => this.#left(fingerprints),
      limited: () => this.#limited.add(1, { limit: 'groups' }),
    })
    return { config, route, inhibitor, dispatcher, teller, integrations }
  }

  #heldBy(_f: string, alert: Alert, at: Instant, inhibitor: Inhibitor): boolean {
    return (
      inhibitor.inhibitedBy(alert.labels, at).length > 0 ||
      this.#silences.silencedBy(alert.labels, at).length > 0
    )
  }

  // A delivery cut in two is taken up at once; a group told before goes on in its rhythm.
  #resumeAt(group: Group, integrations: readonly Integration[]): Instant | null {
    const now = this.#deps.clock.now()
    const keys = integrations.map((i) => toldKey(group, i.name))
    if (keys.some((key) => this.#state.asked.has(key))) return now
    const told = keys.flatMap((key) => this.#state.told.get(key) ?? []).filter((t) => t.firing.length > 0)
    if (told.length === 0) return null
    const last = Math.max(...told.map((t) => t.at)) as Instant
    return Math.max(plus(last, group.route.groupInterval), now) as Instant
  }

  #left(fingerprints: readonly string[]): void {
    const gone: string[] = []
    const groups = [...this.#running.dispatcher.groups.values()]
    for (const f of fingerprints) {
      const alert = this.#state.alerts.get(f)
      // A flush from before a reload knows only its own groups.
      if (!alert || groups.some((g) => g.alerts.has(f))) continue
      if (!isResolved(alert, this.#deps.clock.now())) continue
      this.#running.inhibitor.forget(f, alert)
      gone.push(f)
    }
    // Never rejects: a failure is counted and logged there.
    void this.#state.drop(gone)
  }

  async start(): Promise<void> {
    const { clock, log } = this.#deps
    const now = clock.now()
    this.#startedAt = now
    await this.#state.restore(now, this.#running.config.resolveTimeout)
    this.#enter(this.#running)
    this.#started = true
    const failed = (error: unknown): void => log.error({ error: messageOf(error) }, 'alert upkeep failed')
    every(clock, minute, (at) => this.#upkeep(at), { signal: this.#stop.signal, failed })
    every(clock, countEvery, () => this.#count(), { signal: this.#stop.signal, failed })
    log.info(
      { alerts: this.#state.alerts.size, groups: this.#running.dispatcher.groups.size },
      'alerts started',
    )
  }

  #enter({ inhibitor, dispatcher }: Running): void {
    for (const [f, alert] of this.#state.alerts) inhibitor.note(f, alert)
    dispatcher.restore(this.#state.alerts)
  }

  async #upkeep(now: Instant): Promise<void> {
    this.#state.forget(now)
    const groups = [...this.#running.dispatcher.groups.values()]
    const inGroups = new Set(groups.flatMap((g) => [...g.alerts.keys()]))
    const over = [...this.#state.alerts].filter(([f, a]) => isResolved(a, now) && !inGroups.has(f))
    this.#left(over.map(([f]) => f))
    await this.#silences.sweep(now)
  }

  #count(): void {
    this.#gauges({
      held: this.#state.alerts.size,
      groups: this.#running.dispatcher.groups.size,
      shown: this.alerts({}),
      silences: this.silences([]),
    })
  }

  async push(alerts: readonly Alert[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    await this.#take(alerts.map((alert) => ({ ...alert, timeout: false })))
  }

  async post(posted: readonly PostedAlert[], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    const now = this.#deps.clock.now()
    const timeoutAt = plus(now, this.#running.config.resolveTimeout)
    await this.#take(
      posted.map((p) => ({
        ...p,
        startsAt: p.startsAt ?? (p.endsAt !== null && p.endsAt < now ? p.endsAt : now),
        endsAt: p.endsAt ?? timeoutAt,
        timeout: p.endsAt === null,
        outside: true,
      })),
    ).finally(() => this.#deps.outsideChanged?.())
  }

  outside(): readonly HeldAlert[] {
    return [...this.#state.alerts.values()].filter((alert) => alert.outside === true)
  }

  async #take(alerts: readonly (Alert & { timeout: boolean; outside?: boolean })[]): Promise<void> {
    const now = this.#deps.clock.now()
    const wrong: string[] = []
    const taken = new Map<string, HeldAlert>()
    let limited = 0
    for (const given of alerts) {
      const labels = cleaned(given.labels)
      const why = invalid(labels, given)
      if (why) {
        wrong.push(why)
        continue
      }
      const f = fingerprint(labels)
      const old = taken.get(f) ?? this.#state.alerts.get(f)
      const next: HeldAlert = { ...given, labels, updatedAt: now }
      // Nobody was ever told of it: there is nothing to take back.
      if (!old && isResolved(next, now)) continue
      if (!old && this.#state.alerts.size + taken.size >= this.#limits.alerts) limited++
      else taken.set(f, old ? mergeAlerts(old, next, now) : next)
    }
    const kept = this.#state.keep([...taken])
    // Sources first, so that an alert and the one that explains it may come in one push.
    for (const [f, alert] of taken) this.#running.inhibitor.note(f, alert)
    for (const [f, alert] of taken) {
      this.#received.add(1, { status: isResolved(alert, now) ? 'resolved' : 'firing' })
      if (this.#started) this.#running.dispatcher.insert(f, alert)
    }
    await kept
    if (limited > 0) {
      this.#limited.add(limited, { limit: 'alerts' })
      throw new AppError(
        'limit_exceeded',
        `${limited} alerts not taken: ${this.#limits.alerts} are held already`,
      )
    }
    if (wrong.length > 0) throw new AppError('bad_data', wrong.join('; '))
  }

  async apply(config: AlertsConfig): Promise<void> {
    const before = this.#running
    const next = this.#make(config)
    this.#running = next
    if (this.#started) {
      this.#enter(next)
      next.dispatcher.inherit(before.dispatcher)
    }
    // What the old one is about to deliver goes on to its end; both share the marks of what is under way.
    void before.dispatcher.stop()
  }

  async drain(): Promise<void> {
    this.#stop.abort()
    const { dispatcher, teller } = this.#running
    const done = dispatcher.stop()
    const limit = this.#deps.clock.after(drainTime, () => teller.abort())
    await done
    limit.cancel()
  }

  #view(): View {
    const { route, inhibitor, dispatcher, config } = this.#running
    const now = this.#deps.clock.now()
    const silencedBy = (labels: Alert['labels']): string[] => this.#silences.silencedBy(labels, now)
    return {
      now,
      alerts: this.#state.alerts,
      groups: dispatcher.groups,
      route,
      inhibitor,
      intervals: config.intervals,
      silencedBy,
    }
  }

  alerts(filter: AlertFilter) {
    return showAlerts(this.#view(), filter)
  }
  groups(filter: AlertFilter) {
    return showGroups(this.#view(), filter)
  }
  receivers(): string[] {
    return this.#running.config.receivers.map((r) => r.name)
  }
  silences(matchers: readonly string[]) {
    return this.#silences.list(matchers, this.#deps.clock.now())
  }
  silence(id: string) {
    return this.#silences.get(id, this.#deps.clock.now())
  }
  setSilence(wanted: WantedSilence, by: Actor): Promise<string> {
    return this.#silences.set(wanted, by, this.#deps.clock.now())
  }
  expireSilence(id: string, by: Actor): Promise<void> {
    return this.#silences.expire(id, by, this.#deps.clock.now())
  }
  status() {
    return { startedAt: this.#startedAt, config: this.#running.config.shown }
  }
}

const invalid = (labels: Readonly<Record<string, string>>, alert: Alert): string | null => {
  const names = Object.keys(labels)
  if (names.length === 0) return 'an alert needs at least one label'
  if (names.includes('')) return 'an alert has a label without a name'
  if (alert.startsAt > alert.endsAt)
    return `alert ${labels['alertname'] ?? ''}: startsAt must be before endsAt`
  return null
}

/** The alerts room. Nothing runs before `start`, which reads back what the rows hold. */
export const createAlerts = (deps: AlertsDeps): Alerts => new AlertRoom(deps)
