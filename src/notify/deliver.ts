// Retries around any channel: until it is sent or refused, or the caller's time is up.
import { type Backoff, backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import type { Logger } from '../lib/log.ts'
import { duration, minute, second } from '../lib/time.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Delivery, Notifier } from '../model/ports/notifier.ts'
import type { Pager } from '../model/ports/pager.ts'
import { deliveryOfError } from './answer.ts'

export interface DeliverDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly wait?: Backoff
  readonly random?: () => number
}

export interface DeliverNames {
  readonly receiver: string
  readonly integration: string
}

const defaultWait: Backoff = { first: duration(second / 2), most: minute }
const buckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

type Attempt = (signal: AbortSignal) => Promise<Delivery>

/** Runs attempts with backoff, waiting longer where the receiver asks for it. Gives the last outcome when the signal ends it. */
const persist = (
  names: DeliverNames,
  deps: DeliverDeps,
): ((attempt: Attempt, signal: AbortSignal) => Promise<Delivery>) => {
  const { clock, log, metrics, wait = defaultWait, random } = deps
  const labels = ['receiver', 'integration']
  const own = { receiver: names.receiver, integration: names.integration }
  const total = metrics.counter('airboss_notifications_total', 'Notifications to deliver', labels)
  const failed = metrics.counter('airboss_notifications_failed_total', 'Notifications not delivered', [
    ...labels,
    'reason',
  ])
  const retries = metrics.counter('airboss_notification_retries_total', 'Attempts after the first', labels)
  const latency = metrics.histogram(
    'airboss_notification_latency_seconds',
    'From asked to sent',
    buckets,
    labels,
  )
  const sleep = async (n: number, asked: number | null, signal: AbortSignal): Promise<boolean> => {
    const own = random ? backoff(wait, n, random) : backoff(wait, n)
    try {
      await clock.sleep(duration(Math.max(own, asked ?? 0)), signal)
      return true
    } catch {
      return false
    }
  }
  return async (attempt, signal) => {
    total.add(1, own)
    const startedAt = clock.monotonic()
    for (let n = 1; ; n++) {
      let delivery: Delivery
      try {
        delivery = await attempt(signal)
      } catch (error) {
        delivery = deliveryOfError(error)
      }
      if (delivery.outcome === 'sent') {
        latency.observe((clock.monotonic() - startedAt) / 1000, own)
        return delivery
      }
      if (delivery.outcome === 'refused') {
        failed.add(1, { ...own, reason: 'refused' })
        return delivery
      }
      if (n === 1) log.warn({ ...own, why: delivery.why }, 'notification delayed, trying again')
      if (signal.aborted || !(await sleep(n, delivery.after, signal))) {
        failed.add(1, { ...own, reason: 'deadline' })
        return delivery
      }
      retries.add(1, own)
    }
  }
}

/** The notifier with retries; it answers `retry` only when the signal ended before it got through. */
export const deliver = (notifier: Notifier, names: DeliverNames, deps: DeliverDeps): Notifier => {
  const run = persist(names, deps)
  return { notify: (notification, signal) => run((s) => notifier.notify(notification, s), signal) }
}

/** The same around a pager. */
export const deliverPage = (pager: Pager, names: DeliverNames, deps: DeliverDeps): Pager => {
  const run = persist(names, deps)
  return { page: (page, signal) => run((s) => pager.page(page, s), signal) }
}
