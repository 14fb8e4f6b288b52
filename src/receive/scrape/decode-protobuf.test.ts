import { randomInt } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeFamilies, pairs } from '../../../test/kit/prometheus-proto.ts'
import { instant } from '../../lib/time.ts'
import { isStaleAt, wordsOf } from '../../model/batch.ts'
import { BatchBuilder, defaultAdmission } from '../../model/batch-builder.ts'
import { readExemplar } from '../../model/exemplar.ts'
import { labelsOf, printLabels } from '../../model/labels.ts'
import { decodeHistogram } from '../../model/native-histogram.ts'
import { rowBytes } from '../../model/packed-rows.ts'
import { SeriesTable } from '../../model/series.ts'
import { ScrapeDecoder } from './decode.ts'
import { ProtobufDecoder, type ProtobufOptions } from './decode-protobuf.ts'
import { MetadataLines } from './metadata.ts'
import { SeriesCache } from './series-cache.ts'

const at = instant(1_700_000_000_000)
const kit = (settings: Partial<ProtobufOptions> = {}, sampleLimit = 0) => {
  const table = new SeriesTable(10_000)
  const options = {
    finish: (m: Map<string, string>) =>
      m.get('__name__') === 'dropme' ? null : labelsOf(Object.fromEntries(m)),
    honorTimestamps: () => true,
    sampleLimit: () => sampleLimit,
  }
  const series = new SeriesCache(options)
  const metadata = new MetadataLines()
  const decoder = new ProtobufDecoder(series, metadata, () => ({
    native: false,
    classicToo: false,
    ...settings,
  }))
  const text = new ScrapeDecoder(options, series, metadata)
  const shown = (builder: BatchBuilder, now: number) => {
    const batch = builder.build()
    const words = wordsOf(batch.value)
    const samples = [...batch.ref].map((ref, i) => [
      printLabels(table.labels(ref)),
      batch.at[i]! - now,
      isStaleAt(words, i) ? 'stale' : batch.value[i],
    ])
    const rows = batch.exemplars
    const exemplars = [...(rows?.ref ?? [])].map((ref, i) => [
      printLabels(table.labels(ref)),
      readExemplar(rowBytes(rows!, i), rows!.at[i]! - now),
    ])
    const packed = batch.histograms
    const histograms = [...(packed?.ref ?? [])].map((ref, i) => [
      printLabels(table.labels(ref)),
      packed!.at[i]! - now,
      decodeHistogram(rowBytes(packed!, i)),
    ])
    return { samples, metadata: batch.metadata, exemplars, histograms, rejections: builder.rejections }
  }
  const read = (body: Buffer, now = at) => {
    const builder = new BatchBuilder(table, defaultAdmission, now)
    const counts = decoder.decode(body, builder, now)
    return { counts, ...shown(builder, now) }
  }
  const readText = (body: string, now = at) => {
    const builder = new BatchBuilder(table, defaultAdmission, now)
    text.decode(body, 'text', builder, now)
    return shown(builder, now)
  }
  return { table, decoder, read, readText }
}

const everything = [
  {
    name: 'calls_total',
    help: 'All\ncalls',
    type: 0,
    metric: [
      { label: pairs({ path: 'a"b\\c\nd', é: 'ü' }), counter: { value: 7 } },
      { counter: { value: 8 }, timestampMs: at - 5000 },
    ],
  },
  { name: 'temp', help: '', type: 1, unit: 'celsius', metric: [{ gauge: { value: -1.5e-7 } }] },
  { name: 'odd', help: '', type: 3, metric: [{ untyped: { value: Number.POSITIVE_INFINITY } }] },
  {
    name: 'took',
    help: '',
    type: 2,
    metric: [
      {
        summary: {
          sampleCount: 3,
          sampleSum: 4.5,
          quantile: [
            { quantile: 0.5, value: 1 },
            { quantile: 1, value: 2 },
          ],
        },
      },
    ],
  },
  {
    name: 'size',
    help: '',
    type: 4,
    metric: [
      {
        label: pairs({ a: 'b' }),
        histogram: {
          sampleCount: 9,
          sampleSum: 12,
          bucket: [
            { cumulativeCount: 2, upperBound: 1 },
            { cumulativeCount: 5, upperBound: 2.5 },
          ],
        },
      },
    ],
  },
  { name: 'dropme', help: '', type: 1, metric: [{ gauge: { value: 1 } }] },
  { name: 'utf.8', help: '', type: 1, metric: [{ gauge: { value: 1 } }] },
]

