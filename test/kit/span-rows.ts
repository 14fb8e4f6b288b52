// Packed rows of spans, written field by field as src/model/span-rows.ts says, independently of the decoder.
import { RowWriter } from '../../src/lib/row-binary.ts'
import type { Batch } from '../../src/model/batch.ts'
import type { SpanRows } from '../../src/model/span.ts'
import { kinds, kindWords, readSpans, statuses, statusWords } from '../../src/model/span-rows.ts'

type Pairs = Readonly<Record<string, string>>

export interface SpanRow {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly name?: string
  readonly kind?: (typeof kinds)[number]
  readonly status?: (typeof statuses)[number]
  /** Nanoseconds. */
  readonly start?: bigint
  readonly duration?: bigint
  readonly resource?: Pairs
  readonly attributes?: Pairs
  readonly events?: readonly { readonly name: string; readonly at: bigint; readonly attributes?: Pairs }[]
}

const flat = (pairs: Pairs = {}): string[] => Object.entries(pairs).flat()

const words = (row: RowWriter, value: bigint): RowWriter =>
  row.words(Number(value & 0xffffffffn), Number(value >> 32n))

const write = (row: RowWriter, span: SpanRow): void => {
  words(row, span.start ?? 1_790_000_000_000_000_000n)
  row
    .string(span.traceId)
    .string(span.spanId)
    .string(span.parentSpanId ?? '')
    .string('')
  row.string(span.name ?? 'chat').string(kindWords[kinds.indexOf(span.kind ?? 'internal')]!)
  row
    .string(span.resource?.['service.name'] ?? '')
    .map(flat(span.resource))
    .string('scope')
    .string('1')
  words(row.map(flat(span.attributes)), span.duration ?? 1_000_000n)
  row.string(statusWords[statuses.indexOf(span.status ?? 'unset')]!).string('')
  const events = span.events ?? []
  row.varint(events.length)
  for (const event of events) words(row, event.at)
  row.varint(events.length)
  for (const event of events) row.string(event.name)
  row.varint(events.length)
  for (const event of events) row.map(flat(event.attributes))
  row.varint(0).varint(0).varint(0).varint(0)
}

/** Rows as they come back from disk; with `wanted` also as they come from the decoder, with the spans beside them. */
export const spanRows = (spans: readonly SpanRow[], wanted?: (key: string) => boolean): SpanRows => {
  const row = new RowWriter()
  const ends = spans.map((span) => {
    write(row, span)
    return row.length
  })
  const rows = { bytes: row.bytes(), ends: Uint32Array.from(ends) }
  return wanted ? { ...rows, read: readSpans(rows, wanted) } : rows
}

/** A batch that holds nothing but spans. */
export const spanBatch = (spans: SpanRows): Batch => ({
  ref: new Uint32Array(0),
  at: new Float64Array(0),
  value: new Float64Array(0),
  metadata: [],
  events: [],
  costs: [],
  spans,
})
