// The one way to ClickHouse: @clickhouse/client over HTTP with bounded waits, and its failures as our errors.
import { Readable } from 'node:stream'
import {
  type ClickHouseClient,
  ClickHouseError,
  ClickHouseLogLevel,
  type ClickHouseSettings,
  createClient,
} from '@clickhouse/client'
import type { Clock, Timer } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { type Duration, duration } from '../lib/time.ts'

export type Settings = Readonly<Record<string, string | number | boolean>>

export interface ConnectionOptions {
  /** Null while there is no server to talk to; may change when an embedded engine starts again. */
  readonly url: () => string | null
  readonly user: () => string
  readonly password: () => string
  readonly database: string
  readonly clock: Clock
  /** Settings every statement carries. */
  readonly settings?: Settings
}

export interface CallOptions {
  readonly signal: AbortSignal
  /** How long the answer's head may take. */
  readonly within?: Duration
  readonly settings?: Settings
  readonly params?: Readonly<Record<string, unknown>>
  /** Names the query on the server, so that it can be killed. */
  readonly queryId?: string
  /** Leave the database out: for statements that make it. */
  readonly bare?: boolean
}

/** Codes that mean rows as they are can never be stored: unparsable, out of range, too large. */
const badRows = new Set([6, 26, 27, 33, 38, 41, 53, 69, 70, 72, 117, 128, 131, 321, 349, 407])
const limits = new Set([158, 241, 307, 396])

const codeOf = (error: unknown): number | null =>
  error instanceof ClickHouseError ? Number(error.code) : null

/** What went wrong with a read. */
export const readError = (error: unknown): AppError => {
  if (error instanceof AppError) return error
  const code = codeOf(error)
  const said = `ClickHouse: ${messageOf(error).slice(0, 1000)}`
  if (code === null || code === 202 || code === 210)
    return new AppError('unavailable', said, { cause: error, retryable: true })
  if (code === 159) return new AppError('timeout', said, { cause: error })
  if (code === 394) return new AppError('canceled', said, { cause: error })
  if (limits.has(code)) return new AppError('limit_exceeded', said, { cause: error })
  return new AppError('execution', said, { cause: error })
}

/** What went wrong with a write: `bad_data` where the rows themselves are at fault, else `unavailable`, to be tried again. */
export const writeError = (error: unknown): AppError => {
  if (error instanceof AppError) return error
  const code = codeOf(error)
  const said = `ClickHouse: ${messageOf(error).slice(0, 1000)}`
  if (code !== null && badRows.has(code)) return new AppError('bad_data', said, { cause: error })
  return new AppError('unavailable', said, { cause: error, retryable: true })
}

const away = (): AppError =>
  new AppError('unavailable', 'the store does not answer; it is asked again as soon as it does', {
    retryable: true,
  })

const late = (): AppError =>
  new AppError('unavailable', 'the store did not answer in time', { retryable: true })

/** How often a call looks whether the server it waits for is still there. */
const lookEvery = duration(250)

