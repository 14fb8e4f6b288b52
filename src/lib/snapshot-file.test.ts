import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { tempDir } from '../../test/kit/temp-dir.ts'
import { readSnapshot, writeSnapshot } from './snapshot-file.ts'

it('replaces the file whole and leaves nothing beside it', async () => {
  const dir = tempDir()
  const path = join(dir, 'state', 'rules.json')
  expect(await readSnapshot(path)).toBeNull()
  await writeSnapshot(path, '{"a":1}')
  await writeSnapshot(path, '{}')
  expect(String(await readSnapshot(path))).toBe('{}')
  expect(readdirSync(join(dir, 'state'))).toEqual(['rules.json'])
})

it('keeps the old content when the new cannot be written', async () => {
  const dir = tempDir()
  await expect(writeSnapshot(dir, 'x')).rejects.toThrow()
  expect(readdirSync(dir)).toEqual([])
})
