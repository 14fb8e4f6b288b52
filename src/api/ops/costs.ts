// What was spent: sums, the costs of a trace as a tree, models without a price, and bills in FOCUS.
import { createRoute, z } from '@hono/zod-openapi'
import { periodAround } from '../../lib/calendar.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import { fromIso, type Instant, instant, iso } from '../../lib/time.ts'
import type { CostBranch, TraceNode } from '../../model/ports/cost-reports.ts'
import type { CostGroup, Within } from '../../model/ports/money-reader.ts'
import type { OpsDoors } from './doors.ts'
import { allow, at, base, failures, json, type OpsApp, timeSchema } from './wire.ts'

const groups = ['agent', 'version', 'model', 'provider', 'service', 'owner', 'price_version'] as const
const usdText = z.string().openapi({ description: 'US dollars, exact.', example: '12.000345' })

const momentText = z
  .string()
  .optional()
  .openapi({ description: 'RFC 3339, or a day of UTC (2026-01-31).', example: '2026-01-01' })
const period = { from: momentText, to: momentText }

const rowSchema = z.object({
  group: z.record(z.string(), z.string()),
  direct_usd: usdText,
  inclusive_usd: z.number().nullable().openapi({
    description:
      "With everything beneath: an agent's sub-agents, tools and calls. Only by agent, from the counters; a dollar counts for every agent above it, so that no sum over agents is meant.",
  }),
  retried_usd: z.number().nullable().openapi({ description: 'Calls that failed and were made again.' }),
  failed_usd: usdText,
  calls: z.int(),
  rows: z.int(),
})
const summarySchema = z
  .object({
    from: timeSchema,
    to: timeSchema,
    total: z.object({ direct_usd: usdText, failed_usd: usdText, calls: z.int() }),
    groups: z.array(rowSchema),
  })
  .openapi('CostSummary')

interface BranchShape {
  span_id: string
  parent_span_id: string
  name: string
  service: string
  kind: string
  agent: string
  model: string
  failed: boolean
  started_at: string
  duration_seconds: number
  direct_usd: number
  inclusive_usd: number
  retried_usd: number
  failed_usd: number
  stated_usd: number | null
  price_version: string
  children: BranchShape[]
}
const branchSchema: z.ZodType<BranchShape> = z
  .object({
    span_id: z.string(),
    parent_span_id: z.string(),
    name: z.string(),
    service: z.string(),
    kind: z.string(),
    agent: z.string(),
    model: z.string(),
    failed: z.boolean(),
    started_at: timeSchema,
    duration_seconds: z.number(),
    direct_usd: z.number(),
    inclusive_usd: z.number(),
    retried_usd: z.number(),
    failed_usd: z.number(),
    stated_usd: z.number().nullable(),
    price_version: z.string(),
    children: z.array(z.any()).openapi({ description: 'Branches like this one.' }),
  })
  .openapi('CostBranch') as z.ZodType<BranchShape>

const traceSchema = z
  .object({
    trace_id: z.string(),
    usd: z.number(),
    cut: z.boolean().openapi({ description: 'The trace has more spans than were looked at.' }),
    roots: z.array(branchSchema),
  })
  .openapi('TraceCosts')

const dollars = (usd: number): number => Number(usd.toFixed(12))

const branch = (b: CostBranch<TraceNode>): BranchShape => ({
  span_id: b.node.spanId,
  parent_span_id: b.node.parentSpanId,
  name: b.node.name,
  service: b.node.service,
  kind: b.node.kind,
  agent: b.node.agent,
  model: b.node.modelName,
  failed: b.node.failed,
  started_at: iso(instant(Math.round(b.node.startAt))),
  duration_seconds: b.node.duration / 1000,
  direct_usd: dollars(b.direct),
  inclusive_usd: dollars(b.inclusive),
  retried_usd: dollars(b.retried),
  failed_usd: dollars(b.failed),
  stated_usd: b.node.statedUsd === 0 ? null : b.node.statedUsd,
  price_version: b.node.priceVersion,
  children: b.children.map(branch),
})

