import { beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { AppError } from '../../lib/errors.ts'
import { silentLogger } from '../../lib/log.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { createEvents, eventsConfigSchema } from './receiver.ts'

const never = new AbortController().signal
const make = (limit = 10_000) => {
  const table = new SeriesTable(limit)
  const sink = new CollectingSink(table)
  const clock = new FakeClock()
  const config = eventsConfigSchema.parse({ buckets: [1, 10] })
  const create = () =>
    createEvents({
      config,
      table,
      sink,
      clock,
      limits: defaultAdmission,
      log: silentLogger(),
      metrics: fakeMetrics(),
    })
  return { sink, clock, create, events: create() }
}
let kit: ReturnType<typeof make>
beforeEach(() => {
  kit = make()
})
const post = async (body: unknown, headers: Record<string, string> = {}) => {
  const answer = await kit.events.handle(
    {
      method: 'POST',
      path: '/api/ops/v1/events',
      query: new URLSearchParams(),
      headers: { 'content-type': 'application/json', ...headers },
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    },
    never,
  )
  return { status: answer.status, headers: answer.headers, ...JSON.parse(String(answer.body)) }
}

test('one event: row, counter after a zero, histogram', async () => {
  const at = kit.clock.now()
  const sale = { id: '1', name: 'sale', value: 5, time: at - 1000, agent: 'a', version: '2', outcome: 'ok' }
  expect(await post({ ...sale, attributes: { city: 'Ulm', n: 3 } })).toMatchObject({
    status: 200,
    accepted: 1,
  })
  expect(kit.sink.batches[0]!.events).toEqual(
    [{ ...sale, time: undefined, at: at - 1000, attributes: { city: 'Ulm', n: '3' } }].map(
      ({ time: _, ...row }) => row,
    ),
  )
  const who = 'agent="a", '
  const rest = 'name="sale", outcome="ok", version="2"'
  expect(kit.sink.last()).toEqual({
    [`airboss_events_total{${who}${rest}}`]: 1,
    [`airboss_event_value_bucket{${who}le="1", ${rest}}`]: 0,
    [`airboss_event_value_bucket{${who}le="10", ${rest}}`]: 1,
    [`airboss_event_value_bucket{${who}le="+Inf", ${rest}}`]: 1,
    [`airboss_event_value_sum{${who}${rest}}`]: 5,
    [`airboss_event_value_count{${who}${rest}}`]: 1,
  })
  expect(kit.sink.samples()[0]).toMatchObject({ at: at - 30_000, value: 0 })
  expect(kit.sink.batches[0]!.metadata.map((m) => m.type)).toEqual(['counter', 'histogram'])
})

test('without a value there is no histogram; lists and { events } are taken', async () => {
  await post([
    { id: '1', name: 'x' },
    { id: '2', name: 'x' },
  ])
  await post({ events: [{ id: '3', name: 'x', time: '2025-12-31T23:59:00+00:00' }] })
  expect(kit.sink.last()).toEqual({ 'airboss_events_total{name="x"}': 3 })
})

test('bad items are named with field and mend, the rest kept', async () => {
  const answer = await post([
    { id: 'a', name: 'x' },
    { name: 'x' },
    { id: 'b', name: 'x', value: '5' },
    { id: 'c', name: 'x', time: 1_700_000_000 },
    { id: 'd', name: 'x', colour: 'red' },
    5,
    { id: 'e', name: 'x', time: 'yesterday' },
    { id: 'f', name: 'x'.repeat(2000) },
    { id: 'g', name: '\ud800' },
    { id: 'a', name: 'x' },
  ])
  expect(answer).toMatchObject({ status: 200, accepted: 1, duplicates: 1 })
  expect(answer.rejected.map((r: { index: number; field: string }) => [r.index, r.field])).toEqual([
    [1, 'id'],
    [2, 'value'],
    [3, 'time'],
    [4, 'colour'],
    [5, ''],
    [6, 'time'],
    [7, 'name'],
    [8, 'name'],
  ])
  expect(answer.rejected[2].error).toContain('send milliseconds')
  expect(await post([{ id: 'z' }])).toMatchObject({
    status: 400,
    accepted: 0,
    rejected: [{ index: 0, id: 'z', field: 'name' }],
  })
})

test.each<[unknown, Record<string, string>, number, string]>([
  ['{', {}, 400, 'no JSON'],
  ['5', {}, 400, 'must be an object'],
  [{ events: 5 }, {}, 400, 'must be a list'],
  [{ id: '1', name: 'x' }, { 'content-type': 'text/plain' }, 415, 'application/json'],
])('%j is refused whole', async (body, headers, status, why) => {
  const answer = await post(body, headers)
  expect(answer.status).toBe(status)
  expect(answer.error.message).toContain(why)
  expect(kit.sink.batches).toEqual([])
})

test('when the log is full nothing is counted, the client is told when to come back, and may send the same again', async () => {
  kit.sink.refuse = new AppError('storage_full', 'the log is full', { retryAfter: 4000 })
  const answer = await post({ id: '1', name: 'x' })
  expect([answer.status, answer.headers?.['retry-after']]).toEqual([503, '4'])
  kit.sink.refuse = null
  expect(await post({ id: '1', name: 'x' })).toMatchObject({ accepted: 1, duplicates: 0 })
  expect(await post({ id: '1', name: 'x' })).toMatchObject({ accepted: 0, duplicates: 1, status: 200 })
  expect(kit.sink.last()).toEqual({ 'airboss_events_total{name="x"}': 1 })
})

test('requests side by side share a batch and none is lost', async () => {
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => post({ id: `n${i % 40}`, name: 'x' })),
  )
  expect(answers.filter((a) => a.accepted === 1)).toHaveLength(40)
  expect(kit.sink.last()).toEqual({ 'airboss_events_total{name="x"}': 40 })
  expect(kit.sink.batches.length).toBeLessThan(10)
})

