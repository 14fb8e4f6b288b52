// Costs as JSON into rows: one object, a list, or `{ costs: […] }`, each item judged by itself.
import type { Instant } from '../../lib/time.ts'
import type { CostRow } from '../../model/batch.ts'
import { type ItemProblem, ItemReader, itemsOf } from '../item.ts'

export interface CostLimits {
  readonly maxAge: number
  readonly maxAhead: number
  readonly items: number
  readonly textLength: number
}
export const defaultCostLimits: CostLimits = {
  maxAge: 7 * 86_400_000,
  maxAhead: 600_000,
  items: 10_000,
  textLength: 1024,
}

/** What was used, for items that come without a price. Cached tokens are part of input, reasoning tokens part of output. */
type TokenUsage = {
  readonly input_tokens: number
  readonly output_tokens: number
  readonly cache_read_tokens: number
  readonly cache_write_tokens: number
}
/** Prices one request; a text says why it cannot. */
export type PriceUsage = (
  usage: TokenUsage,
  model: string,
  provider: string,
  at: Instant,
) => { readonly usd: number; readonly priceVersion: string } | string

const known = [
  'id',
  'time',
  'agent',
  'version',
  'model',
  'provider',
  'service',
  'owner',
  'usd',
  'quantity',
  'unit',
  'usage',
]

const usageOf = (item: unknown, index: number, limits: CostLimits): TokenUsage | ItemProblem => {
  const read = new ItemReader(item, index, limits)
  const usage = {
    input_tokens: read.number('input_tokens', 0) ?? 0,
    output_tokens: read.number('output_tokens', 0) ?? 0,
    cache_read_tokens: read.number('cache_read_tokens', 0) ?? 0,
    cache_write_tokens: read.number('cache_write_tokens', 0) ?? 0,
  }
  read.only(Object.keys(usage))
  if (usage.cache_read_tokens + usage.cache_write_tokens > usage.input_tokens)
    read.fail('input_tokens', 'input_tokens must include the cached ones; add them up')
  return read.problem ?? usage
}

const cost = (
  item: unknown,
  index: number,
  now: Instant,
  limits: CostLimits,
  price: PriceUsage,
): CostRow | ItemProblem => {
  const read = new ItemReader(item, index, limits)
  const row = {
    id: read.text('id', true),
    at: read.time('time', now),
    agent: read.text('agent', false),
    version: read.text('version', false),
    model: read.text('model', false),
    provider: read.text('provider', false),
    service: read.text('service', false),
    owner: read.text('owner', false),
    quantity: read.number('quantity', 0) ?? 0,
    unit: read.text('unit', false),
  }
  const usd = read.number('usd', 0)
  read.only(known)
  const raw = read.has('usage') ? (item as { usage: unknown }).usage : undefined
  if ((usd === undefined) === (raw === undefined))
    read.fail('usd', 'give either usd, or usage with token counts to be priced')
  if (read.problem) return read.problem
  if (usd !== undefined) return { ...row, usd, priceVersion: '' }
  const usage = usageOf(raw, index, limits)
  if ('error' in usage) return { ...usage, id: row.id, field: `usage.${usage.field}`.replace(/\.$/, '') }
  const priced = price(usage, row.model, row.provider, row.at)
  if (typeof priced === 'string') {
    read.fail('usage', priced)
    return read.problem!
  }
  const tokens = usage.input_tokens + usage.output_tokens
  return { ...row, quantity: row.quantity || tokens, unit: row.unit || 'tokens', ...priced }
}

/** Cost rows of a request's body, and the items that are none. Throws `bad_data` when the body as a whole is no JSON or holds no list of costs. */
export const decodeCosts = (
  body: Buffer,
  now: Instant,
  limits: CostLimits,
  price: PriceUsage,
): { readonly costs: CostRow[]; readonly problems: ItemProblem[] } => {
  const costs: CostRow[] = []
  const problems: ItemProblem[] = []
  itemsOf(body, 'costs', limits.items).forEach((item, i) => {
    const read = cost(item, i, now, limits, price)
    if ('usd' in read) costs.push(read)
    else problems.push(read)
  })
  return { costs, problems }
}
