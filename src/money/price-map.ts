// Reads a price map in LiteLLM's form: one object, keyed by model, US dollars for single tokens.
import { AppError, messageOf } from '../lib/errors.ts'

/** Prices by the price library's keys, US dollars per million tokens (or per thousand requests); a price by steps of input length has `tiers`. */
export type PriceList = Readonly<Record<string, number | PriceSteps>>
export interface PriceSteps {
  readonly base: number
  /** From `start` input tokens on, all tokens of the request cost `price`. */
  readonly tiers: readonly { readonly start: number; readonly price: number }[]
}

export interface MappedModel {
  readonly model: string
  readonly provider: string
  /** By service tier; '' is the standard one. */
  readonly prices: Readonly<Record<string, PriceList>>
}

/** Entries of the map that carry a price we know, by their key in it. */
const keys: readonly (readonly [string, string])[] = [
  ['input_cost_per_token', 'input_mtok'],
  ['output_cost_per_token', 'output_mtok'],
  ['cache_read_input_token_cost', 'cache_read_mtok'],
  ['cache_creation_input_token_cost', 'cache_write_mtok'],
  ['output_cost_per_reasoning_token', 'output_reasoning_mtok'],
  ['input_cost_per_audio_token', 'input_audio_mtok'],
  ['output_cost_per_audio_token', 'output_audio_mtok'],
  ['cache_read_input_audio_token_cost', 'cache_audio_read_mtok'],
]
const serviceTiers: readonly (readonly [string, string])[] = [
  ['', ''],
  ['batch', '_batches'],
  ['priority', '_priority'],
  ['flex', '_flex'],
]

/** Twelve digits: what lies behind them is noise of the conversion. */
const perMillion = (each: number): number => Number((each * 1e6).toPrecision(12))

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const stepsOf = (entry: Record<string, unknown>, key: string, suffix: string): PriceSteps['tiers'] =>
  Object.entries(entry)
    .flatMap(([name, value]) => {
      const m = /^(.*)_above_(\d+)k_tokens(.*)$/.exec(name)
      if (!m || m[1] !== key || m[3] !== suffix || typeof value !== 'number') return []
      return [{ start: Number(m[2]) * 1000, price: perMillion(value) }]
    })
    .sort((a, b) => a.start - b.start)

const listOf = (entry: Record<string, unknown>, suffix: string, standard: PriceList): PriceList => {
  // What a tier does not name costs what it costs in the standard one.
  const list: Record<string, number | PriceSteps> = { ...standard }
  for (const [key, ours] of keys) {
    const value = entry[`${key}${suffix}`]
    if (typeof value !== 'number' || !(value >= 0)) continue
    const tiers = stepsOf(entry, key, suffix)
    list[ours] = tiers.length > 0 ? { base: perMillion(value), tiers } : perMillion(value)
  }
  return list
}

const modelOf = (key: string, entry: Record<string, unknown>): MappedModel | null => {
  const standard = listOf(entry, '', {})
  if (Object.keys(standard).length === 0) return null
  const prices: Record<string, PriceList> = { '': standard }
  for (const [tier, suffix] of serviceTiers) {
    const named = suffix !== '' && keys.some(([k]) => typeof entry[`${k}${suffix}`] === 'number')
    if (named) prices[tier] = listOf(entry, suffix, standard)
  }
  const provider = entry['litellm_provider']
  return { model: key, provider: typeof provider === 'string' ? provider : '', prices }
}

/** The models of a map that are priced by tokens. Throws `bad_data` naming the place. */
export const readPriceMap = (text: string, file: string): ReadonlyMap<string, MappedModel> => {
  let map: unknown
  try {
    map = JSON.parse(text)
  } catch (error) {
    throw new AppError('bad_data', `${file}: no JSON: ${messageOf(error)}`, { cause: error })
  }
  if (!isRecord(map))
    throw new AppError(
      'bad_data',
      `${file}: must be one object, keyed by model, as model_prices_and_context_window.json is`,
    )
  const models = new Map<string, MappedModel>()
  for (const [key, entry] of Object.entries(map)) {
    if (key === 'sample_spec') continue
    if (!isRecord(entry))
      throw new AppError('bad_data', `${file}: ${JSON.stringify(key)} must be an object of prices`)
    for (const [k] of keys)
      if (entry[k] !== undefined && entry[k] !== null && !(Number(entry[k]) >= 0))
        throw new AppError('bad_data', `${file}: ${JSON.stringify(key)}.${k} must be a number of dollars ≥ 0`)
    const model = modelOf(key, entry)
    if (model) models.set(key, model)
  }
  if (models.size === 0)
    throw new AppError('bad_data', `${file}: names no model with input_cost_per_token or the like`)
  return models
}
