import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { openLedger } from '../../src/ledger/ledger.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { fakeMetrics } from '../kit/metrics.ts'

const script = join(import.meta.dirname, '../kit/act-process.ts')

test('killed three times while it acts: what was done is on record, and each key is one action to its receiver', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'airboss-kill-'))
  /** As an honest receiver does: a key seen before changes nothing. */
  const carried = new Map<string, number>()
  const server = createServer((req, res) => {
    const key = String(req.headers['idempotency-key'])
    carried.set(key, (carried.get(key) ?? 0) + 1)
    req.resume().on('end', () => setTimeout(() => res.end('ok'), 3))
  })
  await new Promise<void>((r) => server.listen(0, '127.0.0.1', r))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const told: string[] = []
  for (let round = 0; round < 3; round++) {
    // It begins again with the first it has not said done, as the desk does with what it finds open.
    const child = spawn(process.execPath, [script, dir, url, String(told.length)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let text = ''
    const enough = new Promise<void>((resolve) =>
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk.toString()
        if (text.split('\n').length > 15 + round * 6) resolve()
      }),
    )
    const gone = new Promise((resolve) => child.on('close', resolve))
    await enough
    child.kill('SIGKILL')
    await gone
    told.push(...text.split('\n').slice(0, -1))
  }
  await new Promise((r) => server.close(r))
  const ledger = openLedger({ dir, clock, log: silentLogger(), metrics: fakeMetrics() })
  await ledger.start()
  expect(await ledger.verify()).toMatchObject({ ok: true })
  expect(told.length).toBeGreaterThan(45)
  told.forEach((line, i) => {
    expect(line).toBe(`a${i} done`)
    expect(ledger.get('action', `a${i}`)?.value).toMatchObject({ state: 'done' })
    expect(carried.get(`a${i}`)).toBeGreaterThanOrEqual(1)
  })
  // Only an action that a kill caught under way is sent again.
  const twice = [...carried.values()].filter((n) => n > 1)
  expect(twice.length).toBeLessThanOrEqual(3)
  expect(Math.max(...carried.values())).toBeLessThanOrEqual(4)
  await ledger.drain()
  await rm(dir, { recursive: true })
}, 60_000)
