// OTLP's messages as proto3 maps them to JSON: field names, numbers, and how each value is written.
// Field numbers: github.com/open-telemetry/opentelemetry-proto. Hexadecimal ids: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding

export type Kind =
  | 'string'
  | 'bytes'
  | 'hex'
  | 'bool'
  | 'uint32'
  | 'int64'
  | 'uint64'
  | 'sint32'
  | 'fixed32'
  | 'fixed64'
  | 'sfixed64'
  | 'double'
  | ReadonlyMap<string, number>
  | JsonMessage

export interface JsonField {
  readonly name: Buffer
  /** The field's key on the wire. */
  readonly tag: number
  readonly kind: Kind
  readonly repeated: boolean
  /** The field that came after this one the last time: senders write theirs in one order. */
  next: JsonField | undefined
}

type Spec = readonly [number: number, kind: Kind, repeated?: 'repeated']

const wireTypeOf = (kind: Kind): number => {
  if (kind instanceof Map || /^(bool|uint|int|sint)/.test(String(kind))) return 0
  if (kind === 'double' || kind === 'fixed64' || kind === 'sfixed64') return 1
  return kind === 'fixed32' ? 5 : 2
}

/** Fields by the length of their names, so that a name is found by comparing few bytes. */
export class JsonMessage {
  readonly #byLength: (JsonField[] | undefined)[] = []
  /** The field that came first the last time. */
  first: JsonField | undefined = undefined

