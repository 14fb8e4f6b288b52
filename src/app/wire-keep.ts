// Keep: the write-ahead log, the head, the engine or server behind them, and the ledger's copy there.
import { join } from 'node:path'
import { createAdmission } from '../head/admission.ts'
import { createExemplars, type Exemplars } from '../head/exemplars.ts'
import { createHead, type Head } from '../head/head.ts'
import { createWholeReader } from '../head/whole-reader.ts'
import type { OpenLedger } from '../ledger/ledger.ts'
import { every } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { type Duration, duration, type Instant, second } from '../lib/time.ts'
import type { Batch } from '../model/batch.ts'
import type { MetadataTable } from '../model/metadata-table.ts'
import type { NewSpans } from '../model/new-spans.ts'
import type { Producer } from '../model/ports/producer.ts'
import type { SeriesIndex } from '../model/ports/series-index.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Service } from '../model/ports/service.ts'
import type { Sink } from '../model/ports/sink.ts'
import { createEngine, type Engine } from '../store/engine/supervisor.ts'
import { openLog } from '../store/log.ts'
import type { WriteLog } from '../store/log-options.ts'
import { createStore, type Store } from '../store/store.ts'
import type { Context } from './context.ts'
import { createStoreOpening, type StoreOpening } from './store-opening.ts'

