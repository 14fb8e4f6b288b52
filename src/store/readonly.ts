// The read-only view of the store: the ClickHouse HTTP interface for Grafana's data source and any ClickHouse client.
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Service } from '../model/ports/service.ts'
import { failureOf } from './engine/errors.ts'
import { wholeBody } from './engine/request-body.ts'
import { SqlError } from './engine/tokens.ts'
import { checkedStatement, isFreeSetting } from './readonly-rules.ts'

export interface ReadOnlyDeps {
  readonly listen: { readonly host: string; readonly port: number }
  /** Null while the store is away: answers are 503 then. */
  readonly url: () => string | null
  readonly credentials: { readonly user: string; readonly password: string }
  readonly database: string
  readonly log: Logger
  readonly metrics: Metrics
  /** Whether a client with these credentials may look; everybody may when it is left out. */
  readonly admit?: (user: string, password: string) => boolean
  /** Statements at one time (2), and how many may wait (20). */
  readonly concurrency?: number
  readonly queue?: number
  /** Caps of one statement: seconds (60), bytes of memory (1 GiB), bytes of answer (256 MiB). */
  readonly caps?: { readonly seconds?: number; readonly memoryBytes?: number; readonly resultBytes?: number }
}

export interface ReadOnlyFront extends Service {
  address(): { host: string; port: number }
}

const maxQueryBytes = 1 << 20
const loopback = /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i
/** What passes to the store as it is. */
const passed = new Set([
  'query_id',
  'default_format',
  'enable_http_compression',
  'http_zlib_compression_level',
  'compress',
  'decompress',
  'wait_end_of_query',
  'buffer_size',
  'client_protocol_version',
])
/** What is ours to set, whatever the client says. */
const ignored = new Set([
  'query',
  'user',
  'password',
  'database',
  'readonly',
  'role',
  'quota_key',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'add_http_cors_header',
  'cancel_http_readonly_queries_on_client_close',
  'max_threads',
  'max_memory_usage',
  'max_result_bytes',
  'session_timeout',
  'session_check',
])

const credentialsIn = (headers: IncomingHttpHeaders, url: URLSearchParams): [string, string] => {
  const basic = /^Basic (.+)$/i.exec(headers.authorization ?? '')
  if (basic) {
    const [user = '', ...rest] = Buffer.from(basic[1]!, 'base64').toString().split(':')
    return [user, rest.join(':')]
  }
  return [
    String(headers['x-clickhouse-user'] ?? url.get('user') ?? 'default'),
    String(headers['x-clickhouse-key'] ?? url.get('password') ?? ''),
  ]
}

