// What other parts answer under /api/ops/v1, as the API's document says it: events, costs, escalations.
import { z } from '@hono/zod-openapi'
import { base, failures, json, type OpsApp, timeSchema } from './wire.ts'

const textAttributes = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
const eventTime = z
  .union([z.string(), z.number()])
  .optional()
  .openapi({ description: 'RFC 3339, or milliseconds since the epoch. Left out: now.' })

const eventSchema = z
  .strictObject({
    id: z.string().openapi({ description: 'Yours; the same id again counts once.' }),
    name: z.string().openapi({ example: 'order_placed' }),
    value: z.number().optional(),
    time: eventTime,
    agent: z.string().optional(),
    version: z.string().optional(),
    outcome: z.string().optional().openapi({ example: 'success' }),
    attributes: textAttributes.optional(),
  })
  .openapi('Event')

const costSchema = z
  .object({
    id: z.string().openapi({ description: 'Yours; the same id again counts once.' }),
    time: eventTime,
    usd: z
      .number()
      .optional()
      .openapi({ description: 'What it cost; left out, it is priced from the tokens.' }),
    agent: z.string().optional(),
    version: z.string().optional(),
    model: z.string().optional(),
    provider: z.string().optional(),
    service: z.string().optional(),
    owner: z.string().optional(),
  })
  .openapi('Cost')

const takenSchema = z
  .object({
    accepted: z.int(),
    duplicates: z.int(),
    rejected: z.array(z.object({ index: z.int(), id: z.string(), field: z.string(), error: z.string() })),
  })
  .openapi('Taken')

const billSchema = z
  .object({
    accepted: z.int(),
    duplicates: z.int(),
    uncounted: z.int().openapi({ description: 'Accepted, but too old to raise airboss_cost_usd_total.' }),
    usd: z.number(),
    rejected: z.int(),
    problems: z.array(z.object({ line: z.int(), column: z.string(), error: z.string() })),
  })
  .openapi('Bill')

const escalationSchema = z
  .object({
    id: z.string(),
    policy: z.string(),
    groupKey: z.string(),
    status: z.enum(['open', 'acknowledged', 'resolved']),
    startedAt: timeSchema,
    nextAt: timeSchema
      .nullable()
      .openapi({ description: 'When the next step is due; null: nobody is paged any more.' }),
    acknowledgedBy: z.string().nullable(),
    acknowledgedAt: timeSchema.nullable(),
    endedAt: timeSchema.nullable(),
    groupLabels: z.record(z.string(), z.string()),
    commonLabels: z.record(z.string(), z.string()),
    commonAnnotations: z.record(z.string(), z.string()),
    pages: z.array(z.record(z.string(), z.unknown())),
  })
  .openapi('Escalation')

const items = (one: z.ZodType, list: string) => ({
  required: true,
  content: {
    'application/json': {
      schema: z.union([one, z.array(one), z.object({ [list]: z.array(one) })]),
    },
  },
})

/** Puts the paths into the document; their handlers stand elsewhere. */
export const documentOthers = (app: OpsApp): void => {
  const { openAPIRegistry: registry } = app
  const taken = {
    200: json(takenSchema, 'Those that are good are on disk; the others are named with their reasons.'),
    400: { description: 'None was good, or the body is no JSON. Nothing has changed.' },
    413: { description: 'The body is too large.' },
    503: { description: 'It cannot be taken now; send it again after Retry-After.' },
  }
  for (const [path, summary, one] of [
    ['events', 'Business events: one, a list, or many; each id counts once', eventSchema],
    ['costs', 'Costs known elsewhere: one, a list, or many; each id counts once', costSchema],
  ] as const)
    registry.registerPath({
      method: 'post',
      path: `${base}/${path}`,
      tags: [path],
      summary,
      request: { body: items(one, path) },
      responses: taken,
    })
  registry.registerPath({
    method: 'post',
    path: `${base}/costs/focus`,
    tags: ['costs'],
    summary: 'A bill in FOCUS 1.2; each line counts once, however often it is sent',
    request: {
      body: {
        required: true,
        content: { 'text/csv': { schema: z.string() }, 'application/json': { schema: z.array(z.any()) } },
      },
    },
    responses: {
      200: json(billSchema, 'What was taken; lines that were not are named with line and column.'),
      400: { description: 'No line was good, or it is no FOCUS at all.' },
      415: { description: 'Neither CSV nor JSON.' },
      503: { description: 'It cannot be taken now; send the whole again.' },
    },
  })
  const params = z.object({ id: z.string() })
  registry.registerPath({
    method: 'get',
    path: `${base}/escalations`,
    tags: ['escalations'],
    summary: 'Escalations, the newest first',
    request: { query: z.object({ open: z.enum(['true', 'false']).optional() }) },
    responses: { 200: json(z.object({ escalations: z.array(escalationSchema) }), 'The escalations.') },
  })
  for (const [verb, summary] of [
    ['acknowledge', 'Nobody else is paged from now on'],
    ['resolve', 'End it by hand; those paged are told'],
  ] as const)
    registry.registerPath({
      method: 'post',
      path: `${base}/escalations/{id}/${verb}`,
      tags: ['escalations'],
      summary,
      request: { params },
      responses: {
        200: json(escalationSchema, 'The escalation as it is now.'),
        404: failures[404],
        409: failures[409],
      },
    })
}
