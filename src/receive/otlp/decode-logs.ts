// OTLP logs in protobuf, walked in place: every record becomes a row of bytes in the column order of `otel_logs`.
// Field numbers: github.com/open-telemetry/opentelemetry-proto, logs/v1, common/v1, resource/v1.
import { WireReader } from '../../lib/protobuf.ts'
import { RowBuilder } from '../../lib/row-builder.ts'
import type { PackedRows } from '../../model/packed-rows.ts'
import { millisOf } from '../../model/span-rows.ts'
import { isMessage } from './content.ts'
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
import { Tally } from './tally.ts'

interface DecodedLogs {
  readonly rows: PackedRows
  readonly tally: Tally
}

/** The receiver's clock in nanoseconds, as two words: for records that say no time. */
export interface NowWords {
  readonly low: number
  readonly high: number
}

/** Decodes an ExportLogsServiceRequest. Throws `bad_data` when it is none. */
export const decodeLogs = (
  body: Buffer,
  memory: SignalMemory,
  times: TimeLimits,
  now: NowWords,
): DecodedLogs => {
  const decoder = new LogDecoder(body, memory, times, now)
  decoder.request()
  return { rows: decoder.row.build(), tally: decoder.item.tally }
}

const nowhere: [number, number] = [0, 0]
/** Severity numbers and flags are bytes in the table. */
const mostSeverity = 24

class LogDecoder {
  readonly #r: WireReader
  readonly #memory: SignalMemory
  readonly #times: TimeLimits
  readonly #now: NowWords
  readonly #attributes = new Places()
  readonly row: RowBuilder
  readonly item: ItemWriter
  #resource!: ResourcePart
  #resourceUrl = nowhere
  #scope!: ScopePart
  #scopeUrl = nowhere
  // A record's fields.
  #low = 0
  #high = 0
  #seenLow = 0
  #seenHigh = 0
  #severity = 0
  #flags = 0
  #severityText = nowhere
  #body = nowhere
  #traceId = nowhere
  #spanId = nowhere
  #eventName = nowhere

