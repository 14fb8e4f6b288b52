// What receiving costs: samples a second and CPU seconds per million, remote write and OTLP, into a sink that keeps nothing.
// node test/bench/receive.ts [rounds]
import snappy from 'snappyjs'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { bytesField, varintField } from '../../src/lib/protobuf.ts'
import { snappyDecode } from '../../src/lib/snappy.ts'
import { BatchBuilder, defaultAdmission } from '../../src/model/batch-builder.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { ByteCache } from '../../src/receive/byte-cache.ts'
import { createOtlpHttp } from '../../src/receive/otlp/receiver-http.ts'
import { decodeWriteRequest } from '../../src/receive/remote-write/decode.ts'
import { createRemoteWrite } from '../../src/receive/remote-write/receiver.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { otlpDoors } from '../kit/otlp-doors.ts'
import { chatSpans, logRecords } from '../kit/otlp-items.ts'

const rounds = Number(process.argv[2] ?? 5)
const concat = (...parts: Buffer[]): Buffer => Buffer.concat(parts)
const eight = (write: (out: Buffer) => void): Buffer => {
  const out = Buffer.alloc(8)
  write(out)
  return out
}
const key = (field: number, wire: number): Buffer => Buffer.from([field * 8 + wire])
const fixed = (field: number, value: bigint): Buffer =>
  concat(
    key(field, 1),
    eight((out) => out.writeBigUInt64LE(value)),
  )
const double = (field: number, value: number): Buffer =>
  concat(
    key(field, 1),
    eight((out) => out.writeDoubleLE(value)),
  )

const labelsOf = (i: number): [string, string][] => [
  ['__name__', `node_cpu_seconds_total_${i % 10}`],
  ['cluster', 'production-eu-1'],
  ['cpu', String(i % 64)],
  ['instance', `10.0.${i >> 8}.${i & 255}:9100`],
  ['job', 'node-exporter'],
  ['mode', ['idle', 'user', 'system', 'iowait'][i % 4]!],
  ['namespace', 'monitoring'],
  ['pod', `node-exporter-${(i * 2654435761) % 100000}`],
]

const writeRequest = (series: number, samples: number): Buffer => {
  const now = Date.now()
  const parts = Array.from({ length: series }, (_, i) =>
    bytesField(
      1,
      concat(
        ...labelsOf(i).map(([n, v]) => bytesField(1, concat(bytesField(1, n), bytesField(2, v)))),
        ...Array.from({ length: samples }, (_, s) =>
          bytesField(2, concat(double(1, Math.random() * 1e6), varintField(2, now - (samples - s) * 15_000))),
        ),
      ),
    ),
  )
  return concat(...parts)
}

const attribute = (field: number, k: string, v: string): Buffer =>
  bytesField(field, concat(bytesField(1, k), bytesField(2, bytesField(1, v))))
const attributes = (field: number, p: number): Buffer =>
  concat(
    attribute(field, 'agent.name', `agent-${p}`),
    attribute(field, 'agent.version', '1.4.2'),
    attribute(field, 'outcome', p % 3 ? 'ok' : 'error'),
  )
const nanos = BigInt(Date.now()) * 1_000_000n
const counterPoint = (p: number): Buffer =>
  concat(fixed(2, nanos - 60_000_000_000n), fixed(3, nanos), fixed(6, BigInt(p)), attributes(7, p))
const histogramPoint = (p: number): Buffer =>
  concat(
    fixed(2, nanos - 60_000_000_000n),
    fixed(3, nanos),
    fixed(4, 150n),
    double(5, 12.5),
    bytesField(6, concat(...Array.from({ length: 15 }, () => eight((out) => out.writeBigUInt64LE(10n))))),
    bytesField(
      7,
      concat(...Array.from({ length: 14 }, (_, i) => eight((out) => out.writeDoubleLE(2 ** i / 100)))),
    ),
    attributes(9, p),
  )

const otlpRequest = (metrics: number, points: number, histogram: boolean): Buffer => {
  const metric = (m: number): Buffer =>
    concat(
      bytesField(1, `agent.work.${m}`),
      bytesField(3, '{task}'),
      bytesField(
        histogram ? 9 : 7,
        concat(
          ...Array.from({ length: points }, (_, p) =>
            bytesField(1, histogram ? histogramPoint(p) : counterPoint(p)),
          ),
          varintField(2, 2),
          varintField(3, histogram ? 0 : 1),
        ),
      ),
    )
  const resource = concat(attribute(1, 'service.name', 'pilot'), attribute(1, 'service.instance.id', 'p-1'))
  const scope = bytesField(2, concat(...Array.from({ length: metrics }, (_, m) => bytesField(2, metric(m)))))
  return bytesField(1, concat(bytesField(1, resource), scope))
}

const otlpJson = (metrics: number, points: number): Buffer => {
  const text = (k: string, v: string) => ({ key: k, value: { stringValue: v } })
  const point = (p: number) => ({
    attributes: [text('agent.name', `agent-${p}`), text('agent.version', '1.4.2'), text('outcome', 'ok')],
    startTimeUnixNano: String(nanos - 60_000_000_000n),
    timeUnixNano: String(nanos),
    asInt: String(p),
  })
  const metric = (m: number) => ({
    name: `agent.work.${m}`,
    unit: '{task}',
    sum: {
      aggregationTemporality: 2,
      isMonotonic: true,
      dataPoints: Array.from({ length: points }, (_, p) => point(p)),
    },
  })
  const scopeMetrics = [{ metrics: Array.from({ length: metrics }, (_, m) => metric(m)) }]
  return Buffer.from(
    JSON.stringify({
      resourceMetrics: [{ resource: { attributes: [text('service.name', 'pilot')] }, scopeMetrics }],
    }),
  )
}

