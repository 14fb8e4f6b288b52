// Stands before the log: of two samples of one series and time only the first is accepted, also while the first is on its way to disk.
import { AppError } from '../lib/errors.ts'
import type { Batch } from '../model/batch.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Sink } from '../model/ports/sink.ts'
import { without } from './head.ts'

interface InFlight {
  readonly batch: Batch
  readonly settled: Promise<boolean>
  /** Times by series; made when somebody first asks. */
  times: Map<number, Set<number>> | null
}

/** The samples that are there already, as the head knows them. */
export interface Known {
  has(ref: number, at: number): boolean
  lastAt(ref: number): number
}

/**
 * Wraps a sink: drops samples that `known` or a batch on its way already has, and counts them. A batch that lost samples to one on its way
 * is answered only when that one is safe; if it was refused, this one is refused `unavailable` and may be sent again.
 */
export const createAdmission = (deps: { known: Known; sink: Sink<Batch>; metrics: Metrics }): Sink<Batch> => {
  const { known, sink, metrics } = deps
  const duplicates = metrics.counter(
    'airboss_duplicate_samples_total',
    'Samples of a series at a time that already had one; the first stays',
  )
  const inFlight = new Set<InFlight>()
  // Newest time of each series that was ever let through, safe or not: later ones are new without looking.
  let newest = new Float64Array(1024).fill(Number.NEGATIVE_INFINITY)

  const widen = (least: number): void => {
    const wider = new Float64Array(Math.max(least, newest.length * 2)).fill(Number.NEGATIVE_INFINITY)
    wider.set(newest)
    newest = wider
  }

  const sift = (batch: Batch): { admitted: Batch; waitFor: Set<InFlight> } => {
    const dropped: number[] = []
    const waitFor = new Set<InFlight>()
    let own: Map<number, Set<number>> | null = null
    for (let i = 0; i < batch.ref.length; i++) {
      const ref = batch.ref[i]!
      const at = batch.at[i]!
      if (ref >= newest.length) widen(ref + 1)
      if (at > newest[ref]! && at > known.lastAt(ref)) {
        newest[ref] = at
        if (own) remember(own, ref, at)
        continue
      }
      own ??= timesOf(batch, i)
      const first = holder(inFlight, ref, at)
      if (first) waitFor.add(first)
      if (first || known.has(ref, at) || own.get(ref)?.has(at)) dropped.push(i)
      else remember(own, ref, at)
    }
    if (dropped.length > 0) duplicates.add(dropped.length)
    return { admitted: without(batch, dropped), waitFor }
  }

  return {
    push: async (batch, signal) => {
      const { admitted, waitFor } = sift(batch)
      const pushed = sink.push(admitted, signal)
      const entry: InFlight = { batch: admitted, times: null, settled: pushed.then(yes, no) }
      inFlight.add(entry)
      try {
        await pushed
      } finally {
        inFlight.delete(entry)
      }
      for (const first of waitFor)
        if (!(await first.settled))
          throw new AppError(
            'unavailable',
            'the same samples were on their way from another request, which failed; send them again',
            {
              retryAfter: 1000,
            },
          )
    },
  }
}

const yes = (): boolean => true
const no = (): boolean => false

const remember = (times: Map<number, Set<number>>, ref: number, at: number): void => {
  const known = times.get(ref)
  if (known) known.add(at)
  else times.set(ref, new Set([at]))
}

const timesOf = (batch: Batch, length: number): Map<number, Set<number>> => {
  const times = new Map<number, Set<number>>()
  for (let i = 0; i < length; i++) remember(times, batch.ref[i]!, batch.at[i]!)
  return times
}

const holder = (inFlight: ReadonlySet<InFlight>, ref: number, at: number): InFlight | null => {
  for (const entry of inFlight) {
    entry.times ??= timesOf(entry.batch, entry.batch.ref.length)
    if (entry.times.get(ref)?.has(at)) return entry
  }
  return null
}
