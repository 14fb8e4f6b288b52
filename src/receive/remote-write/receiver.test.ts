import snappy from 'snappyjs'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { mutated, seededRandom } from '../../../test/kit/random.ts'
import { AppError } from '../../lib/errors.ts'
import { createInFlight } from '../../lib/in-flight.ts'
import { silentLogger } from '../../lib/log.ts'
import { bytesField, varintField } from '../../lib/protobuf.ts'
import { type Batch, isStaleAt, staleHigh, staleLow, wordsOf } from '../../model/batch.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { printLabels } from '../../model/labels.ts'
import { SeriesTable } from '../../model/series.ts'
import { createRemoteWrite } from './receiver.ts'

const nowAt = Date.parse('2026-01-01T00:00:00Z')

const label = (name: string, value: string | Buffer): Buffer =>
  bytesField(1, Buffer.concat([bytesField(1, name), bytesField(2, value)]))
const double = (value: number | Buffer): Buffer => {
  if (Buffer.isBuffer(value)) return value
  const out = Buffer.alloc(8)
  out.writeDoubleLE(value)
  return out
}
const sample = (value: number | Buffer, at: number): Buffer =>
  bytesField(2, Buffer.concat([Buffer.from([9]), double(value), varintField(2, at)]))
const series = (labels: [string, string | Buffer][], ...rest: Buffer[]): Buffer =>
  bytesField(1, Buffer.concat([...labels.map(([n, v]) => label(n, v)), ...rest]))
const stale = (() => {
  const out = Buffer.alloc(8)
  out.writeUInt32LE(staleLow, 0)
  out.writeUInt32LE(staleHigh, 4)
  return out
})()

const rig = (options: { maxBytes?: number; maxSeries?: number } = {}) => {
  const table = new SeriesTable(options.maxSeries ?? 100)
  const batches: Batch[] = []
  const metrics = fakeMetrics()
  const sink = { push: async (batch: Batch): Promise<void> => void batches.push(batch) }
  const inFlight = createInFlight(1 << 20)
  const handler = createRemoteWrite({
    table,
    sink: { push: (batch) => sink.push(batch) },
    limits: defaultAdmission,
    clock: new FakeClock(nowAt),
    log: silentLogger(),
    metrics,
    maxBytes: options.maxBytes ?? 1 << 20,
    inFlight,
  })
  const raw = (body: Buffer, headers: Record<string, string> = {}, method = 'POST') =>
    handler.handle(
      {
        method,
        path: '/api/v1/write',
        query: new URLSearchParams(),
        headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy', ...headers },
        body,
      },
      new AbortController().signal,
    )
  const post = (...parts: Buffer[]) => raw(snappy.compress(Buffer.concat(parts)))
  const samples = (): Record<string, number | 'stale'> => {
    const out: Record<string, number | 'stale'> = {}
    for (const b of batches)
      for (let i = 0; i < b.ref.length; i++)
        out[`${printLabels(table.labels(b.ref[i]!))}@${b.at[i]! - nowAt}`] = isStaleAt(wordsOf(b.value), i)
          ? 'stale'
          : b.value[i]!
    return out
  }
  return { table, batches, sink, metrics, inFlight, raw, post, samples }
}

