// Traces and logs: one trace in the order of its tree, the newest traces and log records that fit what is asked for.
import { createRoute, z } from '@hono/zod-openapi'
import { durationSchema } from '../../lib/config.ts'
import { AppError } from '../../lib/errors.ts'
import { type Duration, fromIso, hour, type Instant, instant, iso, plus } from '../../lib/time.ts'
import { treeOrder } from '../../model/span-tree.ts'
import type { StoredLog, StoredSpan } from '../../model/stored-trace.ts'
import type { OpsDoors } from './doors.ts'
import { allow, base, failures, json, type OpsApp, timeSchema } from './wire.ts'

const attributes = z.record(z.string(), z.string())
const spanSchema = z
  .object({
    trace_id: z.string(),
    span_id: z.string(),
    parent_span_id: z.string(),
    depth: z.int().openapi({ description: '0 for a root, or a span whose parent is not here.' }),
    name: z.string(),
    kind: z.string(),
    service: z.string(),
    start: timeSchema,
    start_unix_ms: z.number().openapi({ description: 'The same, with fractions of a millisecond.' }),
    duration_seconds: z.number(),
    status: z.enum(['Unset', 'Ok', 'Error']),
    status_message: z.string(),
    scope: z.string(),
    resource: attributes,
    attributes,
    events: z.array(z.object({ name: z.string(), time: timeSchema, attributes })),
    links: z.array(z.object({ trace_id: z.string(), span_id: z.string() })),
  })
  .openapi('Span')
const summarySchema = z
  .object({
    trace_id: z.string(),
    name: z.string(),
    service: z.string(),
    start: timeSchema,
    duration_seconds: z.number(),
    spans: z.int(),
    errors: z.int(),
    agents: z.array(z.string()),
    models: z.array(z.string()),
  })
  .openapi('TraceSummary')
const logSchema = z
  .object({
    time: timeSchema,
    trace_id: z.string(),
    span_id: z.string(),
    severity: z.int(),
    severity_text: z.string(),
    service: z.string(),
    body: z.string(),
    event: z.string(),
    scope: z.string(),
    resource: attributes,
    attributes,
  })
  .openapi('LogRecord')

const time = (ms: number): string => iso(instant(ms))

const shownSpan = (span: StoredSpan, depth: number): z.input<typeof spanSchema> => ({
  trace_id: span.traceId,
  span_id: span.spanId,
  parent_span_id: span.parentSpanId,
  depth,
  name: span.name,
  kind: span.kind,
  service: span.service,
  start: time(span.startAt),
  start_unix_ms: span.startAt,
  duration_seconds: span.duration,
  status: span.status,
  status_message: span.statusMessage,
  scope: span.scope,
  resource: { ...span.resource },
  attributes: { ...span.attributes },
  events: span.events.map((e) => ({ name: e.name, time: time(e.at), attributes: { ...e.attributes } })),
  links: span.links.map((l) => ({ trace_id: l.traceId, span_id: l.spanId })),
})

const shownLog = (log: StoredLog): z.input<typeof logSchema> => ({
  time: time(log.at),
  trace_id: log.traceId,
  span_id: log.spanId,
  severity: log.severity,
  severity_text: log.severityText,
  service: log.service,
  body: log.body,
  event: log.event,
  scope: log.scope,
  resource: { ...log.resource },
  attributes: { ...log.attributes },
})

/** RFC 3339, or seconds or milliseconds since 1970. */
const timeParam = z
  .string()
  .optional()
  .transform((text, ctx): Instant | undefined => {
    if (text === undefined) return undefined
    const number = Number(text)
    if (text.trim() !== '' && Number.isFinite(number))
      return instant(Math.abs(number) < 1e11 ? number * 1000 : number)
    try {
      return fromIso(text)
    } catch {
      ctx.addIssue({ code: 'custom', message: 'is no time; write it as 2026-03-01T12:00:00Z' })
      return z.NEVER
    }
  })
  .openapi({ type: 'string', description: 'RFC 3339, or seconds or milliseconds since 1970.' })
const traceId = z
  .string()
  .regex(/^[0-9a-fA-F]{32}$/, 'a trace id has 32 hexadecimal digits')
  .transform((id) => id.toLowerCase())
const range = {
  from: timeParam,
  to: timeParam,
  limit: z.coerce.number().int().min(1).max(1000).default(100),
}
const minDuration = durationSchema
  .optional()
  .openapi({ type: 'string', description: 'Of its longest span: 500ms, 2s, 1m.' })

