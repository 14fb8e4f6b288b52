import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { instant } from '../lib/time.ts'
import { createSaver, loadState, type SavedGroups } from './state-file.ts'

const folder = (): string => mkdtempSync(join(tmpdir(), 'state-'))
const groups = (n: number): SavedGroups => ({
  'r.yaml;g': {
    evaluatedAt: instant(n),
    rules: [
      {
        identity: 'x',
        alerts: [
          {
            labels: ['alertname', 'A'],
            annotations: {},
            state: 'firing',
            value: Number.POSITIVE_INFINITY,
            activeAt: instant(1),
            firedAt: instant(2),
            resolvedAt: null,
            keepFiringSinceAt: null,
            lastSentAt: instant(n),
          },
        ],
      },
    ],
  },
})

it('reads back what it wrote, infinities too, in a folder it makes', async () => {
  const path = join(folder(), 'deep', 'rules.json')
  expect(await loadState(path)).toBeNull()
  await createSaver(path, () => groups(5))()
  expect(await loadState(path)).toEqual(groups(5))
})

it('saves one at a time, shares what waits, and ends with the last state', async () => {
  const at = folder()
  const path = join(at, 'rules.json')
  let n = 0
  let taken = 0
  const save = createSaver(path, () => {
    taken++
    return groups(n)
  })
  const all: Promise<void>[] = []
  for (n = 1; n <= 50; n++) {
    all.push(save())
    if (n % 10 === 0) await all[0]
  }
  n = 99
  all.push(save())
  await Promise.all(all)
  expect(await loadState(path)).toEqual(groups(99))
  expect(taken).toBeLessThan(20)
  expect(readdirSync(at)).toEqual(['rules.json'])
})

it('goes on saving after a failure', async () => {
  const at = folder()
  writeFileSync(join(at, 'file'), '')
  const save = createSaver(join(at, 'file', 'rules.json'), () => groups(1))
  await expect(save()).rejects.toThrow()
  await expect(save()).rejects.toThrow()
})

it('sets a file aside that it cannot read', async () => {
  const at = folder()
  const path = join(at, 'rules.json')
  writeFileSync(path, '{"version":2,"groups":{}}')
  await expect(loadState(path)).rejects.toThrow('is now')
  expect(readdirSync(at)).toEqual(['rules.json.broken'])
  expect(await loadState(path)).toBeNull()
})
