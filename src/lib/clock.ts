// The one place that touches Date and timers: everything else is handed a Clock.
import { type Duration, type Instant, instant } from './time.ts'

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall-clock time; may jump when the machine's clock is set. */
  now(): Instant
  /** Milliseconds that never run backwards, from an arbitrary start: for measuring how long something took. */
  monotonic(): number
  /** Calls `run` once after `delay`. A rejection of an async `run` is the caller's bug: `run` must catch its own errors. */
  after(delay: Duration, run: () => void): Timer
  /** Resolves after `delay`; rejects with the signal's reason when it is aborted first. */
  sleep(delay: Duration, signal?: AbortSignal): Promise<void>
  /** A signal that aborts after `delay` (TimeoutError), or with `outer`. */
  timeout(delay: Duration, outer?: AbortSignal): AbortSignal
}

// setTimeout's longest delay; more than this fires at once.
const longest = 2_147_483_647

const after = (delay: number, run: () => void): Timer => {
  let handle: NodeJS.Timeout
  const arm = (rest: number): void => {
    handle = setTimeout(
      () => (rest > longest ? arm(rest - longest) : run()),
      Math.min(Math.max(rest, 0), longest),
    )
  }
  arm(delay)
  return { cancel: () => clearTimeout(handle) }
}

export const systemClock: Clock = {
  now: () => instant(Date.now()),
  monotonic: () => performance.now(),
  after,
  sleep: (delay, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const timer = after(delay, () => {
        signal?.removeEventListener('abort', stop)
        resolve()
      })
      const stop = (): void => {
        timer.cancel()
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', stop, { once: true })
    }),
  timeout: (delay, outer) => {
    const own = AbortSignal.timeout(Math.min(delay, longest))
    return outer ? AbortSignal.any([own, outer]) : own
  },
}

/** Runs the rest of the event loop's queue before going on: for long loops that must let pages through. */
export const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/**
 * Calls `run(now)` every `interval`, aligned to multiples of it plus `offset`, never two at once; a run that overruns
 * makes the missed ticks fall away (`missed` is told how many). Errors of `run` go to `failed`. Stops with `signal`.
 */
export const every = (
  clock: Clock,
  interval: Duration,
  run: (now: Instant) => Promise<void> | void,
  options: {
    signal: AbortSignal
    failed: (error: unknown) => void
    offset?: number
    missed?: (n: number) => void
  },
): void => {
  const { signal, failed, offset = 0, missed } = options
  const next = (now: number): number => Math.floor((now - offset) / interval + 1) * interval + offset
  let timer: Timer | undefined
  const arm = (dueAt: number): void => {
    if (signal.aborted) return
    timer = clock.after(Math.max(dueAt - clock.now(), 0) as Duration, () => void tick(dueAt))
  }
  const tick = async (dueAt: number): Promise<void> => {
    const wokenAt = clock.now()
    // A clock that was set, or a machine that slept: what is looked at is the newest turn, not one of hours ago or ahead.
    const turnAt = Math.abs(wokenAt - dueAt) > interval ? next(wokenAt) - interval : dueAt
    try {
      await run(instant(turnAt))
    } catch (error) {
      failed(error)
    }
    const now = clock.now()
    const due = next(Math.max(now, dueAt))
    // A clock set back by more than an interval: start again from where it is now.
    const dueNow = now < dueAt - interval ? next(now) : due
    const skipped = Math.round((dueNow - dueAt) / interval) - 1
    if (skipped > 0) missed?.(skipped)
    arm(dueNow)
  }
  signal.addEventListener('abort', () => timer?.cancel(), { once: true })
  arm(next(clock.now()))
}

/** For libraries that want a Date. */
export const dateOf = (at: Instant): Date => new Date(at)
