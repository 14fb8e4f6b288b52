// A plug: one kind of receiver that notifications can go to.
import type { z } from 'zod'
import type { Secret } from '../../lib/config.ts'
import type { Duration } from '../../lib/time.ts'
import type { Notifier } from './notifier.ts'

/** What a channel's schema may need to read its configuration. */
export interface ChannelContext {
  /** Schema of a secret: text, `{ env }` or `{ file }`. */
  readonly secret: z.ZodType<Secret>
  /** A path as written, made absolute against the folder of the configuration file. */
  readonly path: (written: string) => string
}

/** One `<name>_configs` list of a receiver. */
export interface ChannelKind {
  readonly name: string
  /** Schema of one entry; its output goes into `create`. Must not know `send_resolved`. */
  readonly schema: (context: ChannelContext) => z.ZodType
  /** Alertmanager's default of `send_resolved` for this kind. */
  readonly sendResolved: boolean
}

/** One entry of a receiver, read. */
export interface ReceiverEntry {
  readonly kind: string
  /** Its place among the receiver's entries of this kind. */
  readonly index: number
  readonly sendResolved: boolean
  readonly config: unknown
}

export interface ReceiverConfig {
  readonly name: string
  readonly entries: readonly ReceiverEntry[]
}

/** Alertmanager's `global` as channels need it. */
export interface ChannelGlobals {
  readonly resolveTimeout: Duration
  readonly pagerdutyURL: string
  /** Read by the channel kinds' own schema of `http_config`. */
  readonly http: unknown
  /** Read by the channel kinds' own schema of their keys in `global`. */
  readonly channels?: unknown
  /** Absolute paths or patterns of user template files. */
  readonly templates: readonly string[]
}

/** A receiver's entry made real. */
export interface Integration {
  /** `pagerduty[0]`. */
  readonly name: string
  readonly sendResolved: boolean
  readonly notifier: Notifier
}
