import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { until } from '../../../test/kit/until.ts'
import { silentLogger } from '../../lib/log.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { type Fault, LineReader, type Sample } from './decode.ts'
import { mappingSchema } from './mapping.ts'
import { createStatsd, type Statsd, statsdConfigSchema } from './receiver.ts'
import { StatsdState } from './state.ts'

const read = (line: string): (Sample | string)[] => {
  const out: (Sample | string)[] = []
  const reader = new LineReader({
    sample: (s) => out.push({ ...s, values: [...s.values] }),
    fault: (f: Fault) => out.push(f),
    unsupported: (what) => out.push(`unsupported ${what}`),
  })
  reader.read(line)
  return out
}
const plain = { type: 'c', values: [], member: '', relative: false, rate: 1, tags: '', at: null }

describe('lines', () => {
  test.each<[string, object[]]>([
    ['a.b:1|c', [{ name: 'a.b', values: [1] }]],
    ['a:3|c|@0.1', [{ name: 'a', values: [3], rate: 0.1 }]],
    ['a:1.5|g', [{ name: 'a', type: 'g', values: [1.5] }]],
    ['a:-2|g', [{ name: 'a', type: 'g', values: [-2], relative: true }]],
    ['a:+2e3|g', [{ name: 'a', type: 'g', values: [2000], relative: true }]],
    ['a:320|ms|@0.5|#x:y,z', [{ name: 'a', type: 'ms', values: [320], rate: 0.5, tags: 'x:y,z' }]],
    ['a:1:2:3.5|d|#x:y:z', [{ name: 'a', type: 'd', values: [1, 2, 3.5], tags: 'x:y:z' }]],
    ['a:user:7|s', [{ name: 'a', type: 's', member: 'user:7' }]],
    [
      'a:1|c:2|g',
      [
        { name: 'a', values: [1] },
        { name: 'a', type: 'g', values: [2] },
      ],
    ],
    ['a:1|c|T1656581400|#x:y|c:abc', [{ name: 'a', values: [1], at: 1656581400000, tags: 'x:y' }]],
    ['a:1|c|c:abc', [{ name: 'a', values: [1] }]],
  ])('%s', (line, expected) => expect(read(line)).toEqual(expected.map((e) => ({ ...plain, ...e }))))
  test.each([
    ['a', 'no_value'],
    [':1|c', 'no_name'],
    ['a:|c', 'no_value'],
    ['a:1', 'no_type'],
    ['a:1|x', 'bad_type'],
    ['a:x|c', 'bad_value'],
    ['a:NaN|g', 'bad_value'],
    ['a:1e999|g', 'bad_value'],
    ['a:1e308|c', 'bad_value'],
    ['a:1e200|c|@1e-100', 'bad_value'],
    ['a:1|ms|@1e-300', 'bad_sample_rate'],
    ['a:1|c|@2', 'bad_sample_rate'],
    ['a:1|c|@0', 'bad_sample_rate'],
    ['a:1|g|Tx', 'bad_time'],
    ['a:1|g|?', 'bad_field'],
    ['a:-1|c', 'negative_counter'],
    [`${'a'.repeat(9000)}:1|c`, 'too_long'],
    ['_e{5,4}:title|text', 'unsupported event'],
    ['_sc|name|0', 'unsupported service_check'],
  ])('%s is %s', (line, fault) => expect(read(line)).toEqual([fault]))
})

