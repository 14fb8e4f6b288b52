import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  attributeFields,
  concat,
  fixed64Field,
  idOf,
  requestOf,
  type SpanFields,
  spanMessage,
} from '../../../test/kit/otlp-items.ts'
import { AppError } from '../../lib/errors.ts'
import { bytesField, varintField } from '../../lib/protobuf.ts'
import { RowCursor } from '../../lib/row-cursor.ts'
import { readSpans, type Wanted } from '../../model/span-rows.ts'
import { otlpSchema } from './config.ts'
import { decodeLogs } from './decode-logs.ts'
import { decodeSpans } from './decode-spans.ts'
import { SignalMemory } from './envelope.ts'
import { logsRequest, traceRequest } from './json-shapes.ts'
import { jsonToWire } from './json-wire.ts'
import { rulesOf } from './signal-ingest.ts'

const now = Date.parse('2026-05-01T00:00:00Z')
const at = BigInt(now) * 1_000_000n
const times = { oldestAt: now - 86_400_000, newestAt: now + 600_000 }
const nowWords = { low: Number(at & 0xffffffffn), high: Number(at >> 32n) }
const everything: Wanted = () => true

const memory = (config: object = {}, wanted = everything): SignalMemory =>
  new SignalMemory(rulesOf(otlpSchema.parse(config), wanted))
const spansOf = (items: readonly SpanFields[], config: object = {}, seen: ReadonlySet<number> = new Set()) =>
  decodeSpans(
    requestOf(
      { 'service.name': 'shop' },
      items.map((s, i) => spanMessage({ spanId: idOf(8, i + 1), start: at, ...s })),
    ),
    memory(config),
    times,
    (id) => seen.has(id[5]!),
  )
const event = (name: string | Uint8Array, attributes: Record<string, string>): Buffer =>
  bytesField(11, concat(fixed64Field(1, at), bytesField(2, name), attributeFields(3, attributes)))

/** The maps of a log row: of its resource, its scope, itself; and its texts. */
const logRow = (rows: { readonly bytes: Uint8Array }) => {
  const c = new RowCursor(rows.bytes)
  const map = (): Record<string, string> => {
    const pairs = c.map()
    return Object.fromEntries(
      Array.from({ length: pairs.length / 2 }, (_, i) => pairs.slice(i * 2, i * 2 + 2)),
    )
  }
  c.words()
  const time = (BigInt(c.high) << 32n) | BigInt(c.low)
  const [traceId, spanId, flags, severityText, severity, service, body] = [
    c.string(),
    c.string(),
    c.byte(),
    c.string(),
    c.byte(),
    c.string(),
    c.string(),
  ]
  c.string()
  const resource = map()
  c.string()
  const [scope, version] = [c.string(), c.string()]
  map()
  const attributes = map()
  const eventName = c.string()
  expect(c.at).toBe(rows.bytes.length)
  return {
    time,
    traceId,
    spanId,
    flags,
    severityText,
    severity,
    service,
    body,
    resource,
    scope,
    version,
    attributes,
    eventName,
  }
}
const logsOf = (fields: readonly Buffer[], config: object = {}) =>
  decodeLogs(requestOf({ 'service.name': 'shop' }, [concat(...fields)]), memory(config), times, nowWords)

