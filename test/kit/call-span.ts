// Spans of model calls for tests, and batches that carry them as a decoder would.
import type { Batch } from '../../src/model/batch.ts'
import { sampleBatch } from '../../src/model/batch.ts'
import type { Attributes, Span, SpanResource } from '../../src/model/span.ts'

export const resourceOf = (service: string, instance: string, attributes: Attributes = {}): SpanResource => ({
  service,
  job: service,
  instance,
  version: '1.0.0',
  attributes,
})

let made = 0
export const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

export const spanOf = (over: Partial<Span> & { readonly endAt?: number } = {}): Span => {
  made++
  const { endAt = 0, ...rest } = over
  const duration = rest.duration ?? 1
  return {
    traceId: hex(made, 32),
    spanId: hex(made, 16),
    parentSpanId: '',
    name: 'chat gpt-4o',
    kind: 'client',
    status: 'unset',
    startAt: endAt - duration * 1000,
    duration,
    resource: resourceOf('shop', 'i1'),
    attributes: {},
    events: [],
    ...rest,
  }
}

/** Packed rows are left empty: for those who read the spans. */
export const spanBatch = (spans: readonly Span[]): Batch => ({
  ...sampleBatch([], [], []),
  spans: { bytes: new Uint8Array(0), ends: new Uint32Array(spans.length), read: spans },
})
