// Events and links of a span: nested arrays of a row, one for each of their fields.
import type { SpanEvent } from '../../model/span.ts'
import { millisOf, noEvents } from '../../model/span-rows.ts'
import { isMessage } from './content.ts'
import { eachField } from './envelope.ts'
import type { ContentIs, ItemWriter } from './item-writer.ts'
import { Places } from './places.ts'

const wrong = -2
const nowhere: [number, number] = [0, 0]
const threeEmpty = Uint8Array.of(0, 0, 0)
const fourEmpty = Uint8Array.of(0, 0, 0, 0)

export class SpanParts {
  readonly item: ItemWriter
  readonly #inner = new Places()

  constructor(item: ItemWriter) {
    this.item = item
  }

  /** The three arrays of the events at `places`; gives them as they are reckoned with. */
  events(places: Places, kept: boolean): readonly SpanEvent[] {
    const { item } = this
    const { row } = item
    const { r } = item
    const { list } = places
    const count = Math.min(places.count, item.limits.events * 2)
    if (count < places.count) item.tally.change('events_left_out', (places.count - count) / 2)
    if (count === 0) {
      row.raw(threeEmpty)
      return noEvents
    }
    const names: [number, number][] = []
    const times: number[] = []
    row.varint(count / 2)
    for (let i = 0; i < count; i += 2) {
      const end = list[i + 1]!
      let name = nowhere
      let [low, high] = [0, 0]
      r.at = list[i]!
      while (r.at < end) {
        const tag = r.tag()
        if (tag === 9) {
          r.fixed64()
          ;[low, high] = [r.low, r.high]
        } else if (tag === 18) {
          const stop = r.open(end)
          name = [r.at, stop]
          r.at = stop
        } else r.skip(tag, end)
      }
      r.close(end)
      // The column is signed.
      if (high > 0x7fffffff) low = high = 0
      row.words(low, high)
      times.push(millisOf(low, high))
      names.push(name)
    }
    row.varint(count / 2)
    const texts = names.map((name) => {
      const at = row.at
      item.text(...name)
      return item.written(at)
    })
    row.varint(count / 2)
    return texts.map((name, i): SpanEvent => {
      const attributes: Record<string, string> = {}
      const content: ContentIs = kept ? 'kept' : isMessage(name) ? 'message' : 'dropped'
      this.#innerAttributes(list[i * 2]!, list[i * 2 + 1]!, 26, content, attributes)
      return { name, at: times[i]!, attributes }
    })
  }

  #innerAttributes(
    from: number,
    end: number,
    field: number,
    content: ContentIs,
    into: Record<string, string> | null,
  ): void {
    const inner = this.#inner
    inner.clear()
    eachField(this.item.r, from, end, (tag, at, stop) => {
      if (tag === field) inner.add(at, stop)
    })
    this.item.attributes(inner.list, inner.count, content, into)
  }

  /** The four arrays of the links at `places`; those with ids of a wrong length are left out. */
  links(places: Places, kept: boolean): void {
    const { item } = this
    const { row } = item
    const { list } = places
    const found = places.count
    if (found === 0) {
      row.raw(fourEmpty)
      return
    }
    const links: { traceId: number; spanId: number; state: [number, number]; at: number; end: number }[] = []
    for (let i = 0; i < found; i += 2) {
      let [traceId, spanId] = [wrong, wrong]
      let state = nowhere
      eachField(item.r, list[i]!, list[i + 1]!, (tag, at, stop) => {
        if (tag === 10) traceId = stop - at === 16 ? at : wrong
        else if (tag === 18) spanId = stop - at === 8 ? at : wrong
        else if (tag === 26) state = [at, stop]
      })
      if (traceId < 0 || spanId < 0) item.tally.change('links_with_bad_ids')
      else links.push({ traceId, spanId, state, at: list[i]!, end: list[i + 1]! })
    }
    if (links.length > item.limits.events) {
      item.tally.change('events_left_out', links.length - item.limits.events)
      links.length = item.limits.events
    }
    row.varint(links.length)
    for (const { traceId } of links) row.hex(item.r.bytes, traceId, 16)
    row.varint(links.length)
    for (const { spanId } of links) row.hex(item.r.bytes, spanId, 8)
    row.varint(links.length)
    for (const { state } of links) item.text(...state)
    row.varint(links.length)
    for (const { at, end } of links) this.#innerAttributes(at, end, 34, kept ? 'kept' : 'dropped', null)
  }
}
