// The working form of an instant vector at every step: one row a series, values and presence in flat arrays.
import { AppError } from '../lib/errors.ts'
import { type Labels, labelsKey, printLabels, withoutName } from '../model/labels.ts'
import type { NativeHistogram } from '../model/native-histogram.ts'

/** Native histograms beside values: what stands at a place is the value there, where it is undefined the float is. */
export type Cells = (NativeHistogram | undefined)[]

/**
 * Row i has its value at step t in `values[i · steps + t]`, there only when `present` is 1 at the same place. `nameless` says that
 * the metric name counts as dropped (the labels still carry it, so that rows that never come out cost nothing); `distinct` that rows
 * differ even without it. A block belongs to one consumer, who may change it in place.
 */
export interface Block {
  labels: readonly Labels[]
  nameless: boolean
  distinct: boolean
  readonly steps: number
  values: Float64Array
  present: Uint8Array
  /** Left out where no value is a histogram. */
  cells?: Cells | undefined
}

export const emptyBlock = (steps: number): Block => ({
  labels: [],
  nameless: false,
  distinct: true,
  steps,
  values: new Float64Array(0),
  present: new Uint8Array(0),
})

/** One row that is there at every step. */
export const rowBlock = (labels: Labels, values: Float64Array): Block => ({
  labels: [labels],
  nameless: false,
  distinct: true,
  steps: values.length,
  values,
  present: new Uint8Array(values.length).fill(1),
})

export const labelsAt = (block: Block, row: number): Labels =>
  block.nameless ? withoutName(block.labels[row]!) : block.labels[row]!

export const anyPresent = (block: Block, row: number): boolean => {
  const end = (row + 1) * block.steps
  for (let k = row * block.steps; k < end; k++) if (block.present[k] === 1) return true
  return false
}

/** The rows named, in that order. */
export const takeRows = (block: Block, rows: ArrayLike<number>): Block => {
  const { steps } = block
  const values = new Float64Array(rows.length * steps)
  const present = new Uint8Array(rows.length * steps)
  const labels: Labels[] = []
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!
    labels.push(block.labels[row]!)
    values.set(block.values.subarray(row * steps, (row + 1) * steps), i * steps)
    present.set(block.present.subarray(row * steps, (row + 1) * steps), i * steps)
  }
  return { ...block, labels, values, present, cells: takeCells(block, rows) }
}

const takeCells = ({ cells, steps }: Block, rows: ArrayLike<number>): Cells | undefined => {
  if (!cells) return undefined
  const out: Cells = new Array(rows.length * steps)
  for (let i = 0; i < rows.length; i++)
    for (let t = 0; t < steps; t++) out[i * steps + t] = cells[rows[i]! * steps + t]
  return out
}

/** The block without its histograms: for what works on floats only. */
export const floatsOnly = (block: Block): Block => {
  const { cells, present } = block
  if (!cells) return block
  for (let k = 0; k < present.length; k++) if (cells[k]) present[k] = 0
  block.cells = undefined
  return block
}

const sameLabels = (labels: Labels): AppError =>
  new AppError(
    'execution',
    `vector cannot contain metrics with the same labelset: ${printLabels(labels)} comes more than once`,
  )

/**
 * Joins rows that have the same labels now (after a name was dropped or labels were rewritten). Throws `execution` when two of them have
 * a value at one step, or with `strict` when both have any value at all.
 */
export const joinRows = (block: Block, strict: boolean): Block => {
  if (block.distinct) return block
  const seen = new Map<string, number>()
  const { steps, values, present, cells } = block
  const kept: number[] = []
  for (let row = 0; row < block.labels.length; row++) {
    const labels = labelsAt(block, row)
    const key = labelsKey(labels)
    const first = seen.get(key)
    if (first === undefined) {
      seen.set(key, row)
      kept.push(row)
      continue
    }
    if (strict && anyPresent(block, row) && anyPresent(block, first)) throw sameLabels(labels)
    for (let t = 0; t < steps; t++) {
      if (present[row * steps + t] === 0) continue
      if (present[first * steps + t] === 1) throw sameLabels(labels)
      present[first * steps + t] = 1
      values[first * steps + t] = values[row * steps + t]!
      if (cells) cells[first * steps + t] = cells[row * steps + t]
    }
  }
  const joined = kept.length === block.labels.length ? block : takeRows(block, kept)
  joined.distinct = true
  return joined
}

/** Drops the metric name and joins what that makes equal. */
export const dropName = (block: Block, strict = false): Block => {
  block.nameless = true
  return joinRows(block, strict)
}

/** A block with labels rewritten row by row, and what became equal joined. */
export const relabel = (block: Block, rewrite: (labels: Labels) => Labels): Block => {
  const labels = block.labels.map((_, row) => rewrite(labelsAt(block, row)))
  return joinRows({ ...block, labels, nameless: false, distinct: false }, false)
}

/** One step's block repeated over all steps of a longer grid. */
export const repeat = (block: Block, steps: number): Block => {
  const n = block.labels.length
  const values = new Float64Array(n * steps)
  const present = new Uint8Array(n * steps)
  for (let i = 0; i < n; i++) {
    values.fill(block.values[i]!, i * steps, (i + 1) * steps)
    present.fill(block.present[i]!, i * steps, (i + 1) * steps)
  }
  const cells: Cells | undefined = block.cells && new Array(n * steps)
  if (cells) for (let i = 0; i < n; i++) cells.fill(block.cells![i], i * steps, (i + 1) * steps)
  return { ...block, steps, values, present, cells }
}
