// What StatsD's series said last, so that counters go on where they were after a restart.
import { pack, unpack } from '../../lib/column-text.ts'
import { AppError } from '../../lib/errors.ts'
import type { Batch } from '../../model/batch.ts'
import type { Producer } from '../../model/ports/producer.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'

interface Last {
  readonly value: number
  readonly at: number
  /** Only seen in a replay: it may be somebody else's. */
  readonly candidate: boolean
}

/** How long a series seen only in a replay is kept, in milliseconds. */
const candidateIdle = 600_000

interface Saved {
  readonly ids: string
  readonly values: string
  readonly times: string
}

/** Output beside input has no meaning here, for datagrams are not acknowledged: what was written last is the state. */
export class StatsdState implements Producer {
  readonly name = 'statsd'
  readonly #table: SeriesTable
  readonly #last = new Map<SeriesRef, Last>()
  /** Of series that the table did not know yet. */
  readonly #unmet = new Map<bigint, Last>()
  #saved: Saved | null = null

  constructor(table: SeriesTable) {
    this.#table = table
  }

  /** The value last written, undefined for a series that is new. */
  last(ref: SeriesRef): number | undefined {
    const known = this.#last.get(ref)
    if (known || this.#unmet.size === 0) return known?.value
    const id = this.#table.id(ref)
    const unmet = this.#unmet.get(id)
    if (!unmet) return undefined
    this.#unmet.delete(id)
    this.#last.set(ref, unmet)
    return unmet.value
  }

  /** Call it when the sample is safe. */
  wrote(ref: SeriesRef, at: number, value: number): void {
    this.#last.set(ref, { value, at, candidate: false })
    this.#saved = null
  }

  forget(ref: SeriesRef): void {
    this.#last.delete(ref)
    this.#saved = null
  }

  /** Lets go of what nobody spoke of for `idle` milliseconds, and sooner of what may be somebody else's. */
  sweep(now: number, idle: number): void {
    const sweep = <K>(all: Map<K, Last>): void => {
      for (const [key, { at, candidate }] of all)
        if (now - at > (candidate ? Math.min(candidateIdle, idle) : idle)) {
          all.delete(key)
          this.#saved = null
        }
    }
    sweep(this.#last)
    sweep(this.#unmet)
  }

  checkpoint(): unknown {
    if (this.#saved) return this.#saved
    const rows: [bigint, Last][] = [
      ...[...this.#last].map(([ref, last]): [bigint, Last] => [this.#table.id(ref), last]),
      ...this.#unmet,
    ]
    this.#saved = {
      ids: pack(BigUint64Array.from(rows, ([id]) => id)),
      values: pack(Float64Array.from(rows, ([, last]) => last.value)),
      // A candidate's time is written below zero.
      times: pack(Float64Array.from(rows, ([, last]) => (last.candidate ? -last.at : last.at))),
    }
    return this.#saved
  }

  /** Throws `bad_data` when `state` is no checkpoint of this producer. */
  restore(state: unknown): void {
    const saved = state as Partial<Saved> | null
    if (typeof saved?.ids !== 'string' || typeof saved.values !== 'string' || typeof saved.times !== 'string')
      throw new AppError('bad_data', 'the checkpoint of statsd has another form')
    const ids = new BigUint64Array(unpack(saved.ids))
    const values = new Float64Array(unpack(saved.values))
    const times = new Float64Array(unpack(saved.times))
    if (values.length !== ids.length || times.length !== ids.length)
      throw new AppError('bad_data', 'the checkpoint of statsd is cut off')
    this.#last.clear()
    this.#unmet.clear()
    this.#saved = null
    ids.forEach((id, i) => {
      const last = { value: values[i]!, at: Math.abs(times[i]!), candidate: times[i]! < 0 }
      const ref = this.#table.refOf(id)
      if (ref === undefined) this.#unmet.set(id, last)
      else this.#last.set(ref, last)
    })
  }

  replay({ ref, at, value }: Batch): void {
    this.#saved = null
    for (let i = 0; i < ref.length; i++) {
      const key = ref[i]!
      // Moves what a checkpoint knew to where the table has it.
      this.last(key)
      const known = this.#last.get(key)
      if (known && known.at > at[i]!) continue
      // A stale marker: it ended, and begins anew if it comes back.
      if (Number.isNaN(value[i]!)) this.#last.delete(key)
      else this.#last.set(key, { value: value[i]!, at: at[i]!, candidate: known?.candidate ?? true })
    }
  }
}
