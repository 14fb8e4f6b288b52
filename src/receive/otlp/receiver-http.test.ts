import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { otlpDoors } from '../../../test/kit/otlp-doors.ts'
import { AppError } from '../../lib/errors.ts'
import { createInFlight } from '../../lib/in-flight.ts'
import { silentLogger } from '../../lib/log.ts'
import { type Batch, isStaleAt, wordsOf } from '../../model/batch.ts'
import { printLabels } from '../../model/labels.ts'
import type { HandlerRequest, HttpHandler } from '../../model/ports/http-handler.ts'
import type { Sink } from '../../model/ports/sink.ts'
import { SeriesTable } from '../../model/series.ts'
import { DeltaState } from './delta.ts'
import { createOtlpHttp } from './receiver-http.ts'

const nowAt = Date.parse('2026-01-01T00:00:00Z')
const nanos = (at: number): string => `${at}000000`
const attr = (key: string, value: string | number) => ({
  key,
  value: typeof value === 'number' ? { intValue: String(value) } : { stringValue: value },
})
const service = [
  attr('service.name', 'pilot'),
  attr('service.namespace', 'fleet'),
  attr('service.instance.id', 'p-1'),
]

interface Rig {
  handler: HttpHandler
  table: SeriesTable
  clock: FakeClock
  delta: DeltaState
  batches: Batch[]
  sink: { push: Sink<Batch>['push'] }
  /** Everything pushed, as `name{labels}@ms-from-now` → value. */
  samples(): Record<string, number | 'stale'>
  post(
    body: unknown,
    headers?: Record<string, string>,
  ): Promise<{
    status: number
    json: Record<string, never> & {
      partialSuccess?: { rejectedDataPoints: string; errorMessage: string }
      message?: string
    }
    headers: Record<string, string>
  }>
}

const rig = (
  config: object = {},
  options: { maxBytes?: number; maxSeries?: number; deltaSeries?: number } = {},
): Rig => {
  const table = new SeriesTable(options.maxSeries ?? 1000)
  const clock = new FakeClock(nowAt)
  const batches: Batch[] = []
  const sink: Rig['sink'] = { push: async (batch) => void batches.push(batch) }
  const delta = new DeltaState({ table, maxSeries: options.deltaSeries ?? 100 })
  const doors = otlpDoors({
    config,
    table,
    sink: { push: (batch, signal) => sink.push(batch, signal) },
    delta,
    clock,
  })
  const handler = createOtlpHttp({ ...doors, log: silentLogger(), maxBytes: options.maxBytes ?? 1 << 20 })
  const samples = (): Record<string, number | 'stale'> => {
    const out: Record<string, number | 'stale'> = {}
    for (const batch of batches)
      for (let i = 0; i < batch.ref.length; i++) {
        const key = `${printLabels(table.labels(batch.ref[i]!))}@${batch.at[i]! - nowAt}`
        out[key] ??= isStaleAt(wordsOf(batch.value), i) ? 'stale' : batch.value[i]!
      }
    return out
  }
  const post: Rig['post'] = async (body, headers = {}) => {
    const bytes = Buffer.isBuffer(body)
      ? body
      : Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
    const request: HandlerRequest = {
      method: 'POST',
      path: '/v1/metrics',
      query: new URLSearchParams(),
      headers: { 'content-type': 'application/json', ...headers },
      body: bytes,
    }
    const answer = await handler.handle(request, new AbortController().signal)
    const text = Buffer.from(answer.body ?? '').toString()
    return { status: answer.status, json: JSON.parse(text), headers: { ...answer.headers } }
  }
  return { handler, table, clock, delta, batches, sink, samples, post }
}

const request = (
  metrics: unknown[],
  attributes: unknown[] = service,
  scope: unknown = { name: 's', version: '1' },
) => ({
  resourceMetrics: [{ resource: { attributes }, scopeMetrics: [{ scope, metrics }] }],
})
const gauge = (name: string, value: number, more: object = {}, unit = '') => ({
  name,
  unit,
  gauge: { dataPoints: [{ timeUnixNano: nanos(nowAt), asDouble: value, ...more }] },
})
const sum = (name: string, temporality: number, points: object[], isMonotonic = true) => ({
  name,
  sum: { aggregationTemporality: temporality, isMonotonic, dataPoints: points },
})
const tick = (value: number, fromS: number, toS: number, more: object = {}) => ({
  startTimeUnixNano: nanos(nowAt + fromS * 1000),
  timeUnixNano: nanos(nowAt + toS * 1000),
  asInt: String(value),
  ...more,
})

