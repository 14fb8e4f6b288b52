// Which metadata the store already has, so that what senders repeat every minute is written once.
import type { Metadata } from '../model/batch.ts'

/** The longest help text that is kept, in UTF-16 units. */
const longestHelp = 4096

/** Metadata with its texts cut to what is kept. */
export const trimmed = ({ metric, type, help, unit }: Metadata): Metadata => ({
  metric,
  type,
  help: help.slice(0, longestHelp),
  unit: unit.slice(0, 256),
})

export class ToldMetadata {
  readonly #most: number
  readonly #told = new Map<string, string>()
  #size = 0

  /** Remembers about `most` UTF-16 units of text; past it everything is told once more. */
  constructor(most = 32 << 20) {
    this.#most = most
  }

  isNews({ metric, type, help, unit }: Metadata): boolean {
    return this.#told.get(metric) !== `${type}\n${unit}\n${help}`
  }

  /** Call it when the batch that carries them is safe. */
  told(list: readonly Metadata[]): void {
    for (const { metric, type, help, unit } of list) {
      const text = `${type}\n${unit}\n${help}`
      this.#size += metric.length + text.length
      this.#told.set(metric, text)
    }
    if (this.#size <= this.#most) return
    this.#size = 0
    this.#told.clear()
  }
}
