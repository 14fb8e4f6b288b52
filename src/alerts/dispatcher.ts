// Groups and their clocks: alerts enter by their routes, and each group is told to its receiver when its time comes.
import type { Clock, Timer } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, type Instant, minute, plus, second } from '../lib/time.ts'
import { isResolved } from '../model/alert.ts'
import { groupId, groupKey, groupLabels } from './group.ts'
import type { LabelSet } from './matchers.ts'
import type { HeldAlert } from './merge.ts'
import { type Route, routesFor } from './route.ts'

export interface Group {
  readonly id: string
  readonly key: string
  readonly labels: LabelSet
  readonly route: Route
  readonly alerts: Map<string, HeldAlert>
  /** Whether its time came at least once. */
  flushed: boolean
  nextAt: Instant
  timer: Timer | null
}

export interface DispatcherDeps {
  readonly route: Route
  readonly clock: Clock
  readonly log: Logger
  readonly mostGroups: number
  /** Tells the group's receiver what it has to know; true when it knows all, so that resolved alerts may leave. */
  readonly tell: (group: Group, at: Instant) => Promise<boolean>
  /** For a group opened from what was kept: when it goes on, or null when its receiver knows nothing of it. */
  readonly resumeAt: (group: Group) => Instant | null
  /** Alerts that no group holds any more. */
  readonly left: (fingerprints: readonly string[]) => void
  readonly limited: () => void
}

export class Dispatcher {
  readonly groups = new Map<string, Group>()
  readonly #deps: DispatcherDeps
  #stopped = false
  #restoring = false
  readonly #under = new Set<Promise<void>>()
  constructor(deps: DispatcherDeps) {
    this.#deps = deps
  }

  /** Puts an alert into its groups. A resolved alert opens none, unless it is kept from before and its end was not told yet. */
  insert(fingerprint: string, alert: HeldAlert): void {
    const now = this.#deps.clock.now()
    for (const route of routesFor(this.#deps.route, alert.labels)) {
      const labels = groupLabels(route, alert.labels)
      const id = groupId(route, labels)
      const known = this.groups.get(id)
      const over = isResolved(alert, now)
      const group = known ?? (over && !this.#restoring ? null : this.#open(id, route, labels, now, over))
      if (!group) continue
      group.alerts.set(fingerprint, alert)
      // An alert older than the wait has waited elsewhere already.
      if (!group.flushed && plus(alert.startsAt, route.groupWait) < now) this.#arm(group, now)
    }
  }

  #open(id: string, route: Route, labels: LabelSet, now: Instant, over: boolean): Group | null {
    if (this.groups.size >= this.#deps.mostGroups) {
      this.#deps.limited()
      this.#deps.log.error(
        { most: this.#deps.mostGroups, route: route.id },
        'too many alert groups, alert not grouped',
      )
      return null
    }
    const key = groupKey(route, labels)
    const nextAt = plus(now, route.groupWait)
    const group: Group = { id, key, labels, route, alerts: new Map(), flushed: false, nextAt, timer: null }
    const resumeAt = this.#restoring ? this.#deps.resumeAt(group) : null
    // Nobody was told that it began.
    if (over && resumeAt === null) return null
    this.groups.set(id, group)
    group.flushed = resumeAt !== null
    this.#arm(group, resumeAt ?? nextAt)
    return group
  }

  /** Puts alerts in that were kept over a restart or a reload. */
  restore(alerts: Iterable<readonly [string, HeldAlert]>): void {
    this.#restoring = true
    for (const [fingerprint, alert] of alerts) this.insert(fingerprint, alert)
    this.#restoring = false
  }

  /** Carries the clocks of the groups that go on over from the dispatcher before a reload. */
  inherit(before: Dispatcher): void {
    for (const group of this.groups.values()) {
      const old = before.groups.get(group.id)
      if (!old) continue
      group.flushed = old.flushed
      this.#arm(group, old.nextAt)
    }
  }

  #arm(group: Group, atWanted: Instant): void {
    group.timer?.cancel()
    if (this.#stopped) return
    group.nextAt = atWanted
    const wait = Math.max(atWanted - this.#deps.clock.now(), 0) as Duration
    group.timer = this.#deps.clock.after(wait, () => this.#due(group))
  }

  #due(group: Group): void {
    const now = this.#deps.clock.now()
    if (this.#tooLate(group, now)) {
      this.#arm(group, plus(now, minute))
      return
    }
    // The instant it was due, so that intervals do not drift with the timers; by a clock that was set back it lies ahead, and now counts.
    const { groupInterval } = group.route
    const at = (
      group.nextAt > now + second ? now : Math.max(group.nextAt, now - groupInterval / 2)
    ) as Instant
    group.flushed = true
    this.#arm(group, plus(at, groupInterval))
    const run = this.#flush(group, at)
      .catch((error: unknown) => this.#deps.log.error({ error, group: group.key }, 'group not flushed'))
      .finally(() => this.#under.delete(run))
    this.#under.add(run)
  }

  /**
   * Whether the clock was set forward, or the machine slept, over the end of alerts that only time ended: whoever keeps them alive must get
   * a word in before they are called resolved.
   */
  #tooLate(group: Group, now: Instant): boolean {
    if (now - group.nextAt <= minute) return false
    return [...group.alerts.values()].some((a) => isResolved(a, now) && a.endsAt > a.updatedAt)
  }

  async #flush(group: Group, at: Instant): Promise<void> {
    const before = new Map(group.alerts)
    const told = await this.#deps.tell(group, at)
    if (!told) return
    const gone: string[] = []
    for (const [fingerprint, alert] of before) {
      // One that came back, or changed in any way since, stays.
      if (!isResolved(alert, at) || group.alerts.get(fingerprint) !== alert) continue
      group.alerts.delete(fingerprint)
      gone.push(fingerprint)
    }
    if (group.alerts.size === 0 && this.groups.get(group.id) === group) {
      group.timer?.cancel()
      this.groups.delete(group.id)
    }
    const groups = [...this.groups.values()]
    this.#deps.left(gone.filter((f) => !groups.some((g) => g.alerts.has(f))))
  }

  /** No timer fires after this; resolves when the flushes under way are done. */
  async stop(): Promise<void> {
    this.#stopped = true
    for (const group of this.groups.values()) group.timer?.cancel()
    await Promise.all(this.#under)
  }
}
