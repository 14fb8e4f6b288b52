// Lets a few queries run at a time, each within its timeout; one that hangs gives its place up soon.
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { type Duration, formatDuration, type Instant } from '../lib/time.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Answer } from '../model/result.ts'

export interface QueryGateDeps {
  readonly querier: Pick<Querier, 'instant'>
  readonly clock: Clock
  readonly concurrency: number
  readonly timeout: Duration
  /** A query that takes longer than this no longer counts, so that no group waits for another's slow one. */
  readonly patience: Duration
}

export type AskInstant = (expr: string, at: Instant, signal: AbortSignal) => Promise<Answer>

/** Rejects when the signal aborts, even when the work does not listen to it. */
export const orAborted = <T>(work: Promise<T>, signal: AbortSignal, onAbort: () => Error): Promise<T> =>
  new Promise((resolve, reject) => {
    const stop = (): void => reject(onAbort())
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })

export const createQueryGate = ({
  querier,
  clock,
  concurrency,
  timeout,
  patience,
}: QueryGateDeps): AskInstant => {
  let free = concurrency
  const waiting: (() => void)[] = []
  const leave = (): void => {
    const next = waiting.shift()
    if (next) next()
    else free++
  }
  const enter = async (signal: AbortSignal): Promise<void> => {
    if (signal.aborted) throw new AppError('canceled', 'the query was stopped')
    if (free > 0) {
      free--
      return
    }
    await new Promise<void>((resolve, reject) => {
      const stop = (): void => {
        const i = waiting.indexOf(go)
        if (i >= 0) waiting.splice(i, 1)
        reject(new AppError('canceled', 'the query was stopped while it waited for its turn'))
      }
      const go = (): void => {
        signal.removeEventListener('abort', stop)
        resolve()
      }
      waiting.push(go)
      signal.addEventListener('abort', stop, { once: true })
    })
  }
  return async (expr, at, outer) => {
    await enter(outer)
    let inside = true
    const out = (): void => {
      if (inside) leave()
      inside = false
    }
    const impatience = clock.after(patience, out)
    const signal = clock.timeout(timeout, outer)
    const onAbort = (): Error =>
      outer.aborted
        ? new AppError('canceled', 'the query was stopped')
        : new AppError('timeout', `the query took longer than ${formatDuration(timeout)}`)
    try {
      return await orAborted(querier.instant(expr, at, signal), signal, onAbort)
    } finally {
      impatience.cancel()
      out()
    }
  }
}
