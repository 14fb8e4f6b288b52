// The HTTP server of one address: who asks is checked first, then the surfaces' own routes answer.
import { createAdaptorServer } from '@hono/node-server'
import { Hono, type MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { AppError, asAppError } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { Actor } from '../model/actor.ts'
import type { Service } from '../model/ports/service.ts'
import { noTracer, type Tracer } from '../model/ports/tracer.ts'
import { type Env, hearOut, plainError } from './mount.ts'

export interface Caller {
  readonly authorization: string | undefined
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly remoteAddress: string
  /** Whether a proxy says that it passes the request on. */
  readonly forwarded: boolean
  readonly method: string
  readonly path: string
}
/** Who a request comes from; throws `unauthorized` or `forbidden` with the mend. */
export type Authenticate = (caller: Caller) => Actor

export interface HttpServerDeps {
  readonly name: string
  /** `host:port`; port 0 takes a free one. */
  readonly listen: string
  readonly routes: (app: Hono<Env>) => void
  readonly authenticate: Authenticate
  /** An error in the form of the protocol that is spoken under a path; left out: text. */
  readonly refuse?: (error: AppError, path: string) => Response
  /** Makes a trace of each request; left out: none. */
  readonly tracer?: Tracer
  readonly log: Logger
}

/** Splits `host:port`, with `[::1]:port` for IPv6; throws `bad_data` with the mend. */
export const splitAddress = (address: string): { host: string; port: number } => {
  const m = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address)
  const port = Number(m?.[3])
  if (!m || port > 65_535)
    throw new AppError(
      'bad_data',
      `address ${JSON.stringify(address)}: write it as host:port, for example 127.0.0.1:9900`,
    )
  return { host: m[1] ?? m[2] ?? '', port }
}

const proxyHeaders = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip', 'via']

const checked =
  (authenticate: Authenticate): MiddlewareHandler<Env> =>
  async (c, next) => {
    const actor = authenticate({
      authorization: c.req.header('authorization'),
      host: c.req.header('host'),
      origin: c.req.header('origin'),
      remoteAddress: c.env.incoming.socket.remoteAddress ?? '',
      forwarded: proxyHeaders.some((name) => c.req.header(name) !== undefined),
      method: c.req.method,
      path: c.req.path,
    })
    c.set('actor', actor)
    await next()
  }

/** Probes and collectors ask all the time; and spans about spans would never end. */
const untraced = /^\/(-\/|metrics$|(api\/v1\/otlp\/)?v1\/traces\/?$)/

/** Named by the route, never by the address: that may hold a token. */
const traced =
  (tracer: Tracer): MiddlewareHandler<Env> =>
  (c, next) => {
    if (untraced.test(c.req.path)) return next()
    const paths = matchedRoutes(c).map((route) => route.path)
    const route = paths.findLast((path) => !path.endsWith('*')) ?? paths.at(-1) ?? '*'
    const about = { 'http.request.method': c.req.method, 'http.route': route }
    return tracer.span(
      `${c.req.method} ${route}`,
      about,
      async (note) => {
        await next()
        note({ 'http.response.status_code': c.res.status })
        if (c.res.status >= 500) note({ 'error.type': String(c.res.status) })
      },
      tracer.continued(c.req.header('traceparent')),
    )
  }

export const createHttpServer = ({
  name,
  listen,
  routes,
  authenticate,
  refuse = plainError,
  tracer = noTracer,
  log,
}: HttpServerDeps): Service & { address(): string } => {
  const { host, port } = splitAddress(listen)
  const app = new Hono<Env>()
  app.use(async (c, next) => {
    await next()
    if (c.res.status === 401) c.header('www-authenticate', 'Bearer realm="airboss"')
    if (c.res.status === 413 && !(await hearOut(c.env.incoming))) c.header('connection', 'close')
  })
  app.use(traced(tracer))
  app.use(checked(authenticate))
  app.onError((thrown, c) => {
    const error = asAppError(thrown)
    if (error.code === 'internal') log.error({ err: thrown, server: name }, 'request failed')
    return refuse(error, c.req.path)
  })
  app.notFound((c) => refuse(new AppError('not_found', `nothing at ${c.req.path}`), c.req.path))
  routes(app)
  const server = createAdaptorServer({ fetch: app.fetch })
  let address = ''
  return {
    address: () => address,
    start: () =>
      new Promise((resolve, reject) => {
        server.once('error', (error: NodeJS.ErrnoException) =>
          reject(
            new AppError(
              'unavailable',
              `${name}: cannot listen on ${listen}: ${error.code ?? error.message}; choose another address or stop what holds it`,
              { cause: error },
            ),
          ),
        )
        server.listen(port, host || undefined, () => {
          const bound = server.address()
          const at = typeof bound === 'object' && bound !== null ? bound.port : port
          address = `http://${host.includes(':') ? `[${host}]` : host || '127.0.0.1'}:${at}`
          resolve()
        })
      }),
    drain: () =>
      new Promise((resolve) => {
        if (!server.listening) return resolve()
        server.close(() => resolve())
        if ('closeIdleConnections' in server) server.closeIdleConnections()
        // Streams to consoles never end by themselves.
        if ('closeAllConnections' in server) server.closeAllConnections()
      }),
  }
}