const momentOf = (name: string, text: string): Instant => {
  try {
    return fromIso(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  } catch (error) {
    throw new AppError(
      'bad_data',
      `${name}: ${messageOf(error)}; write it as 2026-01-31 or 2026-01-31T12:00:00Z`,
    )
  }
}

/** The period asked for; left out, the month that is running. */
const withinOf = (query: { from?: string | undefined; to?: string | undefined }, now: Instant): Within => {
  const month = periodAround('monthly', now, 'UTC')
  return {
    fromAt: query.from === undefined ? month.startAt : momentOf('from', query.from),
    toAt: query.to === undefined ? now : momentOf('to', query.to),
  }
}

const groupsOf = (text: string): CostGroup[] =>
  text.split(',').map((name) => {
    const group = groups.find((g) => g === name.trim())
    if (!group)
      throw new AppError('bad_data', `group_by: ${JSON.stringify(name)} is none of ${groups.join(', ')}`)
    return group
  })

const sumRoutes = (app: OpsApp, { authorizer, costs, now }: OpsDoors): void => {
  const read = { method: 'get' as const, tags: ['costs'], middleware: allow(authorizer, 'read', 'data') }
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/costs/summary`,
      summary: 'What was spent, grouped; the largest first',
      request: {
        query: z.object({
          ...period,
          group_by: z
            .string()
            .default('agent')
            .openapi({ description: `Of ${groups.join(', ')}; several with commas.` }),
          limit: z.coerce.number().int().min(1).max(10_000).default(1000),
        }),
      },
      responses: { 200: json(summarySchema, 'The sums.'), 400: failures[400], 403: failures[403] },
    }),
    async (c) => {
      const { group_by, limit, ...query } = c.req.valid('query')
      const asked = { ...withinOf(query, now()), by: groupsOf(group_by), limit }
      const { fromAt, toAt, total, rows } = await costs.summary(asked, c.req.raw.signal)
      const shown = rows.map((row) => ({
        group: { ...row.group },
        direct_usd: row.usd,
        inclusive_usd: row.inclusiveUsd === null ? null : dollars(row.inclusiveUsd),
        retried_usd: row.retriedUsd === null ? null : dollars(row.retriedUsd),
        failed_usd: row.failedUsd,
        calls: row.calls,
        rows: row.rows,
      }))
      const sum = { direct_usd: total.usd, failed_usd: total.failedUsd, calls: total.calls }
      return c.json({ from: at(fromAt), to: at(toAt), total: sum, groups: shown }, 200)
    },
  )
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/costs/unpriced`,
      summary: 'Models without a price: name them under prices.models, or in a file of prices.files',
      responses: {
        200: json(
          z.object({
            models: z.array(
              z.object({
                model: z.string(),
                provider: z.string(),
                tokens: z.number(),
                first_seen: timeSchema,
                last_seen: timeSchema,
                mend: z.string(),
              }),
            ),
          }),
          'The most tokens first.',
        ),
        403: failures[403],
      },
    }),
    (c) => {
      const models = costs.unpriced().map((m) => ({
        model: m.model,
        provider: m.provider,
        tokens: m.tokens,
        first_seen: at(m.firstAt),
        last_seen: at(m.lastAt),
        mend: `prices: { models: [{ model: ${JSON.stringify(m.model)}, provider: ${JSON.stringify(m.provider)}, input_mtok: …, output_mtok: … }] }`,
      }))
      return c.json({ models }, 200)
    },
  )
}

