import snappy from 'snappyjs'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { plainHistogram } from '../../../test/kit/native-histograms.ts'
import { histogramMessage, staleHistogram } from '../../../test/kit/native-message.ts'
import { silentLogger } from '../../lib/log.ts'
import { bytesField, varintField } from '../../lib/protobuf.ts'
import { type Batch, isStaleAt, wordsOf } from '../../model/batch.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { labelOf, metricName } from '../../model/labels.ts'
import { decodeHistogram, type NativeHistogram } from '../../model/native-histogram.ts'
import { countRows, rowBytes } from '../../model/packed-rows.ts'
import { SeriesTable } from '../../model/series.ts'
import { createRemoteWrite } from './receiver.ts'

const nowAt = Date.parse('2026-01-01T00:00:00Z')

const rig = () => {
  const table = new SeriesTable(100)
  const batches: Batch[] = []
  const handler = createRemoteWrite({
    table,
    sink: { push: async (batch) => void batches.push(batch) },
    limits: defaultAdmission,
    clock: new FakeClock(nowAt),
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  const post = (body: Buffer, type = 'application/x-protobuf') =>
    handler.handle(
      {
        method: 'POST',
        path: '/api/v1/write',
        query: new URLSearchParams(),
        headers: { 'content-type': type, 'content-encoding': 'snappy' },
        body: snappy.compress(body),
      },
      new AbortController().signal,
    )
  /** Name and time of everything that was pushed, with its value. */
  const kept = (): [string, number, number | 'stale' | NativeHistogram][] =>
    batches.flatMap((b) => {
      const name = (ref: number): string => labelOf(table.labels(ref), metricName)
      const floats = [...b.ref].map((ref, i): [string, number, number | 'stale'] => [
        name(ref),
        b.at[i]! - nowAt,
        isStaleAt(wordsOf(b.value), i) ? 'stale' : b.value[i]!,
      ])
      const rows = b.histograms
      const natives = Array.from({ length: countRows(rows) }, (_, i): [string, number, NativeHistogram] => [
        name(rows!.ref[i]!),
        rows!.at[i]! - nowAt,
        decodeHistogram(rowBytes(rows!, i)),
      ])
      return [...floats, ...natives]
    })
  return { table, batches, post, kept }
}

const v1 = (name: string, ...messages: Buffer[]): Buffer =>
  bytesField(
    1,
    Buffer.concat([
      bytesField(1, Buffer.concat([bytesField(1, '__name__'), bytesField(2, name)])),
      ...messages.map((m) => bytesField(4, m)),
    ]),
  )

const both: NativeHistogram = {
  schema: 3,
  hint: 'not_reset',
  count: 17,
  sum: -1.5,
  zeroThreshold: 0.001,
  zeroCount: 2,
  positive: { index: [-5, -4, 3, 9], count: [1, 4, 2, 1] },
  negative: { index: [0, 1], count: [5, 2] },
  bounds: [],
}
const custom: NativeHistogram = {
  ...plainHistogram(0),
  schema: -53,
  hint: 'gauge',
  count: 3,
  sum: 4,
  positive: { index: [0, 2], count: [1, 2] },
  bounds: [0.5, 10],
}

describe('native histograms over remote write 1.0', () => {
  it('come as integers with differences or as floats, exponential or custom, among floats', async () => {
    const r = rig()
    const body = Buffer.concat([
      v1('int', histogramMessage(both, nowAt, true), histogramMessage(both, nowAt + 1000, true)),
      v1('float', histogramMessage({ ...both, count: 17.5 }, nowAt, false)),
      v1('custom', histogramMessage(custom, nowAt, true)),
      v1('gone', histogramMessage(both, nowAt, true), staleHistogram(nowAt + 1)),
    ])
    expect((await r.post(body)).status).toBe(204)
    expect(r.kept()).toEqual([
      ['gone', 1, 'stale'],
      ['int', 0, both],
      ['int', 1000, both],
      ['float', 0, { ...both, count: 17.5 }],
      ['custom', 0, custom],
      ['gone', 0, both],
    ])
    // Known labels go the fast way.
    expect((await r.post(v1('int', histogramMessage(both, nowAt + 2000, false)))).status).toBe(204)
    expect(r.kept().at(-1)).toEqual(['int', 2000, both])
  })

  it('too fine ones are taken at the finest resolution that is kept', async () => {
    const r = rig()
    const fine: NativeHistogram = {
      ...plainHistogram(0),
      schema: 10,
      count: 2,
      positive: { index: [1, 5], count: [1, 1] },
    }
    await r.post(v1('fine', histogramMessage(fine, nowAt, true)))
    expect(r.kept()[0]![2]).toMatchObject({ schema: 8, positive: { index: [1, 2], count: [1, 1] } })
  })

  it('bad ones are refused by name and the rest kept', async () => {
    const r = rig()
    const spans = bytesField(11, varintField(2, 3))
    const answer = await r.post(
      Buffer.concat([
        v1('many', histogramMessage({ ...both, count: 3 }, nowAt, true)),
        v1('short', Buffer.concat([varintField(1, 1), spans, varintField(15, nowAt)])),
        v1('schema', histogramMessage({ ...both, schema: -9 }, nowAt, false)),
        v1('old', histogramMessage(both, nowAt - 7_200_000, true)),
        v1('good', histogramMessage(both, nowAt, true)),
      ]),
    )
    expect(answer.status).toBe(400)
    const text = String(answer.body)
    expect(text).toContain('4 samples refused, 1 kept')
    expect(text).toContain('bad_histogram: 3, the first: native histogram many: its buckets hold 17')
    expect(text).toContain('too_old: 1')
    expect(r.kept().map(([name]) => name)).toEqual(['good'])
  })

  it('a message cut off inside a histogram makes no series', async () => {
    const r = rig()
    const broken = Buffer.concat([varintField(15, nowAt), bytesField(12, Buffer.from([0x80]))])
    expect(
      (await r.post(Buffer.concat([v1('a', histogramMessage(both, nowAt, true)), v1('b', broken)]))).status,
    ).toBe(400)
    expect(r.table.size).toBe(0)
  })
})

const v2 = 'application/x-protobuf;proto=io.prometheus.write.v2.Request'
const symbols = ['', '__name__', 'lat', 'job', 'web', 'Latency.', 's', 'up']
const symbolFields = Buffer.concat(symbols.map((s) => bytesField(4, s)))
const refs = (...list: number[]): Buffer => bytesField(1, Buffer.from(list))
const float = (value: number, at: number): Buffer => {
  const bytes = Buffer.alloc(9)
  bytes[0] = 9
  bytes.writeDoubleLE(value, 1)
  return bytesField(2, Buffer.concat([bytes, varintField(2, at)]))
}
const meta = bytesField(5, Buffer.concat([varintField(1, 3), varintField(3, 5), varintField(4, 6)]))

const exemplar = bytesField(
  4,
  Buffer.concat([refs(3, 4), Buffer.from([17, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]), varintField(3, nowAt)]),
)

describe('remote write 2.0', () => {
  it('takes samples, histograms and metadata by symbols, and says how many were written', async () => {
    const r = rig()
    const body = Buffer.concat([
      symbolFields,
      bytesField(
        5,
        Buffer.concat([refs(1, 2, 3, 4), bytesField(3, histogramMessage(both, nowAt, true)), meta]),
      ),
      bytesField(5, Buffer.concat([refs(3, 4, 1, 7), float(1, nowAt), float(0, nowAt + 1), exemplar])),
    ])
    const answer = await r.post(body, v2)
    expect(String(answer.body ?? '')).toBe('')
    expect(answer).toMatchObject({
      status: 204,
      headers: {
        'x-prometheus-remote-write-samples-written': '2',
        'x-prometheus-remote-write-histograms-written': '1',
        'x-prometheus-remote-write-exemplars-written': '1',
      },
    })
    expect(r.kept()).toEqual([
      ['up', 0, 1],
      ['up', 1, 0],
      ['lat', 0, both],
    ])
    expect(r.batches[0]!.metadata).toEqual([
      { metric: 'lat', type: 'histogram', help: 'Latency.', unit: 's' },
    ])
  })

  it('keeps the good and names what was wrong, with what was written', async () => {
    const r = rig()
    const answer = await r.post(
      Buffer.concat([
        symbolFields,
        bytesField(5, Buffer.concat([refs(1, 2, 3), float(1, nowAt)])),
        bytesField(5, Buffer.concat([refs(1, 99), float(1, nowAt)])),
        bytesField(5, Buffer.concat([refs(3, 4), float(1, nowAt)])),
        bytesField(5, Buffer.concat([refs(1, 2), float(1, nowAt - 7_200_000)])),
        bytesField(5, Buffer.concat([refs(1, 7), float(1, nowAt)])),
      ]),
      v2,
    )
    expect(answer.status).toBe(400)
    expect(answer.headers).toMatchObject({ 'x-prometheus-remote-write-samples-written': '1' })
    expect(String(answer.body)).toContain('bad_labels: 3')
    expect(String(answer.body)).toContain('too_old: 1')
    expect(r.kept()).toEqual([['up', 0, 1]])
  })

  it('refuses what is no such message, and makes nothing', async () => {
    const r = rig()
    for (const body of [
      Buffer.concat([bytesField(4, 'first'), bytesField(5, refs(1, 2))]),
      Buffer.concat([symbolFields, bytesField(5, bytesField(1, Buffer.from([0x81])))]),
      Buffer.from([0x2a, 0x05, 1]),
    ])
      expect((await r.post(body, v2)).status).toBe(400)
    expect(
      (await r.post(symbolFields, 'application/x-protobuf;proto=io.prometheus.write.v3.Request')).status,
    ).toBe(415)
    expect(r.table.size).toBe(0)
  })
})
