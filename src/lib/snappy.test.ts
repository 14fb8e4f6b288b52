import snappy from 'snappyjs'
import { describe, expect, it } from 'vitest'
import { mutated, seededRandom } from '../../test/kit/random.ts'
import { AppError } from './errors.ts'
import { snappyDecode, snappyLength } from './snappy.ts'

describe('snappy blocks', () => {
  it('come out as they went in', () => {
    const r = seededRandom('snappy')
    for (let round = 0; round < 200; round++) {
      const words = Array.from({ length: 1 + r.below(8) }, () =>
        Buffer.alloc(1 + r.below(r.pick([4, 40, 400])), r.below(256)),
      )
      const raw = Buffer.concat(Array.from({ length: r.below(300) }, () => r.pick(words)))
      const packed = snappy.compress(raw)
      expect(snappyLength(packed)).toBe(raw.length)
      expect(snappyDecode(packed, raw.length).equals(raw), `SEED=${r.seed} round ${round}`).toBe(true)
    }
  })

  it('repeat what they just wrote, at every distance', () => {
    for (let offset = 1; offset < 12; offset++) {
      const head = Buffer.from(Array.from({ length: offset }, (_, i) => i + 1))
      const block = Buffer.concat([
        Buffer.from([offset + 30, (offset - 1) << 2]),
        head,
        Buffer.from([(29 << 2) | 2, offset, 0]),
      ])
      const want = Array.from({ length: offset + 30 }, (_, i) => (i % offset) + 1)
      expect([...snappyDecode(block, 100)]).toEqual(want)
    }
  })

  it('are refused when broken, before anything large is made', () => {
    const r = seededRandom('snappy mutations')
    const raw = Buffer.from('labels and samples, samples and labels, '.repeat(20))
    const packed = snappy.compress(raw)
    for (let round = 0; round < 3000; round++) {
      const broken = mutated(packed, r)
      try {
        expect(snappyDecode(broken, 10_000).length).toBe(snappyLength(broken))
      } catch (error) {
        expect(error, `SEED=${r.seed} round ${round}`).toBeInstanceOf(AppError)
      }
    }
    const status = (bytes: number[], most: number): number => {
      try {
        return snappyDecode(Buffer.from(bytes), most).length
      } catch (error) {
        return (error as AppError).status
      }
    }
    expect(status([0xff, 0xff, 0xff, 0xff, 0x0f], 1 << 26)).toBe(413)
    expect(status([0xff, 0xff, 0xff, 0x07], 1 << 26)).toBe(400)
    expect(status([0xff, 0xff, 0xff, 0xff, 0xff], 1 << 26)).toBe(400)
    expect(status([], 10)).toBe(400)
  })
})
