// Aggregations where native histograms stand among the values: summed and averaged, counted, or left out aloud.
import type { NativeHistogram } from '../model/native-histogram.ts'
import type { Cells } from './block.ts'
import type { Told } from './leaf.ts'
import {
  ignoredInAggregation,
  mixedFloatsInAggregation,
  mixedSchemas,
  reconciled,
  resetCollision,
} from './native-notes.ts'
import { HistogramSum } from './native-sum.ts'

/** The presence of floats alone where an operation looks at nothing else, said once; the same array where there is no histogram. */
export const withoutCells = (told: Told, op: string, present: Uint8Array, cells: Cells): Uint8Array => {
  let out = present
  for (let k = 0; k < present.length; k++) {
    if (present[k] === 0 || !cells[k]) continue
    if (out === present) out = present.slice()
    out[k] = 0
  }
  if (out !== present) told.run.inform(ignoredInAggregation(op), told.from)
  return out
}

/** Sums (or means) of histograms by place: group · steps + step. */
export class HistogramSums {
  readonly #told: Told
  readonly #mean: boolean
  /** False: they did not go together, and there is none. */
  readonly #sums = new Map<number, HistogramSum | false>()

  constructor(told: Told, mean: boolean) {
    this.#told = told
    this.#mean = mean
  }

  add(place: number, h: NativeHistogram, metric: string): void {
    const held = this.#sums.get(place)
    if (held === undefined) this.#sums.set(place, new HistogramSum(h))
    else if (held && !held.add(h, this.#mean)) {
      this.#told.run.warn(mixedSchemas(metric), this.#told.from)
      this.#sums.set(place, false)
    }
  }

  /** Puts the sums where they belong; a place that has floats too comes to nothing. */
  finish(present: Uint8Array): Cells {
    const { run, from } = this.#told
    const cells: Cells = new Array(present.length)
    for (const [place, sum] of this.#sums) {
      if (present[place] === 1) {
        if (sum) run.warn(mixedFloatsInAggregation, from)
        present[place] = 0
      } else if (sum) {
        cells[place] = sum.value(this.#mean)
        present[place] = 1
        if (sum.collision) run.warn(resetCollision('aggregation'), from)
        if (sum.reconciled) run.inform(reconciled('aggregation'), from)
      }
    }
    return cells
  }
}
