// OTLP metrics in JSON: lowerCamelCase fields, 64-bit integers as text or number, enums as numbers or names, unknown fields ignored.
// Format: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding and proto3's JSON mapping.
import { AppError, messageOf } from '../../lib/errors.ts'
import { type AnyValue, deepestValue, valueText } from './any-value.ts'
import type { MetricKind } from './names.ts'
import type {
  Attribute,
  Attributes,
  HistogramPoint,
  MetricHead,
  NumberPoint,
  PointExemplar,
  PointSink,
  SummaryPoint,
  Temporality,
} from './points.ts'

/** Every field that is read, in any message. */
type FieldName =
  | 'aggregationTemporality'
  | 'arrayValue'
  | 'asDouble'
  | 'asInt'
  | 'attributes'
  | 'boolValue'
  | 'bucketCounts'
  | 'bytesValue'
  | 'count'
  | 'dataPoints'
  | 'description'
  | 'doubleValue'
  | 'exemplars'
  | 'explicitBounds'
  | 'exponentialHistogram'
  | 'filteredAttributes'
  | 'flags'
  | 'gauge'
  | 'histogram'
  | 'intValue'
  | 'isMonotonic'
  | 'key'
  | 'kvlistValue'
  | 'metrics'
  | 'name'
  | 'quantile'
  | 'quantileValues'
  | 'resource'
  | 'resourceMetrics'
  | 'schemaUrl'
  | 'scope'
  | 'scopeMetrics'
  | 'spanId'
  | 'startTimeUnixNano'
  | 'stringValue'
  | 'sum'
  | 'summary'
  | 'timeUnixNano'
  | 'traceId'
  | 'unit'
  | 'value'
  | 'values'
  | 'version'

type Fields = { readonly [name in FieldName]?: unknown }

/** Tells `sink` what an ExportMetricsServiceRequest in JSON holds. Throws `bad_data` naming the place; `sink` has then been told nothing. */
export const decodeJson = (body: Buffer, sink: PointSink): void => {
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch (error) {
    throw new AppError('bad_data', `JSON: ${messageOf(error)}`, { cause: error })
  }
  // Read whole before anything is told, so that a mistake at the end leaves nothing behind.
  const told: (() => void)[] = []
  readRequest(object(parsed, 'request'), sink, (tell) => told.push(tell))
  for (const tell of told) tell()
}

const wrong = (path: string, want: string): AppError =>
  new AppError('bad_data', `JSON: ${path} is not ${want}`)

const object = (value: unknown, path: string): Fields => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(path, 'an object')
  return value as Fields
}

const list = (value: unknown, path: string): readonly unknown[] => {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw wrong(path, 'a list')
  return value
}

const text = (value: unknown, path: string): string => {
  if (value === undefined || value === null) return ''
  if (typeof value !== 'string') throw wrong(path, 'text')
  return value.toWellFormed()
}

/** A float as a number, or as text where JSON has no number for it. */
const float = (value: unknown, path: string): number => {
  if (typeof value === 'number') return value
  if (typeof value === 'string') {
    if (value === 'NaN') return Number.NaN
    if (value.trim() !== '' && !/x|b|o/i.test(value.replace(/Infinity/, ''))) {
      const number = Number(value)
      if (!Number.isNaN(number)) return number
    }
  }
  throw wrong(path, 'a number')
}

/** A 64-bit integer as text or number, as the double nearest to it. */
const integer = (value: unknown, path: string): number => {
  if (value === undefined || value === null) return 0
  const number = typeof value === 'string' && /^-?\d{1,20}$/.test(value) ? Number(value) : value
  if (typeof number !== 'number' || !Number.isInteger(number)) throw wrong(path, 'an integer')
  return number
}

const unsigned = (value: unknown, path: string): number => {
  const number = integer(value, path)
  if (number < 0) throw wrong(path, 'zero or more')
  return number
}

/** Nanoseconds as whole milliseconds: exactly where they came as text, to the nearest double where as a number. */
const millis = (value: unknown, path: string): number => {
  const nanos = unsigned(value, path)
  // A double of this size is up to 128 ns off; half that step more keeps a whole millisecond whole.
  return typeof value === 'string' ? Number(value.slice(0, -6)) : Math.floor((nanos + 128) / 1e6)
}

