// The pods that run an agent, as the cluster tells of them.
import { createRoute, z } from '@hono/zod-openapi'
import { AppError } from '../../lib/errors.ts'
import type { AgentPod } from '../../model/agent-pod.ts'
import type { OpsDoors } from './doors.ts'
import { allow, atOrNull, base, failures, json, type OpsApp, timeSchema } from './wire.ts'

const podSchema = z
  .object({
    agent: z.string(),
    version: z.string().openapi({ description: 'Empty where the pod does not say.' }),
    namespace: z.string(),
    pod: z.string(),
    uid: z.string(),
    container: z.string(),
    node: z.string(),
    owner: z.object({ kind: z.string(), name: z.string() }).nullable(),
    phase: z.string(),
    ready: z.boolean(),
    restarts: z.int(),
    reason: z.string().openapi({ example: 'CrashLoopBackOff' }),
    started_at: timeSchema.nullable(),
  })
  .openapi('AgentPod')

const listSchema = z.object({
  fresh: z
    .boolean()
    .openapi({ description: 'False while the cluster has been silent for kubernetes.stale_after.' }),
  pods: z.array(podSchema),
})

const shown = (p: AgentPod): z.input<typeof podSchema> => ({
  agent: p.agent,
  version: p.version,
  namespace: p.namespace,
  pod: p.pod,
  uid: p.uid,
  container: p.container,
  node: p.node,
  owner: p.ownerKind === '' ? null : { kind: p.ownerKind, name: p.ownerName },
  phase: p.phase,
  ready: p.ready,
  restarts: p.restarts,
  reason: p.reason,
  started_at: atOrNull(p.startedAt),
})

export const podRoutes = (app: OpsApp, { authorizer, pods }: OpsDoors): void => {
  app.openapi(
    createRoute({
      method: 'get',
      path: `${base}/agents/{agent}/pods`,
      tags: ['deployments'],
      summary: 'The Kubernetes pods that run an agent',
      middleware: allow(authorizer, 'read', 'data'),
      request: { params: z.object({ agent: z.string().min(1) }) },
      responses: { 200: json(listSchema, 'Its pods.'), 403: failures[403], 404: failures[404] },
    }),
    (c) => {
      if (!pods)
        throw new AppError('not_found', 'no cluster is watched; add kubernetes: {} to the configuration')
      const found = pods.list(c.req.valid('param').agent)
      return c.json({ fresh: pods.fresh(), pods: found.map(shown) }, 200)
    },
  )
}
