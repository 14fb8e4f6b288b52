// Measures the head and the log: time a sample to append, CPU of the log a million samples, reads over many series.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAdmission } from '../../src/head/admission.ts'
import { createHead } from '../../src/head/head.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { type Duration, instant, minute } from '../../src/lib/time.ts'
import { type Batch, sampleBatch } from '../../src/model/batch.ts'
import { labelsOf } from '../../src/model/labels.ts'
import type { Matcher } from '../../src/model/matcher.ts'
import type { Scan } from '../../src/model/plan.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { openLog } from '../../src/store/log.ts'
import { FakeClock } from '../kit/clock.ts'
import { fakeMetrics } from '../kit/metrics.ts'

const signal = new AbortController().signal
const limits = { series: 1e9, samples: 1e9 }
const median = (times: number[]): number => times.sort((a, b) => a - b)[times.length >> 1]!
const print = (what: string, value: number, unit: string): void =>
  console.log(`${what.padEnd(64)} ${value.toFixed(3).padStart(10)} ${unit}`)
const timed = (run: () => void, rounds = 9): number => {
  const times: number[] = []
  for (let i = 0; i < rounds; i++) {
    const from = performance.now()
    run()
    times.push(performance.now() - from)
  }
  return median(times)
}

const benchHead = (series: number): void => {
  const clock = new FakeClock()
  const table = new SeriesTable(series)
  const head = createHead({
    table,
    window: (10 * minute) as Duration,
    maxBytes: 1 << 29,
    clock,
    metrics: fakeMetrics(),
  })
  head.coverFrom(instant(0))
  const refs = Array.from({ length: series }, (_, i) =>
    table.intern(labelsOf({ __name__: 'm', host: `h${i % 100}`, i: String(i) })),
  )
  const scrape = (): Batch[] => {
    const batches: Batch[] = []
    for (let i = 0; i < series; i += 500) {
      const part = refs.slice(i, i + 500)
      batches.push(
        sampleBatch(
          part,
          part.map((r) => clock.now() + (r % 1000)),
          part,
        ),
      )
    }
    return batches
  }
  let spent = 0
  let samples = 0
  let first = 0
  for (let round = 0; round < 120; round++) {
    clock.jump(clock.now() + 15_000)
    const batches = scrape()
    const from = performance.now()
    for (const batch of batches) head.append(batch)
    if (round === 0) first = performance.now() - from
    else if (round > 40) {
      spent += performance.now() - from
      samples += series
    }
  }
  const name: Matcher = { name: '__name__', op: '=', value: 'm' }
  const plan = (matchers: Matcher[], window: number, pick: 'all' | 'last' = 'all'): Scan => ({
    kind: 'scan',
    matchers,
    fromAt: instant(clock.now() - window),
    toAt: clock.now(),
    pick,
    limits,
  })
  const k = `${series / 1000}k series`
  const { bytes, samples: kept } = head.stats()
  print(`${k}: first append (index made)`, (first * 1e6) / series, 'ns/series')
  print(`${k}: append, steady`, (spent * 1e6) / samples, 'ns/sample')
  print(`${k}: bytes a sample kept`, bytes / kept, 'bytes')
  print(
    `${k}: read m[5m] (${head.scan(plan([name], 300_000))!.end.length} series)`,
    timed(() => head.scan(plan([name], 300_000))),
    'ms',
  )
  print(
    `${k}: read m[10m]`,
    timed(() => head.scan(plan([name], 599_000))),
    'ms',
  )
  print(
    `${k}: read last of m`,
    timed(() => head.scan(plan([name], 300_000, 'last'))),
    'ms',
  )
  const one: Matcher = { name: 'host', op: '=~', value: 'h1.*' }
  print(
    `${k}: read m{host=~"h1.*"}[5m], repeated`,
    timed(() => head.scan(plan([name, one], 300_000))),
    'ms',
  )
  let n = 0
  print(
    `${k}: select m{host=~…}, never asked before`,
    timed(() => head.select([name, { ...one, value: `h(1|2${n++})` }], plan([], 300_000))),
    'ms',
  )
  print(
    `${k}: trim`,
    timed(() => head.trim(clock.now())),
    'ms',
  )
}

const benchLog = async (perRequest: number, connections: number, admission: boolean): Promise<void> => {
  const dir = mkdtempSync(join(tmpdir(), 'airboss-bench-'))
  const table = new SeriesTable(10_000)
  const refs = Array.from({ length: 10_000 }, (_, i) =>
    table.intern(labelsOf({ __name__: 'm', i: String(i) })),
  )
  const clock = systemClock
  const metrics = fakeMetrics()
  const head = createHead({ table, window: (10 * minute) as Duration, maxBytes: 1 << 29, clock, metrics })
  const log = openLog({
    dir,
    table,
    writer: { write: () => Promise.resolve() },
    producers: [],
    clock,
    log: silentLogger(),
    metrics,
    accepted: admission ? (batch) => head.append(batch) : () => undefined,
    replayed: () => undefined,
  })
  await log.start()
  const sink = admission ? createAdmission({ known: head, sink: log, metrics }) : log
  const total = 4_000_000
  const base = clock.now()
  const batches = Array.from({ length: total / perRequest }, (_, b) => {
    const at = base + b
    const own = Array.from({ length: perRequest }, (_, i) => refs[(b * perRequest + i) % refs.length]!)
    return sampleBatch(
      own,
      own.map(() => at),
      own,
    )
  })
  const cpu = process.cpuUsage()
  const from = performance.now()
  let next = 0
  const waits: number[] = []
  await Promise.all(
    Array.from({ length: connections }, async () => {
      while (next < batches.length) {
        const start = performance.now()
        await sink.push(batches[next++]!, signal)
        waits.push(performance.now() - start)
      }
    }),
  )
  const wall = performance.now() - from
  const used = process.cpuUsage(cpu)
  const what = `${admission ? 'admission + log + head' : 'log'}, ${perRequest} × ${connections} connections`
  print(`${what}: CPU`, (used.user + used.system) / total, 'CPU s/1M')
  print(`${what}: throughput`, total / wall / 1000, 'M samples/s')
  print(`${what}: median wait`, median(waits), 'ms')
  await log.drain()
  rmSync(dir, { recursive: true })
}

benchHead(10_000)
benchHead(100_000)
await benchLog(500, 1, false)
await benchLog(500, 8, false)
await benchLog(500, 64, false)
await benchLog(500, 64, true)
await benchLog(10_000, 4, true)
