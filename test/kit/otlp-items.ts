// Export requests of spans and log records in protobuf, written by hand: for loads, and for what no exporter sends.
import { bytesField, varintField } from '../../src/lib/protobuf.ts'

export const concat = (...parts: readonly Buffer[]): Buffer => Buffer.concat(parts)

export const fixed64Field = (field: number, value: bigint): Buffer => {
  const out = Buffer.alloc(9)
  out[0] = field * 8 + 1
  out.writeBigUInt64LE(BigInt.asUintN(64, value), 1)
  return out
}

type Value = string | number | boolean

const anyValue = (value: Value): Buffer => {
  if (typeof value === 'string') return bytesField(1, value)
  if (typeof value === 'boolean') return Buffer.from([16, value ? 1 : 0])
  if (Number.isInteger(value) && value > 0) return varintField(3, value)
  const out = Buffer.alloc(9)
  out[0] = 33
  out.writeDoubleLE(value, 1)
  return out
}

export const attributeField = (field: number, key: string, value: Value): Buffer =>
  bytesField(field, concat(bytesField(1, key), bytesField(2, anyValue(value))))

export const attributeFields = (field: number, record: Readonly<Record<string, Value>>): Buffer =>
  concat(...Object.entries(record).map(([key, value]) => attributeField(field, key, value)))

/** A request of one resource and scope around items that are written already. */
export const requestOf = (resource: Readonly<Record<string, Value>>, items: readonly Buffer[]): Buffer => {
  const scope = bytesField(1, concat(bytesField(1, 'agents'), bytesField(2, '1.0')))
  return bytesField(
    1,
    concat(
      bytesField(1, attributeFields(1, resource)),
      bytesField(2, concat(scope, ...items.map((item) => bytesField(2, item)))),
    ),
  )
}

export interface SpanFields {
  readonly traceId?: Uint8Array
  readonly spanId?: Uint8Array
  readonly parent?: Uint8Array
  readonly name?: string | Uint8Array
  readonly start?: bigint
  readonly end?: bigint
  readonly attributes?: Readonly<Record<string, Value>>
  /** Fields written already. */
  readonly more?: Buffer
}

export const idOf = (size: 8 | 16, n: number): Buffer => {
  const out = Buffer.alloc(size, 7)
  out.writeUInt32BE(n >>> 0, size - 4)
  return out
}

export const spanMessage = (span: SpanFields): Buffer =>
  concat(
    bytesField(1, span.traceId ?? idOf(16, 1)),
    bytesField(2, span.spanId ?? idOf(8, 1)),
    ...(span.parent ? [bytesField(4, span.parent)] : []),
    bytesField(5, span.name ?? 'chat'),
    varintField(6, 3),
    fixed64Field(7, span.start ?? 0n),
    fixed64Field(8, span.end ?? span.start ?? 0n),
    attributeFields(9, span.attributes ?? {}),
    span.more ?? Buffer.alloc(0),
  )

export const agentResource = {
  'service.name': 'research',
  'service.namespace': 'fleet',
  'service.version': '4.2.7',
  'service.instance.id': 'research-7d9f6c5b8-abcde',
  'host.name': 'node-17',
  'k8s.namespace.name': 'agents',
  'k8s.pod.name': 'research-7d9f6c5b8-abcde',
  'deployment.environment.name': 'production',
  'telemetry.sdk.name': 'opentelemetry',
  'telemetry.sdk.language': 'nodejs',
  'telemetry.sdk.version': '2.1.0',
} as const

/** Spans as a model's calls make them: twelve attributes, ids that never repeat between calls with other `from`. */
const chatAttributes = (id: number): Record<string, string | number> => ({
  'gen_ai.operation.name': 'chat',
  'gen_ai.provider.name': 'openai',
  'gen_ai.request.model': 'gpt-5-mini',
  'gen_ai.response.model': 'gpt-5-mini-2026-03-01',
  'gen_ai.response.id': `chatcmpl-${(id * 2654435761).toString(36)}`,
  'gen_ai.usage.input_tokens': 800 + (id % 997),
  'gen_ai.usage.output_tokens': 50 + (id % 331),
  'gen_ai.agent.name': `agent-${id % 40}`,
  'gen_ai.conversation.id': `conv-${(id >>> 3).toString(16)}`,
  'gen_ai.request.temperature': 0.25,
  'server.address': 'api.openai.com',
  'server.port': 443,
})

