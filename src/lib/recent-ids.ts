// A bounded memory of identifiers already seen, so that a repeated one counts once.
import { hash64 } from './hash.ts'

const digits = 16

/**
 * Keeps the newest `most` ids as 64-bit hashes, oldest forgotten first. Two different ids share a hash with a chance of about
 * n²/2^65: one in 10 billion for a full window of 65,536.
 */
export class RecentIds {
  readonly #most: number
  readonly #seen = new Set<string>()
  /** The same by age, as a ring once it is full: a set walks over all it has forgotten to find its oldest. */
  #ring: string[] = []
  #oldest = 0
  #text: string | null = ''

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#seen.size
  }

  has(id: string): boolean {
    return this.#seen.has(hash64([id]))
  }

  add(id: string): void {
    this.#put(hash64([id]))
  }

  #put(hash: string): void {
    if (this.#seen.has(hash)) return
    this.#seen.add(hash)
    this.#text = null
    if (this.#ring.length < this.#most) {
      this.#ring.push(hash)
      return
    }
    this.#seen.delete(this.#ring[this.#oldest]!)
    this.#ring[this.#oldest] = hash
    this.#oldest = (this.#oldest + 1) % this.#most
  }

  /** Hashes in order of age, 16 hexadecimal digits each, as one text; only the newest `most`, where that is given. */
  save(most = Number.POSITIVE_INFINITY): string {
    if (this.#text === null) {
      const byAge = [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)]
      this.#text = (byAge.length > most ? byAge.slice(-most) : byAge).join('')
    }
    return this.#text
  }

  /** Replaces what is remembered by what `save` gave. */
  load(text: string): void {
    this.#seen.clear()
    this.#ring = []
    this.#oldest = 0
    for (let i = 0; i + digits <= text.length; i += digits) this.#put(text.slice(i, i + digits))
    this.#text = null
  }
}
