// An alert and the notification that carries a group of them.
import { hash64 } from '../lib/hash.ts'
import type { Instant } from '../lib/time.ts'
import type { Labels } from './labels.ts'

export interface Alert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAt: Instant
  /** When it ended, or, while it fires, when it counts as ended if nobody says more. */
  readonly endsAt: Instant
  readonly generatorURL: string
}

/** A 16-digit fingerprint of an alert's labels. */
export const fingerprint = (labels: Readonly<Record<string, string>>): string =>
  hash64(
    Object.keys(labels)
      .sort()
      .flatMap((name) => [name, labels[name]!]),
  )

export const isResolved = (alert: Alert, now: Instant): boolean => alert.endsAt <= now

export interface NotifiedAlert extends Alert {
  readonly status: 'firing' | 'resolved'
  readonly fingerprint: string
}

/** Why a notification is sent, as Alertmanager names it. */
export type NotifyReason =
  | 'first notification'
  | 'new alerts in group'
  | 'some alerts resolved'
  | 'all alerts resolved'
  | 'repeat interval elapsed'

/** One group of alerts for one receiver. */
export interface Notification {
  readonly receiver: string
  readonly groupKey: string
  readonly status: 'firing' | 'resolved'
  readonly reason: NotifyReason
  readonly groupLabels: Readonly<Record<string, string>>
  readonly commonLabels: Readonly<Record<string, string>>
  readonly commonAnnotations: Readonly<Record<string, string>>
  readonly routeLabels: Readonly<Record<string, string>>
  readonly externalURL: string
  readonly truncatedAlerts: number
  readonly alerts: readonly NotifiedAlert[]
  /** When this notification was decided. */
  readonly at: Instant
}

export type AlertState = 'inactive' | 'pending' | 'firing'

/** An alerting rule's alert as the rules API and the console show it. */
export interface ActiveAlert {
  readonly labels: Labels
  readonly annotations: Readonly<Record<string, string>>
  readonly state: AlertState
  readonly activeAt: Instant
  readonly keepFiringSinceAt: Instant | null
  readonly value: number
}