const readValue = (value: unknown, path: string, depth: number): AnyValue => {
  if (value === undefined || value === null) return null
  if (depth > deepestValue)
    throw new AppError('bad_data', `JSON: ${path} is nested more than ${deepestValue} deep`)
  const fields = object(value, path)
  if ('stringValue' in fields) return text(fields.stringValue, `${path}.stringValue`)
  if ('boolValue' in fields) return fields.boolValue === true
  if ('intValue' in fields) {
    const number = integer(fields.intValue, `${path}.intValue`)
    return Number.isSafeInteger(number) ? number : BigInt(fields.intValue as string | number)
  }
  if ('doubleValue' in fields) return float(fields.doubleValue, `${path}.doubleValue`)
  if ('arrayValue' in fields) {
    const array = object(fields.arrayValue ?? {}, `${path}.arrayValue`)
    return list(array.values, `${path}.arrayValue.values`).map((v) => readValue(v, path, depth + 1))
  }
  if ('kvlistValue' in fields) {
    const kvlist = object(fields.kvlistValue ?? {}, `${path}.kvlistValue`)
    const pairs = list(kvlist.values, `${path}.kvlistValue.values`).map((pair): [string, AnyValue] => {
      const entry = object(pair, `${path}.kvlistValue.values`)
      return [text(entry.key, `${path}.key`), readValue(entry.value, path, depth + 1)]
    })
    return new Map(pairs)
  }
  if ('bytesValue' in fields) return Buffer.from(text(fields.bytesValue, `${path}.bytesValue`), 'base64')
  return null
}

const readAttributes = (value: unknown, path: string): Attribute[] =>
  list(value, path).map((item, i) => {
    const at = `${path}[${i}]`
    const fields = object(item, at)
    return {
      key: text(fields.key, `${at}.key`),
      value: valueText(readValue(fields.value, `${at}.value`, 0)),
    }
  })

/** Collects what is to be told once all has been read. */
type Later = (tell: () => void) => void

const readRequest = (request: Fields, sink: PointSink, later: Later): void => {
  list(request.resourceMetrics, 'resourceMetrics').forEach((item, i) => {
    const path = `resourceMetrics[${i}]`
    const fields = object(item, path)
    const resource = object(fields.resource ?? {}, `${path}.resource`)
    const attributes = readAttributes(resource.attributes, `${path}.resource.attributes`)
    const key = `j${JSON.stringify(attributes)}`
    later(() => sink.resource({ key, attributes: () => attributes }))
    list(fields.scopeMetrics, `${path}.scopeMetrics`).forEach((scope, j) => {
      const at = `${path}.scopeMetrics[${j}]`
      readScope(object(scope, at), at, sink, later)
    })
    later(() => sink.endResource())
  })
}

const readScope = (fields: Fields, path: string, sink: PointSink, later: Later): void => {
  const scope = object(fields.scope ?? {}, `${path}.scope`)
  const attributes = readAttributes(scope.attributes, `${path}.scope.attributes`)
  const head = {
    name: text(scope.name, `${path}.scope.name`),
    version: text(scope.version, `${path}.scope.version`),
    schemaUrl: text(fields.schemaUrl, `${path}.schemaUrl`),
    attributes: (): Attributes => attributes,
  }
  later(() => sink.scope(head))
  list(fields.metrics, `${path}.metrics`).forEach((metric, k) => {
    const at = `${path}.metrics[${k}]`
    readMetric(object(metric, at), at, sink, later)
  })
}

const temporalityOf = (value: unknown, path: string): Temporality => {
  switch (value) {
    case 1:
    case 'AGGREGATION_TEMPORALITY_DELTA':
      return 'delta'
    case 2:
    case 'AGGREGATION_TEMPORALITY_CUMULATIVE':
      return 'cumulative'
    default:
      if (value !== undefined && value !== null && typeof value !== 'number' && typeof value !== 'string')
        throw wrong(path, 'a temporality')
      return 'unspecified'
  }
}

const dataFields = ['gauge', 'sum', 'histogram', 'exponentialHistogram', 'summary'] as const

const kindOf = (field: (typeof dataFields)[number], data: Fields): MetricKind => {
  if (field === 'sum') return data.isMonotonic === true ? 'monotonic' : 'updown'
  return field === 'exponentialHistogram' ? 'exponential' : field
}

