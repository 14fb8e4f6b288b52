// What a kind of discovery is: it says groups of targets, anew for each source that changes.
import type { Clock } from '../../../lib/clock.ts'
import type { Logger } from '../../../lib/log.ts'
import type { Duration } from '../../../lib/time.ts'
import type { TargetGroup } from '../target.ts'

/** Takes groups; each takes the place of the one before from the same source, an empty one removes it. */
export type Update = (groups: readonly TargetGroup[]) => void

export interface Discoverer {
  /** Begins to tell `update` of targets, until `signal` aborts. Resolves after the first look, whether or not it succeeded. Never rejects. */
  start(update: Update, signal: AbortSignal): Promise<void>
}

/** Whoever listens how discovery goes. What could not be read keeps its old targets. */
export interface DiscoveryReport {
  /** `source`: a file, URL or name. Said again at every look that fails. */
  failed(source: string, error: unknown): void
  worked(source: string): void
}

export interface RefreshDeps {
  readonly clock: Clock
  readonly log: Logger
  readonly report: DiscoveryReport
}

export const noTargets = (source: string): TargetGroup => ({ source, targets: [], labels: {} })

/** Runs `look` now and then every `interval`, until `signal` aborts; resolves after the first. `look` tells its own failures. */
export const refreshing = async (
  clock: Clock,
  interval: Duration,
  signal: AbortSignal,
  look: () => Promise<void>,
): Promise<void> => {
  await look()
  const again = async (): Promise<void> => {
    while (!signal.aborted) {
      await clock.sleep(interval, signal)
      await look()
    }
  }
  // The sleep rejects when it is aborted, and only then.
  void again().catch(() => undefined)
}

/** `host:port`, an IPv6 address in brackets. */
export const hostPort = (host: string, port: number | string): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`