/** Runs `once` for about half a second, `rounds` times; prints the median. */
const measure = async (name: string, samples: number, once: () => unknown): Promise<void> => {
  const found: { perSecond: number; cpu: number }[] = []
  for (let round = -1; round < rounds; round++) {
    const cpu = process.cpuUsage()
    const start = performance.now()
    let n = 0
    while (performance.now() - start < 500) {
      for (let i = 0; i < 20; i++) await once()
      n += 20
    }
    const elapsed = (performance.now() - start) / 1000
    const used = process.cpuUsage(cpu)
    const total = n * samples
    // The first round warms up.
    if (round >= 0)
      found.push({ perSecond: total / elapsed, cpu: ((used.user + used.system) / 1e6 / total) * 1e6 })
  }
  found.sort((a, b) => a.perSecond - b.perSecond)
  const { perSecond, cpu } = found[found.length >> 1]!
  console.log(
    `${name.padEnd(44)} ${(perSecond / 1e6).toFixed(2).padStart(7)} M samples/s ${cpu.toFixed(3).padStart(8)} CPU s per million`,
  )
}

const nothing = { push: async (): Promise<void> => {} }
const signal = new AbortController().signal
const common = {
  limits: { ...defaultAdmission, maxAge: 86_400_000 },
  clock: systemClock,
  log: silentLogger(),
  metrics: fakeMetrics(),
}

for (const [series, samples] of [
  [500, 1],
  [2000, 1],
  [500, 40],
] as const) {
  const raw = writeRequest(series, samples)
  const body = snappy.compress(raw)
  const table = new SeriesTable(1e6)
  const known = new ByteCache<number>(1 << 20, 256 << 20)
  const name = `${series}×${samples} (${raw.length >> 10} KiB, ${body.length >> 10} KiB packed)`
  await measure(`remote write decode ${name}`, series * samples, () =>
    decodeWriteRequest(
      raw,
      new BatchBuilder(table, common.limits, systemClock.now(), series * samples),
      known,
    ),
  )
  await measure('  with snappy', series * samples, () =>
    decodeWriteRequest(
      snappyDecode(body, 1 << 26),
      new BatchBuilder(table, common.limits, systemClock.now(), series * samples),
      known,
    ),
  )
  const handler = createRemoteWrite({ ...common, table, sink: nothing })
  const request = {
    method: 'POST',
    path: '/api/v1/write',
    query: new URLSearchParams(),
    headers: { 'content-type': 'application/x-protobuf', 'content-encoding': 'snappy' },
    body,
  }
  await measure('  whole handler', series * samples, async () => {
    const answer = await handler.handle(request, signal)
    if (answer.status !== 204) throw new Error(String(answer.body))
  })
}

for (const [what, type, body, samples] of [
  ['protobuf 50 counters × 10', 'x-protobuf', otlpRequest(50, 10, false), 500],
  ['protobuf 5 counters × 400', 'x-protobuf', otlpRequest(5, 400, false), 2000],
  ['protobuf 5 histograms × 20', 'x-protobuf', otlpRequest(5, 20, true), 1700],
  ['JSON 50 counters × 10', 'json', otlpJson(50, 10), 500],
] as const) {
  const table = new SeriesTable(1e6)
  const handler = createOtlpHttp({ ...otlpDoors({ ...common, table, sink: nothing }), log: common.log })
  const request = {
    method: 'POST',
    path: '/v1/metrics',
    query: new URLSearchParams(),
    headers: { 'content-type': `application/${type}` },
    body,
  }
  await measure(`otlp ${what} points (${body.length >> 10} KiB)`, samples, async () => {
    const answer = await handler.handle(request, signal)
    const text = String(answer.body ?? '')
    if (answer.status !== 200 || (text !== '' && text !== '{}')) throw new Error(text)
  })
}

const wantedAttributes = new Set([
  'gen_ai.operation.name',
  'gen_ai.request.model',
  'gen_ai.usage.input_tokens',
  'gen_ai.usage.output_tokens',
  'gen_ai.agent.name',
])
const traces = chatSpans(500, 0, Date.now() - 2000)
const logs = logRecords(500, 0, Date.now() - 2000)
for (const [what, path, type, body] of [
  ['traces protobuf 500 spans × 12 attributes', '/v1/traces', 'x-protobuf', traces],
  ['logs protobuf 500 records', '/v1/logs', 'x-protobuf', logs],
] as const) {
  const wanted = (key: string): boolean => wantedAttributes.has(key)
  const handler = createOtlpHttp({ ...otlpDoors({ ...common, sink: nothing, wanted }), log: common.log })
  const headers = { 'content-type': `application/${type}` }
  const request = { method: 'POST', path, query: new URLSearchParams(), headers, body }
  await measure(`otlp ${what} (${body.length >> 10} KiB)`, 500, async () => {
    const answer = await handler.handle(request, signal)
    if (answer.status !== 200 || answer.body?.length) throw new Error(String(answer.body))
  })
}