  constructor(body: Buffer, memory: SignalMemory, times: TimeLimits, now: NowWords) {
    this.#r = new WireReader(body)
    this.#memory = memory
    this.#times = times
    this.#now = now
    this.row = new RowBuilder(body.length * 2, body.length >> 8, mostRowBytes)
    this.item = new ItemWriter(this.#r, this.row, memory.keys, memory.rules, new Tally())
  }

  request(): void {
    const r = this.#r
    eachField(r, 0, r.end, (tag, from, end) => {
      if (tag === 10) this.#resourceLogs(from, end)
    })
  }

  #resourceLogs(from: number, end: number): void {
    const scopes: number[] = []
    let resource = nowhere
    this.#resourceUrl = nowhere
    eachField(this.#r, from, end, (tag, at, stop) => {
      if (tag === 10) resource = [at, stop]
      else if (tag === 18) scopes.push(at, stop)
      else if (tag === 26) this.#resourceUrl = [at, stop]
    })
    this.#resource = readResource(this.#memory, this.item, ...resource)
    for (let i = 0; i < scopes.length; i += 2) this.#scopeLogs(scopes[i]!, scopes[i + 1]!)
  }

  #scopeLogs(from: number, end: number): void {
    const r = this.#r
    let scope = nowhere
    this.#scopeUrl = nowhere
    // Scope and schema may stand behind the records.
    eachField(r, from, end, (tag, at, stop) => {
      if (tag === 10) scope = [at, stop]
      else if (tag === 26) this.#scopeUrl = [at, stop]
    })
    this.#scope = readScope(this.#memory, this.item, ...scope)
    r.at = from
    while (r.at < end) {
      const tag = r.tag()
      if (tag !== 18) {
        r.skip(tag, end)
        continue
      }
      const stop = r.open(end)
      this.#record(stop)
      r.at = stop
    }
  }

  #record(end: number): void {
    this.#fields(end)
    if (!this.#mayPass()) return
    this.#write()
    this.row.endRow()
  }

  #fields(end: number): void {
    const r = this.#r
    this.#attributes.clear()
    this.#low = this.#high = this.#seenLow = this.#seenHigh = this.#severity = this.#flags = 0
    this.#severityText = this.#body = this.#traceId = this.#spanId = this.#eventName = nowhere
    while (r.at < end) {
      const tag = r.tag()
      if ((tag & 7) === 2) {
        const stop = r.open(end)
        this.#delimited(tag, r.at, stop)
        r.at = stop
      } else if (tag === 9) {
        r.fixed64()
        ;[this.#low, this.#high] = [r.low, r.high]
      } else if (tag === 89) {
        r.fixed64()
        ;[this.#seenLow, this.#seenHigh] = [r.low, r.high]
      } else if (tag === 16) this.#severity = r.uint32()
      else if (tag === 69) this.#flags = r.bytes[r.need(4)]!
      else r.skip(tag, end)
    }
    r.close(end)
  }

  #delimited(tag: number, from: number, stop: number): void {
    switch (tag) {
      case 26:
        this.#severityText = [from, stop]
        break
      case 42:
        this.#body = [from, stop]
        break
      case 50:
        this.#attributes.add(from, stop)
        break
      case 74:
        this.#traceId = [from, stop]
        break
      case 82:
        this.#spanId = [from, stop]
        break
      case 98:
        this.#eventName = [from, stop]
        break
    }
  }

  /** Whether ids and time are such that the record is taken; settles its time. */
  #mayPass(): boolean {
    const { tally } = this.item
    const [traceFrom, traceEnd] = this.#traceId
    const [spanFrom, spanEnd] = this.#spanId
    const traceBytes = traceEnd - traceFrom
    const spanBytes = spanEnd - spanFrom
    if ((traceBytes !== 0 && traceBytes !== 16) || (spanBytes !== 0 && spanBytes !== 8)) {
      tally.refuse(
        'bad_id',
        () => `${this.#called()} needs a trace id of 16 bytes and a span id of 8, or none`,
      )
      return false
    }
    if (this.#low === 0 && this.#high === 0) [this.#low, this.#high] = [this.#seenLow, this.#seenHigh]
    if (this.#low === 0 && this.#high === 0) [this.#low, this.#high] = [this.#now.low, this.#now.high]
    const at = millisOf(this.#low, this.#high)
    if (at < this.#times.oldestAt) {
      tally.refuse('too_old', () => `${this.#called()} is older than what is kept (storage.retention.logs)`)
      return false
    }
    if (at > this.#times.newestAt) {
      tally.refuse('too_far_ahead', () => `${this.#called()} lies further ahead than storage.max_ahead`)
      return false
    }
    return true
  }

  #called(): string {
    const { service } = this.#resource.resource
    return `a log record of ${service === '' ? 'an unnamed service' : JSON.stringify(service)}`
  }

  #write(): void {
    const { row, item } = this
    const { list, count } = this.#attributes
    const resource = this.#resource
    const kept = keepsContent(this.#memory.rules.keep, resource, item, list, count)
    const message = this.#isMessage()
    row.words(this.#low, this.#high)
    this.#hexId(this.#traceId)
    this.#hexId(this.#spanId)
    row.byte(this.#flags)
    item.text(...this.#severityText)
    row.byte(this.#severity <= mostSeverity ? this.#severity : 0)
    row.raw(resource.service)
    if (message && !kept && this.#body[1] > this.#body[0]) {
      item.tally.dropContent('body')
      row.byte(0)
    } else item.body(...this.#body, message)
    item.text(...this.#resourceUrl)
    row.raw(resource.attributes)
    item.text(...this.#scopeUrl)
    row.raw(this.#scope.name)
    row.raw(this.#scope.version)
    row.raw(this.#scope.attributes)
    item.attributes(list, count, kept ? 'kept' : message ? 'message' : 'dropped', null)
    item.text(...this.#eventName)
  }

  /** Older conventions give an event's name as an attribute. */
  #isMessage(): boolean {
    const [from, end] = this.#eventName
    const name =
      end > from
        ? this.#r.bytes.toString('utf8', from, end)
        : this.item.find(this.#attributes.list, this.#attributes.count, 'event.name')
    return name !== null && isMessage(name)
  }

  /** An id of none but zeroes is none. */
  #hexId([from, end]: readonly [number, number]): void {
    const { bytes } = this.#r
    for (let i = from; i < end; i++)
      if (bytes[i] !== 0) {
        this.row.hex(bytes, from, end - from)
        return
      }
    this.row.byte(0)
  }
}
