// Makes requests as an HTTP configuration says: credentials, tokens, TLS and proxy, each read anew when its file changes.
import type { Clock } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import {
  type Http,
  type HttpFactory,
  type HttpOpen,
  type HttpOptions,
  type HttpSend,
  type ProxyOptions,
  streamConnections,
} from '../../lib/http.ts'
import { type Duration, second } from '../../lib/time.ts'
import { type HttpConfig, hasProxy, headersOf, proxyOf, secretText, tlsOf } from './http-config.ts'

export interface ClientDeps {
  /** Makes a sender with a connection pool of its own. */
  readonly connect: HttpFactory
  /** The sender for whatever needs neither TLS settings nor a proxy. */
  readonly send: HttpSend
  readonly clock: Clock
}

export interface Client {
  readonly send: HttpSend
  readonly open: HttpOpen
  close(): Promise<void>
}

/** A sender that is made anew when what it is made of has changed; the old one ends when its calls have. */
class Renewed {
  readonly #connect: HttpFactory
  readonly #read: () => HttpOptions
  #made: { readonly from: string; readonly http: Http } | null = null

  constructor(connect: HttpFactory, read: () => HttpOptions) {
    this.#connect = connect
    this.#read = read
  }

  get(): Http {
    const options = this.#read()
    const from = JSON.stringify(options)
    if (this.#made?.from === from) return this.#made.http
    let http: Http
    try {
      http = this.#connect(options)
    } catch (error) {
      throw new AppError('bad_data', `tls_config: ${messageOf(error)}`, { cause: error })
    }
    // What still runs on the old one ends by itself; there is nobody to tell of its end.
    void this.#made?.http.close().catch(() => undefined)
    this.#made = { from, http }
    return http
  }

  async close(): Promise<void> {
    const made = this.#made
    this.#made = null
    await made?.http.close()
  }
}

type OAuth = NonNullable<HttpConfig['oauth2']>

const tokenTime = (10 * second) as Duration
// A token that is about to end is not used any more.
const margin = 10 * second

/** Tokens by client credentials (RFC 6749, 4.4), kept until shortly before they expire or the secret changes. */
class Tokens {
  readonly #oauth: OAuth
  readonly #http: Renewed
  readonly #clock: Clock
  #held: { readonly secret: string; readonly header: string; readonly until: number } | null = null
  #asking: Promise<string> | null = null
  /** How the server takes the client's name and secret: first tried in the header, as the RFC wants it. */
  #inBody = false

  constructor(oauth: OAuth, http: Renewed, clock: Clock) {
    this.#oauth = oauth
    this.#http = http
    this.#clock = clock
  }

  header(): Promise<string> {
    const { client_secret: given, client_secret_file: file } = this.#oauth
    const secret = secretText(given, file)
    const held = this.#held
    if (held && held.secret === secret && this.#clock.monotonic() < held.until)
      return Promise.resolve(held.header)
    this.#asking ??= this.#ask(secret).finally(() => {
      this.#asking = null
    })
    return this.#asking
  }

  async #ask(secret: string): Promise<string> {
    let answer = await this.#post(secret)
    if (answer.status >= 400 && answer.status < 500) {
      this.#inBody = !this.#inBody
      answer = await this.#post(secret)
    }
    const { token_url: url } = this.#oauth
    if (answer.status !== 200)
      throw new AppError(
        'unavailable',
        `oauth2: ${url} answered ${answer.status}; check client_id, secret and scopes`,
      )
    let said: { access_token?: unknown; token_type?: unknown; expires_in?: unknown }
    try {
      said = JSON.parse(answer.body.toString('utf8'))
    } catch (error) {
      throw new AppError('bad_data', `oauth2: ${url} did not answer JSON: ${messageOf(error)}`, {
        cause: error,
      })
    }
    if (typeof said.access_token !== 'string' || said.access_token === '')
      throw new AppError('bad_data', `oauth2: the answer of ${url} has no access_token`)
    const life = Number(said.expires_in ?? 0)
    const until =
      life > 0 ? this.#clock.monotonic() + Math.max(life * 1000 - margin, 0) : Number.POSITIVE_INFINITY
    const type =
      typeof said.token_type === 'string' && !/^bearer$/i.test(said.token_type) ? said.token_type : 'Bearer'
    const header = `${type} ${said.access_token}`
    this.#held = { secret, header, until }
    return header
  }

  #post(secret: string): ReturnType<HttpSend> {
    const { client_id: id, scopes, endpoint_params: params, token_url: url } = this.#oauth
    const form = new URLSearchParams({ grant_type: 'client_credentials', ...params })
    if (scopes.length > 0) form.set('scope', scopes.join(' '))
    const headers: Record<string, string> & { authorization?: string } = {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'application/json',
    }
    if (this.#inBody) {
      form.set('client_id', id)
      form.set('client_secret', secret)
    } else {
      const pair = `${encodeURIComponent(id)}:${encodeURIComponent(secret)}`
      headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`
    }
    return this.#http
      .get()
      .send({ url, method: 'POST', headers, body: form.toString(), signal: this.#clock.timeout(tokenTime) })
  }
}

type Connecting = Pick<HttpConfig, 'tls_config' | 'proxy_url' | 'no_proxy' | 'proxy_from_environment'> & {
  readonly proxy_connect_header?: HttpConfig['proxy_connect_header']
  readonly environment: ProxyOptions
  readonly enable_http2?: boolean
}

const optionsOf = (config: Connecting): HttpOptions => {
  const proxy = proxyOf(config)
  return {
    ...(config.tls_config ? { tls: tlsOf(config.tls_config) } : {}),
    ...(proxy ? { proxy } : {}),
    ...(config.enable_http2 === undefined ? {} : { http2: config.enable_http2 }),
  }
}

/** A sender for one HTTP configuration. A secret's or certificate's file that cannot be read fails the request with `bad_data` that names it. */
export const createClient = (config: HttpConfig, { connect, send, clock }: ClientDeps): Client => {
  const own = new Renewed(connect, () => optionsOf(config))
  const streams = new Renewed(connect, () => ({ ...optionsOf(config), connections: streamConnections }))
  const shared = !config.tls_config && !hasProxy(config) && config.enable_http2
  const oauthHttp = config.oauth2 ? new Renewed(connect, () => optionsOf(config.oauth2!)) : null
  const tokens = config.oauth2 && oauthHttp ? new Tokens(config.oauth2, oauthHttp, clock) : null
  const dressed = async (
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Record<string, string>> => ({
    ...headers,
    ...headersOf(config),
    ...(tokens ? { authorization: await tokens.header() } : {}),
  })
  return {
    send: async (request) => {
      const headers = await dressed(request.headers)
      const through = shared ? send : own.get().send
      return through({ follow: config.follow_redirects, ...request, headers })
    },
    open: async (request) => {
      const headers = await dressed(request.headers)
      return streams.get().open({ follow: config.follow_redirects, ...request, headers })
    },
    close: async () => {
      await Promise.all([own.close(), streams.close(), oauthHttp?.close()])
    },
  }
}
