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
        attributes: {
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
        },
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
