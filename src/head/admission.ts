// Stands before the log: of two samples of one series and time only the first is accepted, also while the first is on its way to disk.
import { AppError } from '../lib/errors.ts'
import type { Batch } from '../model/batch.ts'
import { countRows, sliceSeriesRows } from '../model/packed-rows.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Sink } from '../model/ports/sink.ts'
import { without, withoutHistograms } from './without.ts'

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

interface Sifted {
  readonly admitted: Batch
  readonly waitFor: Set<InFlight>
}

/** Takes out of a batch what `known` or a batch on its way has already. */
const createSieve = (
  known: Known,
  inFlight: ReadonlySet<InFlight>,
  duplicated: (n: number) => void,
): ((batch: Batch) => Sifted) => {
  // Newest time of each series that was ever let through, safe or not: later ones are new without looking.
  let newest = new Float64Array(1024).fill(Number.NEGATIVE_INFINITY)

  const widen = (least: number): void => {
    const wider = new Float64Array(Math.max(least, newest.length * 2)).fill(Number.NEGATIVE_INFINITY)
    wider.set(newest)
    newest = wider
  }

  const isLater = (ref: number, at: number): boolean => {
    if (ref >= newest.length) widen(ref + 1)
    if (!(at > newest[ref]! && at > known.lastAt(ref))) return false
    newest[ref] = at
    return true
  }

  /** The histograms that are not the first of their time, floats counted too. Those later than any before are, without looking. */
  const siftHistograms = (
    batch: Batch,
    own: Map<number, Set<number>> | null,
    waitFor: Set<InFlight>,
  ): number[] => {
    const dropped: number[] = []
    const { histograms } = batch
    let times = own
    for (let i = 0; i < countRows(histograms); i++) {
      const ref = histograms!.ref[i]!
      const at = histograms!.at[i]!
      if (isLater(ref, at)) {
        if (times) remember(times, ref, at)
        continue
      }
      times ??= allTimes({ ...batch, histograms: sliceSeriesRows(histograms, 0, i) })
      const first = holder(inFlight, ref, at)
      if (first) waitFor.add(first)
      if (first || known.has(ref, at) || times.get(ref)?.has(at)) dropped.push(i)
      else remember(times, ref, at)
    }
    return dropped
  }

  return (batch) => {
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
    const rows = siftHistograms(batch, own, waitFor)
    if (dropped.length + rows.length > 0) duplicated(dropped.length + rows.length)
    return { admitted: withoutHistograms(without(batch, dropped), rows), waitFor }
  }
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
  const sift = createSieve(known, inFlight, (n) => duplicates.add(n))
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

const allTimes = (batch: Batch): Map<number, Set<number>> => {
  const times = timesOf(batch, batch.ref.length)
  const { histograms } = batch
  for (let i = 0; i < countRows(histograms); i++) remember(times, histograms!.ref[i]!, histograms!.at[i]!)
  return times
}

const holder = (inFlight: ReadonlySet<InFlight>, ref: number, at: number): InFlight | null => {
  for (const entry of inFlight) {
    entry.times ??= allTimes(entry.batch)
    if (entry.times.get(ref)?.has(at)) return entry
  }
  return null
}
