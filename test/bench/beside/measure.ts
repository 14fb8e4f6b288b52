// Figures of one run: medians, alternating order, waiting until a peer is at rest.
import { type Peer, sleep } from './peers.ts'

export const median = (list: readonly number[]): number => [...list].sort((a, b) => a - b)[list.length >> 1]!

/** One line of the table. */
export interface Row {
  readonly what: string
  readonly unit: string
  readonly airboss: number
  readonly prometheus: number
  /** What the ratio Airboss / Prometheus is to be at most (or at least, where more is better). */
  readonly aim?: string
}

export type Pair = readonly [Peer, Peer]

/** Runs for both, the first one first in even rounds and last in odd ones. */
export const alternating = async (
  peers: Pair,
  rounds: number,
  run: (peer: Peer, round: number) => Promise<void>,
): Promise<void> => {
  for (let round = 0; round < rounds; round++)
    for (const peer of round % 2 === 0 ? peers : [...peers].reverse()) await run(peer, round)
}

/** Waits until everything taken is in the store. */
export const stored = async (peer: Peer): Promise<void> => {
  for (let tries = 0; (await peer.waiting()) > 0; tries++) {
    if (tries > 600) throw new Error(`${peer.name}: rows are not stored within 30 s`)
    await sleep(50)
  }
}

/** Waits until everything taken is in the store and the peer does next to nothing, at most `seconds`. */
export const rest = async (peer: Peer, seconds = 10): Promise<void> => {
  await stored(peer)
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const before = peer.cpu()
    await sleep(300)
    if (peer.cpu() - before <= 0.03) return
  }
}

/** Samples resident memory while something runs. */
export const peakRss = async <T>(peer: Peer, work: () => Promise<T>): Promise<{ value: T; peak: number }> => {
  let peak = peer.rss()
  const timer = setInterval(() => {
    peak = Math.max(peak, peer.rss())
  }, 200)
  try {
    const value = await work()
    return { value, peak: Math.max(peak, peer.rss()) }
  } finally {
    clearInterval(timer)
  }
}
