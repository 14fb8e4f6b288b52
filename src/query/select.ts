// Aggregations that need all values of a group at once: topk, bottomk, limitk, limit_ratio, quantile, count_values.
import { AppError } from '../lib/errors.ts'
import { hashInto } from '../lib/hash.ts'
import { type Labels, labelsKey, labelsOf, recordOf } from '../model/labels.ts'
import { printHistogram } from '../model/native-text.ts'
import { anyPresent, type Block, labelsAt, takeRows } from './block.ts'
import type { Groups } from './groups.ts'
import { quantileOf } from './numeric.ts'
import { formatNumber } from './print.ts'
import type { Run } from './run.ts'

/** Rows of each group that have any value. */
const rowsByGroup = (block: Block, groups: Groups): number[][] => {
  const out: number[][] = []
  for (let row = 0; row < block.labels.length; row++) {
    if (!anyPresent(block, row)) continue
    const id = groups.idOf(block.labels[row]!)
    if (id === out.length) out.push([])
    out[id]!.push(row)
  }
  return out
}

/** Refuses a parameter that is NaN at any step. */
export const checkParams = (ks: Float64Array, op: string): void => {
  if (ks.some(Number.isNaN)) throw new AppError('execution', `the parameter of ${op} is NaN; give a number`)
}

/** `topk` and `bottomk`: at each step the k best rows of each group stay; ties fall to the first, NaN comes last. */
export const best = async (
  run: Run,
  block: Block,
  groups: Groups,
  op: string,
  ks: Float64Array,
): Promise<Block> => {
  const { steps, values, present } = block
  const sign = op === 'topk' ? -1 : 1
  const order: number[] = []
  for (const rows of rowsByGroup(block, groups)) {
    for (let t = 0; t < steps; t++) {
      const there = rows.filter((row) => present[row * steps + t] === 1)
      const k = Math.max(Math.trunc(ks[t]!), 0)
      const value = (row: number): number => values[row * steps + t]!
      if (there.length > k || steps === 1)
        there.sort((x, y) => {
          const a = value(x)
          const b = value(y)
          if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b))
          return a === b ? 0 : (a < b ? -1 : 1) * sign
        })
      for (let i = k; i < there.length; i++) present[there[i]! * steps + t] = 0
      if (steps === 1) order.push(...there.slice(0, k))
      else await run.pause()
    }
  }
  // One step: in the order of their values, as an instant query gives them.
  return steps === 1 ? takeRows(block, order) : block
}

const hash = new Uint32Array(2)
/** A fraction in [0, 1) that only depends on the labels. */
const fractionOf = (labels: Labels): number => {
  hashInto(labels, 0, hash)
  return hash[1]! / 2 ** 32
}

/** `limitk`: the first k rows of each group; `limit_ratio`: that share of all rows, a negative one its complement. */
export const limit = (
  run: Run,
  block: Block,
  groups: Groups,
  op: string,
  ks: Float64Array,
  from: number,
): Block => {
  const { steps, present } = block
  if (op === 'limitk') {
    for (const rows of rowsByGroup(block, groups))
      for (let t = 0; t < steps; t++) {
        let left = Math.trunc(ks[t]!)
        for (const row of rows)
          if (present[row * steps + t] === 1 && left-- <= 0) present[row * steps + t] = 0
      }
    return block
  }
  const shares = ks.map((share) => {
    if (share > 1 || share < -1)
      run.warn(`ratio value should be between -1 and 1, got ${share}, capping to ${share > 0 ? 1 : -1}`, from)
    return Math.max(-1, Math.min(1, share))
  })
  for (let row = 0; row < block.labels.length; row++) {
    const fraction = fractionOf(labelsAt(block, row))
    for (let t = 0; t < steps; t++) {
      const share = shares[t]!
      if (!(share >= 0 ? fraction < share : fraction >= 1 + share)) present[row * steps + t] = 0
    }
  }
  return block
}

export const warnQuantile = (run: Run, q: number, from: number): void => {
  if (Number.isNaN(q) || q < 0 || q > 1)
    run.warn(`quantile value should be between 0 and 1, got ${formatNumber(q)}`, from)
}
/** `quantile`: of each group's values at each step. */
export const quantile = async (
  run: Run,
  block: Block,
  groups: Groups,
  qs: Float64Array,
  from: number,
): Promise<Block> => {
  const { steps, values, present } = block
  const members = rowsByGroup(block, groups)
  for (const q of qs) warnQuantile(run, q, from)
  run.reserve(members.length, steps)
  const out = new Float64Array(members.length * steps)
  const there = new Uint8Array(members.length * steps)
  const scratch = new Float64Array(block.labels.length)
  for (const [g, rows] of members.entries()) {
    for (let t = 0; t < steps; t++) {
      let n = 0
      for (const row of rows) if (present[row * steps + t] === 1) scratch[n++] = values[row * steps + t]!
      if (n === 0) continue
      out[g * steps + t] = quantileOf(qs[t]!, scratch.subarray(0, n))
      there[g * steps + t] = 1
    }
    await run.pause()
  }
  return {
    labels: groups.labels,
    nameless: false,
    distinct: !groups.named,
    steps,
    values: out,
    present: there,
  }
}

/** `count_values`: one row for each different value in a group, named by the label. */
export const countValues = (run: Run, block: Block, groups: Groups, label: string): Block => {
  const { steps, values, present, cells } = block
  const rows = new Map<string, { labels: Labels; counts: Float64Array }>()
  for (const [g, members] of rowsByGroup(block, groups).entries()) {
    const record = recordOf(groups.labels[g]!)
    for (const row of members)
      for (let t = 0; t < steps; t++) {
        if (present[row * steps + t] === 0) continue
        const cell = cells?.[row * steps + t]
        const text = cell ? printHistogram(cell) : formatNumber(values[row * steps + t]!)
        const labels = labelsOf({ ...record, [label]: text })
        const key = labelsKey(labels)
        let held = rows.get(key)
        if (!held) {
          run.reserve(1, steps)
          held = { labels, counts: new Float64Array(steps) }
          rows.set(key, held)
        }
        held.counts[t]! += 1
      }
  }
  const out = new Float64Array(rows.size * steps)
  let at = 0
  for (const { counts } of rows.values()) {
    out.set(counts, at)
    at += steps
  }
  return {
    labels: [...rows.values()].map((r) => r.labels),
    nameless: false,
    distinct: false,
    steps,
    values: out,
    present: Uint8Array.from(out, (n) => (n > 0 ? 1 : 0)),
  }
}