describe('mappings', () => {
  const mapping = mappingSchema.parse(
    parse(`
defaults: { observer_type: histogram, ttl: 5m, histogram_options: { buckets: [1, 2] } }
mappings:
  - { match: 'test.dispatcher.*.*.*', name: dispatcher_events_total, labels: { processor: $1, action: $2, outcome: '\${3}_x', job: d } }
  - { match: 'test.*', name: only_gauges, match_metric_type: gauge }
  - { match: 'test.*', name: 'x_$1', ttl: 1m20s, scale: 0.001, help: words, honor_labels: true, observer_type: summary, summary_options: { quantiles: [{ quantile: 0.99, error: 0.001 }] } }
  - { match: '.*\\.secret\\..*', match_type: regex, action: drop, name: dropped }
  - { match: '(\\w+)\\.(\\w+)--(.*)', match_type: regex, name: 'r_$2', labels: { all: $0, rest: $3 } }
  - { match: 'a.secret.b', name: kept }
`),
  )
  test.each([
    [
      'test.dispatcher.Foo.send.ok',
      'counter',
      {
        name: 'dispatcher_events_total',
        labels: { processor: 'Foo', action: 'send', outcome: 'ok_x', job: 'd' },
        ttl: 300_000,
      },
    ],
    ['test.a-b', 'gauge', { name: 'only_gauges' }],
    [
      'test.a-b',
      'observer',
      {
        name: 'x_a_b',
        scale: 0.001,
        help: 'words',
        honorLabels: true,
        ttl: 80_000,
        observer: { type: 'summary', quantiles: [0.99] },
      },
    ],
    ['x.secret.y', 'counter', { drop: true }],
    ['a.secret.b', 'counter', { name: 'kept', drop: false }],
    ['p.q--r.s', 'counter', { name: 'r_q', labels: { all: 'p.q--r.s', rest: 'r.s' } }],
    [
      '9.other-name',
      'observer',
      { name: '_9_other_name', labels: {}, observer: { type: 'histogram', buckets: [1, 2] } },
    ],
  ] as const)('%s as %s', (name, kind, expected) => expect(mapping.map(name, kind)).toMatchObject(expected))
  test('the more particular wins where the order does not count', () => {
    const { map } = mappingSchema.parse({
      defaults: { glob_disable_ordering: true },
      mappings: [
        { match: 'a.*.*', name: 'general' },
        { match: 'a.*.c', name: 'late' },
        { match: 'a.b.*', name: 'early' },
      ],
    })
    expect(['a.b.c', 'a.x.c', 'a.x.y'].map((n) => map(n, 'counter').name)).toEqual([
      'early',
      'late',
      'general',
    ])
  })
  test.each([
    [{ match: 'a.**', name: 'x' }, 'not a pattern'],
    [{ match: '(', match_type: 'regex', name: 'x' }, 'missing'],
    [{ match: 'a', name: '' }, 'not a metric name'],
    [{ match: 'a', name: 'x', labels: { 'a-b': 'c' } }, 'not a label name'],
    [{ match: 'a', name: 'x', histogram_options: { buckets: [2, 1] } }, 'must ascend'],
    [{ match: 'a', name: 'x', histogram_options: { buckets: [1] } }, 'observer_type: histogram'],
  ])('%j is refused', (rule, why) =>
    expect(JSON.stringify(mappingSchema.safeParse({ mappings: [rule] }).error?.issues)).toContain(why),
  )
})

const start = 1_700_000_000_000
const open: Statsd[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((s) => s.drain()))
})

const kit = async (
  config: object = {},
  mapping: object | null = null,
  table = new SeriesTable(1000),
  clock = new FakeClock(start),
) => {
  const sink = new CollectingSink(table)
  const state = new StatsdState(table)
  const metrics = fakeMetrics()
  const statsd = createStatsd({
    config: statsdConfigSchema.parse({ udp: '127.0.0.1:0', tcp: '127.0.0.1:0', ...config }),
    mapping: mapping === null ? null : mappingSchema.parse(mapping),
    ...{ state, table, sink, limits: defaultAdmission, clock, log: silentLogger(), metrics },
  })
  await statsd.start()
  open.push(statsd)
  const counted = (name: string): number =>
    [...metrics.values].filter(([key]) => key.startsWith(name)).reduce((n, [, v]) => n + v, 0)
  const all = (): number =>
    ['airboss_statsd_samples_total', 'airboss_statsd_refused_total', 'airboss_receive_dropped_total'].reduce(
      (n, name) => n + counted(name),
      0,
    )
  /** By TCP: in order, and known to be there when the last is counted. */
  const send = async (lines: string, samples: number): Promise<void> => {
    const goal = all() + samples
    const socket = connect(statsd.ports().tcp!, '127.0.0.1')
    socket.end(lines)
    await until(`${samples} samples`, () => all() >= goal)
    await statsd.flush()
  }
  return { statsd, sink, state, clock, table, metrics, send, counted, all }
}

