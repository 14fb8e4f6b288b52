// Keep: the write-ahead log, the head, the engine or server behind them, and the ledger's copy there.
import { join } from 'node:path'
import { createAdmission } from '../head/admission.ts'
import { createHead, type Head } from '../head/head.ts'
import { createWholeReader } from '../head/whole-reader.ts'
import type { OpenLedger } from '../ledger/ledger.ts'
import { every } from '../lib/clock.ts'
import { messageOf } from '../lib/errors.ts'
import { duration, type Instant, second } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { createEngine, type Engine } from '../store/engine/supervisor.ts'
import { openLog } from '../store/log.ts'
import type { WriteLog } from '../store/log-options.ts'
import { createStore, type Store } from '../store/store.ts'
import type { Context } from './context.ts'

export interface Keep extends Service {
  /** Batches go in here: what the head has already is dropped, the rest is safe on disk when `push` resolves. */
  readonly sink: Sink<Batch>
  readonly reader: SeriesReader
  readonly head: Head
  readonly store: Store
  /** Null where a ClickHouse server is used. */
  readonly engine: Engine | null
  readonly log: () => WriteLog
  /** When the newest batch was accepted. */
  readonly newestAt: () => Instant | null
  /** Why the store does not answer; '' while it does. */
  readonly storeError: () => string
  /** Begins the copy of the ledger into ClickHouse. */
  readonly copy: (ledger: OpenLedger) => void
}

const startPatience = duration(30_000)
const trimEvery = duration(30_000)
const askEvery = duration(5000)
const copyAtOnce = 1000

const makeStore = (context: Context, head: Head): { engine: Engine | null; store: Store } => {
  const { settings, clock, log, metrics, table } = context
  const { storage } = settings.config
  const remote = storage.clickhouse
  const common = {
    table,
    index: head,
    clock,
    log: log.child({ room: 'store' }),
    metrics,
    retention: storage.retention,
  }
  if (remote) {
    const credentials = { user: remote.user, password: remote.password }
    return {
      engine: null,
      store: createStore({
        ...common,
        url: () => remote.url,
        credentials,
        database: remote.database,
        cluster: remote.cluster,
      }),
    }
  }
  const engine = createEngine({
    dir: join(settings.dataDir, 'engine'),
    memoryBytes: storage.engine.memory_bytes,
    readers: storage.engine.readers,
    threads: storage.engine.threads,
    clock,
    log: log.child({ room: 'engine' }),
    metrics,
  })
  return {
    engine,
    store: createStore({
      ...common,
      url: () => engine.url(),
      credentials: engine.credentials,
      database: 'airboss',
    }),
  }
}

/** Brings the tables up and reads what series there are; true when done, false when the store does not answer in time. */
const openStore = async (context: Context, head: Head, store: Store): Promise<boolean> => {
  const { clock, log, metadata, stop } = context
  const patience = clock.timeout(startPatience, stop)
  for (;;) {
    try {
      await store.migrate(patience)
      await store.loadSeries(
        (ref, firstSeenAt, lastSeenAt) => head.index.add(ref, firstSeenAt, lastSeenAt),
        patience,
      )
      metadata.learn(await store.loadMetadata(patience))
      return true
    } catch (error) {
      if (patience.aborted) {
        log.error({ err: error }, 'the store does not answer; paging and recent data go on without it')
        return false
      }
      await clock.sleep(duration(200), stop)
    }
  }
}

const copyLedger = (context: Context, store: Store, ledger: OpenLedger): void => {
  const { clock, log, stop } = context
  let copiedTo: number | null = null
  const copy = async (): Promise<void> => {
    const signal = clock.timeout(duration(10_000), stop)
    copiedTo ??= await store.ledgerCopiedTo(signal)
    for (;;) {
      const versions = ledger.since(copiedTo, copyAtOnce)
      if (versions.length === 0) return
      await store.copyLedger(versions, signal)
      copiedTo = versions.at(-1)!.sequence
    }
  }
  every(clock, second, copy, {
    signal: stop,
    failed: (error) => log.debug({ err: error }, 'ledger not copied yet'),
  })
}

