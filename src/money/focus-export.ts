// Says costs in FOCUS 1.2: a row for each thing and day, numbers exact.
import { periodAround } from '../lib/calendar.ts'
import { type Instant, instant, iso } from '../lib/time.ts'
import { type FocusRow, focusColumns } from '../model/focus.ts'
import type { DayCost } from '../model/ports/money-reader.ts'

const ownColumns = [
  'x_AirbossAgent',
  'x_AirbossVersion',
  'x_AirbossModel',
  'x_AirbossOwner',
  'x_AirbossService',
  'x_AirbossPriceVersion',
]

const seconds = (at: Instant): string => iso(at).replace(/\.\d+Z$/, 'Z')
const json = (entries: readonly (readonly [string, string])[]): string | null => {
  const given = entries.filter(([, value]) => value !== '')
  return given.length === 0 ? null : JSON.stringify(Object.fromEntries(given))
}

/** A number without an exponent's plus and without noise: tokens are whole, hours and gigabytes have at most nine decimals. */
const quantityText = (quantity: number): string => {
  const text = Number.isInteger(quantity) ? String(quantity) : quantity.toFixed(9).replace(/\.?0+$/, '')
  return text.includes('e') ? BigInt(Math.round(quantity)).toString() : text
}

const units: Readonly<Record<string, string>> = {
  tokens: 'Tokens',
  input_tokens: 'Tokens',
  output_tokens: 'Tokens',
  cache_read_tokens: 'Tokens',
  cache_write_tokens: 'Tokens',
  reasoning_tokens: 'Tokens',
}
const meters: Readonly<Record<string, string>> = {
  tokens: 'Tokens',
  input_tokens: 'Input Tokens',
  output_tokens: 'Output Tokens',
  cache_read_tokens: 'Cache Read Tokens',
  cache_write_tokens: 'Cache Write Tokens',
  reasoning_tokens: 'Reasoning Tokens',
}
const categories: Readonly<Record<string, string>> = {
  cpu: 'Compute',
  memory: 'Compute',
  gpu: 'Compute',
  egress: 'Networking',
  storage: 'Storage',
}

/** Periods of a day, ends exclusive. */
const periodsOf = (text: string): Record<string, string> => {
  const at = instant(Temporal.Instant.from(`${text}T00:00:00Z`).epochMilliseconds)
  const month = periodAround('monthly', at, 'UTC')
  const charged = periodAround('daily', at, 'UTC')
  return {
    BillingPeriodStart: seconds(month.startAt),
    BillingPeriodEnd: seconds(month.endAt),
    ChargePeriodStart: seconds(charged.startAt),
    ChargePeriodEnd: seconds(charged.endAt),
  }
}

/** Who bills, as the export says it. */
export interface FocusAccount {
  readonly id: string
  readonly name: string
}

const billed = (cost: DayCost): FocusRow => {
  const row: Record<string, string | null> = {}
  for (const name of Object.keys(focusColumns)) row[name] = cost.attributes[name] ?? null
  for (const [name, value] of Object.entries(cost.attributes)) if (name.startsWith('x_')) row[name] = value
  return row
}

/** What one day's cost is called and how it was measured. */
const wordsOf = (cost: DayCost) => {
  const infra = cost.kind === 'infra'
  const provider = cost.provider || (infra ? 'Own infrastructure' : 'Unknown provider')
  const sku = infra ? (cost.attributes['sku'] ?? cost.unit) : cost.model || cost.service || 'other'
  const meter = meters[cost.unit] ?? (cost.unit || 'Requests')
  const service = infra
    ? `${cost.attributes['resource'] ?? 'machine'} of ${cost.service || 'infrastructure'}`
    : cost.model === ''
      ? cost.service || 'Reported costs'
      : `${provider} models`
  const category = infra
    ? (categories[cost.attributes['resource'] ?? ''] ?? 'Compute')
    : 'AI and Machine Learning'
  return { infra, provider, sku, meter, service, category }
}

/** The FOCUS row of a day's cost; a line that came as FOCUS goes out as it came. */
export const focusRow = (cost: DayCost, account: FocusAccount): FocusRow => {
  if (cost.kind === 'focus') return billed(cost)
  const { infra, provider, sku, meter, service, category } = wordsOf(cost)
  const measured = cost.quantity !== 0 && cost.unit !== ''
  const quantity = measured ? quantityText(cost.quantity) : String(cost.rows)
  const unit = measured ? (units[cost.unit] ?? cost.unit) : 'Requests'
  const what = infra ? `${meter} of ${service}` : `${meter} of ${sku}`
  return {
    ...Object.fromEntries(Object.keys(focusColumns).map((name) => [name, null])),
    ...periodsOf(cost.day),
    BilledCost: cost.usd,
    ContractedCost: cost.usd,
    EffectiveCost: cost.usd,
    ListCost: cost.usd,
    BillingAccountId: account.id,
    BillingAccountName: account.name,
    BillingAccountType: 'Airboss',
    BillingCurrency: 'USD',
    ChargeCategory: 'Usage',
    ChargeDescription: cost.agent === '' ? what : `${what} for ${cost.agent}`,
    ChargeFrequency: 'Usage-Based',
    ConsumedQuantity: quantity,
    ConsumedUnit: unit,
    InvoiceIssuerName: provider,
    PricingCategory: 'Standard',
    PricingQuantity: quantity,
    PricingUnit: unit,
    ProviderName: provider,
    PublisherName: provider,
    ResourceId: cost.agent || null,
    ResourceName: cost.agent || null,
    ResourceType: cost.agent === '' ? null : 'Agent',
    ServiceCategory: category,
    ServiceName: service,
    ServiceSubcategory: infra || category !== 'AI and Machine Learning' ? null : 'Generative AI',
    SkuId: `${provider}/${sku}`,
    SkuMeter: meter,
    SkuPriceId: `${provider}/${sku}/${cost.unit || 'requests'}/${cost.priceVersion || 'as-reported'}`,
    SkuPriceDetails: json([['x_PriceVersion', cost.priceVersion]]),
    Tags: json([
      ['agent', cost.agent],
      ['version', cost.version],
      ['owner', cost.owner],
      ['service', cost.service],
    ]),
    x_AirbossAgent: cost.agent || null,
    x_AirbossVersion: cost.version || null,
    x_AirbossModel: cost.model || null,
    x_AirbossOwner: cost.owner || null,
    x_AirbossService: cost.service || null,
    x_AirbossPriceVersion: cost.priceVersion || null,
  }
}

const field = (value: string | null): string =>
  value === null ? '' : /[",\r\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value

/** The columns of an export: FOCUS's, then Airboss's own, then those that bills brought, by name. */
export const exportColumns = (brought: Iterable<string>): string[] => {
  const fixed = new Set([...Object.keys(focusColumns), ...ownColumns])
  return [...fixed, ...[...new Set(brought)].filter((name) => !fixed.has(name)).sort()]
}

export const csvLine = (row: FocusRow, columns: readonly string[]): string =>
  `${columns.map((name) => field(row[name] ?? null)).join(',')}\r\n`