class Front implements ReadOnlyFront {
  readonly #deps: ReadOnlyDeps
  readonly #server: Server
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 8 })
  readonly #queries
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(deps: ReadOnlyDeps) {
    this.#deps = deps
    this.#free = deps.concurrency ?? 2
    this.#queries = deps.metrics.counter(
      'airboss_readonly_queries_total',
      'Queries through the read-only ClickHouse view',
      ['outcome'],
    )
    this.#server = createServer((request, response) => this.#handle(request, response))
  }

  start(): Promise<void> {
    const { host, port } = this.#deps.listen
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) =>
        reject(
          new AppError('unavailable', `cannot listen on ${host}:${port}: ${messageOf(error)}`, {
            cause: error,
          }),
        ),
      )
      this.#server.listen(port, host, () => resolve())
    })
  }

  async drain(): Promise<void> {
    if (!this.#server.listening) return
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeIdleConnections()
    // Only looking: nothing is lost when a query under way is cut.
    this.#server.closeAllConnections()
    await closed
    this.#agent.destroy()
  }

  address(): { host: string; port: number } {
    const bound = this.#server.address() as AddressInfo | null
    return { host: this.#deps.listen.host, port: bound?.port ?? this.#deps.listen.port }
  }

  /** A page in a browser must not reach this port: no foreign Host name, no Origin. */
  #checkCaller({ headers }: IncomingMessage, url: URLSearchParams): void {
    const name = (headers.host ?? '').replace(/:\d+$/, '')
    if (loopback.test(this.#deps.listen.host) && !loopback.test(name))
      throw new SqlError(497, `Host ${name} is not answered here: use localhost. (ACCESS_DENIED)`)
    if (headers.origin !== undefined)
      throw new SqlError(497, 'Requests from web pages are refused. (ACCESS_DENIED)')
    const [user, password] = credentialsIn(headers, url)
    if (this.#deps.admit && !this.#deps.admit(user, password))
      throw new SqlError(
        516,
        `${user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
      )
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://readonly')
    const gone = new AbortController()
    response.on('close', () => gone.abort())
    const work = async (): Promise<void> => {
      this.#checkCaller(request, searchParams)
      if (pathname === '/ping' || pathname === '/replicas_status') return void response.end('Ok.\n')
      if (pathname !== '/' || !['GET', 'POST'].includes(request.method ?? '')) {
        response.writeHead(404, { 'content-type': 'text/plain; charset=UTF-8' })
        return void response.end(`There is no handle ${pathname}\n\nUse / or /ping for health checks.\n`)
      }
      if (request.method === 'GET' && !searchParams.has('query')) return void response.end('Ok.\n')
      const body = await wholeBody(request, maxQueryBytes)
      const sql = [searchParams.get('query') ?? '', body.toString()].filter(Boolean).join('\n')
      const target = this.#target(sql, searchParams)
      await this.#turn(gone.signal)
      try {
        await this.#forward(target, sql, request, response, gone.signal)
      } finally {
        this.#done()
      }
      this.#queries.add(1, { outcome: 'ok' })
    }
    work().catch((error: unknown) => {
      this.#queries.add(1, { outcome: 'failed' })
      this.#fail(response, error)
    })
  }

  #fail(response: ServerResponse, error: unknown): void {
    if (response.destroyed) return
    if (response.headersSent) return void response.destroy()
    const failure = failureOf(error, 'read-only')
    const status = error instanceof AppError ? error.status : failure.status
    response.writeHead(status, {
      'content-type': 'text/plain; charset=UTF-8',
      'x-clickhouse-exception-code': String(failure.code),
      ...(status === 503 ? { 'retry-after': '5' } : {}),
    })
    response.end(`${failure.text}\n`)
  }

  /** The store's URL for a statement that has passed every check; throws SqlError otherwise. */
  #target(sql: string, asked: URLSearchParams): URL {
    const { database, caps = {} } = this.#deps
    const url = this.#deps.url()
    if (url === null)
      throw new AppError('unavailable', 'Code: 210. DB::Exception: The store is away. (NETWORK_ERROR)')
    const target = new URL(url)
    const params = new Map<string, string>()
    const wanted = asked.get('database') ?? database
    if (wanted !== database && wanted !== 'default')
      throw new SqlError(497, `Database ${wanted} is not available on the read-only view. (ACCESS_DENIED)`)
    let seconds = caps.seconds ?? 60
    for (const [name, value] of asked) {
      if (name.startsWith('param_')) {
        params.set(name.slice(6), value)
        target.searchParams.append(name, value)
      } else if (name === 'max_execution_time') {
        const asks = Number(value)
        if (asks > 0) seconds = Math.min(seconds, asks)
      } else if (passed.has(name) || isFreeSetting(name)) target.searchParams.append(name, value)
      else if (!ignored.has(name))
        throw new SqlError(164, `Cannot modify '${name}' setting in readonly mode. (READONLY)`)
    }
    checkedStatement(sql, params)
    target.searchParams.set('database', database)
    target.searchParams.set('max_execution_time', String(seconds))
    target.searchParams.set('max_memory_usage', String(caps.memoryBytes ?? 1024 ** 3))
    target.searchParams.set('max_result_bytes', String(caps.resultBytes ?? 256 * 1024 ** 2))
    target.searchParams.set('max_threads', '2')
    target.searchParams.set('readonly', '1')
    return target
  }

  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return
    }
    if (this.#waiting.length >= (this.#deps.queue ?? 20))
      throw new SqlError(
        202,
        'Too many simultaneous queries on the read-only view. (TOO_MANY_SIMULTANEOUS_QUERIES)',
      )
    await new Promise<void>((resolve, reject) => {
      const go = (): void => {
        signal.removeEventListener('abort', leave)
        resolve()
      }
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        reject(new SqlError(394, 'Query was cancelled. (QUERY_WAS_CANCELLED)'))
      }
      this.#waiting.push(go)
      signal.addEventListener('abort', leave, { once: true })
    })
  }

  #done(): void {
    const next = this.#waiting.shift()
    if (next) next()
    else this.#free++
  }

  /** Hands the statement to the store and its answer to the client as it comes; ends when either has gone. */
  #forward(
    target: URL,
    sql: string,
    request: IncomingMessage,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const { user, password } = this.#deps.credentials
    const format = request.headers['x-clickhouse-format']
    const encoding = request.headers['accept-encoding']
    return new Promise((resolve, reject) => {
      const away = (error: Error): void =>
        reject(
          new AppError(
            'unavailable',
            `Code: 210. DB::Exception: The store is away: ${error.message} (NETWORK_ERROR)`,
          ),
        )
      const upstream = httpRequest(target, {
        method: 'POST',
        agent: this.#agent,
        signal,
        headers: {
          'x-clickhouse-user': user,
          'x-clickhouse-key': password,
          ...(format ? { 'x-clickhouse-format': format } : {}),
          ...(encoding ? { 'accept-encoding': encoding } : {}),
        },
      })
      upstream.setTimeout(120_000, () => upstream.destroy(new Error('it does not answer')))
      upstream.on('error', away)
      upstream.on('response', (answer) => {
        const { connection: _, 'keep-alive': __, 'transfer-encoding': ___, ...headers } = answer.headers
        response.writeHead(answer.statusCode ?? 502, headers)
        answer.on('error', away)
        response.on('finish', resolve)
        response.on('close', resolve)
        answer.pipe(response)
      })
      upstream.end(sql)
    })
  }
}

/** Makes the read-only view. Listening starts with `start`. */
export const createReadOnlyFront = (deps: ReadOnlyDeps): ReadOnlyFront => new Front(deps)