  /** Names in lowerCamelCase; the names of the proto files are understood too. */
  fields(specs: Readonly<Record<string, Spec>>): this {
    for (const [camel, [number, kind, repeated]] of Object.entries(specs)) {
      const snake = camel.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`)
      for (const text of new Set([camel, snake])) {
        const name = Buffer.from(text)
        const tag = number * 8 + wireTypeOf(kind)
        const field = { name, tag, kind, repeated: repeated !== undefined, next: undefined }
        const same = this.#byLength[name.length]
        if (same) same.push(field)
        else this.#byLength[name.length] = [field]
      }
    }
    return this
  }

  /** The field whose name is the bytes `from … end`. */
  find(bytes: Buffer, from: number, end: number): JsonField | undefined {
    const candidates = this.#byLength[end - from]
    if (!candidates) return undefined
    next: for (const field of candidates) {
      const { name } = field
      for (let i = 0; i < name.length; i++) if (name[i] !== bytes[from + i]) continue next
      return field
    }
    return undefined
  }
}

const message = (specs: Readonly<Record<string, Spec>>): JsonMessage => new JsonMessage().fields(specs)
const words = (prefix: string, names: string): ReadonlyMap<string, number> =>
  new Map(names.split(' ').map((name, i) => [prefix + name, i]))

const anyValue = new JsonMessage()
const keyValue = message({ key: [1, 'string'], value: [2, anyValue] })
anyValue.fields({
  stringValue: [1, 'string'],
  boolValue: [2, 'bool'],
  intValue: [3, 'int64'],
  doubleValue: [4, 'double'],
  arrayValue: [5, message({ values: [1, anyValue, 'repeated'] })],
  kvlistValue: [6, message({ values: [1, keyValue, 'repeated'] })],
  bytesValue: [7, 'bytes'],
})

const resource = message({ attributes: [1, keyValue, 'repeated'] })
const scope = message({
  name: [1, 'string'],
  version: [2, 'string'],
  attributes: [3, keyValue, 'repeated'],
})
const around = (name: string, items: string, item: JsonMessage): JsonMessage =>
  message({
    [`resource${name}`]: [
      1,
      message({
        resource: [1, resource],
        [`scope${name}`]: [
          2,
          message({ scope: [1, scope], [items]: [2, item, 'repeated'], schemaUrl: [3, 'string'] }),
          'repeated',
        ],
        schemaUrl: [3, 'string'],
      }),
      'repeated',
    ],
  })

const exemplar = message({
  timeUnixNano: [2, 'fixed64'],
  asDouble: [3, 'double'],
  spanId: [4, 'hex'],
  traceId: [5, 'hex'],
  asInt: [6, 'sfixed64'],
  filteredAttributes: [7, keyValue, 'repeated'],
})
const times = {
  startTimeUnixNano: [2, 'fixed64'],
  timeUnixNano: [3, 'fixed64'],
} as const satisfies Record<string, Spec>
const numbers: Spec = [
  1,
  message({
    ...times,
    asDouble: [4, 'double'],
    exemplars: [5, exemplar, 'repeated'],
    asInt: [6, 'sfixed64'],
    attributes: [7, keyValue, 'repeated'],
    flags: [8, 'uint32'],
  }),
  'repeated',
]
const histograms: Spec = [
  1,
  message({
    ...times,
    count: [4, 'fixed64'],
    sum: [5, 'double'],
    bucketCounts: [6, 'fixed64', 'repeated'],
    explicitBounds: [7, 'double', 'repeated'],
    exemplars: [8, exemplar, 'repeated'],
    attributes: [9, keyValue, 'repeated'],
    flags: [10, 'uint32'],
    min: [11, 'double'],
    max: [12, 'double'],
  }),
  'repeated',
]
const buckets = message({ offset: [1, 'sint32'], bucketCounts: [2, 'uint64', 'repeated'] })
const exponentials: Spec = [
  1,
  message({
    attributes: [1, keyValue, 'repeated'],
    ...times,
    count: [4, 'fixed64'],
    sum: [5, 'double'],
    scale: [6, 'sint32'],
    zeroCount: [7, 'fixed64'],
    positive: [8, buckets],
    negative: [9, buckets],
    flags: [10, 'uint32'],
    exemplars: [11, exemplar, 'repeated'],
    min: [12, 'double'],
    max: [13, 'double'],
    zeroThreshold: [14, 'double'],
  }),
  'repeated',
]
const summaries: Spec = [
  1,
  message({
    ...times,
    count: [4, 'fixed64'],
    sum: [5, 'double'],
    quantileValues: [6, message({ quantile: [1, 'double'], value: [2, 'double'] }), 'repeated'],
    attributes: [7, keyValue, 'repeated'],
    flags: [8, 'uint32'],
  }),
  'repeated',
]
const aggregationTemporality: Spec = [2, words('AGGREGATION_TEMPORALITY_', 'UNSPECIFIED DELTA CUMULATIVE')]
const metric = message({
  name: [1, 'string'],
  description: [2, 'string'],
  unit: [3, 'string'],
  gauge: [5, message({ dataPoints: numbers })],
  sum: [7, message({ dataPoints: numbers, aggregationTemporality, isMonotonic: [3, 'bool'] })],
  histogram: [9, message({ dataPoints: histograms, aggregationTemporality })],
  exponentialHistogram: [10, message({ dataPoints: exponentials, aggregationTemporality })],
  summary: [11, message({ dataPoints: summaries })],
})

const span = message({
  traceId: [1, 'hex'],
  spanId: [2, 'hex'],
  traceState: [3, 'string'],
  parentSpanId: [4, 'hex'],
  name: [5, 'string'],
  kind: [6, words('SPAN_KIND_', 'UNSPECIFIED INTERNAL SERVER CLIENT PRODUCER CONSUMER')],
  startTimeUnixNano: [7, 'fixed64'],
  endTimeUnixNano: [8, 'fixed64'],
  attributes: [9, keyValue, 'repeated'],
  events: [
    11,
    message({
      timeUnixNano: [1, 'fixed64'],
      name: [2, 'string'],
      attributes: [3, keyValue, 'repeated'],
    }),
    'repeated',
  ],
  links: [
    13,
    message({
      traceId: [1, 'hex'],
      spanId: [2, 'hex'],
      traceState: [3, 'string'],
      attributes: [4, keyValue, 'repeated'],
    }),
    'repeated',
  ],
  status: [15, message({ message: [2, 'string'], code: [3, words('STATUS_CODE_', 'UNSET OK ERROR')] })],
})

const severities = ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'FATAL']
  .flatMap((name) => ['', 2, 3, 4].map((n) => name + n))
  .join(' ')
const logRecord = message({
  timeUnixNano: [1, 'fixed64'],
  severityNumber: [2, words('SEVERITY_NUMBER_', `UNSPECIFIED ${severities}`)],
  severityText: [3, 'string'],
  body: [5, anyValue],
  attributes: [6, keyValue, 'repeated'],
  flags: [8, 'fixed32'],
  traceId: [9, 'hex'],
  spanId: [10, 'hex'],
  observedTimeUnixNano: [11, 'fixed64'],
  eventName: [12, 'string'],
})

export const metricsRequest = around('Metrics', 'metrics', metric)
export const traceRequest = around('Spans', 'spans', span)
export const logsRequest = around('Logs', 'logRecords', logRecord)
