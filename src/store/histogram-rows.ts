// Rows of the table `histograms`: read as they come, the first accepted of a time kept, and put beside the floats of a slice.

import type { RowReader } from '../lib/row-binary.ts'
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import { type NativeHistogram, readHistogram } from '../model/native-histogram.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'

/** A float and a histogram of a series at one time: the store must say which came first. */
export interface Clash {
  readonly ref: SeriesRef
  readonly at: number
  /** Place in the order of acceptance of the histogram. */
  readonly seq: number
}

interface Held {
  readonly at: number[]
  readonly value: NativeHistogram[]
  readonly seq: number[]
}

/** Gathers rows of (id, milliseconds, seq, packed columns), ordered by id and time, and within a time by seq. */
export class HistogramRows {
  readonly #table: SeriesTable
  readonly #held = new Map<SeriesRef, Held>()
  /** As many samples as they count as, about as large as they are. */
  samples = 0

  constructor(table: SeriesTable) {
    this.#table = table
  }

  readonly take = (r: RowReader): void => {
    const id = r.uint64()
    const at = r.int64()
    const seq = r.int64()
    const value = readHistogram(r)
    const ref = this.#table.refOf(id)
    if (ref === undefined) return
    const held = this.#held.getOrInsertComputed(ref, () => ({ at: [], value: [], seq: [] }))
    if (held.at.at(-1) === at) return
    held.at.push(at)
    held.value.push(value)
    held.seq.push(seq)
    this.samples += 4 + value.positive.index.length + value.negative.index.length
  }

  clashes(columns: SeriesColumns, refs: readonly SeriesRef[]): Clash[] {
    const out: Clash[] = []
    refs.forEach((ref, s) => {
      const held = this.#held.get(ref)
      let i = columns.start[s]!
      held?.at.forEach((at, h) => {
        while (i < columns.end[s]! && columns.at[i]! < at) i++
        if (i < columns.end[s]! && columns.at[i] === at) out.push({ ref, at, seq: held.seq[h]! })
      })
    })
    return out
  }

  /** Lets a histogram go that came after the float of its time. */
  drop({ ref, at }: Clash): void {
    const held = this.#held.get(ref)!
    const i = held.at.indexOf(at)
    held.at.splice(i, 1)
    held.value.splice(i, 1)
    held.seq.splice(i, 1)
  }

  /** The columns with their histograms; series that have nothing else come last. */
  beside(columns: SeriesColumns, refs: readonly SeriesRef[]): SeriesColumns {
    const runs: (HistogramRun | undefined)[] = refs.map((ref) => this.#run(ref))
    const known = new Set(refs)
    const more = [...this.#held.keys()].filter((ref) => !known.has(ref) && this.#held.get(ref)!.at.length > 0)
    if (more.length === 0 && !runs.some((run) => run)) return columns
    const wider = (column: Uint32Array): Uint32Array => {
      const out = new Uint32Array(column.length + more.length)
      out.set(column)
      return out
    }
    return {
      ...columns,
      labels: [...columns.labels, ...more.map((ref) => this.#table.labels(ref))],
      start: wider(columns.start),
      end: wider(columns.end),
      histograms: [...runs, ...more.map((ref) => this.#run(ref))],
    }
  }

  #run(ref: SeriesRef): HistogramRun | undefined {
    const held = this.#held.get(ref)
    return held && held.at.length > 0 ? { at: Float64Array.from(held.at), value: held.value } : undefined
  }
}

/** Takes the sample of a time out of a series; the columns are the reader's own. */
export const dropSample = ({ start, end, at, value }: SeriesColumns, s: number, time: number): void => {
  const i = at.subarray(start[s], end[s]).indexOf(time) + start[s]!
  at.copyWithin(i, i + 1, end[s]!)
  value.copyWithin(i, i + 1, end[s]!)
  end[s]! -= 1
}
