// PagerDuty Events v2: a group of alerts triggers and resolves one PagerDuty alert.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import { durationSchema, fileSecret, type Secret } from '../lib/config.ts'
import type { HttpSend } from '../lib/http.ts'
import { duration, instant, iso, second } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import type { Delivery, Notifier } from '../model/ports/notifier.ts'
import type { Page, Pager } from '../model/ports/pager.ts'
import { deliveryOf, deliveryOfError } from './answer.ts'
import { type HttpConfig, httpConfigSchema } from './http-config.ts'
import { lenientText, templateText as text, truncate } from './lenient-text.ts'
import type { NotificationTemplates, NotificationText } from './templates.ts'

const old = (name: string) =>
  z
    .undefined(
      `${name} belongs to Events v1, which is not supported; use routing_key of an Events v2 integration`,
    )
    .optional()

export const pagerdutySchema = (context: ChannelContext) =>
  z
    .strictObject({
      routing_key: context.secret.optional(),
      routing_key_file: z.string().optional(),
      service_key: old('service_key'),
      service_key_file: old('service_key_file'),
      url: z.url().optional(),
      client: text.default('{{ template "pagerduty.default.client" . }}'),
      client_url: text.default('{{ template "pagerduty.default.clientURL" . }}'),
      description: text.default('{{ template "pagerduty.default.description" . }}'),
      severity: text.default('error'),
      source: text.optional(),
      class: text.default(''),
      component: text.default(''),
      group: text.default(''),
      details: z.record(z.string(), text).default({}),
      images: z
        .array(z.strictObject({ src: text, href: text.default(''), alt: text.default('') }))
        .default([]),
      links: z.array(z.strictObject({ href: text, text: text.default('') })).default([]),
      http_config: httpConfigSchema(context).optional(),
      timeout: durationSchema.default(duration(0)),
    })
    .refine(
      (c) => (c.routing_key === undefined) !== (c.routing_key_file === undefined),
      'give one of routing_key and routing_key_file',
    )
    .transform(({ routing_key, routing_key_file, ...rest }) => ({
      ...rest,
      routingKey: routing_key ?? fileSecret(context.path(routing_key_file ?? '')),
    }))

export type PagerdutyConfig = z.output<ReturnType<typeof pagerdutySchema>>

export interface PagerdutyDeps {
  readonly url: string
  readonly http: HttpConfig
  readonly send: HttpSend
  readonly clock: Clock
  readonly templates: NotificationTemplates
}

const defaultDetails = {
  firing: '{{ template "pagerduty.default.instances" .Alerts.Firing }}',
  resolved: '{{ template "pagerduty.default.instances" .Alerts.Resolved }}',
  num_firing: '{{ .Alerts.Firing | len }}',
  num_resolved: '{{ .Alerts.Resolved | len }}',
}
/** PagerDuty takes 512 KB; the rest of the event needs some room. */
const mostBytes = 512_000
const mostSummary = 1024
const attemptTime = duration(30 * second)
const severities = new Set(['critical', 'error', 'warning', 'info'])

/** The same for a group before and after a restart, and within PagerDuty's 255 characters whatever the key's length. */
export const dedupKey = (groupKey: string): string => createHash('sha256').update(groupKey).digest('hex')

interface Event {
  readonly routing_key: string
  readonly event_action: 'trigger' | 'resolve'
  readonly dedup_key: string
  readonly client?: string
  readonly client_url?: string
  readonly payload: Record<string, unknown>
  readonly images?: readonly unknown[]
  readonly links?: readonly unknown[]
}

/** The event's JSON; its details give way when it would be too large. */
const cut = (event: Event): string => {
  const whole = JSON.stringify(event)
  if (Buffer.byteLength(whole) <= mostBytes) return whole
  const note = { error: 'the details were left out: the event would have been over 512 KB' }
  return JSON.stringify({ ...event, payload: { ...event.payload, custom_details: note } })
}

const post = async (
  deps: Pick<PagerdutyDeps, 'url' | 'http' | 'send' | 'clock'>,
  body: string,
  signal: AbortSignal,
  time = attemptTime,
): Promise<Delivery> => {
  try {
    const answer = await deps.send({
      url: deps.url,
      method: 'POST',
      headers: { 'content-type': 'application/json', ...deps.http.headers() },
      body,
      signal: deps.clock.timeout(time, signal),
      follow: deps.http.follow,
    })
    return deliveryOf(answer, deps.clock.now())
  } catch (error) {
    return deliveryOfError(error)
  }
}

type Fields = Readonly<
  Record<
    'client' | 'client_url' | 'description' | 'severity' | 'source' | 'class' | 'component' | 'group',
    NotificationText
  >
>

