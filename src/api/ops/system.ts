// Airboss itself: its ledger, its status, and taking up a changed configuration.
import { createRoute, z } from '@hono/zod-openapi'
import type { LedgerVersion } from '../../model/ports/ledger.ts'
import type { OpsDoors } from './doors.ts'
import { allow, at, atOrNull, base, failures, json, type OpsApp, timeSchema, whyBody } from './wire.ts'

const versionSchema = z
  .object({
    sequence: z.int(),
    kind: z.string(),
    id: z.string(),
    version: z.int(),
    value: z.unknown().openapi({ description: 'Null where it was deleted, or erased by retention.' }),
    by: z.string(),
    why: z.string(),
    at: timeSchema,
    hash: z.string().openapi({ description: 'SHA-256 over the hash before it and this version.' }),
  })
  .openapi('LedgerVersion')

const shown = (v: LedgerVersion): z.input<typeof versionSchema> => ({
  sequence: v.sequence,
  kind: v.kind,
  id: v.id,
  version: v.version,
  value: v.value,
  by: v.by,
  why: v.why,
  at: at(v.at),
  hash: v.hash,
})

const verifiedSchema = z
  .object({
    ok: z.boolean(),
    versions: z.int().optional(),
    hash: z.string().optional(),
    sequence: z.int().optional().openapi({ description: 'Where the chain is broken.' }),
    why: z.string().optional(),
  })
  .openapi('Verified')

const statusSchema = z
  .object({
    version: z.string(),
    started_at: timeSchema,
    uptime_seconds: z.number(),
    store: z.object({ up: z.boolean(), why: z.string(), engine_pid: z.int().nullable() }),
    log: z.object({
      bytes: z.number(),
      max_bytes: z.number(),
      pending_rows: z.number(),
      pending_ranges: z.number(),
    }),
    head: z.object({
      series: z.number(),
      samples: z.number(),
      bytes: z.number(),
      max_series: z.number(),
    }),
    newest_sample_at: timeSchema.nullable().openapi({ description: 'When data was last accepted.' }),
    reload: z.object({ ok: z.boolean(), why: z.string(), file: z.string() }),
    actions: z.object({ mode: z.enum(['dry_run', 'live']), stopped: z.boolean() }),
  })
  .openapi('Status')

const ledgerRoutes = (app: OpsApp, { authorizer, ledger }: OpsDoors): void => {
  const tags = ['ledger']
  const middleware = allow(authorizer, 'read', 'ledger')
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware,
      path: `${base}/ledger`,
      summary: 'Every change: what, who, when and why, newest first',
      request: {
        query: z.object({
          kind: z.string().min(1).optional(),
          id: z.string().min(1).optional(),
          limit: z.coerce.number().int().min(1).max(1000).default(100),
          before: z.coerce
            .number()
            .int()
            .min(1)
            .optional()
            .openapi({ description: 'Only those before this sequence: `next` of the page before.' }),
        }),
      },
      responses: {
        200: json(
          z.object({ versions: z.array(versionSchema), next: z.int().nullable() }),
          'One page; `next` goes into `before` of the next one.',
        ),
        400: failures[400],
        403: failures[403],
      },
    }),
    (c) => {
      const { kind, id, limit, before } = c.req.valid('query')
      const versions = ledger.history({
        limit,
        ...(kind === undefined ? {} : { kind }),
        ...(id === undefined ? {} : { id }),
        ...(before === undefined ? {} : { before }),
      })
      const next = versions.length === limit ? versions.at(-1)!.sequence : null
      return c.json({ versions: versions.map(shown), next }, 200)
    },
  )
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware,
      path: `${base}/ledger/verify`,
      summary: 'Read the ledger from its first byte and check every link of the chain',
      responses: { 200: json(verifiedSchema, 'Whole, or where it is broken.'), 403: failures[403] },
    }),
    async (c) => c.json({ ...(await ledger.verify()) }, 200),
  )
}

export const systemRoutes = (app: OpsApp, doors: OpsDoors): void => {
  ledgerRoutes(app, doors)
  const tags = ['system']
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware: allow(doors.authorizer, 'read', 'data'),
      path: `${base}/status`,
      summary: 'How Airboss itself is',
      responses: { 200: json(statusSchema, 'The status.'), 403: failures[403] },
    }),
    (c) => {
      const { startedAt, uptime, newestAt, store, log, head, reload, version } = doors.status()
      const { decisions } = doors
      return c.json(
        {
          version,
          started_at: at(startedAt),
          uptime_seconds: Math.round(uptime / 100) / 10,
          store: { ...store },
          log: { ...log },
          head: { ...head },
          newest_sample_at: atOrNull(newestAt),
          reload: { ...reload },
          actions: { mode: decisions.mode(), stopped: decisions.stopped() !== null },
        },
        200,
      )
    },
  )
  app.openapi(
    createRoute({
      method: 'post',
      tags,
      middleware: allow(doors.authorizer, 'write', 'config'),
      path: `${base}/reload`,
      summary: 'Put the configuration on disk in force; a wrong one changes nothing',
      request: { body: whyBody },
      responses: { ...failures, 200: json(z.object({ ok: z.literal(true) }), 'It is in force.') },
    }),
    async (c) => {
      await doors.reload(c.get('actor'), c.req.valid('json').why)
      return c.json({ ok: true as const }, 200)
    },
  )
}
