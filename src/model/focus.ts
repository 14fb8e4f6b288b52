// The FinOps cost and usage format (FOCUS 1.2): its columns, what they must hold, and what is wrong with a row.

type ColumnType = 'string' | 'decimal' | 'datetime' | 'currency' | 'json'
interface Column {
  readonly type: ColumnType
  /** Mandatory in every data set. */
  readonly mandatory: boolean
  readonly nullable: boolean
  readonly values?: readonly string[]
}

const column = (
  type: ColumnType,
  mandatory: boolean,
  nullable: boolean,
  values?: readonly string[],
): Column => ({
  type,
  mandatory,
  nullable,
  ...(values ? { values } : {}),
})
const must = true
const may = false
const noNull = false
const orNull = true

const serviceCategories = [
  'AI and Machine Learning',
  'Analytics',
  'Business Applications',
  'Compute',
  'Databases',
  'Developer Tools',
  'Multicloud',
  'Identity',
  'Integration',
  'Internet of Things',
  'Management and Governance',
  'Media',
  'Migration',
  'Mobile',
  'Networking',
  'Security',
  'Storage',
  'Web',
  'Other',
]

/** Columns of FOCUS 1.2 in the order in which they are written. Source: the specification's column definitions, tag v1.2. */
export const focusColumns: Readonly<Record<string, Column>> = {
  AvailabilityZone: column('string', may, orNull),
  BilledCost: column('decimal', must, noNull),
  BillingAccountId: column('string', must, noNull),
  BillingAccountName: column('string', must, orNull),
  BillingAccountType: column('string', may, orNull),
  BillingCurrency: column('currency', must, noNull),
  BillingPeriodEnd: column('datetime', must, noNull),
  BillingPeriodStart: column('datetime', must, noNull),
  CapacityReservationId: column('string', may, orNull),
  CapacityReservationStatus: column('string', may, orNull, ['Used', 'Unused']),
  ChargeCategory: column('string', must, noNull, ['Usage', 'Purchase', 'Tax', 'Credit', 'Adjustment']),
  ChargeClass: column('string', must, orNull, ['Correction']),
  ChargeDescription: column('string', must, orNull),
  ChargeFrequency: column('string', may, orNull, ['One-Time', 'Recurring', 'Usage-Based']),
  ChargePeriodEnd: column('datetime', must, noNull),
  ChargePeriodStart: column('datetime', must, noNull),
  CommitmentDiscountCategory: column('string', may, orNull, ['Spend', 'Usage']),
  CommitmentDiscountId: column('string', may, orNull),
  CommitmentDiscountName: column('string', may, orNull),
  CommitmentDiscountQuantity: column('decimal', may, orNull),
  CommitmentDiscountStatus: column('string', may, orNull, ['Used', 'Unused']),
  CommitmentDiscountType: column('string', may, orNull),
  CommitmentDiscountUnit: column('string', may, orNull),
  ConsumedQuantity: column('decimal', may, orNull),
  ConsumedUnit: column('string', may, orNull),
  ContractedCost: column('decimal', must, noNull),
  ContractedUnitPrice: column('decimal', may, orNull),
  EffectiveCost: column('decimal', must, noNull),
  InvoiceId: column('string', may, orNull),
  InvoiceIssuerName: column('string', must, noNull),
  ListCost: column('decimal', must, noNull),
  ListUnitPrice: column('decimal', may, orNull),
  PricingCategory: column('string', may, orNull, ['Standard', 'Dynamic', 'Committed', 'Other']),
  PricingCurrency: column('currency', may, orNull),
  PricingCurrencyContractedUnitPrice: column('decimal', may, orNull),
  PricingCurrencyEffectiveCost: column('decimal', may, orNull),
  PricingCurrencyListUnitPrice: column('decimal', may, orNull),
  PricingQuantity: column('decimal', must, orNull),
  PricingUnit: column('string', must, orNull),
  ProviderName: column('string', must, noNull),
  PublisherName: column('string', must, noNull),
  RegionId: column('string', may, orNull),
  RegionName: column('string', may, orNull),
  ResourceId: column('string', may, orNull),
  ResourceName: column('string', may, orNull),
  ResourceType: column('string', may, orNull),
  ServiceCategory: column('string', must, noNull, serviceCategories),
  ServiceName: column('string', must, noNull),
  ServiceSubcategory: column('string', may, orNull),
  SkuId: column('string', may, orNull),
  SkuMeter: column('string', may, orNull),
  SkuPriceDetails: column('json', may, orNull),
  SkuPriceId: column('string', may, orNull),
  SubAccountId: column('string', may, orNull),
  SubAccountName: column('string', may, orNull),
  SubAccountType: column('string', may, orNull),
  Tags: column('json', may, orNull),
}

