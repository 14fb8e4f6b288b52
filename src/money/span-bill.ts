// What is billed of spans and of token counters together: rows for both, and what has to be taken back.
import { day, type Instant, instant, minute } from '../lib/time.ts'
import type { Batch, CostRow } from '../model/batch.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import type { ModelCall } from './model-call.ts'
import type { Nesting } from './nesting.ts'
import type { Match, Pairing } from './pairing.ts'
import type { Increase, TokenWatch } from './pricer-watch.ts'
import type { Prices, TokenKind } from './prices.ts'

/** Rows of counters are kept apart by the times of their series' samples, and need no place among the remembered ids. */
export const counterId = 'tokens:'
/** Rows that take back what a counter was billed for, because a span says it better; they stand in the batch of that span. */
export const backId = 'back:'
export const spanId = 'span:'

interface SpanBillDeps {
  readonly table: SeriesTable
  readonly prices: Prices
  readonly watch: TokenWatch
  readonly nesting: Nesting
  readonly pairing: Pairing
}

export interface Missing {
  readonly model: string
  readonly provider: string
  readonly tokens: number
  readonly at: number
}

const kinds: readonly TokenKind[] = ['input', 'output', 'cache_read', 'cache_write', 'reasoning']

export class SpanBill {
  readonly #deps: SpanBillDeps

  constructor(deps: SpanBillDeps) {
    this.#deps = deps
  }

  /** A row for each call among the batch's spans that `known` does not know, and those that take back. */
  spans(batch: Batch, now: Instant, known: (id: string) => boolean, missing: Missing[]): CostRow[] {
    const spans = batch.spans?.read
    if (!spans) return []
    const rows: CostRow[] = []
    const here = new Set<string>()
    for (const { call, net } of this.#deps.nesting.settle(spans)) {
      const id = `${spanId}${call.span.traceId}:${call.span.spanId}`
      if (known(id) || here.has(id)) continue
      here.add(id)
      const part = netCall(call, net)
      if (!part) continue
      const row = this.#call(id, part, now, missing)
      rows.push(row, ...this.pair(row))
    }
    return rows
  }

  #call(id: string, call: ModelCall, now: Instant, missing: Missing[]): CostRow {
    const { prices } = this.#deps
    const { payer, span, stated, tier } = call
    const at = timely(call.endAt, now)
    const counted = (call.tokens.get('input') ?? 0) + (call.tokens.get('output') ?? 0)
    const priced = counted > 0 ? prices.request(call.usage, payer.model, payer.provider, at, tier) : ''
    if (typeof priced === 'string' && stated === undefined)
      missing.push({ model: payer.model, provider: payer.provider, tokens: counted, at })
    const cost =
      typeof priced !== 'string'
        ? priced
        : stated !== undefined
          ? { usd: stated, priceVersion: 'stated' }
          : { usd: 0, priceVersion: 'unpriced' }
    return {
      id,
      at,
      ...payer,
      quantity: counted,
      unit: 'tokens',
      ...cost,
      traceId: span.traceId,
      spanId: span.spanId,
      ...(stated === undefined ? {} : { statedUsd: stated }),
      attributes: attributesOf(call),
    }
  }

  /** Pairs the tokens of a span's row with those of counters; gives the rows that take back what was billed twice. */
  pair(row: CostRow): CostRow[] {
    const { prices, pairing } = this.#deps
    const { agent = '', instance = '' } = row.attributes ?? {}
    const canonical = prices.canonical(row.model, row.provider, row.at)
    const back: CostRow[] = []
    for (const kind of kinds) {
      const tokens = Number(row.attributes?.[`${kind}_tokens`] ?? 0)
      if (tokens === 0) continue
      const { matches } = pairing.see({
        side: 'spans',
        job: row.service,
        pool: `${canonical}\u00ff${kind}`,
        source: instance,
        agent,
        from: row.at,
        to: row.at,
        tokens,
        payer: '',
      })
      for (const [i, match] of matches.entries()) {
        const taken = this.#back(`${backId}${row.id.slice(spanId.length)}:${kind}:${i}`, kind, match, row.at)
        if (taken) back.push(taken)
      }
    }
    return back
  }

  /** Booked on whoever the counter was charged to, at the price it was charged at. */
  #back(id: string, kind: TokenKind, match: Match, at: Instant): CostRow | null {
    const { table, watch, prices } = this.#deps
    const [series = '', modality = 'text'] = match.payer.split('/')
    const ref = table.refOf(BigInt(`0x${series}`))
    if (ref === undefined) return null
    const payer = watch.payer(ref)
    const priced = prices.tokens(
      kind,
      modality,
      -match.tokens,
      payer.model,
      payer.provider,
      instant(match.at),
    )
    if (!priced) return null
    return { id, at, ...payer, quantity: -match.tokens, unit: `${kind}_tokens`, ...priced }
  }

  /** A row for what of an increase no span has said. */
  increase(increase: Increase, missing: Missing[]): CostRow | null {
    const { prices, table } = this.#deps
    const { ref, series, payer, at } = increase
    const tokens = this.leftOf(increase)
    if (tokens <= 0) return null
    const { kind, modality } = series
    const priced = prices.tokens(kind, modality, tokens, payer.model, payer.provider, instant(at))
    if (!priced) {
      // Cached and reasoning tokens are among the others already.
      if (kind === 'input' || kind === 'output')
        missing.push({ model: payer.model, provider: payer.provider, tokens, at })
      return null
    }
    const id = `${counterId}${nameOf(table, ref)}:${at}`
    return { id, at: instant(at), ...payer, quantity: tokens, unit: `${kind}_tokens`, ...priced }
  }

  /** How many tokens of an increase were not billed as spans; the rest of them waits for its spans. */
  leftOf({ ref, series, payer, from, at, tokens }: Increase): number {
    const { prices, table, pairing } = this.#deps
    const canonical = prices.canonical(payer.model, payer.provider, instant(at))
    return pairing.see({
      side: 'metrics',
      job: series.job,
      pool: `${canonical}\u00ff${series.kind}`,
      source: series.instance,
      agent: series.agentSaid,
      from,
      to: at,
      tokens,
      payer: `${nameOf(table, ref)}/${series.modality}`,
    }).left
  }
}

/** A span whose clock is out of its mind is booked when it came. */
const timely = (at: number, now: Instant): Instant =>
  at > now - 30 * day && at < now + 10 * minute ? instant(Math.round(at)) : now

const nameOf = (table: SeriesTable, ref: SeriesRef): string => table.id(ref).toString(16)

const attributesOf = (call: ModelCall): Record<string, string> => {
  const { span, agentSaid, tier, failed, tokens } = call
  const out: Record<string, string> = {}
  if (span.resource.instance !== '') out['instance'] = span.resource.instance
  if (agentSaid !== '') out['agent'] = agentSaid
  if (tier !== '') out['service_tier'] = tier
  if (failed) out['outcome'] = 'error'
  for (const [kind, n] of tokens) out[`${kind}_tokens`] = String(n)
  return out
}

/** The call with only what is billed of it; null when that is nothing. */
const netCall = (
  call: ModelCall,
  net: { readonly input: number; readonly output: number },
): ModelCall | null => {
  const input = call.tokens.get('input') ?? 0
  const output = call.tokens.get('output') ?? 0
  if (input === net.input && output === net.output) return call
  if (net.input + net.output === 0) return null
  const tokens = new Map<TokenKind, number>()
  if (net.input > 0) tokens.set('input', net.input)
  if (net.output > 0) tokens.set('output', net.output)
  return { ...call, tokens, usage: { input_tokens: net.input, output_tokens: net.output }, stated: undefined }
}
