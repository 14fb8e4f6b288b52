// Lines of a bill in FOCUS become cost rows.
import { hash64 } from '../../lib/hash.ts'
import { type Instant, instant } from '../../lib/time.ts'
import type { CostRow } from '../../model/batch.ts'
import { type FocusProblem, type FocusRow, focusProblems } from '../../model/focus.ts'

export interface FocusOptions {
  /** Tags that name the agent, the version and the owner of a charge; the first that is there. */
  readonly tags: {
    readonly agent: readonly string[]
    readonly version: readonly string[]
    readonly owner: readonly string[]
  }
  /** Which of the costs of a line counts. */
  readonly cost: 'EffectiveCost' | 'BilledCost' | 'ContractedCost' | 'ListCost'
  /** US dollars for one of another currency. */
  readonly currencies: Readonly<Record<string, number>>
}

/** Texts that stand for no value. */
const nulls: ReadonlySet<string> = new Set(['', 'NULL', 'null'])

/** A row as it was read: every value a text or null. Times are brought into the specification's form where it is plain what they mean. */
export const readFocusRow = (raw: Readonly<Record<string, unknown>>): FocusRow => {
  // Without a prototype, so that whatever a column is called is one.
  const row = Object.create(null) as Record<string, string | null>
  for (const [name, value] of Object.entries(raw)) {
    if (value === undefined) continue
    const text = typeof value === 'string' ? value : value === null ? '' : JSON.stringify(value)
    row[name] = nulls.has(text) ? null : /Period(Start|End)$/.test(name) ? timeText(text) : text
  }
  return row
}

const timeText = (text: string): string => {
  const m = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d(?::\d\d)?)(?:\.0+)?)?(?:Z| ?UTC|\+00:00)?$/.exec(text)
  if (!m) return text
  const time = m[2] ?? '00:00:00'
  return `${m[1]}T${time.length === 5 ? `${time}:00` : time}Z`
}

const tagsOf = (text: string | null | undefined): Readonly<Record<string, unknown>> =>
  text ? (JSON.parse(text) as Record<string, unknown>) : {}

const firstTag = (tags: Readonly<Record<string, unknown>>, keys: readonly string[]): string => {
  for (const key of keys) {
    const value = tags[key]
    if (typeof value === 'string' && value !== '') return value
    if (typeof value === 'number') return String(value)
  }
  return ''
}

/** The same line has the same identity wherever it stands; `nth` tells equal lines of one file apart. */
export const focusId = (row: FocusRow, nth: number): string => {
  const parts = Object.entries(row)
    .filter(([, value]) => value !== null)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) => [name, value!])
  parts.push(String(nth))
  return `focus:${hash64(parts)}${hash64(parts, 1)}`
}

/** What Airboss's own export says in columns of its own, taken back. */
const own = [
  'x_AirbossAgent',
  'x_AirbossVersion',
  'x_AirbossModel',
  'x_AirbossOwner',
  'x_AirbossService',
] as const

const usdOf = (row: FocusRow, { cost, currencies }: FocusOptions): number | FocusProblem => {
  const code = row['BillingCurrency']!
  const rate = code === 'USD' ? 1 : currencies[code]
  if (rate === undefined)
    return {
      column: 'BillingCurrency',
      error: `charges in ${code} are not taken; say what one ${code} is in US dollars under costs.currencies`,
    }
  return Number(row[cost]) * rate
}

/**
 * The cost row of a line, or what is wrong with it. `countFrom`: charges that began before it are kept as rows but do not raise the
 * counters, which budgets watch.
 */
export const focusCost = (
  row: FocusRow,
  nth: number,
  options: FocusOptions,
  countFrom: Instant,
): CostRow | readonly FocusProblem[] => {
  const problems = focusProblems(row)
  if (problems.length > 0) return problems
  const usd = usdOf(row, options)
  if (typeof usd !== 'number') return [usd]
  const tags = tagsOf(row['Tags'])
  const [agent, version, model, owner, service] = own.map((name) => row[name] ?? '')
  const at = instant(Temporal.Instant.from(row['ChargePeriodStart']!).epochMilliseconds)
  const consumed = row['ConsumedQuantity'] ?? null
  const attributes: Record<string, string> = {}
  for (const [name, value] of Object.entries(row)) if (value !== null) attributes[name] = value
  if (at < countFrom) attributes['counted'] = 'no'
  return {
    id: focusId(row, nth),
    at,
    agent: agent || firstTag(tags, options.tags.agent),
    version: version || firstTag(tags, options.tags.version),
    model: model ?? '',
    provider: row['ProviderName']!,
    service: service || row['ServiceName']!,
    owner: owner || firstTag(tags, options.tags.owner),
    usd,
    quantity: Number(consumed ?? row['PricingQuantity'] ?? 0),
    unit: (consumed === null ? row['PricingUnit'] : row['ConsumedUnit']) ?? '',
    priceVersion: '',
    attributes,
  }
}