/** A row by column; null where there is no value. */
export type FocusRow = Readonly<Record<string, string | null>>

export interface FocusProblem {
  readonly column: string
  readonly error: string
}

/** Mandatory columns that a data set lacks. */
export const missingColumns = (names: readonly string[]): string[] => {
  const there = new Set(names)
  return Object.entries(focusColumns).flatMap(([name, { mandatory }]) =>
    mandatory && !there.has(name) ? [name] : [],
  )
}

const decimal = /^-?(\d+\.?\d*|\.\d+)([eE]-?\d+)?$/
const datetime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/
const currency = /^[A-Z]{3}$/
/** Sums of such numbers stay finite: counters that are infinite stay so. */
const largest = 1e21

const inCalendar = (text: string): boolean => {
  try {
    Temporal.Instant.from(text)
    return true
  } catch {
    return false
  }
}

const keyValues = (text: string): string | null => {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return 'must be a JSON object'
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'must be a JSON object'
  const nested = Object.entries(value).find(([, v]) => typeof v === 'object' && v !== null)
  return nested ? `key ${nested[0]} must hold a text, a number, true, false or null` : null
}

const wrong = ({ type, values }: Column, text: string): string | null => {
  const shown = JSON.stringify(text.slice(0, 40))
  if (values && !values.includes(text)) return `${shown} is none of ${values.join(', ')}`
  if (type === 'decimal' && !decimal.test(text))
    return `${shown} is no number; write it as -1234.5 or 12E-3, without signs of currency, commas or +`
  if (type === 'decimal' && !(Math.abs(Number(text)) <= largest))
    return `${shown} is more than any bill says; at most ${largest} is taken`
  if (type === 'datetime' && !(datetime.test(text) && inCalendar(text)))
    return `${shown} is no time in UTC; write it as 2026-01-31T00:00:00Z`
  if (type === 'currency' && !currency.test(text)) return `${shown} is no ISO 4217 code such as USD`
  return type === 'json' ? keyValues(text) : null
}

/** What is wrong with a row by the specification's own rules, column by column. Columns that are not FOCUS's must begin with `x_`. */
export const focusProblems = (row: FocusRow): FocusProblem[] => {
  const problems: FocusProblem[] = []
  const say = (name: string, error: string): void => void problems.push({ column: name, error })
  for (const [name, defined] of Object.entries(focusColumns)) {
    const value = row[name] ?? null
    if (value === null) {
      if (!(name in row) ? defined.mandatory : !defined.nullable) say(name, 'has no value and must have one')
      continue
    }
    const error = wrong(defined, value)
    if (error !== null) say(name, error)
  }
  for (const name of Object.keys(row))
    if (!Object.hasOwn(focusColumns, name) && !name.startsWith('x_'))
      say(name, 'is no column of FOCUS 1.2; columns of one’s own begin with x_')
  return [...problems, ...acrossColumns(row)]
}

const acrossColumns = (row: FocusRow): FocusProblem[] => {
  const of = (name: string): string => row[name] ?? ''
  const problems: FocusProblem[] = []
  for (const period of ['BillingPeriod', 'ChargePeriod'])
    if (
      of(`${period}Start`) !== '' &&
      of(`${period}End`) !== '' &&
      of(`${period}Start`) >= of(`${period}End`)
    )
      problems.push({
        column: `${period}End`,
        error: `must be later than ${period}Start: ends are exclusive`,
      })
  for (const [quantity, unit] of [
    ['PricingQuantity', 'PricingUnit'],
    ['ConsumedQuantity', 'ConsumedUnit'],
  ] as const)
    if ((of(quantity) === '') !== (of(unit) === '') && (unit in row || quantity in row))
      problems.push({ column: unit, error: `must have a value exactly where ${quantity} has one` })
  const usage = of('ChargeCategory') === 'Usage' || of('ChargeCategory') === 'Purchase'
  if (usage && of('ChargeClass') === '' && of('PricingQuantity') === '' && 'PricingQuantity' in row)
    problems.push({ column: 'PricingQuantity', error: 'must have a value for usage and purchases' })
  if (of('SkuPriceDetails') !== '' && of('SkuPriceId') === '')
    problems.push({ column: 'SkuPriceDetails', error: 'must be empty where SkuPriceId is' })
  return problems
}