const readMetric = (fields: Fields, path: string, sink: PointSink, later: Later): void => {
  const field = dataFields.find((name) => fields[name] !== undefined && fields[name] !== null)
  if (field === undefined) return
  const data = object(fields[field], `${path}.${field}`)
  const kind = kindOf(field, data)
  const timeless = kind === 'gauge' || kind === 'summary'
  const head: MetricHead = {
    name: text(fields.name, `${path}.name`),
    unit: text(fields.unit, `${path}.unit`),
    description: text(fields.description, `${path}.description`),
    kind,
    temporality: timeless
      ? 'cumulative'
      : temporalityOf(data.aggregationTemporality, `${path}.${field}.aggregationTemporality`),
  }
  later(() => sink.metric(head))
  const points = list(data.dataPoints, `${path}.${field}.dataPoints`)
  if (kind === 'exponential') later(() => sink.unread(points.length))
  else
    points.forEach((item, i) => {
      const at = `${path}.${field}.dataPoints[${i}]`
      readPoint(kind, object(item, at), at, sink, later)
    })
}

const readPoint = (kind: MetricKind, fields: Fields, path: string, sink: PointSink, later: Later): void => {
  const attributes = readAttributes(fields.attributes, `${path}.attributes`)
  const head = {
    view: null,
    from: 0,
    end: 0,
    attributes: (): Attributes => attributes,
    startAt: millis(fields.startTimeUnixNano, `${path}.startTimeUnixNano`),
    at: millis(fields.timeUnixNano, `${path}.timeUnixNano`),
    stale: (integer(fields.flags, `${path}.flags`) & 1) === 1,
  }
  const exemplars = list(fields.exemplars, `${path}.exemplars`).map((item, i) => {
    const at = `${path}.exemplars[${i}]`
    return readExemplar(object(item, at), at)
  })
  if (exemplars.length > 0) later(() => sink.exemplars(exemplars))
  if (kind === 'histogram') {
    const point: HistogramPoint = { ...head, ...histogramFields(fields, path) }
    later(() => sink.histogram(point))
  } else if (kind === 'summary') {
    const point: SummaryPoint = { ...head, ...summaryFields(fields, path) }
    later(() => sink.summary(point))
  } else {
    const point: NumberPoint = { ...head, ...numberValue(fields, path) }
    later(() => sink.number(point))
  }
}

const readExemplar = (fields: Fields, path: string): PointExemplar => {
  const attributes = readAttributes(fields.filteredAttributes, `${path}.filteredAttributes`)
  return {
    at: millis(fields.timeUnixNano, `${path}.timeUnixNano`),
    ...numberValue(fields, path),
    traceId: text(fields.traceId, `${path}.traceId`).toLowerCase(),
    spanId: text(fields.spanId, `${path}.spanId`).toLowerCase(),
    attributes: () => attributes,
  }
}

const numberValue = (fields: Fields, path: string): { hasValue: boolean; value: number } => {
  if (fields.asInt !== undefined && fields.asInt !== null)
    return { hasValue: true, value: integer(fields.asInt, `${path}.asInt`) }
  if (fields.asDouble !== undefined && fields.asDouble !== null)
    return { hasValue: true, value: float(fields.asDouble, `${path}.asDouble`) }
  return { hasValue: false, value: 0 }
}

const histogramFields = (fields: Fields, path: string) => {
  const hasSum = fields.sum !== undefined && fields.sum !== null
  return {
    count: unsigned(fields.count, `${path}.count`),
    sum: hasSum ? float(fields.sum, `${path}.sum`) : 0,
    hasSum,
    counts: list(fields.bucketCounts, `${path}.bucketCounts`).map((n) => unsigned(n, `${path}.bucketCounts`)),
    bounds: list(fields.explicitBounds, `${path}.explicitBounds`).map((n) =>
      float(n, `${path}.explicitBounds`),
    ),
  }
}

const summaryFields = (fields: Fields, path: string) => {
  const quantiles: number[] = []
  const values: number[] = []
  for (const item of list(fields.quantileValues, `${path}.quantileValues`)) {
    const pair = object(item, `${path}.quantileValues`)
    quantiles.push(float(pair.quantile ?? 0, `${path}.quantileValues.quantile`))
    values.push(float(pair.value ?? 0, `${path}.quantileValues.value`))
  }
  return {
    count: unsigned(fields.count, `${path}.count`),
    sum: float(fields.sum ?? 0, `${path}.sum`),
    quantiles,
    values,
  }
}
