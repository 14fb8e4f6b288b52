// What a token costs: own prices, price maps from files, and the price library's list, in this order.
import { calcPrice, type ModelPrice, type Provider, TieredPrices, type Usage } from '@pydantic/genai-prices'
import { dateOf } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { hash64 } from '../lib/hash.ts'
import type { Instant } from '../lib/time.ts'
import type { MappedModel, PriceList } from './price-map.ts'
import type { PricesConfig } from './prices-config.ts'

/** Kinds of tokens. Cached ones are part of input, reasoning ones part of output. */
export type TokenKind = 'input' | 'output' | 'cache_read' | 'cache_write' | 'reasoning'

interface Priced {
  readonly usd: number
  readonly priceVersion: string
}

export interface Prices {
  /**
   * Price of one request as the list has it, tiers of long requests included; a text says why there is none. `usage.input_tokens` includes
   * cached ones, `usage.output_tokens` reasoning ones. `tier`: the service tier it was served in (`batch`, `flex`, `priority`).
   */
  request(usage: Usage, model: string, provider: string, at: Instant, tier?: string): Priced | string
  /**
   * What `tokens` of a kind add to a bill: input and output at their price, cached and reasoning tokens as the difference to the input or output they
   * are part of (mostly ≤ 0). Sums over many requests do not say how long each was, so the lowest tier is used. Null when the model is unknown.
   */
  tokens(
    kind: TokenKind,
    modality: string,
    tokens: number,
    model: string,
    provider: string,
    at: Instant,
  ): Priced | null
  /** One name for all spellings of a model that have one price: what it is called in the list, or as it was given. */
  canonical(model: string, provider: string, at: Instant): string
}

/** The version of the built-in list: that of the package. */
const listVersion = 'genai-prices@0.1.8'

// Small enough for the lowest tier of every model, large enough to keep the digits.
const probe = 1000

const usages: Readonly<Record<TokenKind, readonly string[]>> = {
  input: ['input_tokens'],
  output: ['output_tokens'],
  cache_read: ['input_tokens', 'cache_read_tokens'],
  cache_write: ['input_tokens', 'cache_write_tokens'],
  reasoning: ['output_tokens', 'output_reasoning_tokens'],
}
const byModality: Readonly<Record<string, readonly string[]>> = {
  'input/audio': ['input_audio_tokens'],
  'input/image': ['input_image_tokens'],
  'output/audio': ['output_audio_tokens'],
  'cache_read/audio': ['input_audio_tokens', 'cache_audio_read_tokens'],
  'cache_write/audio': ['input_audio_tokens', 'cache_audio_write_tokens'],
}
const wholeOf: Partial<Record<TokenKind, TokenKind>> = {
  cache_read: 'input',
  cache_write: 'input',
  reasoning: 'output',
}

// Values of gen_ai.provider.name that the library does not know by that name.
const aliases: Readonly<Record<string, string>> = {
  'gcp.gen_ai': 'google',
  'azure.ai.inference': 'azure',
  x_ai: 'x-ai',
}

/** A price map from a file, with the name its prices are known by in rows. */
export interface PriceMapFile {
  readonly version: string
  readonly models: ReadonlyMap<string, MappedModel>
}

/** One model's price at one time, ready to be reckoned with. */
interface Pinned {
  readonly provider: Provider
  readonly version: string
  readonly factor: number
  readonly name: string
}

const only = 'm'
/** A provider of one model: looking it up costs nothing. */
const pin = (prices: ModelPrice, version: string, factor: number, name: string): Pinned => ({
  provider: {
    id: 'pinned',
    name: 'pinned',
    api_pattern: '.*',
    models: [{ id: only, match: { equals: only }, prices }],
  },
  version,
  factor,
  name,
})

const modelPrice = (list: PriceList): ModelPrice =>
  Object.fromEntries(
    Object.entries(list).map(([key, price]) => [
      key,
      typeof price === 'number' ? price : new TieredPrices({ base: price.base, tiers: [...price.tiers] }),
    ]),
  )

type OwnModel = PricesConfig['models'][number]

const ownList = ({
  model: _,
  provider: _p,
  service_tier: _t,
  from: _f,
  until: _u,
  ...prices
}: OwnModel): PriceList =>
  Object.fromEntries(
    Object.entries(prices).filter((entry): entry is [string, number] => entry[1] !== undefined),
  )

const tierNames: Readonly<Record<string, string>> = {
  default: '',
  standard: '',
  auto: '',
  on_demand: '',
  scale: '',
}

class PriceBook implements Prices {
  readonly #config: PricesConfig
  readonly #files: readonly PriceMapFile[]
  readonly #ownVersion: string
  // Prices change by the minute at most (time of day), and looking one up costs tens of microseconds.
  #minute = -1
  readonly #pinned = new Map<string, Pinned | string>()
  readonly #rates = new Map<string, number | null>()

  constructor(config: PricesConfig, files: readonly PriceMapFile[]) {
    this.#config = config
    this.#files = files
    this.#ownVersion = `own@${hash64([JSON.stringify(config.models)])}`
  }

