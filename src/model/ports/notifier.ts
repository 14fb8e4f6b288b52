// A message out to people. On-call is a notifier that finds a person.
import type { Duration } from '../../lib/time.ts'
import type { Notification } from '../alert.ts'

export type Delivery =
  | { readonly outcome: 'sent' }
  /** Worth trying again, after this long if the receiver said so. */
  | { readonly outcome: 'retry'; readonly why: string; readonly after: Duration | null }
  /** Trying again cannot help. */
  | { readonly outcome: 'refused'; readonly why: string }

export interface Notifier {
  notify(notification: Notification, signal: AbortSignal): Promise<Delivery>
}
