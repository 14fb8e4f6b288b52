// A Kubernetes API server on loopback, true to the wire: versions and conflicts, lists in pages, watches, patches, subresources, and faults on demand.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { certify, makeAuthority } from './certificates.ts'
import { patched } from './fake-kubernetes-patch.ts'
import { apiVersionOf, type Resource, resources } from './fake-kubernetes-resources.ts'
import { selectorOf } from './fake-kubernetes-selector.ts'
import { type Json, StatusError } from './fake-kubernetes-status.ts'
import { FakeStore, type Name, type WriteOptions } from './fake-kubernetes-store.ts'
import { createWatches, type Watches } from './fake-kubernetes-watch.ts'

export interface Asked {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly query: URLSearchParams
  readonly headers: IncomingMessage['headers']
  readonly body: Json
  /** `list`, `watch`, `get`, `create`, `update`, `patch`, `delete`. */
  readonly verb: string
  /** `deployments`, `deployments/scale` … '' for what is no resource. */
  readonly resource: string
  readonly namespace: string
  readonly name: string
  readonly user: string
}

/**
 * What happens to a request instead of its answer: a status, no answer at all, a broken connection; `lose` does what was asked and then
 * breaks the connection before the answer.
 */
export type FaultAnswer =
  | { readonly status: number; readonly body?: Json; readonly headers?: Readonly<Record<string, string>> }
  | 'hang'
  | 'reset'
  | 'lose'

export interface FakeKubernetesOptions {
  readonly https?: boolean
  /** Users by bearer token; without any, everybody may come in. */
  readonly tokens?: Readonly<Record<string, string>>
  /** Milliseconds since the epoch, for the times the server sets. */
  readonly now?: () => number
}

export interface FakeKubernetes {
  readonly url: string
  readonly asked: Asked[]
  readonly watches: Watches
  readonly store: FakeStore
  /** Whether a user may not do something; answered with 403. */
  forbid: (asked: Asked) => boolean
  /** Asked for each request that may come in; what it gives happens instead of the answer. It may also change things before the answer. */
  fault: (asked: Asked) => FaultAnswer | null | undefined
  /** As `fault`, for the next `times` requests that fit. */
  failNext(fits: (asked: Asked) => boolean, answer: FaultAnswer, times?: number): void
  /** Puts an object there with its status, as the cluster itself would. */
  put(object: Json): Json
  get(plural: string, name: string, namespace?: string): Json
  remove(plural: string, name: string, namespace?: string): void
  /** The requests that are no reads. */
  writes(): Asked[]
  /** A kubeconfig file's text, with a token or with the client certificate. */
  kubeconfig(auth: { token: string } | 'certificate' | 'none'): string
  readonly ca: string
  /** Goes away as a server that dies; `up` brings it back under the same address, with all it had. */
  down(): Promise<void>
  up(): Promise<void>
  close(): Promise<void>
}

interface Target {
  readonly resource: Resource
  readonly namespace: string
  readonly name: string
  readonly subresource: string
}

/** The resource that a path is about, or null. */
const targetOf = (path: string): Target | null => {
  const words = path
    .split('/')
    .filter((w) => w !== '')
    .map(decodeURIComponent)
  const core = words[0] === 'api'
  const apiVersion = core ? words[1] : `${words[1]}/${words[2]}`
  let rest = words.slice(core ? 2 : 3)
  let namespace = ''
  if (rest[0] === 'namespaces' && rest.length >= 3 && rest[2] !== 'status') {
    namespace = rest[1]!
    rest = rest.slice(2)
  }
  const [plural, name = '', subresource = ''] = rest
  const resource = resources.find((r) => r.plural === plural && apiVersionOf(r) === apiVersion)
  if (!resource || rest.length > 3 || (subresource !== '' && !resource.subresources.includes(subresource)))
    return null
  if (!resource.namespaced && namespace !== '') return null
  return { resource, namespace, name, subresource }
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'patch',
  DELETE: 'delete',
}
const verbOf = (method: string, target: Target | null, query: URLSearchParams): string => {
  if (method !== 'GET') return verbs[method] ?? method.toLowerCase()
  if (target?.name) return 'get'
  return ['1', 'true'].includes(query.get('watch') ?? '') ? 'watch' : 'list'
}

const bodyOf = async (request: IncomingMessage): Promise<Json> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  const text = Buffer.concat(parts).toString()
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return text
  }
}

