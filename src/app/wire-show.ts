// Show: the addresses people and programs come to.
import { createAlertmanagerApi } from '../api/alertmanager/alertmanager-api.ts'
import { mount, plainError } from '../api/mount.ts'
import { createOncallApi } from '../api/oncall/oncall-api.ts'
import { focusImport } from '../api/ops/focus-import.ts'
import { opsError } from '../api/ops/ops-api.ts'
import { errorResponse } from '../api/prometheus/encode.ts'
import { prometheusRoutes } from '../api/prometheus/routes.ts'
import { type Authenticate, createHttpServer, splitAddress } from '../api/server.ts'
import { consoleRoutes } from '../console/routes.ts'
import type { OpenLedger } from '../ledger/ledger.ts'
import { AppError } from '../lib/errors.ts'
import { formatDuration } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { CostReports } from '../model/ports/cost-reports.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Service } from '../model/ports/service.ts'
import { createReadOnlyFront } from '../store/readonly.ts'
import type { Context } from './context.ts'
import { version } from './package-root.ts'
import type { Reload } from './reload.ts'
import { shownConfig } from './shown-config.ts'
import { type Access, anonymous } from './wire-access.ts'
import type { Act } from './wire-act.ts'
import { wireConsole } from './wire-console.ts'
import type { Keep } from './wire-keep.ts'
import { wireOps } from './wire-ops.ts'
import type { Events, Receive } from './wire-receive.ts'
import type { Tell } from './wire-tell.ts'

export interface Addresses {
  readonly http: string
  readonly otlpHttp: string
  readonly otlpGrpc: string
  /** '' where a ClickHouse server is used. */
  readonly clickhouse: string
}

export interface ShowParts {
  readonly keep: Keep
  readonly ledger: OpenLedger
  readonly querier: Querier
  readonly tell: Tell
  readonly act: Act
  readonly receive: Receive
  readonly events: Events
  readonly access: Access
  readonly reload: Reload
  readonly costs: CostReports
}

const isLoopback = (host: string): boolean => /^(localhost|127\.|::1$)/.test(host)

export interface Show extends Service {
  addresses(): Addresses
}

const prometheusDoors = (context: Context, { keep, querier, tell, receive, reload }: ShowParts) => ({
  clock: context.clock,
  querier,
  index: keep.head,
  exemplars: keep.exemplars,
  labelsOf: (ref: number) => context.table.labels(ref),
  metadata: () => context.metadata.all(),
  ruleGroups: () => tell.rules.groups(),
  targets: () => receive.scraper.targets(),
  droppedTargets: () => receive.scraper.dropped(),
  remoteWrite: receive.remoteWrite,
  otlp: receive.otlpHttp,
  bodies: receive.bodies,
  version,
  startedAt: context.startedAt,
  timeout: context.settings.config.query.timeout,
  configText: () => shownConfig(reload.current().config),
  flags: () => ({ 'storage.path': context.settings.dataDir }),
  retention: formatDuration(context.settings.config.storage.retention.metrics),
})

/** What is refused before a surface sees it (who asks, where from) is still said in that surface's own form. */
const refuse = (error: AppError, path: string): Response => {
  if (path.startsWith('/api/ops/')) return opsError(error)
  if (path.startsWith('/api/v1/') && !path.startsWith('/api/v1/write') && !path.startsWith('/api/v1/otlp'))
    return errorResponse(error)
  if (path.startsWith('/api/v2/')) return Response.json(error.message, { status: error.status })
  return plainError(error)
}

/** A hook without a secret of its own is called like the rest of the API. */
const mayPost = ({ authorizer }: Access, actor: Actor): void => {
  if (actor.id === anonymous.id)
    throw new AppError(
      'unauthorized',
      'this hook has no secret of its own: send Authorization: Bearer <token>',
    )
  const why = authorizer.may(actor, 'write', 'samples')
  if (why !== null) throw new AppError('forbidden', why)
}

