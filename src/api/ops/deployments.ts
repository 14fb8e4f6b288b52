// Deployments: what agents run in which versions, what they need of each other, and what differs between two versions.
import { createRoute, z } from '@hono/zod-openapi'
import { AppError } from '../../lib/errors.ts'
import { type Duration, formatDuration } from '../../lib/time.ts'
import { type Deployment, deploymentSchema } from '../../model/deployment.ts'
import type { DeclaredDeployment, OpsDoors } from './doors.ts'
import { allow, at, base, failures, json, type OpsApp, timeSchema, whySchema } from './wire.ts'

const shownSchema = z
  .object({
    id: z.string().openapi({ example: 'planner@2.1.0' }),
    agent: z.string(),
    version: z.string(),
    capabilities: z.array(z.string()),
    resources: z.record(z.string(), z.union([z.string(), z.number()])),
    dependencies: z.record(z.string(), z.string()),
    model: z.string(),
    owner: z.string(),
    canary: z.record(z.string(), z.unknown()).nullable(),
    source: z.enum(['file', 'api']).openapi({ description: 'Where it is declared, and must be changed.' }),
    declared_at: timeSchema,
    declared_by: z.string(),
  })
  .openapi('Deployment')

const unmetSchema = z
  .object({
    agent: z.string(),
    version: z.string(),
    needs: z.string(),
    range: z.string(),
    problem: z.string().openapi({ description: 'missing, unsatisfied, bad_range or bad_version' }),
    why: z.string(),
  })
  .openapi('UnmetDependency')

const changeSchema = z.object({ added: z.array(z.string()), removed: z.array(z.string()) })
const differenceSchema = z
  .object({
    capabilities: changeSchema,
    dependencies: changeSchema.extend({ changed: z.array(z.string()) }),
    model: z.object({ from: z.string(), to: z.string() }).nullable(),
  })
  .openapi('Difference')

const declareSchema = deploymentSchema.extend({ why: whySchema }).openapi('DeclareDeployment')

/** The canary as a client may post it again: durations in words. */
const canaryOf = (canary: Deployment['canary']): Record<string, unknown> | null => {
  if (!canary) return null
  const spans = new Set(['interval', 'step', 'warm_up', 'duration', 'deadline', 'window'])
  const analysis = Object.entries(canary.analysis).map(([key, value]) => [
    key,
    spans.has(key) && typeof value === 'number' ? formatDuration(value as Duration) : value,
  ])
  return { ...canary, analysis: Object.fromEntries(analysis) }
}

const shown = ({ id, deployment: d, source, at: declaredAt, by }: DeclaredDeployment) => ({
  id,
  agent: d.agent,
  version: d.version,
  capabilities: d.capabilities,
  resources: Object.fromEntries(Object.entries(d.resources).filter(([, v]) => v !== undefined)) as Record<
    string,
    string | number
  >,
  dependencies: d.dependencies,
  model: d.model,
  owner: d.owner,
  canary: canaryOf(d.canary),
  source,
  declared_at: at(declaredAt),
  declared_by: by,
})

const agentParam = z.object({ agent: z.string().min(1) })
const versionParams = agentParam.extend({ version: z.string().min(1) })
const listSchema = z.object({ deployments: z.array(shownSchema) })
const tags = ['deployments']

const readRoutes = (app: OpsApp, { authorizer, fleet }: OpsDoors): void => {
  const middleware = allow(authorizer, 'read', 'data')
  const read = { method: 'get' as const, tags, middleware }
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/deployments`,
      summary: 'All declared deployments, by agent, newest version first',
      responses: { 200: json(listSchema, 'The fleet.'), 403: failures[403] },
    }),
    (c) => c.json({ deployments: fleet.list().map(shown) }, 200),
  )
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/deployments/{agent}`,
      summary: 'The versions of one agent, newest first',
      request: { params: agentParam },
      responses: { 200: json(listSchema, 'Its versions.'), 403: failures[403], 404: failures[404] },
    }),
    (c) => {
      const { agent } = c.req.valid('param')
      const versions = fleet.get(agent)
      if (versions.length === 0)
        throw new AppError(
          'not_found',
          `no version of ${agent} is declared; declare one by POST ${base}/deployments`,
        )
      return c.json({ deployments: versions.map(shown) }, 200)
    },
  )
}