const listed = (store: FakeStore, { resource, namespace }: Target, query: URLSearchParams): Json => {
  const matches = selectorOf(resource, query, namespace)
  const limit = Number(query.get('limit') ?? 0)
  const token = query.get('continue')
  const asked = Number(query.get('resourceVersion') ?? 0)
  if (asked > store.version)
    throw new StatusError(504, 'Timeout', `Too large resource version: ${asked}, current: ${store.version}`, {
      causes: [{ reason: 'ResourceVersionTooLarge', message: 'Too large resource version' }],
      retryAfterSeconds: 1,
    })
  const exact = query.get('resourceVersionMatch') === 'Exact'
  const page =
    token === null
      ? { version: exact ? asked : store.version, from: 0 }
      : JSON.parse(Buffer.from(token, 'base64url').toString())
  const all = store.list(resource, page.version).filter(matches)
  const items = limit > 0 ? all.slice(page.from, page.from + limit) : all.slice(page.from)
  const left = all.length - page.from - items.length
  const next = Buffer.from(
    JSON.stringify({ version: page.version, from: page.from + items.length }),
  ).toString('base64url')
  return {
    kind: `${resource.kind}List`,
    apiVersion: apiVersionOf(resource),
    metadata: {
      resourceVersion: String(page.version),
      ...(left > 0 ? { continue: next, remainingItemCount: left } : {}),
    },
    // As the real server sends them: items of a list do not say their kind.
    items: items.map(({ kind: _, apiVersion: __, ...rest }) => rest),
  }
}

const writeOptions = (asked: Asked, subresource: string): WriteOptions => {
  const dryRun = asked.query.getAll('dryRun')
  if (dryRun.some((d) => d !== 'All'))
    throw new StatusError(
      400,
      'BadRequest',
      `dryRun: Unsupported value: ${JSON.stringify(dryRun[0])}: supported values: "All"`,
    )
  const agent = (asked.headers['user-agent'] ?? 'unknown').split('/')[0]!
  return { dryRun: dryRun.length > 0, fieldManager: asked.query.get('fieldManager') ?? agent, subresource }
}

const scaled = (store: FakeStore, at: Name, asked: Asked, options: WriteOptions): Json => {
  if (asked.verb === 'get') return store.scaleOf(at)
  if (asked.verb === 'update') return store.setScale(at, () => asked.body, options)
  if (asked.verb === 'patch')
    return store.setScale(
      at,
      (scale) => patched(scale, asked.body, asked.headers['content-type'] ?? ''),
      options,
    )
  throw new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
  )
}

const done = (store: FakeStore, target: Target, asked: Asked): Json => {
  const { resource, subresource, namespace, name } = target
  const at = { resource, namespace, name }
  const options = writeOptions(asked, subresource)
  if (subresource === 'scale') return scaled(store, at, asked, options)
  if (name === '' && asked.verb === 'create') return store.create(at, asked.body, options)
  if (asked.verb === 'list') return listed(store, target, asked.query)
  if (name !== '' && asked.verb === 'get') return store.get(at)
  if (name !== '' && asked.verb === 'update') return store.update(at, asked.body, options)
  if (name !== '' && asked.verb === 'patch')
    return store.patch(at, asked.body, asked.headers['content-type'] ?? '', options)
  if (name !== '' && subresource === '' && asked.verb === 'delete')
    return store.delete(at, asked.body, options)
  throw new StatusError(
    405,
    'MethodNotAllowed',
    'the server does not allow this method on the requested resource',
  )
}

const forbidden = ({ user, verb, resource, namespace, name }: Asked, group: string): StatusError => {
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
  const what = `${resource.split('/')[0]}${group && `.${group}`}`
  return new StatusError(
    403,
    'Forbidden',
    `${what}${name && ` "${name}"`} is forbidden: User "${user}" cannot ${verb} resource "${resource}" in API group "${group}" ${where}`,
  )
}

const send = (
  response: ServerResponse,
  status: number,
  body: Json,
  headers: Readonly<Record<string, string>> = {},
): void => {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}
const authority = makeAuthority()
const client = certify(authority, 'fake-kubernetes-client')

class Fake implements FakeKubernetes {
  readonly asked: Asked[] = []
  readonly store: FakeStore
  readonly watches: Watches
  readonly ca = authority.cert
  forbid: FakeKubernetes['forbid'] = () => false
  fault: FakeKubernetes['fault'] = () => null
  readonly #options: FakeKubernetesOptions
  readonly #next: { fits: (asked: Asked) => boolean; answer: FaultAnswer; times: number }[] = []
  #server: Server | null = null
  #port = 0

  constructor(options: FakeKubernetesOptions) {
    this.#options = options
    this.store = new FakeStore(options.now ?? Date.now)
    this.watches = createWatches(this.store)
  }

  get url(): string {
    return `${this.#options.https ? 'https' : 'http'}://127.0.0.1:${this.#port}`
  }