describe('remote write 1.0', () => {
  it('keeps samples, stale markers and metadata, the second time from memory', async () => {
    const r = rig()
    const up = (...rest: Buffer[]) =>
      series(
        [
          ['__name__', 'up'],
          ['job', 'höst'],
        ],
        ...rest,
      )
    const meta = bytesField(
      3,
      Buffer.concat([varintField(1, 1), bytesField(2, 'up'), bytesField(4, 'Up.'), bytesField(5, 's')]),
    )
    expect((await r.post(up(sample(1, nowAt), sample(-0.5, nowAt + 1)), meta)).status).toBe(204)
    expect((await r.post(up(sample(2, nowAt + 2), sample(stale, nowAt + 3)), meta)).status).toBe(204)
    expect(r.samples()).toEqual({
      'up{job="höst"}@0': 1,
      'up{job="höst"}@1': -0.5,
      'up{job="höst"}@2': 2,
      'up{job="höst"}@3': 'stale',
    })
    expect(r.batches[0]!.metadata).toEqual([{ metric: 'up', type: 'counter', help: 'Up.', unit: 's' }])
    // Senders repeat it every minute; it is written once.
    expect(r.batches[1]!.metadata).toEqual([])
    expect(r.metrics.values.get('airboss_receive_samples_total{protocol="remote_write"}')).toBe(4)
  })

  it('reads samples in any legal shape', async () => {
    const r = rig()
    const backwards = bytesField(
      2,
      Buffer.concat([varintField(2, nowAt), Buffer.from([9]), double(3), varintField(7, 9)]),
    )
    const zero = bytesField(2, varintField(2, nowAt + 1))
    await r.post(series([['__name__', 'a']], backwards, zero))
    expect(r.samples()).toEqual({ 'a@0': 3, 'a@1': 0 })
  })

  it('keeps the good, and names count and first example of each reason', async () => {
    const r = rig()
    const s = sample(1, nowAt)
    const answer = await r.post(
      series([['__name__', 'good']], s),
      series(
        [
          ['__name__', 'x'],
          ['b', '1'],
          ['a', '1'],
        ],
        s,
      ),
      series(
        [
          ['__name__', 'x'],
          ['a', '1'],
          ['a', '1'],
        ],
        s,
      ),
      series(
        [
          ['__name__', 'x'],
          ['a', ''],
        ],
        s,
      ),
      series(
        [
          ['__name__', 'x'],
          ['', 'v'],
        ],
        s,
      ),
      series([['a', 'v']], s, s),
      series([['__name__', Buffer.from([0xff, 0xfe])]], s),
      series([['__name__', 'old']], sample(1, nowAt - 2 * 3_600_000)),
      series([['__name__', 'good']], sample(1, nowAt + 3_600_000)),
      series(
        [['__name__', 'native']],
        bytesField(4, Buffer.concat([varintField(1, 1), varintField(15, nowAt)])),
      ),
      series(
        [
          ['__name__', 'long'],
          ['l', 'x'.repeat(5000)],
        ],
        s,
      ),
    )
    expect(answer.status).toBe(400)
    const text = String(answer.body)
    expect(text).toContain('11 samples refused, 1 kept')
    expect(text).toContain('bad_labels: 7, the first: x has the label a out of order')
    expect(text).toMatch(/too_old: 1, the first: old at/)
    expect(text).toMatch(/too_far_ahead: 1, the first: good at/)
    expect(text).toMatch(/bad_histogram: 1, the first: native histogram/)
    expect(text).toMatch(/label_limit: 1/)
    expect(r.samples()).toEqual({ 'good@0': 1 })
  })

  it('stops making series at the limit', async () => {
    const r = rig({ maxSeries: 1 })
    const answer = await r.post(
      series([['__name__', 'a']], sample(1, nowAt)),
      series([['__name__', 'b']], sample(1, nowAt)),
    )
    expect(String(answer.body)).toMatch(/series_limit: 1.*max_series/)
    expect(r.samples()).toEqual({ 'a@0': 1 })
  })

  it('changes nothing for a request that is broken at its end', async () => {
    const r = rig()
    const answer = await r.post(series([['__name__', 'a']], sample(1, nowAt)), Buffer.from([10, 99, 1]))
    expect(answer.status).toBe(400)
    expect(r.table.size + r.batches.length).toBe(0)
  })

  it('refuses other envelopes with the code the specification gives', async () => {
    const r = rig({ maxBytes: 1000 })
    const body = snappy.compress(series([['__name__', 'a']], sample(1, nowAt)))
    const status = async (...args: Parameters<typeof r.raw>) => (await r.raw(...args)).status
    expect(
      await status(body, { 'content-type': 'application/x-protobuf;proto=prometheus.WriteRequest' }),
    ).toBe(204)
    expect(
      await status(body, { 'content-type': 'application/x-protobuf;proto=io.prometheus.write.v3.Request' }),
    ).toBe(415)
    expect(await status(body, { 'content-type': 'application/json' })).toBe(415)
    expect(await status(body, { 'content-encoding': 'gzip' })).toBe(415)
    expect(await status(body, {}, 'GET')).toBe(405)
    expect(await status(snappy.compress(Buffer.alloc(5000)))).toBe(413)
    expect(await status(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]))).toBe(413)
    expect(await status(Buffer.from([0xe0, 7, 0]))).toBe(400)
    expect(await status(Buffer.from([3, 0xff]))).toBe(400)
    expect(await status(Buffer.alloc(0))).toBe(400)
  })

  it('asks to come again when the disk cannot take it, and when too much is under way', async () => {
    const r = rig()
    r.sink.push = async () => {
      throw new AppError('storage_full', 'the log is full', { retryAfter: 5000 })
    }
    const one = series([['__name__', 'a']], sample(1, nowAt))
    expect(await r.post(one)).toMatchObject({ status: 503, headers: { 'retry-after': '5' } })
    expect(r.inFlight.bytes).toBe(0)
    const leave = r.inFlight.enter(1 << 20)
    expect(await r.post(one)).toMatchObject({ status: 503, headers: { 'retry-after': '1' } })
    leave()
  })
})

describe('mutated requests', () => {
  it('are answered, never thrown, and keep only what a batch says', async () => {
    const random = seededRandom('remote write mutations')
    const good = Buffer.concat(
      Array.from({ length: 5 }, (_, i) =>
        series(
          [
            ['__name__', `m${i}`],
            ['job', 'x'],
          ],
          sample(i, nowAt),
          sample(i, nowAt + 1),
          bytesField(3, label('t', '1')),
        ),
      ),
    )
    for (let round = 0; round < 3000; round++) {
      const r = rig()
      const packed = snappy.compress(mutated(good, random))
      if (random.chance(0.3)) packed[random.below(packed.length)] = random.below(256)
      const answer = await r.raw(packed)
      expect(
        [204, 400, 413],
        `SEED=${random.seed} round ${round}: ${answer.status} ${answer.body}`,
      ).toContain(answer.status)
      if (answer.status === 413 || (answer.status === 400 && !String(answer.body).includes('refused')))
        expect(r.table.size + r.batches.length, `SEED=${random.seed} round ${round}`).toBe(0)
    }
  })
})

it('lets others have their turn while it meets many series, and takes every one', async () => {
  const { post, batches } = rig({ maxSeries: 20_000, maxBytes: 8 << 20 })
  const parts = Array.from({ length: 12_000 }, (_, i) =>
    series(
      [
        ['__name__', 'm'],
        ['i', String(i)],
      ],
      sample(i, nowAt),
    ),
  )
  let turns = 0
  const count = (): void => {
    turns++
    next = setImmediate(count)
  }
  let next = setImmediate(count)
  expect((await post(...parts)).status).toBe(204)
  clearImmediate(next)
  expect(turns).toBeGreaterThanOrEqual(2)
  expect(batches.map((b) => b.ref.length)).toEqual([12_000])
  expect(new Set(batches[0]!.ref).size).toBe(12_000)
})
