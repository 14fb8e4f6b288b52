// What an HTTP request asks besides its statement: who, in which database, with which settings and parameters.
import { randomUUID, timingSafeEqual } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { SqlError } from './tokens.ts'

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
  'client_protocol_version',
])

export interface Asked {
  readonly url: URLSearchParams
  readonly queryId: string
  readonly settings: Map<string, string>
  readonly params: Map<string, string>
}

const refuse = (url: URLSearchParams): void => {
  if (url.has('session_id'))
    throw new SqlError(
      48,
      'The embedded engine keeps no HTTP sessions: leave session_id out. (NOT_IMPLEMENTED)',
    )
  if (url.get('compress') === '1' || url.get('decompress') === '1')
    throw new SqlError(
      48,
      'The embedded engine has no native block compression over HTTP: use Content-Encoding or Accept-Encoding. (NOT_IMPLEMENTED)',
    )
}

/** What a request asks besides its statement; throws SqlError for what the embedded engine does not carry. */
export const ask = (request: IncomingMessage): Asked => {
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

/** Compares without telling by its time how far two texts agree. */
export const same = (a: string, b: string): boolean => {
  const left = Buffer.from(a)
  const right = Buffer.from(b)
  return left.length === right.length && timingSafeEqual(left, right)
}

/** User and password, from Basic, the ClickHouse headers or the URL. */
export const credentialsOf = (request: IncomingMessage, url: URLSearchParams): [string, string] => {
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

/** The user's own log_comment stays readable in front of the mark. */
export const markOf = (asked: Asked): string => {
  const own = asked.settings.get('log_comment')
  asked.settings.delete('log_comment')
  return own === undefined ? asked.queryId : `${own} #${asked.queryId}`
}
