import { spawn } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { FakeClock, settle } from '../../test/kit/clock.ts'
import { rowTexts, storedRows } from '../../test/kit/file-writer.ts'
import { faultyFs } from '../../test/kit/journal-fs.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { tempDir } from '../../test/kit/temp-dir.ts'
import { systemClock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { silentLogger } from '../lib/log.ts'
import { duration } from '../lib/time.ts'
import { type Batch, sampleBatch } from '../model/batch.ts'
import { labelsOf } from '../model/labels.ts'
import type { BatchWriter } from '../model/ports/batch-writer.ts'
import type { Producer } from '../model/ports/producer.ts'
import { SeriesTable } from '../model/series.ts'
import { openLog } from './log.ts'
import type { LogOptions, WriteLog } from './log-options.ts'

const signal = new AbortController().signal

interface Fixture {
  readonly log: WriteLog
  readonly table: SeriesTable
  /** Rows by token, in the order they came. */
  readonly stored: Map<string, string[]>
  readonly accepted: number[]
  readonly replayed: number[]
  readonly store: { fail: AppError | null; bad: (value: number) => boolean }
  readonly metrics: ReturnType<typeof fakeMetrics>
}

const fixture = (
  dir: string,
  more: Partial<LogOptions> = {},
  stored = new Map<string, string[]>(),
): Fixture => {
  const table = new SeriesTable(1000)
  const store: Fixture['store'] = { fail: null, bad: () => false }
  const accepted: number[] = []
  const replayed: number[] = []
  const metrics = fakeMetrics()
  const writer: BatchWriter = {
    write: async (batch, token) => {
      if (store.fail) throw store.fail
      if (Array.from(batch.value).some(store.bad))
        throw new AppError('bad_data', 'such a value cannot be stored')
      const rows = rowTexts(table, batch)
      if (stored.has(token)) expect(rows).toEqual(stored.get(token))
      stored.set(token, rows)
    },
  }
  const log = openLog({
    dir,
    table,
    writer,
    producers: [],
    clock: systemClock,
    log: silentLogger(),
    metrics,
    accepted: (batch) => void accepted.push(...batch.value),
    replayed: (batch) => void replayed.push(...batch.value),
    ...more,
  })
  return { log, table, stored, accepted, replayed, store, metrics }
}
const batch = (f: Fixture, ...values: number[]): Batch =>
  sampleBatch(
    values.map((v) => f.table.intern(labelsOf({ __name__: 'm', s: String(v % 7) }))),
    values.map((v) => 1000 + v),
    values,
  )
const valuesIn = (f: Fixture): number[] =>
  [...f.stored.values()].flat().map((row) => Number(row.split(' ').at(-1)))
const away = new AppError('unavailable', 'the store is away')

it('answers when on disk, tells in order, and stores each row once', async () => {
  const f = fixture(tempDir())
  await f.log.start()
  await Promise.all(Array.from({ length: 200 }, (_, i) => f.log.push(batch(f, i), signal)))
  expect(f.accepted).toEqual(Array.from({ length: 200 }, (_, i) => i))
  expect(f.log.pending().batches.length).toBe(200)
  await f.log.flush(signal)
  expect(valuesIn(f)).toEqual(f.accepted)
  expect(f.log.pending()).toEqual({ batches: [], missing: null })
  await f.log.drain()
  await expect(f.log.push(batch(f, 1), signal)).rejects.toMatchObject({ code: 'unavailable' })
})

it('seals by rows and by time, and makes full ranges only while the store is away', async () => {
  const clock = new FakeClock()
  const f = fixture(tempDir(), { clock, sealRows: 10 })
  await f.log.start()
  for (let i = 0; i < 10; i++) await f.log.push(batch(f, i), signal)
  await waitFor(() => f.stored.size === 1)
  await f.log.push(batch(f, 10), signal)
  await clock.advance(999)
  expect(f.stored.size).toBe(1)
  await clock.advance(1)
  await waitFor(() => f.stored.size === 2)
  f.store.fail = away
  for (let i = 11; i < 44; i++) {
    await f.log.push(batch(f, i), signal)
    await clock.advance(1000)
  }
  expect(f.log.stats()).toMatchObject({ pendingRows: 33, failing: 'the store is away' })
  // One range by time, before the outage was known, then full ones.
  expect(f.log.stats().pendingRanges).toBe(4)
  f.store.fail = null
  await waitFor(async () => {
    await clock.advance(10_000)
    return f.log.stats().pendingRows === 0
  })
  expect(valuesIn(f)).toEqual(Array.from({ length: 44 }, (_, i) => i))
})

it('makes the same batches under the same tokens after a restart that knows nothing of what was stored', async () => {
  const dir = tempDir()
  const a = fixture(dir, { sealRows: 5 })
  await a.log.start()
  // The rows go in, the answer never comes.
  const lost = new Map<string, string[]>()
  a.store.fail = away
  for (let i = 0; i < 23; i++) await a.log.push(batch(a, i), signal)
  await a.log.drain()
  const b = fixture(dir, { sealRows: 5 }, lost)
  await b.log.start()
  expect(b.replayed).toEqual(Array.from({ length: 23 }, (_, i) => i))
  b.store.fail = null
  await b.log.flush(signal)
  expect(valuesIn(b)).toEqual(b.replayed)
  const tokens = [...lost.keys()]
  await b.log.drain()
  const c = fixture(dir, {}, lost)
  await c.log.start()
  await c.log.flush(signal)
  expect([...lost.keys()]).toEqual(tokens)
  // Stored rows that the log still has refill the head all the same.
  expect(c.replayed).toEqual(b.replayed)
  await c.log.drain()
})

it('reads ranges back from disk when they do not fit in memory, and says that reads are not complete', async () => {
  const f = fixture(tempDir(), { sealRows: 10, memoryBytes: 2000 })
  await f.log.start()
  f.store.fail = away
  for (let i = 0; i < 100; i++) await f.log.push(batch(f, i), signal)
  await waitFor(() => f.log.pending().missing !== null)
  expect(f.log.pending().missing).toMatchObject({ fromAt: 1010 })
  f.store.fail = null
  await f.log.flush(signal)
  expect(valuesIn(f)).toEqual(Array.from({ length: 100 }, (_, i) => i))
  expect(f.log.pending()).toEqual({ batches: [], missing: null })
  await f.log.drain()
})

it('sets aside only the rows that can never be stored', async () => {
  const dir = tempDir()
  const f = fixture(dir)
  f.store.bad = (v) => v === 13 || v === 77
  await f.log.start()
  await f.log.push({ ...batch(f, ...Array.from({ length: 100 }, (_, i) => i)), events: [] }, signal)
  await f.log.flush(signal)
  expect(valuesIn(f)).toEqual(Array.from({ length: 100 }, (_, i) => i).filter((v) => !f.store.bad(v)))
  const [file] = readdirSync(join(dir, 'quarantine'))
  const lines = readFileSync(join(dir, 'quarantine', file!), 'utf8')
    .trim()
    .split('\n')
  expect(lines.map((l) => JSON.parse(l).row.value)).toEqual(['13', '77'])
  expect(JSON.parse(lines[0]!)).toMatchObject({ kind: 'sample', why: 'such a value cannot be stored' })
  expect(f.metrics.values.get('airboss_log_quarantined_rows_total{}')).toBe(2)
  await f.log.drain()
})

it('refuses when it is full and takes again when the store has taken', async () => {
  const f = fixture(tempDir(), { maxBytes: 400_000, sealRows: 500 })
  await f.log.start()
  f.store.fail = away
  const many = batch(f, ...Array.from({ length: 500 }, (_, i) => i))
  let taken = 0
  const fill = async (): Promise<void> => {
    for (;;) {
      await f.log.push(many, signal)
      taken++
    }
  }
  await expect(fill()).rejects.toMatchObject({ code: 'storage_full', status: 503, retryAfter: 5000 })
  expect(taken).toBeGreaterThan(10)
  expect(f.accepted.length).toBe(taken * 500)
  f.store.fail = null
  await waitFor(() => f.log.stats().pendingRanges === 0)
  await waitFor(() => f.log.stats().bytes < 300_000)
  await f.log.push(many, signal)
  await f.log.flush(signal)
  expect(valuesIn(f).length).toBe((taken + 1) * 500)
  await f.log.drain()
})

it('keeps nothing of a batch that a full disk refused', async () => {
  const dir = tempDir()
  const fs = faultyFs()
  const f = fixture(dir, { fs })
  await f.log.start()
  await f.log.push(batch(f, 1), signal)
  fs.failWrites = 'ENOSPC'
  await expect(f.log.push(batch(f, 2, 3), signal)).rejects.toMatchObject({ code: 'storage_full' })
  fs.failWrites = null
  // The series of the refused batch are written again, so that the segment decodes alone.
  await f.log.push(batch(f, 2, 4), signal)
  expect(f.accepted).toEqual([1, 2, 4])
  f.store.fail = away
  await f.log.drain()
  const again = fixture(dir)
  await again.log.start()
  expect(again.replayed).toEqual([1, 2, 4])
  await again.log.drain()
})

it('seals when there is room again, and stores then', async () => {
  const dir = tempDir()
  const fs = faultyFs()
  const clock = new FakeClock()
  const f = fixture(dir, { fs, clock })
  await f.log.start()
  await f.log.push(batch(f, 1, 2), signal)
  fs.failWrites = 'ENOSPC'
  await clock.advance(1000)
  const flushed = f.log.flush(signal)
  for (let i = 0; i < 5; i++) await clock.advance(1000)
  expect(f.stored.size).toBe(0)
  fs.failWrites = null
  await waitFor(async () => {
    await clock.advance(1000)
    return f.stored.size === 1
  })
  await flushed
  expect(valuesIn(f)).toEqual([1, 2])
  await f.log.drain()
})

it('goes on with what is left when its journal is damaged, and claims to hold nothing it may have lost', async () => {
  const dir = tempDir()
  const f = fixture(dir)
  await f.log.start()
  f.store.fail = away
  for (let i = 0; i < 10; i++) await f.log.push(batch(f, i), signal)
  await f.log.drain()
  const [name] = readdirSync(join(dir, 'journal'))
  const file = join(dir, 'journal', name!)
  const bytes = readFileSync(file)
  bytes[bytes.length >> 1]! ^= 4
  writeFileSync(file, bytes)
  const again = fixture(dir)
  await again.log.start()
  expect(again.replayed.length).toBeGreaterThan(0)
  expect(again.replayed.length).toBeLessThan(10)
  expect(again.log.heldFromAt()).toBeGreaterThanOrEqual(1000 + again.replayed.at(-1)!)
  await again.log.flush(signal)
  expect(valuesIn(again)).toEqual(again.replayed)
  await again.log.drain()
})

it('closes although its writer hangs, and stores after the next start', async () => {
  const dir = tempDir()
  const table = new SeriesTable(10)
  const clock = new FakeClock()
  const f = fixture(dir, { table, clock, writer: { write: () => new Promise<never>(() => undefined) } })
  await f.log.start()
  await f.log.push(batch({ ...f, table }, 1), signal)
  let closed = false
  const draining = f.log.drain().then(() => {
    closed = true
  })
  await waitFor(async () => {
    await clock.advance(1000)
    return closed
  })
  await draining
  const again = fixture(dir)
  await again.log.start()
  await again.log.flush(signal)
  expect(valuesIn(again)).toEqual([1])
  await again.log.drain()
})

it('restores producers and replays what came after their checkpoint', async () => {
  const dir = tempDir()
  const sums = (): Producer & { sum: number; seen: number[] } => {
    const producer = {
      name: 'sums',
      sum: 0,
      seen: [] as number[],
      checkpoint: () => producer.sum,
      restore: (state: unknown) => {
        producer.sum = state as number
      },
      replay: (b: Batch) => {
        producer.seen.push(...b.value)
        producer.sum = Math.max(producer.sum, ...b.value)
      },
    }
    return producer
  }
  const before = sums()
  const a = fixture(dir, { producers: [before], sealRows: 10 })
  await a.log.start()
  for (let i = 1; i <= 57; i++) {
    await a.log.push(batch(a, i), signal)
    before.sum = i
  }
  await waitFor(() => a.log.stats().pendingRanges === 0)
  a.store.fail = away
  await a.log.drain()
  const after = sums()
  const b = fixture(dir, { producers: [after], sealRows: 10 })
  await b.log.start()
  expect(after.sum).toBe(57)
  // At most one range more than what came after the last seal.
  expect(after.seen.length).toBeGreaterThanOrEqual(7)
  expect(after.seen.length).toBeLessThanOrEqual(30)
  await b.log.drain()
})

it('stores rows all the same when the state of a producer cannot be written down', async () => {
  const odd = { name: 'odd', checkpoint: () => ({ of: 1n }), restore: () => {}, replay: () => {} }
  const f = fixture(tempDir(), { producers: [odd], sealRows: 2 })
  await f.log.start()
  await f.log.push(batch(f, 1, 2), signal)
  await waitFor(() => f.log.stats().pendingRanges === 0 && valuesIn(f).length === 2)
  await f.log.drain()
})

it('knows from when on it holds everything', async () => {
  const dir = tempDir()
  const f = fixture(dir, { maxBytes: 400_000, keepBytes: 100_000, sealRows: 500 })
  await f.log.start()
  const fresh = f.log.heldFromAt()
  expect(Math.abs(fresh - systemClock.now())).toBeLessThan(10_000)
  const base = systemClock.now() + 60_000
  for (let i = 0; i < 100; i++) {
    const refs = Array.from({ length: 500 }, (_, k) =>
      f.table.intern(labelsOf({ __name__: 'm', s: String(k) })),
    )
    await f.log.push(
      sampleBatch(
        refs,
        refs.map(() => base + i),
        refs,
      ),
      signal,
    )
    if (i % 10 === 0) await f.log.flush(signal)
  }
  await f.log.flush(signal)
  await f.log.drain()
  const again = fixture(dir)
  const times: number[] = []
  const g = fixture(dir, { replayed: (b) => void times.push(...b.at) })
  await g.log.start()
  const held = g.log.heldFromAt()
  expect(held).toBeGreaterThan(base)
  expect(held).toBeLessThan(base + 99)
  expect(new Set(times.filter((t) => t > held)).size).toBe(base + 99 - held)
  await g.log.drain()
  expect(again.replayed).toEqual([])
})

const waitFor = async (test: () => boolean | Promise<boolean>): Promise<void> => {
  for (let i = 0; i < 2000; i++) {
    if (await test()) return
    await settle()
    await systemClock.sleep(duration(1))
  }
  throw new Error('waited in vain')
}

it('loses nothing acknowledged and doubles nothing when it is killed again and again', async () => {
  const dir = tempDir()
  const script = fileURLToPath(new URL('../../test/kit/log-child.ts', import.meta.url))
  const acknowledged = new Set<number>()
  const run = (first: number, count: number, killAfter: number): Promise<boolean> =>
    new Promise((resolve, reject) => {
      const child = spawn(process.execPath, [script, dir, String(first), String(count)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      let rest = ''
      let seen = 0
      let ended = false
      child.stdout.on('data', (data: Buffer) => {
        const lines = (rest + data).split('\n')
        rest = lines.pop()!
        for (const line of lines) {
          if (line === 'end') ended = true
          else acknowledged.add(Number(line))
          if (++seen === killAfter) child.kill('SIGKILL')
        }
      })
      child.on('error', reject)
      child.on('close', () => resolve(ended))
    })
  for (let round = 0; round < 6; round++)
    expect(await run(round * 10_000, 10_000, 150 + round * 170)).toBe(false)
  expect(await run(90_000, 100, Number.POSITIVE_INFINITY)).toBe(true)
  const rows = storedRows(join(dir, 'store'))
  expect(new Set(rows).size).toBe(rows.length)
  const numbers = new Map<number, number>()
  for (const row of rows)
    numbers.set(Number(row.split(' ').at(-1)), (numbers.get(Number(row.split(' ').at(-1))) ?? 0) + 1)
  for (const n of acknowledged) expect(numbers.get(n)).toBe(3)
  expect(acknowledged.size).toBeGreaterThan(2000)
})
