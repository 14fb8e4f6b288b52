// A connection to a Kubernetes API server: where it is, who we are there, requests, and watches as they come.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, isAbsolute, join } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node'
import { z } from 'zod'
import { secretSchema } from './config.ts'
import { AppError, messageOf } from './errors.ts'
import { type Http, type HttpFactory, type HttpRequest, streamConnections, type TlsOptions } from './http.ts'

type Environment = Readonly<Record<string, string | undefined>>

/** How a cluster is reached, under the keys of Prometheus's kubernetes_sd_configs; none of them means the cluster we run in. */
export const kubernetesAccessShape = (env: Environment) => ({
  api_server: z
    .url({ protocol: /^https?$/, error: 'not an address; write it as https://10.0.0.1:6443' })
    .transform((url) => url.replace(/\/+$/, ''))
    .optional(),
  /** Bearer token for `api_server`; a file is read anew for each request. */
  token: secretSchema(env).optional(),
  kubeconfig_file: z.string().min(1).optional(),
  /** Left out: the kubeconfig's current context. */
  context: z.string().min(1).optional(),
  tls_config: z
    .strictObject({
      ca_file: z.string().min(1).optional(),
      cert_file: z.string().min(1).optional(),
      key_file: z.string().min(1).optional(),
      server_name: z.string().min(1).optional(),
      insecure_skip_verify: z.boolean().default(false),
    })
    .prefault({}),
})

const accessSchema = z.strictObject(kubernetesAccessShape({}))
export type KubernetesAccess = z.output<typeof accessSchema>

/** What does not go together; each problem with its key. */
export const accessProblems = (a: KubernetesAccess): readonly (readonly [string, string])[] => {
  const problems: [string, string][] = []
  if (a.api_server !== undefined && a.kubeconfig_file !== undefined)
    problems.push(['kubeconfig_file', 'stands beside api_server; keep one of the two'])
  if (a.token !== undefined && a.api_server === undefined)
    problems.push(['token', 'is for api_server; a kubeconfig and a pod bring their own'])
  if (a.context !== undefined && a.kubeconfig_file === undefined)
    problems.push(['context', 'is of a kubeconfig; name its file in kubeconfig_file'])
  if ((a.tls_config.cert_file === undefined) !== (a.tls_config.key_file === undefined))
    problems.push(['tls_config', 'cert_file and key_file go together'])
  return problems
}

export interface KubernetesRequest {
  readonly method?: HttpRequest['method']
  /** `/apis/apps/v1/namespaces/agents/deployments/research`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string | number | boolean>>
  /** Sent as JSON. */
  readonly body?: unknown
  /** Of the body; a patch says its kind by it. */
  readonly contentType?: string
  readonly signal: AbortSignal
}

export interface KubernetesAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  /** The object or list; a `Status` where something is wrong. */
  readonly body: KubernetesObject
}

/** An object of the API: what we need of it is read with care, for it comes from outside. */
// biome-ignore lint/suspicious/noExplicitAny: objects of every kind and version
export type KubernetesObject = any

export interface WatchStream {
  readonly status: number
  /** Why it was refused, where the status is not 200. */
  readonly why: string
  readonly lines: AsyncIterable<string>
}

export interface KubernetesApi {
  /** `https://10.96.0.1:443`. */
  readonly server: string
  /** Where we are at home: of the pod or the context; `default` where none says. */
  readonly namespace: string
  /** Resolves whatever the status is; rejects `unavailable` when there is no answer. */
  send(request: KubernetesRequest): Promise<KubernetesAnswer>
  /** Opens a watch; its lines end when the server ends it, and throw `unavailable` when the connection breaks. */
  watch(path: string, query: KubernetesRequest['query'], signal: AbortSignal): Promise<WatchStream>
  close(): Promise<void>
}

interface Access {
  readonly server: string
  readonly namespace: string
  /** Read for each request: tokens and certificates are renewed while we run. */
  present(): Promise<{ readonly headers: Record<string, string>; readonly tls: TlsOptions; proxy?: string }>
}

export interface KubernetesDeps {
  readonly http: HttpFactory
  readonly env: Environment
  /** Where a pod finds its service account; another folder in tests. */
  readonly serviceAccount?: string
}

const text = (path: string, what: string): string => {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new AppError('bad_data', `${what} ${path}: ${messageOf(error)}`, { cause: error })
  }
}

