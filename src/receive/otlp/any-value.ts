// OpenTelemetry's attribute values as text: scalars plainly, lists and maps as JSON, bytes as base64.

/** 64-bit integers that a double cannot hold stand as bigint. */
export type AnyValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly AnyValue[]
  | ReadonlyMap<string, AnyValue>

/** The deepest nesting of lists and maps in a value that is taken. */
export const deepestValue = 16

const isList = (value: AnyValue): value is readonly AnyValue[] => Array.isArray(value)
const isMap = (value: AnyValue): value is ReadonlyMap<string, AnyValue> => value instanceof Map

/** A label's value; '' for an empty one. */
export const valueText = (value: AnyValue): string => {
  if (value === null) return ''
  if (typeof value === 'string') return value
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean')
    return Object.is(value, -0) ? '-0' : String(value)
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64')
  return json(value)
}

const json = (value: AnyValue): string => {
  if (value === null) return 'null'
  if (isList(value)) return `[${value.map(json).join(',')}]`
  if (isMap(value)) {
    const keys = [...value.keys()].sort()
    return `{${keys.map((key) => `${JSON.stringify(key)}:${json(value.get(key) ?? null)}`).join(',')}}`
  }
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value)
  // JSON has no word for NaN and the infinities; as text they can still be told apart.
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : JSON.stringify(String(value))
  return JSON.stringify(valueText(value))
}
