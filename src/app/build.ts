// THE RIVER ON ONE PAGE: every stage is made here and handed the next one.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { openLedger } from '../ledger/ledger.ts'
import { systemClock } from '../lib/clock.ts'
import { createHttp } from '../lib/http.ts'
import type { Logger } from '../lib/log.ts'
import type { Batch } from '../model/batch.ts'
import { defaultAdmission } from '../model/batch-builder.ts'
import { MetadataTable } from '../model/metadata-table.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { SeriesTable } from '../model/series.ts'
import { createPricer } from '../money/pricer.ts'
import { createPrices } from '../money/prices.ts'
import { createQuerier } from '../query/querier.ts'
import { createEvents } from '../receive/events/receiver.ts'
import { DeltaState } from '../receive/otlp/delta.ts'
import type { Flags, Settings } from './config.ts'
import type { Context } from './context.ts'
import { lockData } from './data-lock.ts'
import { createOwnMetrics } from './own-metrics.ts'
import { createReload } from './reload.ts'
import { wireAccess } from './wire-access.ts'
import { wireAct } from './wire-act.ts'
import { wireKeep } from './wire-keep.ts'
import { wireReceive } from './wire-receive.ts'
import { wireShow } from './wire-show.ts'
import { wireTell } from './wire-tell.ts'

export interface Addresses {
  readonly http: string
  readonly otlpHttp: string
  readonly otlpGrpc: string
  readonly clickhouse: string
}

export interface Airboss {
  readonly addresses: Addresses
  /** Puts the configuration on disk in force; throws `bad_data` and changes nothing when it is wrong. */
  reload(): Promise<void>
  /** Ends everything in order; what was accepted is safe. */
  stop(): Promise<void>
}

const makeContext = (settings: Settings, log: Logger, stop: AbortSignal): Context => {
  const { storage, listen } = settings.config
  const clock = systemClock
  return {
    settings,
    clock,
    log,
    metrics: createOwnMetrics(),
    send: createHttp().send,
    table: new SeriesTable(storage.max_series),
    metadata: new MetadataTable(),
    limits: {
      ...defaultAdmission,
      maxAge: storage.out_of_order_time_window,
      maxAhead: storage.max_ahead,
      labels: storage.max_labels,
    },
    startedAt: clock.now(),
    externalURL: () => listen.external_url ?? `http://${listen.http}`,
    stop,
  }
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

/** Makes every stage, starts them from the disk upwards, and says where they listen. */
export const build = async (settings: Settings, flags: Flags, log: Logger): Promise<Airboss> => {
  const life = new AbortController()
  const context = makeContext(settings, log, life.signal)
  const { clock, metrics, table, limits } = context
  const { config, dataDir } = settings
  mkdirSync(dataDir, { recursive: true })
  const lock = await lockData(dataDir)

  // keep ◀─ price ◀─ receive
  const kept = later()
  const prices = createPrices(config.prices)
  const pricer = createPricer({
    sink: kept,
    table,
    prices,
    clock,
    metrics,
    limits,
    log: log.child({ room: 'money' }),
  })
  const events = createEvents({
    config: config.events,
    table,
    sink: pricer,
    limits,
    clock,
    metrics,
    log: log.child({ room: 'receive' }),
  })
  const delta = new DeltaState({ table })
  const producers: Producer[] = [pricer, events, delta]
  const ledger = openLedger({
    dir: join(dataDir, 'ledger'),
    clock,
    log: log.child({ room: 'ledger' }),
    metrics,
  })
  const keep = await wireKeep(context, producers)
  kept.to(keep.sink)

  // ask
  const { query, global } = config
  const querier = createQuerier({
    reader: keep.reader,
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

  // tell, act, show
  await ledger.start()
  const parts = { querier, sink: keep.sink, ledger }
  const access = wireAccess(context, ledger)
  const tell = await wireTell(context, parts)
  const act = wireAct(context, parts)
  const receive = wireReceive(context, { sink: pricer, prices, delta, authenticate: access.grpc })
  const reload = createReload({ context, flags, tell, receive, act })
  const show = wireShow(context, { keep, ledger, querier, tell, act, receive, events, access, reload })

  const services: Service[] = [keep, pricer, events, tell, act, receive, show]
  for (const service of services) await service.start()
  keep.copy(ledger)
  return {
    addresses: show.addresses(),
    reload: () => reload.now(),
    stop: async () => {
      for (const service of [...services].reverse()) {
        await service
          .drain()
          .catch((error: unknown) => log.error({ err: error }, 'stage did not end cleanly'))
      }
      await ledger.drain()
      life.abort(new Error('stopping'))
      lock.release()
    },
  }
}
