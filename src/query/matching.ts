// Operators between two vectors: which rows meet, what comes of them, and when that is an error.
import { AppError } from '../lib/errors.ts'
import {
  type Labels,
  labelOf,
  labelsKey,
  metricName,
  pick,
  printLabels,
  withLabels,
  withoutName,
} from '../model/labels.ts'
import { type BinaryNode, comparisons, type Matching } from './ast.ts'
import { type Block, type Cells, emptyBlock, joinRows, labelsAt } from './block.ts'
import { keyer } from './groups.ts'
import { type Cell, isTrim, meet } from './native-operators.ts'
import { arithmeticOf, comparisonOf } from './operators.ts'
import type { Run } from './run.ts'

/** Match groups of two blocks, numbered together: row → number. */
const signatures = (
  a: Block,
  b: Block,
  matching: Matching,
): { a: Int32Array; b: Int32Array; count: number } => {
  const key = keyer(matching.labels, matching.on)
  const ids = new Map<string, number>()
  // Matching on the metric name must see whether it was dropped.
  const named = matching.on && matching.labels.includes(metricName)
  const number = (block: Block): Int32Array => {
    const out = new Int32Array(block.labels.length)
    for (let row = 0; row < out.length; row++) {
      const text = key(named ? labelsAt(block, row) : block.labels[row]!)
      let id = ids.get(text)
      if (id === undefined) {
        id = ids.size
        ids.set(text, id)
      }
      out[row] = id
    }
    return out
  }
  const first = number(a)
  return { a: first, b: number(b), count: ids.size }
}

/** Whether any row of each match group has a value, by group and step. */
const presence = (block: Block, ids: Int32Array, count: number): Uint8Array => {
  const { steps } = block
  const out = new Uint8Array(count * steps)
  for (let row = 0; row < ids.length; row++)
    for (let t = 0; t < steps; t++) if (block.present[row * steps + t] === 1) out[ids[row]! * steps + t] = 1
  return out
}

const mask = (block: Block, ids: Int32Array, other: Uint8Array, keep: 0 | 1): Block => {
  const { steps, present } = block
  for (let row = 0; row < ids.length; row++)
    for (let t = 0; t < steps; t++) if (other[ids[row]! * steps + t] !== keep) present[row * steps + t] = 0
  return block
}

export const setOperation = (run: Run, op: string, left: Block, right: Block, matching: Matching): Block => {
  const ids = signatures(left, right, matching)
  run.reserve(ids.count, left.steps)
  if (op === 'and') return mask(left, ids.a, presence(right, ids.b, ids.count), 1)
  if (op === 'unless') return mask(left, ids.a, presence(right, ids.b, ids.count), 0)
  const rest = mask(right, ids.b, presence(left, ids.a, ids.count), 0)
  if (left.labels.length === 0) return rest
  if (rest.labels.length === 0) return left
  run.reserve(left.labels.length + rest.labels.length, left.steps)
  const values = new Float64Array(left.values.length + rest.values.length)
  values.set(left.values)
  values.set(rest.values, left.values.length)
  const present = new Uint8Array(values.length)
  present.set(left.present)
  present.set(rest.present, left.values.length)
  const labels = [left, rest].flatMap((b) => b.labels.map((_, row) => labelsAt(b, row)))
  const cells: Cells | undefined = left.cells || rest.cells ? new Array(values.length) : undefined
  if (cells) {
    left.cells?.forEach((cell, k) => {
      cells[k] = cell
    })
    rest.cells?.forEach((cell, k) => {
      cells[left.values.length + k] = cell
    })
  }
  return joinAfterOr({ labels, nameless: false, distinct: false, steps: left.steps, values, present, cells })
}

/** Equal rows join; afterwards rows may still be equal but for their names. */
const joinAfterOr = (block: Block): Block => {
  const joined = joinRows(block, false)
  joined.distinct = false
  return joined
}

const manyToMany = (group: Labels, side: string, pair: readonly Labels[]): AppError =>
  new AppError(
    'execution',
    `found duplicate series for the match group ${printLabels(group)} on the ${side} hand-side of the operation: ` +
      `[${pair.map(allLabels).sort().join(', ')}];many-to-many matching not allowed: matching labels must be unique on one side`,
  )
/** Every label inside the braces, the name too. */
const allLabels = (labels: Labels): string => {
  const pairs: string[] = []
  for (let i = 0; i < labels.length; i += 2) pairs.push(`${labels[i]}=${JSON.stringify(labels[i + 1])}`)
  return `{${pairs.join(', ')}}`
}

/** Refuses two rows of the "one" side in one match group at a step where the other side has anything. */
const oneSide = (one: Block, ids: Int32Array, many: Block, matching: Matching, side: string): number[][] => {
  const groups: number[][] = []
  const { steps } = one
  let others: Uint8Array | undefined
  for (let row = 0; row < ids.length; row++) {
    const id = ids[row]!
    const before = groups[id]
    if (!before) {
      groups[id] = [row]
      continue
    }
    others ??= presence(many, new Int32Array(many.labels.length), 1)
    for (const first of before)
      for (let t = 0; t < steps; t++)
        if (one.present[row * steps + t] === 1 && one.present[first * steps + t] === 1 && others[t] === 1) {
          const labels = labelsAt(one, row)
          const group = matching.on
            ? pick(labels, new Set(matching.labels), true)
            : pick(labels, new Set([...matching.labels, metricName]), false)
          throw manyToMany(group, side, [labelsAt(one, first), labels])
        }
    before.push(row)
  }
  return groups
}