describe('names and labels as Prometheus makes them', () => {
  it('translates counters, gauges and histograms', async () => {
    const r = rig()
    const answer = await r.post(
      request([
        {
          ...sum('task.count', 2, [tick(41, -60, 0, { attributes: [attr('agent.name', 'scout')] })]),
          unit: '1',
        },
        gauge('queue.fill', 0.5, {}, '1'),
        {
          name: 'http.server.request.duration',
          unit: 's',
          histogram: {
            aggregationTemporality: 2,
            dataPoints: [
              {
                startTimeUnixNano: nanos(nowAt - 60_000),
                timeUnixNano: nanos(nowAt),
                count: '6',
                sum: 3,
                bucketCounts: ['1', '2', '3'],
                explicitBounds: [0.1, 1],
              },
            ],
          },
        },
      ]),
    )
    expect(answer).toMatchObject({ status: 200, json: {} })
    expect(r.samples()).toEqual({
      'task_count_total{agent_name="scout", instance="p-1", job="fleet/pilot"}@0': 41,
      'queue_fill_ratio{instance="p-1", job="fleet/pilot"}@0': 0.5,
      'http_server_request_duration_seconds_sum{instance="p-1", job="fleet/pilot"}@0': 3,
      'http_server_request_duration_seconds_count{instance="p-1", job="fleet/pilot"}@0': 6,
      'http_server_request_duration_seconds_bucket{instance="p-1", job="fleet/pilot", le="0.1"}@0': 1,
      'http_server_request_duration_seconds_bucket{instance="p-1", job="fleet/pilot", le="1"}@0': 3,
      'http_server_request_duration_seconds_bucket{instance="p-1", job="fleet/pilot", le="+Inf"}@0': 6,
    })
    expect(r.batches[0]!.metadata).toEqual([
      { metric: 'task_count_total', type: 'counter', help: '', unit: '1' },
      { metric: 'queue_fill_ratio', type: 'gauge', help: '', unit: '1' },
      { metric: 'http_server_request_duration_seconds', type: 'histogram', help: '', unit: 's' },
    ])
  })

  it('sends metadata once', async () => {
    const r = rig()
    await r.post(request([gauge('a', 1)]))
    await r.post(request([gauge('a', 1)]))
    expect(r.batches.map((b) => b.metadata.length)).toEqual([1, 0])
  })

  it('writes target_info with what else a resource says', async () => {
    const r = rig()
    await r.post(request([gauge('up', 1)], [...service, attr('host.name', 'h'), attr('k8s.pod', 'p')]))
    expect(r.samples()).toMatchObject({
      'target_info{host_name="h", instance="p-1", job="fleet/pilot", k8s_pod="p"}@0': 1,
    })
  })

  it('keeps identifying attributes, promotes resource attributes and scope when told to', async () => {
    const r = rig({
      keep_identifying_resource_attributes: true,
      promote_resource_attributes: ['host.name'],
      promote_scope_metadata: true,
    })
    await r.post(request([gauge('up', 1)], [...service, attr('host.name', 'h')]))
    expect(r.samples()).toEqual({
      'up{host_name="h", instance="p-1", job="fleet/pilot", otel_scope_name="s", otel_scope_version="1"}@0': 1,
      'target_info{host_name="h", instance="p-1", job="fleet/pilot", service_instance_id="p-1", service_name="pilot", service_namespace="fleet"}@0': 1,
    })
  })

  it('joins values of attributes that meet in one label, in the order of their keys', async () => {
    const r = rig()
    await r.post(request([gauge('g', 1, { attributes: [attr('a_b', 'two'), attr('a.b', 'one')] })], []))
    expect(r.samples()).toEqual({ 'g{a_b="one;two"}@0': 1 })
  })

  it('makes summaries into quantiles', async () => {
    const r = rig()
    const point = {
      timeUnixNano: nanos(nowAt),
      count: 4,
      sum: 10,
      quantileValues: [{ quantile: 0.99, value: 7 }],
    }
    await r.post(request([{ name: 'lat', summary: { dataPoints: [point] } }], []))
    expect(r.samples()).toEqual({ 'lat_sum@0': 10, 'lat_count@0': 4, 'lat{quantile="0.99"}@0': 7 })
  })

  it('writes a stale marker where no value was recorded', async () => {
    const r = rig()
    await r.post(request([gauge('g', 0, { flags: 1 })], []))
    expect(r.samples()).toEqual({ 'g@0': 'stale' })
  })
})