export const chatSpans = (n: number, from: number, startAt: number): Buffer => {
  const start = BigInt(startAt) * 1_000_000n
  return requestOf(
    agentResource,
    Array.from({ length: n }, (_, i) => {
      const id = from + i
      return spanMessage({
        traceId: idOf(16, id >>> 3),
        spanId: idOf(8, id),
        ...(id % 8 === 0 ? {} : { parent: idOf(8, id - (id % 8)) }),
        name: 'chat gpt-5-mini',
        start: start + BigInt(i) * 1000n,
        end: start + BigInt(i) * 1000n + 812_345_678n,
        attributes: chatAttributes(id),
      })
    }),
  )
}

/** What each of the eight spans of a run says: an agent, three calls of models, two tools, two calls over HTTP. */
const partOfRun = (id: number): { name: string; attributes: Record<string, string | number> } => {
  const agent = { 'gen_ai.agent.name': `agent-${(id >>> 3) % 40}`, 'gen_ai.agent.version': '4.2.0' }
  const conversation = { 'gen_ai.conversation.id': `conv-${(id >>> 3).toString(16)}` }
  const host = { 'server.address': 'api.example.com', 'server.port': 443, 'network.protocol.version': '2' }
  switch (id % 8) {
    case 0:
      return {
        name: 'invoke_agent',
        attributes: {
          'gen_ai.operation.name': 'invoke_agent',
          'gen_ai.provider.name': 'openai',
          ...agent,
          ...conversation,
          'gen_ai.agent.id': `a-${(id >>> 3) % 40}`,
          'enduser.id': `u-${id % 5000}`,
          'deployment.environment.name': 'production',
          'app.feature': 'answers',
          'app.tenant': `t-${id % 100}`,
          'app.plan': 'team',
          'thread.name': 'worker',
        },
      }
    case 3:
    case 5:
      return {
        name: `execute_tool tool-${id % 7}`,
        attributes: {
          'gen_ai.operation.name': 'execute_tool',
          'gen_ai.tool.name': `tool-${id % 7}`,
          'gen_ai.tool.type': 'function',
          'gen_ai.tool.call.id': `call_${id}`,
          ...agent,
          ...conversation,
          'code.function.name': 'Tools.run',
          'thread.name': 'worker',
          'app.tenant': `t-${id % 100}`,
          'app.cache': id % 2 === 0 ? 'hit' : 'miss',
          'app.rows': id % 50,
        },
      }
    case 4:
    case 6:
      return {
        name: 'GET',
        attributes: {
          'http.request.method': 'GET',
          'http.response.status_code': 200,
          'url.full': `https://api.example.com/v1/items/${id}?page=2`,
          ...host,
          'http.request.resend_count': 0,
          'user_agent.original': 'agents/4.2',
          'network.peer.address': '10.1.2.3',
          'network.peer.port': 443,
          'url.scheme': 'https',
          'app.tenant': `t-${id % 100}`,
        },
      }
    default:
      return { name: 'chat gpt-5-mini', attributes: chatAttributes(id) }
  }
}

/** Traces of eight spans as runs of agents have them, twelve attributes a span. */
export const runSpans = (n: number, from: number, startAt: number): Buffer => {
  const start = BigInt(startAt) * 1_000_000n
  return requestOf(
    agentResource,
    Array.from({ length: n }, (_, i) => {
      const id = from + i
      return spanMessage({
        traceId: idOf(16, id >>> 3),
        spanId: idOf(8, id),
        ...(id % 8 === 0 ? {} : { parent: idOf(8, id - (id % 8)) }),
        start: start + BigInt(i) * 1000n,
        end: start + BigInt(i) * 1000n + 112_345_678n,
        ...partOfRun(id),
      })
    }),
  )
}

export const logRecords = (n: number, from: number, startAt: number): Buffer => {
  const start = BigInt(startAt) * 1_000_000n
  return requestOf(
    agentResource,
    Array.from({ length: n }, (_, i) =>
      concat(
        fixed64Field(1, start + BigInt(i) * 1000n),
        varintField(2, 9),
        bytesField(3, 'INFO'),
        bytesField(
          5,
          bytesField(1, `step ${i} of run ${from + i}: the tool web-search gave ${i % 50} results`),
        ),
        attributeFields(6, {
          'run.id': `run-${from + i}`,
          'code.function.name': 'Runner.step',
          step: i + 1,
          outcome: 'ok',
        }),
        bytesField(9, idOf(16, (from + i) >>> 3)),
        bytesField(10, idOf(8, from + i)),
        fixed64Field(11, start + BigInt(i) * 1000n),
      ),
    ),
  )
}
