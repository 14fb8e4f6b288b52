// What came in since the last flush, by kind: counters, gauges, sets, histograms, summaries.
import { hash64 } from '../../lib/hash.ts'
import type { Duration } from '../../lib/time.ts'
import type { SeriesRef } from '../../model/series.ts'
import type { Sample } from './decode.ts'
import type { Observer } from './mapping.ts'

/** Writes one series; `cumulative` ones go on from what was written before. */
export interface Flush {
  readonly now: number
  total(ref: SeriesRef, grown: number): void
  value(ref: SeriesRef, value: number, at?: number): void
}

export interface Aggregate {
  readonly refs: readonly SeriesRef[]
  add(sample: Sample, scale: number, now: number): void
  flush(into: Flush): void
  /** What was flushed is safe, or is to be flushed again. */
  settle(safe: boolean): void
}

export const counter = (ref: SeriesRef): Aggregate => {
  let waiting = 0
  let flushed = 0
  return {
    refs: [ref],
    add: ({ values, rate }, scale) => {
      for (const value of values) waiting += (value * scale) / rate
    },
    flush: (into) => {
      flushed = waiting
      into.total(ref, flushed)
    },
    settle: (safe) => {
      if (safe) waiting -= flushed
      flushed = 0
    },
  }
}

/** `before` is what it was before a restart, from where a signed value moves it. */
export const gauge = (ref: SeriesRef, before: number | undefined): Aggregate => {
  let value = before ?? 0
  let said = before !== undefined
  let timed: { at: number; value: number }[] = []
  let flushed = 0
  return {
    refs: [ref],
    add: (sample, scale) => {
      const last = sample.values.at(-1)! * scale
      if (sample.at !== null && !sample.relative && timed.length < 1000)
        timed.push({ at: sample.at, value: last })
      if (sample.relative) for (const v of sample.values) value += v * scale
      else value = last
      said = true
    },
    flush: (into) => {
      flushed = timed.length
      for (const t of timed) if (t.at < into.now) into.value(ref, t.value, t.at)
      if (said) into.value(ref, value)
    },
    settle: (safe) => {
      if (safe) timed = timed.slice(flushed)
    },
  }
}

const mostMembers = 100_000

/** How many different ones since the last flush. */
export const set = (ref: SeriesRef): Aggregate => {
  let members = new Set<string>()
  let flushed = new Set<string>()
  return {
    refs: [ref],
    add: ({ member }) => {
      if (members.size < mostMembers) members.add(hash64([member]))
    },
    flush: (into) => {
      flushed = members
      members = new Set()
      into.value(ref, flushed.size)
    },
    settle: (safe) => {
      if (!safe) for (const member of flushed) members.add(member)
      flushed = new Set()
    },
  }
}

/** `refs` are the buckets, then sum and count. */
export const histogram = (refs: readonly SeriesRef[], bounds: readonly number[]): Aggregate => {
  const waiting = new Float64Array(refs.length)
  const flushed = new Float64Array(refs.length)
  const [sum, count] = [refs.length - 2, refs.length - 1]
  return {
    refs,
    add: ({ values, rate }, scale) => {
      for (const given of values) {
        const value = given * scale
        for (let i = bounds.length - 1; i >= 0 && value <= bounds[i]!; i--) waiting[i]! += 1 / rate
        waiting[sum]! += value / rate
        waiting[count]! += 1 / rate
      }
    },
    flush: (into) => {
      flushed.set(waiting)
      for (const [i, ref] of refs.entries()) into.total(ref, flushed[i]!)
    },
    settle: (safe) => {
      if (safe) for (let i = 0; i < waiting.length; i++) waiting[i]! -= flushed[i]!
    },
  }
}

const perSlice = 512

/** Quantiles over the newest `maxAge`, in slices that fall away one by one; each keeps a fair pick of at most 512 values. */
class Window {
  readonly #slices: { startAt: number; seen: number; values: number[] }[] = []
  readonly #slice: number
  readonly #maxAge: Duration
  #seed = 0x9e3779b9

  constructor(maxAge: Duration, slices: number) {
    this.#maxAge = maxAge
    this.#slice = maxAge / slices
  }

  /** A small generator: which values are kept need not be a secret, only fair. */
  #random(below: number): number {
    this.#seed ^= this.#seed << 13
    this.#seed ^= this.#seed >>> 17
    this.#seed ^= this.#seed << 5
    return (this.#seed >>> 0) % below
  }

  add(value: number, now: number): void {
    let newest = this.#slices.at(-1)
    if (!newest || now - newest.startAt >= this.#slice) {
      newest = { startAt: now, seen: 0, values: [] }
      this.#slices.push(newest)
    }
    newest.seen++
    if (newest.values.length < perSlice) newest.values.push(value)
    else {
      const place = this.#random(newest.seen)
      if (place < perSlice) newest.values[place] = value
    }
  }

  sorted(now: number): Float64Array {
    while (this.#slices.length > 0 && now - this.#slices[0]!.startAt > this.#maxAge) this.#slices.shift()
    return Float64Array.from(this.#slices.flatMap((s) => s.values)).sort()
  }
}

/** `refs` are the quantiles, then sum and count. */
export const summary = (refs: readonly SeriesRef[], observer: Observer): Aggregate => {
  const window = new Window(observer.maxAge, observer.ageBuckets)
  const { quantiles } = observer
  let [sum, count, flushedSum, flushedCount] = [0, 0, 0, 0]
  return {
    refs,
    add: ({ values, rate }, scale, now) => {
      for (const given of values) {
        const value = given * scale
        window.add(value, now)
        sum += value / rate
        count += 1 / rate
      }
    },
    flush: (into) => {
      const sorted = window.sorted(into.now)
      for (const [i, q] of quantiles.entries())
        if (sorted.length > 0) into.value(refs[i]!, sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)]!)
      flushedSum = sum
      flushedCount = count
      into.total(refs[quantiles.length]!, flushedSum)
      into.total(refs[quantiles.length + 1]!, flushedCount)
    },
    settle: (safe) => {
      if (!safe) return
      sum -= flushedSum
      count -= flushedCount
    },
  }
}
