// Kill -9 while spans and log records come in: what was acknowledged is stored, and a span that its sender sends again is stored once.
import { afterEach, expect, it } from 'vitest'
import { bytesField } from '../../src/lib/protobuf.ts'
import { askClickHouse } from '../kit/ask-clickhouse.ts'
import { concat, fixed64Field, idOf, requestOf, spanMessage } from '../kit/otlp-items.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { seededRandom } from '../kit/random.ts'
import { until } from '../kit/until.ts'

let product: Product | undefined
let first: Product | undefined
afterEach(async () => {
  await product?.dispose()
  await first?.dispose()
})

const nanos = (): bigint => BigInt(Date.now()) * 1_000_000n
const spans = (n: number): Buffer =>
  requestOf(
    { 'service.name': 'shop' },
    [0, 1, 2].map((i) =>
      spanMessage({ traceId: idOf(16, n + 1), spanId: idOf(8, n * 3 + i + 1), start: nanos() }),
    ),
  )
const record = (n: number): Buffer =>
  requestOf({ 'service.name': 'shop' }, [
    concat(fixed64Field(1, nanos()), bytesField(5, bytesField(1, `record ${n}`))),
  ])

const pause = (ms: number): Promise<void> => new Promise((done) => setTimeout(done, ms))
const taken = async (target: Product, signal: string, body: Buffer): Promise<boolean> => {
  try {
    const answer = await fetch(`${target.otlpHttp}/v1/${signal}`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-protobuf' },
      body: new Uint8Array(body),
    })
    return answer.status === 200 && (await answer.text()) === ''
  } catch {
    return false
  }
}

it('keeps what it acknowledged, and each span once however often it is sent', async () => {
  const dice = seededRandom('items')
  const { seed } = dice
  let going = true
  let n = 0
  const logged = new Set<string>()
  let sent = 0
  // As an exporter does: the same bytes again and again until they are taken.
  const sendSpans = async (): Promise<void> => {
    while (going) {
      const body = spans(n++)
      while (!(await taken(product!, 'traces', body))) await pause(20)
      sent += 3
      if (sent % 5 === 0) expect(await taken(product!, 'traces', body)).toBeDefined()
    }
  }
  const sendLogs = async (): Promise<void> => {
    while (going) {
      const text = n++
      if (await taken(product!, 'logs', record(text))) logged.add(`record ${text}`)
      else await pause(20)
    }
  }
  first = await startProduct({ files: { 'airboss.yaml': 'rule_files: []\nhost: { enabled: false }\n' } })
  product = first
  const senders = [sendSpans(), sendSpans(), sendLogs(), sendLogs()]
  for (const whom of ['main', 'engine', 'all'] as const) {
    await pause(300 + dice.below(1200))
    if (whom === 'engine') {
      const engine = product.enginePid()
      if (engine !== null) process.kill(engine, 'SIGKILL')
      continue
    }
    const dying: Product = product
    dying.signal('SIGKILL', whom)
    await until('the end of all processes', () => dying.pids().length === 0, 15_000)
    product = await startProduct({ dir: first.dir })
  }
  await pause(300)
  going = false
  await Promise.all(senders)

  const living = product
  await until(
    'the log to be stored',
    async () => {
      const status = await (await living.fetch('/api/ops/v1/status')).json()
      return (status as { log: { pending_rows: number } }).log.pending_rows === 0
    },
    30_000,
  )
  const [stored] = await askClickHouse<{ rows: string; once: string }>(
    living,
    'SELECT count() AS rows, uniqExact(TraceId, SpanId) AS once FROM otel_traces',
  )
  expect(Number(stored!.once), `seed ${seed}: spans lost`).toBe(sent)
  expect(Number(stored!.rows), `seed ${seed}: spans doubled`).toBe(sent)
  expect(sent).toBeGreaterThan(50)
  const bodies = await askClickHouse<{ Body: string }>(living, 'SELECT Body FROM otel_logs')
  const there = new Set(bodies.map((b) => b.Body))
  expect(there.size, `seed ${seed}: records doubled`).toBe(bodies.length)
  expect(
    [...logged].filter((text) => !there.has(text)),
    `seed ${seed}: records lost`,
  ).toEqual([])
  expect(logged.size).toBeGreaterThan(20)
  const metrics = await (await living.fetch('/metrics')).text()
  expect(metrics).toMatch(/airboss_receive_spans_repeated_total\{protocol="otlp_http"\} [1-9]/)
}, 120_000)
