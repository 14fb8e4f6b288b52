// Which metrics and sources have the most active series, and which are at their limit.
import { createRoute, z } from '@hono/zod-openapi'
import type { GroupView } from '../../model/cardinality.ts'
import type { OpsDoors } from './doors.ts'
import { allow, base, failures, json, type OpsApp } from './wire.ts'

const groupSchema = z
  .object({
    name: z.string(),
    series: z.int().openapi({ description: 'Active ones: with samples in memory, or on their way.' }),
    limit: z.int(),
    refused: z.int().openapi({ description: 'How often a new series was refused since the start.' }),
    widest_label: z.string().openapi({ description: 'The label that has the most values; may be empty.' }),
  })
  .openapi('CardinalityGroup')

const shown = ({ name, series, limit, refused, widest }: GroupView): z.input<typeof groupSchema> => ({
  name,
  series,
  limit,
  refused,
  widest_label: widest,
})

export const cardinalityRoutes = (app: OpsApp, { authorizer, cardinality }: OpsDoors): void => {
  app.openapi(
    createRoute({
      method: 'get',
      tags: ['system'],
      middleware: allow(authorizer, 'read', 'data'),
      path: `${base}/cardinality`,
      summary: 'The largest metrics and sources by active series; those at their limit stand first',
      request: { query: z.object({ limit: z.coerce.number().int().min(1).max(1000).default(20) }) },
      responses: {
        200: json(
          z.object({ series: z.int(), metrics: z.array(groupSchema), sources: z.array(groupSchema) }),
          'The largest, with their limits.',
        ),
        400: failures[400],
        403: failures[403],
      },
    }),
    (c) => {
      const { series, metrics, sources } = cardinality(c.req.valid('query').limit)
      return c.json({ series, metrics: metrics.map(shown), sources: sources.map(shown) }, 200)
    },
  )
}
