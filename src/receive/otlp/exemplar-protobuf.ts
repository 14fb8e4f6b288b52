// An OTLP exemplar in protobuf: metrics/v1 Exemplar.
import type { WireReader } from '../../lib/protobuf.ts'
import type { Attributes, PointExemplar } from './points.ts'

/** Nanoseconds in two words as milliseconds. */
type Millis = (low: number, high: number) => number

/** Reads the message that ends at `stop`; `attributes` decodes its filtered attributes (field 7), which lie between two bytes. */
export const readExemplar = (
  r: WireReader,
  stop: number,
  millis: Millis,
  attributes: (from: number, end: number, field: number) => Attributes,
): PointExemplar => {
  const from = r.at
  const found = { at: 0, value: 0, traceId: '', spanId: '', attributes: () => attributes(from, stop, 58) }
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 17) {
      r.fixed64()
      found.at = millis(r.low, r.high)
    } else if (tag === 25) found.value = r.double()
    else if (tag === 49) {
      r.fixed64()
      found.value = (r.high | 0) * 4294967296 + r.low
    } else if (tag === 34 || tag === 42) {
      const end = r.open(stop)
      const id = r.bytes.toString('hex', r.at, end)
      if (tag === 34) found.spanId = id
      else found.traceId = id
      r.at = end
    } else r.skip(tag, stop)
  }
  r.close(stop)
  return found
}
