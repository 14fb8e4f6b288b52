// Alertmanager's `http_config`: how a channel identifies itself over HTTP, what it trusts, and through which proxy it goes.
import { z } from 'zod'
import { fileSecret, type Secret } from '../lib/config.ts'
import type { HttpFactory, HttpOptions, HttpSend } from '../lib/http.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import { tlsConfigSchema } from './tls-config.ts'

export interface HttpConfig {
  /** Headers to send; asked for each request, so that a rotated secret file is picked up. */
  readonly headers: () => Record<string, string>
  readonly follow: boolean
  /** TLS settings and proxy; null where there are none. Reads the files it names. */
  readonly options: () => HttpOptions | null
  /** Whether it says who we are by itself. */
  readonly authorized: boolean
}

export const plainHttp: HttpConfig = {
  headers: () => ({}),
  follow: true,
  options: () => null,
  authorized: false,
}

/**
 * A sender with the configuration's TLS settings and proxy; `send` itself where it has none. A file that changed makes a new
 * connection pool, and the old one ends with its calls.
 */
export const sendWith = (config: HttpConfig, send: HttpSend, make: HttpFactory): HttpSend => {
  let known = ''
  let own: ReturnType<HttpFactory> | null = null
  return (request) => {
    const options = config.options()
    if (options === null) return send(request)
    const key = JSON.stringify(options)
    if (own === null || key !== known) {
      void own?.close().catch(() => undefined)
      own = make(options)
      known = key
    }
    return own.send(request)
  }
}

const refused = (what: string) => z.undefined(`${what} is not yet supported; remove it`).optional()

/** One of a secret and its file, or neither; both is an error. */
const one = (
  inline: Secret | undefined,
  file: string | undefined,
  context: ChannelContext,
): Secret | undefined => inline ?? (file === undefined ? undefined : fileSecret(context.path(file)))

const both = (a: unknown, b: unknown): boolean => a !== undefined && b !== undefined

const authorizationSchema = (context: ChannelContext) =>
  z
    .strictObject({
      type: z.string().default('Bearer'),
      credentials: context.secret.optional(),
      credentials_file: z.string().optional(),
    })
    .refine((a) => !both(a.credentials, a.credentials_file), 'give credentials or credentials_file, not both')
    .refine((a) => a.type.toLowerCase() !== 'basic', 'type Basic is written as basic_auth')
    .transform((a) => ({ type: a.type, secret: one(a.credentials, a.credentials_file, context) }))

const basicSchema = (context: ChannelContext) =>
  z
    .strictObject({
      username: z.string().optional(),
      username_file: z.string().optional(),
      password: context.secret.optional(),
      password_file: z.string().optional(),
    })
    .refine((b) => !both(b.username, b.username_file), 'give username or username_file, not both')
    .refine((b) => !both(b.password, b.password_file), 'give password or password_file, not both')
    .transform((b) => ({
      username: (): string =>
        b.username ?? (b.username_file ? fileSecret(context.path(b.username_file)).reveal() : ''),
      password: one(b.password, b.password_file, context),
    }))

const headerSchema = (context: ChannelContext) =>
  z.strictObject({
    values: z.array(z.string()).default([]),
    secrets: z.array(context.secret).default([]),
    files: z.array(z.string()).default([]),
  })

const keysOf = (context: ChannelContext) => ({
  authorization: authorizationSchema(context).optional(),
  basic_auth: basicSchema(context).optional(),
  bearer_token: context.secret.optional(),
  bearer_token_file: z.string().optional(),
  follow_redirects: z.boolean().default(true),
  // Whatever it says, HTTP/1.1 is spoken: what is sent and answered is the same.
  enable_http2: z.boolean().optional(),
  http_headers: z.record(z.string(), headerSchema(context)).default({}),
  oauth2: refused('oauth2'),
  tls_config: tlsConfigSchema(context).optional(),
  proxy_url: z.url({ protocol: /^https?$/, error: 'write the proxy as http://host:port' }).optional(),
  no_proxy: z.string().default(''),
  proxy_from_environment: z
    .literal(false, 'the environment is not read for proxies; write proxy_url and no_proxy')
    .optional(),
  proxy_connect_header: z.record(z.string(), z.array(context.secret)).default({}),
})

type Keys = z.output<ReturnType<typeof schemaOf>>
const schemaOf = (context: ChannelContext) => z.strictObject(keysOf(context))

const headersOf = (c: Keys, context: ChannelContext) => (): Record<string, string> => {
  const bearer = one(c.bearer_token, c.bearer_token_file, context)
  const out: Record<string, string> = {}
  for (const [name, h] of Object.entries(c.http_headers)) {
    const files = h.files.map((f) => fileSecret(context.path(f)).reveal())
    out[name.toLowerCase()] = [...h.values, ...h.secrets.map((s) => s.reveal()), ...files].join(', ')
  }
  if (c.authorization)
    out['authorization'] = `${c.authorization.type} ${c.authorization.secret?.reveal() ?? ''}`
  if (bearer) out['authorization'] = `Bearer ${bearer.reveal()}`
  if (c.basic_auth) {
    const pair = `${c.basic_auth.username()}:${c.basic_auth.password?.reveal() ?? ''}`
    out['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`
  }
  return out
}

const optionsOf = (c: Keys) => (): HttpOptions | null => {
  if (!c.tls_config && c.proxy_url === undefined) return null
  const headers = Object.fromEntries(
    Object.entries(c.proxy_connect_header).map(([name, list]) => [
      name,
      list.map((s) => s.reveal()).join(', '),
    ]),
  )
  const url = c.proxy_url
  return {
    ...(c.tls_config ? { tls: c.tls_config() } : {}),
    ...(url === undefined ? {} : { proxy: { http: url, https: url, none: c.no_proxy, headers } }),
  }
}

/** Schema of `http_config`. OAuth 2 and proxies from the environment are refused by name. */
export const httpConfigSchema = (context: ChannelContext) =>
  schemaOf(context)
    .refine(
      (c) =>
        [c.authorization, c.basic_auth, c.bearer_token, c.bearer_token_file].filter((v) => v !== undefined)
          .length < 2,
      'give only one of authorization, basic_auth, bearer_token and bearer_token_file',
    )
    .refine((c) => c.no_proxy === '' || c.proxy_url !== undefined, 'no_proxy means nothing without proxy_url')
    .transform(
      (c): HttpConfig => ({
        headers: headersOf(c, context),
        follow: c.follow_redirects,
        options: optionsOf(c),
        authorized: [c.authorization, c.bearer_token, c.bearer_token_file].some((v) => v !== undefined),
      }),
    )
