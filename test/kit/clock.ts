// A clock that tests move by hand.
import type { Clock, Timer } from '../../src/lib/clock.ts'
import { type Duration, type Instant, instant } from '../../src/lib/time.ts'

export class FakeClock implements Clock {
  #now: number
  #timers: { dueAt: number; run: () => void }[] = []
  constructor(nowAt: number = Date.parse('2026-01-01T00:00:00Z')) {
    this.#now = nowAt
  }
  now(): Instant {
    return instant(this.#now)
  }
  monotonic(): number {
    return this.#now
  }
  after(delay: Duration, run: () => void): Timer {
    const timer = { dueAt: this.#now + Math.max(delay, 0), run }
    this.#timers.push(timer)
    const cancel = (): void => {
      this.#timers = this.#timers.filter((t) => t !== timer)
    }
    return { cancel }
  }
  sleep(delay: Duration, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const timer = this.after(delay, resolve)
      signal?.addEventListener('abort', () => {
        timer.cancel()
        reject(signal.reason)
      })
    })
  }
  timeout(delay: Duration, outer?: AbortSignal): AbortSignal {
    const own = new AbortController()
    this.after(delay, () => own.abort(new DOMException('timed out', 'TimeoutError')))
    return outer ? AbortSignal.any([own.signal, outer]) : own.signal
  }
  /** Moves time, firing every timer on its way in order; promises settle between timers. */
  async advance(by: number): Promise<void> {
    const end = this.#now + by
    for (;;) {
      const next = this.#timers.filter((t) => t.dueAt <= end).sort((a, b) => a.dueAt - b.dueAt)[0]
      if (!next) break
      this.#timers = this.#timers.filter((t) => t !== next)
      this.#now = Math.max(this.#now, next.dueAt)
      next.run()
      await settle()
    }
    this.#now = end
    await settle()
  }
  /** Sets the wall clock as an operator would: no timer fires by it. */
  jump(toAt: number): void {
    const by = toAt - this.#now
    this.#now = toAt
    for (const t of this.#timers) t.dueAt += by
  }
}

/** Lets every promise that can settle without I/O settle. */
export const settle = async (): Promise<void> => {
  for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve))
}
