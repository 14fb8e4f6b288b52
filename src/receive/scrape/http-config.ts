// The keys that Prometheus's HTTP clients share: credentials, TLS, proxy, headers; for scraping and for discovery.
import { readFileSync } from 'node:fs'
import { isAbsolute, join } from 'node:path'
import { z } from 'zod'
import { fileSecret, type Secret, secretSchema } from '../../lib/config.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import type { ProxyOptions, TlsOptions, TlsVersion } from '../../lib/http.ts'

/** Where a configuration is read: the environment for `{ env: NAME }` and proxies, and the directory that relative paths are meant from. */
export interface Place {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly base: string
}

export const pathSchema = ({ base }: Place) =>
  z
    .string()
    .min(1)
    .transform((path) => (isAbsolute(path) ? path : join(base, path)))

/** A key Prometheus knows and Airboss does not: an error with its own words. */
export const refusedKey = (key: string, mend: string) =>
  z.undefined({ error: `not supported; ${mend}, and remove ${key}` }).optional()

const tlsVersions: Readonly<Record<string, TlsVersion>> = {
  TLS10: 'TLSv1',
  TLS11: 'TLSv1.1',
  TLS12: 'TLSv1.2',
  TLS13: 'TLSv1.3',
}
const tlsVersion = z.enum(['TLS10', 'TLS11', 'TLS12', 'TLS13'])

const atMostOne = (
  value: object,
  keys: readonly string[],
  ctx: { addIssue(issue: { code: 'custom'; path: string[]; message: string }): void },
): void => {
  const given = keys.filter((key) => (value as Record<string, unknown>)[key] !== undefined)
  if (given.length > 1)
    ctx.addIssue({
      code: 'custom',
      path: [given[1]!],
      message: `at most one of ${keys.join(' and ')} may be given; remove one`,
    })
}

const tlsSchema = (place: Place) =>
  z
    .strictObject({
      ca: z.string().optional(),
      ca_file: pathSchema(place).optional(),
      cert: z.string().optional(),
      cert_file: pathSchema(place).optional(),
      key: secretSchema(place.env).optional(),
      key_file: pathSchema(place).optional(),
      server_name: z.string().optional(),
      insecure_skip_verify: z.boolean().default(false),
      min_version: tlsVersion.optional(),
      max_version: tlsVersion.optional(),
      ca_ref: refusedKey('ca_ref', 'give ca or ca_file'),
      cert_ref: refusedKey('cert_ref', 'give cert or cert_file'),
      key_ref: refusedKey('key_ref', 'give key or key_file'),
    })
    .superRefine((tls, ctx) => {
      for (const name of ['ca', 'cert', 'key']) atMostOne(tls, [name, `${name}_file`], ctx)
      const cert = tls.cert !== undefined || tls.cert_file !== undefined
      const key = tls.key !== undefined || tls.key_file !== undefined
      if (cert !== key)
        ctx.addIssue({
          code: 'custom',
          path: [cert ? 'cert' : 'key'],
          message: 'a client certificate needs both cert (or cert_file) and key (or key_file)',
        })
    })

const proxyShape = (place: Place) => ({
  proxy_url: z
    .url({ protocol: /^https?$/, error: 'not a proxy URL; write it as http://host:port' })
    .optional(),
  no_proxy: z.string().optional(),
  proxy_from_environment: z.boolean().default(false),
  proxy_connect_header: z
    .record(
      z.string(),
      z.union([secretSchema(place.env).transform((s) => [s]), z.array(secretSchema(place.env))]),
    )
    .optional(),
})

interface ProxyKeys {
  readonly proxy_url?: string | undefined
  readonly no_proxy?: string | undefined
  readonly proxy_from_environment: boolean
  readonly proxy_connect_header?: Readonly<Record<string, readonly Secret[]>> | undefined
}

const checkProxy = (
  keys: ProxyKeys,
  ctx: { addIssue(issue: { code: 'custom'; path: string[]; message: string }): void },
): void => {
  const wrong = (key: string, message: string): void => ctx.addIssue({ code: 'custom', path: [key], message })
  if (keys.proxy_from_environment && (keys.proxy_url !== undefined || keys.no_proxy !== undefined))
    wrong('proxy_from_environment', 'proxy_url and no_proxy do not go with it; remove one or the other')
  if (keys.no_proxy !== undefined && keys.proxy_url === undefined && !keys.proxy_from_environment)
    wrong('no_proxy', 'is of use only beside proxy_url; add that, or remove it')
  if (keys.proxy_connect_header && keys.proxy_url === undefined && !keys.proxy_from_environment)
    wrong('proxy_connect_header', 'is of use only beside proxy_url; add that, or remove it')
}

