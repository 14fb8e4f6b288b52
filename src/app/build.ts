// THE RIVER ON ONE PAGE: every stage is made here and handed the next one.
import { join } from 'node:path'
import { openLedger } from '../ledger/ledger.ts'
import { systemClock } from '../lib/clock.ts'
import { createHttp } from '../lib/http.ts'
import type { Logger } from '../lib/log.ts'
import type { Batch } from '../model/batch.ts'
import { defaultAdmission } from '../model/batch-builder.ts'
import { Cardinality } from '../model/cardinality.ts'
import { isWantedAttribute } from '../model/gen-ai-attributes.ts'
import { MetadataTable } from '../model/metadata-table.ts'
import { NewSpans } from '../model/new-spans.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { SeriesTable } from '../model/series.ts'
import type { Wanted } from '../model/span-rows.ts'
import { isCostAttribute } from '../money/model-call.ts'
import { createQuerier } from '../query/querier.ts'
import { createEvents } from '../receive/events/receiver.ts'
import { DeltaState } from '../receive/otlp/delta.ts'
import { SpanMetrics, wantedBySpanMetrics } from '../receive/span-metrics/span-metrics.ts'
import type { Flags, Settings } from './config.ts'
import type { Context } from './context.ts'
import { lockData } from './data-lock.ts'
import { externalURLOf } from './external-url.ts'
import { createOwnMetrics } from './own-metrics.ts'
import { version } from './package-root.ts'
import { createReload } from './reload.ts'
import { tracedQuerier, tracedSink } from './traced.ts'
import { createTracing } from './tracing.ts'
import { wireAccess } from './wire-access.ts'
import { wireAct } from './wire-act.ts'
import { wireKeep } from './wire-keep.ts'
import { wireMoney } from './wire-money.ts'
import { wireReceive } from './wire-receive.ts'
import { type Addresses, wireShow } from './wire-show.ts'
import { wireTell } from './wire-tell.ts'

/** Series beyond storage.max_series that Airboss may make of its own. */
const ownSeries = 10_000

export interface Airboss {
  readonly addresses: Addresses
  /** Puts the configuration on disk in force; throws `bad_data` and changes nothing when it is wrong. */
  reload(): Promise<void>
  /** Ends everything in order; what was accepted is safe. */
  stop(): Promise<void>
}

const makeCardinality = ({ config }: Settings, table: SeriesTable): Cardinality => {
  const { per_metric: perMetric, per_source: perSource, overrides } = config.storage.cardinality
  return new Cardinality(table, { perMetric, perSource, ...overrides })
}

const makeContext = (
  settings: Settings,
  log: Logger,
  stop: AbortSignal,
  externalURL: () => string,
): Context => {
  const { storage } = settings.config
  const clock = systemClock
  const metrics = createOwnMetrics()
  const table = new SeriesTable(storage.max_series, ownSeries)
  const cardinality = makeCardinality(settings, table)
  return {
    settings,
    clock,
    log,
    metrics,
    tracing: createTracing({
      config: settings.config.tracing,
      version,
      clock,
      log: log.child({ room: 'tracing' }),
      metrics,
    }),
    send: createHttp().send,
    table,
    cardinality,
    metadata: new MetadataTable(),
    limits: {
      ...defaultAdmission,
      maxAge: storage.out_of_order_time_window,
      maxAhead: storage.max_ahead,
      labels: storage.max_labels,
      cardinality,
    },
    startedAt: clock.now(),
    externalURL,
    stop,
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

/** A sink that exists before what it leads to: producers must be known to the log, and push into it. */
const later = (): Sink<Batch> & { to: (sink: Sink<Batch>) => void } => {
  let next: Sink<Batch> | undefined
  return {
    push: (batch, signal) => next!.push(batch, signal),
    to: (sink) => {
      next = sink
    },
  }
}

/** Starts from the disk upwards; what has started is ended again when a later stage cannot. */
const startAll = async (services: readonly Service[], log: Logger): Promise<void> => {
  for (const [i, service] of services.entries()) {
    try {
      await service.start()
    } catch (error) {
      await drainAll(services.slice(0, i + 1), log)
      throw error
    }
  }
}

/** Ends from the surface down to the disk; one that fails holds up no other. */
const drainAll = async (services: readonly Service[], log: Logger): Promise<void> => {
  for (const service of [...services].reverse()) {
    await service.drain().catch((error: unknown) => log.error({ err: error }, 'stage did not end cleanly'))
  }
}

const makeQuerier = ({ settings, clock, metrics, log }: Context, reader: SeriesReader): Querier => {
  const { query, global } = settings.config
  return createQuerier({
    reader,
    clock,
    limits: {
      timeout: query.timeout,
      series: query.max_series,
      samples: query.max_samples,
      concurrency: query.max_concurrency,
    },
    lookback: query.lookback_delta,
    subqueryStep: global.evaluation_interval,
    metrics,
    log: log.child({ room: 'query' }),
  })
}

/** Makes every stage, starts them from the disk upwards, and says where they listen. */
export const build = async (settings: Settings, flags: Flags, log: Logger): Promise<Airboss> => {
  const lock = await lockData(settings.dataDir)
  const life = new AbortController()
  let bound = (): string => ''
  const reachedBy = (): string => externalURLOf(settings.config.listen, bound())
  const context = makeContext(settings, log, life.signal, reachedBy)
  const { clock, metrics, table, limits, tracing } = context
  const { config, dataDir } = settings
  const named = (room: string) => ({ clock, metrics, log: log.child({ room }) })

  // receive ─▶ price ─▶ keep
  const kept = later()
  const newSpans = makeNewSpans(context)
  const money = wireMoney(context, newSpans, kept)
  const events = createEvents({ ...named('receive'), config: config.events, table, sink: money.sink, limits })
  const delta = new DeltaState({ table })
  const spanMetrics = makeSpanMetrics(context, newSpans, kept)
  const keep = wireKeep(context, newSpans, [...money.producers, events, delta, ...spanMetrics])
  const sink = tracing.wanted ? tracedSink(tracing, keep.sink) : keep.sink
  kept.to(sink)

  // ask ─▶ tell, act
  const ledger = openLedger({ ...named('ledger'), dir: join(dataDir, 'ledger') })
  await ledger.start()
  const plain = makeQuerier(context, keep.reader)
  const querier = tracing.wanted ? tracedQuerier(tracing, plain) : plain
  const parts = { querier, sink, ledger }
  const access = wireAccess(context)
  const tell = await wireTell(context, parts)
  const act = wireAct(context, { ...parts, alerts: tell.alertSink, machines: money.infrastructure(querier) })
  const wanted = wantedOfSpans(context)
  const receive = wireReceive(context, { money, keep, delta, newSpans, wanted, authenticate: access.grpc })

  // show
  const reload = createReload({ context, flags, tell, receive, act })
  const costs = money.reports(keep.store.money, querier)
  const show = wireShow(context, { keep, ledger, querier, tell, act, receive, events, access, reload, costs })
  bound = () => show.addresses().http

  const services: Service[] = [ledger, keep, money, events, ...spanMetrics, tell, act, receive, show]
  const stop = async (): Promise<void> => {
    await drainAll(services, log)
    await tracing.drain()
    life.abort(new Error('stopping'))
    lock.release()
  }
  await startAll(services, log)
  keep.copy(ledger)
  // Not waited for: being ready does not depend on it.
  void tracing.start()
  return { addresses: show.addresses(), reload: () => reload.now(), stop }
}