test('counters, gauges, untyped, summaries, classic histograms, times, names in UTF-8, metadata', () => {
  const { read } = kit()
  const { samples, counts, metadata } = read(encodeFamilies(everything))
  expect(samples).toEqual([
    ['calls_total{path="a\\"b\\\\c\\nd", é="ü"}', 0, 7],
    ['calls_total', -5000, 8],
    ['temp', 0, -1.5e-7],
    ['odd', 0, Number.POSITIVE_INFINITY],
    ['took_count', 0, 3],
    ['took_sum', 0, 4.5],
    ['took{quantile="0.5"}', 0, 1],
    ['took{quantile="1.0"}', 0, 2],
    ['size_count{a="b"}', 0, 9],
    ['size_sum{a="b"}', 0, 12],
    ['size_bucket{a="b", le="1.0"}', 0, 2],
    ['size_bucket{a="b", le="2.5"}', 0, 5],
    ['size_bucket{a="b", le="+Inf"}', 0, 9],
    ['utf.8', 0, 1],
  ])
  expect(counts).toEqual({ scraped: 15, kept: 14, added: 14 })
  expect(metadata).toContainEqual({ metric: 'calls_total', type: 'counter', help: 'All\ncalls', unit: '' })
  expect(metadata).toContainEqual({ metric: 'temp', type: 'gauge', help: '', unit: 'celsius' })
  expect(metadata).toContainEqual({ metric: 'size', type: 'histogram', help: '', unit: '' })
})

test('what vanishes ends, also when the target changes to text and back; the same series is one', () => {
  const { read, readText, table } = kit()
  const gauge = (name: string, value: number) => ({
    name,
    help: '',
    type: 1,
    metric: [{ label: pairs({ a: 'x' }), gauge: { value } }],
  })
  read(encodeFamilies([gauge('one', 1), gauge('two', 1)]))
  expect(read(encodeFamilies([gauge('one', 2)]), instant(at + 1000)).samples).toEqual([
    ['one{a="x"}', 0, 2],
    ['two{a="x"}', 0, 'stale'],
  ])
  const size = table.size
  expect(readText('one{a="x"} 3\nthree 1\n', instant(at + 2000)).samples).toEqual([
    ['one{a="x"}', 0, 3],
    ['three', 0, 1],
  ])
  expect(table.size).toBe(size + 1)
  const back = read(encodeFamilies([gauge('one', 4)]), instant(at + 3000))
  expect(back.samples).toEqual([
    ['one{a="x"}', 0, 4],
    ['three', 0, 'stale'],
  ])
  expect(back.counts.added).toBe(0)
})

const exemplar = (trace: string, value: number, seconds?: number) => ({
  label: pairs({ trace_id: trace }),
  value,
  ...(seconds === undefined ? {} : { timestamp: { seconds, nanos: 500_000_000 } }),
})
const seconds = at / 1000

test('exemplars of counters and buckets, each kept once however often it is told', () => {
  const { read } = kit()
  const body = (trace: string) =>
    encodeFamilies([
      {
        name: 'c_total',
        type: 0,
        metric: [{ counter: { value: 1, exemplar: exemplar(trace, 1, seconds - 5) } }],
      },
      {
        name: 'h',
        type: 4,
        metric: [
          {
            histogram: {
              sampleCount: 1,
              sampleSum: 1,
              bucket: [{ cumulativeCount: 1, upperBound: 2, exemplar: exemplar('b', 0.5) }],
            },
          },
        ],
      },
    ])
  expect(read(body('a')).exemplars).toEqual([
    ['c_total', { at: -4500, value: 1, labels: ['trace_id', 'a'] }],
    ['h_bucket{le="2.0"}', { at: 0, value: 0.5, labels: ['trace_id', 'b'] }],
  ])
  expect(read(body('a'), instant(at + 1000)).exemplars).toEqual([])
  expect(read(body('c'), instant(at + 2000)).exemplars).toEqual([
    ['c_total', { at: -6500, value: 1, labels: ['trace_id', 'c'] }],
  ])
})

