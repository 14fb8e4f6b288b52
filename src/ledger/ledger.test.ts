import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { FakeClock } from '../../test/kit/clock.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { silentLogger } from '../lib/log.ts'
import { system } from '../model/actor.ts'
import { type OpenLedger, openLedger } from './ledger.ts'

const dirs: string[] = []
afterEach(async () => {
  for (const dir of dirs.splice(0)) await rm(dir, { recursive: true })
})
const folder = async (): Promise<string> => {
  const dir = await mkdtemp(join(tmpdir(), 'airboss-ledger-'))
  dirs.push(dir)
  return dir
}
const clock = new FakeClock()
const started = async (dir: string): Promise<OpenLedger> => {
  const ledger = openLedger({ dir, clock, log: silentLogger(), metrics: fakeMetrics() })
  await ledger.start()
  return ledger
}
const mara = { id: 'user:mara', kind: 'user' } as const
const by = { by: mara, why: 'because' }

test('documents have versions, a history and a newest list', async () => {
  const ledger = await started(await folder())
  await ledger.put('flag', 'a', { on: true }, by)
  await ledger.put('flag', 'b', { on: false }, by)
  const second = await ledger.put('flag', 'a', { on: false }, { ...by, expect: 1 })
  expect(second).toMatchObject({ version: 2, sequence: 3, by: 'user:mara', why: 'because' })
  expect(ledger.get('flag', 'a')?.value).toEqual({ on: false })
  expect(ledger.list('flag').map((d) => d.id)).toEqual(['a', 'b'])
  expect(ledger.history({ kind: 'flag', id: 'a', limit: 9 }).map((v) => v.version)).toEqual([2, 1])
  expect(ledger.history({ limit: 1, before: 3 }).map((v) => v.sequence)).toEqual([2])
  expect(ledger.since(1).map((v) => v.sequence)).toEqual([2, 3])
  await ledger.put('flag', 'a', null, by)
  expect(ledger.get('flag', 'a')).toBeNull()
  expect(ledger.list('flag').map((d) => d.id)).toEqual(['b'])
  expect(await ledger.verify()).toMatchObject({ ok: true, versions: 4 })
  await ledger.drain()
})

test('of many who change one version at once, one wins and the others are told who did', async () => {
  const ledger = await started(await folder())
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, (_, i) => ledger.put('silence', 's', { i }, { ...by, expect: 0 })),
  )
  expect(tries.filter((t) => t.status === 'fulfilled')).toHaveLength(1)
  const lost = tries.find((t) => t.status === 'rejected')
  expect(lost?.reason).toMatchObject({ code: 'conflict' })
  expect(String(lost?.reason)).toMatch(/silence s is at version 1, changed by user:mara, not at 0/)
  await ledger.put('silence', 's', null, by)
  await expect(ledger.put('silence', 's', {}, { ...by, expect: 1 })).rejects.toMatchObject({
    code: 'conflict',
  })
  expect(await ledger.put('silence', 's', {}, { ...by, expect: 0 })).toMatchObject({ version: 3 })
  await ledger.drain()
})

test('a restart brings back every version and the chain goes on', async () => {
  const dir = await folder()
  const before = await started(dir)
  await Promise.all(Array.from({ length: 50 }, (_, i) => before.put('k', String(i % 7), { i }, by)))
  // No drain: what was acknowledged is on disk already.
  const after = await started(dir)
  expect(after.history({ limit: 100 })).toEqual(before.history({ limit: 100 }))
  expect(after.list('k')).toEqual(before.list('k'))
  await after.put('k', 'new', 'x', by)
  expect(await after.verify()).toMatchObject({ ok: true, versions: 51 })
  await Promise.all([before.drain(), after.drain()])
})

test('an append cut short by a crash is gone, everything before it stays', async () => {
  const dir = await folder()
  const ledger = await started(dir)
  for (let i = 0; i < 3; i++) await ledger.put('k', 'id', { i }, by)
  await ledger.drain()
  const path = join(dir, 'ledger.log')
  const whole = await readFile(path)
  for (const cut of [1, 5, 100]) {
    await writeFile(path, whole)
    await truncate(path, whole.length - cut)
    const again = await started(dir)
    expect(again.get('k', 'id')).toMatchObject({ version: 2, value: { i: 1 } })
    await again.put('k', 'id', { i: 9 }, by)
    expect(await again.verify()).toMatchObject({ ok: true, versions: 3 })
    await again.drain()
  }
})

test('damage in the middle is named, not cut away', async () => {
  const dir = await folder()
  const ledger = await started(dir)
  for (let i = 0; i < 5; i++) await ledger.put('k', 'id', { i }, by)
  const path = join(dir, 'ledger.log')
  const bytes = await readFile(path)
  bytes[bytes.indexOf('"i":1') + 4] = 0x37
  await writeFile(path, bytes)
  expect(await ledger.verify()).toMatchObject({ ok: false })
  await ledger.drain()
  await expect(started(dir)).rejects.toThrow(/is damaged between byte \d+ \(after record 1\)/)
})

