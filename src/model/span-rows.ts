// Rows of `otel_traces` as they travel: what their bytes mean, and how spans are read back from them.
import { RowCursor } from '../lib/row-cursor.ts'
import type { PackedRows } from './packed-rows.ts'
import type { Attributes, Span, SpanEvent, SpanKind, SpanResource, SpanStatus } from './span.ts'

/**
 * A row's fields in RowBinary, in the table's order. Ids are lower-case hexadecimal, '' where there is none; attributes are maps from text
 * to text, in the order in which they were sent, each key once.
 *
 *   Timestamp           Int64     start, nanoseconds since 1970
 *   TraceId             String    32 digits
 *   SpanId              String    16 digits
 *   ParentSpanId        String
 *   TraceState          String
 *   SpanName            String
 *   SpanKind            String    one of `kindWords`
 *   ServiceName         String
 *   ResourceAttributes  Map
 *   ScopeName           String
 *   ScopeVersion        String
 *   SpanAttributes      Map
 *   Duration            UInt64    nanoseconds
 *   StatusCode          String    one of `statusWords`
 *   StatusMessage       String
 *   Events.Timestamp    Array(Int64)
 *   Events.Name         Array(String)
 *   Events.Attributes   Array(Map)
 *   Links.TraceId       Array(String)
 *   Links.SpanId        Array(String)
 *   Links.TraceState    Array(String)
 *   Links.Attributes    Array(Map)
 */
export const kinds: readonly SpanKind[] = [
  'unspecified',
  'internal',
  'server',
  'client',
  'producer',
  'consumer',
]
/** By the number that OTLP gives a kind; the words of OpenTelemetry's ClickHouse exporter. */
export const kindWords = ['Unspecified', 'Internal', 'Server', 'Client', 'Producer', 'Consumer'] as const
export const statuses: readonly SpanStatus[] = ['unset', 'ok', 'error']
export const statusWords = ['Unset', 'Ok', 'Error'] as const

const kindOf: ReadonlyMap<string, SpanKind> = new Map(kindWords.map((word, i) => [word, kinds[i]!]))
const statusOf: ReadonlyMap<string, SpanStatus> = new Map(statusWords.map((word, i) => [word, statuses[i]!]))

/** Which attributes are wanted in `Span` objects. */
export type Wanted = (key: string) => boolean

const twoTo32 = 4294967296

/** Nanoseconds in two words as milliseconds with fractions, to the nearest double. */
export const millisOf = (low: number, high: number): number => {
  const rest = (high % 1e6) * twoTo32 + low
  const whole = Math.floor(rest / 1e6)
  return Math.floor(high / 1e6) * twoTo32 + whole + (rest - whole * 1e6) / 1e6
}

/** Nanoseconds in two words as seconds. */
export const secondsOf = (low: number, high: number): number => (high * twoTo32 + low) / 1e9

/** Of keys and values by turns those that are wanted. */
export const wantedOf = (pairs: readonly string[], wanted: Wanted): Attributes => {
  const out: Record<string, string> = {}
  for (let i = 0; i < pairs.length; i += 2) if (wanted(pairs[i]!)) put(out, pairs[i]!, pairs[i + 1]!)
  return out
}

/** Sets a key whatever its name: `__proto__` is a key as any other. */
export const put = (out: Record<string, string>, key: string, value: string): void => {
  if (key === '__proto__')
    Object.defineProperty(out, key, { value, enumerable: true, writable: true, configurable: true })
  else out[key] = value
}

/** The resource that keys and values by turns describe; `job` and `instance` as Prometheus's translation makes them. */
export const resourceOf = (pairs: readonly string[], wanted: Wanted): SpanResource => {
  const of = (key: string): string | null => {
    for (let i = 0; i < pairs.length; i += 2) if (pairs[i] === key) return pairs[i + 1]!
    return null
  }
  const service = of('service.name')
  const namespace = of('service.namespace')
  return {
    service: service ?? '',
    job: service === null ? '' : namespace === null ? service : `${namespace}/${service}`,
    instance: of('service.instance.id') ?? '',
    version: of('service.version') ?? '',
    attributes: wantedOf(pairs, wanted),
  }
}

/** The spans of packed rows, exactly as the decoder gave them beside the rows. */
export const readSpans = (rows: PackedRows, wanted: Wanted): Span[] => {
  const cursor = new RowCursor(rows.bytes)
  const resources = new Map<string, SpanResource>()
  const memo = new Map<string, boolean>()
  const reader: Reader = {
    wanted: (key) => {
      let is = memo.get(key)
      if (is === undefined) {
        is = wanted(key)
        memo.set(key, is)
      }
      return is
    },
    resource: (pairsFrom, pairsEnd) => {
      const bytes = cursor.bytes.toString('latin1', pairsFrom, pairsEnd)
      let known = resources.get(bytes)
      if (!known) {
        cursor.at = pairsFrom
        known = resourceOf(cursor.map(), wanted)
        resources.set(bytes, known)
      }
      cursor.at = pairsEnd
      return known
    },
  }
  const spans: Span[] = []
  for (let i = 0; i < rows.ends.length; i++) {
    cursor.at = i === 0 ? 0 : rows.ends[i - 1]!
    spans.push(readSpan(cursor, reader))
  }
  return spans
}

interface Reader {
  readonly wanted: Wanted
  resource(pairsFrom: number, pairsEnd: number): SpanResource
}

const readSpan = (c: RowCursor, reader: Reader): Span => {
  c.words()
  const startAt = millisOf(c.low, c.high)
  const traceId = c.string()
  const spanId = c.string()
  const parentSpanId = c.string()
  c.skipString()
  const name = c.string()
  const kind = kindOf.get(c.string()) ?? 'unspecified'
  c.skipString()
  const from = c.at
  c.skipMap()
  const resource = reader.resource(from, c.at)
  c.skipString()
  c.skipString()
  const attributes = readWanted(c, reader.wanted)
  c.words()
  const duration = secondsOf(c.low, c.high)
  const status = statusOf.get(c.string()) ?? 'unset'
  c.skipString()
  const events = readEvents(c, reader.wanted)
  return {
    traceId,
    spanId,
    parentSpanId,
    name,
    kind,
    status,
    startAt,
    duration,
    resource,
    attributes,
    events,
  }
}

const readWanted = (c: RowCursor, wanted: Wanted): Attributes => {
  const out: Record<string, string> = {}
  for (let n = c.varint(); n > 0; n--) {
    const key = c.string()
    if (wanted(key)) put(out, key, c.string())
    else c.skipString()
  }
  return out
}

/** One for all spans without any. */
export const noEvents: readonly SpanEvent[] = []

const readEvents = (c: RowCursor, wanted: Wanted): readonly SpanEvent[] => {
  const times: number[] = []
  c.each(() => {
    c.words()
    times.push(millisOf(c.low, c.high))
  })
  if (times.length === 0) return noEvents
  const names: string[] = []
  c.each(() => names.push(c.string()))
  const events: SpanEvent[] = []
  c.each((i) => events.push({ name: names[i]!, at: times[i]!, attributes: readWanted(c, wanted) }))
  return events
}
