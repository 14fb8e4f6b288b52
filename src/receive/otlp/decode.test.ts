// Our two decoders against protobufjs and each other on random requests, and against broken ones.
import protobuf from 'protobufjs'
import { describe, expect, it } from 'vitest'
import { mutated, type Random, seededRandom } from '../../../test/kit/random.ts'
import { AppError } from '../../lib/errors.ts'
import { instant } from '../../lib/time.ts'
import { BatchBuilder, defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { otlpSchema } from './config.ts'
import { decodeJson } from './decode-json.ts'
import { decodeProtobuf, millis } from './decode-protobuf.ts'
import { DeltaState } from './delta.ts'
import type {
  ExponentialPoint,
  HistogramPoint,
  NumberPoint,
  Point,
  PointSink,
  SummaryPoint,
} from './points.ts'
import { Translation } from './translate.ts'
import { TranslationMemory } from './translation-memory.ts'

const { root } = protobuf.parse(`
syntax = "proto3";
message Request { repeated ResourceMetrics resource_metrics = 1; }
message ResourceMetrics { Resource resource = 1; repeated ScopeMetrics scope_metrics = 2; string schema_url = 3; }
message Resource { repeated KeyValue attributes = 1; uint32 dropped_attributes_count = 2; }
message ScopeMetrics { Scope scope = 1; repeated Metric metrics = 2; string schema_url = 3; }
message Scope { string name = 1; string version = 2; repeated KeyValue attributes = 3; uint32 dropped_attributes_count = 4; }
message Metric { string name = 1; string description = 2; string unit = 3;
  oneof data { Gauge gauge = 5; Sum sum = 7; Histogram histogram = 9; Exponential exponential_histogram = 10; Summary summary = 11; }
  repeated KeyValue metadata = 12; }
message Gauge { repeated NumberPoint data_points = 1; }
message Sum { repeated NumberPoint data_points = 1; int32 aggregation_temporality = 2; bool is_monotonic = 3; }
message Histogram { repeated HistogramPoint data_points = 1; int32 aggregation_temporality = 2; }
message Exponential { repeated ExponentialPoint data_points = 1; int32 aggregation_temporality = 2; }
message Summary { repeated SummaryPoint data_points = 1; }
message NumberPoint { repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3;
  oneof value { double as_double = 4; sfixed64 as_int = 6; } repeated Exemplar exemplars = 5; uint32 flags = 8; }
message HistogramPoint { repeated KeyValue attributes = 9; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  optional double sum = 5; repeated fixed64 bucket_counts = 6; repeated double explicit_bounds = 7; repeated Exemplar exemplars = 8;
  uint32 flags = 10; optional double min = 11; optional double max = 12; }
message ExponentialPoint { repeated KeyValue attributes = 1; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  optional double sum = 5; sint32 scale = 6; fixed64 zero_count = 7; Buckets positive = 8; Buckets negative = 9; uint32 flags = 10;
  repeated Exemplar exemplars = 11; optional double min = 12; optional double max = 13; double zero_threshold = 14; }
message Buckets { sint32 offset = 1; repeated uint64 bucket_counts = 2; }
message SummaryPoint { repeated KeyValue attributes = 7; fixed64 start_time_unix_nano = 2; fixed64 time_unix_nano = 3; fixed64 count = 4;
  double sum = 5; repeated Quantile quantile_values = 6; uint32 flags = 8; }
message Quantile { double quantile = 1; double value = 2; }
message Exemplar { repeated KeyValue filtered_attributes = 7; fixed64 time_unix_nano = 2;
  oneof value { double as_double = 3; sfixed64 as_int = 6; } bytes span_id = 4; bytes trace_id = 5; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4;
  ArrayValue array_value = 5; KeyValueList kvlist_value = 6; bytes bytes_value = 7; } }
message ArrayValue { repeated AnyValue values = 1; }
message KeyValueList { repeated KeyValue values = 1; }
`)
const Request = root.lookupType('Request')

const nowAt = 1_767_225_600_000
type Made = Record<string, unknown>

const anyValue = (r: Random, depth: number): Made => {
  switch (r.below(depth > 2 ? 6 : 8)) {
    case 0:
      return { stringValue: r.pick(['', 'a', 'höhe', 'x'.repeat(200), '🚀', '"\\']) }
    case 1:
      return { boolValue: r.chance(0.5) }
    case 2:
      return { intValue: r.pick(['0', '-1', '42', '9007199254740993', '-9223372036854775808']) }
    case 3:
      return { doubleValue: r.pick([0.1, -2, 1e21, 1e-9]) }
    case 4:
      return { bytesValue: Buffer.from('bytes') }
    case 5:
      return {}
    case 6:
      return { arrayValue: { values: many(r, 3, () => anyValue(r, depth + 1)) } }
    default:
      return { kvlistValue: { values: attributes(r, depth + 1) } }
  }
}
const many = <T>(r: Random, most: number, make: (i: number) => T): T[] =>
  Array.from({ length: r.below(most + 1) }, (_, i) => make(i))
const attributes = (r: Random, depth = 0): Made[] =>
  many(r, 4, (i) => ({ key: `${r.pick(['agent.name', 'b', '1st', 'ü'])}${i}`, value: anyValue(r, depth) }))
const times = (r: Random): Made => ({
  startTimeUnixNano: `${nowAt - r.below(60_000)}${r.pick(['000000', '999999'])}`,
  timeUnixNano: `${nowAt - r.below(1000)}${r.pick(['000000', '000001', '999999'])}`,
  ...(r.chance(0.1) ? { flags: 1 } : {}),
  attributes: attributes(r),
})
const exemplar = (r: Random): Made => ({
  timeUnixNano: `${nowAt - r.below(1000)}000000`,
  ...r.pick([{ asInt: '-7' }, { asDouble: 0.5 }]),
  filteredAttributes: attributes(r),
  ...(r.chance(0.8) ? { traceId: Buffer.from('0123456789abcdef'), spanId: Buffer.from('01234567') } : {}),
})
const numberPoint = (r: Random): Made => ({
  ...times(r),
  ...r.pick([{ asInt: '-7' }, { asInt: '9007199254740993' }, { asDouble: 0.5 }, { asDouble: Infinity }, {}]),
  exemplars: many(r, 2, () => exemplar(r)),
})
const histogramPoint = (r: Random): Made => {
  const bounds = r.below(4)
  return {
    ...times(r),
    count: String(r.below(100)),
    ...(r.chance(0.8) ? { sum: r.below(100) / 8 } : {}),
    bucketCounts: Array.from({ length: bounds + 1 }, () => String(r.below(50))),
    explicitBounds: Array.from({ length: bounds }, (_, i) => i + 0.5),
    exemplars: many(r, 2, () => exemplar(r)),
  }
}
const buckets = (r: Random): Made => ({
  offset: r.pick([0, -3, 70, -2_147_483_648]),
  bucketCounts: many(r, 4, () => String(r.pick([0, 1, 300]))),
})
const exponentialPoint = (r: Random): Made => ({
  ...times(r),
  count: String(r.below(100)),
  scale: r.pick([0, -2, 3, 20, -11]),
  zeroCount: String(r.below(3)),
  ...(r.chance(0.5) ? { sum: 1.5 } : {}),
  ...(r.chance(0.7) ? { positive: buckets(r) } : {}),
  ...(r.chance(0.5) ? { negative: buckets(r) } : {}),
  ...(r.chance(0.3) ? { zeroThreshold: 0.01 } : {}),
})
const summaryPoint = (r: Random): Made => ({
  ...times(r),
  count: '4',
  sum: 1.5,
  quantileValues: many(r, 3, (i) => ({ quantile: i / 4, value: i })),
})
const metric = (r: Random): Made => ({
  name: r.pick(['task.count', 'queue', 'größe', '', 'a.b']),
  description: 'What it is.',
  unit: r.pick(['', '1', 's', 'By/s']),
  ...r.pick([
    () => ({ gauge: { dataPoints: many(r, 3, () => numberPoint(r)) } }),
    () => ({
      sum: {
        dataPoints: many(r, 3, () => numberPoint(r)),
        aggregationTemporality: r.below(3),
        isMonotonic: r.chance(0.5),
      },
    }),
    () => ({
      histogram: { dataPoints: many(r, 3, () => histogramPoint(r)), aggregationTemporality: r.below(3) },
    }),
    () => ({
      exponentialHistogram: {
        dataPoints: many(r, 2, () => exponentialPoint(r)),
        aggregationTemporality: r.below(3),
      },
    }),
    () => ({ summary: { dataPoints: many(r, 2, () => summaryPoint(r)) } }),
  ])(),
})
const request = (r: Random): Made => ({
  resourceMetrics: many(r, 3, () => ({
    resource: { attributes: attributes(r) },
    schemaUrl: 'https://x',
    scopeMetrics: many(r, 2, () => ({
      scope: { name: 's', version: '1', attributes: attributes(r) },
      metrics: many(r, 4, () => metric(r)),
    })),
  })),
})

/** Writes down everything it is told. */
const recorder = (): PointSink & { readonly told: unknown[] } => {
  const told: unknown[] = []
  const common = (p: Point) => ({ startAt: p.startAt, at: p.at, stale: p.stale, attributes: p.attributes() })
  return {
    told,
    resource: (head) => void told.push(['resource', head.attributes()]),
    scope: (head) => void told.push(['scope', head.name, head.version, head.schemaUrl, head.attributes()]),
    metric: (head) => void told.push(['metric', { ...head }]),
    number: (p: NumberPoint) => void told.push(['number', common(p), p.hasValue, p.value]),
    histogram: (p: HistogramPoint) =>
      void told.push(['histogram', common(p), p.count, p.hasSum, p.sum, [...p.counts], [...p.bounds]]),
    summary: (p: SummaryPoint) =>
      void told.push(['summary', common(p), p.count, p.sum, [...p.quantiles], [...p.values]]),
    exponential: (p: ExponentialPoint) =>
      void told.push([
        'exponential',
        common(p),
        p.count,
        p.hasSum,
        p.sum,
        p.scale,
        p.zeroCount,
        p.zeroThreshold,
        p.positive,
        p.negative,
      ]),
    exemplars: (list) =>
      void told.push(['exemplars', list.map((e) => [e.at, e.value, e.traceId, e.spanId, e.attributes()])]),
    endResource: () => void told.push(['end']),
  }
}

/** OTLP's JSON has ids in hexadecimal, where proto3's has base64. */
const hexIds = (key: string, value: unknown): unknown =>
  key === 'traceId' || key === 'spanId' ? Buffer.from(String(value), 'base64').toString('hex') : value

const encode = (made: Made): Buffer => Buffer.from(Request.encode(Request.fromObject(made)).finish())

describe('protobuf and JSON say the same', () => {
  it('on random requests written by protobufjs', () => {
    const r = seededRandom('otlp decoders')
    for (let round = 0; round < 300; round++) {
      const bytes = encode(request(r))
      const json = Request.toObject(Request.decode(bytes), { longs: String, bytes: String, json: true })
      const [a, b] = [recorder(), recorder()]
      decodeProtobuf(bytes, a)
      decodeJson(Buffer.from(JSON.stringify(json, hexIds)), b)
      expect(a.told, `SEED=${r.seed} round ${round}`).toEqual(b.told)
    }
  })

  it('whatever the order of fields, and with attributes apart from each other', () => {
    const point = (parts: [number, Made][]): Buffer =>
      Buffer.concat(
        parts.map(([, made]) => {
          const type = root.lookupType('NumberPoint')
          return Buffer.from(type.encode(type.fromObject(made)).finish())
        }),
      )
    const attribute = (key: string) => ({ attributes: [{ key, value: { stringValue: key } }] })
    const body = point([
      [0, attribute('a')],
      [1, { timeUnixNano: `${nowAt}000000` }],
      [2, attribute('b')],
      [3, { asDouble: 3 }],
      [4, attribute('c')],
    ])
    const wrap = (tag: number, inner: Buffer): Buffer =>
      Buffer.concat([Buffer.from([tag, inner.length]), inner])
    const metricBytes = Buffer.concat([wrap(42, wrap(10, body)), wrap(10, Buffer.from('late'))])
    const sink = recorder()
    decodeProtobuf(
      wrap(10, Buffer.concat([wrap(18, wrap(18, metricBytes)), wrap(10, Buffer.alloc(0))])),
      sink,
    )
    expect(sink.told).toContainEqual(['metric', expect.objectContaining({ name: 'late', kind: 'gauge' })])
    expect(sink.told).toContainEqual([
      'number',
      {
        startAt: 0,
        at: nowAt,
        stale: false,
        attributes: ['a', 'b', 'c'].map((key) => ({ key, value: key })),
      },
      true,
      3,
    ])
  })
})

describe('JSON as senders write it', () => {
  const tell = (points: Made, field = 'gauge'): unknown[] => {
    const sink = recorder()
    decodeJson(
      Buffer.from(
        JSON.stringify({
          resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: 'n', [field]: points }] }] }],
        }),
      ),
      sink,
    )
    return sink.told
  }
  it('takes numbers for 64-bit fields, names for enums, and ignores what it does not know', () => {
    const told = tell(
      {
        aggregationTemporality: 'AGGREGATION_TEMPORALITY_DELTA',
        isMonotonic: true,
        news: { x: 1 },
        dataPoints: [{ timeUnixNano: nowAt * 1e6, startTimeUnixNano: '1', asInt: 5, asOther: [] }],
      },
      'sum',
    )
    expect(told).toContainEqual([
      'metric',
      expect.objectContaining({ kind: 'monotonic', temporality: 'delta' }),
    ])
    expect(told).toContainEqual(['number', { startAt: 0, at: nowAt, stale: false, attributes: [] }, true, 5])
  })
  it('refuses values nested without end', () => {
    let value: Made = { stringValue: 'x' }
    for (let i = 0; i < 1000; i++) value = { arrayValue: { values: [value] } }
    expect(() => tell({ dataPoints: [{ attributes: [{ key: 'k', value }] }] })).toThrow(/nested more than/)
  })
  it.each([
    [{ dataPoints: {} }, /dataPoints is not a list/],
    [{ dataPoints: [7] }, /dataPoints\[0\] is not an object/],
    [{ dataPoints: [{ timeUnixNano: -1 }] }, /not zero or more/],
    [{ dataPoints: [{ asDouble: 'seven' }] }, /asDouble is not a number/],
    [{ dataPoints: [{ asInt: 1.5 }] }, /asInt is not an integer/],
    [{ dataPoints: [{ attributes: [{ key: 7 }] }] }, /attributes\[0\].key is not text/],
  ])('names the place of %j', (points, message) => expect(() => tell(points)).toThrow(message))
})

