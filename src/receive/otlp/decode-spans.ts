// OTLP traces in protobuf, walked in place: every span becomes a row of bytes and, beside it, what is reckoned with.
// Field numbers: github.com/open-telemetry/opentelemetry-proto, trace/v1, common/v1, resource/v1.
import { WireReader } from '../../lib/protobuf.ts'
import { RowBuilder } from '../../lib/row-builder.ts'
import type { Span, SpanRows } from '../../model/span.ts'
import { idWords, SpanIds } from '../../model/span-ids.ts'
import { kinds, kindWords, millisOf, secondsOf, statuses, statusWords } from '../../model/span-rows.ts'
import {
  eachField,
  keepsContent,
  mostRowBytes,
  type ResourcePart,
  readResource,
  readScope,
  type ScopePart,
  type SignalMemory,
  type TimeLimits,
} from './envelope.ts'
import { ItemWriter } from './item-writer.ts'
import { Places } from './places.ts'
import { SpanParts } from './span-parts.ts'
import { Tally } from './tally.ts'

export interface DecodedSpans {
  readonly rows: SpanRows
  readonly tally: Tally
}

/** Whether a span, by the words of its ids, was accepted before. */
export type Accepted = (id: Int32Array) => boolean

const encoded = (words: readonly string[]): Uint8Array[] =>
  words.map((word) => Buffer.concat([Buffer.from([word.length]), Buffer.from(word)]))
const kindFields = encoded(kindWords)
const statusFields = encoded(statusWords)

/** Decodes an ExportTraceServiceRequest. Throws `bad_data` when it is none. */
export const decodeSpans = (
  body: Buffer,
  memory: SignalMemory,
  times: TimeLimits,
  accepted: Accepted,
): DecodedSpans => {
  const decoder = new SpanDecoder(body, memory, times, accepted)
  decoder.request()
  return { rows: { ...decoder.row.build(), read: decoder.read }, tally: decoder.item.tally }
}

const noParts: ScopePart = { name: Uint8Array.of(0), version: Uint8Array.of(0), attributes: Uint8Array.of(0) }

class SpanDecoder {
  readonly #r: WireReader
  readonly #memory: SignalMemory
  readonly #times: TimeLimits
  readonly #accepted: Accepted
  readonly #ids = new SpanIds()
  readonly #id = new Int32Array(idWords)
  readonly #attributes = new Places()
  readonly #events = new Places()
  readonly #links = new Places()
  readonly #parts: SpanParts
  readonly row: RowBuilder
  readonly item: ItemWriter
  readonly read: Span[] = []
  #resource!: ResourcePart
  #scope: ScopePart = noParts
  // Places of a span's fields: from and end.
  #traceId = 0
  #spanId = 0
  #parent = 0
  #state: [number, number] = [0, 0]
  #name: [number, number] = [0, 0]
  #status: [number, number] = [0, 0]
  #kind = 0
  #startLow = 0
  #startHigh = 0
  #endLow = 0
  #endHigh = 0