describe('spans', () => {
  const value = fc.oneof(
    fc.string({ unit: 'grapheme', maxLength: 60 }),
    fc.integer({ min: 1 }),
    fc.double({ noInteger: true }),
    fc.boolean(),
  )
  const span = fc.record({
    traceId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    spanId: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    parent: fc.uint8Array({ minLength: 8, maxLength: 8 }),
    name: fc.string({ unit: 'grapheme', maxLength: 80 }),
    start: fc.bigInt({ min: at - 1_000_000_000_000n, max: at }),
    end: fc.bigInt({ min: at - 1_000_000_000_000n, max: at }),
    attributes: fc.dictionary(fc.string({ unit: 'grapheme', maxLength: 30 }), value, { maxKeys: 20 }),
    more: fc.array(
      fc.tuple(fc.string({ maxLength: 20 }), fc.dictionary(fc.string(), fc.string(), { maxKeys: 4 })),
      {
        maxLength: 4,
      },
    ),
  })

  it('are read back from their rows exactly as they were given beside them', () => {
    const wanted = (key: string): boolean => key.length % 3 !== 0
    fc.assert(
      fc.property(fc.array(span, { maxLength: 12 }), fc.dictionary(fc.string(), value), (spans, resource) => {
        const items = spans.map(({ more, ...s }) =>
          spanMessage({ ...s, more: concat(...more.map(([name, attributes]) => event(name, attributes))) }),
        )
        const { rows } = decodeSpans(
          requestOf({ ...resource, 'service.name': 'shop' }, items),
          memory({}, wanted),
          times,
          () => false,
        )
        expect(readSpans(rows, wanted)).toStrictEqual(rows.read)
      }),
      { numRuns: 300 },
    )
  })

  it('are refused one by one for their ids and times, with a reason, and the rest is kept', () => {
    const { rows, tally } = spansOf([
      {},
      { traceId: idOf(16, 1).subarray(1) },
      { spanId: Buffer.alloc(8) },
      { traceId: Buffer.alloc(16) },
      { parent: Buffer.alloc(3, 1) },
      { start: at - 90_000_000_000_000n, name: 'ancient' },
      { start: 0n },
      { start: at + 700_000_000_000n },
      { end: 0xffffffffffffffffn },
      { parent: Buffer.alloc(8), name: 'last' },
    ])
    expect(rows.read!.map((s) => [s.name, s.parentSpanId])).toEqual([
      ['chat', ''],
      ['last', ''],
    ])
    expect(Object.fromEntries([...tally.refused].map(([why, { count }]) => [why, count]))).toEqual({
      bad_id: 4,
      too_old: 2,
      too_far_ahead: 2,
    })
    expect(tally.refused.get('too_old')!.example).toBe(
      'span "ancient" began before what is kept (storage.retention.traces)',
    )
  })

  it('that were accepted before, or stand twice in one request, are left out', () => {
    const { rows, tally } = spansOf([{}, {}, { spanId: idOf(8, 1) }, {}], {}, new Set([2]))
    expect(rows.read!.map((s) => s.spanId.slice(-1))).toEqual(['1', '4'])
    expect(tally.repeated).toBe(2)
  })

  it('end no sooner than they begin', () => {
    const { rows } = spansOf([
      { start: at, end: at - 5n },
      { start: at - 1_500_000_000n, end: at },
    ])
    expect(rows.read!.map((s) => s.duration)).toEqual([0, 1.5])
  })

  it('are cut to the limits, and what was cut is counted', () => {
    const attributes = Object.fromEntries(Array.from({ length: 7 }, (_, i) => [`k${i}`, 'äöüäöüäöüä']))
    const { rows, tally } = spansOf(
      [{ attributes, name: 'n'.repeat(40), more: concat(...['a', 'b', 'c'].map((name) => event(name, {}))) }],
      { limits: { attributes: 5, value_length: 17, events: 2 } },
    )
    const [only] = rows.read!
    expect(Object.keys(only!.attributes)).toHaveLength(5)
    expect(only!.attributes['k0']).toBe('äöüäöüäö')
    expect(only!.name).toBe('n'.repeat(17))
    expect(only!.events).toHaveLength(2)
    expect(Object.fromEntries(tally.changed)).toEqual({
      attributes_left_out: 2,
      values_cut: 6,
      events_left_out: 1,
    })
    expect(readSpans(rows, everything)).toStrictEqual(rows.read)
  })

  it('keep each key once, and texts that are no UTF-8 are repaired', () => {
    const twice = concat(
      attributeFields(9, { a: 'first' }),
      attributeFields(9, { a: 'second', __proto__: 'x' }),
    )
    const broken = bytesField(
      9,
      concat(bytesField(1, 'b'), bytesField(2, bytesField(1, Buffer.from([0x61, 0xff])))),
    )
    const { rows, tally } = spansOf([{ name: Buffer.from([0xc3, 0x28]), more: concat(twice, broken) }])
    expect(rows.read![0]).toMatchObject({ name: '\ufffd(', attributes: { a: 'first', b: 'a\ufffd' } })
    expect(Object.fromEntries(tally.changed)).toEqual({ duplicate_attributes: 1, invalid_utf8: 2 })
  })

  it('with values nested too deep lose those', () => {
    let deep = bytesField(1, 'x')
    for (let i = 0; i < 40; i++) deep = bytesField(5, bytesField(1, deep))
    const { rows, tally } = spansOf([
      { attributes: { a: 'b' }, more: bytesField(9, concat(bytesField(1, 'deep'), bytesField(2, deep))) },
    ])
    expect(rows.read![0]!.attributes).toEqual({ a: 'b' })
    expect(tally.changed.get('nested_too_deep')).toBe(1)
  })

  it('that would make far more rows than was sent are refused whole', () => {
    const resource = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`k${i}`, 'x'.repeat(50_000)]))
    const items = Array.from({ length: 100 }, (_, i) => spanMessage({ spanId: idOf(8, i + 1), start: at }))
    expect(() => decodeSpans(requestOf(resource, items), memory(), times, () => false)).toThrow(
      /over 268435456 bytes; send smaller batches/,
    )
  })

  it('leave out links with ids of a wrong length', () => {
    const link = (id: Buffer) => bytesField(13, concat(bytesField(1, id), bytesField(2, idOf(8, 5))))
    const { rows, tally } = spansOf([{ more: concat(link(idOf(16, 5)), link(idOf(8, 5))) }])
    expect(tally.changed.get('links_with_bad_ids')).toBe(1)
    expect(readSpans(rows, everything)).toStrictEqual(rows.read)
  })

  it('broken requests throw nothing but bad_data', () => {
    const good = requestOf({ 'service.name': 's' }, [
      spanMessage({ start: at, attributes: { a: 'b', c: 1 }, more: event('e', { x: 'y' }) }),
    ])
    const shared = memory()
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (place, byte) => {
        const bad = Buffer.from(good)
        bad[place] = byte
        try {
          const { rows } = decodeSpans(bad, shared, times, () => false)
          expect(readSpans(rows, everything)).toStrictEqual(rows.read)
        } catch (error) {
          if (!(error instanceof AppError && error.code === 'bad_data')) throw error
        }
      }),
      { numRuns: 3000 },
    )
  })
})

