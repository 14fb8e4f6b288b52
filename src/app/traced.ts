// Wrappers that make spans around doors, each of the type it wraps: the rooms behind them know nothing of it.
import type { Clock } from '../lib/clock.ts'
import type { HttpSend } from '../lib/http.ts'
import type { Instant } from '../lib/time.ts'
import { type Alert, fingerprint, type Notification } from '../model/alert.ts'
import type { Batch } from '../model/batch.ts'
import { countRows } from '../model/packed-rows.ts'
import type { Actuator } from '../model/ports/actuator.ts'
import type { AlertSink } from '../model/ports/alert-sink.ts'
import type { Notifier } from '../model/ports/notifier.ts'
import type { Pager } from '../model/ports/pager.ts'
import type { Querier } from '../model/ports/querier.ts'
import type { Sink } from '../model/ports/sink.ts'
import type { TracePlace, Tracer } from '../model/ports/tracer.ts'

/**
 * Only within a trace, never to begin one: our own spans come back to us outside of any, and so does what is counted from them. A span about
 * that would be sent, come back, be counted, and so on without end.
 */
export const tracedSink = (tracer: Tracer, sink: Sink<Batch>): Sink<Batch> => ({
  push: (batch, signal) => {
    if (tracer.here() === null) return sink.push(batch, signal)
    const about = {
      'airboss.samples': batch.ref.length,
      'airboss.spans': countRows(batch.spans),
      'airboss.log_records': countRows(batch.logs),
    }
    return tracer.span('log push', about, () => sink.push(batch, signal))
  },
})

/** Expressions are cut: a span is no place for a page of text. */
const longestText = 500

export const tracedQuerier = (tracer: Tracer, querier: Querier): Querier => ({
  check: (expr) => querier.check(expr),
  instant: (expr, at, signal) =>
    tracer.span('query', { 'db.query.text': expr.slice(0, longestText) }, () =>
      querier.instant(expr, at, signal),
    ),
  range: (expr, span, signal) =>
    tracer.span('query range', { 'db.query.text': expr.slice(0, longestText) }, () =>
      querier.range(expr, span, signal),
    ),
})

export const tracedActuator = (tracer: Tracer, actuator: Actuator): Actuator => ({
  act: (action, by, signal) =>
    tracer.span(
      'action',
      { 'airboss.action': action.id, 'airboss.action.kind': action.kind },
      async (note) => {
        const outcome = await actuator.act(action, by, signal)
        note({ 'airboss.outcome': outcome.outcome })
        return outcome
      },
    ),
  rehearse: async (action, by, signal) => (await actuator.rehearse?.(action, by, signal)) ?? '',
})

/** One attempt. The path may be a secret, so only the host is named. */
export const tracedSend =
  (tracer: Tracer, send: HttpSend): HttpSend =>
  (request) =>
    tracer.span(
      'delivery',
      {
        'http.request.method': request.method ?? 'GET',
        'server.address': URL.canParse(request.url) ? new URL(request.url).host : '',
      },
      async (note) => {
        const answer = await send(request)
        note({ 'http.response.status_code': answer.status })
        return answer
      },
    )

export interface AlertTraces {
  alertSink(sink: AlertSink): AlertSink
  notifier(name: string, notifier: Notifier): Notifier
  pager(user: string, pager: Pager): Pager
}

interface Remembered {
  readonly startsAt: Instant
  readonly over: boolean
  readonly place: TracePlace
}

/** Past this many alerts the oldest are forgotten, and what is sent about them begins a trace of its own. */
const mostRemembered = 10_000

/**
 * A notification waits for its group and a page for its step, long after what they come from has ended. So the place where each alert
 * began or ended is remembered, and whatever is sent about it goes on from there: from the alert that changed last, where there are several.
 */
export const traceAlerts = (tracer: Tracer, clock: Clock): AlertTraces => {
  const places = new Map<string, Remembered>()
  const remember = (alert: Alert): void => {
    const key = fingerprint(alert.labels)
    const over = alert.endsAt <= clock.now()
    const known = places.get(key)
    // An alert that goes on firing is pushed again and again.
    if (known?.startsAt === alert.startsAt && known.over === over) return
    places.delete(key)
    places.set(key, { startsAt: alert.startsAt, over, place: tracer.here() })
    if (places.size > mostRemembered) places.delete(places.keys().next().value!)
  }
  const placeOf = ({ alerts }: Notification): TracePlace => {
    const marks = new Set(alerts.map((a) => a.fingerprint))
    let newest: TracePlace = null
    for (const [key, { place }] of places) if (marks.has(key)) newest = place ?? newest
    return newest
  }
  return {
    alertSink: (sink) => ({
      push: (alerts, signal) =>
        tracer.span('alert push', { 'airboss.alerts': alerts.length }, () => {
          for (const alert of alerts) remember(alert)
          return sink.push(alerts, signal)
        }),
    }),
    notifier: (name, notifier) => ({
      notify: (notification, signal) =>
        tracer.span(
          'notification',
          {
            'airboss.receiver': notification.receiver,
            'airboss.integration': name,
            'airboss.status': notification.status,
            'airboss.alerts': notification.alerts.length,
          },
          async (note) => {
            const delivery = await notifier.notify(notification, signal)
            note({ 'airboss.outcome': delivery.outcome })
            return delivery
          },
          placeOf(notification),
        ),
    }),
    pager: (user, pager) => ({
      page: (page, signal) =>
        tracer.span(
          'page',
          {
            'airboss.user': user,
            'airboss.policy': page.escalation.policy,
            'airboss.step': page.escalation.step,
          },
          async (note) => {
            const delivery = await pager.page(page, signal)
            note({ 'airboss.outcome': delivery.outcome })
            return delivery
          },
          placeOf(page.notification),
        ),
    }),
  }
}