const nativeHistogram = {
  sampleCount: 7,
  sampleSum: 18.5,
  schema: 1,
  zeroThreshold: 0.001,
  zeroCount: 1,
  positiveSpan: [
    { offset: -1, length: 2 },
    { offset: 2, length: 1 },
  ],
  positiveDelta: [2, -1, 1],
  negativeSpan: [{ offset: 0, length: 1 }],
  negativeDelta: [1],
  exemplars: [exemplar('n2', 3, seconds - 1), exemplar('n1', 2, seconds - 2), exemplar('untimed', 1)],
}

test('native histograms: integer and float, their exemplars, classic buckets beside them where wanted', () => {
  const bucket = [{ cumulativeCount: 7, upperBound: 10 }]
  const family = (more: object, type = 4) =>
    encodeFamilies([
      { name: 'h', help: 'H', type, metric: [{ histogram: { ...nativeHistogram, bucket, ...more } }] },
    ])
  const native = kit({ native: true })
  const got = native.read(family({}))
  expect(got.samples).toEqual([])
  expect(got.counts).toEqual({ scraped: 1, kept: 1, added: 1 })
  expect(got.histograms).toEqual([
    [
      'h',
      0,
      {
        schema: 1,
        hint: 'unknown',
        count: 7,
        sum: 18.5,
        zeroThreshold: 0.001,
        zeroCount: 1,
        positive: { index: [-1, 0, 3], count: [2, 1, 2] },
        negative: { index: [0], count: [1] },
        bounds: [],
      },
    ],
  ])
  expect(got.exemplars).toEqual([
    ['h', { at: -1500, value: 2, labels: ['trace_id', 'n1'] }],
    ['h', { at: -500, value: 3, labels: ['trace_id', 'n2'] }],
  ])
  const again = native.read(family({}), instant(at + 1000))
  expect(again.exemplars).toEqual([])
  // It vanishes as any other series does.
  expect(native.read(encodeFamilies([]), instant(at + 2000)).samples).toEqual([['h', 0, 'stale']])

  const float = { sampleCountFloat: 3.5, positiveCount: [1, 0.5, 1], negativeCount: [1], zeroCountFloat: 0.5 }
  expect(
    kit({ native: true }).read(family({ ...float, positiveDelta: [], negativeDelta: [] }, 5)).histograms,
  ).toMatchObject([['h', 0, { hint: 'gauge', count: 3.5, zeroCount: 0.5, positive: { count: [1, 0.5, 1] } }]])

  const both = kit({ native: true, classicToo: true }).read(family({}))
  expect(both.histograms).toHaveLength(1)
  expect(both.samples.map(([series]) => series)).toEqual([
    'h_count',
    'h_sum',
    'h_bucket{le="10.0"}',
    'h_bucket{le="+Inf"}',
  ])
  const classic = kit().read(family({}))
  expect(classic.histograms).toEqual([])
  expect(classic.samples).toHaveLength(4)

  const wrong = kit({ native: true }).read(family({ sampleCount: 8 }))
  expect(wrong.histograms).toEqual([])
  expect(wrong.rejections).toMatchObject([{ reason: 'bad_histogram', count: 1 }])
  expect(kit({ native: true }).read(family({ positiveDelta: [1] })).rejections).toMatchObject([
    { reason: 'bad_histogram', example: expect.stringContaining('native histogram h: its spans') },
  ])
})

test('limits count what they refuse; a body that is broken says where', () => {
  const limited = kit({}, 3)
  expect(() => limited.read(encodeFamilies(everything))).toThrow(/14 samples after relabelling, more than 3/)
  expect(limited.decoder.counts).toEqual({ scraped: 15, kept: 14, added: 0 })
  const body = encodeFamilies(everything)
  expect(() => kit().read(body.subarray(0, body.length - 3))).toThrow(/protobuf: .* byte \d+/)
  expect(() => kit().read(encodeFamilies([{ help: 'no name', metric: [{ gauge: { value: 1 } }] }]))).toThrow(
    /no name/,
  )
})

test('no bytes make it do anything but decode or refuse in words', () => {
  const seed = randomInt(2 ** 31)
  process.stdout.write(`protobuf exposition seed ${seed}\n`)
  const good = encodeFamilies(everything)
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
      fc.nat(good.length),
      (changes, cut) => {
        const bytes = Buffer.from(good)
        for (const [i, b] of changes) bytes[i] = b
        const { read } = kit()
        try {
          read(bytes.subarray(0, cut === 0 ? bytes.length : cut))
        } catch (error) {
          expect((error as Error).name).toBe('AppError')
        }
      },
    ),
    { seed, numRuns: 500 },
  )
})
