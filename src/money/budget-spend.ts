// Adds up what was spent since a period began, from the cost counters, without missing a counter's birth or restart.
import { AppError } from '../lib/errors.ts'
import {
  type Duration,
  day,
  duration,
  formatDuration,
  hour,
  type Instant,
  instant,
  minute,
  second,
} from '../lib/time.ts'
import { type Labels, labelsKey, withoutName } from '../model/labels.ts'
import { type Matcher, printMatcher } from '../model/matcher.ts'
import type { Querier } from '../model/ports/querier.ts'

const coarse = duration(5 * minute)
/** Shorter than this is not worth a query; also what rounding a day into points may leave. */
const least = second
/** One query covers at most a day, at five minutes a point: 288 points a series, however long the period is; less where that is too much. */
const chunks: readonly Duration[] = [day, duration(6 * hour), hour, coarse]
/** For few counters over long periods: a month in one query where that is not too much. */
export const longChunks: readonly Duration[] = [duration(31 * day), ...chunks]
/** How far before the period a counter's value is looked for, less where that is too much; one silent for longer counts as new. */
const lookbacks: readonly Duration[] = [duration(30 * day), day, hour]

/** Runs with the first of the lengths that stays within the limits of queries. */
const within = async (
  lengths: readonly Duration[],
  run: (length: Duration) => Promise<void>,
): Promise<void> => {
  for (const [i, length] of lengths.entries()) {
    try {
      return await run(length)
    } catch (error) {
      const tooMuch = error instanceof AppError && error.code === 'limit_exceeded'
      if (!tooMuch || i === lengths.length - 1) throw error
    }
  }
}

export interface SpendMeter {
  readonly startAt: Instant
  /**
   * Dollars from `startAt` to `now`. Goes on from where the last call ended; after an error the next call makes up for it. Throws what the
   * querier throws.
   */
  until(now: Instant, signal: AbortSignal): Promise<number>
}

/** Told of every increase of a counter, with the counter's labels. */
type Told = (labels: Labels, usd: number) => void

/**
 * `increase()` would extrapolate, and would leave out what a counter held when it first came up: for money each counter is followed instead.
 * The first value within the period counts whole unless the counter was there before; a fall is a restart from 0. Gives a function that
 * goes on to a moment; after an error the next call makes up for it.
 */
export const followCounters = (
  querier: Querier,
  selector: string,
  startAt: Instant,
  told: Told,
  lengths: readonly Duration[] = chunks,
): ((now: Instant, signal: AbortSignal) => Promise<void>) => {
  const last = new Map<string, number>()
  let cursorAt = startAt
  let based = false

  const base = (signal: AbortSignal): Promise<void> =>
    within(lookbacks, async (lookback) => {
      const before = `last_over_time(${selector}[${formatDuration(lookback)}])`
      const { value } = await querier.instant(before, startAt, signal)
      if (value.kind === 'vector')
        for (const [i, labels] of value.labels.entries())
          last.set(labelsKey(withoutName(labels)), value.values[i]!)
      based = true
    })

  const advance = async (toAt: Instant, signal: AbortSignal): Promise<void> => {
    const length = toAt - cursorAt
    const points = Math.max(1, Math.ceil(length / coarse))
    const step = duration(Math.floor(length / points))
    const span = { fromAt: instant(cursorAt + step), toAt: instant(cursorAt + step * points), step }
    const { value } = await querier.range(
      `last_over_time(${selector}[${formatDuration(step)}])`,
      span,
      signal,
    )
    for (const [s, labels] of value.labels.entries()) {
      const key = labelsKey(withoutName(labels))
      let before = last.get(key) ?? 0
      let grown = 0
      for (let i = value.start[s]!; i < value.end[s]!; i++) {
        const v = value.value[i]!
        if (Number.isNaN(v)) continue
        grown += v >= before ? v - before : v
        before = v
      }
      last.set(key, before)
      if (grown > 0) told(labels, grown)
    }
    cursorAt = span.toAt
  }

  return async (now, signal) => {
    if (!based) await base(signal)
    // A remainder shorter than the points of its query is left for the next time.
    while (now - cursorAt >= least)
      await within(lengths, (chunk) => advance(instant(Math.min(now, cursorAt + chunk)), signal))
  }
}

/** Dollars of the cost counters, see `followCounters`. */
export const createSpendMeter = (
  querier: Querier,
  filter: readonly Matcher[],
  startAt: Instant,
): SpendMeter => {
  const selector = `airboss_cost_usd_total{${filter.map(printMatcher).join(',')}}`
  let total = 0
  const follow = followCounters(querier, selector, startAt, (_, usd) => {
    total += usd
  })
  return {
    startAt,
    until: async (now, signal) => {
      await follow(now, signal)
      return total
    },
  }
}