/** The console's and the APIs' server. */
const mainServer = (context: Context, parts: ShowParts, authenticate: Authenticate) => {
  const { clock, log, metrics, settings } = context
  const { tell, receive, events, reload } = parts
  const actors = new WeakMap<Request, Actor>()
  const actorOf = (request: Request): Actor => actors.get(request) ?? { id: 'anonymous', kind: 'anonymous' }
  return createHttpServer({
    name: 'http',
    listen: settings.config.listen.http,
    authenticate,
    refuse,
    tracer: context.tracing,
    log,
    routes: (app) => {
      app.use(async (c, next) => {
        actors.set(c.req.raw, c.get('actor'))
        await next()
      })
      app.get('/-/healthy', (c) => c.text('Airboss is healthy.\n'))
      app.get('/-/ready', (c) => c.text('Airboss is ready.\n'))
      app.post('/-/reload', async (c) => {
        await reload.now()
        return c.text('reloaded\n')
      })
      app.get('/metrics', async (c) =>
        c.body(await metrics.text(), 200, { 'content-type': metrics.contentType }),
      )
      const { push } = receive.inlets
      if (push) {
        const methods = ['PUT', 'POST', 'DELETE']
        app.on(methods, ['/metrics/job/*', '/metrics/job@base64/*'], mount(push, receive.bodies))
        app.get('/api/v1/metrics', mount(push.listing, receive.bodies))
        app.put('/api/v1/admin/wipe', mount(push.wipe, receive.bodies))
      }
      app.post('/api/ops/v1/events', mount(events, receive.bodies, opsError))
      app.post('/api/ops/v1/costs', mount(receive.costs, receive.bodies, opsError))
      app.post('/api/ops/v1/hooks/:name', async (c, next) => {
        if (receive.inlets.hooks.needsAccess(c.req.param('name'))) mayPost(parts.access, c.get('actor'))
        await next()
      })
      app.post('/api/ops/v1/hooks/:name', mount(receive.inlets.hooks, receive.bodies, opsError))
      app.post(
        '/api/ops/v1/costs/focus',
        focusImport((body, form, signal) => receive.bills.take(body, form, signal), opsError),
      )
      app.route('/', createOncallApi({ oncall: tell.oncall, log, actorOf }))
      app.route('/', wireOps(context, parts))
      app.route('/', createAlertmanagerApi({ alerts: tell.alerts, clock, log, actorOf, version }))
      prometheusRoutes(app, prometheusDoors(context, parts))
      app.route('/', consoleRoutes(wireConsole(context, parts, actorOf)))
    },
  })
}

export const wireShow = (context: Context, parts: ShowParts): Show => {
  const { log, metrics, settings } = context
  const { keep, receive, access } = parts
  const { listen } = settings.config
  const main = mainServer(context, parts, access.http)
  const otlp = createHttpServer({
    name: 'otlp-http',
    listen: listen.otlp_http,
    authenticate: access.http,
    tracer: context.tracing,
    log,
    routes: (app) => app.all('/v1/*', mount(receive.otlpHttp, receive.bodies)),
  })
  const { engine } = keep
  const readonly = engine
    ? createReadOnlyFront({
        listen: splitAddress(listen.clickhouse),
        url: () => engine.url(),
        credentials: engine.credentials,
        database: 'airboss',
        log,
        metrics,
        ...(access.passwordless && isLoopback(splitAddress(listen.clickhouse).host)
          ? {}
          : { admit: (_user, password) => access.byPassword(password) }),
      })
    : null
  const servers: Service[] = [main, otlp, receive.otlpGrpc, ...(readonly ? [readonly] : [])]
  return {
    addresses: () => {
      const at = readonly?.address()
      return {
        http: main.address(),
        otlpHttp: otlp.address(),
        otlpGrpc: receive.otlpGrpc.address(),
        clickhouse: at ? `http://${at.host}:${at.port}` : '',
      }
    },
    start: async () => {
      for (const server of servers) await server.start()
    },
    drain: async () => {
      await Promise.all(servers.map((server) => server.drain()))
    },
  }
}
