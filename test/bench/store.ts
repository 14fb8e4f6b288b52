// Prints what the store costs: inserts by batch size, bytes on disk per sample and column, scans.
import { readFileSync } from 'node:fs'
import type { Batch } from '../../src/model/batch.ts'
import { labelsOf } from '../../src/model/labels.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { at, never, testEngine, testStore } from '../kit/store.ts'

const engine = await testEngine()
const table = new SeriesTable(1_000_000)
const { store, database } = await testStore(engine, { table })

/** CPU seconds of the engine's process: user and system ticks of 10 ms. */
const engineCpu = (): number => {
  const stat = readFileSync(`/proc/${engine.pid()}/stat`, 'utf8').split(') ')[1]!.split(' ')
  return (Number(stat[11]) + Number(stat[12])) / 100
}
const ownCpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

const series = 5000
const refs = Uint32Array.from({ length: series }, (_, i) =>
  table.intern(
    labelsOf({ __name__: `metric_${i % 50}`, instance: `host-${Math.floor(i / 50)}`, job: 'bench' }),
  ),
)
const start = Math.floor(Date.now() / 3_600_000) * 3_600_000 - 6 * 3_600_000
let step = 0
const counters = new Float64Array(series)
/** Half counters that grow by whole numbers, a quarter gauges with noise, a quarter constants. */
const batchOf = (rows: number): Batch => {
  const ref = new Uint32Array(rows)
  const times = new Float64Array(rows)
  const value = new Float64Array(rows)
  for (let i = 0; i < rows; i++, step++) {
    const s = step % series
    ref[i] = refs[s]!
    times[i] = start + Math.floor(step / series) * 15_000 + (s % 97)
    if (s % 4 < 2) value[i] = counters[s]! += Math.floor(Math.random() * 20)
    else value[i] = s % 4 === 2 ? Math.round(Math.random() * 1000) / 10 : s
  }
  return { ref, at: times, value, metadata: [], events: [], costs: [] }
}

await store.writer.write(batchOf(series), 'warm', never)
for (const [size, times] of [
  [10_000, 30],
  [100_000, 15],
  [200_000, 30],
] as const) {
  const batches = Array.from({ length: times }, () => batchOf(size))
  const cpu = ownCpu()
  const cpuEngine = engineCpu()
  const began = performance.now()
  for (const [i, batch] of batches.entries()) await store.writer.write(batch, `b-${size}-${i}`, never)
  const seconds = (performance.now() - began) / 1000
  const millions = (size * times) / 1e6
  console.log(
    `insert ${size} × ${times}: ${(millions / seconds).toFixed(2)}M rows/s, ${((seconds / times) * 1000).toFixed(1)} ms a batch, CPU s/M ${((ownCpu() - cpu) / millions).toFixed(3)} own + ${((engineCpu() - cpuEngine) / millions).toFixed(3)} engine`,
  )
}

const query = async (sql: string): Promise<string> => {
  const answer = await fetch(`${engine.url()}/?database=${database}`, {
    method: 'POST',
    body: sql,
    headers: {
      'x-clickhouse-user': engine.credentials.user,
      'x-clickhouse-key': engine.credentials.password,
    },
  })
  return await answer.text()
}
await query('OPTIMIZE TABLE samples FINAL')
console.log(
  await query(
    "SELECT column, round(sum(column_data_compressed_bytes) / sum(rows), 3) AS bytes_a_row FROM system.parts_columns WHERE active AND table = 'samples' AND database = currentDatabase() GROUP BY column ORDER BY column FORMAT TSVWithNames",
  ),
)

const codecs: Record<string, string[]> = {
  id: ['ZSTD(1)', 'Delta(8), ZSTD(1)', 'LZ4', 'T64, ZSTD(1)'],
  timestamp: ['DoubleDelta, ZSTD(1)', 'Delta(8), ZSTD(1)', 'DoubleDelta, LZ4', 'T64, ZSTD(1)'],
  value: [
    'Gorilla(8), ZSTD(1)',
    'ZSTD(1)',
    'ZSTD(3)',
    'Delta(8), ZSTD(1)',
    'FPC(12), ZSTD(1)',
    'DoubleDelta, ZSTD(1)',
    'Gorilla(8), LZ4',
  ],
  seq: ['Delta(8), ZSTD(1)', 'DoubleDelta, ZSTD(1)', 'ZSTD(1)', 'T64, ZSTD(1)'],
}
for (const [column, list] of Object.entries(codecs)) {
  for (const codec of process.argv.includes('--codecs') ? list : []) {
    await query('DROP TABLE IF EXISTS codec')
    await query(
      `CREATE TABLE codec (h DateTime, i UInt64, t DateTime64(3), c ${column === 'timestamp' ? 'DateTime64(3)' : column === 'value' ? 'Float64' : 'UInt64'} CODEC(${codec})) ENGINE = MergeTree ORDER BY (h, i, t)`,
    )
    const cpu = engineCpu()
    await query(`INSERT INTO codec SELECT toStartOfHour(timestamp), id, timestamp, ${column} FROM samples`)
    const insert = engineCpu() - cpu
    await query('OPTIMIZE TABLE codec FINAL')
    const before = engineCpu()
    for (let i = 0; i < 3; i++) await query('SELECT sum(sipHash64(c)) FROM codec')
    const bytes = await query(
      "SELECT round(sum(column_data_compressed_bytes) / sum(rows), 3) FROM system.parts_columns WHERE active AND table = 'codec' AND database = currentDatabase() AND column = 'c'",
    )
    console.log(
      `codec ${column} ${codec}: ${bytes.trim()} bytes a row, ${insert.toFixed(2)} CPU s to insert, ${((engineCpu() - before) / 3).toFixed(2)} to read`,
    )
  }
}

const stats = await store.stats(never)
const samples = stats.tables.find((t) => t.name === 'samples')!
console.log(`disk: ${(samples.bytes / samples.rows).toFixed(2)} bytes a sample over ${samples.rows} rows`)

const total = Math.floor(step / series)
for (const [label, slots, pick] of [
  ['1M', 200, 'all'],
  ['all', total, 'all'],
  ['last of all', total, 'last'],
] as const) {
  const cpu = ownCpu()
  const cpuEngine = engineCpu()
  const began = performance.now()
  let rows = 0
  let slices = 0
  const plan = {
    kind: 'scan',
    matchers: [{ name: 'job', op: '=', value: 'bench' }],
    fromAt: at(start - 1),
    toAt: at(start + slots * 15_000),
    pick,
    limits: { series: 1e6, samples: 1e9 },
  } as const
  for await (const columns of store.reader.read(plan, never)) {
    slices++
    for (let i = 0; i < columns.start.length; i++) rows += columns.end[i]! - columns.start[i]!
  }
  console.log(
    `scan ${label}: ${rows} rows in ${slices} slices, ${(performance.now() - began).toFixed(0)} ms, CPU ${(ownCpu() - cpu).toFixed(2)} own + ${(engineCpu() - cpuEngine).toFixed(2)} engine`,
  )
}
await store.close()
await engine.remove()
