// Turns tokens, model calls and reported costs that pass by into cost rows and counters of dollars, each thing once.
import { type Clock, every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { createGate } from '../lib/gate.ts'
import type { Logger } from '../lib/log.ts'
import { RecentIds } from '../lib/recent-ids.ts'
import { type Duration, minute, second } from '../lib/time.ts'
import type { Batch, CostRow, Metadata } from '../model/batch.ts'
import { type AdmissionLimits, BatchBuilder, defaultAdmission } from '../model/batch-builder.ts'
import { Cumulative, type CumulativeState, type Draft } from '../model/cumulative.ts'
import { joinBatches } from '../model/join-batches.ts'
import { labelsOf } from '../model/labels.ts'
import type { UnpricedModel } from '../model/ports/cost-reports.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../model/series.ts'
import { Nesting } from './nesting.ts'
import { Pairing, type PairingState } from './pairing.ts'
import { appendSamples } from './pricer-batch.ts'
import { TokenWatch, type TokenWatchState } from './pricer-watch.ts'
import type { Prices } from './prices.ts'
import { backId, counterId, type Missing, SpanBill, spanId } from './span-bill.ts'
import { Unpriced } from './unpriced.ts'

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
const failedMetric = 'airboss_cost_failed_usd_total'
const metadata: readonly Metadata[] = [
  {
    metric: costMetric,
    type: 'counter',
    help: 'Money spent, each thing once: what a call itself cost. Safe to sum over every label.',
    unit: 'usd',
  },
  {
    metric: failedMetric,
    type: 'counter',
    help: 'The part of airboss_cost_usd_total that went into calls which ended in an error. Not to be added to it.',
    unit: 'usd',
  },
]
const heartbeat = (30 * second) as Duration
const pushTime = (10 * second) as Duration
const remembered = 65_536
/** Calls repeat within the patience of an exporter; at 1,000 calls a second this is four minutes. */
const rememberedCalls = 262_144

const mostRefs = 20_000
/** Requests that are priced and logged in one turn. */
const mostTogether = 16

interface Waiting {
  readonly batch: Batch
  readonly signal: AbortSignal
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface PricerState {
  readonly totals: CumulativeState
  readonly seen: string
  readonly watch: TokenWatchState
  readonly calls?: string
  readonly pairing?: PairingState
  readonly unpriced?: readonly UnpricedModel[]
}

export interface PricerService extends Sink, Producer, Service {
  /** Models without a price, the most tokens first. */
  unpriced(): readonly UnpricedModel[]
}

class Pricer implements PricerService {
  readonly name = 'pricer'
  readonly #deps: PricerDeps
  readonly #limits: AdmissionLimits
  readonly #totals: Cumulative
  readonly #seen = new RecentIds(remembered)
  readonly #waiting: Waiting[] = []
  /** Series of payers met lately. */
  readonly #refs = new Map<string, SeriesRef>()
  readonly #calls = new RecentIds(rememberedCalls)
  readonly #watch: TokenWatch
  readonly #pairing = new Pairing()
  readonly #bill: SpanBill
  readonly #unpriced = new Unpriced()
  readonly #one = createGate(1)
  readonly #stop = new AbortController()
  readonly #figures
  readonly #said = new Set<string>()
  #told = false

  constructor(deps: PricerDeps) {
    const { table, prices, clock, metrics } = deps
    this.#deps = deps
    this.#limits = deps.limits ?? defaultAdmission
    this.#totals = new Cumulative(table, [costMetric, failedMetric])
    this.#watch = new TokenWatch(table, clock.now(), deps.settle ?? ((5 * minute) as Duration))
    this.#bill = new SpanBill({
      table,
      prices,
      watch: this.#watch,
      nesting: new Nesting(),
      pairing: this.#pairing,
    })
    const by = ['model', 'provider']
    this.#figures = {
      unpriced: metrics.counter('airboss_unpriced_tokens_total', 'Tokens of models without a price.', by),
      calls: metrics.counter('airboss_priced_calls_total', 'Model calls billed from their spans.'),
      repeated: metrics.counter(
        'airboss_cost_tokens_taken_back_total',
        'Tokens billed from a counter and taken back when their spans came.',
      ),
      watched: metrics.gauge('airboss_token_counters', 'Token counters that are followed.'),
      forgotten: metrics.counter(
        'airboss_token_counters_forgotten_total',
        'Token counters forgotten: silent for a day, or the longest silent of too many.',
      ),
      sources: metrics.gauge('airboss_token_sources', 'Sources whose spans and counters are paired.'),
    }
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

  unpriced(): readonly UnpricedModel[] {
    return this.#unpriced.list()
  }

  push(batch: Batch, signal: AbortSignal): Promise<void> {
    const spans = batch.spans?.read?.length ?? 0
    if (batch.costs.length === 0 && spans === 0 && !this.#watch.concerns(batch))
      return this.#deps.sink.push(batch, signal)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, signal, resolve, reject })
      void this.#one(() => this.#turn())
    })
  }

  /** All that waits goes through together: a turn lasts until the log is on disk, and one a request would make the disk the limit. */
  async #turn(): Promise<void> {
    const all = this.#waiting.splice(0, mostTogether)
    const [gone, here] = [all.filter((w) => w.signal.aborted), all.filter((w) => !w.signal.aborted)]
    for (const { reject } of gone)
      reject(new AppError('canceled', 'the request was canceled before it was priced'))
    if (here.length === 0) return
    // One that is given up takes none of the others with it.
    const signal = here.length === 1 ? here[0]!.signal : this.#deps.clock.timeout(pushTime)
    try {
      await this.#price(joinBatches(here.map((w) => w.batch)), signal)
      for (const { resolve } of here) resolve()
    } catch (error) {
      for (const { reject } of here) reject(error)
    }
  }

  async #price(batch: Batch, signal: AbortSignal): Promise<void> {
    const { clock, sink, table } = this.#deps
    const now = clock.now()
    const at = this.#totals.nextAt(now)
    const given = this.#fresh(batch.costs)
    const { increases, commit } = this.#watch.look(batch)
    const missing: Missing[] = []
    this.#pairing.begin()
    const made = this.#bill.spans(batch, now, (id) => this.#calls.has(id), missing)
    for (const increase of increases) {
      const row = this.#bill.increase(increase, missing)
      if (row) made.push(row)
    }
    const costs = made.length > 0 ? [...given, ...made] : given
    const builder = new BatchBuilder(table, this.#limits, now, 64)
    const draft = this.#totals.draft()
    for (const row of costs) this.#count(row, builder, draft)
    this.#totals.write(draft, builder, at, heartbeat)
    if (!this.#told && builder.length > 0) builder.metadata.push(...metadata)
    try {
      await sink.push(appendSamples(batch, builder.build(), costs), signal)
    } catch (error) {
      this.#pairing.rollback()
      throw error
    }
    this.#pairing.commit()
    commit()
    if (draft.totals.size > 0) {
      this.#told = true
      this.#totals.commit(draft, at)
    }
    for (const row of given) this.#seen.add(row.id)
    this.#note(made, missing)
  }

  #note(made: readonly CostRow[], missing: readonly Missing[]): void {
    let calls = 0
    let back = 0
    for (const row of made) {
      if (row.id.startsWith(spanId)) {
        this.#calls.add(row.id)
        calls++
      } else if (row.id.startsWith(backId)) back -= row.quantity
    }
    if (calls > 0) this.#figures.calls.add(calls)
    if (back > 0) this.#figures.repeated.add(back)
    for (const m of missing) this.#noPrice(m)
  }

  async #beat(): Promise<void> {
    const { clock, sink, table } = this.#deps
    const now = clock.now()
    const forgotten = this.#watch.tidy(now)
    if (forgotten > 0) this.#figures.forgotten.add(forgotten)
    this.#pairing.tidy(now)
    this.#figures.watched.set(this.#watch.size)
    this.#figures.sources.set(this.#pairing.sources)
    if (this.#totals.size === 0) return
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

  #count(row: CostRow, builder: BatchBuilder, draft: Draft): void {
    if (row.attributes?.['counted'] === 'no') return
    for (const metric of metricsOf(row)) {
      const ref = this.#refOf(metric, row, builder)
      if (ref >= 0) draft.add(ref, row.usd)
      else if (!this.#said.has(builder.lastReason)) {
        this.#said.add(builder.lastReason)
        this.#deps.log.error({ why: builder.lastExample }, 'a cost is kept as a row but not counted')
      }
    }
  }

  #refOf(metric: string, row: CostRow, builder: BatchBuilder): SeriesRef {
    const { agent, version, model, provider, service, owner } = row
    const key = [metric, agent, version, model, provider, service, owner].join('\u00ff')
    const known = this.#refs.get(key)
    if (known !== undefined) return known
    const ref = builder.series(
      labelsOf({ __name__: metric, agent, version, model, provider, service, owner }),
    )
    if (ref < 0) return ref
    if (this.#refs.size >= mostRefs) this.#refs.clear()
    this.#refs.set(key, ref)
    return ref
  }

  #noPrice({ model, provider, tokens, at }: Missing): void {
    this.#figures.unpriced.add(tokens, { model, provider })
    if (this.#unpriced.add(model, provider, tokens, at))
      this.#deps.log.warn({ model, provider }, 'model without a price; add it under prices.models')
  }

  checkpoint(): PricerState {
    return {
      totals: this.#totals.save(),
      seen: this.#seen.save(),
      watch: this.#watch.save(),
      calls: this.#calls.save(remembered),
      pairing: this.#pairing.save(),
      unpriced: this.#unpriced.save(),
    }
  }

  restore(state: unknown): void {
    const { totals, seen, watch, calls, pairing, unpriced } = state as PricerState
    const { prices, clock } = this.#deps
    this.#totals.load(totals)
    this.#seen.load(seen)
    this.#watch.load(watch)
    this.#calls.load(calls ?? '')
    if (pairing) this.#pairing.load(pairing)
    const now = clock.now()
    this.#unpriced.load(
      unpriced ?? [],
      (model, provider) => prices.tokens('input', 'text', 1, model, provider, now) !== null,
    )
  }

  replay(batch: Batch): void {
    this.#totals.replay(batch, false)
    const builder = new BatchBuilder(this.#deps.table, this.#limits, this.#deps.clock.now(), 1)
    const fresh = new Set<string>()
    this.#pairing.begin()
    for (const row of batch.costs) {
      if (!this.#replayed(row, fresh)) continue
      for (const metric of metricsOf(row)) {
        const ref = this.#refOf(metric, row, builder)
        if (ref >= 0 && row.attributes?.['counted'] !== 'no') this.#totals.replayAdd(ref, row.usd)
      }
    }
    const { increases, commit } = this.#watch.look(batch)
    for (const increase of increases) this.#bill.leftOf(increase)
    commit()
    this.#pairing.commit()
  }

  /** Whether a row of the log is not in the state yet; takes what it says into the state. A log may replay what the checkpoint holds. */
  #replayed(row: CostRow, fresh: Set<string>): boolean {
    if (row.id.startsWith(counterId)) {
      const [, series = '', at = ''] = row.id.split(':')
      const ref = this.#deps.table.refOf(BigInt(`0x${series}`))
      return ref === undefined || this.#watch.lastAt(ref) < Number(at)
    }
    if (row.id.startsWith(backId)) return fresh.has(row.id.split(':').slice(1, 3).join(':'))
    if (row.id.startsWith(spanId)) {
      if (this.#calls.has(row.id)) return false
      this.#calls.add(row.id)
      fresh.add(row.id.slice(spanId.length))
      this.#bill.pair(row)
      return true
    }
    if (this.#seen.has(row.id)) return false
    this.#seen.add(row.id)
    return true
  }
}

const failedToo = [costMetric, failedMetric]
const onlyCost = [costMetric]
const metricsOf = (row: CostRow): readonly string[] =>
  row.attributes?.['outcome'] === 'error' ? failedToo : onlyCost

/**
 * A sink before `sink`. Every row in `batch.costs` counts once by its id and raises `airboss_cost_usd_total`; every call of a model among the
 * batch's spans (`model-call.ts`) and every increase of a token counter (`pricer-tokens.ts`) that no span has said becomes such a row
 * (`pairing.ts`). The counter is the highest the sum of rows has been: a correction (cached tokens that arrive after the input they are part
 * of) is worked off before it rises again. A token counter's first sample is its baseline while Airboss is new (`settle`, 5 min); later a
 * counter never seen before is taken as begun since, and counts from zero.
 */
export const createPricer = (deps: PricerDeps): PricerService => new Pricer(deps)