export interface Keep extends Service {
  /** Batches go in here: what the head has already is dropped, the rest is safe on disk when `push` resolves. */
  readonly sink: Sink<Batch>
  readonly reader: SeriesReader
  readonly head: Head
  readonly exemplars: Exemplars
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

/** How long a start waits for a store before it goes on without: an engine of one's own takes a moment to come up. */
const enginePatience = duration(30_000)
const serverPatience = duration(5000)
const engineAgain = duration(5000)
const refillWithin = duration(30_000)
const trimEvery = duration(30_000)
const askEvery = duration(5000)
const copyAtOnce = 1000

/** The store that the configuration names, and the engine behind it where that is embedded. */
export const makeStore = (
  { settings, clock, log, metrics, table }: Pick<Context, 'settings' | 'clock' | 'log' | 'metrics' | 'table'>,
  index: SeriesIndex,
): { engine: Engine | null; store: Store } => {
  const { storage } = settings.config
  const remote = storage.clickhouse
  const common = {
    table,
    index,
    clock,
    log: log.child({ room: 'store' }),
    metrics,
    retention: storage.retention,
    lateBy: storage.out_of_order_time_window + storage.max_ahead,
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

/**
 * Starts the engine; one that cannot be started is tried again and again, beside everything else. Resolves when it is up, when it was
 * tried in vain, or with `patience` at the latest.
 */
const startEngine = async (
  { clock, log, stop }: Context,
  engine: Engine,
  patience: Duration,
): Promise<void> => {
  const attempt = async (): Promise<void> => {
    try {
      await engine.start()
    } catch (error) {
      if (stop.aborted) return
      log.error({ err: error }, 'the embedded engine does not start; paging and recent data go on without it')
      clock.after(engineAgain, () => void attempt())
    }
  }
  const enough = new AbortController()
  await Promise.race([attempt(), clock.sleep(patience, enough.signal).catch(() => undefined)])
  enough.abort()
}

/** Opens the store if it answers, brings back what the log holds, and fills the head; then keeps the head trimmed. */
const begin = async (
  context: Context,
  parts: { head: Head; exemplars: Exemplars; store: Store; opening: StoreOpening; log: WriteLog },
  patience: Duration,
): Promise<void> => {
  const { clock, stop } = context
  const { head, store, opening, log } = parts
  const ready = await opening.start(patience)
  await log.start()
  head.coverFrom(log.heldFromAt())
  parts.exemplars.coverFrom(log.heldFromAt())
  const refill = (): Promise<void> =>
    head.refill(store.reader, clock.timeout(refillWithin, stop)).catch((error: unknown) => {
      context.log.warn({ err: error }, 'recent data not refilled; queries read it from the store')
    })
  if (ready) await refill()
  else opening.whenOpen(() => void refill())
  const failed = (error: unknown): void => context.log.error({ err: error }, 'upkeep failed')
  every(clock, trimEvery, (now) => head.trim(now), { signal: stop, failed })
  gauges(context, log)
}

/** Figures that the shipped rules compare: how full the log and the table of series are. */
const gauges = (context: Context, log: WriteLog): void => {
  const { settings, clock, log: said, metrics, table, cardinality, stop } = context
  const { storage } = settings.config
  const bytes = metrics.gauge('airboss_log_bytes', 'Bytes of the write-ahead log on disk.')
  const pending = metrics.gauge('airboss_log_pending_rows', 'Rows accepted and not yet in ClickHouse.')
  const series = metrics.gauge('airboss_series', 'Series known.')
  const active = metrics.gauge('airboss_active_series', 'Series with samples in memory, or on their way.')
  metrics.gauge('airboss_log_max_bytes', 'Most bytes the write-ahead log may take.').set(storage.log.max_size)
  metrics.gauge('airboss_series_limit', 'Most series that are taken.').set(storage.max_series)
  let told = false
  const look = (): void => {
    const stats = log.stats()
    bytes.set(stats.bytes)
    pending.set(stats.pendingRows)
    series.set(table.size)
    active.set(cardinality.active)
    if (table.size < storage.max_series || told) return
    told = true
    said.error(
      { limit: storage.max_series },
      'the limit of series is reached: new ones are refused; raise storage.max_series or send fewer label values',
    )
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

/** Only what is new about a metric goes on to be stored; it is known once it is safe on disk. */
const learning = (metadata: MetadataTable, sink: Sink<Batch>): Sink<Batch> => ({
  push: async (batch, signal) => {
    if (batch.metadata.length === 0) return sink.push(batch, signal)
    const news = metadata.news(batch.metadata)
    await sink.push({ ...batch, metadata: news }, signal)
    metadata.learn(news)
  },
})

const makeHead = ({ settings, table, clock, metrics, cardinality: active }: Context): Head => {
  const { window, max_size: maxBytes } = settings.config.storage.head
  return createHead({ table, window, maxBytes, clock, metrics, active })
}

const openingOf = (context: Context, store: Store, index: Head): StoreOpening => {
  const { metadata, clock, log, stop } = context
  return createStoreOpening({ store, index, metadata, clock, log, stop })
}

const makeExemplars = (
  { settings, table, metrics }: Context,
  index: Head,
  opening: StoreOpening,
): Exemplars =>
  createExemplars({
    most: settings.config.storage.exemplars.max,
    table,
    index,
    store: opening.exemplars,
    metrics,
  })

/** What the head has already goes no further. */
const admitting = ({ metrics }: Context, head: Head, exemplars: Exemplars, log: WriteLog): Sink<Batch> => {
  const admission = createAdmission({ known: head, sink: log, metrics })
  return { push: (batch, signal) => admission.push(exemplars.admit(batch), signal) }
}

export const wireKeep = (whole: Context, newSpans: NewSpans, producers: readonly Producer[]): Keep => {
  const leaving = new AbortController()
  const context: Context = { ...whole, stop: AbortSignal.any([whole.stop, leaving.signal]) }
  const { settings, clock, metrics, table, metadata } = context
  const { storage } = settings.config
  const head = makeHead(context)
  const { engine, store } = makeStore(context, head)
  const opening = openingOf(context, store, head)
  const exemplars = makeExemplars(context, head, opening)
  const take = (batch: Batch): void => {
    head.append(batch)
    exemplars.append(batch)
    newSpans.of(batch)
  }
  let newestAt: Instant | null = null
  let storeError = ''
  const log = openLog({
    dir: join(settings.dataDir, 'log'),
    table,
    writer: opening.writer,
    producers,
    maxBytes: storage.log.max_size,
    clock,
    log: context.log.child({ room: 'log' }),
    metrics,
    accepted: (batch) => {
      newestAt = clock.now()
      take(batch)
    },
    replayed: (batch) => {
      metadata.learn(batch.metadata)
      take(batch)
    },
  })
  const sink = learning(metadata, admitting(context, head, exemplars, log))

  return {
    sink,
    head,
    exemplars,
    store,
    engine,
    reader: createWholeReader({ head, store: opening.reader, pending: () => log.pending() }),
    log: () => log,
    newestAt: () => newestAt,
    // Asked every few seconds only: of its own engine it is known at once.
    storeError: () => (engine && engine.url() === null ? 'the embedded engine does not answer' : storeError),
    copy: (ledger) => copyLedger(context, store, ledger),
    start: async () => {
      if (engine) await startEngine(context, engine, enginePatience)
      await begin(
        context,
        { head, exemplars, store, opening, log },
        engine?.url() ? enginePatience : serverPatience,
      )
      storeError = await watchStore(context, store, (why) => {
        storeError = why
      })
    },
    drain: async () => {
      leaving.abort(new AppError('canceled', 'the store is left'))
      await log.drain()
      await store.close()
      await engine?.drain()
    },
  }
}