describe('restart', () => {
  test.each([0, 1, 2, 3])(
    'checkpoint before request %i, the rest replayed: counts go on, ids are known',
    async (sealed) => {
      let checkpoint: unknown = null
      for (let i = 0; i < 3; i++) {
        if (i === sealed) checkpoint = kit.events.checkpoint()
        await post({ id: `r${i}`, name: 'x', value: i })
      }
      if (sealed === 3) checkpoint = kit.events.checkpoint()
      kit.events = kit.create()
      kit.sink.revive(kit.events, checkpoint, Math.max(sealed - 1, 0))
      expect(await post([0, 1, 2, 3].map((i) => ({ id: `r${i}`, name: 'x', value: i })))).toMatchObject({
        accepted: 1,
        duplicates: 3,
      })
      expect(kit.sink.last()).toMatchObject({
        'airboss_events_total{name="x"}': 4,
        'airboss_event_value_sum{name="x"}': 6,
      })
      const times = kit.sink
        .samples()
        .filter((s) => s.series === 'airboss_events_total{name="x"}')
        .map((s) => s.at)
      expect(new Set(times).size).toBe(times.length)
    },
  )
})

test('past the limit of series an event is refused by itself', async () => {
  kit = make(1)
  const answer = await post([
    { id: '1', name: 'x' },
    { id: '2', name: 'y' },
  ])
  expect(answer).toMatchObject({ accepted: 1, rejected: [{ index: 1, id: '2' }] })
  expect(answer.rejected[0].error).toContain('max_series')
})

test('counters are written while nothing happens', async () => {
  await kit.events.start()
  await post({ id: '1', name: 'x' })
  await kit.clock.advance(61_000)
  expect(kit.sink.samples().map((s) => s.value)).toEqual([0, 1, 1, 1])
  await kit.events.drain()
  await kit.clock.advance(61_000)
  expect(kit.sink.samples()).toHaveLength(4)
})
