// A set of spans by trace and span id, in typed arrays: millions of them cost no objects.

/** Words of 32 bits in an id: four of the trace, two of the span. */
export const idWords = 6

const digits = new Int8Array(128).fill(-1)
for (let d = 0; d < 16; d++) {
  const text = d.toString(16)
  digits[text.charCodeAt(0)] = d
  digits[text.toUpperCase().charCodeAt(0)] = d
}

const word = (text: string, from: number): number => {
  let value = 0
  for (let i = from; i < from + 8; i++) value = (value << 4) | digits[text.charCodeAt(i) & 127]!
  return value
}

/** Writes the words of hexadecimal ids into `out`. */
export const wordsOfIds = (traceId: string, spanId: string, out: Int32Array): void => {
  for (let i = 0; i < 4; i++) out[i] = word(traceId, i * 8)
  for (let i = 0; i < 2; i++) out[4 + i] = word(spanId, i * 8)
}

const fewest = 1024

/**
 * Open addressing over rows of six words, which are compared whole. `seed` stirs the hash, so that nobody outside can choose ids that fall
 * on one place.
 */
export class SpanIds {
  readonly #seed: number
  #ids = new Int32Array(fewest * idWords)
  #slots = new Int32Array(fewest * 2)
  size = 0

  constructor(seed = (Math.random() * 0x7fffffff) | 0) {
    this.#seed = seed
  }

  #hash(of: Int32Array, at: number): number {
    let h = this.#seed
    for (let i = 0; i < idWords; i++) {
      h = Math.imul(h ^ Math.imul(of[at + i]!, 0xcc9e2d51), 0x1b873593)
      h = (h << 13) | (h >>> 19)
    }
    h ^= h >>> 16
    h = Math.imul(h, 0x85ebca6b)
    return h ^ (h >>> 13)
  }

  /** The slot of an id, or the free one where it would stand. */
  #slot(id: Int32Array): number {
    const mask = this.#slots.length - 1
    for (let slot = this.#hash(id, 0) & mask; ; slot = (slot + 1) & mask) {
      const row = this.#slots[slot]! - 1
      if (row < 0) return slot
      const at = row * idWords
      const ids = this.#ids
      if (
        ids[at + 4] === id[4] &&
        ids[at + 5] === id[5] &&
        ids[at + 3] === id[3] &&
        ids[at + 2] === id[2] &&
        ids[at + 1] === id[1] &&
        ids[at] === id[0]
      )
        return slot
    }
  }

  has(id: Int32Array): boolean {
    return this.#slots[this.#slot(id)] !== 0
  }

  /** False when it was there. */
  add(id: Int32Array): boolean {
    let slot = this.#slot(id)
    if (this.#slots[slot] !== 0) return false
    if ((this.size + 1) * idWords > this.#ids.length) {
      this.#widen()
      slot = this.#slot(id)
    }
    this.#ids.set(id, this.size * idWords)
    this.#slots[slot] = ++this.size
    return true
  }

  #widen(): void {
    const ids = new Int32Array(this.#ids.length * 2)
    ids.set(this.#ids)
    this.#ids = ids
    this.#slots = new Int32Array(this.#slots.length * 2)
    const mask = this.#slots.length - 1
    for (let row = 0; row < this.size; row++) {
      let slot = this.#hash(ids, row * idWords) & mask
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask
      this.#slots[slot] = row + 1
    }
  }

  /** Forgets all; small memory is kept for what comes next. */
  clear(): void {
    if (this.size === 0) return
    if (this.#slots.length > 1 << 16) {
      this.#ids = new Int32Array(fewest * idWords)
      this.#slots = new Int32Array(fewest * 2)
    } else this.#slots.fill(0)
    this.size = 0
  }
}