/** Opens the store if it answers, brings back what the log holds, and fills the head; then keeps the head trimmed. */
const begin = async (
  context: Context,
  { head, store, log }: { head: Head; store: Store; log: WriteLog },
): Promise<void> => {
  const { clock, stop } = context
  const ready = await openStore(context, head, store)
  await log.start()
  head.coverFrom(log.heldFromAt())
  if (ready) {
    await head.refill(store.reader, clock.timeout(startPatience, stop)).catch((error: unknown) => {
      context.log.warn({ err: error }, 'recent data not refilled; queries read it from the store')
    })
  }
  const failed = (error: unknown): void => context.log.error({ err: error }, 'upkeep failed')
  every(clock, trimEvery, (now) => head.trim(now), { signal: stop, failed })
  gauges(context, log)
}

/** Figures that the shipped rules compare: how full the log and the table of series are. */
const gauges = ({ settings, clock, log: said, metrics, table, stop }: Context, log: WriteLog): void => {
  const { storage } = settings.config
  const bytes = metrics.gauge('airboss_log_bytes', 'Bytes of the write-ahead log on disk.')
  const pending = metrics.gauge('airboss_log_pending_rows', 'Rows accepted and not yet in ClickHouse.')
  const series = metrics.gauge('airboss_series', 'Series known.')
  metrics.gauge('airboss_log_max_bytes', 'Most bytes the write-ahead log may take.').set(storage.log.max_size)
  metrics.gauge('airboss_series_limit', 'Most series that are taken.').set(storage.max_series)
  const look = (): void => {
    const stats = log.stats()
    bytes.set(stats.bytes)
    pending.set(stats.pendingRows)
    series.set(table.size)
  }
  look()
  every(clock, askEvery, look, {
    signal: stop,
    failed: (error) => said.error({ err: error }, 'gauges not set'),
  })
}

/** Asks every few seconds whether the store answers; the first answer is the result, later ones go to `said`. */
const watchStore = async (
  { clock, log, metrics, stop }: Context,
  store: Store,
  said: (why: string) => void,
): Promise<string> => {
  const up = metrics.gauge('airboss_engine_up', 'Whether ClickHouse answers.')
  const ask = async (): Promise<string> => {
    const why = await store.ping(stop).then(() => '', messageOf)
    up.set(why === '' ? 1 : 0)
    return why
  }
  every(clock, askEvery, async () => said(await ask()), {
    signal: stop,
    failed: (error) => log.error({ err: error }, 'store not asked'),
  })
  return ask()
}

export const wireKeep = (context: Context, producers: readonly Producer[]): Keep => {
  const { settings, clock, metrics, table, metadata } = context
  const { storage } = settings.config
  const head = createHead({
    table,
    window: storage.head.window,
    maxBytes: storage.head.max_size,
    clock,
    metrics,
  })
  const { engine, store } = makeStore(context, head)
  let newestAt: Instant | null = null
  let storeError = ''
  const log = openLog({
    dir: join(settings.dataDir, 'log'),
    table,
    writer: store.writer,
    producers,
    maxBytes: storage.log.max_size,
    clock,
    log: context.log.child({ room: 'log' }),
    metrics,
    accepted: (batch) => {
      newestAt = clock.now()
      head.append(batch)
    },
    replayed: (batch) => {
      metadata.learn(batch.metadata)
      head.append(batch)
    },
  })
  const admission = createAdmission({ known: head, sink: log, metrics })
  const sink: Sink<Batch> = {
    push: (batch, signal) => {
      if (batch.metadata.length === 0) return admission.push(batch, signal)
      return admission.push({ ...batch, metadata: metadata.learn(batch.metadata) }, signal)
    },
  }

  return {
    sink,
    head,
    store,
    engine,
    reader: createWholeReader({ head, store: store.reader, pending: () => log.pending() }),
    log: () => log,
    newestAt: () => newestAt,
    storeError: () => storeError,
    copy: (ledger) => copyLedger(context, store, ledger),
    start: async () => {
      await engine?.start()
      await begin(context, { head, store, log })
      storeError = await watchStore(context, store, (why) => {
        storeError = why
      })
    },
    drain: async () => {
      await log.drain()
      await store.close()
      await engine?.drain()
    },
  }
}