describe('content', () => {
  const attributes = {
    'gen_ai.input.messages': 'tell mail@example.com',
    'gen_ai.prompt.0.content': 'x',
    'gen_ai.prompt.name': 'greeting',
    'llm.output_messages.3.message.content': 'x',
    'input.value': 'x',
    'gen_ai.usage.input_tokens': 5,
    note: 'write to mail@example.com',
  }
  const left = {
    'gen_ai.prompt.name': 'greeting',
    'gen_ai.usage.input_tokens': '5',
    note: 'write to mail@example.com',
  }
  const read = (config: object, more: Record<string, string> = {}) =>
    spansOf([{ attributes: { ...attributes, ...more } }], { content: config })

  it('is dropped, and counted by what it was', () => {
    const { rows, tally } = read({})
    expect(rows.read![0]!.attributes).toEqual(left)
    expect(Object.fromEntries(tally.content)).toEqual({
      'gen_ai.input.messages': 1,
      'gen_ai.prompt': 1,
      'llm.output_messages': 1,
      'input.value': 1,
    })
  })

  it('leaves a digest of what a tool was given, by which the same is known again', () => {
    const given = (q: string, more: Record<string, string> = {}): SpanFields => ({
      attributes: { 'gen_ai.tool.call.arguments': q, 'traceloop.entity.input': q, ...more },
    })
    const items = [given('{"q":1}'), given('{"q":1}'), given('{"q":2}'), given('')]
    const { rows } = spansOf(items)
    const digests = rows.read!.map((s) => s.attributes)
    expect(digests[0]).toEqual({
      'airboss.tool.call.arguments.digest': expect.stringMatching(/^[0-9a-f]{16}$/),
    })
    expect(digests[1]).toEqual(digests[0])
    expect(digests[2]).not.toEqual(digests[0])
    expect(digests[3]).toEqual({})
    expect(readSpans(rows, everything).map((s) => s.attributes)).toEqual(digests)
    // Another process has another secret.
    expect(spansOf(items).rows.read![0]!.attributes).not.toEqual(digests[0])
    const kept = spansOf([given('{"q":1}')], { content: { keep: true } })
    expect(Object.keys(kept.rows.read![0]!.attributes)).toEqual(Object.keys(given('').attributes!))
  })

  it('is kept for all, for a service, or for an agent', () => {
    expect(Object.keys(read({ keep: true }).rows.read![0]!.attributes)).toHaveLength(7)
    expect(Object.keys(read({ keep: ['shop'] }).rows.read![0]!.attributes)).toHaveLength(7)
    expect(read({ keep: ['bank'] }).rows.read![0]!.attributes).toEqual(left)
    const agent = read({ keep: ['scout'] }, { 'gen_ai.agent.name': 'scout' })
    expect(Object.keys(agent.rows.read![0]!.attributes)).toHaveLength(8)
  })

  it('is masked where it is kept, and everything else where that is asked for', () => {
    const kept = read({ keep: true, mask: ['email'] }).rows.read![0]!.attributes
    expect(kept['gen_ai.input.messages']).toBe('tell <email>')
    expect(kept['note']).toBe('write to mail@example.com')
    const all = read({ mask: ['email', { pattern: 'wr.te', replacement: 'say' }], apply_to: 'everything' })
    expect(all.rows.read![0]!.attributes['note']).toBe('say to <email>')
  })

  it('of events and log records that are messages goes with them', () => {
    const { rows } = spansOf([
      {
        more: event('gen_ai.choice', { 'gen_ai.system': 'openai', message: 'secret', finish_reason: 'stop' }),
      },
    ])
    expect(rows.read![0]!.events[0]!.attributes).toEqual({ 'gen_ai.system': 'openai', finish_reason: 'stop' })
    const record = [
      fixed64Field(1, at),
      bytesField(5, bytesField(1, 'secret')),
      attributeFields(6, {
        'event.name': 'gen_ai.user.message',
        content: 'secret',
        'gen_ai.system': 'openai',
      }),
    ]
    const dropped = logsOf(record)
    expect(logRow(dropped.rows)).toMatchObject({
      body: '',
      attributes: { 'event.name': 'gen_ai.user.message', 'gen_ai.system': 'openai' },
    })
    expect(Object.fromEntries(dropped.tally.content)).toEqual({ body: 1, message: 1 })
    expect(
      logRow(logsOf(record, { content: { keep: true, mask: [{ pattern: 'secret' }] } }).rows),
    ).toMatchObject({
      body: '<hidden>',
    })
  })
})

