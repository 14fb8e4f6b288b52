import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { faultyFs } from '../../test/kit/journal-fs.ts'
import { tempDir } from '../../test/kit/temp-dir.ts'
import { type Journal, type JournalOptions, openJournal } from './journal.ts'
import { silentLogger } from './log.ts'

const log = silentLogger()
const open = (dir: string, more: Partial<JournalOptions> = {}): Promise<Journal> =>
  openJournal({ dir, log, ...more })
const text = (n: number): Buffer => Buffer.from(`record ${n} ${'x'.repeat(n % 37)}`)
const readAll = async (journal: Journal, from = 1): Promise<[number, string][]> => {
  const out: [number, string][] = []
  for await (const r of journal.read(from)) out.push([r.position, r.bytes.toString()])
  return out
}
const files = (dir: string): string[] => readdirSync(dir).sort()
const onlyFile = (dir: string): string => join(dir, files(dir)[0]!)

it('gives back what was appended, in order, over restarts and segments', async () => {
  const dir = tempDir()
  let n = 0
  for (let round = 0; round < 3; round++) {
    const journal = await open(dir, { segmentBytes: 500 })
    for (let i = 0; i < 20; i++) expect(await journal.append(text(n))).toBe(++n)
    await journal.close()
  }
  const journal = await open(dir)
  expect(journal.segments.length).toBeGreaterThan(3)
  expect(await readAll(journal)).toEqual(Array.from({ length: 60 }, (_, i) => [i + 1, text(i).toString()]))
  expect((await readAll(journal, 41)).map(([p]) => p)).toEqual(Array.from({ length: 20 }, (_, i) => 41 + i))
})

it('lets many appends share one sync and answers them in order', async () => {
  const fs = faultyFs()
  const journal = await open(tempDir(), { fs })
  const before = fs.syncs
  const order: number[] = []
  const positions = await Promise.all(
    Array.from({ length: 500 }, (_, i) =>
      journal.append([text(i), text(i)], { committed: (p) => void order.push(p) }),
    ),
  )
  expect(positions).toEqual(Array.from({ length: 500 }, (_, i) => 1 + i * 2))
  expect(order).toEqual(positions)
  // One for the segment's header and one for the group.
  expect(fs.syncs - before).toBeLessThanOrEqual(3)
})

it('cuts a torn tail at the last good record, wherever the write stopped', async () => {
  const from = tempDir()
  const journal = await open(from)
  for (let i = 0; i < 5; i++) await journal.append(text(i))
  const safe = journal.bytes
  await journal.append([text(5), text(6)])
  await journal.close()
  const whole = statSync(onlyFile(from)).size
  const bytes = readFileSync(onlyFile(from))
  for (let size = safe; size < whole; size++) {
    const dir = tempDir()
    writeFileSync(join(dir, files(from)[0]!), bytes.subarray(0, size))
    const again = await open(dir)
    expect(again.damage).toEqual([])
    const kept = await readAll(again)
    expect(kept.length === 5 || kept.length === 6).toBe(true)
    expect(kept.map(([, t]) => t)).toEqual(kept.map((_, i) => text(i).toString()))
    expect(await again.append(text(99))).toBe(kept.length + 1)
    await again.close()
    expect((await readAll(await open(dir))).at(-1)).toEqual([kept.length + 1, text(99).toString()])
  }
})

it('also cuts a segment whose very header was torn', async () => {
  const dir = tempDir()
  const journal = await open(dir)
  await journal.append(text(0))
  await journal.close()
  for (let size = 0; size < 16; size++) {
    writeFileSync(join(dir, '0000000000000002.journal'), readFileSync(onlyFile(dir)).subarray(0, size))
    const again = await open(dir)
    expect(await readAll(again)).toHaveLength(1)
    expect(again.next).toBe(2)
    await again.close()
  }
})

it('names file and offset of a flipped byte in the middle, keeps the rest apart, and never reads past it silently', async () => {
  const from = tempDir()
  const journal = await open(from)
  for (let i = 0; i < 6; i++) await journal.append(text(i))
  await journal.close()
  const bytes = readFileSync(onlyFile(from))
  // Every byte up to the last group; a flip in the last one cannot be told from a torn write.
  const lastGroup = bytes.length - 16 - text(5).length
  for (let at = 0; at < lastGroup; at++) {
    const dir = tempDir()
    const flipped = Buffer.from(bytes)
    flipped[at]! ^= 0x10
    const file = join(dir, files(from)[0]!)
    writeFileSync(file, flipped)
    await expect(open(dir, { onDamage: 'refuse' })).rejects.toThrow(/damaged at byte \d+/)
    const again = await open(dir)
    expect(again.damage).toHaveLength(1)
    expect(again.damage[0]!.file).toBe(file)
    expect(again.damage[0]!.offset).toBeLessThanOrEqual(at)
    expect(readFileSync(again.damage[0]!.keptAs)).toEqual(flipped)
    const kept = await readAll(again)
    expect(kept).toEqual(kept.map((_, i) => [i + 1, text(i).toString()]))
    expect(kept.length).toBeLessThan(6)
    await again.append(text(7))
    await again.close()
  }
})

it('tells of a damaged or missing segment and keeps the others', async () => {
  const dir = tempDir()
  const journal = await open(dir, { segmentBytes: 100 })
  for (let i = 0; i < 12; i++) await journal.append(text(i))
  await journal.close()
  const [, second] = files(dir)
  const apart = tempDir()
  cpSync(dir, apart, { recursive: true })
  rmSync(join(apart, second!))
  await expect(open(apart, { onDamage: 'refuse' })).rejects.toThrow(/gone/)
  const bytes = readFileSync(join(dir, second!))
  bytes[40]! ^= 1
  writeFileSync(join(dir, second!), bytes)
  const again = await open(dir)
  expect(again.damage).toHaveLength(1)
  const kept = await readAll(again)
  expect(kept.at(-1)).toEqual([12, text(11).toString()])
  expect(kept.length).toBeLessThan(12)
})

