// A growing list of series references in ascending order.

export class Postings {
  #refs = new Uint32Array(4)
  length = 0

  /** A view; valid until the next `add`. */
  get refs(): Uint32Array {
    return this.#refs.subarray(0, this.length)
  }

  add(ref: number): void {
    if (this.length === this.#refs.length) {
      const wider = new Uint32Array(this.length * 2)
      wider.set(this.#refs)
      this.#refs = wider
    }
    let i = this.length++
    // References mostly come in order; one that does not moves the later ones.
    while (i > 0 && this.#refs[i - 1]! > ref) {
      this.#refs[i] = this.#refs[i - 1]!
      i--
    }
    this.#refs[i] = ref
  }
}

/** References in both, ascending. */
export const intersect = (a: Uint32Array, b: Uint32Array): Uint32Array => {
  const [few, many] = a.length <= b.length ? [a, b] : [b, a]
  const out = new Uint32Array(few.length)
  let n = 0
  let j = 0
  for (let i = 0; i < few.length; i++) {
    const ref = few[i]!
    // Leaps that double, then a step back by halves: cheap when one list is much the shorter.
    let leap = 1
    while (j + leap < many.length && many[j + leap]! < ref) leap *= 2
    let end = Math.min(j + leap, many.length - 1)
    while (j < end) {
      const middle = (j + end) >>> 1
      if (many[middle]! < ref) j = middle + 1
      else end = middle
    }
    if (many[j] === ref) out[n++] = ref
  }
  return out.subarray(0, n)
}

/** References in any of the lists, ascending; a reference stands in at most one of them. */
export const union = (lists: readonly Uint32Array[]): Uint32Array => {
  if (lists.length === 1) return lists[0]!
  const out = new Uint32Array(lists.reduce((sum, l) => sum + l.length, 0))
  let n = 0
  for (const list of lists) {
    out.set(list, n)
    n += list.length
  }
  return out.sort()
}
