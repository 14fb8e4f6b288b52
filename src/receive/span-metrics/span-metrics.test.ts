import { beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { resource, span } from '../../../test/kit/span.ts'
import { silentLogger } from '../../lib/log.ts'
import { type Batch, sampleBatch } from '../../model/batch.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { readExemplar } from '../../model/exemplar.ts'
import { recordOf } from '../../model/labels.ts'
import { rowBytes } from '../../model/packed-rows.ts'
import { SeriesTable } from '../../model/series.ts'
import type { Attributes, Span } from '../../model/span.ts'
import { spanMetricsSchema } from './config.ts'
import { SpanMetrics } from './span-metrics.ts'

const make = (config: unknown = {}) => {
  const table = new SeriesTable(100_000)
  const sink = new CollectingSink(table)
  const clock = new FakeClock()
  const metrics = fakeMetrics()
  const create = (): SpanMetrics =>
    new SpanMetrics({
      config: spanMetricsSchema.parse(config),
      table,
      sink,
      limits: defaultAdmission,
      fresh: (batch) => batch.spans?.read ?? [],
      clock,
      log: silentLogger(),
      metrics,
    })
  const made = create()
  void made.start()
  return { table, sink, clock, metrics, create, made, position: 0 }
}
let kit: ReturnType<typeof make>
beforeEach(() => {
  kit = make()
})

const batchOf = (...spans: Span[]): Batch => ({
  ...sampleBatch([], [], []),
  spans: { bytes: new Uint8Array(spans.length), ends: Uint32Array.from(spans, (_, i) => i + 1), read: spans },
})
const send = (...spans: Span[]): void => kit.made.accepted(batchOf(...spans), ++kit.position)
const turn = (by = 15_000): Promise<void> => kit.clock.advance(by)
/** The last values of a metric, by the labels that are asked for. */
const values = (metric: string, ...labels: string[]): Record<string, number | 'stale'> =>
  Object.fromEntries(
    Object.entries(kit.sink.last())
      .filter(([series]) => series.startsWith(`${metric}{`))
      .map(([series, value]) => [
        labels.map((l) => new RegExp(`[{ ]${l}="([^"]*)"`).exec(series)?.[1] ?? '').join(' '),
        value,
      ]),
  )
const chat = (more: Attributes = {}, rest: Parameters<typeof span>[1] = {}): Span =>
  span({ 'gen_ai.operation.name': 'chat', 'gen_ai.request.model': 'm', ...more }, rest)
const agent = (name: string, more: Attributes = {}, rest: Parameters<typeof span>[1] = {}): Span =>
  span({ 'gen_ai.operation.name': 'invoke_agent', 'gen_ai.agent.name': name, ...more }, rest)
const tool = (name: string, more: Attributes = {}, rest: Parameters<typeof span>[1] = {}): Span =>
  span({ 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.name': name, ...more }, rest)

describe('rate, errors, duration', () => {
  test('calls and durations by name, kind and status, written at aligned times, first with a zero', async () => {
    send(
      span({}, { name: 'GET /', kind: 'server', duration: 0.02 }),
      span({}, { name: 'GET /', kind: 'server', duration: 200 }),
      span({}, { name: 'GET /', kind: 'server', duration: 1, status: 'error' }),
    )
    await turn()
    const calls = kit.sink.samples().filter((s) => s.series.startsWith('traces_spanmetrics_calls_total'))
    const labels =
      'traces_spanmetrics_calls_total{job="shop", service_name="shop", span_kind="SPAN_KIND_SERVER", span_name="GET /", status_code='
    const at = kit.clock.now()
    expect(calls).toEqual([
      { series: `${labels}"STATUS_CODE_UNSET"}`, at: at - 7500, value: 0 },
      { series: `${labels}"STATUS_CODE_UNSET"}`, at, value: 2 },
      { series: `${labels}"STATUS_CODE_ERROR"}`, at: at - 7500, value: 0 },
      { series: `${labels}"STATUS_CODE_ERROR"}`, at, value: 1 },
    ])
    expect(at % 15_000).toBe(0)
    const buckets = Object.entries(kit.sink.last()).filter(
      ([s]) => s.startsWith('traces_spanmetrics_duration_seconds_bucket') && s.includes('UNSET'),
    )
    expect(buckets.map(([, v]) => v)).toEqual([0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2])
    expect(values('traces_spanmetrics_duration_seconds_sum', 'status_code')).toEqual({
      STATUS_CODE_UNSET: 200.02,
      STATUS_CODE_ERROR: 1,
    })
    await turn()
    expect(kit.sink.last()[`${labels}"STATUS_CODE_UNSET"}`]).toBe(2)
  })

  test('dimensions come from the span, else from its resource, and long values are cut', async () => {
    kit = make({ dimensions: ['http.route', 'region'], max_label_length: 16 })
    const here = { ...resource('web'), attributes: { region: 'eu', 'http.route': '/r' } }
    send(
      span({ 'http.route': `/items/${'x'.repeat(100)}` }, { resource: here }),
      span({}, { resource: here }),
    )
    await turn()
    expect(values('traces_spanmetrics_calls_total', 'http_route', 'region')).toEqual({
      '/items/xxxxxxxxx eu': 1,
      '/r eu': 1,
    })
  })

  test('names with ids in them do not become series without end', async () => {
    kit = make({ max_span_names: 3 })
    for (let i = 0; i < 1000; i++)
      send(span({}, { name: `GET /order/${i}/${(i * 7919).toString(16).padStart(12, '0')}` }))
    for (let i = 0; i < 26; i++)
      send(span({}, { name: `word ${'abcdefghijklmnopqrstuvwxyz'[i]!.repeat(5)}` }))
    await turn()
    const names = values('traces_spanmetrics_calls_total', 'span_name')
    expect(names['GET /order/*/*']).toBe(997)
    expect(names['<other>']).toBe(24)
    expect(Object.keys(names)).toHaveLength(3 + 3 + 1)
  })

  test('past the limit of series everything still counts, in one series a metric that says so', async () => {
    kit = make({ max_series: 100, max_span_names: 10_000 })
    const letters = (i: number): string => String.fromCharCode(97 + (i % 26), 97 + Math.floor(i / 26))
    for (let i = 0; i < 500; i++) send(span({}, { name: letters(i) }))
    await turn()
    const all = Object.entries(kit.sink.last()).filter(([s]) =>
      s.startsWith('traces_spanmetrics_calls_total'),
    )
    expect(all.reduce((sum, [, v]) => sum + Number(v), 0)).toBe(500)
    expect(values('traces_spanmetrics_calls_total', 'otel_metric_overflow')['true']).toBe(500 - 5)
    expect(kit.table.size).toBeLessThan(130)
    expect(
      kit.metrics.values.get(
        'airboss_span_metrics_overflow_total{metric="traces_spanmetrics_duration_seconds"}',
      ),
    ).toBe(495)
  })

  test('a series without spans ends with a stale marker and begins anew later', async () => {
    kit = make({ series_ttl: '1m' })
    send(span({}, { name: 'a' }))
    await turn()
    await turn(90_000)
    expect(values('traces_spanmetrics_calls_total', 'span_name')).toEqual({ a: 'stale' })
    const before = kit.sink.batches.length
    await turn(60_000)
    expect(kit.sink.batches.length).toBe(before)
    send(span({}, { name: 'a' }))
    await turn()
    const last = kit.sink.samplesOf(kit.sink.batches.at(-1)!).filter((s) => s.series.includes('calls_total'))
    expect(last.map((s) => s.value)).toEqual([0, 1])
  })

  test('the newest span of each bucket is its exemplar, with its conversation where there is room', async () => {
    send(
      chat({ 'gen_ai.conversation.id': 'c-1' }, { traceId: 'a'.repeat(32), startAt: kit.clock.now() - 3000 }),
      chat({ 'gen_ai.conversation.id': 'c-2' }, { traceId: 'b'.repeat(32), startAt: kit.clock.now() - 2000 }),
      chat({ 'gen_ai.conversation.id': 'c'.repeat(200) }, { traceId: 'd'.repeat(32), duration: 100 }),
    )
    await turn()
    const rows = kit.sink.batches.at(-1)!.exemplars!
    const shown = Array.from(rows.ends, (_, i) => ({
      series: recordOf(kit.table.labels(rows.ref[i]!)),
      ...readExemplar(rowBytes(rows, i), rows.at[i]!),
    })).filter((e) => e.series['__name__']!.startsWith('traces_gen_ai_client_operation_duration'))
    expect(shown.map((e) => [e.series['le'], e.value, recordOf(e.labels)['trace_id']])).toEqual([
      ['1.28', 1, 'b'.repeat(32)],
      ['163.84', 100, 'd'.repeat(32)],
    ])
    expect(recordOf(shown[0]!.labels)['gen_ai_conversation_id']).toBe('c-2')
    expect(Object.keys(recordOf(shown[1]!.labels))).toEqual(['span_id', 'trace_id'])
    await turn()
    expect(kit.sink.batches.at(-1)!.exemplars).toBeUndefined()
  })
})

describe('agents', () => {
  test('tokens by type, first chunks, failures, tools', async () => {
    const who = { 'gen_ai.agent.name': 'writer', 'gen_ai.agent.version': '2' }
    send(
      chat({
        ...who,
        'gen_ai.provider.name': 'openai',
        'gen_ai.usage.input_tokens': '100',
        'gen_ai.usage.output_tokens': '20',
        'gen_ai.usage.cache_read.input_tokens': '60',
        'gen_ai.usage.reasoning.output_tokens': '5',
        'gen_ai.response.time_to_first_chunk': '0.5',
      }),
      chat({ ...who, 'error.type': 'timeout' }, { status: 'error' }),
      tool('search', who),
      tool('search', { ...who, 'error.type': 'http_500' }, { status: 'error' }),
      // What an agent sums up of its calls is not counted again.
      agent('writer', { ...who, 'gen_ai.usage.input_tokens': '100' }),
    )
    await turn()
    expect(values('traces_gen_ai_client_tokens_total', 'gen_ai_agent_name', 'gen_ai_token_type')).toEqual({
      'writer input': 100,
      'writer output': 20,
      'writer cache_read': 60,
      'writer reasoning': 5,
    })
    expect(
      values('traces_gen_ai_client_operation_duration_seconds_count', 'gen_ai_request_model', 'error_type'),
    ).toEqual({ 'm ': 1, 'm timeout': 1 })
    expect(
      values('traces_gen_ai_client_operation_time_to_first_chunk_seconds_sum', 'gen_ai_agent_version'),
    ).toEqual({ 2: 0.5 })
    expect(
      values('traces_gen_ai_execute_tool_duration_seconds_count', 'gen_ai_tool_name', 'error_type'),
    ).toEqual({
      'search ': 1,
      'search http_500': 1,
    })
    expect(values('traces_gen_ai_invoke_agent_duration_seconds_count', 'gen_ai_agent_name')).toEqual({
      writer: 1,
    })
  })

  test('a call belongs to the nearest agent above it, whichever of them comes first', async () => {
    const outer = agent('outer', { 'gen_ai.agent.version': '7' })
    const inner = agent('inner', {}, { parentSpanId: outer.spanId })
    const between = span({}, { parentSpanId: inner.spanId })
    const child = chat({}, { parentSpanId: between.spanId })
    const early = chat({}, { parentSpanId: outer.spanId })
    send(child)
    await turn()
    expect(values('traces_gen_ai_client_operation_duration_seconds_count', 'gen_ai_agent_name')).toEqual({})
    send(between, early)
    send(inner)
    send(outer)
    // And one that comes when its parent is long known.
    send(chat({}, { parentSpanId: outer.spanId }))
    await turn()
    expect(
      values(
        'traces_gen_ai_client_operation_duration_seconds_count',
        'gen_ai_agent_name',
        'gen_ai_agent_version',
      ),
    ).toEqual({ 'inner 1.0.0': 1, 'outer 7': 2 })
  })

  test('without an agent above it the service stands for one: at a root at once, else when nothing comes', async () => {
    send(chat(), chat({}, { traceId: 'f'.repeat(32), parentSpanId: 'never' }))
    await turn()
    const counts = () =>
      values(
        'traces_gen_ai_client_operation_duration_seconds_count',
        'gen_ai_agent_name',
        'gen_ai_agent_version',
      )
    expect(counts()).toEqual({ 'shop 1.0.0': 1 })
    await turn(60_000)
    expect(counts()).toEqual({ 'shop 1.0.0': 2 })
    await turn(60_000)
    expect(counts()).toEqual({ 'shop 1.0.0': 2 })
  })

  test('steps of an invocation are its own calls, not those of agents within it', async () => {
    const outer = agent('outer')
    const inner = agent('inner', {}, { parentSpanId: outer.spanId })
    const under = (parent: Span) => ({ parentSpanId: parent.spanId })
    send(chat({}, under(inner)), tool('a', {}, under(inner)), inner)
    send(chat({}, under(outer)), chat({}, under(outer)), outer)
    // Late, but within the time it is given.
    send(tool('b', {}, under(outer)))
    await turn(30_000)
    expect(values('traces_gen_ai_invoke_agent_steps_sum', 'gen_ai_agent_name', 'step')).toEqual({
      'inner model': 1,
      'inner tool': 1,
      'outer model': 2,
      'outer tool': 1,
    })
    expect(values('traces_gen_ai_invoke_agent_steps_count', 'gen_ai_agent_name', 'step')['outer tool']).toBe(
      1,
    )
    expect(values('traces_gen_ai_invoke_agent_loops_total', 'loop')).toEqual({})
  })

  test('going in circles: the same call again and again, the same sequence, too many steps', async () => {
    kit = make({ loops: { steps: 12, repeated_sequence: 5 } })
    const circle = (name: string, steps: (parent: string) => Span[]): void => {
      const top = agent(name, {}, { traceId: name.padEnd(32, '0') })
      send(...steps(top.spanId), top)
    }
    const under = (parentSpanId: string, name: string, i: number, startAt = i) => ({
      parentSpanId,
      traceId: name.padEnd(32, '0'),
      startAt,
    })
    const sent = (q: string): Attributes => ({ 'gen_ai.tool.call.arguments': q })
    circle('same', (p) => [0, 1, 2].map((i) => tool('a', sent('{"q":1}'), under(p, 'same', i))))
    circle('work', (p) => [0, 1, 2, 3, 4, 5].map((i) => tool('a', sent(`{"q":${i}}`), under(p, 'work', i))))
    circle('pair', (p) =>
      Array.from({ length: 10 }, (_, i) => tool(i % 2 ? 'a' : 'b', {}, under(p, 'pair', i))),
    )
    circle('long', (p) => Array.from({ length: 12 }, (_, i) => chat({}, under(p, 'long', i))))
    await turn(30_000)
    expect(values('traces_gen_ai_invoke_agent_loops_total', 'gen_ai_agent_name', 'loop')).toEqual({
      'same repeated_call': 1,
      'pair repeated_sequence': 1,
      'long steps': 1,
    })
  })

  test('scores as a histogram and as the last one', async () => {
    const scored = (value: string): Span =>
      chat(
        { 'gen_ai.agent.name': 'w' },
        {
          events: [
            {
              name: 'gen_ai.evaluation.result',
              at: 1,
              attributes: { 'gen_ai.evaluation.name': 'tone', 'gen_ai.evaluation.score.value': value },
            },
          ],
        },
      )
    send(scored('0.25'), scored('0.75'))
    await turn()
    expect(values('traces_gen_ai_evaluation_score_sum', 'gen_ai_evaluation_name')).toEqual({ tone: 1 })
    expect(values('traces_gen_ai_evaluation_score_count', 'gen_ai_evaluation_name')).toEqual({ tone: 2 })
    expect(values('traces_gen_ai_evaluation_score_last', 'gen_ai_evaluation_name')).toEqual({ tone: 0.75 })
  })
})

describe('after a restart', () => {
  test('batches up to the checkpoint are passed over, later ones counted once, waiting calls go on waiting', async () => {
    const top = agent('outer')
    const first = batchOf(chat({}, { parentSpanId: top.spanId }), chat())
    const second = batchOf(chat())
    kit.made.accepted(first, 5)
    await turn()
    const checkpoint: unknown = JSON.parse(JSON.stringify(kit.made.checkpoint()))
    kit.made.accepted(second, 6)
    await turn()
    await kit.made.drain()
    const again = kit.create()
    again.restore(checkpoint)
    again.replay(first, 5)
    again.replay(second, 6)
    for (const [i, output] of kit.sink.batches.entries()) again.replay(output, 7 + i)
    void again.start()
    again.accepted(batchOf(top), 20)
    await turn()
    const counts = 'traces_gen_ai_client_operation_duration_seconds_count'
    expect(values(counts, 'gen_ai_agent_name')).toEqual({ shop: 2, outer: 1 })
    // No zero again: the series goes on.
    const shop = kit.sink
      .samples()
      .filter((s) => s.series.startsWith(counts) && s.series.includes('agent_name="shop"'))
    expect(shop.map((s) => s.value)).toEqual([0, 1, 2, 2])
  })

  test('what was written once never falls, though waiting is reckoned anew', async () => {
    kit.made.accepted(batchOf(chat({}, { parentSpanId: 'nobody' })), 1)
    const checkpoint: unknown = JSON.parse(JSON.stringify(kit.made.checkpoint()))
    await turn(90_000)
    const counts = 'traces_gen_ai_client_operation_duration_seconds_count'
    expect(values(counts, 'gen_ai_agent_name')).toEqual({ shop: 1 })
    await kit.made.drain()
    const again = kit.create()
    again.restore(checkpoint)
    for (const [i, output] of kit.sink.batches.entries()) again.replay(output, 2 + i)
    void again.start()
    again.accepted(batchOf(agent('late', {}, { spanId: 'nobody' }), chat()), 20)
    await turn()
    await turn()
    const shop = kit.sink
      .samples()
      .filter((s) => s.series.startsWith(counts) && s.series.includes('agent_name="shop"'))
    const seen = shop.map((s) => Number(s.value))
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(seen.filter((v) => v === 0)).toHaveLength(1)
  })

  test('a checkpoint of another form is refused', () => {
    expect(() => kit.made.restore({ position: 1 })).toThrow('another form')
  })
})

test('memory of traces is bounded: past it the oldest is settled as it stands', async () => {
  kit = make({ max_trace_spans: 1000 })
  for (let i = 0; i < 5000; i++)
    send(chat({}, { traceId: i.toString(16).padStart(32, '0'), parentSpanId: 'x' }))
  await turn()
  const counted = values('traces_gen_ai_client_operation_duration_seconds_count', 'gen_ai_agent_name')
  expect(counted).toEqual({ shop: 4000 })
  await turn(60_000)
  expect(values('traces_gen_ai_client_operation_duration_seconds_count', 'gen_ai_agent_name')).toEqual({
    shop: 5000,
  })
})

test('every series says what it is', async () => {
  send(chat(), agent('a'), tool('t'))
  await turn()
  const metadata = new Set(kit.sink.batches.flatMap((b) => b.metadata.map((m) => m.metric)))
  for (const { series } of kit.sink.samples()) {
    const family = series.replace(/\{.*/, '').replace(/_(bucket|sum|count)$/, '')
    expect(metadata.has(family), family).toBe(true)
  }
})

describe('what others may send', () => {
  test('values that are the same once they are cut are one series, and each span counts', async () => {
    kit = make({ dimensions: ['region'], max_label_length: 16 })
    const long = 'x'.repeat(16)
    for (const end of ['a', 'b', 'c']) {
      const region = { region: `${long}${end}` }
      send(
        span(region, { resource: resource(`${long}${end}`) }),
        tool('t', { 'gen_ai.agent.name': `${long}${end}` }),
      )
    }
    await turn()
    expect(values('traces_spanmetrics_calls_total', 'region', 'job')).toEqual({
      [`${long} ${long}`]: 3,
      ' shop': 3,
    })
    expect(values('traces_gen_ai_execute_tool_duration_seconds_count', 'gen_ai_agent_name')).toEqual({
      [long]: 3,
    })
  })

  test('calls that wait go up with their parents together: many of them beneath a deep chain, children first', async () => {
    const many = 30_000
    const id = (i: number): string => `f${i.toString(16).padStart(15, '0')}`
    send(...Array.from({ length: many }, () => tool('t', {}, { parentSpanId: id(0) })))
    const chain = Array.from({ length: many }, (_, i) => span({}, { spanId: id(i), parentSpanId: id(i + 1) }))
    send(...chain, agent('top', {}, { spanId: id(many) }))
    await turn()
    const metric = 'traces_gen_ai_execute_tool_duration_seconds_count'
    expect(values(metric, 'gen_ai_agent_name')).toEqual({ top: many })
  })

  test.each([[['span.kind']], [['__name__']], [['le']], [['2xx']], [['a.b', 'a_b']]])(
    'attributes whose labels would clash are refused: %j',
    (dimensions) => {
      expect(spanMetricsSchema.safeParse({ dimensions }).success).toBe(false)
    },
  )
})
