// What metrics of spans cost: microseconds a span beside decoding, on web traffic and on agents' traces, and what a flush and a checkpoint take.
// node test/bench/span-metrics.ts [rounds]
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { type Batch, sampleBatch } from '../../src/model/batch.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { SeriesTable } from '../../src/model/series.ts'
import type { Attributes, Span } from '../../src/model/span.ts'
import { spanMetricsSchema } from '../../src/receive/span-metrics/config.ts'
import { SpanMetrics } from '../../src/receive/span-metrics/span-metrics.ts'
import { fakeMetrics } from '../kit/metrics.ts'

const rounds = Number(process.argv[2] ?? 5)
const batches = 200
const perBatch = 500

const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')
const services = Array.from({ length: 20 }, (_, i) => ({
  service: `service-${i}`,
  job: `service-${i}`,
  instance: `pod-${i}`,
  version: '1.2.3',
  attributes: {},
}))
let made = 0
const span = (trace: number, parent: string, name: string, attributes: Attributes): Span => ({
  traceId: hex(trace, 32),
  spanId: hex(++made, 16),
  parentSpanId: parent,
  name,
  kind: 'internal',
  status: made % 50 === 0 ? 'error' : 'unset',
  startAt: Date.now(),
  duration: (made % 1000) / 100,
  resource: services[trace % services.length]!,
  attributes,
  events: [],
})

const web = (n: number): Span[] => [span(n, '', `GET /route/${n % 40}`, {})]
/** An agent, six calls to a model and three of tools, and what is between them; one of two calls says whose it is. */
const agents = (n: number): Span[] => {
  const top = span(n, '', 'invoke_agent pilot', {
    'gen_ai.operation.name': 'invoke_agent',
    'gen_ai.agent.name': `pilot-${n % 10}`,
    'gen_ai.agent.version': `1.${n % 3}.0`,
    'gen_ai.conversation.id': `c-${n}`,
  })
  const under: Span[] = []
  for (let i = 0; i < 9; i++) {
    const step = span(n, top.spanId, 'step', {})
    const attributes: Attributes =
      i % 3 === 2
        ? {
            'gen_ai.operation.name': 'execute_tool',
            'gen_ai.tool.name': `tool-${i}`,
            'gen_ai.tool.type': 'function',
          }
        : {
            'gen_ai.operation.name': 'chat',
            'gen_ai.provider.name': 'openai',
            'gen_ai.request.model': `model-${n % 5}`,
            'gen_ai.response.model': `model-${n % 5}-2026`,
            'gen_ai.response.id': hex(made, 12),
            'gen_ai.response.finish_reasons': '["stop"]',
            'gen_ai.usage.input_tokens': '1200',
            'gen_ai.usage.output_tokens': '90',
            'gen_ai.usage.cache_read.input_tokens': '600',
            'gen_ai.conversation.id': `c-${n}`,
            ...(i % 2 === 0 ? { 'gen_ai.agent.name': `pilot-${n % 10}` } : {}),
          }
    under.push(span(n, step.spanId, 'call', attributes), step)
  }
  return [...under, top]
}

const batchesOf = (make: (n: number) => Span[]): Batch[] => {
  let n = 0
  return Array.from({ length: batches }, () => {
    const read: Span[] = []
    while (read.length < perBatch) read.push(...make(n++))
    const spans = { bytes: new Uint8Array(0), ends: new Uint32Array(read.length), read }
    return { ...sampleBatch([], [], []), spans }
  })
}

const measure = (name: string, make: (n: number) => Span[]): void => {
  const times: number[] = []
  let series = 0
  let saved = 0
  for (let round = 0; round < rounds; round++) {
    const list = batchesOf(make)
    const table = new SeriesTable(1_000_000)
    const metrics = new SpanMetrics({
      config: spanMetricsSchema.parse({}),
      table,
      sink: { push: () => Promise.resolve() },
      limits: defaultAdmission,
      fresh: (batch) => batch.spans?.read ?? [],
      clock: systemClock,
      log: silentLogger(),
      metrics: fakeMetrics(),
    })
    const spans = list.reduce((n, b) => n + b.spans!.read!.length, 0)
    const from = performance.now()
    for (const [i, batch] of list.entries()) metrics.accepted(batch, i)
    times.push(((performance.now() - from) * 1000) / spans)
    const before = performance.now()
    const text = JSON.stringify(metrics.checkpoint())
    saved = performance.now() - before
    series = text.length
  }
  times.sort((a, b) => a - b)
  process.stdout.write(
    `${name}: ${times[Math.floor(times.length / 2)]!.toFixed(2)} µs a span (${times.map((t) => t.toFixed(2)).join(', ')}); checkpoint ${(series / 1024).toFixed(0)} KiB in ${saved.toFixed(1)} ms\n`,
  )
}

measure('web', web)
measure('agents', agents)