/** The hour before now, unless something else is asked for. */
const spanOfTime = (
  now: Instant,
  { from, to }: { from?: Instant | undefined; to?: Instant | undefined },
): { fromAt: Instant; toAt: Instant } => {
  const toAt = to ?? now
  const fromAt = from ?? plus(toAt, -hour)
  if (fromAt >= toAt) throw new AppError('bad_data', 'from: lies after to')
  return { fromAt, toAt }
}

const seconds = (length: Duration | undefined): number | undefined =>
  length === undefined ? undefined : length / 1000

const tags = ['traces']
const refused = { 400: failures[400], 403: failures[403] }

const listRoute = (app: OpsApp, { authorizer, traces, clock }: OpsDoors): void => {
  const middleware = allow(authorizer, 'read', 'data')
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware,
      path: `${base}/traces`,
      summary: 'The newest traces, by agent, service, duration and failure',
      request: {
        query: z.object({
          ...range,
          agent: z.string().min(1).optional(),
          service: z.string().min(1).optional(),
          min_duration: minDuration,
          error: z.enum(['true', 'false']).optional(),
        }),
      },
      responses: { 200: json(z.object({ traces: z.array(summarySchema) }), 'The traces.'), ...refused },
    }),
    async (c) => {
      const { agent, service, error, limit, ...rest } = c.req.valid('query')
      const found = await traces.traces(
        {
          ...spanOfTime(clock.now(), rest),
          agent,
          service,
          minDuration: seconds(rest.min_duration),
          error: error === undefined ? undefined : error === 'true',
          limit,
        },
        c.req.raw.signal,
      )
      const shown = found.map(({ traceId: trace_id, startAt, duration: duration_seconds, ...row }) => ({
        trace_id,
        start: time(startAt),
        duration_seconds,
        ...row,
        agents: [...row.agents],
        models: [...row.models],
      }))
      return c.json({ traces: shown }, 200)
    },
  )
}

const traceRoute = (app: OpsApp, { authorizer, traces }: OpsDoors): void => {
  const middleware = allow(authorizer, 'read', 'data')
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware,
      path: `${base}/traces/{traceId}`,
      summary: 'One trace: its spans in the order of their tree',
      request: { params: z.object({ traceId }) },
      responses: {
        200: json(
          z.object({ spans: z.array(spanSchema), cut: z.boolean() }),
          'The spans; `cut` where there are more.',
        ),
        ...refused,
        404: failures[404],
      },
    }),
    async (c) => {
      const { traceId: id } = c.req.valid('param')
      const { spans, cut } = await traces.trace(id, c.req.raw.signal)
      if (spans.length === 0)
        throw new AppError(
          'not_found',
          `no span of the trace ${id} is here: not sent, refused, or past its retention`,
        )
      const placed = treeOrder(spans).map(({ span, depth }) => shownSpan(span, depth))
      return c.json({ spans: placed, cut }, 200)
    },
  )
}

const logsRoute = (app: OpsApp, { authorizer, traces, clock }: OpsDoors): void => {
  const middleware = allow(authorizer, 'read', 'data')
  app.openapi(
    createRoute({
      method: 'get',
      tags: ['logs'],
      middleware,
      path: `${base}/logs`,
      summary: 'The newest log records, by service, severity, text and trace',
      request: {
        query: z.object({
          ...range,
          service: z.string().min(1).optional(),
          severity: z.coerce
            .number()
            .int()
            .min(0)
            .max(24)
            .optional()
            .openapi({ description: 'Least severity number: 9 INFO, 13 WARN, 17 ERROR.' }),
          contains: z.string().min(1).max(1000).optional(),
          trace_id: traceId.optional(),
        }),
      },
      responses: { 200: json(z.object({ logs: z.array(logSchema) }), 'The records.'), ...refused },
    }),
    async (c) => {
      const { service, severity, contains: text, trace_id, limit, ...rest } = c.req.valid('query')
      const times = spanOfTime(clock.now(), rest)
      const found = await traces.logs(
        { ...times, service, severity, text, traceId: trace_id, limit },
        c.req.raw.signal,
      )
      return c.json({ logs: found.map(shownLog) }, 200)
    },
  )
}

export const traceRoutes = (app: OpsApp, doors: OpsDoors): void => {
  listRoute(app, doors)
  traceRoute(app, doors)
  logsRoute(app, doors)
}
