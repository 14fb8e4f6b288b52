// Batches as so many rows: counted, weighed, joined and cut.
import type { Batch } from '../model/batch.ts'
import {
  countRows,
  joinRows,
  joinSeriesRows,
  type PackedRows,
  sliceRows,
  sliceSeriesRows,
} from '../model/packed-rows.ts'

/** The oldest and newest sample time of batches; +Infinity and -Infinity when they have none. */
export const spanOf = (batches: readonly Batch[]): { fromAt: number; toAt: number } => {
  let fromAt = Number.POSITIVE_INFINITY
  let toAt = Number.NEGATIVE_INFINITY
  const take = (at: Float64Array): void => {
    for (let i = 0; i < at.length; i++) {
      if (at[i]! < fromAt) fromAt = at[i]!
      if (at[i]! > toAt) toAt = at[i]!
    }
  }
  for (const { at, histograms } of batches) {
    take(at)
    if (histograms) take(histograms.at)
  }
  return { fromAt, toAt }
}

export const rowsOf = (batch: Batch): number => {
  const { ref, metadata, events, costs, histograms, exemplars, spans, logs } = batch
  const plain = ref.length + metadata.length + events.length + costs.length
  return plain + countRows(histograms) + countRows(exemplars) + countRows(spans) + countRows(logs)
}

const packedBytes = (rows: PackedRows | undefined): number =>
  rows ? rows.bytes.length + rows.ends.length * 16 : 0

/** About how many bytes a batch takes in memory and in the log. */
export const bytesOf = (batch: Batch): number => {
  const { ref, metadata, events, costs, histograms, exemplars, spans, logs } = batch
  const plain = 96 + ref.length * 20 + metadata.length * 160 + (events.length + costs.length) * 320
  return plain + [histograms, exemplars, spans, logs].reduce((sum, rows) => sum + packedBytes(rows), 0)
}

/** The batch as it waits for the store: spans that were read are let go, their bytes stay. */
export const unread = (batch: Batch): Batch => {
  if (!batch.spans?.read) return batch
  const { bytes, ends } = batch.spans
  return { ...batch, spans: { bytes, ends } }
}

/** Rows whose memory is kept for the next merge. */
const mostKept = 1 << 20

/**
 * Makes one batch of several, rows in the order given. Its columns are written over by the next call: fresh ones for every range would be
 * megabytes of garbage a second.
 */
export const createMerger = (): ((batches: readonly Batch[]) => Batch) => {
  let kept = { ref: new Uint32Array(0), at: new Float64Array(0), value: new Float64Array(0) }
  const columns = (n: number): typeof kept => {
    if (n <= kept.ref.length) return kept
    const size = n > mostKept ? n : Math.min(mostKept, Math.max(n, kept.ref.length * 2))
    const wider = { ref: new Uint32Array(size), at: new Float64Array(size), value: new Float64Array(size) }
    if (size <= mostKept) kept = wider
    return wider
  }
  return (batches) => {
    if (batches.length === 1) return batches[0]!
    const n = batches.reduce((sum, b) => sum + b.ref.length, 0)
    const { ref, at, value } = columns(n)
    let from = 0
    for (const b of batches) {
      ref.set(b.ref, from)
      at.set(b.at, from)
      value.set(b.value, from)
      from += b.ref.length
    }
    return {
      ref: ref.subarray(0, n),
      at: at.subarray(0, n),
      value: value.subarray(0, n),
      metadata: batches.flatMap((b) => b.metadata),
      events: batches.flatMap((b) => b.events),
      costs: batches.flatMap((b) => b.costs),
      histograms: joinSeriesRows(batches.map((b) => b.histograms)),
      exemplars: joinSeriesRows(batches.map((b) => b.exemplars)),
      spans: joinRows(batches.map((b) => b.spans)),
      logs: joinRows(batches.map((b) => b.logs)),
    }
  }
}

/** Rows `from … to - 1`, counted through samples, metadata, events, costs, histograms, exemplars, spans and logs in this order. */
export const sliceBatch = (batch: Batch, from: number, to: number): Batch => {
  let start = from
  let end = to
  const cut = <T>(length: number, take: (a: number, b: number) => T): T => {
    const a = Math.min(Math.max(start, 0), length)
    const b = Math.min(Math.max(end, 0), length)
    start -= length
    end -= length
    return take(a, b)
  }
  const n = batch.ref.length
  const [a, b] = cut(n, (x, y) => [x, y] as const)
  return {
    ref: batch.ref.subarray(a, b),
    at: batch.at.subarray(a, b),
    value: batch.value.subarray(a, b),
    metadata: cut(batch.metadata.length, (x, y) => batch.metadata.slice(x, y)),
    events: cut(batch.events.length, (x, y) => batch.events.slice(x, y)),
    costs: cut(batch.costs.length, (x, y) => batch.costs.slice(x, y)),
    histograms: cut(countRows(batch.histograms), (x, y) => sliceSeriesRows(batch.histograms, x, y)),
    exemplars: cut(countRows(batch.exemplars), (x, y) => sliceSeriesRows(batch.exemplars, x, y)),
    spans: cut(countRows(batch.spans), (x, y) => sliceRows(batch.spans, x, y)),
    logs: cut(countRows(batch.logs), (x, y) => sliceRows(batch.logs, x, y)),
  }
}