test('counters, gauges, sets, timers', async () => {
  const k = await kit({ buckets: [0.1, 1] })
  await k.send(
    'c:1|c\nc:2|c|@0.5|#b:2,a:1\nc:1|c|#a:1,b:2\ng:5|g\ng:-2|g\nu:x|s\nu:y|s\nu:x|s\nt:50:500|ms\nt:5000|ms|@0.5\nt:2|h',
    11,
  )
  expect(k.sink.last()).toEqual({
    c: 1,
    'c{a="1", b="2"}': 5,
    g: 3,
    u: 2,
    't_bucket{le="0.1"}': 1,
    't_bucket{le="1"}': 2,
    't_bucket{le="+Inf"}': 5,
    t_sum: 12.55,
    t_count: 5,
  })
  // A counter's first increase shows, because a zero stands before it.
  expect(
    k.sink
      .samples()
      .filter((s) => s.series === 'c')
      .map((s) => [s.at - start, s.value]),
  ).toEqual([
    [-10_000, 0],
    [0, 1],
  ])
  k.clock.jump(start + 10_000)
  await k.send('c:1|c\ng:+0.5|g\nu:x|s\n', 3)
  expect(k.sink.last()).toMatchObject({ c: 2, g: 3.5, u: 1, t_count: 5 })
  expect(k.sink.batches.at(-1)!.metadata).toEqual([])
})

test('by UDP, many lines in a datagram', async () => {
  const k = await kit()
  const socket = createSocket('udp4')
  socket.send('a:1|c\nb:2|g\r\n_e{1,1}:a|b\nbad', k.statsd.ports().udp!, '127.0.0.1')
  await until('all lines', () => k.all() === 4)
  socket.send(Buffer.from([0x61, 0xff]), k.statsd.ports().udp!, '127.0.0.1')
  await until('the bad one', () => k.all() === 5)
  socket.close()
  await k.statsd.flush()
  expect(k.sink.last()).toEqual({ a: 1, b: 2 })
  expect(k.metrics.values.get('airboss_statsd_refused_total{reason="no_value"}')).toBe(1)
  expect(k.metrics.values.get('airboss_statsd_refused_total{reason="bad_utf8"}')).toBe(1)
  expect(k.metrics.values.get('airboss_receive_dropped_total{protocol="statsd",what="event"}')).toBe(1)
})

test('summaries, scale, a gauge with its own time', async () => {
  const k = await kit({}, { mappings: [{ match: 'kb', name: 'b', scale: 1024 }] })
  await k.send(
    `${Array.from({ length: 100 }, (_, i) => `t:${(i + 1) * 10}|ms`).join('\n')}\nkb:2|g\nold:7|g|T${start / 1000 - 60}\n`,
    102,
  )
  expect(k.sink.last()).toMatchObject({
    't{quantile="0.5"}': 0.5,
    't{quantile="0.99"}': 0.99,
    t_count: 100,
    b: 2048,
    old: 7,
  })
  expect(
    k.sink
      .samples()
      .filter((s) => s.series === 'old')
      .map((s) => s.at - start),
  ).toEqual([-60_000, 0])
  // What was measured is forgotten; how often is not.
  k.clock.jump(start + 660_000)
  await k.send('t:1000|ms\n', 1)
  expect(k.sink.last()).toMatchObject({ 't{quantile="0.5"}': 1, t_count: 101 })
})

