// Opens the store: its tables brought up to date and its series known. Until then nothing is written to it, and nothing read in part.
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, second } from '../lib/time.ts'
import type { MetadataTable } from '../model/metadata-table.ts'
import type { BatchWriter } from '../model/ports/batch-writer.ts'
import type { SeriesIndex } from '../model/ports/series-index.ts'
import type { SeriesReader } from '../model/ports/series-reader.ts'
import type { Store } from '../store/store.ts'

interface StoreOpeningDeps {
  readonly store: Pick<Store, 'migrate' | 'loadSeries' | 'loadMetadata' | 'writer' | 'reader' | 'exemplars'>
  readonly index: SeriesIndex & {
    readonly index: { add(ref: number, firstAt: number, lastAt: number): void }
  }
  readonly metadata: MetadataTable
  readonly clock: Clock
  readonly log: Logger
  readonly stop: AbortSignal
}

export interface StoreOpening {
  /** The store's writer and reader; all refuse `unavailable` until it is open. */
  readonly writer: BatchWriter
  readonly reader: SeriesReader
  readonly exemplars: Store['exemplars']
  /**
   * Tries until the store is open. Resolves true when that is so within `patience`, else false, and goes on trying. Throws `conflict` when the
   * store is not for this version.
   */
  start(patience: Duration): Promise<boolean>
  /** Calls `run` when the store is open, at once if it is. */
  whenOpen(run: () => void): void
}

const tryEvery = duration(200)
const tryLaterEvery = second
/** Millions of series take a while to be read. */
const openWithin = duration(300_000)

const closed = (): AppError =>
  new AppError(
    'unavailable',
    'the store has not answered since the start: only recent data can be read until it does',
    { retryable: true, retryAfter: 5000 },
  )

export const createStoreOpening = (deps: StoreOpeningDeps): StoreOpening => {
  const { store, index, metadata, clock, log, stop } = deps
  let open = false
  let late = false
  const waiting: (() => void)[] = []

  const once = async (): Promise<void> => {
    const signal = clock.timeout(openWithin, stop)
    await store.migrate(signal)
    await store.loadSeries((ref, firstAt, lastAt) => index.index.add(ref, firstAt, lastAt), signal)
    // What senders have said since the start is newer than what is stored.
    const known = await store.loadMetadata(signal)
    metadata.learn(known.filter(({ metric }) => metadata.get(metric) === undefined))
    open = true
    for (const run of waiting.splice(0)) run()
  }

  const opened = async (): Promise<void> => {
    let said = false
    for (;;) {
      try {
        await once()
        if (late) log.info('the store is open')
        return
      } catch (error) {
        stop.throwIfAborted()
        if (error instanceof AppError && error.code === 'conflict') throw error
        if (late && !said) {
          log.error({ err: error }, 'the store does not answer; paging and recent data go on without it')
          said = true
        }
        await clock.sleep(late ? tryLaterEvery : tryEvery, stop)
      }
    }
  }

  return {
    writer: {
      write: (batch, token, signal) =>
        open ? store.writer.write(batch, token, signal) : Promise.reject(closed()),
    },
    reader: {
      read: async function* (plan, signal) {
        if (!open) throw closed()
        yield* store.reader.read(plan, signal)
      },
    },
    exemplars: (query, each, signal) =>
      open ? store.exemplars(query, each, signal) : Promise.reject(closed()),
    start: async (patience) => {
      const work = opened().then(() => true)
      const enough = new AbortController()
      const waited = clock.sleep(patience, AbortSignal.any([stop, enough.signal])).then(() => false)
      try {
        const inTime = await Promise.race([work, waited])
        late = !inTime
        return inTime
      } finally {
        enough.abort()
        waited.catch(() => undefined)
        work.catch((error: unknown) => {
          if (late && !stop.aborted) log.error({ err: error }, 'the store is not used')
        })
      }
    },
    whenOpen: (run) => {
      if (open) run()
      else waiting.push(run)
    },
  }
}
