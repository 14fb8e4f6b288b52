// Aggregations that need one pass: sum, avg, min, max, count, group, stddev, stdvar, over columns, fed in pieces.
import { type Labels, labelOf, metricName } from '../model/labels.ts'
import type { Block, Cells } from './block.ts'
import type { Groups } from './groups.ts'
import type { RowSink, Rows, Told } from './leaf.ts'
import { HistogramSums, withoutCells } from './native-aggregate.ts'
import { isInfinite, Sum } from './numeric.ts'

export const streamed: ReadonlySet<string> = new Set([
  'sum',
  'avg',
  'min',
  'max',
  'count',
  'group',
  'stddev',
  'stdvar',
])

const scratch = new Sum()

/** State of every group at every step: what `a`, `b` and `n` hold differs by operation. */
export class Accumulator {
  readonly #op: string
  readonly #steps: number
  readonly #groups: Groups
  /** Sum, mean or extreme. */
  #a = new Float64Array(0)
  /** Compensation of the sum, or sum of squares. */
  #b = new Float64Array(0)
  #n = new Float64Array(0)
  /** 1 where an average had to go on as an incremental mean. */
  #mean = new Uint8Array(0)

  readonly #told: Told
  #histograms: HistogramSums | null = null

  constructor(told: Told, op: string, steps: number, groups: Groups) {
    this.#told = told
    this.#op = op
    this.#steps = steps
    this.#groups = groups
  }

  #grow(groups: number): void {
    const size = groups * this.#steps
    if (size <= this.#n.length) return
    const wide = Math.max(size, this.#n.length * 2, 16 * this.#steps)
    const wider = (old: Float64Array): Float64Array<ArrayBuffer> => {
      const next = new Float64Array(wide)
      next.set(old)
      return next
    }
    this.#a = wider(this.#a)
    this.#b = wider(this.#b)
    this.#n = wider(this.#n)
    const mean = new Uint8Array(wide)
    mean.set(this.#mean)
    this.#mean = mean
  }

  /** Takes in rows `from … to - 1` of `labels`, whose values stand from the beginning of the buffers. */
  add(labels: readonly Labels[], from: number, to: number, { values, present, cells }: Rows): void {
    if (cells) this.#mixed(labels, from, to, values, present, cells)
    else this.#floats(labels, from, to, values, present)
  }

  /** Histograms count like any other, are summed apart, or are left out; the floats go their usual way. */
  #mixed(
    labels: readonly Labels[],
    from: number,
    to: number,
    values: Float64Array,
    present: Uint8Array,
    cells: Cells,
  ): void {
    const op = this.#op
    if (op === 'count' || op === 'group') {
      this.#floats(labels, from, to, values, present)
      return
    }
    if (op !== 'sum' && op !== 'avg') {
      this.#floats(labels, from, to, values, withoutCells(this.#told, op, present, cells))
      return
    }
    this.#histograms ??= new HistogramSums(this.#told, op === 'avg')
    const steps = this.#steps
    const floats = present.slice()
    for (let row = from; row < to; row++)
      for (let t = 0; t < steps; t++) {
        const k = (row - from) * steps + t
        const h = cells[k]
        if (present[k] === 0 || !h) continue
        floats[k] = 0
        const place = this.#groups.idOf(labels[row]!) * steps + t
        this.#histograms.add(place, h, labelOf(labels[row]!, metricName))
      }
    this.#grow(this.#groups.labels.length)
    this.#floats(labels, from, to, values, floats)
  }

  #floats(
    labels: readonly Labels[],
    from: number,
    to: number,
    values: Float64Array,
    present: Uint8Array,
  ): void {
    const steps = this.#steps
    for (let row = from; row < to; row++) {
      const base = (row - from) * steps
      let first = 0
      // A series with nothing to say makes no group.
      while (first < steps && present[base + first] === 0) first++
      if (first === steps) continue
      const group = this.#groups.idOf(labels[row]!)
      this.#grow(this.#groups.labels.length)
      this.#row(group * steps, values, present, base, first)
    }
  }