test('goes on over a restart, from the checkpoint and from what the log holds after it', async () => {
  const first = await kit()
  await first.send('a:5|c\ng:7|g\nt:100|ms\n', 3)
  const checkpoint = JSON.parse(JSON.stringify(first.state.checkpoint()))
  const kept = first.sink.batches.length
  first.clock.jump(start + 10_000)
  await first.send('a:2|c\nb:3|c\n', 2)
  const second = await kit({}, null, first.table, new FakeClock(start + 60_000))
  second.state.restore(checkpoint)
  for (const batch of first.sink.batches.slice(kept)) second.state.replay(batch)
  for (const batch of first.sink.batches.slice(kept)) second.state.replay(batch)
  await second.send('a:1|c\nb:1|c\ng:+1|g\nt:100|ms\nnew:1|c\n', 5)
  expect(second.sink.last()).toMatchObject({ a: 8, b: 4, g: 8, t_count: 2, new: 1 })
  expect(second.sink.samples().filter((s) => s.value === 0 && /^(a|b|t_count)$/.test(s.series))).toEqual([])
  expect(() => second.state.restore({})).toThrow('another form')
})

test('what cannot be written waits, and counts once', async () => {
  const k = await kit()
  k.sink.refuse = new Error('away')
  await k.send('a:5|c\nu:x|s\nt:100|ms\n', 3)
  expect(k.sink.samples()).toEqual([])
  k.sink.refuse = null
  await k.send('a:1|c\nu:y|s\nt:100|ms\n', 3)
  expect(k.sink.last()).toMatchObject({ a: 6, u: 2, t_count: 2 })
})

test('idle series end, and limits hold', async () => {
  const k = await kit({ ttl: '1m', max_series: 2 })
  await k.send('a:1|c\nb:1|c\nc:1|c\n', 3)
  expect(k.metrics.values.get('airboss_statsd_refused_total{reason="series_limit"}')).toBe(1)
  k.clock.jump(start + 61_000)
  await k.send('a:1|c\n', 1)
  expect(k.sink.last()).toEqual({ a: 2, b: 'stale' })
  k.clock.jump(start + 62_000)
  await k.send('c:4|c\n', 1)
  expect(k.sink.last()).toEqual({ a: 2, b: 'stale', c: 4 })
  await k.send('a:1|g\n', 1)
  expect(k.metrics.values.get('airboss_statsd_refused_total{reason="type_conflict"}')).toBeUndefined()
})

test('one name is one kind', async () => {
  const k = await kit()
  await k.send('a:1|c\na:1|g\n', 2)
  expect(k.sink.last()).toEqual({ a: 1 })
  expect(k.metrics.values.get('airboss_statsd_refused_total{reason="type_conflict"}')).toBe(1)
})

test('configuration', () => {
  const why = (config: object): string => JSON.stringify(statsdConfigSchema.safeParse(config).error?.issues)
  expect(why({ unixgram: '/run/x' })).toContain('unix datagram')
  expect(why({ udp: 'nope' })).toContain('not an address')
  expect(statsdConfigSchema.parse({ tcp: '' })).toMatchObject({
    tcp: null,
    udp: { host: '127.0.0.1', port: 8125 },
  })
})

test('a name is a set or a gauge, not both', async () => {
  const { send, sink, counted } = await kit()
  await send('a:1|g\nb:x|s\n', 2)
  await send('a:x|s\nb:7|g\n', 2)
  expect(sink.last()).toMatchObject({ a: 1 })
  expect(Object.values(sink.last()).filter(Number.isNaN)).toEqual([])
  expect(counted('airboss_statsd_refused_total{reason="type_conflict"}')).toBe(2)
})

test('what comes in while a series is being ended is not lost', async () => {
  const { send, sink, clock, statsd, all } = await kit({ ttl: '1m', interval: '1h' })
  await send('a:1|c\n', 1)
  clock.jump(start + 120_000)
  const gate = Promise.withResolvers<void>()
  const push = sink.push.bind(sink)
  sink.push = (batch) => gate.promise.then(() => push(batch))
  const ending = statsd.flush()
  const goal = all() + 1
  const socket = connect(statsd.ports().tcp!, '127.0.0.1')
  socket.end('a:2|c\n')
  await until('a sample', () => all() >= goal)
  gate.resolve()
  await ending
  expect(sink.last()).toMatchObject({ a: 'stale' })
  await statsd.flush()
  // After its end it begins anew.
  expect(sink.last()).toMatchObject({ a: 2 })
})