export class Connection {
  readonly database: string
  readonly clock: Clock
  readonly #options: ConnectionOptions
  #client: ClickHouseClient | null = null
  #clientFor = ''

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.database = options.database
    this.clock = options.clock
  }

  #clientAt(url: string): ClickHouseClient {
    const { user, password } = this.#options
    const key = `${url}\0${user()}\0${password()}`
    if (this.#client && this.#clientFor === key) return this.#client
    void this.#client?.close().catch(() => undefined)
    this.#clientFor = key
    this.#client = createClient({
      url,
      username: user(),
      password: password(),
      request_timeout: 600_000,
      max_open_connections: 32,
      // Ours are logged where the story ends.
      log: { level: ClickHouseLogLevel.OFF },
      keep_alive: { enabled: true, idle_socket_ttl: 2500 },
    })
    return this.#client
  }

  /** Runs `call` with a signal that ends with the caller's, after `within`, or when the server it was sent to has gone. */
  async #bounded<T>(
    options: CallOptions,
    call: (client: ClickHouseClient, signal: AbortSignal) => Promise<T>,
  ): Promise<{ result: T; done: () => void }> {
    const url = this.#options.url()
    if (url === null) throw away()
    options.signal.throwIfAborted()
    const stop = new AbortController()
    const { clock } = this.#options
    const deadline = clock.monotonic() + (options.within ?? 30_000)
    let waiting = true
    let timer: Timer
    const look = (): void => {
      if (this.#options.url() !== url) stop.abort(away())
      else if (waiting && clock.monotonic() >= deadline) stop.abort(late())
      else timer = clock.after(lookEvery, look)
    }
    timer = clock.after(lookEvery, look)
    const leave = (): void => stop.abort(options.signal.reason)
    options.signal.addEventListener('abort', leave, { once: true })
    const done = (): void => {
      timer.cancel()
      options.signal.removeEventListener('abort', leave)
    }
    try {
      const result = await call(this.#clientAt(url), stop.signal)
      waiting = false
      return { result, done }
    } catch (error) {
      done()
      // An abort of ours says why itself; a caller's own abort goes back as it came.
      if (stop.signal.aborted) throw stop.signal.reason
      throw error
    }
  }

  #common(options: CallOptions): {
    clickhouse_settings: ClickHouseSettings
    query_params?: Record<string, unknown>
    query_id?: string
  } {
    const database = options.bare ? {} : { database: this.database }
    return {
      clickhouse_settings: {
        ...this.#options.settings,
        ...options.settings,
        ...database,
      } as ClickHouseSettings,
      ...(options.params ? { query_params: { ...options.params } } : {}),
      ...(options.queryId ? { query_id: options.queryId } : {}),
    }
  }

  /** A statement without an answer. Throws what the client throws. */
  async command(query: string, options: CallOptions): Promise<void> {
    const { done } = await this.#bounded(options, (client, abort_signal) =>
      client.command({ query, abort_signal, ...this.#common(options) }),
    )
    done()
  }

  /** Rows as objects; 64-bit integers as text. For small answers. */
  async rows<T>(query: string, options: CallOptions): Promise<T[]> {
    const { result, done } = await this.#bounded(options, async (client, abort_signal) => {
      const set = await client.query({ query, format: 'JSONEachRow', abort_signal, ...this.#common(options) })
      return await set.json<T>()
    })
    done()
    return result
  }

  /** An answer in a binary format (named in the statement) as it comes. */
  async *bytes(query: string, options: CallOptions): AsyncGenerator<Buffer> {
    let body: Readable | undefined
    const { result, done } = await this.#bounded(options, async (client, abort_signal) => {
      const answer = await client.exec({ query, abort_signal, ...this.#common(options) })
      body = answer.stream as Readable
      abort_signal.addEventListener('abort', () => body?.destroy(abort_signal.reason as Error), {
        once: true,
      })
      return answer
    })
    try {
      yield* result.stream as AsyncIterable<Buffer>
    } finally {
      done()
      body?.destroy()
    }
  }

  /** An INSERT whose data are `parts`, in the format the statement names. */
  async insert(query: string, parts: readonly Uint8Array[], options: CallOptions): Promise<void> {
    const values = Readable.from(parts, { objectMode: false })
    const { result, done } = await this.#bounded(options, (client, abort_signal) =>
      client.exec({ query, values, abort_signal, ...this.#common(options) }),
    )
    done()
    for await (const _ of result.stream as AsyncIterable<Buffer>) {
      // An insert answers with nothing; the socket is free once that has been read.
    }
  }

  async ping(options: CallOptions): Promise<void> {
    await this.rows('SELECT 1', { ...options, bare: true })
  }

  async close(): Promise<void> {
    await this.#client?.close()
    this.#client = null
  }
}
