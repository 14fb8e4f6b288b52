// Functions over windows in which native histograms stand: what each makes of them, alone and among floats.
import { added, isReset, over, sameHistogram, times } from '../model/native-arithmetic.ts'
import { atSchema, isCustom, type NativeHistogram, noBuckets } from '../model/native-histogram.ts'
import type { Mixed, MixedKernel, Notes } from './kernel.ts'
import {
  ignoredInRange,
  mixedFloats,
  mixedSchemas,
  notCounter,
  notGauge,
  reconciled,
  resetCollision,
} from './native-notes.ts'
import { HistogramSum } from './native-sum.ts'
import { stretch } from './rate.ts'

/** One window: histograms `lo … hi - 1` (at least one) and floats `from … to - 1`. */
interface Window {
  lo: number
  hi: number
  from: number
  to: number
  startAt: number
  endAt: number
}

/** Undefined leaves what the floats alone gave. */
type Answer = number | NativeHistogram | null | undefined

const eachWindow =
  (prepare: (m: Mixed) => (w: Window) => Answer): MixedKernel =>
  (m) => {
    const { floats, run, windows, out, present, cells, base } = m
    const answer = prepare(m)
    const w: Window = { lo: 0, hi: 0, from: floats.from, to: floats.from, startAt: 0, endAt: 0 }
    for (let t = 0; t < windows.count; t++) {
      w.endAt = windows.endAt + t * windows.endStep
      w.startAt = w.endAt - windows.range
      while (w.hi < run.at.length && run.at[w.hi]! <= w.endAt) w.hi++
      while (w.lo < w.hi && run.at[w.lo]! <= w.startAt) w.lo++
      while (w.to < floats.to && floats.at[w.to]! <= w.endAt) w.to++
      while (w.from < w.to && floats.at[w.from]! <= w.startAt) w.from++
      if (w.lo === w.hi) continue
      const made = answer(w)
      if (made === undefined) continue
      present[base + t] = made === null ? 0 : 1
      if (typeof made === 'number') out[base + t] = made
      else if (made) cells[base + t] = made
    }
  }

/** Refuses windows with floats in them. */
const histogramsOnly = (prepare: (m: Mixed) => (w: Window) => Answer): MixedKernel =>
  eachWindow((m) => {
    const answer = prepare(m)
    return (w) => {
      if (w.from === w.to) return answer(w)
      m.notes.warn(mixedFloats(m.notes.metric))
      return null
    }
  })

/** Of both kinds the earlier (`first`) or the later. */
const endOf = (first: boolean, give: 'at' | 'value'): MixedKernel =>
  eachWindow(({ floats, run }) => (w) => {
    const i = first ? w.lo : w.hi - 1
    const f = first ? w.from : w.to - 1
    if (w.from < w.to && (first ? floats.at[f]! < run.at[i]! : floats.at[f]! > run.at[i]!)) return undefined
    return give === 'value' ? run.value[i]! : run.at[i]! / 1000
  })

/** For those that look at floats alone. */
const ignored: MixedKernel = eachWindow(({ notes }) => (w) => {
  if (w.from < w.to) notes.inform(ignoredInRange(notes.metric))
  return undefined
})

const saySums = (notes: Notes, sum: HistogramSum): void => {
  if (sum.collision) notes.warn(resetCollision('aggregation'))
  if (sum.reconciled) notes.inform(reconciled('aggregation'))
}

const summed = (mean: boolean): MixedKernel =>
  histogramsOnly(({ run, notes }) => (w) => {
    const sum = new HistogramSum(run.value[w.lo]!)
    for (let i = w.lo + 1; i < w.hi; i++) {
      if (sum.add(run.value[i]!, mean)) continue
      notes.warn(mixedSchemas(notes.metric))
      return null
    }
    saySums(notes, sum)
    return sum.value(mean)
  })

/** 1 where a counter began anew since the histogram before. */
const resetsOf = (value: readonly NativeHistogram[]): Uint8Array =>
  Uint8Array.from(value, (h, i) => (i > 0 && isReset(h, value[i - 1]!) ? 1 : 0))

const emptyLike = ({ schema, bounds }: NativeHistogram): NativeHistogram => ({
  schema,
  bounds,
  hint: 'unknown',
  count: 0,
  sum: 0,
  zeroThreshold: 0,
  zeroCount: 0,
  positive: noBuckets,
  negative: noBuckets,
})

/** a ± b as part of a rise; null after saying that it cannot be. */
const part = (a: NativeHistogram, b: NativeHistogram, sign: 1 | -1, notes: Notes): NativeHistogram | null => {
  const made = added(a, b, sign)
  if (!made) notes.warn(mixedSchemas(notes.metric))
  else if (made.reconciled) notes.inform(reconciled(sign === 1 ? 'addition' : 'subtraction'))
  return made?.value ?? null
}

