// Every known series: a dense reference for this process, a stable 64-bit id for the store, and its labels.
import { hashInto } from '../lib/hash.ts'
import { type Labels, labelsKey } from './labels.ts'

/** A reference: a small integer, valid in this process only. */
export type SeriesRef = number

/**
 * The table of series identities. References are dense from 0 and never reused while the process lives. An id is the hash of the
 * sorted labels; when two label sets meet in one hash the later is salted until it is alone, and the salted id is what is stored.
 */
export class SeriesTable {
  readonly #limit: number
  readonly #reserve: number
  readonly #labels: Labels[] = []
  readonly #byKey = new Map<string, SeriesRef>()
  readonly #byId = new Map<bigint, SeriesRef>()
  #histograms = new Uint8Array(1024)
  #words = new Uint32Array(2048)
  #ids = new BigUint64Array(this.#words.buffer)

  /** `reserve`: room beyond the limit for what Airboss says of itself, so that a flood of others' series cannot hide the alarm about it. */
  constructor(limit: number, reserve = 0) {
    this.#limit = limit
    this.#reserve = reserve
  }

  get size(): number {
    return this.#labels.length
  }

  /** The reference of a label set that is known. */
  find(labels: Labels): SeriesRef | undefined {
    return this.#byKey.get(labelsKey(labels))
  }

  /** The reference of a label set, made on first sight; -1 when the limit of series is reached (for `own` ones, the reserve too). */
  intern(labels: Labels, own = false): SeriesRef {
    const key = labelsKey(labels)
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    if (this.#labels.length >= this.#limit + (own ? this.#reserve : 0)) return -1
    for (let salt = 0; ; salt++) {
      hashInto(labels, salt, scratch)
      if (!this.#byId.has(scratchId[0]!)) return this.#add(scratchId[0]!, labels, key)
    }
  }

  /** Puts back a series as the store or the log knows it, whatever its id hashes to. Past the limit too: what is stored stays readable. */
  restore(id: bigint, labels: Labels): SeriesRef {
    const key = labelsKey(labels)
    return this.#byId.get(id) ?? this.#byKey.get(key) ?? this.#add(id, labels, key)
  }

  /** Says that the series has native histograms, or may have. */
  sawHistogram(ref: SeriesRef): void {
    if (ref >= this.#histograms.length) {
      const wider = new Uint8Array(Math.max(ref + 1, this.#histograms.length * 2))
      wider.set(this.#histograms)
      this.#histograms = wider
    }
    this.#histograms[ref] = 1
  }

  /** Whether the series ever had a native histogram: those that never had are not looked for any. */
  hasHistograms(ref: SeriesRef): boolean {
    return this.#histograms[ref] === 1
  }

  labels(ref: SeriesRef): Labels {
    return this.#labels[ref]!
  }

  id(ref: SeriesRef): bigint {
    return this.#ids[ref]!
  }

  /** All ids by reference; as 32-bit words (low, high) where bigints would cost. Valid until the next `intern`. */
  get ids(): BigUint64Array {
    return this.#ids.subarray(0, this.#labels.length)
  }
  get idWords(): Uint32Array {
    return this.#words.subarray(0, this.#labels.length * 2)
  }

  refOf(id: bigint): SeriesRef | undefined {
    return this.#byId.get(id)
  }

  #add(id: bigint, labels: Labels, key: string): SeriesRef {
    const ref = this.#labels.length
    if (ref * 2 >= this.#words.length) {
      const wider = new Uint32Array(this.#words.length * 2)
      wider.set(this.#words)
      this.#words = wider
      this.#ids = new BigUint64Array(wider.buffer)
    }
    this.#ids[ref] = id
    this.#labels.push(labels)
    this.#byKey.set(key, ref)
    this.#byId.set(id, ref)
    return ref
  }
}

const scratch = new Uint32Array(2)
const scratchId = new BigUint64Array(scratch.buffer)
