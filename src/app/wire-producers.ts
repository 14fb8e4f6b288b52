// Count: what turns spans, tokens, events and deltas into series and dollars, and keeps its state with the log.
import type { Batch } from '../model/batch.ts'
import { isWantedAttribute } from '../model/gen-ai-attributes.ts'
import { NewSpans } from '../model/new-spans.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { Wanted } from '../model/span-rows.ts'
import { createInclusive } from '../money/inclusive.ts'
import { isCostAttribute } from '../money/model-call.ts'
import { createPricer } from '../money/pricer.ts'
import { createPrices, type Prices } from '../money/prices.ts'
import { createEvents } from '../receive/events/receiver.ts'
import { DeltaState } from '../receive/otlp/delta.ts'
import { SpanMetrics, wantedBySpanMetrics } from '../receive/span-metrics/span-metrics.ts'
import { StatsdState } from '../receive/statsd/state.ts'
import type { Context } from './context.ts'

export interface Producers {
  readonly prices: Prices
  readonly pricer: ReturnType<typeof createPricer>
  readonly events: ReturnType<typeof createEvents>
  readonly delta: DeltaState
  readonly statsdState: StatsdState
  readonly newSpans: NewSpans
  /** Which attributes of spans are reckoned with. */
  readonly wanted: Wanted
  /** For the log: whose state it keeps. */
  readonly states: readonly Producer[]
  readonly services: readonly Service[]
}

/** A sink that exists before what it leads to: producers must be known to the log, and push into it. */
export const later = (): Sink<Batch> & { to: (sink: Sink<Batch>) => void } => {
  let next: Sink<Batch> | undefined
  return {
    push: (batch, signal) => next!.push(batch, signal),
    to: (sink) => {
      next = sink
    },
  }
}

/** Which attributes of spans are reckoned with: each who reckons adds its own. */
const wantedOfSpans = ({ settings }: Context): Wanted => {
  const byMetrics = wantedBySpanMetrics(settings.config.otlp.traces.metrics)
  return (key) => byMetrics(key) || isWantedAttribute(key) || isCostAttribute(key)
}

const makeNewSpans = (context: Context): NewSpans => {
  const { settings, clock, metrics } = context
  const { dedup_window: window, dedup_spans: most } = settings.config.otlp.traces
  return new NewSpans({ window, most, wanted: wantedOfSpans(context), clock, metrics })
}

/** Metrics made of spans, where they are wanted. */
const makeSpanMetrics = (context: Context, newSpans: NewSpans, sink: Sink<Batch>): SpanMetrics[] => {
  const { settings, table, limits, clock, metrics } = context
  const config = settings.config.otlp.traces.metrics
  if (!config.enabled) return []
  const fresh = (batch: Batch) => newSpans.of(batch)
  const log = context.log.child({ room: 'receive' })
  return [
    new SpanMetrics({
      config,
      table,
      sink,
      limits: { ...limits, protocol: 'traces' },
      fresh,
      clock,
      log,
      metrics,
    }),
  ]
}

/** `kept`: where batches go that need no more counting. */
export const wireProducers = (context: Context, kept: Sink<Batch>): Producers => {
  const { settings, table, limits, clock, metrics, log } = context
  const { config, priceMaps } = settings
  const named = (room: string) => ({ clock, metrics, table, log: log.child({ room }) })
  const prices = createPrices(config.prices, priceMaps)
  const pricer = createPricer({ ...named('money'), sink: kept, prices, limits })
  const events = createEvents({ ...named('receive'), config: config.events, sink: pricer, limits })
  const delta = new DeltaState({ table })
  const statsdState = new StatsdState(table)
  const newSpans = makeNewSpans(context)
  const inclusive = createInclusive({ ...named('money'), sink: kept, fresh: (b) => newSpans.of(b), limits })
  const spanMetrics = makeSpanMetrics(context, newSpans, kept)
  return {
    prices,
    pricer,
    events,
    delta,
    statsdState,
    newSpans,
    wanted: wantedOfSpans(context),
    states: [pricer, inclusive, events, delta, statsdState, ...spanMetrics],
    services: [pricer, inclusive, events, ...spanMetrics],
  }
}