test('a change that keeps checksums whole still breaks the chain, and the place is named', async () => {
  const dir = await folder()
  const ledger = await started(dir)
  for (const who of ['ann', 'bob', 'cem']) await ledger.put('approval', who, { ok: true }, by)
  await ledger.drain()
  const { openRecordFile } = await import('./record-file.ts')
  const path = join(dir, 'ledger.log')
  const forge = async (change: (text: string) => string): Promise<void> => {
    const { file, records } = await openRecordFile(path, () => undefined)
    await file.replace(records.map((r, i) => (i === 1 ? Buffer.from(change(r.toString())) : r)))
    await file.close()
  }
  const original = await readFile(path)
  for (const [change, why] of [
    [(t: string) => t.replace('"ok":true', '"ok":false'), /value does not match its digest/],
    [(t: string) => t.replace('user:mara', 'user:eve'), /hash does not follow/],
    [(t: string) => t.replace('"sequence":2', '"sequence":4'), /its sequence is 4, not 2/],
  ] as const) {
    await writeFile(path, original)
    await forge(change)
    const broken = started(dir)
    await expect(broken).rejects.toThrow(why)
    await expect(broken).rejects.toMatchObject({ code: 'bad_data' })
  }
  await writeFile(path, original)
  await forge((t) => t.replace('"ok":true', '"ok":false'))
  await expect(started(dir)).rejects.toThrow(/breaks at sequence 2 \(approval bob, version 1\)/)
})

test('values can be erased and the proof stays', async () => {
  const dir = await folder()
  const ledger = await started(dir)
  await ledger.put('person', 'p', { name: 'Ann' }, by)
  await clock.advance(1000)
  await ledger.put('person', 'p', { name: 'Anna' }, by)
  const last = ledger.get('person', 'p')?.hash
  expect(await ledger.erase(clock.now())).toBe(1)
  expect((await readFile(join(dir, 'ledger.log'))).includes('"Ann"')).toBe(false)
  expect(await ledger.verify()).toMatchObject({ ok: true, versions: 2 })
  await ledger.put('person', 'q', 1, by)
  await ledger.drain()
  const again = await started(dir)
  expect(again.history({ id: 'p', limit: 9 }).map((v) => v.value)).toEqual([{ name: 'Anna' }, null])
  expect(again.get('person', 'p')?.hash).toBe(last)
  await again.drain()
})

test('subscribers hear of a version after it is on disk; one that throws disturbs nobody', async () => {
  const ledger = await started(await folder())
  const heard: string[] = []
  ledger.subscribe(() => {
    throw new Error('mine')
  })
  const stop = ledger.subscribe((v) => heard.push(`${v.id} ${v.sequence}`))
  await ledger.put('k', 'a', 1, { by: system('test'), why: '' })
  stop()
  await ledger.put('k', 'b', 1, { by: system('test'), why: '' })
  expect(heard).toEqual(['a 1'])
  await ledger.drain()
})

test('a closed ledger and an oversized value are refused, and change nothing', async () => {
  const ledger = await started(await folder())
  await expect(ledger.put('k', 'a', 'x'.repeat(5 << 20), by)).rejects.toMatchObject({ code: 'too_large' })
  expect(await ledger.verify()).toMatchObject({ ok: true, versions: 0 })
  await ledger.drain()
  await ledger.drain()
  await expect(ledger.put('k', 'a', 1, by)).rejects.toMatchObject({ code: 'unavailable' })
})

test('a disk that fails takes everything under way along, leaves nothing of it, and the chain goes on', async () => {
  const dir = await folder()
  let failing = false
  const ledger = openLedger({
    dir,
    clock,
    log: silentLogger(),
    metrics: fakeMetrics(),
    openFile: async (...asked) => {
      const handle = await open(...asked)
      const sync = handle.datasync.bind(handle)
      handle.datasync = () => (failing ? Promise.reject(new Error('EIO: i/o error')) : sync())
      return handle
    },
  })
  await ledger.start()
  await ledger.put('k', 'a', 1, by)
  failing = true
  const lost = await Promise.allSettled(
    Array.from({ length: 10 }, async (_, i) => {
      // Some are asked for while the first are being written.
      for (let wait = 0; wait < i; wait++) await Promise.resolve()
      return ledger.put('k', `b${i}`, i, { ...by, expect: 0 })
    }),
  )
  expect(lost.every((l) => l.status === 'rejected')).toBe(true)
  expect(lost[0]).toMatchObject({ reason: { code: 'unavailable', message: expect.stringContaining('EIO') } })
  expect(ledger.list('k')).toHaveLength(1)
  failing = false
  expect(await ledger.put('k', 'b0', 7, { ...by, expect: 0 })).toMatchObject({ sequence: 2, version: 1 })
  expect(await ledger.verify()).toMatchObject({ ok: true, versions: 2 })
  await ledger.drain()
  const again = await started(dir)
  expect(again.list('k').map((d) => d.id)).toEqual(['b0', 'a'])
  await again.drain()
})