describe('delta becomes cumulative', () => {
  it('adds up, and counts a repeated interval once', async () => {
    const r = rig()
    await r.post(request([sum('n', 1, [tick(5, -30, -20)])], []))
    await r.post(request([sum('n', 1, [tick(7, -20, -10)])], []))
    const again = await r.post(request([sum('n', 1, [tick(7, -20, -10)])], []))
    await r.post(request([sum('n', 1, [tick(1, -10, 0)])], []))
    expect(again.json).toEqual({})
    expect(r.samples()).toEqual({ 'n_total@-20000': 5, 'n_total@-10000': 12, 'n_total@0': 13 })
  })

  it('forgets a push that failed, so that its retry counts', async () => {
    const r = rig()
    const push = r.sink.push
    r.sink.push = async () => {
      throw new AppError('storage_full', 'the log is full', { retryAfter: 2500 })
    }
    const failed = await r.post(request([sum('n', 1, [tick(5, -20, -10)])], []))
    expect(failed).toMatchObject({
      status: 503,
      headers: { 'retry-after': '3' },
      json: { message: 'the log is full' },
    })
    r.sink.push = push
    await r.post(request([sum('n', 1, [tick(5, -20, -10)])], []))
    expect(r.samples()).toEqual({ 'n_total@-10000': 5 })
  })

  it('lets concurrent requests in one after the other', async () => {
    const r = rig()
    const push = r.sink.push
    let let_go = (): void => {}
    const gate = new Promise<void>((resolve) => {
      let_go = resolve
    })
    r.sink.push = async (batch, signal) => {
      await gate
      await push(batch, signal)
    }
    const both = [
      r.post(request([sum('n', 1, [tick(5, -20, -10)])], [])),
      r.post(request([sum('n', 1, [tick(6, -10, 0)])], [])),
      r.post(request([gauge('g', 1)], [])),
    ]
    let_go()
    await Promise.all(both)
    expect(r.samples()).toEqual({ 'n_total@-10000': 5, 'n_total@0': 11, 'g@0': 1 })
  })

  it('refuses points out of order and past the limit of series', async () => {
    const r = rig({}, { deltaSeries: 1 })
    await r.post(request([sum('n', 1, [tick(5, -20, -10)])], []))
    const older = await r.post(request([sum('n', 1, [tick(5, -25, -15)])], []))
    expect(older.json.partialSuccess).toMatchObject({ rejectedDataPoints: '1' })
    expect(older.json.partialSuccess!.errorMessage).toMatch(/in order/)
    const full = await r.post(request([sum('m', 1, [tick(5, -20, -10)])], []))
    expect(full.json.partialSuccess!.errorMessage).toMatch(/limit of delta series/)
  })

  it('adds up histograms bucket by bucket', async () => {
    const r = rig()
    const point = (fromS: number, toS: number) => ({
      ...tick(0, fromS, toS),
      count: '3',
      sum: 2.5,
      bucketCounts: ['1', '2'],
      explicitBounds: [1],
    })
    for (const [from, to] of [
      [-20, -10],
      [-10, 0],
      [-10, 0],
    ] as const)
      await r.post(
        request([{ name: 'h', histogram: { aggregationTemporality: 1, dataPoints: [point(from, to)] } }], []),
      )
    expect(r.samples()).toMatchObject({
      'h_bucket{le="1"}@0': 2,
      'h_bucket{le="+Inf"}@0': 6,
      'h_count@0': 6,
      'h_sum@0': 5,
    })
  })
})

