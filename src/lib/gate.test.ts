import { expect, test } from 'vitest'
import { createGate } from './gate.ts'

test('at most so many run, in the order they came, and a failure gives its place on', async () => {
  const gate = createGate(2)
  const log: string[] = []
  const ends = new Map<string, () => void>()
  const run = (name: string) =>
    gate(async () => {
      log.push(name)
      await new Promise<void>((resolve, reject) =>
        ends.set(name, () => (name === 'a' ? reject(new Error('a')) : resolve())),
      )
    })
  const all = ['a', 'b', 'c', 'd'].map(run)
  const failed = expect(all[0]).rejects.toThrow('a')
  await new Promise((r) => setImmediate(r))
  expect(log).toEqual(['a', 'b'])
  ends.get('a')!()
  await failed
  await new Promise((r) => setImmediate(r))
  expect(log).toEqual(['a', 'b', 'c'])
  ends.get('c')!()
  await all[2]
  await new Promise((r) => setImmediate(r))
  expect(log).toEqual(['a', 'b', 'c', 'd'])
  ends.get('b')!()
  ends.get('d')!()
  await Promise.all(all.slice(1))
})
