// Tells the points that say something new from those a query repeats until its next sample comes.
import type { Span } from '../model/plan.ts'

/**
 * The values at which an input moved: of each input the time of its newest sample (seconds, NaN for none) at every point of the grid, of
 * which `at` (ms) names the points that have a value. A point is kept when one input's newest sample is newer than at the point kept before,
 * the first when it came within a step. Without inputs all are kept.
 */
export const realPoints = (
  at: Float64Array,
  values: Float64Array,
  inputs: readonly Float64Array[],
  { fromAt, step }: Pick<Span, 'fromAt' | 'step'>,
): Float64Array => {
  if (inputs.length === 0) return values
  const seen = new Float64Array(inputs.length).fill((fromAt - step) / 1000)
  return values.filter((_, i) => {
    const point = Math.round((at[i]! - fromAt) / step)
    let moved = false
    for (let k = 0; k < inputs.length; k++) {
      const newest = inputs[k]![point]!
      if (!(newest > seen[k]!)) continue
      seen[k] = newest
      moved = true
    }
    return moved
  })
}
