// Random numbers that a printed seed brings back.

export interface Random {
  readonly seed: number
  /** An integer in [0, n). */
  below(n: number): number
  chance(p: number): boolean
  pick<T>(list: readonly T[]): T
}

/** Seeded by `SEED` in the environment, or at random; the seed is printed, so that a failure can be run again. */
export const seededRandom = (name: string): Random => {
  const { SEED } = process.env
  const seed = SEED === undefined ? Math.floor(Math.random() * 2 ** 31) : Number(SEED)
  console.info(`${name}: SEED=${seed}`)
  let state = seed
  // Mulberry32.
  const next = (): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
  const below = (n: number): number => Math.floor(next() * n)
  return { seed, below, chance: (p) => next() < p, pick: (list) => list[below(list.length)]! }
}

/** A copy of `bytes` with a few of them changed, sometimes cut short. */
export const mutated = (bytes: Buffer, random: Random): Buffer => {
  const out = Buffer.from(bytes)
  for (let k = random.below(4); k >= 0; k--) out[random.below(out.length)] = random.below(256)
  return random.chance(0.25) ? out.subarray(0, random.below(out.length)) : out
}
