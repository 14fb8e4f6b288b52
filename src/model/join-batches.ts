// Several batches as one, in the order given: what waits for the same turn goes through it together.
import type { Batch } from './batch.ts'
import { countRows, joinRows, joinSeriesRows } from './packed-rows.ts'
import type { Span, SpanRows } from './span.ts'

const joinSpans = (parts: readonly (SpanRows | undefined)[]): SpanRows | undefined => {
  const full = parts.filter((p): p is SpanRows => countRows(p) > 0)
  const rows = joinRows(full)
  if (!rows || full.length === 1) return full[0]
  const read: Span[] = []
  for (const part of full) {
    if (!part.read) return rows
    for (const span of part.read) read.push(span)
  }
  return { ...rows, read }
}

/** At least one batch; one alone is given back as it is. */
export const joinBatches = (batches: readonly Batch[]): Batch => {
  if (batches.length === 1) return batches[0]!
  const n = batches.reduce((sum, b) => sum + b.ref.length, 0)
  const ref = new Uint32Array(n)
  const at = new Float64Array(n)
  const value = new Float64Array(n)
  let from = 0
  for (const b of batches) {
    ref.set(b.ref, from)
    at.set(b.at, from)
    // Same element type on both sides: bytes are copied, so that stale markers keep their bits.
    value.set(b.value, from)
    from += b.ref.length
  }
  return {
    ref,
    at,
    value,
    metadata: batches.flatMap((b) => b.metadata),
    events: batches.flatMap((b) => b.events),
    costs: batches.flatMap((b) => b.costs),
    histograms: joinSeriesRows(batches.map((b) => b.histograms)),
    exemplars: joinSeriesRows(batches.map((b) => b.exemplars)),
    spans: joinSpans(batches.map((b) => b.spans)),
    logs: joinRows(batches.map((b) => b.logs)),
  }
}