const resultLabels = (e: BinaryNode, many: Labels, one: Labels, matching: Matching): Labels => {
  const keeps = (comparisons.has(e.op) && !e.bool) || isTrim(e.op)
  const base = keeps ? many : withoutName(many)
  if (matching.card === 'one-to-one') return pick(base, new Set(matching.labels), matching.on)
  if (matching.include.length === 0) return base
  return withLabels(base, Object.fromEntries(matching.include.map((name) => [name, labelOf(one, name)])))
}

interface Pair {
  readonly many: number
  readonly one: number
  readonly out: number
}

/** Pairs rows by match group; rows of the result with equal labels share a place. */
const pairUp = (
  e: BinaryNode,
  many: Block,
  one: Block,
  manyIds: Int32Array,
  groups: readonly number[][],
  matching: Matching,
): { pairs: Pair[]; labels: Labels[] } => {
  const places = new Map<string, number>()
  const labels: Labels[] = []
  const pairs: Pair[] = []
  for (let row = 0; row < manyIds.length; row++) {
    for (const other of groups[manyIds[row]!] ?? []) {
      const made = resultLabels(e, labelsAt(many, row), labelsAt(one, other), matching)
      const key = labelsKey(made)
      let place = places.get(key)
      if (place === undefined) {
        place = labels.length
        labels.push(made)
        places.set(key, place)
      }
      pairs.push({ many: row, one: other, out: place })
    }
  }
  return { pairs, labels }
}

const manyToOne = (): AppError =>
  new AppError(
    'execution',
    'multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)',
  )
const notUnique = (labels: Labels): AppError =>
  new AppError(
    'execution',
    `multiple matches for labels: grouping labels must ensure unique matches, ${printLabels(labels)} comes more than once`,
  )

/** Arithmetic and comparison between vectors. Throws `execution` where a match is not unique at some step. */
export const vectorWithVector = async (
  run: Run,
  e: BinaryNode,
  left: Block,
  right: Block,
): Promise<Block> => {
  const matching = e.matching!
  const swapped = matching.card === 'one-to-many'
  const [many, one] = swapped ? [right, left] : [left, right]
  const { steps } = left
  const trims = isTrim(e.op)
  const mixed = many.cells !== undefined || one.cells !== undefined || trims
  if (many.labels.length === 0 || one.labels.length === 0) return emptyBlock(steps)
  const ids = signatures(many, one, matching)
  const groups = oneSide(one, ids.b, many, matching, swapped ? 'left' : 'right')
  const { pairs, labels } = pairUp(e, many, one, ids.a, groups, matching)
  run.reserve(labels.length, steps)
  const values = new Float64Array(labels.length * steps)
  const present = new Uint8Array(labels.length * steps)
  const filter = comparisons.has(e.op) && !e.bool
  // Without a filter what was seen is what is present.
  const seen = filter ? new Uint8Array(present.length) : present
  // One to one, a match group may give one result a step, even where two would differ by name.
  const matched = matching.card === 'one-to-one' ? new Uint8Array(ids.count * steps) : null
  const test = comparisons.has(e.op) ? comparisonOf(e.op) : null
  const f = test || trims ? null : arithmeticOf(e.op)
  const cells: Cells | undefined = mixed ? new Array(values.length) : undefined
  const told = { run, from: e.from }
  for (const { many: m, one: o, out } of pairs) {
    const group = ids.a[m]!
    for (let t = 0; t < steps; t++) {
      if (many.present[m * steps + t] === 0 || one.present[o * steps + t] === 0) continue
      const x = many.values[m * steps + t]!
      const y = one.values[o * steps + t]!
      const [a, b] = swapped ? [y, x] : [x, y]
      const k = out * steps + t
      let holds = test ? test(a, b) : true
      let made: Cell | undefined
      if (mixed) {
        const p = many.cells?.[m * steps + t]
        const q = one.cells?.[o * steps + t]
        if (p || q || trims) {
          const met = swapped ? meet(told, e.op, q ?? y, p ?? x) : meet(told, e.op, p ?? x, q ?? y)
          if (!met) continue
          holds = met.holds
          made = met.value
        }
      }
      // Whether a match is unique must not depend on what a filter lets through.
      if (matched && matched[group * steps + t] === 1) throw manyToOne()
      if (seen[k] === 1) throw notUnique(labels[out]!)
      if (matched) matched[group * steps + t] = 1
      seen[k] = 1
      if (filter && !holds) continue
      present[k] = 1
      if (typeof made === 'object' && !e.bool) cells![k] = made
      else values[k] = filter ? a : f ? f(a, b) : holds ? 1 : 0
    }
    await run.pause()
  }
  return { labels, nameless: false, distinct: !filter && !trims, steps, values, present, cells }
}