describe('nanoseconds', () => {
  it.each([
    0n,
    1n,
    999_999n,
    1_000_000n,
    1_767_225_600_000_000_000n,
    1_767_225_599_999_999_999n,
    2n ** 64n - 1n,
  ])('%d become whole milliseconds exactly', (nanos) =>
    expect(millis(Number(nanos & 0xffffffffn), Number(nanos >> 32n))).toBe(Number(nanos / 1_000_000n)),
  )
})

describe('broken requests', () => {
  const attempt = (decode: (sink: PointSink) => void): { table: SeriesTable; failed: boolean } => {
    const table = new SeriesTable(1000)
    const delta = new DeltaState({ table })
    const builder = new BatchBuilder(table, defaultAdmission, instant(nowAt))
    const tx = delta.tryBegin(nowAt)
    try {
      decode(
        new Translation(
          new TranslationMemory(otlpSchema.parse({ promote_scope_metadata: true })),
          builder,
          () => tx,
        ),
      )
      return { table, failed: false }
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      return { table, failed: true }
    }
  }
  it('throw nothing but AppError, and then made no series', () => {
    const r = seededRandom('otlp mutations')
    for (let round = 0; round < 2000; round++) {
      const bytes = encode(request(r))
      if (bytes.length === 0) continue
      const broken = mutated(bytes, r)
      const proto = attempt((sink) => decodeProtobuf(broken, sink))
      if (proto.failed) expect(proto.table.size, `SEED=${r.seed} round ${round}`).toBe(0)
      const text = mutated(
        Buffer.from(
          JSON.stringify(
            Request.toObject(Request.decode(bytes), { longs: String, bytes: String, json: true }),
          ),
        ),
        r,
      )
      const json = attempt((sink) => decodeJson(text, sink))
      if (json.failed) expect(json.table.size, `SEED=${r.seed} round ${round}`).toBe(0)
    }
  })
})