  #row(at: number, values: Float64Array, present: Uint8Array, base: number, first: number): void {
    const op = this.#op
    const add =
      op === 'sum'
        ? this.#sum
        : op === 'avg'
          ? this.#avg
          : op === 'min' || op === 'max'
            ? this.#extreme
            : op === 'count' || op === 'group'
              ? this.#count
              : this.#spread
    add.call(this, at, values, present, base, first)
  }

  #sum(at: number, values: Float64Array, present: Uint8Array, base: number, first: number): void {
    const a = this.#a
    const b = this.#b
    const n = this.#n
    for (let t = first; t < this.#steps; t++) {
      if (present[base + t] === 0) continue
      const k = at + t
      const by = values[base + t]!
      const held = a[k]!
      const sum = held + by
      if (isInfinite(sum)) b[k] = 0
      else if (Math.abs(held) >= Math.abs(by)) b[k] = b[k]! + (held - sum + by)
      else b[k] = b[k]! + (by - sum + held)
      a[k] = sum
      n[k] = 1
    }
  }

  #avg(at: number, values: Float64Array, present: Uint8Array, base: number, first: number): void {
    for (let t = first; t < this.#steps; t++) {
      if (present[base + t] === 0) continue
      const k = at + t
      const before = this.#n[k]!
      const count = before + 1
      this.#n[k] = count
      scratch.set(this.#a[k]!, this.#b[k]!)
      if (this.#mean[k] === 0) {
        scratch.add(values[base + t]!)
        if (before === 0 || !isInfinite(scratch.sum)) {
          this.#keep(k)
          continue
        }
        this.#mean[k] = 1
        scratch.set(this.#a[k]! / before, this.#b[k]! / before)
      }
      const q = before / count
      scratch.set(q * scratch.sum, q * scratch.carry)
      scratch.add(values[base + t]! / count)
      this.#keep(k)
    }
  }

  #keep(k: number): void {
    this.#a[k] = scratch.sum
    this.#b[k] = scratch.carry
  }

  #extreme(at: number, values: Float64Array, present: Uint8Array, base: number, first: number): void {
    const a = this.#a
    const n = this.#n
    const sign = this.#op === 'min' ? 1 : -1
    for (let t = first; t < this.#steps; t++) {
      if (present[base + t] === 0) continue
      const k = at + t
      const v = values[base + t]!
      if (n[k] === 0 || (v - a[k]!) * sign < 0 || Number.isNaN(a[k]!)) a[k] = v
      n[k] = 1
    }
  }

  #count(at: number, _values: Float64Array, present: Uint8Array, base: number, first: number): void {
    for (let t = first; t < this.#steps; t++) if (present[base + t] === 1) this.#n[at + t]! += 1
  }

  /** Welford's method: `a` is the mean, `b` the sum of squared distances. */
  #spread(at: number, values: Float64Array, present: Uint8Array, base: number, first: number): void {
    for (let t = first; t < this.#steps; t++) {
      if (present[base + t] === 0) continue
      const k = at + t
      const v = values[base + t]!
      const count = this.#n[k]! + 1
      const delta = v - this.#a[k]!
      this.#n[k] = count
      this.#a[k]! += delta / count
      this.#b[k]! += delta * (v - this.#a[k]!)
    }
  }

  /** One row a group. */
  block(): Block {
    const labels = this.#groups.labels
    const size = labels.length * this.#steps
    const values = new Float64Array(size)
    const present = new Uint8Array(size)
    for (let k = 0; k < size; k++) {
      if (this.#n[k] === 0) continue
      present[k] = 1
      values[k] = this.#final(k)
    }
    const cells = this.#histograms?.finish(present)
    return {
      labels,
      nameless: false,
      distinct: !this.#groups.named,
      steps: this.#steps,
      values,
      present,
      cells,
    }
  }

  #final(k: number): number {
    const n = this.#n[k]!
    switch (this.#op) {
      case 'sum':
        return this.#a[k]! + this.#b[k]!
      case 'avg':
        return this.#mean[k] === 1 ? this.#a[k]! + this.#b[k]! : this.#a[k]! / n + this.#b[k]! / n
      case 'count':
        return n
      case 'group':
        return 1
      case 'stdvar':
        return this.#b[k]! / n
      case 'stddev':
        return Math.sqrt(this.#b[k]! / n)
      default:
        return this.#a[k]!
    }
  }
}

/** A sink that feeds rows straight into an accumulator through one reused buffer. */
export const accumulatorSink = (accumulator: Accumulator, steps: number): RowSink => {
  let values = new Float64Array(0)
  let present = new Uint8Array(0)
  let cells: Cells | undefined
  return {
    take: (rows, histograms) => {
      if (values.length < rows * steps) {
        values = new Float64Array(rows * steps)
        present = new Uint8Array(rows * steps)
      } else present.fill(0)
      cells = histograms ? new Array(rows * steps) : undefined
      return { values, present, cells }
    },
    done: (labels, from, to) => accumulator.add(labels, from, to, { values, present, cells }),
  }
}
