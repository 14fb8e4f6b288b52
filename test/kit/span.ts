// Spans made by hand, as a decoder would give them.
import type { Attributes, Span, SpanEvent, SpanResource } from '../../src/model/span.ts'

export const resource = (service: string, version = '', instance = ''): SpanResource => ({
  service,
  job: service,
  instance,
  version,
  attributes: {},
})

let ids = 0
const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')

/** A span of one second that began at 2026-01-01T00:00:00Z, unless told otherwise. */
export const span = (
  attributes: Attributes = {},
  more: Partial<Omit<Span, 'attributes'>> & { readonly events?: readonly SpanEvent[] } = {},
): Span => ({
  traceId: hex(1, 32),
  spanId: hex(++ids, 16),
  parentSpanId: '',
  name: 'span',
  kind: 'internal',
  status: 'unset',
  startAt: Date.parse('2026-01-01T00:00:00Z'),
  duration: 1,
  resource: more.resource ?? shop,
  events: [],
  ...more,
  attributes,
})
const shop = resource('shop', '1.0.0')