describe('log records', () => {
  it('become rows in the order of the table', () => {
    const { rows } = logsOf([
      fixed64Field(1, at + 1n),
      varintField(2, 17),
      bytesField(3, 'ERROR'),
      bytesField(5, bytesField(1, 'failed')),
      attributeFields(6, { run: 'r1' }),
      Buffer.from([69, 1, 0, 0, 0]),
      bytesField(9, idOf(16, 1)),
      bytesField(10, idOf(8, 2)),
      bytesField(12, 'agent.run'),
    ])
    expect(logRow(rows)).toEqual({
      time: at + 1n,
      traceId: idOf(16, 1).toString('hex'),
      spanId: idOf(8, 2).toString('hex'),
      flags: 1,
      severityText: 'ERROR',
      severity: 17,
      service: 'shop',
      body: 'failed',
      resource: { 'service.name': 'shop' },
      scope: 'agents',
      version: '1.0',
      attributes: { run: 'r1' },
      eventName: 'agent.run',
    })
  })

  it('without a time have that at which they were seen, or came', () => {
    expect(logRow(logsOf([fixed64Field(11, at + 7n)]).rows).time).toBe(at + 7n)
    expect(logRow(logsOf([bytesField(3, 'INFO')]).rows).time).toBe(at)
  })

  it('are refused for ids and times that cannot be, and cut where they are too long', () => {
    expect([...logsOf([fixed64Field(1, 5n)]).tally.refused.keys()]).toEqual(['too_old'])
    expect([...logsOf([bytesField(9, Buffer.alloc(3))]).tally.refused.keys()]).toEqual(['bad_id'])
    const long = logsOf([bytesField(5, bytesField(1, 'x'.repeat(100)))], { limits: { body_length: 16 } })
    expect(logRow(long.rows).body).toBe('x'.repeat(16))
    expect(long.tally.changed.get('values_cut')).toBe(1)
  })
})

