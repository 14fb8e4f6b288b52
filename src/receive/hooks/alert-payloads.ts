// The webhooks of Alertmanager (version 4) and of Grafana (unified and legacy alerting) into alerts.
import { z } from 'zod'
import { AppError } from '../../lib/errors.ts'
import { type Duration, fromIso, type Instant, instant, plus } from '../../lib/time.ts'
import type { PostedAlert } from '../../model/ports/alert-manager.ts'

export interface PayloadOptions {
  /** Set on every alert, over its own. */
  readonly labels: Readonly<Record<string, string>>
  /** How long an alert fires that nobody speaks of again. */
  readonly expires: Duration
  readonly now: Instant
}

const texts = z.record(z.string(), z.coerce.string()).nullish()
const time = z.string().transform((text, ctx): Instant => {
  try {
    return fromIso(text)
  } catch {
    ctx.addIssue(`${JSON.stringify(text)} is no RFC 3339 time`)
    return z.NEVER
  }
})

const alertSchema = z.looseObject({
  status: z.enum(['firing', 'resolved']),
  labels: texts,
  annotations: texts,
  startsAt: time,
  endsAt: time.nullish(),
  generatorURL: z.string().nullish(),
  dashboardURL: z.string().nullish(),
  panelURL: z.string().nullish(),
  silenceURL: z.string().nullish(),
  imageURL: z.string().nullish(),
  valueString: z.string().nullish(),
})

const payloadSchema = z.looseObject({ alerts: z.array(alertSchema).max(10_000) })

const legacySchema = z.looseObject({
  ruleName: z.string().min(1),
  ruleUrl: z.string().nullish(),
  state: z.enum(['alerting', 'ok', 'paused', 'pending', 'no_data']),
  title: z.string().nullish(),
  message: z.string().nullish(),
  imageUrl: z.string().nullish(),
  tags: texts,
  evalMatches: z.array(z.looseObject({ metric: z.coerce.string(), value: z.unknown() })).nullish(),
})

const parsed = <S extends z.ZodType>(schema: S, payload: unknown): z.output<S> => {
  const read = schema.safeParse(payload)
  if (read.success) return read.data
  const said = read.error.issues
    .slice(0, 5)
    .map((i) => `${i.path.map(String).join('.') || 'payload'}: ${i.message}`)
  throw new AppError('bad_data', said.join('; '))
}

const filled = (record: Record<string, string | null | undefined>): Record<string, string> =>
  Object.fromEntries(Object.entries(record).filter((e): e is [string, string] => Boolean(e[1])))

/** What Grafana says beside the annotations, under names that the default texts know. */
const extras = (a: z.output<typeof alertSchema>): Record<string, string> =>
  filled({
    dashboard_url: a.panelURL || a.dashboardURL,
    silence_url: a.silenceURL,
    image_url: a.imageURL,
    value: a.valueString,
  })

/** Alertmanager's version 4 payload. An end that is not there, or Go's zero time, means that it still fires. */
export const decodeAlertmanager = (
  payload: unknown,
  { labels, expires, now }: PayloadOptions,
): PostedAlert[] =>
  parsed(payloadSchema, payload).alerts.map((a) => {
    const ended = a.endsAt !== null && a.endsAt !== undefined && a.endsAt > 0 ? a.endsAt : null
    return {
      labels: { ...a.labels, ...labels },
      annotations: { ...extras(a), ...a.annotations },
      startsAt: a.startsAt,
      endsAt: a.status === 'resolved' ? instant(Math.min(ended ?? now, now)) : plus(now, expires),
      generatorURL: a.generatorURL ?? '',
    }
  })

const decodeLegacy = (payload: unknown, { labels, expires, now }: PayloadOptions): PostedAlert[] => {
  const said = parsed(legacySchema, payload)
  // Whether it will fire is not known yet.
  if (said.state === 'pending') return []
  const over = said.state === 'ok' || said.state === 'paused'
  const values = (said.evalMatches ?? []).map((m) => `${m.metric}=${String(m.value)}`).join(', ')
  return [
    {
      labels: {
        alertname: said.ruleName,
        ...said.tags,
        ...(said.state === 'no_data' ? { grafana_state: 'no_data' } : {}),
        ...labels,
      },
      annotations: filled({
        summary: said.title,
        description: said.message,
        image_url: said.imageUrl,
        value: values,
      }),
      startsAt: null,
      endsAt: over ? now : plus(now, expires),
      generatorURL: said.ruleUrl ?? '',
    },
  ]
}

/** Grafana's webhook: unified alerting's, or the one before it, which has a `ruleName`. */
export const decodeGrafana = (payload: unknown, options: PayloadOptions): PostedAlert[] => {
  const legacy =
    typeof payload === 'object' && payload !== null && 'ruleName' in payload && !('alerts' in payload)
  return legacy ? decodeLegacy(payload, options) : decodeAlertmanager(payload, options)
}