  request(usage: Usage, model: string, provider: string, at: Instant, tier = ''): Priced | string {
    if (model === '') return 'the model is missing; name it, or send usd'
    const pinned = this.#pin(model, provider, at, tier)
    if (typeof pinned === 'string') return pinned
    try {
      const price = calcPrice(usage, only, { provider: pinned.provider })
      if (!price) return `${JSON.stringify(model)} cannot be priced`
      return { usd: price.total_price * pinned.factor, priceVersion: pinned.version }
    } catch (error) {
      return `${JSON.stringify(model)} cannot be priced: ${messageOf(error)}`
    }
  }

  tokens(
    kind: TokenKind,
    modality: string,
    tokens: number,
    model: string,
    provider: string,
    at: Instant,
  ): Priced | null {
    const each = this.#rate(kind, modality, model, provider, at)
    const whole = wholeOf[kind]
    const part = whole === undefined ? 0 : this.#rate(whole, modality, model, provider, at)
    if (each === null || part === null) return null
    const pinned = this.#pin(model, provider, at, '')
    return { usd: tokens * (each - part), priceVersion: typeof pinned === 'string' ? '' : pinned.version }
  }

  canonical(model: string, provider: string, at: Instant): string {
    const pinned = this.#pin(model, provider, at, '')
    return typeof pinned === 'string' ? model : pinned.name
  }

  #turn(at: Instant): void {
    const now = Math.floor(at / 60_000)
    if (now === this.#minute && this.#pinned.size < 10_000 && this.#rates.size < 10_000) return
    this.#minute = now
    this.#pinned.clear()
    this.#rates.clear()
  }

  #rate(kind: TokenKind, modality: string, model: string, provider: string, at: Instant): number | null {
    this.#turn(at)
    const key = `${kind}\u00ff${modality}\u00ff${model}\u00ff${provider}`
    let found = this.#rates.get(key)
    if (found === undefined) {
      const special = byModality[`${kind}/${modality}`]
      found =
        (special && this.#ask([...usages[kind], ...special], model, provider, at)) ??
        this.#ask(usages[kind], model, provider, at)
      this.#rates.set(key, found)
    }
    return found
  }

  #ask(kinds: readonly string[], model: string, provider: string, at: Instant): number | null {
    const usage = Object.fromEntries(kinds.map((k) => [k, probe]))
    const priced = this.request(usage, model, provider, at)
    return typeof priced === 'string' ? null : priced.usd / probe
  }

  #pin(model: string, provider: string, at: Instant, tier: string): Pinned | string {
    this.#turn(at)
    const tierName = tierNames[tier] ?? tier
    const key = `${model}\u00ff${provider}\u00ff${tierName}`
    let found = this.#pinned.get(key)
    if (found === undefined) {
      found = this.#find(model, provider, at, tierName)
      this.#pinned.set(key, found)
    }
    return found
  }

  #find(model: string, provider: string, at: Instant, tier: string): Pinned | string {
    return (
      this.#own(model, provider, at, tier) ??
      this.#mapped(model, provider, tier) ??
      this.#listed(model, provider, at, tier)
    )
  }

  /** What the configured factor makes of a price that is not for this tier itself. */
  #factor(tier: string): { factor: number; suffix: string } {
    const factor = tier === '' ? undefined : this.#config.service_tiers[tier]
    return factor === undefined ? { factor: 1, suffix: '' } : { factor, suffix: `*${tier}` }
  }

  #own(model: string, provider: string, at: Instant, tier: string): Pinned | null {
    const fits = (m: OwnModel): boolean => {
      const named = m.model.endsWith('*') ? model.startsWith(m.model.slice(0, -1)) : model === m.model
      const dated = (m.from === undefined || at >= m.from) && (m.until === undefined || at < m.until)
      return named && dated && (m.provider === '' || m.provider === provider)
    }
    const all = this.#config.models.filter(fits)
    const exact = all.find((m) => m.service_tier === tier)
    const found = exact ?? all.find((m) => m.service_tier === '')
    if (!found) return null
    const { factor, suffix } = exact ? { factor: 1, suffix: '' } : this.#factor(tier)
    return pin(modelPrice(ownList(found)), this.#ownVersion + suffix, factor, `own/${found.model}`)
  }

  #mapped(model: string, provider: string, tier: string): Pinned | null {
    for (const { version, models } of this.#files) {
      const found = models.get(model) ?? models.get(`${provider}/${model}`)
      if (!found) continue
      const exact = found.prices[tier]
      const { factor, suffix } = exact ? { factor: 1, suffix: '' } : this.#factor(tier)
      const list = exact ?? found.prices['']!
      return pin(modelPrice(list), version + suffix, factor, `${version}/${found.model}`)
    }
    return null
  }

  #listed(model: string, provider: string, at: Instant, tier: string): Pinned | string {
    const unknown = `no price for model ${JSON.stringify(model)}${provider ? ` of provider ${JSON.stringify(provider)}` : ''}; add it under prices.models, or send usd`
    const by = provider === '' ? {} : { providerId: aliases[provider] ?? provider }
    try {
      const price = calcPrice({ input_tokens: 0 }, model, { ...by, timestamp: dateOf(at) })
      if (!price) return unknown
      const { factor, suffix } = this.#factor(tier)
      const name = `${price.provider.id}/${price.model.id}`
      return pin(price.model_price, listVersion + suffix, factor, name)
    } catch (error) {
      return `${JSON.stringify(model)} cannot be priced: ${messageOf(error)}`
    }
  }
}

export const createPrices = (config: PricesConfig, files: readonly PriceMapFile[] = []): Prices =>
  new PriceBook(config, files)
