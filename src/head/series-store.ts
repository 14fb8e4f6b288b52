// The samples of every series in memory: one region of the slab a series, ascending in time, one sample a time.
import { regionSize, Slab } from './slab.ts'

const nowhere = -1
const never = Number.NEGATIVE_INFINITY

/** What became of a sample: kept, a second one at the same time, older than is kept, or no room anywhere. */
export type Put = 'kept' | 'duplicate' | 'old' | 'full'

/**
 * Series `ref` has the samples `from[ref] … to[ref] - 1` of the slab's columns; `lastAt[ref]` is the newest time it ever had. Samples move only
 * within calls of these methods, so views are good until the next one.
 */
export class SeriesStore {
  readonly slab: Slab
  from = new Int32Array(1024)
  to = new Int32Array(1024)
  /** End of the region. */
  limit = new Int32Array(1024)
  lastAt = new Float64Array(1024).fill(never)
  /** The newest time of all samples that were let go or not kept. */
  lostAt = never
  #base = new Int32Array(1024).fill(nowhere)

  constructor(bytes: number) {
    this.slab = new Slab(bytes)
  }

  get length(): number {
    return this.from.length
  }

  widen(least: number): void {
    if (least <= this.from.length) return
    const length = Math.max(least, this.from.length * 2)
    const copy = (old: Int32Array, fill = 0): Int32Array<ArrayBuffer> => {
      const wider = new Int32Array(length).fill(fill)
      wider.set(old)
      return wider
    }
    this.from = copy(this.from)
    this.to = copy(this.to)
    this.limit = copy(this.limit)
    this.#base = copy(this.#base, nowhere)
    const last = new Float64Array(length).fill(never)
    last.set(this.lastAt)
    this.lastAt = last
  }

  /** Puts a sample where it belongs in time; `low` and `high` are the words of its value. Samples at or before `floor` are not kept. */
  put(ref: number, at: number, low: number, high: number, floor: number): Put {
    if (at <= floor) {
      this.lose(at)
      return 'old'
    }
    const times = this.slab.at
    let place = this.to[ref]!
    if (at <= this.lastAt[ref]!) {
      place = this.after(ref, at)
      if (place > this.from[ref]! && times[place - 1] === at) return 'duplicate'
    }
    if (this.to[ref] === this.limit[ref]) {
      if (place > this.from[ref]! && this.from[ref]! > this.#base[ref]! && place < this.to[ref]!) {
        // Room before the first: the few older ones move, not the region.
        return this.#insertBefore(ref, place, at, low, high)
      }
      const behind = place - this.from[ref]!
      const before = this.from[ref]!
      const dropped = this.#makeRoom(ref, floor)
      if (dropped < 0) return 'full'
      place = Math.max(this.from[ref]!, this.from[ref]! + behind - (dropped - before))
    }
    const to = this.to[ref]!
    if (place < to) {
      times.copyWithin(place + 1, place, to)
      this.slab.value.copyWithin(place + 1, place, to)
    }
    times[place] = at
    this.slab.words[place * 2] = low
    this.slab.words[place * 2 + 1] = high
    this.to[ref] = to + 1
    if (at > this.lastAt[ref]!) this.lastAt[ref] = at
    return 'kept'
  }

  /** Says that a sample of this time is not here. */
  lose(at: number): void {
    if (at > this.lostAt) this.lostAt = at
  }

  #insertBefore(ref: number, place: number, at: number, low: number, high: number): Put {
    const from = this.from[ref]!
    this.slab.at.copyWithin(from - 1, from, place)
    this.slab.value.copyWithin(from - 1, from, place)
    this.slab.at[place - 1] = at
    this.slab.words[place * 2 - 2] = low
    this.slab.words[place * 2 - 1] = high
    this.from[ref] = from - 1
    return 'kept'
  }

  /** Index of the first sample later than `at`, in the slab. */
  after(ref: number, at: number): number {
    const times = this.slab.at
    let low = this.from[ref]!
    let high = this.to[ref]!
    if (low === high || times[high - 1]! <= at) return high
    if (times[low]! > at) return low
    // Samples mostly come at a steady pace, so the place is guessed and then closed in on.
    const first = times[low]!
    const guess = low + Math.ceil(((at - first) / (times[high - 1]! - first)) * (high - 1 - low))
    if (times[guess]! > at) {
      high = guess
      if (times[guess - 1]! <= at) return guess
    } else {
      low = guess + 1
      if (times[low]! > at) return low
    }
    while (low < high) {
      const middle = (low + high) >>> 1
      if (times[middle]! <= at) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Whether there is a sample at exactly this time. */
  has(ref: number, at: number): boolean {
    if (ref >= this.from.length) return false
    const place = this.after(ref, at)
    return place > this.from[ref]! && this.slab.at[place - 1] === at
  }

  /** Makes place for one more; returns where the kept samples stood before the move, -1 when there is no room. */
  #makeRoom(ref: number, floor: number): number {
    const kept = this.from[ref] === this.to[ref] ? this.to[ref]! : this.after(ref, floor)
    const live = this.to[ref]! - kept
    if (kept > this.from[ref]!) this.lose(this.slab.at[kept - 1]!)
    const base = this.#base[ref]!
    const size = base === nowhere ? 0 : this.limit[ref]! - base
    // Moving costs what is live: worth it when a quarter of the region comes free.
    if (size > 0 && live <= size * 0.75) {
      this.#move(ref, kept, live, base, size)
      return kept
    }
    const larger = regionSize(Math.max(live + 1, size + 1))
    const next = this.slab.take(larger)
    if (next < 0) return -1
    this.#move(ref, kept, live, next, larger)
    if (base !== nowhere) this.slab.give(base, size)
    return kept
  }

  #move(ref: number, kept: number, live: number, base: number, size: number): void {
    if (live > 0) {
      this.slab.at.copyWithin(base, kept, kept + live)
      this.slab.value.copyWithin(base, kept, kept + live)
    }
    this.#base[ref] = base
    this.limit[ref] = base + size
    this.from[ref] = base
    this.to[ref] = base + live
  }

  /** Lets go of samples at or before `floor`; gives back regions that are empty or much too large. Returns how many samples went. */
  trim(ref: number, floor: number, tight: boolean): number {
    const base = this.#base[ref]!
    if (base === nowhere) return 0
    const before = this.to[ref]! - this.from[ref]!
    const kept = this.lastAt[ref]! <= floor ? this.to[ref]! : this.after(ref, floor)
    const live = this.to[ref]! - kept
    if (kept > this.from[ref]!) this.lose(this.slab.at[kept - 1]!)
    const size = this.limit[ref]! - base
    if (live === 0) {
      this.slab.give(base, size)
      this.#base[ref] = nowhere
      this.limit[ref] = 0
      this.from[ref] = 0
      this.to[ref] = 0
      return before
    }
    this.from[ref] = kept
    const fit = regionSize(tight ? live : live * 2)
    if (fit < size && (tight || live * 4 <= size)) {
      const smaller = this.slab.take(fit, true)
      if (smaller >= 0) {
        this.#move(ref, kept, live, smaller, fit)
        this.slab.give(base, size)
      }
    }
    return before - live
  }
}
