// Remembers which models have no price, for the people who can give them one.
import { instant } from '../lib/time.ts'
import type { UnpricedModel } from '../model/ports/cost-reports.ts'

/** Most models remembered; the longest silent go first. */
const most = 500

export class Unpriced {
  readonly #models = new Map<string, UnpricedModel>()

  /** True when the model was not known to be without a price. */
  add(model: string, provider: string, tokens: number, at: number): boolean {
    const key = `${model}\u00ff${provider}`
    const known = this.#models.get(key)
    this.#models.delete(key)
    this.#models.set(key, {
      model,
      provider,
      tokens: (known?.tokens ?? 0) + tokens,
      firstAt: instant(Math.min(known?.firstAt ?? at, at)),
      lastAt: instant(Math.max(known?.lastAt ?? at, at)),
    })
    if (this.#models.size > most) this.#models.delete(this.#models.keys().next().value ?? '')
    return known === undefined
  }

  /** The most tokens first. */
  list(): UnpricedModel[] {
    return [...this.#models.values()].sort((a, b) => b.tokens - a.tokens)
  }

  save(): readonly UnpricedModel[] {
    return [...this.#models.values()]
  }

  /** Those that have a price by now are left out. */
  load(models: readonly UnpricedModel[], priced: (model: string, provider: string) => boolean): void {
    this.#models.clear()
    for (const m of models)
      if (!priced(m.model, m.provider)) this.#models.set(`${m.model}\u00ff${m.provider}`, m)
  }
}
