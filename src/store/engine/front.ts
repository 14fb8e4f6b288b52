// The ClickHouse HTTP interface over the embedded engine.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Asked, ask, credentialsOf, markOf, same } from './asked.ts'
import { failureOf } from './errors.ts'
import { contentType } from './formats.ts'
import { createSpooler, decoded, type Spool, wholeBody } from './request-body.ts'
import { type Job, type Runner, runJob } from './run.ts'
import { isReading } from './run-kinds.ts'
import { sendPieces } from './send.ts'
import { type Insert, paramsIn, parseStatement, type Statement } from './statement.ts'
import { isWord, SqlError, tokenAt } from './tokens.ts'

export interface FrontOptions {
  readonly runner: Runner
  readonly user: string
  readonly password: string
  readonly version: string
  readonly timezone: string
  readonly spoolDirs: readonly string[]
  readonly maxBodyBytes: number
}

const readOnlyError = (): SqlError =>
  new SqlError(
    164,
    'Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. (READONLY)',
  )

export interface Front {
  handle(request: IncomingMessage, response: ServerResponse): void
  close(): void
}

class HttpFront implements Front {
  readonly #options: FrontOptions
  readonly #spooler: ReturnType<typeof createSpooler>

  constructor(options: FrontOptions) {
    this.#options = options
    this.#spooler = createSpooler(options.spoolDirs, options.maxBodyBytes)
  }