/** What the environment says of proxies, and of the cluster it is in; '' where it says nothing. Not part of what is shown of a configuration. */
export interface Surroundings extends ProxyOptions {
  /** The API server as Kubernetes tells its pods. */
  readonly apiServer: string
  toJSON(): undefined
}

const surroundingsOf = ({ env }: Place): Surroundings => {
  const read = (name: string): string => env[name.toLowerCase()] || env[name] || ''
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env
  return {
    http: read('HTTP_PROXY'),
    https: read('HTTPS_PROXY'),
    none: read('NO_PROXY'),
    apiServer: host && port ? `https://${host.includes(':') ? `[${host}]` : host}:${port}` : '',
    toJSON: () => undefined,
  }
}

const oauthSchema = (place: Place) =>
  z
    .strictObject({
      client_id: z.string().min(1),
      client_secret: secretSchema(place.env).optional(),
      client_secret_file: pathSchema(place).optional(),
      scopes: z.array(z.string()).default([]),
      token_url: z.url({ protocol: /^https?$/ }),
      endpoint_params: z.record(z.string(), z.string()).default({}),
      tls_config: tlsSchema(place).optional(),
      ...proxyShape(place),
      grant_type: z.literal('client_credentials').optional(),
      client_secret_ref: refusedKey('client_secret_ref', 'give client_secret or client_secret_file'),
      client_certificate_key: refusedKey('client_certificate_key', 'give client_secret'),
      client_certificate_key_file: refusedKey('client_certificate_key_file', 'give client_secret_file'),
    })
    .superRefine((oauth, ctx) => {
      atMostOne(oauth, ['client_secret', 'client_secret_file'], ctx)
      checkProxy(oauth, ctx)
    })
    .transform((oauth) => ({ ...oauth, environment: surroundingsOf(place) }))

/** The keys themselves, to be spread into the schema of whatever makes requests; finish it with `checkHttp` and `withEnvironment`. */
export const httpShape = (place: Place) => {
  const secret = secretSchema(place.env)
  const path = pathSchema(place)
  return {
    basic_auth: z
      .strictObject({
        username: z.string().optional(),
        username_file: path.optional(),
        password: secret.optional(),
        password_file: path.optional(),
      })
      .superRefine((auth, ctx) => {
        atMostOne(auth, ['username', 'username_file'], ctx)
        atMostOne(auth, ['password', 'password_file'], ctx)
      })
      .optional(),
    authorization: z
      .strictObject({
        type: z
          .string()
          .trim()
          .min(1)
          .refine((type) => type.toLowerCase() !== 'basic', 'is Basic; write basic_auth instead')
          .default('Bearer'),
        credentials: secret.optional(),
        credentials_file: path.optional(),
      })
      .superRefine((auth, ctx) => atMostOne(auth, ['credentials', 'credentials_file'], ctx))
      .optional(),
    bearer_token: secret.optional(),
    bearer_token_file: path.optional(),
    oauth2: oauthSchema(place).optional(),
    tls_config: tlsSchema(place).optional(),
    ...proxyShape(place),
    follow_redirects: z.boolean().default(true),
    enable_http2: z.boolean().default(true),
    http_headers: z
      .record(
        z.string(),
        z.strictObject({
          values: z.array(z.string()).default([]),
          secrets: z.array(secret).default([]),
          files: z.array(path).default([]),
        }),
      )
      .superRefine((headers, ctx) => {
        for (const name of Object.keys(headers))
          if (reserved.has(name.toLowerCase()))
            ctx.addIssue({
              code: 'custom',
              path: [name],
              message:
                'is set by Airboss itself; use the key that is there for it (authorization, basic_auth)',
            })
      })
      .default({}),
    sigv4: refusedKey('sigv4', 'use authorization with a token'),
    azuread: refusedKey('azuread', 'use oauth2'),
    google_iam: refusedKey('google_iam', 'use authorization with a token'),
  }
}

const reserved: ReadonlySet<string> = new Set([
  'authorization',
  'host',
  'content-encoding',
  'content-length',
  'content-type',
  'user-agent',
  'connection',
  'keep-alive',
  'transfer-encoding',
  'accept-encoding',
  'x-prometheus-scrape-timeout-seconds',
])

type Shape = ReturnType<typeof httpShape>
type HttpKeys = z.output<z.ZodObject<Shape>>
/** How requests are made; `environment` is what holds with `proxy_from_environment`. */
export type HttpConfig = HttpKeys & { readonly environment: Surroundings }

