// Series in plain memory, for rule tests: written by a sink, read as any store is.

import { AppError } from '../lib/errors.ts'
import { type Batch, isStaleAt, staleMarker, wordsOf } from '../model/batch.ts'
import type { SeriesColumns } from '../model/columns.ts'
import { type Labels, labelsKey } from '../model/labels.ts'
import { labelsTest } from '../model/matcher.ts'
import type { Scan } from '../model/plan.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesTable } from '../model/series.ts'

interface Held {
  readonly labels: Labels
  /** Time to value; null is a stale marker. The first sample of a time wins. */
  readonly samples: Map<number, number | null>
}

export interface MemorySeries extends SeriesReader, Sink<Batch> {
  add(labels: Labels, at: number, value: number | null): void
}

const within = (held: Held, plan: Scan): [number, number | null][] =>
  [...held.samples].filter(([at]) => at > plan.fromAt && at <= plan.toAt).sort(([a], [b]) => a - b)

const columnsOf = (
  found: readonly { labels: Labels; samples: [number, number | null][] }[],
): SeriesColumns => {
  const count = found.reduce((n, f) => n + f.samples.length, 0)
  const columns = {
    labels: found.map((f) => f.labels),
    start: new Uint32Array(found.length),
    end: new Uint32Array(found.length),
    at: new Float64Array(count),
    value: new Float64Array(count),
  }
  let i = 0
  for (const [n, { samples }] of found.entries()) {
    columns.start[n] = i
    for (const [at, value] of samples) {
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
  const add = (labels: Labels, at: number, value: number | null): void => {
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