describe('what may not pass', () => {
  it('keeps the good points and says what was wrong with the others', async () => {
    const r = rig()
    const answer = await r.post(
      request(
        [
          gauge('good', 1),
          gauge('old', 1, { timeUnixNano: nanos(nowAt - 2 * 3_600_000) }),
          gauge('', 1),
          gauge('timeless', 1, { timeUnixNano: '0' }),
          { name: 'bare', gauge: { dataPoints: [{ timeUnixNano: nanos(nowAt) }] } },
          {
            name: 'exp',
            exponentialHistogram: {
              aggregationTemporality: 2,
              dataPoints: [
                { timeUnixNano: nanos(nowAt), count: 3, positive: { bucketCounts: [1] } },
                { timeUnixNano: nanos(nowAt), scale: -11 },
              ],
            },
          },
          {
            name: 'h',
            histogram: {
              aggregationTemporality: 2,
              dataPoints: [{ timeUnixNano: nanos(nowAt), count: 1, bucketCounts: [1], explicitBounds: [1] }],
            },
          },
          sum('whenever', 0, [tick(1, -1, 0)]),
        ],
        [],
      ),
    )
    expect(answer.status).toBe(200)
    expect(answer.json.partialSuccess!.rejectedDataPoints).toBe('8')
    const message = answer.json.partialSuccess!.errorMessage
    for (const words of ['too_old: 1', 'bad_labels: 1', 'bad_sample: 4', 'bad_histogram: 2'])
      expect(message).toContain(words)
    expect(r.samples()).toEqual({ 'good@0': 1 })
    // What is refused makes no series either.
    expect(r.table.size).toBe(1)
  })

  it.each([
    ['{"resourceMetrics": 7', /JSON/],
    ['{"resourceMetrics": 7}', /resourceMetrics is not a list/],
    ['[]', /request is not an object/],
    [
      JSON.stringify(request([gauge('a', 1), { name: 'b', gauge: { dataPoints: [{ timeUnixNano: 'x' }] } }])),
      /metrics\[1\].gauge.dataPoints\[0\].timeUnixNano is not an integer/,
    ],
  ])('answers 400 for %s and keeps nothing', async (body, message) => {
    const r = rig()
    const answer = await r.post(body)
    expect(answer.status).toBe(400)
    expect(answer.json.message).toMatch(message)
    expect(r.table.size + r.batches.length).toBe(0)
  })

  it('takes gzip, refuses what unpacks too large or is no gzip, and other media types', async () => {
    const r = rig({}, { maxBytes: 10_000 })
    const zipped = { 'content-encoding': 'gzip' }
    expect((await r.post(gzipSync(JSON.stringify(request([gauge('a', 1)]))), zipped)).status).toBe(200)
    expect((await r.post(gzipSync(Buffer.alloc(20_000, 32)), zipped)).status).toBe(413)
    expect((await r.post(Buffer.alloc(20_000, 32))).status).toBe(413)
    expect((await r.post(Buffer.from('no'), zipped)).status).toBe(400)
    expect((await r.post('{}', { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await r.post('{}', { 'content-encoding': 'br' })).status).toBe(415)
    expect((await r.post('{}')).json).toEqual({})
  })

  it('names the paths there are', async () => {
    const r = rig()
    const answer = await r.handler.handle(
      {
        method: 'POST',
        path: '/v1/profiles',
        query: new URLSearchParams(),
        headers: { 'content-type': 'application/json' },
        body: Buffer.from('{}'),
      },
      new AbortController().signal,
    )
    expect(answer.status).toBe(404)
    expect(String(answer.body)).toContain('/v1/metrics, /v1/traces and /v1/logs')
  })
})

describe('a client that goes away', () => {
  it('while it waits for its turn leaves no trace, and the next one is served', async () => {
    const r = rig()
    const held = r.delta.tryBegin(nowAt)!
    const gone = new AbortController()
    const body = Buffer.from(JSON.stringify(request([sum('n', 1, [tick(5, -20, -10)])], [])))
    const headers = { 'content-type': 'application/json' }
    const waiting = r.handler.handle(
      { method: 'POST', path: '/v1/metrics', query: new URLSearchParams(), headers, body },
      gone.signal,
    )
    gone.abort()
    expect((await waiting).status).toBe(499)
    held.rollback()
    await r.post(request([sum('n', 1, [tick(6, -20, -10)])], []))
    expect(r.samples()).toEqual({ 'n_total@-10000': 6 })
  })
})

describe('back-pressure', () => {
  it('gives room back once, and lets one large request in alone', () => {
    const room = createInFlight(100)
    const leave = room.enter(500)
    expect(() => room.enter(1)).toThrow(AppError)
    leave()
    leave()
    expect(room.bytes).toBe(0)
    room.enter(60)
    expect(() => room.enter(60)).toThrow(/send it again/)
  })
})