it('refuses with storage_full on a full disk, keeps nothing of the refused, and goes on when there is room', async () => {
  const dir = tempDir()
  const fs = faultyFs()
  const journal = await open(dir, { fs })
  await journal.append(text(1))
  for (let room = 0; room < 60; room++) {
    fs.room = room
    await expect(journal.append([text(20), text(21)])).rejects.toMatchObject({
      code: 'storage_full',
      status: 503,
    })
  }
  fs.room = Number.POSITIVE_INFINITY
  expect(await journal.append(text(2))).toBe(2)
  expect((await readAll(journal)).map(([, t]) => t)).toEqual([text(1).toString(), text(2).toString()])
  await journal.close()
  expect((await readAll(await open(dir))).map(([, t]) => t)).toEqual([text(1).toString(), text(2).toString()])
})

it('never trusts a segment whose sync failed: the unacknowledged go to a new one', async () => {
  const dir = tempDir()
  const fs = faultyFs()
  const journal = await open(dir, { fs })
  await journal.append(text(1))
  const segments: number[] = []
  const sync = fs.datasync
  let failures = 1
  fs.datasync = (fd) =>
    failures-- > 0 ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : sync(fd)
  await journal.append((segment) => {
    segments.push(segment)
    return text(2)
  })
  expect(new Set(segments).size).toBe(2)
  expect(files(dir)).toHaveLength(2)
  fs.failSyncs = 'EIO'
  await expect(journal.append(text(3))).rejects.toMatchObject({ code: 'unavailable' })
  fs.failSyncs = null
  await journal.append(text(4))
  await journal.close()
  const again = await open(dir)
  expect(again.damage).toEqual([])
  expect(await readAll(again)).toEqual([1, 2, 4].map((n, i) => [i + 1, text(n).toString()]))
})

it('ignores leavings of a failed write that could not be cut away', async () => {
  const dir = tempDir()
  const fs = faultyFs()
  fs.truncate = () => Promise.reject(new Error('read-only'))
  const journal = await open(dir, { fs })
  await journal.append(text(1))
  let failures = 1
  const sync = fs.datasync
  fs.datasync = (fd) => (failures-- > 0 ? Promise.reject(new Error('EIO')) : sync(fd))
  await journal.append(text(2))
  await journal.append(text(3))
  await journal.close()
  const again = await open(dir)
  expect(again.damage).toEqual([])
  expect(await readAll(again)).toEqual([1, 2, 3].map((n) => [n, text(n).toString()]))
})

it('holds its size limit and deletes whole segments', async () => {
  const dir = tempDir()
  const journal = await open(dir, { segmentBytes: 200, maxBytes: 1000 })
  let last = 0
  await expect(
    (async () => {
      for (;;) last = await journal.append(text(30))
    })(),
  ).rejects.toMatchObject({ code: 'storage_full', retryAfter: 5000 })
  const { start } = journal
  await journal.drop(last - 1)
  expect(journal.start).toBeGreaterThan(start)
  expect(journal.start).toBeLessThanOrEqual(last - 1)
  expect(await journal.append(text(31))).toBe(last + 1)
  await journal.drop(last + 2)
  expect(journal.next).toBe(last + 2)
  await journal.close()
  expect((await open(dir)).next).toBe(last + 2)
})

it('refuses after close and reads a record larger than its buffer', async () => {
  const dir = tempDir()
  const journal = await open(dir)
  const large = Buffer.alloc(3 << 20, 7)
  await journal.append([text(1), large, text(2)])
  const got: number[] = []
  for await (const r of journal.read(1)) got.push(r.bytes.length)
  expect(got).toEqual([text(1).length, large.length, text(2).length])
  await journal.close()
  await expect(journal.append(text(3))).rejects.toMatchObject({ code: 'unavailable' })
})

it('is not led astray by owners and makers that throw', async () => {
  const journal = await open(tempDir())
  const failing = (): never => {
    throw new Error('bug')
  }
  const results = await Promise.allSettled([
    journal.append(text(1), { committed: failing }),
    journal.append([text(2), failing]),
    journal.append(text(3)),
  ])
  expect(results.map((r) => r.status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
  expect(await readAll(journal)).toEqual([
    [1, text(1).toString()],
    [2, text(3).toString()],
  ])
})

it('leaves files that are not its own alone', async () => {
  const dir = tempDir()
  mkdirSync(join(dir, 'quarantine'))
  const journal = await open(dir)
  await journal.append(text(1))
  copyFileSync(onlyFile(dir), join(dir, 'other'))
  await journal.close()
  expect(await readAll(await open(dir))).toHaveLength(1)
})

it('refuses a record that it would take for damage when it is read', async () => {
  const dir = tempDir()
  const journal = await open(dir)
  await journal.append(text(1))
  const large = Buffer.alloc((256 << 20) + 1)
  await expect(journal.append(() => large)).rejects.toMatchObject({ code: 'too_large' })
  await expect(journal.append(large)).rejects.toMatchObject({ code: 'too_large' })
  await journal.append(text(2))
  await journal.close()
  const again = await open(dir)
  expect(again.damage).toEqual([])
  expect((await readAll(again)).map(([, t]) => t)).toEqual([text(1).toString(), text(2).toString()])
})
