// A batch with more samples in it.
import type { Batch, CostRow } from '../model/batch.ts'

/** `batch` followed by the samples and metadata of `more`, with `costs` for its costs. Values keep their bits. */
export const appendSamples = (batch: Batch, more: Batch, costs: readonly CostRow[]): Batch => {
  if (more.ref.length === 0) return { ...batch, costs }
  const n = batch.ref.length
  const ref = new Uint32Array(n + more.ref.length)
  const at = new Float64Array(ref.length)
  const value = new Float64Array(ref.length)
  ref.set(batch.ref)
  ref.set(more.ref, n)
  at.set(batch.at)
  at.set(more.at, n)
  // As bytes, so that a stale marker keeps its bits.
  const bytes = new Uint8Array(value.buffer)
  bytes.set(new Uint8Array(batch.value.buffer, batch.value.byteOffset, n * 8))
  bytes.set(new Uint8Array(more.value.buffer, more.value.byteOffset, more.ref.length * 8), n * 8)
  return { ...batch, ref, at, value, metadata: [...batch.metadata, ...more.metadata], costs }
}
