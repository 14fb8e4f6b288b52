import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openJournal } from './journal.ts'
import { silentLogger } from './log.ts'
import { rowLog } from './row-log.ts'

test('rows come back in order; a rewrite puts others in their place and frees the disk', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'rows-'))
  const open = () => openJournal({ dir, log: silentLogger(), segmentBytes: 4096 })
  const first = await open()
  const rows = rowLog(first)
  await rows.append([{ n: 1 }, { n: 2 }])
  await rows.append([])
  await rows.append([{ n: 3, snapshot: 'not one' }])
  expect(await rows.replay()).toEqual([{ n: 1 }, { n: 2 }, { n: 3, snapshot: 'not one' }])
  for (let i = 0; i < 200; i++) await rows.append([{ filler: 'x'.repeat(100) }])
  const before = rows.size()
  // What is appended while the rewrite is under way comes after it.
  await Promise.all([rows.rewrite([{ n: 3 }]), rows.append([{ n: 4 }])])
  expect(rows.size()).toBeLessThan(before / 4)
  await first.close()
  const second = await open()
  expect(await rowLog(second).replay()).toEqual([{ n: 3 }, { n: 4 }])
  await second.close()
})