  async up(): Promise<void> {
    const handle = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response).catch(() => response.destroy())
    }
    const tls = {
      ...certify(authority, 'localhost'),
      ca: authority.cert,
      requestCert: true,
      rejectUnauthorized: false,
    }
    const server = this.#options.https ? createSecureServer(tls, handle) : createServer(handle)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(this.#port, '127.0.0.1', resolve)
    })
    this.#port = (server.address() as AddressInfo).port
    this.#server = server
  }

  async down(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (!server) return
    const closed = new Promise<void>((resolve) => server.close(() => resolve()))
    server.closeAllConnections()
    await closed
  }

  close(): Promise<void> {
    return this.down()
  }

  failNext(fits: (asked: Asked) => boolean, answer: FaultAnswer, times = 1): void {
    this.#next.push({ fits, answer, times })
  }

  #faultOf(asked: Asked): FaultAnswer | null | undefined {
    const next = this.#next.find((n) => n.times > 0 && n.fits(asked))
    if (!next) return this.fault(asked)
    next.times--
    return next.answer
  }

  put(object: Json): Json {
    return this.store.put(object)
  }

  #named(plural: string, name: string, namespace: string): Name {
    const resource = resources.find((r) => r.plural === plural)!
    return { resource, namespace: resource.namespaced ? namespace : '', name }
  }

  get(plural: string, name: string, namespace = 'default'): Json {
    return this.store.get(this.#named(plural, name, namespace))
  }

  remove(plural: string, name: string, namespace = 'default'): void {
    this.store.delete(this.#named(plural, name, namespace), null)
  }

  writes(): Asked[] {
    return this.asked.filter((a) => ['create', 'update', 'patch', 'delete'].includes(a.verb))
  }

  kubeconfig(auth: { token: string } | 'certificate' | 'none'): string {
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    // The official client refuses plain HTTP without that word.
    const trust = this.#options.https
      ? { 'certificate-authority-data': base64(authority.cert) }
      : { 'insecure-skip-tls-verify': true }
    const cluster = { server: this.url, ...trust }
    const user =
      auth === 'none'
        ? {}
        : auth === 'certificate'
          ? { 'client-certificate-data': base64(client.cert), 'client-key-data': base64(client.key) }
          : auth
    return JSON.stringify({
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'fake', cluster }],
      users: [{ name: 'me', user }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'me' } }],
      'current-context': 'fake',
    })
  }

  /** Who asks: by client certificate or bearer token; null is nobody known. */
  #user(request: IncomingMessage): string | null {
    const socket = request.socket as TLSSocket
    if (socket.authorized) return String(socket.getPeerCertificate().subject.CN)
    const { tokens } = this.#options
    if (!tokens) return 'system:anonymous'
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    return (bearer !== undefined && tokens[bearer]) || null
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url)
    const target = targetOf(url.pathname)
    const user = this.#user(request)
    const asked: Asked = {
      method: request.method ?? 'GET',
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body: await bodyOf(request),
      verb: verbOf(request.method ?? 'GET', target, url.searchParams),
      resource: target ? `${target.resource.plural}${target.subresource && `/${target.subresource}`}` : '',
      namespace: target?.namespace ?? '',
      name: target?.name ?? '',
      user: user ?? '',
    }
    this.asked.push(asked)
    const fault = this.#faultOf(asked)
    if (fault === 'hang') return
    if (fault === 'reset') {
      response.destroy()
      return
    }
    if (typeof fault === 'object' && fault !== null) {
      const body =
        fault.body ?? new StatusError(fault.status, 'InternalError', `injected ${fault.status}`).body()
      send(response, fault.status, body, fault.headers)
      return
    }
    try {
      this.#answer(asked, target, response, fault === 'lose')
    } catch (error) {
      if (!(error instanceof StatusError)) throw error
      send(response, error.code, error.body())
    }
  }

  #answer(asked: Asked, target: Target | null, response: ServerResponse, lost: boolean): void {
    if (asked.user === '') throw new StatusError(401, 'Unauthorized', 'Unauthorized')
    if (asked.path === '/version') {
      send(response, 200, { major: '1', minor: '34', gitVersion: 'v1.34.1' })
      return
    }
    if (!target) throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    if (this.forbid(asked)) throw forbidden(asked, target.resource.group)
    if (asked.verb === 'watch') {
      const matches = selectorOf(target.resource, asked.query, target.namespace)
      this.watches.open(target.resource, matches, asked.query, response)
      return
    }
    const body = done(this.store, target, asked)
    if (lost) response.destroy()
    else send(response, asked.verb === 'create' ? 201 : 200, body)
  }
}

/** Starts one on a free port of loopback; `close` it after the test. */
export const startFakeKubernetes = async (options: FakeKubernetesOptions = {}): Promise<FakeKubernetes> => {
  const fake = new Fake(options)
  await fake.up()
  return fake
}
