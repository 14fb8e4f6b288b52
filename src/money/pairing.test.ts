import { expect, test } from 'vitest'
import { Pairing, type Seen } from './pairing.ts'

const seen = (side: Seen['side'], at: number, tokens: number, more: Partial<Seen> = {}): Seen => ({
  side,
  job: 'shop',
  pool: 'm/input',
  source: 'i1',
  agent: '',
  from: at,
  to: at,
  tokens,
  payer: side,
  ...more,
})
const chunksOf = (pairing: Pairing) => pairing.save().sources[0]?.[4] ?? []

test('what waits for a partner stays little however much comes at once, and no token is lost', () => {
  const pairing = new Pairing()
  pairing.begin()
  for (let i = 0; i < 5000; i++) pairing.see(seen('spans', i * 20_000, 1, { agent: `a${i}` }))
  expect(chunksOf(pairing).length).toBeLessThanOrEqual(128)
  pairing.commit()
  const { matches, left } = pairing.see(seen('metrics', 5000 * 20_000, 6000, { from: 0 }))
  expect(matches.reduce((sum, m) => sum + m.tokens, 0)).toBe(5000)
  expect(left).toBe(1000)
})

test('what was put together is taken apart when the batch is refused', () => {
  const pairing = new Pairing()
  pairing.begin()
  for (let i = 0; i < 100; i++) pairing.see(seen('spans', i * 20_000, 1, { agent: `a${i % 7}` }))
  pairing.commit()
  const before = chunksOf(pairing)
  pairing.begin()
  for (let i = 50; i < 400; i++) {
    pairing.see(seen('spans', i * 20_000, 2, { agent: `b${i % 7}` }))
    if (i % 50 === 0) pairing.see(seen('metrics', i * 20_000, 5, { from: 0 }))
  }
  pairing.rollback()
  expect(chunksOf(pairing)).toEqual(before)
})