  #authorize(request: IncomingMessage, url: URLSearchParams): void {
    const [user, password] = credentialsOf(request, url)
    const good = same(user, this.#options.user)
    if (!same(password, this.#options.password) || !good)
      throw new SqlError(
        516,
        `${user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
      )
  }

  async #insertJob(
    statement: Insert,
    head: Buffer,
    request: IncomingMessage | null,
  ): Promise<{ statement: Statement; spool: Spool | null }> {
    if (statement.select) return { statement, spool: null }
    const spool = await this.#spooler.fill(
      head,
      request ? decoded(request) : null,
      head.length + Number(request?.headers['content-length'] ?? 0),
    )
    if (request && !request.complete) {
      spool.drop()
      throw new SqlError(210, 'The request ended early; nothing was inserted. (NETWORK_ERROR)')
    }
    return { statement, spool }
  }

  /** The statement, and the data that came with it in the text or in the body. */
  async #take(
    request: IncomingMessage,
    asked: Asked,
  ): Promise<{ statement: Statement; spool: Spool | null }> {
    const given = asked.url.get('query') ?? ''
    if (isWord(tokenAt(given, 0), 'INSERT')) {
      const statement = parseStatement(given) as Insert
      const text = given.slice(statement.dataAt)
      if (boundValues(statement, asked)) return { statement: withValues(statement, text), spool: null }
      return this.#insertJob(statement, Buffer.from(text), request)
    }
    const body = await wholeBody(request, this.#options.maxBodyBytes)
    const sniff = given || body.subarray(0, 4096).toString('latin1')
    if (!given && isWord(tokenSafely(sniff), 'INSERT')) {
      // Bytes stay bytes: positions in latin1 are positions in the body.
      const statement = parseStatement(body.toString('latin1')) as Insert
      const insert = utf8Insert(statement)
      const data = body.subarray(statement.dataAt)
      if (boundValues(insert, asked)) return { statement: withValues(insert, data.toString()), spool: null }
      return this.#insertJob(insert, data, null)
    }
    const text = [given, body.toString()].filter(Boolean).join('\n')
    return { statement: parseStatement(text), spool: null }
  }

  async #answer(
    request: IncomingMessage,
    response: ServerResponse,
    asked: Asked,
    signal: AbortSignal,
  ): Promise<void> {
    const { statement, spool } = await this.#take(request, asked)
    try {
      if (request.method !== 'POST' && !isReading(statement.verb)) throw readOnlyError()
      const header = request.headers['x-clickhouse-format']
      const format =
        (statement.kind === 'read' ? statement.format : null) ??
        (typeof header === 'string' ? header : (asked.url.get('default_format') ?? 'TabSeparated'))
      if (!/^\w+$/.test(format)) throw new SqlError(73, `Unknown format ${format}. (UNKNOWN_FORMAT)`)
      const database =
        asked.url.get('database') ?? String(request.headers['x-clickhouse-database'] ?? 'default')
      const job: Job = {
        statement,
        database,
        format,
        settings: asked.settings,
        params: asked.params,
        dataPath: spool?.path ?? null,
        mark: markOf(asked),
      }
      const headers: Record<string, string> = {
        'content-type': contentType(format),
        'x-clickhouse-format': format,
        'x-clickhouse-timezone': this.#options.timezone,
        'x-clickhouse-summary': summary(spool?.bytes ?? 0),
      }
      const pieces = runJob(this.#options.runner, job, signal)
      await sendPieces(request, response, asked, pieces, headers, this.#options.version)
    } finally {
      spool?.drop()
    }
  }

  #fail(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const failure = failureOf(error, this.#options.version)
    // What is left of the body is read and dropped, so that the client gets to read the answer.
    request.resume()
    if (response.headersSent) {
      response.destroy()
      return
    }
    response.writeHead(failure.status, {
      'content-type': 'text/plain; charset=UTF-8',
      'x-clickhouse-exception-code': String(failure.code),
      'x-clickhouse-format': 'TabSeparated',
    })
    response.end(`${failure.text}\n`)
  }

  handle(request: IncomingMessage, response: ServerResponse): void {
    const { pathname } = new URL(request.url ?? '/', 'http://engine')
    if (pathname === '/ping' || pathname === '/replicas_status') {
      response.writeHead(200, { 'content-type': 'text/plain; charset=UTF-8' })
      response.end('Ok.\n')
      return
    }
    if (pathname !== '/' || !['GET', 'POST', 'HEAD'].includes(request.method ?? '')) {
      response.writeHead(pathname === '/' ? 501 : 404, { 'content-type': 'text/plain; charset=UTF-8' })
      response.end(`There is no handle ${pathname}\n\nUse / or /ping for health checks.\n`)
      return
    }
    if (request.method !== 'POST' && !request.url?.includes('query=')) {
      response.end('Ok.\n')
      return
    }
    const gone = new AbortController()
    response.on('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    const work = async (): Promise<void> => {
      const { searchParams } = new URL(request.url ?? '/', 'http://engine')
      this.#authorize(request, searchParams)
      const asked = ask(request)
      response.setHeader('x-clickhouse-query-id', asked.queryId)
      response.setHeader('x-clickhouse-server-display-name', 'airboss')
      await this.#answer(request, response, asked, gone.signal)
    }
    work().catch((error: unknown) => this.#fail(request, response, error))
  }

  close(): void {
    this.#spooler.close()
  }
}

/** The ClickHouse HTTP interface as a request handler. */
export const createFront = (options: FrontOptions): Front => new HttpFront(options)

/** VALUES with substitutions in them are evaluated by the engine's parser and not read as data. */
const boundValues = (insert: Insert, asked: Asked): boolean =>
  insert.format === 'Values' && asked.params.size > 0
const withValues = (insert: Insert, values: string): Insert => ({
  ...insert,
  format: null,
  select: `VALUES ${values}`,
  params: new Set([...insert.params, ...paramsIn(values)]),
})

const tokenSafely = (text: string) => {
  try {
    return tokenAt(text, 0)
  } catch {
    // Not to be cut: the parser will say so with its place.
    return null
  }
}

const utf8 = (latin1: string): string => Buffer.from(latin1, 'latin1').toString()
const utf8Insert = (insert: Insert): Insert => ({
  ...insert,
  head: utf8(insert.head),
  settings: utf8(insert.settings),
  select: utf8(insert.select),
})

const summary = (writtenBytes: number): string =>
  JSON.stringify({
    read_rows: '0',
    read_bytes: '0',
    written_rows: '0',
    written_bytes: String(writtenBytes),
    total_rows_to_read: '0',
    result_rows: '0',
    result_bytes: '0',
    elapsed_ns: '0',
  })