const compileAll = (config: PagerdutyConfig, templates: NotificationTemplates) => {
  const compile = (
    value: string,
    name: string,
    otherwise?: (n: Notification, why: string) => string,
  ): NotificationText => lenientText(templates, value, `pagerduty ${name}`, otherwise)
  const each = <T extends Record<string, string>>(list: readonly T[], what: string) =>
    list.map((item) => Object.entries(item).map(([k, v]) => [k, compile(v, `${what} ${k}`)] as const))
  const names = ['client', 'client_url', 'severity', 'class', 'component', 'group'] as const
  const fields = Object.fromEntries(names.map((n) => [n, compile(config[n], n)]))
  const subject = templates.compile('{{ template "pagerduty.default.description" . }}', 'pagerduty summary')
  const said = (_: Notification, why: string): string => `this text could not be made: ${why}`
  return {
    fields: {
      ...fields,
      source: compile(config.source ?? config.client, 'source'),
      description: compile(config.description, 'description', subject),
    } as unknown as Fields,
    details: Object.entries({ ...defaultDetails, ...config.details }).map(
      ([k, v]) => [k, compile(v, `details ${k}`, said)] as const,
    ),
    images: each(config.images, 'images'),
    links: each(config.links, 'links'),
  }
}

const filled = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([, v]) => v !== '' && v !== undefined))

const eventOf = (
  config: PagerdutyConfig,
  { fields, details, images, links }: ReturnType<typeof compileAll>,
  n: Notification,
): Event => {
  const severity = fields.severity(n).trim().toLowerCase()
  const items = (lists: typeof images, needed: string) =>
    lists
      .map((item) => filled(Object.fromEntries(item.map(([k, render]) => [k, render(n)]))))
      .filter((item) => item[needed] !== undefined)
  const [shownImages, shownLinks] = [items(images, 'src'), items(links, 'href')]
  return {
    routing_key: config.routingKey.reveal(),
    event_action: n.status === 'firing' ? 'trigger' : 'resolve',
    dedup_key: dedupKey(n.groupKey),
    client: fields.client(n),
    client_url: fields.client_url(n),
    payload: filled({
      summary: truncate(fields.description(n).trim() || n.groupKey, mostSummary),
      source: fields.source(n) || 'airboss',
      // PagerDuty refuses any other word, and a page with the wrong colour is better than none.
      severity: severities.has(severity) ? severity : 'error',
      timestamp: iso(instant(Math.min(n.at, ...n.alerts.map((a) => a.startsAt)))),
      class: fields.class(n),
      component: fields.component(n),
      group: fields.group(n),
      custom_details: Object.fromEntries(details.map(([k, render]) => [k, render(n)])),
    }),
    ...(shownImages.length > 0 ? { images: shownImages } : {}),
    ...(shownLinks.length > 0 ? { links: shownLinks } : {}),
  }
}

/** Throws `bad_data` on a template that cannot be read, or calls one that is not defined. */
export const createPagerduty = (config: PagerdutyConfig, deps: PagerdutyDeps): Notifier => {
  const compiled = compileAll(config, deps.templates)
  return {
    notify: async (notification, signal) => {
      try {
        const body = cut(eventOf(config, compiled, notification))
        return await post(deps, body, signal, config.timeout > 0 ? config.timeout : attemptTime)
      } catch (error) {
        return deliveryOfError(error)
      }
    },
  }
}

const labelsLine = (labels: Readonly<Record<string, string>>): string =>
  Object.entries(labels)
    .map(([k, v]) => `${k}=${v}`)
    .join(' ')

/** Pages one user through a PagerDuty integration of their own; the escalation is the incident, whatever step it is at. */
export const createPagerdutyPager = (key: Secret, deps: Omit<PagerdutyDeps, 'templates'>): Pager => ({
  page: (page: Page, signal) => {
    const n = page.notification
    const { summary } = n.commonAnnotations
    const name = n.groupLabels['alertname'] ?? n.commonLabels['alertname'] ?? labelsLine(n.groupLabels)
    const severity = n.commonLabels['severity'] ?? ''
    const event: Event = {
      routing_key: key.reveal(),
      event_action: n.status === 'firing' ? 'trigger' : 'resolve',
      dedup_key: dedupKey(`${page.escalation.id} ${page.user}`),
      client: 'Airboss',
      client_url: page.ackURL ?? n.externalURL,
      payload: {
        summary: truncate([name, summary].filter(Boolean).join(': ') || n.groupKey, mostSummary),
        source: 'airboss',
        severity: severities.has(severity) ? severity : 'error',
        timestamp: iso(n.at),
        custom_details: {
          escalation: page.escalation,
          alerts: n.alerts.map((a) => ({ status: a.status, labels: a.labels, annotations: a.annotations })),
        },
      },
      ...(page.ackURL ? { links: [{ href: page.ackURL, text: 'Acknowledge' }] } : {}),
    }
    return post(deps, cut(event), signal)
  },
})