const inCluster = ({
  env,
  serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount',
}: KubernetesDeps): Access => {
  const host = env['KUBERNETES_SERVICE_HOST']
  const port = env['KUBERNETES_SERVICE_PORT'] ?? '443'
  if (!host)
    throw new AppError(
      'bad_data',
      'kubernetes: this is no pod (KUBERNETES_SERVICE_HOST is not set); name a cluster by kubeconfig_file, or by api_server and token',
    )
  const file = (name: string): string => join(serviceAccount, name)
  return {
    server: `https://${host.includes(':') ? `[${host}]` : host}:${port}`,
    namespace: existsSync(file('namespace')) ? text(file('namespace'), 'namespace') : 'default',
    present: async () => ({
      headers: { authorization: `Bearer ${text(file('token'), "the service account's token")}` },
      tls: { ca: text(file('ca.crt'), "the cluster's certificate") },
    }),
  }
}

const tlsOf = ({ tls_config: t }: KubernetesAccess): TlsOptions => ({
  ...(t.ca_file === undefined ? {} : { ca: text(t.ca_file, 'ca_file') }),
  ...(t.cert_file === undefined ? {} : { cert: text(t.cert_file, 'cert_file') }),
  ...(t.key_file === undefined ? {} : { key: text(t.key_file, 'key_file') }),
  ...(t.server_name === undefined ? {} : { serverName: t.server_name }),
  verify: !t.insecure_skip_verify,
})

const byAddress = (access: KubernetesAccess, server: string): Access => ({
  server,
  namespace: 'default',
  present: async () => ({
    headers: access.token ? { authorization: `Bearer ${access.token.reveal()}` } : {},
    tls: tlsOf(access),
  }),
})

interface PresentedOptions {
  ca?: string | Buffer
  cert?: string | Buffer
  key?: string | Buffer
  servername?: string
  rejectUnauthorized?: boolean
  headers?: Record<string, string>
  auth?: string
}

const presentedBy = async (config: KubeConfig): ReturnType<Access['present']> => {
  const options: PresentedOptions = {}
  // Runs exec plugins and refreshes OIDC tokens where the kubeconfig says so.
  await config.applyToHTTPSOptions(options as never)
  const { ca, cert, key, servername, rejectUnauthorized, auth } = options
  const headers = Object.fromEntries(
    Object.entries(options.headers ?? {}).map(([k, v]) => [k.toLowerCase(), String(v)]),
  )
  if (auth !== undefined) headers['authorization'] = `Basic ${Buffer.from(auth).toString('base64')}`
  const proxy = config.getCurrentCluster()?.proxyUrl
  return {
    headers,
    tls: {
      ...(ca === undefined ? {} : { ca: String(ca) }),
      ...(cert === undefined ? {} : { cert: String(cert) }),
      ...(key === undefined ? {} : { key: String(key) }),
      ...(servername === undefined ? {} : { serverName: servername }),
      verify: rejectUnauthorized !== false,
    },
    ...(proxy === undefined ? {} : { proxy }),
  }
}

const byKubeconfig = async ({ context }: KubernetesAccess, file: string): Promise<Access> => {
  // 0.8 s and 60 MB: for those alone who bring a kubeconfig.
  const { KubeConfig } = await import('@kubernetes/client-node')
  const config = new KubeConfig()
  const bad = (why: string): AppError => new AppError('bad_data', `kubeconfig ${file}: ${why}`)
  try {
    config.loadFromFile(file)
  } catch (error) {
    throw bad(messageOf(error))
  }
  if (context !== undefined) config.setCurrentContext(context)
  const cluster = config.getCurrentCluster()
  if (!cluster) {
    const names = config.getContexts().map((c) => c.name)
    throw bad(
      `no context ${JSON.stringify(config.getCurrentContext())}; there is ${names.join(', ') || 'none'}`,
    )
  }
  if (cluster.proxyUrl?.startsWith('socks')) throw bad('a SOCKS proxy is not supported; use an HTTP proxy')
  // The client refuses plain HTTP (as of `kubectl proxy`) without this word; there is nothing to verify there.
  if (cluster.server.startsWith('http:')) Object.assign(cluster, { skipTLSVerify: true })
  return {
    server: cluster.server,
    namespace: config.getContextObject(config.getCurrentContext())?.namespace ?? 'default',
    present: () => presentedBy(config),
  }
}

/** A kubeconfig named by a relative path lies beside the configuration file that names it. */
export const resolvedAccess = <T extends KubernetesAccess>(access: T, configFile: string): T => {
  const at = (path: string | undefined): string | undefined =>
    path === undefined || isAbsolute(path) ? path : join(dirname(configFile), path)
  const t = access.tls_config
  const files = { ca_file: at(t.ca_file), cert_file: at(t.cert_file), key_file: at(t.key_file) }
  return { ...access, kubeconfig_file: at(access.kubeconfig_file), tls_config: { ...t, ...files } }
}

