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
import { otlpSchema } from '../../src/receive/otlp/config.ts'
import { DeltaState } from '../../src/receive/otlp/delta.ts'
import { createOtlpIngest } from '../../src/receive/otlp/ingest.ts'
import { createOtlpHttp } from '../../src/receive/otlp/receiver-http.ts'
import { decodeWriteRequest } from '../../src/receive/remote-write/decode.ts'
import { createRemoteWrite } from '../../src/receive/remote-write/receiver.ts'
import { fakeMetrics } from '../kit/metrics.ts'

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

const otlpRequest = (metrics: number, points: number): Buffer => {
  const now = BigInt(Date.now()) * 1_000_000n
  const attribute = (field: number, k: string, v: string): Buffer =>
    bytesField(field, concat(bytesField(1, k), bytesField(2, bytesField(1, v))))
  const metric = (m: number): Buffer =>
    concat(
      bytesField(1, `agent.work.${m}`),
      bytesField(3, '{task}'),
      bytesField(
        7,
        concat(
          ...Array.from({ length: points }, (_, p) =>
            bytesField(
              1,
              concat(
                fixed(2, now - 60_000_000_000n),
                fixed(3, now),
                fixed(6, BigInt(p * m)),
                attribute(7, 'agent.name', `agent-${p}`),
                attribute(7, 'agent.version', '1.4.2'),
                attribute(7, 'outcome', p % 3 ? 'ok' : 'error'),
              ),
            ),
          ),
          varintField(2, 2),
          varintField(3, 1),
        ),
      ),
    )
  const resource = concat(attribute(1, 'service.name', 'pilot'), attribute(1, 'service.instance.id', 'p-1'))
  const scope = bytesField(2, concat(...Array.from({ length: metrics }, (_, m) => bytesField(2, metric(m)))))
  return bytesField(1, concat(bytesField(1, resource), scope))
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

for (const [metrics, points] of [
  [50, 10],
  [5, 400],
] as const) {
  const body = otlpRequest(metrics, points)
  const table = new SeriesTable(1e6)
  const ingest = createOtlpIngest({
    ...common,
    table,
    config: otlpSchema.parse({}),
    delta: new DeltaState({ table }),
    sink: nothing,
  })
  const handler = createOtlpHttp({ ingest, log: common.log })
  const request = {
    method: 'POST',
    path: '/v1/metrics',
    query: new URLSearchParams(),
    headers: { 'content-type': 'application/x-protobuf' },
    body,
  }
  await measure(
    `otlp protobuf ${metrics} metrics × ${points} points (${body.length >> 10} KiB)`,
    metrics * points,
    async () => {
      const answer = await handler.handle(request, signal)
      if (answer.status !== 200 || (answer.body?.length ?? 0) > 0) throw new Error(String(answer.body))
    },
  )
}
