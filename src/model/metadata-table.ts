// What senders said about their metrics: type, help and unit, the newest word of each.
import type { Metadata } from './batch.ts'

/** At most `limit` metric names are remembered; later ones are ignored (they stay queryable, without metadata). */
export class MetadataTable {
  readonly #byMetric = new Map<string, Metadata>()
  readonly #limit: number
  constructor(limit = 50_000) {
    this.#limit = limit
  }

  /** The entries that are new or different, so that only those need storing. */
  news(entries: readonly Metadata[]): Metadata[] {
    return entries.filter(({ metric, type, help, unit }) => {
      const known = this.#byMetric.get(metric)
      return known ? known.type !== type || known.help !== help || known.unit !== unit : !this.#full()
    })
  }

  learn(entries: readonly Metadata[]): void {
    for (const entry of entries)
      if (this.#byMetric.has(entry.metric) || !this.#full()) this.#byMetric.set(entry.metric, entry)
  }

  #full(): boolean {
    return this.#byMetric.size >= this.#limit
  }

  get(metric: string): Metadata | undefined {
    return this.#byMetric.get(metric)
  }

  all(): Metadata[] {
    return [...this.#byMetric.values()].sort((a, b) => (a.metric < b.metric ? -1 : 1))
  }
}