const compareRoutes = (app: OpsApp, { authorizer, fleet }: OpsDoors): void => {
  const middleware = allow(authorizer, 'read', 'data')
  const read = { method: 'get' as const, tags, middleware }
  const problems = z.object({ problems: z.array(unmetSchema) })
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/compatibility`,
      summary: 'Dependencies that are missing or do not fit',
      request: { query: z.object({ agent: z.string().min(1).optional() }) },
      responses: { 200: json(problems, 'Nothing in the list: all fits.'), 403: failures[403] },
    }),
    (c) => c.json({ problems: [...fleet.compatibility(c.req.valid('query').agent)] }, 200),
  )
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/deployments/{agent}/compatibility`,
      summary: 'Dependencies of one agent that are missing or do not fit',
      request: { params: agentParam },
      responses: { 200: json(problems, 'Nothing in the list: all fits.'), 403: failures[403] },
    }),
    (c) => c.json({ problems: [...fleet.compatibility(c.req.valid('param').agent)] }, 200),
  )
  app.openapi(
    createRoute({
      ...read,
      path: `${base}/deployments/{agent}/diff`,
      summary: 'What changes between two versions of an agent',
      request: {
        params: agentParam,
        query: z.object({ from: z.string().min(1), to: z.string().min(1) }),
      },
      responses: {
        200: json(differenceSchema, 'The difference.'),
        400: failures[400],
        403: failures[403],
        404: failures[404],
      },
    }),
    (c) => {
      const { from, to } = c.req.valid('query')
      const d = fleet.difference(c.req.valid('param').agent, from, to)
      const change = (x: typeof d.capabilities) => ({ added: [...x.added], removed: [...x.removed] })
      return c.json(
        {
          capabilities: change(d.capabilities),
          dependencies: { ...change(d.dependencies), changed: [...d.dependencies.changed] },
          model: d.model,
        },
        200,
      )
    },
  )
}

export const deploymentRoutes = (app: OpsApp, doors: OpsDoors): void => {
  readRoutes(app, doors)
  compareRoutes(app, doors)
  const { authorizer, fleet } = doors
  const middleware = allow(authorizer, 'write', 'records')
  app.openapi(
    createRoute({
      method: 'post',
      tags,
      middleware,
      path: `${base}/deployments`,
      summary: 'Declare a version, or replace what was declared of it',
      request: { body: { required: true, content: { 'application/json': { schema: declareSchema } } } },
      responses: { ...failures, 201: json(shownSchema, 'It is on record.') },
    }),
    async (c) => {
      // As it was written, so that the fleet reads durations itself.
      const { why: _, ...deployment } = (await c.req.json()) as Record<string, unknown>
      const entry = await fleet.declare(deployment, c.get('actor'), c.req.valid('json').why)
      return c.json(shown(entry), 201)
    },
  )
  app.openapi(
    createRoute({
      method: 'delete',
      tags,
      middleware,
      path: `${base}/deployments/{agent}/{version}`,
      summary: 'Take back a declaration made by API',
      request: { params: versionParams, query: z.object({ why: whySchema }) },
      responses: {
        204: { description: 'It is gone; its history stays in the ledger.' },
        400: failures[400],
        403: failures[403],
        404: failures[404],
        409: failures[409],
      },
    }),
    async (c) => {
      const { agent, version } = c.req.valid('param')
      await fleet.remove(agent, version, c.get('actor'), c.req.valid('query').why)
      return c.body(null, 204)
    },
  )
}
