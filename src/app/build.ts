// THE RIVER ON ONE PAGE: every stage is made here and handed the next one.
import { join } from 'node:path'
import { openLedger } from '../ledger/ledger.ts'
import type { Logger } from '../lib/log.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Service } from '../model/ports/service.ts'
import { createQuerier } from '../query/querier.ts'
import type { Flags, Settings } from './config.ts'
import type { Context } from './context.ts'
import { lockData } from './data-lock.ts'
import { externalURLOf } from './external-url.ts'
import { makeContext } from './make-context.ts'
import { createReload } from './reload.ts'
import { tracedQuerier, tracedSink } from './traced.ts'
import { wireAccess } from './wire-access.ts'
import { wireAct } from './wire-act.ts'
import { wireKeep } from './wire-keep.ts'
import { wireKubernetes } from './wire-kubernetes.ts'
import { wireMoney } from './wire-money.ts'
import { later, wireProducers } from './wire-producers.ts'
import { wireReceive } from './wire-receive.ts'
import { type Addresses, wireShow } from './wire-show.ts'
import { wireTell } from './wire-tell.ts'

export interface Airboss {
  readonly addresses: Addresses
  /** Puts the configuration on disk in force; throws `bad_data` and changes nothing when it is wrong. */
  reload(): Promise<void>
  /** Ends everything in order; what was accepted is safe. */
  stop(): Promise<void>
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
  const { clock, metrics, tracing } = context
  const { dataDir } = settings
  const named = (room: string) => ({ clock, metrics, log: log.child({ room }) })

  // receive ─▶ count, price ─▶ keep
  const kept = later()
  const producers = wireProducers(context, kept)
  const { pricer, events, newSpans } = producers
  const keep = wireKeep(context, newSpans, producers.states)
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
  const kubernetes = wireKubernetes(settings)
  const act = wireAct(context, { ...parts, alerts: tell.alertSink, kubernetes })
  const receive = wireReceive(context, {
    ...producers,
    sink: pricer,
    knownCosts: (ids, signal) => keep.store.money.known(ids, signal),
    alerts: tell.alerts,
    authenticate: access.grpc,
    kubernetes,
  })

  // show
  const reload = createReload({ context, flags, tell, receive, act })
  const { costs, machines } = wireMoney(context, { keep, querier, pricer })
  const show = wireShow(context, { keep, ledger, querier, tell, act, receive, events, access, reload, costs })
  bound = () => show.addresses().http

  const services: Service[] = [ledger, keep, ...producers.services, machines, tell, act, receive, show]
  const stop = async (): Promise<void> => {
    await drainAll(services, log)
    await kubernetes?.close()
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
