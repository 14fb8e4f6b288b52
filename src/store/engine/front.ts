// The ClickHouse HTTP interface over the embedded engine.
import { randomBytes, randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { finished } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import { failureOf } from './errors.ts'
import { contentType } from './formats.ts'
import { createSpooler, decoded, type Spool, wholeBody } from './request-body.ts'
import { isReading, type Job, runJob } from './run.ts'
import type { Sessions } from './sessions.ts'
import { type Insert, parseStatement, type Statement } from './statement.ts'
import { isWord, SqlError, tokenAt } from './tokens.ts'

export interface FrontOptions {
  readonly sessions: Sessions
  readonly user: string
  readonly password: string
  readonly version: string
  readonly timezone: string
  readonly spoolDirs: readonly string[]
  readonly maxBodyBytes: number
}

/** URL parameters that speak to the HTTP interface and not to the statement. */
const ours = new Set([
  'query',
  'user',
  'password',
  'quota_key',
  'query_id',
  'database',
  'default_format',
  'session_timeout',
  'session_check',
  'session_timezone_header',
  'compress',
  'decompress',
  'enable_http_compression',
  'http_zlib_compression_level',
  'wait_end_of_query',
  'buffer_size',
  'send_progress_in_http_headers',
  'http_headers_progress_interval_ms',
  'add_http_cors_header',
  'cancel_http_readonly_queries_on_client_close',
  'http_write_exception_in_output_format',
  'stacktrace',
  'role',
  'close_session',
])

interface Asked {
  readonly url: URLSearchParams
  readonly queryId: string
  readonly settings: Map<string, string>
  readonly params: Map<string, string>
}

const refuse = (url: URLSearchParams): void => {
  if (url.has('session_id'))
    throw new SqlError(48, 'The embedded engine keeps no HTTP sessions: leave session_id out. (NOT_IMPLEMENTED)')
  if (url.get('compress') === '1' || url.get('decompress') === '1')
    throw new SqlError(
      48,
      'The embedded engine has no native block compression over HTTP: use Content-Encoding or Accept-Encoding. (NOT_IMPLEMENTED)',
    )
}

const ask = (request: IncomingMessage): Asked => {
  const url = new URL(request.url ?? '/', 'http://engine').searchParams
  refuse(url)
  const settings = new Map<string, string>()
  const params = new Map<string, string>()
  for (const [name, value] of url) {
    if (name.startsWith('param_')) params.set(name.slice(6), value)
    else if (ours.has(name)) continue
    else if (/^[A-Za-z]\w*$/.test(name)) settings.set(name, value)
    else throw new SqlError(115, `Unknown setting '${name}'. (UNKNOWN_SETTING)`)
  }
  return { url, queryId: url.get('query_id') || randomUUID(), settings, params }
}

const same = (a: string, b: string): boolean => {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}

const credentialsOf = (request: IncomingMessage, url: URLSearchParams): [string, string] => {
  const { headers } = request
  const basic = /^Basic (.+)$/i.exec(headers.authorization ?? '')
  if (basic) {
    const text = Buffer.from(basic[1]!, 'base64').toString()
    const colon = text.indexOf(':')
    return colon < 0 ? [text, ''] : [text.slice(0, colon), text.slice(colon + 1)]
  }
  const user = headers['x-clickhouse-user']
  if (typeof user === 'string') return [user, String(headers['x-clickhouse-key'] ?? '')]
  return [url.get('user') ?? 'default', url.get('password') ?? '']
}

const readOnlyError = (): SqlError =>
  new SqlError(164, 'Cannot execute query in readonly mode. For queries over HTTP, method GET implies readonly. (READONLY)')

export interface Front {
  handle(request: IncomingMessage, response: ServerResponse): void
  close(): void
}

export const createFront = (options: FrontOptions): Front => {
  const spooler = createSpooler(options.spoolDirs, options.maxBodyBytes)

  const authorize = (request: IncomingMessage, url: URLSearchParams): void => {
    const [user, password] = credentialsOf(request, url)
    const good = same(user, options.user)
    if (!same(password, options.password) || !good)
      throw new SqlError(
        516,
        `${user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)`,
      )
  }

  const insertJob = async (
    statement: Insert,
    head: Buffer,
    request: IncomingMessage | null,
  ): Promise<{ statement: Statement; spool: Spool | null }> => {
    if (statement.select) return { statement, spool: null }
    const spool = await spooler.fill(head, request ? decoded(request) : null)
    if (request && !request.complete) {
      spool.drop()
      throw new SqlError(210, 'The request ended early; nothing was inserted. (NETWORK_ERROR)')
    }
    return { statement, spool }
  }

  /** The statement, and the data that came with it in the text or in the body. */
  const take = async (
    request: IncomingMessage,
    asked: Asked,
  ): Promise<{ statement: Statement; spool: Spool | null }> => {
    const given = asked.url.get('query') ?? ''
    if (isWord(tokenAt(given, 0), 'INSERT')) {
      const statement = parseStatement(given) as Insert
      return insertJob(statement, Buffer.from(given.slice(statement.dataAt)), request)
    }
    const body = await wholeBody(request, options.maxBodyBytes)
    const sniff = given || body.subarray(0, 4096).toString('latin1')
    if (!given && isWord(tokenSafely(sniff), 'INSERT')) {
      // Bytes stay bytes: positions in latin1 are positions in the body.
      const statement = parseStatement(body.toString('latin1')) as Insert
      const text = utf8Insert(statement)
      return insertJob(text, body.subarray(statement.dataAt), null)
    }
    const text = [given, body.toString()].filter(Boolean).join('\n')
    return { statement: parseStatement(text), spool: null }
  }

  const answer = async (
    request: IncomingMessage,
    response: ServerResponse,
    asked: Asked,
    signal: AbortSignal,
  ): Promise<void> => {
    const { statement, spool } = await take(request, asked)
    try {
      if (request.method !== 'POST' && !isReading(statement)) throw readOnlyError()
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
        'x-clickhouse-timezone': options.timezone,
        'x-clickhouse-summary': summary(spool?.bytes ?? 0),
      }
      await send(request, response, asked, runJob(options.sessions, job, signal), headers)
    } finally {
      spool?.drop()
    }
  }

  const fail = (response: ServerResponse, error: unknown): void => {
    const failure = failureOf(error, options.version)
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

  /** Sends pieces as they come; an error after the first piece is told in the body under a tag, as servers since 25.11 do. */
  const send = async (
    request: IncomingMessage,
    response: ServerResponse,
    asked: Asked,
    pieces: AsyncGenerator<Buffer>,
    headers: Record<string, string>,
  ): Promise<void> => {
    const first = await pieces.next()
    const tag = randomBytes(8).toString('hex')
    const gzip =
      asked.url.get('enable_http_compression') === '1' &&
      /\bgzip\b/.test(String(request.headers['accept-encoding'] ?? ''))
    response.writeHead(200, {
      ...headers,
      'x-clickhouse-exception-tag': tag,
      ...(gzip ? { 'content-encoding': 'gzip' } : {}),
    })
    const out = gzip ? createGzip({ level: 1 }) : response
    if (gzip) out.pipe(response)
    try {
      for (let piece = first; !piece.done; piece = await pieces.next()) {
        if (!out.write(piece.value)) await drained(out, response)
      }
    } catch (error) {
      const text = `${failureOf(error, options.version).text}\n`
      out.write(`\r\n__exception__\r\n${tag}\r\n${text}${Buffer.byteLength(text)} ${tag}\r\n__exception__\r\n`)
    } finally {
      await pieces.return(undefined)
    }
    out.end()
  }

  const handle = (request: IncomingMessage, response: ServerResponse): void => {
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
    const gone = new AbortController()
    response.on('close', () => {
      if (!response.writableFinished) gone.abort()
    })
    const work = async (): Promise<void> => {
      const { searchParams } = new URL(request.url ?? '/', 'http://engine')
      authorize(request, searchParams)
      const asked = ask(request)
      response.setHeader('x-clickhouse-query-id', asked.queryId)
      response.setHeader('x-clickhouse-server-display-name', 'airboss')
      await answer(request, response, asked, gone.signal)
    }
    work().catch((error: unknown) => fail(response, error))
  }

  return { handle, close: () => spooler.close() }
}

/** The user's own log_comment stays readable in front of the mark. */
const markOf = (asked: Asked): string => {
  const own = asked.settings.get('log_comment')
  asked.settings.delete('log_comment')
  return own === undefined ? asked.queryId : `${own} #${asked.queryId}`
}

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

/** Resolves when `out` takes more, rejects when the client has gone. */
const drained = async (out: NodeJS.WritableStream, response: ServerResponse): Promise<void> => {
  const stop = new AbortController()
  try {
    await Promise.race([
      new Promise<void>((resolve) => out.once('drain', resolve)),
      finished(response, { signal: stop.signal }),
    ])
  } finally {
    stop.abort()
  }
  if (response.destroyed) throw new SqlError(210, 'The client has gone. (NETWORK_ERROR)')
}
