// How on-call reaches one user on one device.
import type { Instant } from '../../lib/time.ts'
import type { Notification } from '../alert.ts'
import type { Delivery } from './notifier.ts'

/** One page of an escalation to one user. `id` is its idempotency key: delivered again after a kill, it is the same page. */
export interface Page {
  readonly id: string
  readonly user: string
  readonly notification: Notification
  readonly escalation: { readonly id: string; readonly policy: string; readonly step: number }
  /** Where the user can acknowledge; null when the page says that it is over. */
  readonly ackURL: string | null
  readonly at: Instant
}

export interface Pager {
  page(page: Page, signal: AbortSignal): Promise<Delivery>
}
