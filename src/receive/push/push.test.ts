import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { silentLogger } from '../../lib/log.ts'
import { bytesField, varintField } from '../../lib/protobuf.ts'
import { memoryRowLog } from '../../lib/row-log.ts'
import { duration } from '../../lib/time.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { decodeText } from './decode.ts'
import { decodeFamilies } from './decode-protobuf.ts'
import { groupingOf } from './grouping.ts'
import { createPush, pushConfigSchema } from './receiver.ts'

const start = 1_700_000_000_000

const kit = async (config: object = {}, rows = memoryRowLog(), clock = new FakeClock(start)) => {
  const table = new SeriesTable(1000)
  const sink = new CollectingSink(table)
  const push = createPush({
    config: pushConfigSchema.parse(config),
    interval: duration(15_000),
    ...{ table, sink, limits: defaultAdmission, clock, log: silentLogger(), metrics: fakeMetrics() },
    openRows: () => Promise.resolve({ rows, close: () => Promise.resolve() }),
  })
  await push.start()
  const send = async (
    method: string,
    path: string,
    body: string | Buffer = '',
    headers: Record<string, string> = {},
  ) => {
    const request = {
      method,
      path: `/metrics/job/${path}`,
      query: new URLSearchParams(),
      headers,
      body: Buffer.from(body),
    }
    const answer = await push.handle(request, new AbortController().signal)
    return `${answer.status} ${answer.body ?? ''}`.trim()
  }
  const listing = async () => {
    const request = {
      method: 'GET',
      path: '',
      query: new URLSearchParams(),
      headers: {},
      body: Buffer.alloc(0),
    }
    return JSON.parse(String((await push.listing.handle(request, new AbortController().signal)).body)).data
  }
  /** What a scrape would find now: the last values that are not stale. */
  const shown = (): Record<string, number> =>
    Object.fromEntries(
      Object.entries(sink.last()).filter(([name, v]) => v !== 'stale' && !name.startsWith('push_')),
    ) as Record<string, number>
  return { push, sink, clock, rows, send, listing, shown }
}

test('PUT replaces the group, POST the families of the same name, DELETE ends it', async () => {
  const { send, shown, sink, clock } = await kit()
  expect(await send('PUT', 'a', 'x{l="1"} 1\nx{l="2"} 2\ny 3\n')).toBe('200')
  clock.jump(start + 1000)
  expect(await send('POST', 'a', 'x{l="3"} 4\n')).toBe('200')
  expect(shown()).toEqual({ 'x{job="a", l="3"}': 4, 'y{job="a"}': 3 })
  expect(await send('POST', 'a/inst%2F/b', 'x 9\n')).toContain('400')
  await send('PUT', 'b/instance/i', 'x 5\n')
  await send('PUT', 'a', 'z{job="mine"} 6\n')
  expect(shown()).toEqual({ 'x{instance="i", job="b"}': 5, 'z{job="a"}': 6 })
  expect(sink.last()['push_time_seconds{job="a"}']).toBe((start + 1000) / 1000)
  expect(sink.last()['push_failure_time_seconds{job="a"}']).toBe(0)
  expect(await send('DELETE', 'a')).toBe('202')
  expect(await send('DELETE', 'a')).toBe('202')
  expect(shown()).toEqual({ 'x{instance="i", job="b"}': 5 })
  expect(sink.last()['push_time_seconds{job="a"}']).toBe('stale')
})

test('written at every interval, also after a restart, until it is deleted', async () => {
  const first = await kit()
  await first.send(
    'PUT',
    'a',
    '# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\nh_sum NaN\nh_count 3\nbig +Inf\n',
  )
  const written = first.sink.samples().length
  await first.clock.advance(15_000)
  expect(first.sink.samples()).toHaveLength(written * 2)
  await first.push.drain()
  const second = await kit({}, first.rows, new FakeClock(start + 600_000))
  await second.clock.advance(15_000)
  expect(second.sink.last()).toEqual(first.sink.last())
  expect(Object.keys(second.shown())).toContain('h_bucket{job="a", le="+Inf"}')
  await second.send('DELETE', 'a')
  const third = await kit({}, first.rows)
  await third.clock.advance(15_000)
  expect(third.sink.samples()).toEqual([])
})

