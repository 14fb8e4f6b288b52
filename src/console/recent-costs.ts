// Sums of costs for pages that look every few seconds: an answer serves for a while, longer the longer it took to get.
import type { Clock } from '../lib/clock.ts'
import type { CostReports } from '../model/ports/cost-reports.ts'
import type { Within } from '../model/ports/money-reader.ts'

interface Kept<T> {
  readonly answer: Promise<T>
  /** Of the monotonic clock; infinite until it has come. */
  until: number
}

const least = 10_000
/** An answer that took a second serves for twenty: pages never keep the store busy for more than a twentieth of the time. */
const share = 20
const mostKept = 64

/** One question, asked again only once its last answer is old; what fails is not kept. */
const recent = <Q extends Within, T>(clock: Clock, ask: (query: Q, signal: AbortSignal) => Promise<T>) => {
  const kept = new Map<string, Kept<T>>()
  return (query: Q, signal: AbortSignal): Promise<T> => {
    const { toAt: _, ...rest } = query
    const k = JSON.stringify(rest)
    const began = clock.monotonic()
    const last = kept.get(k)
    if (last && last.until > began) return last.answer
    const next: Kept<T> = { answer: ask(query, signal), until: Number.POSITIVE_INFINITY }
    kept.delete(k)
    kept.set(k, next)
    if (kept.size > mostKept) kept.delete(kept.keys().next().value!)
    next.answer.then(
      () => {
        const now = clock.monotonic()
        next.until = now + Math.max(least, share * (now - began))
      },
      () => kept.get(k) === next && kept.delete(k),
    )
    return next.answer
  }
}

/** The same reports; sums up to now may be some seconds old. Questions are told apart by all but when they end. */
export const recentCosts = (costs: CostReports, clock: Clock): CostReports => ({
  summary: recent(clock, (query, signal) => costs.summary(query, signal)),
  topTraces: recent(clock, (query, signal) => costs.topTraces(query, signal)),
  trace: (traceId, signal) => costs.trace(traceId, signal),
  unpriced: () => costs.unpriced(),
  focus: (within, signal) => costs.focus(within, signal),
  focusCsv: (within, signal) => costs.focusCsv(within, signal),
})
