import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { systemClock } from '../../lib/clock.ts'
import { silentLogger } from '../../lib/log.ts'
import { second } from '../../lib/time.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { createLinuxReader } from './read-linux.ts'
import { createHostReceiver, hostConfigSchema } from './receiver.ts'
import { hostMetrics } from './series.ts'

const until = async (done: () => boolean): Promise<void> => {
  const endAt = Date.now() + 5000
  while (!done()) {
    if (Date.now() > endAt) throw new Error('waited in vain')
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('this machine, at once: a dozen names, all described; shares of CPU time a second later', async () => {
  const sink = new CollectingSink(new SeriesTable(10_000))
  const host = createHostReceiver({
    interval: second,
    table: new SeriesTable(0),
    sink,
    limits: defaultAdmission,
    clock: systemClock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await host.start()
  await host.drain()
  // No room for series: nothing is written, and nothing breaks.
  expect(sink.samples()).toEqual([])

  const table = new SeriesTable(10_000)
  const real = new CollectingSink(table)
  const receiver = createHostReceiver({
    interval: second,
    table,
    sink: real,
    limits: defaultAdmission,
    clock: systemClock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await receiver.start()
  const names = (): Set<string> => new Set(real.samples().map((s) => s.series.split('{')[0]!))
  expect(names().size).toBeGreaterThanOrEqual(12)
  await until(
    () =>
      real.batches.length >= 2 &&
      (process.platform !== 'linux' || names().has('system_cpu_utilization_ratio')),
  )
  await receiver.drain()
  for (const name of names()) expect(hostMetrics).toHaveProperty(name)
  expect(real.samples().every((s) => s.series.includes(`instance="${hostname()}", job="host"`))).toBe(true)
  const sum = (prefix: string): number =>
    Object.entries(real.last())
      .filter(([s]) => s.startsWith(prefix))
      .reduce((a, [, v]) => a + Number(v), 0)
  expect(sum('system_memory_utilization_ratio')).toBeCloseTo(1, 6)
  expect(sum('system_memory_usage_bytes')).toBe(sum('system_memory_limit_bytes'))
})

test('a machine where much is missing gives what there is, and says what is not', async () => {
  const root = mkdtempSync(join(tmpdir(), 'airboss-host-'))
  mkdirSync(join(root, 'proc/42'), { recursive: true })
  writeFileSync(join(root, 'proc/42/stat'), '42 (sh) Z 1')
  writeFileSync(join(root, 'proc/loadavg'), '1 2 3 1/1 1\n')
  const reading = await createLinuxReader(new FakeClock(), root)()
  rmSync(root, { recursive: true })
  expect(reading.load).toEqual([1, 2, 3])
  expect([...reading.processes]).toEqual([['zombies', 1]])
  expect(reading.stat).toBeNull()
  expect([...reading.problems.keys()]).toContain('/proc/meminfo')
})

test('a filesystem that hangs is left out after two seconds, and not asked again before it answers', async () => {
  const root = mkdtempSync(join(tmpdir(), 'airboss-host-'))
  mkdirSync(join(root, 'proc/self'), { recursive: true })
  const mount = (at: string, dev: string) => `27 1 8:1 / ${at} rw - nfs ${dev} rw\n`
  writeFileSync(join(root, 'proc/self/mountinfo'), mount('/good', 'a') + mount('/stuck', 'b'))
  const clock = new FakeClock()
  const space = { blocks: 100, bfree: 50, bavail: 40, bsize: 10 }
  const asked: string[] = []
  let free = (): void => undefined
  const read = createLinuxReader(clock, root, (path) => {
    asked.push(path)
    return path === '/good' ? Promise.resolve(space) : new Promise((resolve) => (free = () => resolve(space)))
  })
  const look = async () => {
    const reading = read()
    await until(() => asked.filter((p) => p === '/good').length > looks)
    looks++
    await clock.advance(2000)
    return reading
  }
  let looks = 0
  const first = await look()
  expect(first.filesystems).toMatchObject([{ mountpoint: '/good', size: 1000, free: 500, available: 400 }])
  expect(first.problems.get('/stuck')).toContain('did not answer within 2 s')
  expect((await look()).problems.get('/stuck')).toContain('still does not answer')
  expect(asked.filter((p) => p === '/stuck')).toHaveLength(1)
  free()
  await look()
  expect(asked.filter((p) => p === '/stuck')).toHaveLength(2)
  rmSync(root, { recursive: true })
})

test('the configuration', () => {
  expect(hostConfigSchema.parse(undefined)).toEqual({ enabled: true, interval: 10_000 })
  expect(hostConfigSchema.parse({ enabled: false })).toEqual({ enabled: false, interval: 10_000 })
  expect(hostConfigSchema.safeParse({ interval: '10ms' }).success).toBe(false)
})
