import { expect, test } from 'vitest'
import { spanRows } from '../../test/kit/span-rows.ts'
import { millisOf, readSpans } from './span-rows.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'

test('reads spans back with the attributes that are wanted, and none else', () => {
  const rows = spanRows([
    {
      traceId,
      spanId: 'b7ad6b7169203331',
      parentSpanId: '00f067aa0ba902b7',
      name: 'chat größer',
      kind: 'client',
      status: 'error',
      start: 1_790_000_000_123_456_789n,
      duration: 2_500_000_000n,
      resource: {
        'service.name': 'shop',
        'service.namespace': 'eu',
        'service.instance.id': 'i-1',
        'service.version': '1.2',
        team: 'search',
      },
      attributes: { 'gen_ai.request.model': 'm', other: 'x', __proto__x: 'y' },
      events: [
        { name: 'exception', at: 1_790_000_000_200_000_000n, attributes: { 'gen_ai.event': '1', no: '2' } },
      ],
    },
    { traceId, spanId: 'b7ad6b7169203332' },
  ])
  const wanted = (key: string): boolean => key.startsWith('gen_ai.') || key === 'team'
  const [first, second] = readSpans(rows, wanted)
  expect(first).toStrictEqual({
    traceId,
    spanId: 'b7ad6b7169203331',
    parentSpanId: '00f067aa0ba902b7',
    name: 'chat größer',
    kind: 'client',
    status: 'error',
    startAt: 1_790_000_000_123.4568,
    duration: 2.5,
    resource: {
      service: 'shop',
      job: 'eu/shop',
      instance: 'i-1',
      version: '1.2',
      attributes: { team: 'search' },
    },
    attributes: { 'gen_ai.request.model': 'm' },
    events: [{ name: 'exception', at: 1_790_000_000_200, attributes: { 'gen_ai.event': '1' } }],
  })
  expect(second).toMatchObject({ parentSpanId: '', events: [], resource: { service: '', job: '' } })
})

test('spans of one resource share it', () => {
  const resource = { 'service.name': 'shop' }
  const rows = spanRows(['1', '2', '3'].map((n) => ({ traceId, spanId: n.repeat(16), resource })))
  const [a, b, c] = readSpans(rows, () => true)
  expect(a!.resource).toBe(b!.resource)
  expect(b!.resource).toBe(c!.resource)
})

test.each([
  [0n, 0],
  [1_500_000n, 1.5],
  [4_294_967_296_000_001n, 4_294_967_296.000001],
  [1_790_000_000_000_000_001n, 1_790_000_000_000],
  [18_446_744_073_709_551_615n, 18_446_744_073_709.55],
])('%s nanoseconds are %d ms', (nanos, millis) => {
  expect(millisOf(Number(nanos & 0xffffffffn), Number(nanos >> 32n))).toBe(millis)
})