/** How much a histogram rose over a window, resets undone for a counter; null where its samples do not go together. */
const rise = (
  value: readonly NativeHistogram[],
  resets: Uint8Array | null,
  { lo, hi }: Window,
  notes: Notes,
): NativeHistogram | null => {
  const last = value[hi - 1]!
  // What came before a reset right after the first is of no account, and may look as it likes.
  const first = resets?.[lo + 1] === 1 ? emptyLike(value[lo + 1]!) : value[lo]!
  const gauges = (resets ? value.slice(lo, hi) : []).some((h) => h.hint === 'gauge')
  if (gauges) notes.warn(notCounter(notes.metric))
  if (!resets && (first.hint !== 'gauge' || last.hint !== 'gauge')) notes.warn(notGauge(notes.metric))
  let schema = Math.min(first.schema, last.schema)
  for (let i = lo + 1; i < hi; i++) {
    if (isCustom(value[i]!) !== isCustom(first) && (resets || i === hi - 1)) {
      notes.warn(mixedSchemas(notes.metric))
      return null
    }
    if (resets) schema = Math.min(schema, value[i]!.schema)
  }
  let made = part(atSchema(last, schema), first, -1, notes)
  for (let i = lo + 2; made && i < hi; i++) if (resets?.[i] === 1) made = part(made, value[i - 1]!, 1, notes)
  return made && { ...made, hint: 'gauge' }
}

const slope = (counter: boolean, perSecond: boolean): MixedKernel =>
  histogramsOnly(({ run, windows, notes }) => {
    const resets = counter ? resetsOf(run.value) : null
    return (w) => {
      if (w.hi - w.lo < 2) return null
      const made = rise(run.value, resets, w, notes)
      if (!made) return null
      const count = run.value[w.lo]!.count
      const share = counter && made.count > 0 && count >= 0 ? count / made.count : Number.POSITIVE_INFINITY
      const gaps = w.hi - w.lo - 1
      const by = stretch(run.at[w.lo]!, run.at[w.hi - 1]!, gaps, w.startAt, w.endAt, share)
      return times(made, perSecond ? by / (windows.range / 1000) : by)
    }
  })

const lastTwo = (rate: boolean): MixedKernel =>
  eachWindow(({ floats, run, notes }) => (w) => {
    const { value } = run
    const floatAt = (back: number): number =>
      w.to - back >= w.from ? floats.at[w.to - back]! : Number.NEGATIVE_INFINITY
    const lastAt = run.at[w.hi - 1]!
    const beforeAt = w.hi - 2 >= w.lo ? run.at[w.hi - 2]! : Number.NEGATIVE_INFINITY
    if (w.hi - w.lo + (w.to - w.from) < 2) return null
    // Both of the last two are floats: their kernel has answered.
    if (floatAt(2) > lastAt) return undefined
    if (floatAt(1) > beforeAt) {
      notes.warn(mixedFloats(notes.metric))
      return null
    }
    const now = value[w.hi - 1]!
    const before = value[w.hi - 2]!
    const gauges = [now, before].filter((h) => h.hint === 'gauge').length
    if (rate && gauges > 0) notes.warn(notCounter(notes.metric))
    if (!rate && gauges < 2) notes.warn(notGauge(notes.metric))
    const made = rate && isReset(now, before) ? now : part(now, before, -1, notes)
    if (!made) return null
    const gauge: NativeHistogram = { ...made, hint: 'gauge' }
    return rate ? over(gauge, (lastAt - beforeAt) / 1000) : gauge
  })

/** Counts the steps of a window, floats and histograms in the order of their times, at which something happened. */
const steps = (
  floatStep: (a: number, b: number) => boolean,
  histogramStep: (run: Mixed['run']) => (i: number) => boolean,
): MixedKernel =>
  eachWindow(({ floats, run }) => {
    const happened = histogramStep(run)
    return (w) => {
      let n = 0
      let f = w.from
      let i = w.lo
      let was: 'float' | 'histogram' | null = null
      while (f < w.to || i < w.hi) {
        const float = i >= w.hi || (f < w.to && floats.at[f]! < run.at[i]!)
        if (was !== null && (was === 'float') !== float) n++
        else if (was !== null && float && floatStep(floats.value[f - 1]!, floats.value[f]!)) n++
        else if (was !== null && !float && happened(i)) n++
        was = float ? 'float' : 'histogram'
        if (float) f++
        else i++
      }
      return n
    }
  })

const changes = steps(
  (a, b) => a !== b && !(Number.isNaN(a) && Number.isNaN(b)),
  ({ value }) =>
    (i) =>
      !sameHistogram(value[i]!, value[i - 1]!),
)
const resets = steps(
  (a, b) => b < a,
  ({ value }) => {
    const found = resetsOf(value)
    return (i) => found[i] === 1
  },
)

const kernels: Readonly<Record<string, MixedKernel>> = {
  rate: slope(true, true),
  increase: slope(true, false),
  delta: slope(false, false),
  irate: lastTwo(true),
  idelta: lastTwo(false),
  changes,
  resets,
  sum_over_time: summed(false),
  avg_over_time: summed(true),
  count_over_time: eachWindow(() => (w) => w.hi - w.lo + (w.to - w.from)),
  last_over_time: endOf(false, 'value'),
  first_over_time: endOf(true, 'value'),
  present_over_time: eachWindow(() => () => 1),
  absent_over_time: eachWindow(() => () => 1),
  ts_of_first_over_time: endOf(true, 'at'),
  ts_of_last_over_time: endOf(false, 'at'),
}

/** What a function over windows does where there are histograms; those not named look at floats alone. */
export const mixedKernel = (name: string): MixedKernel => kernels[name] ?? ignored
