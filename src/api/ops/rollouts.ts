// What watches the fleet: canaries, autoscalers, budgets.
import { createRoute, z } from '@hono/zod-openapi'
import { AppError } from '../../lib/errors.ts'
import type { OpsDoors, ShownRollout } from './doors.ts'
import { allow, at, atOrNull, base, failures, json, type OpsApp, timeSchema, whyBody } from './wire.ts'

const rolloutSchema = z
  .object({
    id: z.string(),
    agent: z.string(),
    version: z.string(),
    baseline: z.string(),
    phase: z.enum(['watching', 'held', 'promoted', 'rolled_back']),
    started_at: timeSchema,
    due_at: timeSchema.openapi({ description: 'When it may be promoted at the earliest.' }),
    decided_at: timeSchema.nullable(),
    judged_at: timeSchema.nullable(),
    passes: z.int(),
    failures: z.int(),
    waiting: z.enum(['nodata', 'marginal']).nullable(),
    judgement: z
      .object({
        outcome: z.string(),
        score: z.number(),
        reason: z.string(),
        metrics: z.array(z.record(z.string(), z.unknown())),
      })
      .nullable(),
  })
  .openapi('Rollout')

const autoscalerSchema = z
  .object({
    name: z.string(),
    agent: z.string(),
    min: z.int(),
    max: z.int(),
    current: z.number().nullable(),
    desired: z.number().nullable(),
    status: z.string().openapi({ description: 'steady, scaling, held or waiting' }),
    reason: z.string(),
    checked_at: timeSchema.nullable(),
  })
  .openapi('Autoscaler')

const budgetSchema = z
  .object({
    name: z.string(),
    period: z.string().openapi({ example: '2026-11' }),
    period_from: timeSchema,
    period_to: timeSchema.openapi({ description: 'Exclusive.' }),
    amount_usd: z.number(),
    spent_usd: z.number().nullable().openapi({ description: 'Null while it is not known.' }),
    projected_usd: z.number().nullable(),
    crossed: z.record(z.string(), timeSchema).openapi({ description: 'Thresholds crossed, with when.' }),
    problem: z.string(),
    checked_at: timeSchema.nullable(),
  })
  .openapi('Budget')

const shown = (r: ShownRollout): z.input<typeof rolloutSchema> => ({
  id: r.id,
  agent: r.agent,
  version: r.version,
  baseline: r.baseline,
  phase: r.progress.phase,
  started_at: at(r.progress.startedAt),
  due_at: at(r.dueAt),
  decided_at: atOrNull(r.progress.decidedAt),
  judged_at: atOrNull(r.judgedAt),
  passes: r.progress.passes,
  failures: r.progress.failures,
  waiting: r.progress.waiting,
  judgement: r.judgement && {
    outcome: r.judgement.outcome,
    score: r.judgement.score,
    reason: r.judgement.reason,
    metrics: r.judgement.metrics.map((m) => ({ ...(m as Record<string, unknown>) })),
  },
})

const rolloutRoutes = (app: OpsApp, { authorizer, rollouts }: OpsDoors): void => {
  const tags = ['rollouts']
  app.openapi(
    createRoute({
      method: 'get',
      tags,
      middleware: allow(authorizer, 'read', 'data'),
      path: `${base}/rollouts`,
      summary: 'Canaries: how far they are, and how they were last judged',
      responses: {
        200: json(z.object({ rollouts: z.array(rolloutSchema) }), 'All canaries.'),
        403: failures[403],
      },
    }),
    (c) => c.json({ rollouts: rollouts.list().map(shown) }, 200),
  )
  app.openapi(
    createRoute({
      method: 'post',
      tags,
      middleware: allow(authorizer, 'act', 'actions'),
      path: `${base}/rollouts/{agent}/{version}/restart`,
      summary: 'Start a canary over, whatever became of it',
      request: {
        params: z.object({ agent: z.string().min(1), version: z.string().min(1) }),
        body: whyBody,
      },
      responses: { ...failures, 200: json(rolloutSchema, 'It is watched from its beginning.') },
    }),
    async (c) => {
      const { agent, version } = c.req.valid('param')
      await rollouts.restart(agent, version, c.get('actor'), c.req.valid('json').why)
      const now = rollouts.list().find((r) => r.agent === agent && r.version === version)
      if (!now) throw new AppError('not_found', `${agent}@${version} has no canary any more`)
      return c.json(shown(now), 200)
    },
  )
}

export const watchRoutes = (app: OpsApp, doors: OpsDoors): void => {
  rolloutRoutes(app, doors)
  const middleware = allow(doors.authorizer, 'read', 'data')
  app.openapi(
    createRoute({
      method: 'get',
      tags: ['autoscalers'],
      middleware,
      path: `${base}/autoscalers`,
      summary: 'Autoscalers: what there is, what they want, and why',
      responses: {
        200: json(z.object({ autoscalers: z.array(autoscalerSchema) }), 'All autoscalers.'),
        403: failures[403],
      },
    }),
    (c) =>
      c.json(
        {
          autoscalers: doors
            .autoscalers()
            .map(({ checkedAt, ...rest }) => ({ ...rest, checked_at: atOrNull(checkedAt) })),
        },
        200,
      ),
  )
  app.openapi(
    createRoute({
      method: 'get',
      tags: ['budgets'],
      middleware,
      path: `${base}/budgets`,
      summary: 'Budgets: what is spent, where it will end, which thresholds are crossed',
      responses: {
        200: json(z.object({ budgets: z.array(budgetSchema) }), 'All budgets.'),
        403: failures[403],
      },
    }),
    (c) => {
      const budgets = doors.budgets().map((b) => ({
        name: b.name,
        period: b.period.label,
        period_from: at(b.period.startAt),
        period_to: at(b.period.endAt),
        amount_usd: b.amount,
        spent_usd: b.spent,
        projected_usd: b.projected,
        crossed: Object.fromEntries(Object.entries(b.crossed).map(([t, when]) => [t, at(when)])),
        problem: b.problem,
        checked_at: atOrNull(b.checkedAt),
      }))
      return c.json({ budgets }, 200)
    },
  )
}
