// Series in plain memory, for rule tests: written by a sink, read as any store is.

import { AppError } from '../lib/errors.ts'
import { type Batch, isStaleAt, staleMarker, wordsOf } from '../model/batch.ts'
import type { HistogramRun, SeriesColumns } from '../model/columns.ts'
import { type Labels, labelsKey } from '../model/labels.ts'
import { labelsTest } from '../model/matcher.ts'
import { decodeHistogram, type NativeHistogram } from '../model/native-histogram.ts'
import { countRows, rowBytes } from '../model/packed-rows.ts'
import type { Scan } from '../model/plan.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesTable } from '../model/series.ts'

/** A float, a native histogram, or a stale marker (null). */
type Value = number | NativeHistogram | null

interface Held {
  readonly labels: Labels
  /** By time. The first sample of a time wins. */
  readonly samples: Map<number, Value>
}

export interface MemorySeries extends SeriesReader, Sink<Batch> {
  add(labels: Labels, at: number, value: Value): void
}

const within = (held: Held, plan: Scan): [number, Value][] =>
  [...held.samples].filter(([at]) => at > plan.fromAt && at <= plan.toAt).sort(([a], [b]) => a - b)

const runOf = (samples: readonly [number, Value][]): HistogramRun | undefined => {
  const own = samples.flatMap(([at, value]) =>
    typeof value === 'object' && value !== null ? [{ at, value }] : [],
  )
  return own.length === 0
    ? undefined
    : { at: Float64Array.from(own, (s) => s.at), value: own.map((s) => s.value) }
}

const columnsOf = (found: readonly { labels: Labels; samples: [number, Value][] }[]): SeriesColumns => {
  const count = found.reduce((n, f) => n + f.samples.length, 0)
  const runs = found.map((f) => runOf(f.samples))
  const columns = {
    labels: found.map((f) => f.labels),
    start: new Uint32Array(found.length),
    end: new Uint32Array(found.length),
    at: new Float64Array(count),
    value: new Float64Array(count),
    histograms: runs.some((run) => run) ? runs : undefined,
  }
  let i = 0
  for (const [n, { samples }] of found.entries()) {
    columns.start[n] = i
    for (const [at, value] of samples) {
      if (typeof value === 'object' && value !== null) continue
      columns.at[i] = at
      if (value === null) staleMarker(columns.value, i)
      else columns.value[i] = value
      i++
    }
    columns.end[n] = i
  }
  return columns
}

export const createMemorySeries = (table: SeriesTable): MemorySeries => {
  const all = new Map<string, Held>()
  const add = (labels: Labels, at: number, value: Value): void => {
    const key = labelsKey(labels)
    let held = all.get(key)
    if (!held) {
      held = { labels, samples: new Map() }
      all.set(key, held)
    }
    if (!held.samples.has(at)) held.samples.set(at, value)
  }
  return {
    add,
    push: async (batch) => {
      const words = wordsOf(batch.value)
      for (let i = 0; i < batch.ref.length; i++)
        add(table.labels(batch.ref[i]!), batch.at[i]!, isStaleAt(words, i) ? null : batch.value[i]!)
      const { histograms } = batch
      for (let i = 0; i < countRows(histograms); i++)
        add(table.labels(histograms!.ref[i]!), histograms!.at[i]!, decodeHistogram(rowBytes(histograms!, i)))
    },
    async *read(plan) {
      const test = labelsTest(plan.matchers)
      const found = [...all.values()]
        .filter((held) => test(held.labels))
        .map((held) => ({ labels: held.labels, samples: within(held, plan) }))
        .filter((f) => f.samples.length > 0)
      const samples = found.reduce((n, f) => n + f.samples.length, 0)
      if (found.length > plan.limits.series || samples > plan.limits.samples)
        throw new AppError(
          'limit_exceeded',
          `the query reads ${found.length} series and ${samples} samples, more than its limits`,
        )
      if (found.length > 0) yield columnsOf(found)
    },
  }
}