/** Lines of a body, the last one too when it has no end; one over 32 MiB is `too_large`. */
export const linesOf = async function* (body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    let from = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end))
      yield Buffer.concat(parts).toString('utf8')
      parts = []
      size = 0
      from = end + 1
    }
    if (from === chunk.length) continue
    parts.push(chunk.subarray(from))
    size += chunk.length - from
    if (size > 32 << 20) throw new AppError('too_large', 'a line of the watch is over 32 MiB')
  }
  if (size > 0) yield Buffer.concat(parts).toString('utf8')
}

/** What a Kubernetes answer says is wrong, in words. */
export const statusWords = ({ status, body }: Pick<KubernetesAnswer, 'status' | 'body'>): string => {
  const said = typeof body?.message === 'string' ? body.message : ''
  return said === '' ? `the API server answered ${status}` : `${status}: ${said}`
}

const parsed = (body: Buffer): KubernetesObject => {
  const words = body.toString('utf8')
  try {
    return JSON.parse(words)
  } catch {
    return { message: words.slice(0, 200).trim() }
  }
}

/** A client for where credentials and certificates come from elsewhere at each request. */
const presenting = (factory: HttpFactory, present: Access['present']): Http => {
  let made: { readonly from: string; readonly http: Http } | null = null
  /** The pool for the present certificates; those before it end with their last call. */
  const ready = async (): Promise<{ http: Http; headers: Record<string, string> }> => {
    const { headers, tls, proxy } = await present()
    const from = JSON.stringify([tls, proxy])
    if (made?.from !== from) {
      void made?.http.close().catch(() => undefined)
      const through = proxy === undefined ? {} : { proxy: { http: proxy, https: proxy, none: '' } }
      made = { from, http: factory({ tls, ...through, connections: streamConnections }) }
    }
    return { http: made.http, headers }
  }
  return {
    send: async (request) => {
      const { http, headers } = await ready()
      return http.send({ ...request, headers: { ...headers, ...request.headers } })
    },
    open: async (request) => {
      const { http, headers } = await ready()
      return http.open({ ...request, headers: { ...headers, ...request.headers } })
    },
    close: async () => {
      await made?.http.close()
    },
  }
}

class Connection implements KubernetesApi {
  readonly server: string
  readonly namespace: string
  readonly #http: Http

  constructor(server: string, namespace: string, http: Http) {
    this.server = server.replace(/\/+$/, '')
    this.namespace = namespace
    this.#http = http
  }

  #url(path: string, query: KubernetesRequest['query'] = {}): string {
    const url = new URL(`${this.server}${path}`)
    for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value))
    return url.href
  }

  async send({
    method = 'GET',
    path,
    query,
    body,
    contentType,
    signal,
  }: KubernetesRequest): Promise<KubernetesAnswer> {
    const type = body === undefined ? {} : { 'content-type': contentType ?? 'application/json' }
    const answer = await this.#http.send({
      url: this.#url(path, query),
      method,
      headers: { accept: 'application/json', ...type },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal,
      maxBytes: 256 << 20,
    })
    return { status: answer.status, headers: answer.headers, body: parsed(answer.body) }
  }

  async watch(path: string, query: KubernetesRequest['query'], signal: AbortSignal): Promise<WatchStream> {
    const url = this.#url(path, { ...query, watch: true })
    const { status, body } = await this.#http.open({ url, headers: { accept: 'application/json' }, signal })
    if (status === 200) return { status, why: '', lines: linesOf(body) }
    const parts: Uint8Array[] = []
    for await (const part of body) parts.push(part)
    return { status, why: statusWords({ status, body: parsed(Buffer.concat(parts)) }), lines: linesOf(body) }
  }

  async close(): Promise<void> {
    await this.#http.close()
  }
}

/** The API at `server`, over a client that brings credentials and certificates by itself. */
export const kubernetesOver = (server: string, namespace: string, http: Http): KubernetesApi =>
  new Connection(server, namespace, http)

/** Finds the cluster and who we are there; nothing is asked of it yet. `bad_data` when a file or a context is missing. */
export const openKubernetes = async (
  access: KubernetesAccess,
  deps: KubernetesDeps,
): Promise<KubernetesApi> => {
  const { api_server, kubeconfig_file } = access
  const found =
    api_server !== undefined
      ? byAddress(access, api_server)
      : kubeconfig_file !== undefined
        ? await byKubeconfig(access, kubeconfig_file)
        : inCluster(deps)
  return kubernetesOver(found.server, found.namespace, presenting(deps.http, found.present))
}
