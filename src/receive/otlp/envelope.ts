// What spans and log records share: the resource and scope that stand around them, read once and written into every row.
import type { WireReader } from '../../lib/protobuf.ts'
import { RowBuilder } from '../../lib/row-builder.ts'
import { RowCursor } from '../../lib/row-cursor.ts'
import type { SpanResource } from '../../model/span.ts'
import { resourceOf } from '../../model/span-rows.ts'
import { ByteCache } from '../byte-cache.ts'
import { type ItemRules, ItemWriter, KeyTable } from './item-writer.ts'

/** Bytes of rows that one request may make. A resource stands in each of its rows, so they may be many times what was sent. */
export const mostRowBytes = 256 << 20

/** Whose content is kept. */
export type Keeps = boolean | ReadonlySet<string>

export interface SignalRules extends ItemRules {
  readonly keep: Keeps
}

/** A resource as its rows have it. */
export interface ResourcePart {
  readonly resource: SpanResource
  /** `ServiceName` and `ResourceAttributes` as fields of a row. */
  readonly service: Uint8Array
  readonly attributes: Uint8Array
}

export interface ScopePart {
  readonly name: Uint8Array
  readonly version: Uint8Array
  readonly attributes: Uint8Array
}

/** Places of a message's length-delimited fields, and what it is read by. */
export type EachField = (tag: number, from: number, end: number) => void

/** Walks the fields of the message at `from … end`. */
export const eachField = (r: WireReader, from: number, end: number, each: EachField): void => {
  r.at = from
  while (r.at < end) {
    const tag = r.tag()
    if ((tag & 7) !== 2) {
      r.skip(tag, end)
      continue
    }
    const stop = r.open(end)
    each(tag, r.at, stop)
    r.at = stop
  }
  r.close(end)
}

/** What is remembered from request to request, for one signal. */
export class SignalMemory {
  readonly rules: SignalRules
  readonly keys: KeyTable
  readonly resources = new ByteCache<ResourcePart>(4096, 4 << 20)
  readonly scopes = new ByteCache<ScopePart>(4096, 1 << 20)

  constructor(rules: SignalRules) {
    this.rules = rules
    this.keys = new KeyTable(rules.wanted)
  }
}

const copied = (row: RowBuilder, from: number, end: number): Uint8Array => row.bytes.slice(from, end)

/** The Resource message at `from … end`. */
export const readResource = (
  memory: SignalMemory,
  item: ItemWriter,
  from: number,
  end: number,
): ResourcePart => {
  const { r } = item
  const known = memory.resources.get(r.view, from, end, 0)
  if (known) return known
  const places: number[] = []
  eachField(r, from, end, (tag, at, stop) => {
    if (tag === 10) places.push(at, stop)
  })
  // Written beside the rows: only what is remembered must not depend on whose turn it is.
  const own = aside(memory, item)
  own.attributes(places, places.length, memory.rules.keep === true ? 'kept' : 'dropped', null)
  const attributes = copied(own.row, 0, own.row.at)
  const resource = resourceOf(new RowCursor(attributes).map(), memory.rules.wanted)
  const row = new RowBuilder(resource.service.length + 16, 1)
  row.string(resource.service)
  const part = { resource, attributes, service: copied(row, 0, row.at) }
  // Its keys were looked up in between.
  memory.resources.get(r.view, from, end, 0)
  memory.resources.set(r.view, from, end, 0, part)
  return part
}

/** The InstrumentationScope message at `from … end`. */
export const readScope = (memory: SignalMemory, item: ItemWriter, from: number, end: number): ScopePart => {
  const { r } = item
  const known = memory.scopes.get(r.view, from, end, 0)
  if (known) return known
  let [nameFrom, nameEnd, versionFrom, versionEnd] = [0, 0, 0, 0]
  const places: number[] = []
  eachField(r, from, end, (tag, at, stop) => {
    if (tag === 10) [nameFrom, nameEnd] = [at, stop]
    else if (tag === 18) [versionFrom, versionEnd] = [at, stop]
    else if (tag === 26) places.push(at, stop)
  })
  const row = new RowBuilder(256, 1)
  const writer = aside(memory, item, row)
  writer.text(nameFrom, nameEnd)
  const afterName = row.at
  writer.text(versionFrom, versionEnd)
  const afterVersion = row.at
  writer.attributes(places, places.length, memory.rules.keep === true ? 'kept' : 'dropped', null)
  const part = {
    name: copied(row, 0, afterName),
    version: copied(row, afterName, afterVersion),
    attributes: copied(row, afterVersion, row.at),
  }
  memory.scopes.set(r.view, from, end, 0, part)
  return part
}

/** A writer of the same request into a row of its own. */
const aside = (memory: SignalMemory, item: ItemWriter, row = new RowBuilder(1024, 1)): ItemWriter =>
  new ItemWriter(item.r, row, memory.keys, memory.rules, item.tally)

/** Whether the content of an item is kept: for all, for none, or by the name of its service or agent. */
export const keepsContent = (
  keep: Keeps,
  resource: ResourcePart,
  item: ItemWriter,
  places: readonly number[],
  count: number,
): boolean => {
  if (typeof keep === 'boolean') return keep
  if (keep.has(resource.resource.service)) return true
  const agent = item.find(places, count, 'gen_ai.agent.name')
  return agent !== null && keep.has(agent)
}

/** Times of items, in nanoseconds as two words, that are taken. */
export interface TimeLimits {
  /** Milliseconds since 1970. */
  readonly oldestAt: number
  readonly newestAt: number
}
