// Airboss's own traces, sent to itself: they arrive, they go on from a caller's, and they make no further ones.

import { createServer } from 'node:net'
import { Client, credentials, Metadata } from '@grpc/grpc-js'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { askClickHouse } from '../kit/ask-clickhouse.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

let product: Product
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
beforeAll(async () => {
  const port = await freePort()
  product = await startProduct({
    files: {
      'airboss.yaml': `rule_files: []
host: { enabled: false }
self: { interval: 1h }
tracing: { endpoint: 'http://127.0.0.1:${port}' }
`,
    },
    args: ['--otlp-http', `127.0.0.1:${port}`],
  })
  await until('tracing', () => product.said().includes('own traces are sent'), 10_000)
})
afterAll(() => product?.dispose())

interface Row {
  readonly TraceId: string
  readonly ParentSpanId: string
  readonly SpanName: string
}
const rows = (): Promise<Row[]> =>
  askClickHouse<Row>(
    product,
    "SELECT TraceId, ParentSpanId, SpanName FROM otel_traces WHERE ServiceName = 'airboss'",
  )
const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
const spanId = '00f067aa0ba902b7'
const traceparent = `00-${traceId}-${spanId}-01`

it('go on from the trace of a caller, over HTTP and gRPC', async () => {
  const answer = await fetch(`${product.otlpHttp}/v1/metrics`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', traceparent },
    body: '{}',
  })
  expect(answer.status).toBe(200)
  const client = new Client(product.otlpGrpc, credentials.createInsecure())
  const metadata = new Metadata()
  metadata.set('traceparent', traceparent)
  const path = '/opentelemetry.proto.collector.logs.v1.LogsService/Export'
  const same = (b: Buffer): Buffer => b
  await new Promise<void>((resolve, reject) =>
    client.makeUnaryRequest(path, same, same, Buffer.alloc(0), metadata, (error) =>
      error ? reject(error) : resolve(),
    ),
  )
  client.close()
  const found = await until('the spans', async () => {
    const mine = (await rows()).filter((r) => r.TraceId === traceId && r.ParentSpanId === spanId)
    return mine.length >= 2 ? mine : null
  })
  expect(found.map((r) => r.SpanName).sort()).toEqual(['POST /v1/*', path.slice(1)])
})

it('make no further ones', async () => {
  // Reading them over the read-only ClickHouse is no request that is traced.
  const settled = async (): Promise<number> => {
    const before = (await rows()).length
    await new Promise((done) => setTimeout(done, 2500))
    return (await rows()).length - before
  }
  await until('an end', async () => (await settled()) === 0, 30_000)
  expect(await settled()).toBe(0)
  expect((await rows()).some((r) => r.SpanName.includes('/v1/traces'))).toBe(false)
})