const traceRoutes = (app: OpsApp, { authorizer, costs, now }: OpsDoors): void => {
  const read = { method: 'get' as const, tags: ['costs'], middleware: allow(authorizer, 'read', 'data') }
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/costs/traces`,
      summary: 'The most expensive traces',
      request: {
        query: z.object({ ...period, limit: z.coerce.number().int().min(1).max(1000).default(20) }),
      },
      responses: {
        200: json(
          z.object({
            traces: z.array(
              z.object({
                trace_id: z.string(),
                usd: usdText,
                calls: z.int(),
                at: timeSchema,
                agents: z.array(z.string()),
              }),
            ),
          }),
          'The most expensive first.',
        ),
        400: failures[400],
        403: failures[403],
      },
    }),
    async (c) => {
      const { limit, ...query } = c.req.valid('query')
      const traces = await costs.topTraces({ ...withinOf(query, now()), limit }, c.req.raw.signal)
      const shown = traces.map((t) => ({
        trace_id: t.traceId,
        usd: t.usd,
        calls: t.calls,
        at: at(t.at),
        agents: [...t.agents],
      }))
      return c.json({ traces: shown }, 200)
    },
  )
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/costs/traces/{traceId}`,
      summary: 'What each span of a trace cost by itself and with everything beneath it',
      request: {
        params: z.object({ traceId: z.string().regex(/^[0-9a-fA-F]{32}$/, 'must be 32 hexadecimal digits') }),
      },
      responses: {
        200: json(traceSchema, 'The tree.'),
        400: failures[400],
        403: failures[403],
        404: failures[404],
      },
    }),
    async (c) => {
      const id = c.req.valid('param').traceId.toLowerCase()
      const { traceId, usd, cut, roots } = await costs.trace(id, c.req.raw.signal)
      return c.json({ trace_id: traceId, usd: dollars(usd), cut, roots: roots.map(branch) }, 200)
    },
  )
}

async function* jsonRows(rows: AsyncIterable<readonly object[]>): AsyncGenerator<string> {
  let first = true
  yield '['
  for await (const some of rows)
    for (const row of some) {
      yield `${first ? '' : ','}\n${JSON.stringify(row)}`
      first = false
    }
  yield '\n]\n'
}

async function* encoded(parts: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const part of parts) if (part !== '') yield Buffer.from(part)
}

const focusRoute = (app: OpsApp, { authorizer, costs, now }: OpsDoors): void => {
  app.openapi(
    createRoute({
      method: 'get',
      tags: ['costs'],
      middleware: allow(authorizer, 'read', 'data'),
      path: `${base}/costs/focus`,
      summary: 'Costs in FOCUS 1.2, by day of UTC',
      request: { query: z.object({ ...period, format: z.enum(['csv', 'json']).default('csv') }) },
      responses: {
        200: {
          description: 'Every column of FOCUS 1.2, then those of Airboss and of bills taken in (x_…).',
          content: { 'text/csv': { schema: z.string() }, 'application/json': { schema: z.array(z.any()) } },
        },
        400: failures[400],
        403: failures[403],
      },
    }),
    async (c) => {
      const { format, ...query } = c.req.valid('query')
      const within = withinOf(query, now())
      const parts =
        format === 'csv'
          ? costs.focusCsv(within, c.req.raw.signal)
          : jsonRows(costs.focus(within, c.req.raw.signal))
      // What goes wrong before the first row is still an answer of its own.
      const first = await parts.next()
      const rest = async function* (): AsyncGenerator<string> {
        if (!first.done) yield first.value
        yield* parts
      }
      const name = `focus-${iso(within.fromAt).slice(0, 10)}.${format}`
      return new Response(ReadableStream.from(encoded(rest())) as ReadableStream<Uint8Array>, {
        headers: {
          'content-type': format === 'csv' ? 'text/csv; charset=utf-8' : 'application/json',
          'content-disposition': `attachment; filename="${name}"`,
        },
      }) as never
    },
  )
}

export const costRoutes = (app: OpsApp, doors: OpsDoors): void => {
  sumRoutes(app, doors)
  traceRoutes(app, doors)
  focusRoute(app, doors)
}
