// A naive reader over samples held in memory: the plainest thing that keeps the reader's promises.
import { AppError } from '../../src/lib/errors.ts'
import { staleHigh, staleLow, wordsOf } from '../../src/model/batch.ts'
import type { HistogramRun, SeriesColumns } from '../../src/model/columns.ts'
import { type Labels, labelsKey } from '../../src/model/labels.ts'
import { labelsTest } from '../../src/model/matcher.ts'
import type { NativeHistogram } from '../../src/model/native-histogram.ts'
import type { Scan } from '../../src/model/plan.ts'
import type { SeriesReader } from '../../src/model/ports/series-reader.ts'

/** One sample; `stale` is the marker that ends a series. */
export interface Sample {
  readonly at: number
  readonly value: number | NativeHistogram | 'stale'
}

interface Held {
  readonly labels: Labels
  readonly samples: Sample[]
}

export interface MemoryReader extends SeriesReader {
  /** Adds samples in ascending time; the first at a time wins. */
  add(labels: Labels, samples: readonly Sample[]): void
  clear(): void
  /** Every plan asked for. */
  readonly plans: Scan[]
}

/** `sliceRows`: how many series a slice holds. With `reuse` slices are views of one buffer that the next slice overwrites, as the door allows. */
export const createMemoryReader = (options: { sliceRows?: number; reuse?: boolean } = {}): MemoryReader => {
  const { sliceRows = 1000, reuse = true } = options
  const series = new Map<string, Held>()
  const plans: Scan[] = []
  let buffer = { at: new Float64Array(0), value: new Float64Array(0) }

  const columns = (rows: readonly Held[], plan: Scan): SeriesColumns => {
    const picked = rows.map(({ samples }) => {
      const within = samples.filter((s) => s.at > plan.fromAt && s.at <= plan.toAt)
      return plan.pick === 'last' ? within.slice(-1) : within
    })
    const histograms = picked.map((samples): HistogramRun | undefined => {
      const own = samples.flatMap((s) => (typeof s.value === 'object' ? [{ at: s.at, value: s.value }] : []))
      return own.length === 0
        ? undefined
        : { at: Float64Array.from(own, (s) => s.at), value: own.map((s) => s.value) }
    })
    const floats = picked.map((samples) => samples.filter((s) => typeof s.value !== 'object'))
    const size = floats.reduce((n, s) => n + s.length, 0)
    if (!reuse || buffer.at.length < size)
      buffer = { at: new Float64Array(size), value: new Float64Array(size) }
    const { at, value } = buffer
    const words = wordsOf(value)
    const start = new Uint32Array(rows.length)
    const end = new Uint32Array(rows.length)
    let n = 0
    floats.forEach((samples, i) => {
      start[i] = n
      for (const s of samples) {
        at[n] = s.at
        if (s.value === 'stale') {
          words[n * 2] = staleLow
          words[n * 2 + 1] = staleHigh
        } else value[n] = s.value as number
        n++
      }
      end[i] = n
    })
    const labels = rows.map((r) => r.labels)
    return {
      labels,
      start,
      end,
      at,
      value,
      histograms: histograms.some((h) => h) ? histograms : undefined,
    }
  }

  return {
    plans,
    clear: () => series.clear(),
    add: (labels, samples) => {
      const key = labelsKey(labels)
      const held = series.get(key) ?? { labels, samples: [] }
      series.set(key, held)
      for (const s of samples) {
        const last = held.samples.at(-1)
        if (last && last.at === s.at) continue
        if (last && last.at > s.at) throw new Error(`sample at ${s.at} comes after one at ${last.at}`)
        held.samples.push(s)
      }
    },
    async *read(plan, signal) {
      plans.push(plan)
      const test = labelsTest(plan.matchers)
      const rows = [...series.values()].filter(
        (h) => test(h.labels) && h.samples.some((s) => s.at > plan.fromAt && s.at <= plan.toAt),
      )
      if (rows.length > plan.limits.series)
        throw new AppError('limit_exceeded', `more than ${plan.limits.series} series`)
      for (let i = 0; i < rows.length; i += sliceRows) {
        signal.throwIfAborted()
        const slice = columns(rows.slice(i, i + sliceRows), plan)
        yield slice
        if (reuse) {
          // What is still looked at after the next slice was asked for must be a copy.
          slice.at.fill(Number.NaN)
          slice.value.fill(Number.NaN)
        }
        await Promise.resolve()
      }
    },
  }
}
