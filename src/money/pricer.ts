// Turns tokens and reported costs that pass by into cost rows and one counter of dollars, each thing once.
import { type Clock, every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { createGate } from '../lib/gate.ts'
import type { Logger } from '../lib/log.ts'
import { RecentIds } from '../lib/recent-ids.ts'
import { type Duration, instant, minute, second } from '../lib/time.ts'
import type { Batch, CostRow } from '../model/batch.ts'
import { type AdmissionLimits, BatchBuilder, defaultAdmission } from '../model/batch-builder.ts'
import { Cumulative, type CumulativeState, type Draft } from '../model/cumulative.ts'
import { labelsOf } from '../model/labels.ts'
import type { Counter, Metrics } from '../model/ports/metrics.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { appendSamples } from './pricer-batch.ts'
import { type Increase, TokenWatch, type TokenWatchState } from './pricer-watch.ts'
import type { Prices } from './prices.ts'

export interface PricerDeps {
  /** Where batches go on to. */
  readonly sink: Sink
  readonly table: SeriesTable
  readonly prices: Prices
  readonly clock: Clock
  readonly metrics: Metrics
  readonly log: Logger
  readonly limits?: AdmissionLimits
  /** How long after its very first start a token counter seen for the first time is taken as old. */
  readonly settle?: Duration
}

const costMetric = 'airboss_cost_usd_total'
const heartbeat = (30 * second) as Duration
const pushTime = (10 * second) as Duration
const remembered = 65_536
// Rows made here are kept apart by the times of their series' samples, and need no place among the remembered ids.
const ownId = 'tokens:'

interface PricerState {
  readonly totals: CumulativeState
  readonly seen: string
  readonly watch: TokenWatchState
}

class Pricer implements Sink, Producer, Service {
  readonly name = 'pricer'
  readonly #deps: PricerDeps
  readonly #limits: AdmissionLimits
  readonly #totals: Cumulative
  readonly #seen = new RecentIds(remembered)
  readonly #watch: TokenWatch
  readonly #one = createGate(1)
  readonly #stop = new AbortController()
  readonly #unpriced: Counter
  readonly #said = new Set<string>()
  #told = false

  constructor(deps: PricerDeps) {
    this.#deps = deps
    this.#limits = deps.limits ?? defaultAdmission
    this.#totals = new Cumulative(deps.table, [costMetric])
    this.#watch = new TokenWatch(deps.table, deps.clock.now(), deps.settle ?? ((5 * minute) as Duration))
    this.#unpriced = deps.metrics.counter(
      'airboss_unpriced_tokens_total',
      'Tokens of models without a price.',
      ['model', 'provider'],
    )
  }

  start(): Promise<void> {
    const { clock, log } = this.#deps
    every(clock, heartbeat, () => this.#one(() => this.#beat()), {
      signal: this.#stop.signal,
      failed: (error) => log.warn({ why: messageOf(error) }, 'cost counters not written'),
    })
    return Promise.resolve()
  }

  async drain(): Promise<void> {
    this.#stop.abort()
    // What came before has had its turn.
    await this.#one(() => Promise.resolve())
  }

  push(batch: Batch, signal: AbortSignal): Promise<void> {
    if (batch.costs.length === 0 && !this.#watch.concerns(batch)) return this.#deps.sink.push(batch, signal)
    return this.#one(async () => {
      if (signal.aborted) throw new AppError('canceled', 'the request was canceled before it was priced')
      await this.#price(batch, signal)
    })
  }

  async #price(batch: Batch, signal: AbortSignal): Promise<void> {
    const { clock, sink, table } = this.#deps
    const now = clock.now()
    const at = this.#totals.nextAt(now)
    const given = this.#fresh(batch.costs)
    const { increases, commit } = this.#watch.look(batch)
    const made: CostRow[] = []
    const unpriced: Increase[] = []
    for (const increase of increases) {
      const row = this.#row(increase)
      if (row) made.push(row)
      else unpriced.push(increase)
    }
    const costs = made.length > 0 ? [...given, ...made] : given
    const builder = new BatchBuilder(table, this.#limits, now, 64)
    const draft = this.#totals.draft()
    for (const row of costs) this.#count(row, builder, draft)
    this.#totals.write(draft, builder, at, heartbeat)
    if (!this.#told && builder.length > 0)
      builder.metadata.push({ metric: costMetric, type: 'counter', help: 'Money spent.', unit: 'usd' })
    await sink.push(appendSamples(batch, builder.build(), costs), signal)
    commit()
    if (draft.totals.size > 0) {
      this.#told = true
      this.#totals.commit(draft, at)
    }
    for (const row of given) this.#seen.add(row.id)
    for (const increase of unpriced) this.#noPrice(increase)
  }

  async #beat(): Promise<void> {
    if (this.#totals.size === 0) return
    const { clock, sink, table } = this.#deps
    const now = clock.now()
    const at = this.#totals.nextAt(now)
    const builder = new BatchBuilder(table, this.#limits, now)
    const draft = this.#totals.draft()
    this.#totals.writeRest(draft, builder, at)
    await sink.push(builder.build(), clock.timeout(pushTime))
    this.#totals.commit(draft, at)
  }

  #fresh(costs: readonly CostRow[]): readonly CostRow[] {
    const here = new Set<string>()
    return costs.filter((row) => {
      if (here.has(row.id) || this.#seen.has(row.id)) return false
      here.add(row.id)
      return true
    })
  }

  #row({ ref, series, payer, at, tokens }: Increase): CostRow | null {
    const { prices, table } = this.#deps
    const { kind, modality } = series
    const priced = prices.tokens(kind, modality, tokens, payer.model, payer.provider, instant(at))
    if (!priced) return null
    const id = `${ownId}${table.id(ref).toString(16)}:${at}`
    return { id, at: instant(at), ...payer, quantity: tokens, unit: `${kind}_tokens`, ...priced }
  }

  #count(row: CostRow, builder: BatchBuilder, draft: Draft): void {
    const ref = this.#refOf(row, builder)
    if (ref >= 0) draft.add(ref, row.usd)
    else if (!this.#said.has(builder.lastReason)) {
      this.#said.add(builder.lastReason)
      this.#deps.log.error({ why: builder.lastExample }, 'a cost is kept as a row but not counted')
    }
  }

  #refOf({ agent, version, model, provider, service, owner }: CostRow, builder: BatchBuilder): SeriesRef {
    return builder.series(labelsOf({ __name__: costMetric, agent, version, model, provider, service, owner }))
  }

  #noPrice({ series, payer: { model, provider }, tokens }: Increase): void {
    // Cached and reasoning tokens are among the others already.
    if (series.kind === 'input' || series.kind === 'output') this.#unpriced.add(tokens, { model, provider })
    const key = `${model}\u00ff${provider}`
    if (this.#said.has(key) || this.#said.size > 1000) return
    this.#said.add(key)
    this.#deps.log.warn({ model, provider }, 'model without a price; add it under prices.models')
  }

  checkpoint(): PricerState {
    return { totals: this.#totals.save(), seen: this.#seen.save(), watch: this.#watch.save() }
  }

  restore(state: unknown): void {
    const { totals, seen, watch } = state as PricerState
    this.#totals.load(totals)
    this.#seen.load(seen)
    this.#watch.load(watch)
  }

  replay(batch: Batch): void {
    this.#totals.replay(batch, false)
    const builder = new BatchBuilder(this.#deps.table, this.#limits, this.#deps.clock.now(), 1)
    for (const row of batch.costs) {
      const own = row.id.startsWith(ownId)
      if (own ? this.#included(row.id) : this.#seen.has(row.id)) continue
      const ref = this.#refOf(row, builder)
      if (ref >= 0) this.#totals.replayAdd(ref, row.usd)
      if (!own) this.#seen.add(row.id)
    }
    this.#watch.look(batch).commit()
  }

  /** Whether the sample that made this row is known already: a log may replay what the checkpoint holds. */
  #included(id: string): boolean {
    const [, series = '', at = ''] = id.split(':')
    const ref = this.#deps.table.refOf(BigInt(`0x${series}`))
    return ref !== undefined && this.#watch.lastAt(ref) >= Number(at)
  }
}

/**
 * A sink before `sink`. Every row in `batch.costs` counts once by its id and raises `airboss_cost_usd_total`; every increase of a token counter
 * (see `pricer-tokens.ts`) becomes such a row. The counter is the highest the sum of rows has been: a correction (cached tokens that arrive after
 * the input they are part of) is worked off before it rises again. A token counter's first sample is its baseline while Airboss is new
 * (`settle`, 5 min); later a counter never seen before is taken as begun since, and counts from zero.
 */
export const createPricer = (deps: PricerDeps): Sink & Producer & Service => new Pricer(deps)
