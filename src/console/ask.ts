// Small questions for panels: PromQL in, plain rows or lines on an even grid out, with a deadline.
import type { Clock } from '../lib/clock.ts'
import { type Duration, duration, type Instant, instant } from '../lib/time.ts'
import { recordOf } from '../model/labels.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Matrix } from '../model/result.ts'

export interface Row {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
/** Values on the grid; null where there is none. */
export interface Line {
  readonly labels: Readonly<Record<string, string>>
  readonly values: readonly (number | null)[]
}
export interface Ask {
  instant(expr: string): Promise<readonly Row[]>
  /** The last `length` up to now, `points` values a line. */
  range(expr: string, length: Duration, points?: number): Promise<readonly Line[]>
}

const patience = duration(5000)

/** Spreads a matrix over its grid. */
export const linesOf = (matrix: Matrix, fromAt: Instant, step: Duration, points: number): Line[] => {
  const { labels, start, end, at, value } = matrix
  return labels.map((l, i) => {
    const values: (number | null)[] = new Array(points).fill(null)
    for (let k = start[i]!; k < end[i]!; k++) {
      const slot = Math.round((at[k]! - fromAt) / step)
      if (slot >= 0 && slot < points) values[slot] = value[k]!
    }
    return { labels: recordOf(l), values }
  })
}

export const createAsk = (querier: Querier, clock: Clock): Ask => ({
  instant: async (expr) => {
    const now = clock.now()
    const { value } = await querier.instant(expr, now, clock.timeout(patience))
    if (value.kind === 'scalar') return [{ labels: {}, value: value.value }]
    if (value.kind !== 'vector') return []
    return value.labels.map((l, i) => ({ labels: recordOf(l), value: value.values[i]! }))
  },
  range: async (expr, length, points = 61) => {
    const step = duration(Math.max(1000, Math.round(length / (points - 1) / 1000) * 1000))
    const toAt = instant(Math.floor(clock.now() / step) * step)
    const fromAt = instant(toAt - step * (points - 1))
    const { value } = await querier.range(expr, { fromAt, toAt, step }, clock.timeout(patience))
    return linesOf(value, fromAt, step, points)
  },
})
