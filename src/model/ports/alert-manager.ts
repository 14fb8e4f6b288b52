// What the Alertmanager API and the console ask of the alerts room.
import type { Instant } from '../../lib/time.ts'
import type { Actor } from '../actor.ts'
import type { Alert } from '../alert.ts'
import type { Matcher } from '../matcher.ts'

/** An alert as a client posts it: `startsAt` defaults to now, `endsAt` to now and the resolve timeout. */
export interface PostedAlert {
  readonly labels: Readonly<Record<string, string>>
  readonly annotations: Readonly<Record<string, string>>
  readonly startsAt: Instant | null
  readonly endsAt: Instant | null
  readonly generatorURL: string
}

export interface AlertStatus {
  readonly state: 'unprocessed' | 'active' | 'suppressed'
  readonly silencedBy: readonly string[]
  readonly inhibitedBy: readonly string[]
  /** Names of time intervals. */
  readonly mutedBy: readonly string[]
}

export interface ShownAlert extends Alert {
  readonly fingerprint: string
  readonly updatedAt: Instant
  readonly receivers: readonly string[]
  readonly status: AlertStatus
}

export interface ShownGroup {
  readonly labels: Readonly<Record<string, string>>
  readonly receiver: string
  readonly alerts: readonly ShownAlert[]
}

/** Which alerts to show; everything but resolved ones where a key is left out. */
export interface AlertFilter {
  readonly active?: boolean
  readonly silenced?: boolean
  readonly inhibited?: boolean
  readonly unprocessed?: boolean
  readonly muted?: boolean
  /** Matchers as text, all of which must hold. */
  readonly matchers?: readonly string[]
  /** An anchored regular expression over receiver names; '' for all. */
  readonly receiver?: string
}

export interface WantedSilence {
  /** '' for a new one. */
  readonly id: string
  readonly matchers: readonly Matcher[]
  readonly startsAt: Instant
  readonly endsAt: Instant
  readonly createdBy: string
  readonly comment: string
  readonly annotations: Readonly<Record<string, string>>
}

export interface Silence extends WantedSilence {
  readonly updatedAt: Instant
  readonly state: 'pending' | 'active' | 'expired'
}

export interface AlertManagerStatus {
  readonly startedAt: Instant
  /** The configuration as it is in force, its secrets hidden. */
  readonly config: string
}

export interface AlertManager {
  /** Resolves when the alerts are on disk. Throws `bad_data` naming every alert that is wrong; the good ones are taken. */
  post(alerts: readonly PostedAlert[], signal: AbortSignal): Promise<void>
  /** By fingerprint. Throws `bad_data` on a bad matcher or pattern. */
  alerts(filter: AlertFilter): ShownAlert[]
  groups(filter: AlertFilter): ShownGroup[]
  receivers(): string[]
  /** Active ones first, the soonest to end first; then pending, then expired. */
  silences(matchers: readonly string[]): Silence[]
  silence(id: string): Silence | null
  /** Makes or changes a silence; gives its id, a new one where the change replaces it. Throws `bad_data`, `not_found`. */
  setSilence(wanted: WantedSilence, by: Actor): Promise<string>
  /** Ends a silence now. Throws `not_found`. */
  expireSilence(id: string, by: Actor): Promise<void>
  status(): AlertManagerStatus
}
