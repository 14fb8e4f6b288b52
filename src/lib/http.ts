// Outgoing HTTP over undici: one call, a deadline, a capped answer, no retries (they belong to the caller).
import { Agent, type Dispatcher, EnvHttpProxyAgent, interceptors, request } from 'undici'
import { AppError, messageOf } from './errors.ts'

export interface HttpRequest {
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Aborts the call; make it with `clock.timeout`. */
  readonly signal: AbortSignal
  /** Longest answer kept, in bytes; a longer one is an error. */
  readonly maxBytes?: number
  /** Whether redirects are followed (at most 5). */
  readonly follow?: boolean
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export type HttpSend = (request: HttpRequest) => Promise<HttpResponse>

/** An answer that is read as it comes. Reading it throws `unavailable` when the connection breaks. */
export interface HttpStream {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: AsyncIterable<Uint8Array>
}

/** Resolves with the head of the answer; `signal` ends the body too, which may otherwise go on for ever. */
export type HttpOpen = (request: Omit<HttpRequest, 'maxBytes'>) => Promise<HttpStream>

export interface TlsOptions {
  /** PEM; several certificates may stand one after the other. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  /** The name asked for and checked, where it is not the host of the URL. */
  readonly serverName?: string
  /** False takes any certificate. */
  readonly verify?: boolean
  readonly minVersion?: TlsVersion
  readonly maxVersion?: TlsVersion
}

export type TlsVersion = 'TLSv1' | 'TLSv1.1' | 'TLSv1.2' | 'TLSv1.3'

export interface ProxyOptions {
  /** Proxies by the target's scheme, '' = none. */
  readonly http: string
  readonly https: string
  /** Hosts reached without one, in the form of NO_PROXY. */
  readonly none: string
  /** Sent to the proxy with CONNECT. */
  readonly headers?: Readonly<Record<string, string>>
}

export interface HttpOptions {
  /** Most connections to one origin. */
  readonly connections?: number
  readonly tls?: TlsOptions
  readonly proxy?: ProxyOptions
  readonly http2?: boolean
}

export interface Http {
  readonly send: HttpSend
  readonly open: HttpOpen
  /** Ends when the calls under way have ended. */
  close(): Promise<void>
}

/** Where answers stay open for long: each holds its connection, and no request may wait for one to end. */
export const streamConnections = 4096

export type HttpFactory = (options?: HttpOptions) => Http

const connectOf = (tls: TlsOptions) => ({
  ...(tls.ca === undefined ? {} : { ca: tls.ca }),
  ...(tls.cert === undefined ? {} : { cert: tls.cert }),
  ...(tls.key === undefined ? {} : { key: tls.key }),
  ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
  ...(tls.minVersion === undefined ? {} : { minVersion: tls.minVersion }),
  ...(tls.maxVersion === undefined ? {} : { maxVersion: tls.maxVersion }),
  rejectUnauthorized: tls.verify !== false,
})

const dispatcherOf = ({ connections = 16, tls, proxy, http2 }: HttpOptions): Dispatcher => {
  const options = {
    connections,
    keepAliveTimeout: 30_000,
    ...(tls ? { connect: connectOf(tls) } : {}),
    ...(http2 === undefined ? {} : { allowH2: http2 }),
  }
  if (!proxy) return new Agent(options)
  return new EnvHttpProxyAgent({
    ...options,
    httpProxy: proxy.http,
    httpsProxy: proxy.https,
    noProxy: proxy.none,
    ...(tls ? { requestTls: connectOf(tls) } : {}),
    ...(proxy.headers ? { headers: { ...proxy.headers } } : {}),
  })
}

const flat = (headers: Readonly<Record<string, string | string[] | undefined>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([k, v]) => [k, Array.isArray(v) ? v.join(', ') : (v ?? '')]),
  )

const failed = (method: string, url: string, error: unknown): AppError => {
  if (error instanceof AppError) return error
  const host = URL.canParse(url) ? new URL(url).host : url
  return new AppError('unavailable', `${method} ${host}: ${messageOf(error)}`, {
    cause: error,
    retryable: true,
  })
}

/** A sender with a connection pool of its own. Network failures and time-outs are `unavailable`, retryable. */
export const createHttp: HttpFactory = (options = {}) => {
  const plain = dispatcherOf(options)
  const following = plain.compose(interceptors.redirect({ maxRedirections: 5 }))
  const begin = (
    { url, method = 'GET', headers, body, signal, follow }: Omit<HttpRequest, 'maxBytes'>,
    more: { bodyTimeout?: number } = {},
  ) =>
    request(url, {
      method,
      headers: { 'user-agent': 'airboss', ...headers },
      body: body ?? null,
      signal,
      dispatcher: follow ? following : plain,
      ...more,
    })
  const send: HttpSend = async ({ maxBytes = 4 << 20, ...asked }) => {
    const { url, method = 'GET' } = asked
    try {
      const answer = await begin(asked)
      const parts: Buffer[] = []
      let size = 0
      for await (const part of answer.body) {
        size += (part as Buffer).length
        if (size > maxBytes)
          throw new AppError('too_large', `answer of ${new URL(url).host} is over ${maxBytes} bytes`)
        parts.push(part as Buffer)
      }
      return { status: answer.statusCode, headers: flat(answer.headers), body: Buffer.concat(parts) }
    } catch (error) {
      throw failed(method, url, error)
    }
  }
  const open: HttpOpen = async (asked) => {
    const { url, method = 'GET' } = asked
    const parts = async function* (body: AsyncIterable<unknown>): AsyncGenerator<Uint8Array> {
      try {
        for await (const part of body) yield part as Uint8Array
      } catch (error) {
        throw failed(method, url, error)
      }
    }
    try {
      // A stream may be silent for as long as its signal lets it.
      const answer = await begin(asked, { bodyTimeout: 0 })
      return { status: answer.statusCode, headers: flat(answer.headers), body: parts(answer.body) }
    } catch (error) {
      throw failed(method, url, error)
    }
  }
  return { send, open, close: () => plain.close() }
}
