// What a token costs: the price library's list, and the prices of one's own.
import { calcPrice, type PriceOptions, type Provider, type Usage } from '@pydantic/genai-prices'
import { z } from 'zod'
import { dateOf } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { hash64 } from '../lib/hash.ts'
import type { Instant } from '../lib/time.ts'

const perMillion = z.number().min(0)
const ownModel = z.strictObject({
  /** The model's name as it is reported; a `*` at its end stands for any rest. */
  model: z.string().min(1),
  /** Only for this provider; left out = for every one. */
  provider: z.string().default(''),
  input_mtok: perMillion,
  output_mtok: perMillion,
  cache_read_mtok: perMillion.optional(),
  cache_write_mtok: perMillion.optional(),
})

/** `prices:` in airboss.yaml: own prices in USD per million tokens, before the built-in list. */
export const pricesConfigSchema = z.strictObject({ models: z.array(ownModel).default([]) }).prefault({})
export type PricesConfig = z.output<typeof pricesConfigSchema>

/** Kinds of tokens. Cached ones are part of input, reasoning ones part of output. */
export type TokenKind = 'input' | 'output' | 'cache_read' | 'cache_write' | 'reasoning'

interface Priced {
  readonly usd: number
  readonly priceVersion: string
}

export interface Prices {
  /** Price of one request as the list has it, tiers of long requests included; a text says why there is none. `usage.input_tokens` includes cached ones. */
  request(usage: Usage, model: string, provider: string, at: Instant): Priced | string
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

const ownProvider = (own: PricesConfig['models'][number]): Provider => {
  const { model, provider, ...prices } = own
  const match = model.endsWith('*') ? { starts_with: model.slice(0, -1) } : { equals: model }
  const defined = Object.fromEntries(Object.entries(prices).filter(([, v]) => v !== undefined))
  return {
    id: provider || 'own',
    name: provider || 'own',
    api_pattern: '.*',
    models: [{ id: model, match, prices: defined }],
  }
}

interface Source {
  readonly options: PriceOptions
  readonly version: string
}

export const createPrices = (config: PricesConfig): Prices => {
  const own = config.models.map((m) => ({ ...m, made: ownProvider(m) }))
  const ownVersion = `own@${hash64([JSON.stringify(config.models)])}`

  const sourceOf = (model: string, provider: string): Source => {
    for (const m of own) {
      const named = m.model.endsWith('*') ? model.startsWith(m.model.slice(0, -1)) : model === m.model
      if (named && (m.provider === '' || m.provider === provider))
        return { options: { provider: m.made }, version: ownVersion }
    }
    return {
      options: provider === '' ? {} : { providerId: aliases[provider] ?? provider },
      version: listVersion,
    }
  }

  const request: Prices['request'] = (usage, model, provider, at) => {
    const { options, version } = sourceOf(model, provider)
    const unknown = `no price for model ${JSON.stringify(model)}${provider ? ` of provider ${JSON.stringify(provider)}` : ''}; add it under prices.models, or send usd`
    if (model === '') return 'the model is missing; name it, or send usd'
    try {
      const price = calcPrice(usage, model, { ...options, timestamp: dateOf(at) })
      return price ? { usd: price.total_price, priceVersion: version } : unknown
    } catch (error) {
      return `${JSON.stringify(model)} cannot be priced: ${messageOf(error)}`
    }
  }

  const rate = (keys: readonly string[], model: string, provider: string, at: Instant): number | null => {
    const priced = request(Object.fromEntries(keys.map((k) => [k, probe])), model, provider, at)
    return typeof priced === 'string' ? null : priced.usd / probe
  }

  // Prices change by the minute at most (time of day), and looking one up costs tens of microseconds.
  let minute = -1
  const known = new Map<string, number | null>()
  const cached = (
    kind: TokenKind,
    modality: string,
    model: string,
    provider: string,
    at: Instant,
  ): number | null => {
    const now = Math.floor(at / 60_000)
    if (now !== minute || known.size > 10_000) known.clear()
    minute = now
    const key = [kind, modality, model, provider].join('\u00ff')
    let found = known.get(key)
    if (found === undefined) {
      const special = byModality[`${kind}/${modality}`]
      found =
        (special && rate([...usages[kind], ...special], model, provider, at)) ??
        rate(usages[kind], model, provider, at)
      known.set(key, found)
    }
    return found
  }

  return {
    request,
    tokens: (kind, modality, tokens, model, provider, at) => {
      const each = cached(kind, modality, model, provider, at)
      const whole = wholeOf[kind]
      const part = whole === undefined ? 0 : cached(whole, modality, model, provider, at)
      if (each === null || part === null) return null
      return { usd: tokens * (each - part), priceVersion: sourceOf(model, provider).version }
    },
  }
}
