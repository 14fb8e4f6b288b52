import { expect, it } from 'vitest'
import { FakeClock, settle } from '../../test/kit/clock.ts'
import { duration, instant } from '../lib/time.ts'
import type { Answer } from '../model/result.ts'
import { createQueryGate } from './query-gate.ts'

const answer: Answer = { value: { kind: 'scalar', at: instant(0), value: 1 }, warnings: [], infos: [] }
const gate = (concurrency: number) => {
  const clock = new FakeClock(0)
  const open = new Map<string, (a: Answer) => void>()
  const ask = createQueryGate({
    clock,
    concurrency,
    timeout: duration(60_000),
    patience: duration(5000),
    querier: { instant: (expr) => new Promise((resolve) => open.set(expr, resolve)) },
  })
  return { clock, open, ask }
}
const forever = new AbortController().signal

it('lets as many run as told, in order of asking', async () => {
  const { open, ask } = gate(2)
  const asked = ['a', 'b', 'c'].map((e) => ask(e, instant(0), forever))
  await settle()
  expect([...open.keys()]).toEqual(['a', 'b'])
  open.get('b')!(answer)
  await settle()
  expect([...open.keys()]).toEqual(['a', 'b', 'c'])
  open.get('a')!(answer)
  open.get('c')!(answer)
  await expect(Promise.all(asked)).resolves.toHaveLength(3)
})

it('lets others go on after a while, and stops the one that hangs', async () => {
  const { clock, open, ask } = gate(1)
  const hanging = ask('a', instant(0), forever)
  const failed = expect(hanging).rejects.toThrow('the query took longer than 1m')
  const next = ask('b', instant(0), forever)
  await settle()
  expect(open.has('b')).toBe(false)
  await clock.advance(5000)
  expect(open.has('b')).toBe(true)
  open.get('b')!(answer)
  await next
  await clock.advance(60_000)
  await failed
  // Its place was given up once: now one may run, not two.
  void ask('c', instant(0), forever)
  void ask('d', instant(0), forever)
  await settle()
  expect(open.has('c')).toBe(true)
  expect(open.has('d')).toBe(false)
})

it('leaves the queue when it is stopped', async () => {
  const { open, ask } = gate(1)
  const stop = new AbortController()
  const first = ask('a', instant(0), forever)
  const second = ask('b', instant(0), stop.signal)
  await settle()
  stop.abort()
  await expect(second).rejects.toThrow('waited for its turn')
  open.get('a')!(answer)
  await first
  const third = ask('c', instant(0), forever)
  await settle()
  open.get('c')!(answer)
  await third
})