  constructor(body: Buffer, memory: SignalMemory, times: TimeLimits, accepted: Accepted) {
    this.#r = new WireReader(body)
    this.#memory = memory
    this.#times = times
    this.#accepted = accepted
    this.row = new RowBuilder(body.length * 2, body.length >> 8, mostRowBytes)
    this.item = new ItemWriter(this.#r, this.row, memory.keys, memory.rules, new Tally())
    this.#parts = new SpanParts(this.item)
  }

  request(): void {
    const r = this.#r
    eachField(r, 0, r.end, (tag, from, end) => {
      if (tag === 10) this.#resourceSpans(from, end)
    })
  }

  #resourceSpans(from: number, end: number): void {
    const scopes: number[] = []
    let [resourceFrom, resourceEnd] = [0, 0]
    eachField(this.#r, from, end, (tag, at, stop) => {
      if (tag === 10) [resourceFrom, resourceEnd] = [at, stop]
      else if (tag === 18) scopes.push(at, stop)
    })
    this.#resource = readResource(this.#memory, this.item, resourceFrom, resourceEnd)
    for (let i = 0; i < scopes.length; i += 2) this.#scopeSpans(scopes[i]!, scopes[i + 1]!)
  }

  #scopeSpans(from: number, end: number): void {
    const r = this.#r
    let [scopeFrom, scopeEnd] = [0, 0]
    // A scope may stand behind its spans.
    eachField(r, from, end, (tag, at, stop) => {
      if (tag === 10) [scopeFrom, scopeEnd] = [at, stop]
    })
    this.#scope = readScope(this.#memory, this.item, scopeFrom, scopeEnd)
    r.at = from
    while (r.at < end) {
      const tag = r.tag()
      if (tag !== 18) {
        r.skip(tag, end)
        continue
      }
      const stop = r.open(end)
      this.#span(stop)
      r.at = stop
    }
  }

  #span(end: number): void {
    this.#fields(end)
    const { row, item } = this
    if (!this.#mayPass()) return
    if (this.#accepted(this.#id) || !this.#ids.add(this.#id)) {
      item.tally.repeated++
      return
    }
    this.read.push(this.#write())
    row.endRow()
  }

  /** Finds where the span's fields lie. */
  #fields(end: number): void {
    const r = this.#r
    this.#attributes.clear()
    this.#events.clear()
    this.#links.clear()
    this.#traceId = this.#spanId = this.#parent = -1
    this.#state = this.#name = this.#status = nowhere
    this.#kind = this.#startLow = this.#startHigh = this.#endLow = this.#endHigh = 0
    while (r.at < end) {
      const tag = r.tag()
      if (tag === 48) {
        this.#kind = r.uint32()
        continue
      }
      if (tag === 57 || tag === 65) {
        r.fixed64()
        if (tag === 57) [this.#startLow, this.#startHigh] = [r.low, r.high]
        else [this.#endLow, this.#endHigh] = [r.low, r.high]
        continue
      }
      if ((tag & 7) !== 2) {
        r.skip(tag, end)
        continue
      }
      const stop = r.open(end)
      this.#delimited(tag, r.at, stop)
      r.at = stop
    }
    r.close(end)
  }

  #delimited(tag: number, from: number, stop: number): void {
    switch (tag) {
      case 74:
        this.#attributes.add(from, stop)
        break
      case 10:
        this.#traceId = stop - from === 16 ? from : wrong
        break
      case 18:
        this.#spanId = stop - from === 8 ? from : wrong
        break
      case 26:
        this.#state = [from, stop]
        break
      case 34:
        this.#parent = stop === from ? -1 : stop - from === 8 ? from : wrong
        break
      case 42:
        this.#name = [from, stop]
        break
      case 90:
        this.#events.add(from, stop)
        break
      case 106:
        this.#links.add(from, stop)
        break
      case 122:
        this.#status = [from, stop]
        break
    }
  }

  /** Whether ids and times are such that the span is taken; sets the words of its id. */
  #mayPass(): boolean {
    const { tally } = this.item
    const view = this.#r.view
    const id = this.#id
    if (this.#traceId < 0 || this.#spanId < 0 || this.#parent === wrong) {
      tally.refuse('bad_id', () => `${this.#called()} needs a trace id of 16 bytes and span ids of 8`)
      return false
    }
    for (let i = 0; i < 4; i++) id[i] = view.getInt32(this.#traceId + i * 4)
    for (let i = 0; i < 2; i++) id[4 + i] = view.getInt32(this.#spanId + i * 4)
    if ((id[0]! | id[1]! | id[2]! | id[3]!) === 0 || (id[4]! | id[5]!) === 0) {
      tally.refuse('bad_id', () => `${this.#called()} has an id that is all zero`)
      return false
    }
    const startAt = millisOf(this.#startLow, this.#startHigh)
    const { oldestAt, newestAt } = this.#times
    if (startAt < oldestAt) {
      tally.refuse('too_old', () => `${this.#called()} began before what is kept (storage.retention.traces)`)
      return false
    }
    if (startAt > newestAt || millisOf(this.#endLow, this.#endHigh) > newestAt) {
      tally.refuse('too_far_ahead', () => `${this.#called()} lies further ahead than storage.max_ahead`)
      return false
    }
    return true
  }

  #called(): string {
    return `span ${JSON.stringify(this.item.readText(...this.#name))}`
  }

  /** Writes the row in the order of model/span-rows.ts. */
  #write(): Span {
    const { row, item } = this
    const r = this.#r
    const resource = this.#resource
    const places = this.#attributes
    row.words(this.#startLow, this.#startHigh)
    row.hex(r.bytes, this.#traceId, 16)
    const idsEnd = row.at
    row.hex(r.bytes, this.#spanId, 8)
    const spanIdEnd = row.at
    if (this.#hasParent()) row.hex(r.bytes, this.#parent, 8)
    else row.byte(0)
    const parentEnd = row.at
    item.text(...this.#state)
    const nameFrom = row.at
    item.text(...this.#name)
    const name = item.written(nameFrom)
    const kind = this.#kind < kindFields.length ? this.#kind : 0
    row.raw(kindFields[kind]!)
    row.raw(resource.service)
    row.raw(resource.attributes)
    row.raw(this.#scope.name)
    row.raw(this.#scope.version)
    const kept = keepsContent(this.#memory.rules.keep, resource, item, places.list, places.count)
    const attributes: Record<string, string> = {}
    item.attributes(places.list, places.count, kept ? 'kept' : 'dropped', attributes)
    const duration = this.#duration()
    const status = this.#writeStatus()
    // Rows may have moved to wider memory; their places have not.
    const { bytes } = row
    const span = {
      traceId: bytes.toString('latin1', idsEnd - 32, idsEnd),
      spanId: bytes.toString('latin1', spanIdEnd - 16, spanIdEnd),
      parentSpanId: parentEnd - spanIdEnd > 1 ? bytes.toString('latin1', parentEnd - 16, parentEnd) : '',
      name,
      kind: kinds[kind]!,
      status: statuses[status]!,
      startAt: millisOf(this.#startLow, this.#startHigh),
      duration,
      resource: resource.resource,
      attributes,
      events: this.#parts.events(this.#events, kept),
    }
    this.#parts.links(this.#links, kept)
    return span
  }

  #hasParent(): boolean {
    if (this.#parent < 0) return false
    const { view } = this.#r
    return (view.getInt32(this.#parent) | view.getInt32(this.#parent + 4)) !== 0
  }

  /** Writes the duration in nanoseconds and gives it in seconds; 0 where the end lies before the start. */
  #duration(): number {
    let low = this.#endLow - this.#startLow
    let high = this.#endHigh - this.#startHigh
    if (low < 0) {
      low += 4294967296
      high--
    }
    if (high < 0) low = high = 0
    this.row.words(low, high)
    return secondsOf(low, high)
  }

  #writeStatus(): number {
    const r = this.#r
    const [from, end] = this.#status
    let code = 0
    let message = nowhere
    r.at = from
    while (r.at < end) {
      const tag = r.tag()
      if (tag === 24) code = r.uint32()
      else if (tag === 18) {
        const stop = r.open(end)
        message = [r.at, stop]
        r.at = stop
      } else r.skip(tag, end)
    }
    r.close(end)
    if (code >= statusFields.length) code = 0
    this.row.raw(statusFields[code]!)
    this.item.text(...message)
    return code
  }
}

const wrong = -2
const nowhere: [number, number] = [0, 0]
