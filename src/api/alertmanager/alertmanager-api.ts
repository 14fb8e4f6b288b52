// Alertmanager's API v2, so that amtool, Prometheus, Grafana and Karma find what they know.
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import type { Clock } from '../../lib/clock.ts'
import { asAppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { iso } from '../../lib/time.ts'
import type { Actor } from '../../model/actor.ts'
import type { AlertFilter, AlertManager } from '../../model/ports/alert-manager.ts'
import { alertJson, groupJson, readAlerts, readSilence, silenceJson } from './wire.ts'

export interface AlertmanagerApiDoors {
  readonly alerts: AlertManager
  readonly clock: Clock
  readonly log: Logger
  /** Who asks; requests that may not are turned away before they come here. */
  readonly actorOf: (request: Request) => Actor
  readonly version: string
}

const mostBytes = 16 << 20

const flag = (c: Context, name: string): boolean => c.req.query(name) !== 'false'

const filterOf = (c: Context): AlertFilter => ({
  active: flag(c, 'active'),
  silenced: flag(c, 'silenced'),
  inhibited: flag(c, 'inhibited'),
  unprocessed: flag(c, 'unprocessed'),
  muted: flag(c, 'muted'),
  matchers: c.req.queries('filter') ?? [],
  receiver: c.req.query('receiver') ?? '',
})

const statusJson = ({ alerts, version }: AlertmanagerApiDoors) => {
  const { startedAt, config } = alerts.status()
  return {
    cluster: { status: 'disabled', name: '', peers: [] },
    config: { original: config },
    uptime: iso(startedAt),
    versionInfo: {
      version,
      revision: '',
      branch: '',
      buildUser: 'airboss',
      buildDate: '',
      goVersion: '',
    },
  }
}

/** Routes under `/api/v2`. Errors are JSON strings, as Alertmanager's clients expect. */
export const createAlertmanagerApi = (doors: AlertmanagerApiDoors): Hono => {
  const { alerts, clock, log, actorOf } = doors
  const app = new Hono()
  app.onError((error, c) => {
    const { status, message } = asAppError(error)
    if (status >= 500) log.error({ error: message, path: c.req.path }, 'alertmanager api failed')
    return c.json(message, status as 400)
  })
  const limit = bodyLimit({
    maxSize: mostBytes,
    onError: (c) => c.json(`the body is over ${mostBytes} bytes; send fewer alerts at a time`, 413),
  })
  app.get('/api/v2/status', (c) => c.json(statusJson(doors)))
  app.get('/api/v2/receivers', (c) => c.json(alerts.receivers().map((name) => ({ name }))))
  app.get('/api/v2/alerts', (c) => c.json(alerts.alerts(filterOf(c)).map(alertJson)))
  app.get('/api/v2/alerts/groups', (c) => c.json(alerts.groups(filterOf(c)).map(groupJson)))
  app.post('/api/v2/alerts', limit, async (c) => {
    await alerts.post(readAlerts(await c.req.text()), c.req.raw.signal)
    return c.body(null, 200)
  })
  app.get('/api/v2/silences', (c) => c.json(alerts.silences(c.req.queries('filter') ?? []).map(silenceJson)))
  app.post('/api/v2/silences', limit, async (c) => {
    const wanted = readSilence(await c.req.text(), clock.now())
    return c.json({ silenceID: await alerts.setSilence(wanted, actorOf(c.req.raw)) })
  })
  app.get('/api/v2/silence/:id', (c) => {
    const silence = alerts.silence(c.req.param('id'))
    return silence ? c.json(silenceJson(silence)) : c.json(`silence ${c.req.param('id')} not found`, 404)
  })
  app.delete('/api/v2/silence/:id', async (c) => {
    await alerts.expireSilence(c.req.param('id'), actorOf(c.req.raw))
    return c.body(null, 200)
  })
  return app
}
