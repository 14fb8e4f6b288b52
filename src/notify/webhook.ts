// Webhooks: a group of alerts as Alertmanager's version 4 payload.
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { durationSchema, fileSecret, type Secret } from '../lib/config.ts'
import { hash64 } from '../lib/hash.ts'
import type { HttpSend } from '../lib/http.ts'
import { type Duration, duration, iso, second } from '../lib/time.ts'
import type { Notification, NotifiedAlert } from '../model/alert.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import type { Delivery, Notifier } from '../model/ports/notifier.ts'
import type { Pager } from '../model/ports/pager.ts'
import { deliveryOf, deliveryOfError } from './answer.ts'
import { type HttpConfig, httpConfigSchema } from './http-config.ts'

export const webhookSchema = (context: ChannelContext) =>
  z
    .strictObject({
      url: context.secret.optional(),
      url_file: z.string().optional(),
      http_config: httpConfigSchema(context).optional(),
      max_alerts: z.number().int().min(0).default(0),
      timeout: durationSchema.default(duration(0)),
      payload: z.undefined('payload is not yet supported; remove it').optional(),
    })
    .refine((c) => (c.url === undefined) !== (c.url_file === undefined), 'give one of url and url_file')
    .transform(({ url, url_file, ...rest }) => ({
      ...rest,
      url: url ?? fileSecret(context.path(url_file ?? '')),
    }))
    .superRefine((c, ctx) => {
      const written = c.url instanceof Object ? safeReveal(c.url) : null
      if (written !== null && !/^https?:\/\//.test(written))
        ctx.addIssue('url must begin with http:// or https://')
    })

/** A secret that stands in a file may not be there yet: that is told when it is needed. */
const safeReveal = (secret: Secret): string | null => {
  try {
    return secret.reveal()
  } catch {
    return null
  }
}

export type WebhookConfig = z.output<ReturnType<typeof webhookSchema>>

export interface WebhookDeps {
  readonly http: HttpConfig
  readonly send: HttpSend
  readonly clock: Clock
}

const attemptTime = duration(30 * second)

const alertJson = (a: NotifiedAlert) => ({
  status: a.status,
  labels: a.labels,
  annotations: a.annotations,
  startsAt: iso(a.startsAt),
  // Go's zero time, as receivers know it from Alertmanager: it has not ended.
  endsAt: a.status === 'resolved' ? iso(a.endsAt) : '0001-01-01T00:00:00Z',
  generatorURL: a.generatorURL,
  fingerprint: a.fingerprint,
})

/** Alertmanager's payload, version 4; `most` alerts at most, 0 = all. */
export const webhookPayload = (n: Notification, most = 0) => {
  const shown = most > 0 ? n.alerts.slice(0, most) : n.alerts
  return {
    receiver: n.receiver,
    status: n.status,
    alerts: shown.map(alertJson),
    groupLabels: n.groupLabels,
    commonLabels: n.commonLabels,
    commonAnnotations: n.commonAnnotations,
    externalURL: n.externalURL,
    version: '4',
    groupKey: n.groupKey,
    truncatedAlerts: n.truncatedAlerts + n.alerts.length - shown.length,
    notification_reason: n.reason,
    routeLabels: n.routeLabels,
  }
}

/** Names one notification: a retry of it, after a restart too, carries the same, so that a receiver can take it once. */
export const idempotencyKey = (n: Notification): string =>
  hash64([
    n.groupKey,
    n.receiver,
    String(n.at),
    n.status,
    ...n.alerts.map((a) => `${a.fingerprint}${a.status}`),
  ])

const post = async (
  url: Secret,
  deps: WebhookDeps,
  payload: unknown,
  key: string,
  time: Duration,
  signal: AbortSignal,
): Promise<Delivery> => {
  try {
    const answer = await deps.send({
      url: url.reveal(),
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': key, ...deps.http.headers() },
      body: JSON.stringify(payload),
      signal: deps.clock.timeout(time, signal),
      follow: deps.http.follow,
    })
    return deliveryOf(answer, deps.clock.now())
  } catch (error) {
    return deliveryOfError(error)
  }
}

export const createWebhook = (config: WebhookConfig, deps: WebhookDeps): Notifier => ({
  notify: (notification, signal) =>
    post(
      config.url,
      deps,
      webhookPayload(notification, config.max_alerts),
      idempotencyKey(notification),
      config.timeout > 0 ? config.timeout : attemptTime,
      signal,
    ),
})

/** Pages one user by webhook: the same payload, with the escalation and where to acknowledge. */
export const createWebhookPager = (url: Secret, deps: WebhookDeps): Pager => ({
  page: (page, signal) => {
    const payload = {
      ...webhookPayload(page.notification),
      user: page.user,
      escalation: page.escalation,
      ack_url: page.ackURL,
      page_id: page.id,
    }
    return post(url, deps, payload, page.id, attemptTime, signal)
  },
})
