// The HTTP server of one address: who asks is checked first, then the surfaces' own routes answer.
import { createAdaptorServer } from '@hono/node-server'
import { Hono, type MiddlewareHandler } from 'hono'
import { matchedRoutes } from 'hono/route'
import { AppError, asAppError } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { Actor } from '../model/actor.ts'
import type { Service } from '../model/ports/service.ts'
import { noTracer, type Tracer } from '../model/ports/tracer.ts'
import { type TakenAddress, takeAddress } from './address.ts'
import { type Env, hearOut, plainError } from './mount.ts'

export interface Caller {
  readonly authorization: string | undefined
  readonly host: string | undefined
  readonly origin: string | undefined
  readonly remoteAddress: string
  readonly method: string
  readonly path: string
}
/** Who a request comes from; throws `unauthorized` or `forbidden` with the mend. */
export type Authenticate = (caller: Caller) => Actor

export interface HttpServerDeps {
  readonly name: string
  /** `host:port`, where port 0 takes a free one; or an address that is taken already. */
  readonly listen: string | TakenAddress
  readonly routes: (app: Hono<Env>) => void
  readonly authenticate: Authenticate
  /** An error in the form of the protocol that is spoken under a path; left out: text. */
  readonly refuse?: (error: AppError, path: string) => Response
  /** Makes a trace of each request; left out: none. */
  readonly tracer?: Tracer
  readonly log: Logger
}

const checked =
  (authenticate: Authenticate): MiddlewareHandler<Env> =>
  async (c, next) => {
    const actor = authenticate({
      authorization: c.req.header('authorization'),
      host: c.req.header('host'),
      origin: c.req.header('origin'),
      remoteAddress: c.env.incoming.socket.remoteAddress ?? '',
      method: c.req.method,
      path: c.req.path,
    })
    c.set('actor', actor)
    await next()
  }

/** Probes and collectors ask all the time; and spans about spans would never end. */
const untraced = /^\/(-\/|metrics$|v1\/traces$)/

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
      null,
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
  const app = new Hono<Env>()
  app.use(async (c, next) => {
    await next()
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
    start: async () => {
      const taken = typeof listen === 'string' ? await takeAddress(name, listen) : listen
      await new Promise<void>((resolve, reject) => {
        server.once('error', reject)
        server.listen(taken.held, resolve)
      })
      address = taken.local
    },
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