/** What the single keys do not show: ways that exclude each other. */
export const checkHttp = (
  keys: HttpKeys,
  ctx: { addIssue(issue: { code: 'custom'; path: string[]; message: string }): void },
): void => {
  const ways = [
    keys.basic_auth,
    keys.authorization,
    keys.bearer_token ?? keys.bearer_token_file,
    keys.oauth2,
  ].filter((way) => way !== undefined)
  if (ways.length > 1)
    ctx.addIssue({
      code: 'custom',
      path: [],
      message: 'at most one of basic_auth, authorization, bearer_token and oauth2 may be given',
    })
  atMostOne(keys, ['bearer_token', 'bearer_token_file'], ctx)
  checkProxy(keys, ctx)
}

export const withEnvironment =
  (place: Place) =>
  <T extends HttpKeys>(keys: T): T & { readonly environment: Surroundings } => ({
    ...keys,
    environment: surroundingsOf(place),
  })

/** A secret that is given as it is or by its file; '' where neither is. */
export const secretText = (secret: Secret | undefined, file: string | undefined): string =>
  secret?.reveal() ?? (file === undefined ? '' : fileSecret(file).reveal())

/** The request headers that are asked for; secrets are read anew, so that rotated files are picked up. Throws `bad_data` naming an unreadable file. */
export const headersOf = (config: HttpConfig): Record<string, string> => {
  const headers: Record<string, string> & { authorization?: string } = {}
  for (const [name, { values, secrets, files }] of Object.entries(config.http_headers)) {
    headers[name.toLowerCase()] = [
      ...values,
      ...secrets.map((s) => s.reveal()),
      ...files.map((f) => fileSecret(f).reveal().trim()),
    ].join(', ')
  }
  const { basic_auth: basic, authorization: auth } = config
  if (basic) {
    const user =
      basic.username_file === undefined
        ? (basic.username ?? '')
        : fileSecret(basic.username_file).reveal().trim()
    const pair = `${user}:${secretText(basic.password, basic.password_file)}`
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  }
  if (auth)
    headers.authorization = `${auth.type} ${secretText(auth.credentials, auth.credentials_file).trim()}`
  if (config.bearer_token || config.bearer_token_file)
    headers.authorization = `Bearer ${secretText(config.bearer_token, config.bearer_token_file).trim()}`
  return headers
}

const pem = (text: string | undefined, file: string | undefined): string | undefined => {
  if (text !== undefined || file === undefined) return text
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new AppError('bad_data', `certificate file ${file}: ${messageOf(error)}`, { cause: error })
  }
}

type TlsKeys = z.output<ReturnType<typeof tlsSchema>>
const defined = <T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } =>
  Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as never

/** TLS as it stands in the files now; throws `bad_data` naming an unreadable one. */
export const tlsOf = (tls: TlsKeys): TlsOptions =>
  defined({
    ca: pem(tls.ca, tls.ca_file),
    cert: pem(tls.cert, tls.cert_file),
    key: pem(tls.key?.reveal(), tls.key_file),
    serverName: tls.server_name || undefined,
    verify: !tls.insecure_skip_verify,
    minVersion: tls.min_version && tlsVersions[tls.min_version],
    maxVersion: tls.max_version && tlsVersions[tls.max_version],
  }) as TlsOptions

type Proxied = ProxyKeys & { readonly environment: ProxyOptions }

export const hasProxy = ({
  proxy_from_environment: fromEnvironment,
  proxy_url: url,
  environment,
}: Proxied): boolean =>
  fromEnvironment ? environment.http !== '' || environment.https !== '' : url !== undefined

/** The proxy in force, undefined when there is none. */
export const proxyOf = (keys: Proxied): ProxyOptions | undefined => {
  if (!hasProxy(keys)) return undefined
  const sent = Object.entries(keys.proxy_connect_header ?? {})
  const headers = Object.fromEntries(
    sent.map(([name, values]) => [name, values.map((v) => v.reveal()).join(', ')]),
  )
  const more = sent.length > 0 ? { headers } : {}
  const { http, https, none } = keys.environment
  if (keys.proxy_from_environment) return { http, https, none, ...more }
  const url = keys.proxy_url ?? ''
  return { http: url, https: url, none: keys.no_proxy ?? '', ...more }
}

/** Reads every file that the requests of a job and of its discovery need, once: throws `bad_data` naming the one that cannot be read. */
export const checkClients = (
  job: HttpConfig & {
    readonly http_sd_configs: readonly HttpConfig[]
    readonly kubernetes_sd_configs: readonly HttpConfig[]
  },
): void => {
  for (const config of [job, ...job.http_sd_configs, ...job.kubernetes_sd_configs]) {
    headersOf(config)
    if (config.tls_config) tlsOf(config.tls_config)
    if (!config.oauth2) continue
    secretText(config.oauth2.client_secret, config.oauth2.client_secret_file)
    if (config.oauth2.tls_config) tlsOf(config.oauth2.tls_config)
  }
}
