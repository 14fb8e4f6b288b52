// Attributes in protobuf: KeyValue and AnyValue, with lists and maps bounded in depth.
import type { WireReader } from '../../lib/protobuf.ts'
import { type AnyValue, deepestValue, valueText } from './any-value.ts'
import type { Attribute, Attributes } from './points.ts'

/** The KeyValue fields with key `field` between two bytes; other fields are skipped. Throws `bad_data` when they are broken. */
export const readAttributes = (r: WireReader, from: number, end: number, field: number): Attributes => {
  const out: Attribute[] = []
  let bad = ''
  r.at = from
  while (r.at < end) {
    const tag = r.tag()
    if (tag !== field) {
      r.skip(tag, end)
      continue
    }
    const attribute = keyValue(r, r.open(end), 0)
    if (attribute === null) bad = 'an attribute is no UTF-8 text, or nested too deep'
    else out.push({ key: attribute[0], value: valueText(attribute[1]) })
  }
  return bad === '' ? out : bad
}

const keyValue = (r: WireReader, stop: number, depth: number): [string, AnyValue] | null => {
  let key: string | null = ''
  let value: AnyValue | undefined = null
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 10) key = r.text(stop)
    else if (tag === 18) value = anyValue(r, r.open(stop), depth)
    else r.skip(tag, stop)
  }
  r.close(stop)
  return key === null || value === undefined ? null : [key, value]
}

/** An AnyValue up to `stop`; undefined where a text is no UTF-8, or lists and maps are nested too deep. */
export const anyValue = (r: WireReader, stop: number, depth: number): AnyValue | undefined => {
  let value: AnyValue | undefined = null
  while (r.at < stop) {
    const tag = r.tag()
    if (tag === 10) value = r.text(stop) ?? undefined
    else if (tag === 16) value = r.uint32() !== 0
    else if (tag === 24) value = int64(r)
    else if (tag === 33) value = r.double()
    else if (tag === 42) value = listValue(r, r.open(stop), depth + 1)
    else if (tag === 50) value = mapValue(r, r.open(stop), depth + 1)
    else if (tag === 58) {
      const end = r.open(stop)
      value = r.bytes.subarray(r.at, end)
      r.at = end
    } else r.skip(tag, stop)
  }
  r.close(stop)
  return value
}

const listValue = (r: WireReader, stop: number, depth: number): AnyValue | undefined => {
  const out: AnyValue[] = []
  let whole = depth <= deepestValue
  while (r.at < stop) {
    const tag = r.tag()
    if (tag !== 10 || !whole) r.skip(tag, stop)
    else {
      const value = anyValue(r, r.open(stop), depth)
      if (value === undefined) whole = false
      else out.push(value)
    }
  }
  r.close(stop)
  return whole ? out : undefined
}

const mapValue = (r: WireReader, stop: number, depth: number): AnyValue | undefined => {
  const out = new Map<string, AnyValue>()
  let whole = depth <= deepestValue
  while (r.at < stop) {
    const tag = r.tag()
    if (tag !== 10 || !whole) r.skip(tag, stop)
    else {
      const pair = keyValue(r, r.open(stop), depth)
      if (pair === null) whole = false
      else out.set(pair[0], pair[1])
    }
  }
  r.close(stop)
  return whole ? out : undefined
}
const int64 = (r: WireReader): number | bigint => {
  const value = r.int64()
  return Number.isSafeInteger(value) ? value : (BigInt(r.high | 0) << 32n) | BigInt(r.low)
}
