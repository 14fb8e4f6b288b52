// Acknowledging: the page behind a signed link, and the same as JSON.
import { Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { html } from 'hono/html'
import { asAppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { iso } from '../../lib/time.ts'
import type { Actor } from '../../model/actor.ts'
import type { Escalation, OnCall } from '../../model/ports/on-call.ts'

export interface OncallApiDoors {
  readonly oncall: OnCall
  readonly log: Logger
  readonly actorOf: (request: Request) => Actor
}

const page = (title: string, body: unknown) => html`<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <meta name="referrer" content="same-origin">
    <title>${title}</title>
    <style>
      :root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
      main { max-width: 34rem; margin: 4rem auto; padding: 0 1rem }
      button { font: inherit; padding: .75rem 1.5rem; width: 100% }
      li { overflow-wrap: anywhere }
    </style>
  </head>
  <body><main><h1>${title}</h1>${body}</main></body>
</html>`

const nameOf = (e: Escalation): string =>
  e.notification.groupLabels['alertname'] ?? e.notification.commonLabels['alertname'] ?? e.groupKey

const alertsOf = (e: Escalation) => html`<ul>
  ${e.notification.alerts.slice(0, 20).map((a) => {
    const labels = Object.entries(a.labels).map(([k, v]) => `${k}=${v}`)
    return html`<li>${a.annotations['summary'] ?? ''} <small>${labels.join(' ')}</small></li>`
  })}
</ul>`

const standing = (e: Escalation): string => {
  if (e.status === 'resolved') return 'It is over already.'
  if (e.status === 'acknowledged') return `Acknowledged by ${e.acknowledgedBy ?? 'somebody'}.`
  return `Nobody has acknowledged it yet; it began at ${iso(e.startedAt)}.`
}

const escalationJson = (e: Escalation) => ({
  id: e.id,
  policy: e.policy,
  groupKey: e.groupKey,
  status: e.status,
  startedAt: iso(e.startedAt),
  nextAt: e.nextAt === null ? null : iso(e.nextAt),
  acknowledgedBy: e.acknowledgedBy,
  acknowledgedAt: e.acknowledgedAt === null ? null : iso(e.acknowledgedAt),
  endedAt: e.endedAt === null ? null : iso(e.endedAt),
  groupLabels: e.notification.groupLabels,
  commonLabels: e.notification.commonLabels,
  commonAnnotations: e.notification.commonAnnotations,
  pages: e.pages.map((p) => ({ ...p, at: iso(p.at) })),
})

/** `/oncall/ack/<token>`: needs no login, the link is the right. `/api/ops/v1/escalations`: behind the usual login. */
export const createOncallApi = ({ oncall, log, actorOf }: OncallApiDoors): Hono => {
  const app = new Hono()
  app.onError((error, c) => {
    const { status, message, code } = asAppError(error)
    if (status >= 500) log.error({ error: message, path: c.req.path }, 'on-call api failed')
    if (c.req.path.startsWith('/oncall/'))
      return c.html(page('This link does not work', html`<p>${message}</p>`), status as 400)
    return c.json({ error: { code, message } }, status as 400)
  })
  app.use('/oncall/*', async (c, next) => {
    await next()
    // The token stands in the address: it must not travel on, nor be kept. Not `no-referrer`: under it browsers send the button's form with
    // `Origin: null`, which is turned away as a foreign page.
    c.header('referrer-policy', 'same-origin')
    c.header('cache-control', 'no-store')
    c.header(
      'content-security-policy',
      "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    )
  })
  // Mail scanners and chat previews follow links: looking must not acknowledge, only the button does.
  app.get('/oncall/ack/:token', (c) => {
    const { escalation } = oncall.verifyLink(c.req.param('token'))
    const button = html`<form method="post"><button type="submit">Acknowledge</button></form>`
    return c.html(
      page(
        nameOf(escalation),
        html`<p>${standing(escalation)}</p>${alertsOf(escalation)}${escalation.status === 'open' ? button : ''}`,
      ),
    )
  })
  app.post('/oncall/ack/:token', bodyLimit({ maxSize: 4096 }), async (c) => {
    const { escalation, user } = oncall.verifyLink(c.req.param('token'))
    const after =
      escalation.status === 'resolved'
        ? escalation
        : await oncall.acknowledge(escalation.id, { id: `user:${user}`, kind: 'user' })
    return c.html(page(nameOf(after), html`<p>${standing(after)}</p>${alertsOf(after)}`))
  })
  app.get('/api/ops/v1/escalations', (c) => {
    const list = c.req.query('open') === 'true' ? oncall.open() : oncall.all()
    return c.json({ escalations: list.map(escalationJson) })
  })
  app.post('/api/ops/v1/escalations/:id/acknowledge', bodyLimit({ maxSize: 4096 }), async (c) =>
    c.json(escalationJson(await oncall.acknowledge(c.req.param('id'), actorOf(c.req.raw)))),
  )
  app.post('/api/ops/v1/escalations/:id/resolve', bodyLimit({ maxSize: 4096 }), async (c) =>
    c.json(escalationJson(await oncall.resolve(c.req.param('id'), actorOf(c.req.raw)))),
  )
  return app
}
