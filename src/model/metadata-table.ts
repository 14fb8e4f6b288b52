// What senders said about their metrics: type, help and unit, the newest word of each.
import type { Metadata } from './batch.ts'

/** At most `limit` metric names are remembered; later ones are ignored (they stay queryable, without metadata). */
export class MetadataTable {
  readonly #byMetric = new Map<string, Metadata>()
  readonly #limit: number
  constructor(limit = 50_000) {
    this.#limit = limit
  }

  /** The entries that were new or different, so that only those need storing. */
  learn(entries: readonly Metadata[]): Metadata[] {
    const news: Metadata[] = []
    for (const entry of entries) {
      const known = this.#byMetric.get(entry.metric)
      if (known && known.type === entry.type && known.help === entry.help && known.unit === entry.unit)
        continue
      if (!known && this.#byMetric.size >= this.#limit) continue
      this.#byMetric.set(entry.metric, entry)
      news.push(entry)
    }
    return news
  }

  get(metric: string): Metadata | undefined {
    return this.#byMetric.get(metric)
  }

  all(): Metadata[] {
    return [...this.#byMetric.values()].sort((a, b) => (a.metric < b.metric ? -1 : 1))
  }
}