describe('what does not fit is refused, and told as a figure', () => {
  test.each([
    ['x 1 1700000000000\n', 'x has a timestamp'],
    ['x{a="1"} 1\nx{a="1"} 2\n', 'is there twice'],
    ['# TYPE taken gauge\ntaken{instance="i"} 1\n', 'the other in another group'],
    ['# TYPE taken counter\ntaken 1\n', 'is a gauge in another group'],
    ['# TYPE s summary\ns_sum 1\ns_count 1\n# TYPE s_count gauge\ns_count 1\n', 'is a metric of its own'],
    ['taken_sum 1\n', ''],
  ])('%j', async (body, why) => {
    const { send, sink, listing } = await kit()
    await send('PUT', 'other/instance/i', '# TYPE taken gauge\ntaken{job="x"} 1\n')
    const answer = await send('POST', 'other', body)
    const failed = sink.last()['push_failure_time_seconds{job="other"}']
    if (why === '') expect([answer, failed]).toEqual(['200', 0])
    else {
      expect(answer).toMatch(/^400 /)
      expect(answer).toContain(why)
      expect(failed).toBe(start / 1000)
      const groups = await listing()
      expect(groups.find((g: { labels: object }) => !('instance' in g.labels)).last_push_successful).toBe(
        false,
      )
    }
  })
  test('a type may change with its only group', async () => {
    const { send } = await kit()
    await send('PUT', 'a', '# TYPE x gauge\nx 1\n')
    expect(await send('PUT', 'a', '# TYPE x counter\nx 1\n')).toBe('200')
  })
  test('limits', async () => {
    const { send } = await kit({ max_groups: 1, max_series: 4 })
    expect(await send('PUT', 'a', 'x 1\n')).toBe('200')
    expect(await send('PUT', 'b', 'x 1\n')).toContain('max_groups')
    expect(await send('POST', 'a', 'y{a="1"} 1\ny{a="2"} 1\n')).toContain('max_series')
  })
  test.each([
    ['x 1', 'no newline'],
    ['x 1\ny\n', 'line 2'],
    ['# TYPE x gauge\n# TYPE x gauge\nx 1\n', 'a second TYPE'],
    ['# TYPE h histogram\nh_bucket 1\n', 'needs le'],
    ['# TYPE h histogram\nh 1\n', 'is a histogram'],
  ])('text %j', async (body, why) => expect(await (await kit()).send('PUT', 'a', body)).toContain(why))
})

test.each([
  ['/metrics/job/a', { job: 'a' }],
  ['/metrics/job/a/', { job: 'a' }],
  ['/metrics/job/a%20b/path@base64/L3Zhci90bXA', { job: 'a b', path: '/var/tmp' }],
  ['/metrics/job@base64/L3Zhci90bXA=/e@base64/=', { job: '/var/tmp', e: '' }],
  ['/metrics/job/a%2Fb/x/%C3%A9', { job: 'a/b', x: 'é' }],
])('%s', (path, labels) => expect(groupingOf(path)).toEqual(labels))
test.each([
  '/metrics/job',
  '/metrics/job/',
  '/metrics/job/a/b',
  '/metrics/job/a/__x/1',
  '/metrics/job/a/b-c/1',
  '/metrics/job@base64/!',
  '/metrics/job@base64/=',
  '/metrics/job/a/job/b',
  '/metrics/job/%ff',
])('%s is refused', (path) => expect(() => groupingOf(path)).toThrow())

const double = (field: number, value: number): Buffer => {
  const b = Buffer.alloc(9)
  b[0] = field * 8 + 1
  b.writeDoubleLE(value, 1)
  return b
}
const message = (...parts: Buffer[]): Buffer => Buffer.concat(parts)
const pair = (name: string, value: string) =>
  bytesField(1, message(bytesField(1, name), bytesField(2, value)))
const delimited = (body: Buffer): Buffer => bytesField(1, body).subarray(1)

test('protobuf says the same as text', () => {
  const histogram = message(
    varintField(1, 3),
    double(2, 1.5),
    bytesField(3, message(varintField(1, 2), double(2, 1))),
    bytesField(3, message(varintField(1, 3), double(2, Number.POSITIVE_INFINITY))),
  )
  const body = message(
    delimited(
      message(
        bytesField(1, 'c'),
        bytesField(2, 'help'),
        bytesField(4, message(pair('a', 'é'), bytesField(3, double(1, 7)))),
      ),
    ),
    delimited(message(bytesField(1, 'h'), varintField(3, 4), bytesField(4, bytesField(7, histogram)))),
    delimited(
      message(
        bytesField(1, 's'),
        varintField(3, 2),
        bytesField(
          4,
          bytesField(
            4,
            message(varintField(1, 2), double(2, 3), bytesField(3, message(double(1, 0.5), double(2, 9)))),
          ),
        ),
      ),
    ),
  )
  const text = `# HELP c help
# TYPE c counter
c{a="é"} 7
# TYPE h histogram
h_bucket{le="+Inf"} 3
h_bucket{le="1"} 2
h_sum 1.5
h_count 3
# TYPE s summary
s{quantile="0.5"} 9
s_sum 3
s_count 2
`
  expect(decodeFamilies(body)).toEqual(decodeText(text))
  expect(() => decodeFamilies(body.subarray(0, 20))).toThrow('protobuf')
  expect(() =>
    decodeFamilies(delimited(message(bytesField(1, 'c'), bytesField(4, bytesField(2, double(1, 7)))))),
  ).toThrow('is no counter')
})

test('pushes that are refused make no more groups than there may be', async () => {
  const { send, listing } = await kit({ max_groups: 2 })
  for (const job of ['a', 'b', 'c', 'd']) expect(await send('PUT', job, 'x 1 1000\n')).toContain('400')
  expect(await listing()).toHaveLength(2)
})

test('nor more series', async () => {
  const { send, listing } = await kit({ max_series: 3 })
  for (const job of ['a', 'b', 'c']) expect(await send('PUT', job, 'x 1 1000\n')).toContain('400')
  expect(await listing()).toHaveLength(1)
})
