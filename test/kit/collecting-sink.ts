// A sink that tests can read, refuse with, and play back as a log would.
import { type Batch, isStaleAt, wordsOf } from '../../src/model/batch.ts'
import { printLabels } from '../../src/model/labels.ts'
import type { Producer } from '../../src/model/ports/producer.ts'
import type { Sink } from '../../src/model/ports/sink.ts'
import type { SeriesTable } from '../../src/model/series.ts'

export interface Sample {
  readonly series: string
  readonly at: number
  readonly value: number | 'stale'
}

export class CollectingSink implements Sink {
  readonly batches: Batch[] = []
  /** Thrown by the next pushes while set. */
  refuse: Error | null = null
  readonly #table: SeriesTable
  constructor(table: SeriesTable) {
    this.#table = table
  }
  push(batch: Batch): Promise<void> {
    if (this.refuse) return Promise.reject(this.refuse)
    this.batches.push(batch)
    return Promise.resolve()
  }
  samplesOf(batch: Batch): Sample[] {
    const words = wordsOf(batch.value)
    return [...batch.ref].map((ref, i) => ({
      series: printLabels(this.#table.labels(ref)),
      at: batch.at[i]!,
      value: isStaleAt(words, i) ? 'stale' : batch.value[i]!,
    }))
  }
  samples(): Sample[] {
    return this.batches.flatMap((b) => this.samplesOf(b))
  }
  /** The last value of every series, by its printed labels. */
  last(): Record<string, number | 'stale'> {
    return Object.fromEntries(this.samples().map((s) => [s.series, s.value]))
  }
  /** What a log does after a restart: the last checkpoint, through JSON, then the batches after it. */
  revive(producer: Producer, checkpoint: unknown, from: number): void {
    if (checkpoint !== null) producer.restore(JSON.parse(JSON.stringify(checkpoint)))
    for (const [i, batch] of this.batches.entries()) if (i >= from) producer.replay(batch, i)
  }
}
