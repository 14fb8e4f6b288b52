// Compares measured values with their goals: how many replicas each metric asks for, and what they ask for together.

export type TargetType = 'AverageValue' | 'Value' | 'Utilization'

export interface Measured {
  readonly type: TargetType
  /** The goal, above 0. */
  readonly target: number
  /** For `Utilization` one value a replica that answered, else exactly one. Null: no data, stale data or an error. */
  readonly values: readonly number[] | null
}

export interface Tolerance {
  readonly up: number
  readonly down: number
}

export interface Proposal {
  readonly replicas: number
  /** Value against goal: above 1 asks for more. */
  readonly ratio: number
  /** The measured number, for words: the sum, the value, or the mean. */
  readonly value: number
}

/** Bounds are within: exactly 10 % off is still near enough, as far as binary fractions can tell. */
const near = (ratio: number, { up, down }: Tolerance): boolean =>
  ratio >= 1 - down - 1e-12 && ratio <= 1 + up + 1e-12

/** ceil, where 3.0000000000000004 is 3. */
const ceiling = (x: number): number => (x <= 0 ? 0 : Math.ceil(x - 1e-9 * Math.max(1, x)))

const average = (sum: number, target: number, current: number, tolerance: Tolerance): Proposal => {
  const ratio = current > 0 ? sum / (target * current) : sum > 0 ? Number.POSITIVE_INFINITY : 0
  const keep = current > 0 && near(ratio, tolerance)
  return { replicas: keep ? current : ceiling(sum / target), ratio, value: sum }
}

const single = (value: number, target: number, current: number, tolerance: Tolerance): Proposal => {
  const ratio = value / target
  if (current === 0) return { replicas: ceiling(ratio), ratio, value }
  return { replicas: near(ratio, tolerance) ? current : ceiling(ratio * current), ratio, value }
}

const perReplica = (
  values: readonly number[],
  target: number,
  current: number,
  tolerance: Tolerance,
): Proposal => {
  const sum = values.reduce((a, b) => a + b, 0)
  const value = sum / values.length
  const ratio = value / target
  const missing = Math.max(current - values.length, 0)
  if (missing > 0 && ratio === 1) return { replicas: current, ratio, value }
  if (missing === 0) {
    const keep = current > 0 && near(ratio, tolerance)
    return { replicas: keep ? current : ceiling(ratio * values.length), ratio, value }
  }
  // Who does not answer counts as just right when that keeps replicas, and as idle when that adds none.
  const assumed = ratio < 1 ? target : 0
  const all = values.length + missing
  const careful = (sum + missing * assumed) / all / target
  const flipped = (ratio < 1 && careful > 1) || (ratio > 1 && careful < 1)
  if (flipped || near(careful, tolerance)) return { replicas: current, ratio: careful, value }
  const replicas = ceiling(careful * all)
  const against = (careful < 1 && replicas > current) || (careful > 1 && replicas < current)
  return { replicas: against ? current : replicas, ratio: careful, value }
}

/**
 * What one metric asks for with `current` ready replicas: `ceil(current · value / target)`, nothing while the ratio is within tolerance of 1,
 * missing replicas counted conservatively. Null without data. (Kubernetes's replica calculator.)
 */
export const propose = (m: Measured, current: number, tolerance: Tolerance): Proposal | null => {
  if (!m.values || m.values.length === 0 || m.values.some((v) => !Number.isFinite(v))) return null
  if (m.type === 'Utilization') return perReplica(m.values, m.target, current, tolerance)
  if (m.values.length > 1) return null
  const value = Math.max(m.values[0]!, 0)
  return m.type === 'Value'
    ? single(value, m.target, current, tolerance)
    : average(value, m.target, current, tolerance)
}

export interface Combined {
  /** The replicas to go for; `current` when nothing may be done. */
  readonly replicas: number
  /** Which metric asked for it; null when none could. */
  readonly by: number | null
  /** Data is missing and that is why it stays as it is. */
  readonly held: boolean
}

/** The highest proposal wins. While any metric has no data, going down is not allowed; going up is. */
export const combine = (proposals: readonly (Proposal | null)[], current: number): Combined => {
  let by: number | null = null
  let replicas = 0
  proposals.forEach((p, i) => {
    if (p && (by === null || p.replicas > replicas)) {
      by = i
      replicas = p.replicas
    }
  })
  if (by === null) return { replicas: current, by: null, held: true }
  if (replicas < current && proposals.includes(null)) return { replicas: current, by, held: true }
  return { replicas, by, held: false }
}
