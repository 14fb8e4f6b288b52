// Alertmanager's API v2 on the wire: its JSON to our nouns and back.
import { z } from 'zod'
import { AppError } from '../../lib/errors.ts'
import { fromIso, type Instant, iso } from '../../lib/time.ts'
import type { Matcher, MatchOp } from '../../model/matcher.ts'
import type {
  PostedAlert,
  ShownAlert,
  ShownGroup,
  Silence,
  WantedSilence,
} from '../../model/ports/alert-manager.ts'

const time = z.string().transform((text, ctx): Instant | null => {
  // Go's zero time: the client left it out.
  if (text === '' || text.startsWith('0001-01-01T')) return null
  try {
    return fromIso(text)
  } catch {
    ctx.addIssue(`${JSON.stringify(text)} is not a time; write it as 2026-01-31T12:00:00Z`)
    return z.NEVER
  }
})
const texts = z.record(z.string(), z.string())

const alertsSchema = z.array(
  z
    .object({
      labels: texts,
      annotations: texts.nullish(),
      startsAt: time.nullish(),
      endsAt: time.nullish(),
      generatorURL: z.string().nullish(),
    })
    .transform(
      (a): PostedAlert => ({
        labels: a.labels,
        annotations: a.annotations ?? {},
        startsAt: a.startsAt ?? null,
        endsAt: a.endsAt ?? null,
        generatorURL: a.generatorURL ?? '',
      }),
    ),
)

const matcherSchema = z
  .object({
    name: z.string(),
    value: z.string(),
    isRegex: z.boolean(),
    isEqual: z.boolean().nullish(),
  })
  .transform((m): Matcher => {
    const op: MatchOp = m.isRegex ? (m.isEqual === false ? '!~' : '=~') : m.isEqual === false ? '!=' : '='
    return { name: m.name, op, value: m.value }
  })

const silenceSchema = z.object({
  id: z.string().nullish(),
  matchers: z.array(matcherSchema),
  startsAt: time,
  endsAt: time,
  createdBy: z.string(),
  comment: z.string(),
  annotations: texts.nullish(),
})

const parse = <S extends z.ZodType>(schema: S, body: string): z.output<S> => {
  let value: unknown
  try {
    value = JSON.parse(body)
  } catch (error) {
    throw new AppError('bad_data', `the body is not JSON: ${error instanceof Error ? error.message : error}`)
  }
  const read = schema.safeParse(value)
  if (read.success) return read.data
  const why = read.error.issues.map((i) => `${i.path.map(String).join('.') || 'body'}: ${i.message}`)
  throw new AppError('bad_data', why.join('; '))
}

/** The body of POST /alerts; throws `bad_data` naming each place that is wrong. */
export const readAlerts = (body: string): PostedAlert[] => parse(alertsSchema, body)

/** The body of POST /silences; a start left out is now. */
export const readSilence = (body: string, now: Instant): WantedSilence => {
  const s = parse(silenceSchema, body)
  if (s.endsAt === null) throw new AppError('bad_data', 'endsAt: a silence needs an end')
  return {
    id: s.id ?? '',
    matchers: s.matchers,
    startsAt: s.startsAt ?? now,
    endsAt: s.endsAt,
    createdBy: s.createdBy,
    comment: s.comment,
    annotations: s.annotations ?? {},
  }
}

export const alertJson = (a: ShownAlert) => ({
  annotations: a.annotations,
  endsAt: iso(a.endsAt),
  fingerprint: a.fingerprint,
  receivers: a.receivers.map((name) => ({ name })),
  startsAt: iso(a.startsAt),
  status: a.status,
  updatedAt: iso(a.updatedAt),
  ...(a.generatorURL ? { generatorURL: a.generatorURL } : {}),
  labels: a.labels,
})

export const groupJson = (g: ShownGroup) => ({
  alerts: g.alerts.map(alertJson),
  labels: g.labels,
  receiver: { name: g.receiver },
})

export const silenceJson = (s: Silence) => ({
  id: s.id,
  status: { state: s.state },
  updatedAt: iso(s.updatedAt),
  comment: s.comment,
  createdBy: s.createdBy,
  endsAt: iso(s.endsAt),
  startsAt: iso(s.startsAt),
  matchers: s.matchers.map((m) => ({
    name: m.name,
    value: m.value,
    isRegex: m.op === '=~' || m.op === '!~',
    isEqual: m.op === '=' || m.op === '=~',
  })),
  ...(Object.keys(s.annotations).length > 0 ? { annotations: s.annotations } : {}),
})
