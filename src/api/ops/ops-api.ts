// The operations API under /api/ops/v1: what is declared, watched, decided and recorded, with an OpenAPI 3.1 document of itself.
import { OpenAPIHono } from '@hono/zod-openapi'
import { bodyLimit } from 'hono/body-limit'
import { HTTPException } from 'hono/http-exception'
import { AppError, asAppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { type Env, retryHeaders } from '../mount.ts'
import { cardinalityRoutes } from './cardinality.ts'
import { costRoutes } from './costs.ts'
import { actionRoutes, decisionRoutes } from './decisions.ts'
import { deploymentRoutes } from './deployments.ts'
import { documentOthers } from './documented.ts'
import type { OpsDoors } from './doors.ts'
import { podRoutes } from './pods.ts'
import { watchRoutes } from './rollouts.ts'
import { systemRoutes } from './system.ts'
import { traceRoutes } from './traces.ts'
import { base, issuesText, type OpsApp } from './wire.ts'

const maxBody = 1 << 20

/** An error as this API says it. */
export const opsError = (error: AppError): Response =>
  Response.json(
    { error: { code: error.code, message: error.message } },
    { status: error.status, headers: retryHeaders(error) },
  )

/** What the framework itself refuses is a mistake of the caller. */
const errorOf = (thrown: unknown): AppError =>
  thrown instanceof HTTPException && thrown.status < 500
    ? new AppError('bad_data', `${thrown.message}; send the body as JSON`, { status: thrown.status })
    : asAppError(thrown)

/** Bodies are JSON and not long; said before anything reads them. */
const takesJson = (app: OpsApp): void => {
  app.use(`${base}/*`, async (c, next) => {
    const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase()
    if (c.req.method === 'POST' && type !== 'application/json')
      throw new AppError(
        'unsupported_media',
        `content type ${type ?? 'is missing and'} is not taken; send application/json`,
      )
    await next()
  })
  const onError = (): never => {
    throw new AppError('too_large', `the body is over ${maxBody} bytes`)
  }
  app.use(`${base}/*`, bodyLimit({ maxSize: maxBody, onError }))
}

/**
 * Routes, to be mounted at the root after whatever else answers under the same path: what is left over is a 404 of this API. Every error
 * is `{ error: { code, message } }`.
 */
export const createOpsApi = (doors: OpsDoors & { readonly log: Logger }): OpsApp => {
  const app: OpsApp = new OpenAPIHono<Env>({
    defaultHook: (result) => {
      if (!result.success) throw new AppError('bad_data', issuesText(result.target, result.error.issues))
    },
  })
  app.onError((thrown, c) => {
    const error = errorOf(thrown)
    if (error.code === 'internal') doors.log.error({ err: thrown, path: c.req.path }, 'request failed')
    return opsError(error)
  })
  takesJson(app)
  deploymentRoutes(app, doors)
  podRoutes(app, doors)
  watchRoutes(app, doors)
  decisionRoutes(app, doors)
  actionRoutes(app, doors)
  traceRoutes(app, doors)
  systemRoutes(app, doors)
  costRoutes(app, doors)
  cardinalityRoutes(app, doors)
  documentOthers(app)
  app.openAPIRegistry.registerComponent('securitySchemes', 'token', { type: 'http', scheme: 'bearer' })
  app.doc31(`${base}/openapi.json`, {
    openapi: '3.1.0',
    info: {
      title: 'Airboss operations',
      version: doors.version,
      description:
        'What the fleet is declared to be, what watches it, what was decided and done. Every change says why, and stands in the ledger with who made it.',
    },
    security: [{ token: [] }],
  })
  app.all(`${base}/*`, (c) => {
    throw new AppError(
      'not_found',
      `nothing answers ${c.req.method} ${c.req.path}; ${base}/openapi.json lists what there is`,
    )
  })
  return app
}
