// Decisions with their inputs and reasons, their actions, approvals, and the big red switch.
import { createRoute, z } from '@hono/zod-openapi'
import { AppError } from '../../lib/errors.ts'
import type { OpsDoors, ShownAction, ShownDecision } from './doors.ts'
import { allow, at, atOrNull, base, failures, json, type OpsApp, timeSchema, whyBody } from './wire.ts'

const actionSchema = z
  .object({
    id: z.string(),
    kind: z.string(),
    subject: z.string(),
    params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    reason: z.string(),
    actuator: z.string().openapi({ description: 'The webhook that carries it out; empty: the default one.' }),
    state: z.string().openapi({ description: 'asked, held, doing, done, failed, superseded or expired' }),
    hold: z
      .string()
      .nullable()
      .openapi({ description: 'dry_run, approval, switch, cooldown, limit or loop' }),
    detail: z.string(),
    attempts: z.int(),
    asked_at: timeSchema,
    done_at: timeSchema.nullable(),
    by: z.string(),
  })
  .openapi('Action')

const approvalSchema = z.object({ by: z.string(), why: z.string() })
const decisionSchema = z
  .object({
    id: z.string(),
    at: timeSchema,
    kind: z.string(),
    subject: z.string(),
    verdict: z.string(),
    reason: z.string(),
    inputs: z.record(z.string(), z.unknown()),
    causes: z.array(z.string()),
    action: actionSchema.nullable(),
    approval: approvalSchema.nullable(),
  })
  .openapi('Decision')

const stateSchema = z
  .object({
    mode: z.enum(['dry_run', 'live']),
    stopped: approvalSchema.nullable().openapi({ description: 'Who threw the big red switch, and why.' }),
    held: z.array(actionSchema),
  })
  .openapi('Actions')

const shownAction = (r: ShownAction): z.input<typeof actionSchema> => ({
  id: r.action.id,
  kind: r.action.kind,
  subject: r.action.subject,
  params: { ...r.action.params },
  reason: r.action.reason,
  actuator: r.action.actuator,
  state: r.state,
  hold: r.hold,
  detail: r.detail,
  attempts: r.attempts,
  asked_at: at(r.askedAt),
  done_at: atOrNull(r.doneAt),
  by: r.by,
})

const shown = ({ decision: d, action, approval }: ShownDecision): z.input<typeof decisionSchema> => ({
  id: d.id,
  at: at(d.at),
  kind: d.kind,
  subject: d.subject,
  verdict: d.verdict,
  reason: d.reason,
  inputs: { ...d.inputs },
  causes: [...d.causes],
  action: action && shownAction(action),
  approval: approval && { by: approval.by, why: approval.why },
})

const state = ({ decisions }: OpsDoors): z.input<typeof stateSchema> => {
  const stopped = decisions.stopped()
  return {
    mode: decisions.mode(),
    stopped: stopped && { by: stopped.by, why: stopped.why },
    held: decisions.held().map(shownAction),
  }
}

const idParam = z.object({ id: z.string().min(1) })

export const decisionRoutes = (app: OpsApp, doors: OpsDoors): void => {
  const { decisions } = doors
  const tags = ['decisions']
  const middleware = allow(doors.authorizer, 'read', 'data')
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware,
      path: `${base}/decisions`,
      summary: 'The newest decisions, with what became of their actions',
      request: { query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(100) }) },
      responses: {
        200: json(z.object({ decisions: z.array(decisionSchema) }), 'Newest first.'),
        400: failures[400],
        403: failures[403],
      },
    }),
    (c) => c.json({ decisions: decisions.list(c.req.valid('query').limit).map(shown) }, 200),
  )
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware,
      path: `${base}/decisions/{id}`,
      summary: 'One decision',
      request: { params: idParam },
      responses: { 200: json(decisionSchema, 'The decision.'), 403: failures[403], 404: failures[404] },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const entry = decisions.get(id)
      if (!entry) throw new AppError('not_found', `no decision has the id ${id}`)
      return c.json(shown(entry), 200)
    },
  )
}

const actionReads = (app: OpsApp, doors: OpsDoors): void => {
  const { decisions } = doors
  const read = {
    method: 'get' as const,
    tags: ['actions'],
    middleware: allow(doors.authorizer, 'read', 'data'),
  }
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/actions`,
      summary: 'Whether actions are real, whether they are stopped, and which ones wait',
      responses: { 200: json(stateSchema, 'The state.'), 403: failures[403] },
    }),
    (c) => c.json(state(doors), 200),
  )
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/actions/{id}`,
      summary: 'One action',
      request: { params: idParam },
      responses: { 200: json(actionSchema, 'The action.'), 403: failures[403], 404: failures[404] },
    }),
    (c) => {
      const { id } = c.req.valid('param')
      const record = decisions.action(id)
      if (!record) throw new AppError('not_found', `no action has the id ${id}`)
      return c.json(shownAction(record), 200)
    },
  )
}

export const actionRoutes = (app: OpsApp, doors: OpsDoors): void => {
  actionReads(app, doors)
  const { decisions } = doors
  const act = {
    method: 'post' as const,
    tags: ['actions'],
    middleware: allow(doors.authorizer, 'act', 'actions'),
  }
  app.openapi(
    createRoute({
      ...act,
      path: `${base}/actions/{id}/approve`,
      summary: 'Let a held action go',
      request: { params: idParam, body: whyBody },
      responses: {
        ...failures,
        200: json(actionSchema, 'The approval is on record; the action is under way.'),
      },
    }),
    async (c) => {
      const { id } = c.req.valid('param')
      await decisions.approve(id, c.get('actor'), c.req.valid('json').why)
      const record = decisions.action(id)
      if (!record) throw new AppError('not_found', `no action has the id ${id}`)
      return c.json(shownAction(record), 200)
    },
  )
  app.openapi(
    createRoute({
      ...act,
      path: `${base}/actions/stop`,
      summary: 'The big red switch: no action begins, calls under way stop',
      request: { body: whyBody },
      responses: { ...failures, 200: json(stateSchema, 'Stopped.') },
    }),
    async (c) => {
      await decisions.stop(c.get('actor'), c.req.valid('json').why)
      return c.json(state(doors), 200)
    },
  )
  app.openapi(
    createRoute({
      ...act,
      path: `${base}/actions/resume`,
      summary: 'Actions go on',
      request: { body: whyBody },
      responses: { ...failures, 200: json(stateSchema, 'They go on.') },
    }),
    async (c) => {
      await decisions.resume(c.get('actor'), c.req.valid('json').why)
      return c.json(state(doors), 200)
    },
  )
}
