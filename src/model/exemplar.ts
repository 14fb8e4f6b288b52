// Exemplars: single measurements that stand for a series, with the trace they come from; packed as the table `exemplars` has them.
import { RowReader, RowWriter } from '../lib/row-binary.ts'
import { type Labels, labelsOf, recordOf } from './labels.ts'
import type { SeriesRows } from './packed-rows.ts'
import type { SeriesRef } from './series.ts'

export interface Exemplar {
  /** Milliseconds. */
  readonly at: number
  readonly value: number
  /** The trace and span among them, as `trace_id` and `span_id`. */
  readonly labels: Labels
}

/** Exemplars of one series, ascending in time. */
export interface SeriesExemplars {
  readonly series: Labels
  readonly exemplars: readonly Exemplar[]
}

export const traceLabel = 'trace_id'
export const spanLabel = 'span_id'

/** The most characters that the names and values of an exemplar's labels have together: OpenMetrics 1.0, "Exemplars". */
export const mostExemplarLabels = 128

export const exemplarLabelsFit = (labels: Labels): boolean => {
  let length = 0
  for (const part of labels) length += part.length
  if (length <= mostExemplarLabels) return true
  // Characters are code points: past the BMP one is two units.
  return labels.reduce((n, part) => n + [...part].length, 0) <= mostExemplarLabels
}

/** Collects exemplars as rows: value f64, trace id, span id, further labels. */
export class ExemplarRows {
  readonly #rows = new RowWriter(4096)
  readonly #ref: number[] = []
  readonly #at: number[] = []
  readonly #ends: number[] = []

  get length(): number {
    return this.#ends.length
  }

  add(ref: SeriesRef, at: number, value: number, labels: Labels): void {
    let trace = ''
    let span = ''
    const rest: string[] = []
    for (let i = 0; i < labels.length; i += 2) {
      const name = labels[i]!
      if (name === traceLabel) trace = labels[i + 1]!
      else if (name === spanLabel) span = labels[i + 1]!
      else rest.push(name, labels[i + 1]!)
    }
    this.#rows.float64(value).string(trace).string(span).map(rest)
    this.#ref.push(ref)
    this.#at.push(at)
    this.#ends.push(this.#rows.length)
  }

  build(): SeriesRows {
    return {
      ref: Uint32Array.from(this.#ref),
      at: Float64Array.from(this.#at),
      bytes: Uint8Array.from(this.#rows.bytes()),
      ends: Uint32Array.from(this.#ends),
    }
  }
}

/** The labels of an exemplar as they were sent. */
export const exemplarLabels = (trace: string, span: string, rest: Labels): Labels =>
  labelsOf({ ...recordOf(rest), [traceLabel]: trace, [spanLabel]: span })

/** Reads one row back; `at` is beside it. Throws `internal` when the bytes are no whole row. */
export const readExemplar = (bytes: Uint8Array, at: number): Exemplar => {
  const reader = new RowReader()
  let found: Exemplar | undefined
  reader.feed(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), (row) => {
    const value = row.float64()
    const [trace, span] = [row.string(), row.string()]
    const rest = Array.from({ length: row.varint() * 2 }, () => row.string())
    found = { at, value, labels: exemplarLabels(trace, span, rest) }
  })
  if (!found) throw new RangeError('a packed exemplar is cut off')
  return found
}