describe('JSON', () => {
  const json = (span: object) =>
    Buffer.from(
      JSON.stringify({
        resourceSpans: [
          { resource: {}, scopeSpans: [{ spans: [{ unknown: { a: [1, null, {}] }, ...span }] }] },
        ],
      }),
    )
  const traceId = '0AF7651916cd43dd8448eb211c80319c'
  const spanId = 'b7ad6b7169203331'
  const decoded = (span: object) =>
    decodeSpans(jsonToWire(json(span), traceRequest), memory(), times, () => false)

  it('says a span in names and numbers, integers as text, ids in hexadecimal of either case', () => {
    const { rows } = decoded({
      traceId,
      spanId,
      parentSpanId: null,
      kind: 'SPAN_KIND_CLIENT',
      name: 'a "quoted" \\u00e4\n',
      startTimeUnixNano: String(at),
      end_time_unix_nano: Number(at + 1_000_000n),
      status: { code: 'STATUS_CODE_ERROR' },
      attributes: [
        { key: 'n', value: { intValue: '-9223372036854775808' } },
        { key: 'd', value: { doubleValue: 0.5 } },
        { key: 'l', value: { arrayValue: { values: [{ boolValue: true }, { stringValue: 'x' }] } } },
        { key: 'b', value: { bytesValue: 'aGk=' } },
        { key: 'm', value: { kvlistValue: { values: [{ key: 'k', value: {} }] } } },
      ],
    })
    expect(rows.read![0]).toMatchObject({
      traceId: traceId.toLowerCase(),
      spanId,
      kind: 'client',
      status: 'error',
      name: 'a "quoted" \\u00e4\n',
      duration: 0.001,
      attributes: { n: '-9223372036854775808', d: '0.5', l: '[true,"x"]', b: 'aGk=', m: '{"k":null}' },
    })
  })

  it.each([['abc'], ['zz'.repeat(16)], [traceId.slice(1)], ['']])('refuses a span with the id %j', (id) => {
    const { tally } = decoded({ traceId: id, spanId, startTimeUnixNano: String(at) })
    expect([...tally.refused.keys()]).toEqual(['bad_id'])
  })

  it.each([
    [{ name: 7 }, /resourceSpans\[0\]\.scopeSpans\[0\]\.spans\[0\]\.name is not text/],
    [
      { attributes: [{ key: 'a' }, { key: 'b', value: 5 }] },
      /spans\[0\]\.attributes\[1\]\.value is not an object/,
    ],
    [{ events: {} }, /spans\[0\]\.events is not a list/],
    [{ startTimeUnixNano: '-5' }, /startTimeUnixNano is not zero or more/],
    [{ startTimeUnixNano: '99999999999999999999' }, /startTimeUnixNano is not an integer of 64 bits/],
    [{ attributes: [{ key: 'a', value: { boolValue: 'yes' } }] }, /value\.boolValue is not true or false/],
  ])('names the place of %j', (span, message) => {
    expect(() => decoded(span)).toThrow(message)
  })

  it.each([
    '',
    '[]',
    '{',
    '{"a" 1}',
    '{"a":1,}',
    '{} x',
    '{"a":tru}',
    '{"a":"\u0001"}',
    '{"a":[1,}',
    '{"resourceSpans":nul}',
  ])('says bad_data to %j', (text) => {
    expect(() => jsonToWire(Buffer.from(text), logsRequest)).toThrow(AppError)
    expect(() => jsonToWire(Buffer.from(text), logsRequest)).toThrow(/^JSON: /)
  })

  it('is read as JSON.parse reads it, or refused as it refuses', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        const body = Buffer.from(`{"x":${text},"resourceSpans":[]}`)
        expect(jsonToWire(body, traceRequest)).toHaveLength(0)
      }),
      { numRuns: 500 },
    )
  })

  it('nested without end is refused', () => {
    const deep = `${'{"arrayValue":{"values":['.repeat(5000)}${']}}'.repeat(5000)}`
    const body = `{"resourceLogs":[{"resource":{"attributes":[{"value":${deep}}]}}]}`
    expect(() => jsonToWire(Buffer.from(body), logsRequest)).toThrow(/nested more than/)
    const unknown = `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}`
    expect(jsonToWire(Buffer.from(unknown), logsRequest)).toHaveLength(0)
  })

  it('gives integers to the last bit', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }), (n) => {
        const wire = jsonToWire(
          Buffer.from(`{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"timeUnixNano":"${n}"}]}]}]}`),
          logsRequest,
        )
        expect(wire.readBigUInt64LE(wire.length - 8)).toBe(n)
      }),
    )
  })
})
