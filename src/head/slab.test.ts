import fc from 'fast-check'
import { expect, it } from 'vitest'
import { regionSize, Slab } from './slab.ts'

it('never gives one place twice and gets every block back', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 20_000 }), fc.nat()), { maxLength: 300 }),
      (steps) => {
        const slab = new Slab(4 << 20)
        const held: { region: number; size: number }[] = []
        for (const [take, samples, which] of steps) {
          if (take || held.length === 0) {
            const size = regionSize(samples)
            const region = slab.take(size)
            if (region < 0) continue
            expect(region + size).toBeLessThanOrEqual(slab.at.length)
            for (const other of held)
              expect(region + size <= other.region || other.region + other.size <= region).toBe(true)
            held.push({ region, size })
            // Whoever holds a region writes all over it.
            slab.at.fill(-7, region, region + size)
          } else {
            const [gone] = held.splice(which % held.length, 1)
            slab.give(gone!.region, gone!.size)
          }
        }
        for (const { region, size } of held) slab.give(region, size)
        expect(slab.usedBytes).toBe(0)
        // The very same memory serves one large region again.
        expect(slab.take(8192 * (slab.blocks - 8))).toBe(0)
      },
    ),
    { numRuns: 200 },
  )
})

it('gives regions that fit, at most twice as large as asked', () => {
  for (let n = 1; n < 50_000; n++) {
    const size = regionSize(n)
    expect(size).toBeGreaterThanOrEqual(n)
    if (n > 4 && n <= 2048) expect(size).toBeLessThanOrEqual(n * 2)
  }
})
