// Shapes and checks that every part of the operations API shares: errors, reasons, who may.
import { type OpenAPIHono, z } from '@hono/zod-openapi'
import type { MiddlewareHandler } from 'hono'
import { AppError, type Code, codes } from '../../lib/errors.ts'
import { type Instant, iso } from '../../lib/time.ts'
import type { Authorizer, Verb } from '../../model/ports/authorizer.ts'
import type { Env } from '../mount.ts'

export type OpsApp = OpenAPIHono<Env>

export const base = '/api/ops/v1'

export const errorSchema = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(codes) as [Code, ...Code[]]),
      message: z.string().openapi({ description: 'What is wrong, where, and how to mend it.' }),
    }),
  })
  .openapi('Error')

/** Why a change is made: it goes into the ledger with the name of who made it. */
export const whySchema = z
  .string()
  .trim()
  .min(1, 'say in a few words why; it is kept in the ledger')
  .max(2000)
  .openapi({ description: 'Why: kept in the ledger with the name of who did it.', example: 'tested by hand' })

export const whyBody = {
  required: true,
  content: { 'application/json': { schema: z.strictObject({ why: whySchema }).openapi('Why') } },
} as const

export const timeSchema = z.string().openapi({ format: 'date-time' })
export const at = (time: Instant): string => iso(time)
export const atOrNull = (time: Instant | null): string | null => (time === null ? null : iso(time))

export const json = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { 'application/json': { schema } },
})

const failure = (description: string) => json(errorSchema, description)

/** The answers that are not good ones, as far as a route has them. */
export const failures = {
  400: failure('The request is wrong; the message names the field and the mend. Nothing has changed.'),
  401: failure('Who asks is not known.'),
  403: failure('Who asks may not do this; the message names the role that may.'),
  404: failure('There is no such thing.'),
  409: failure('The state of things forbids it.'),
  413: failure('The body is too large.'),
  415: failure('The body is not JSON.'),
} as const

/** Answers 403, in words, unless the role of who asks allows it. */
export const allow =
  (authorizer: Authorizer, verb: Verb, thing: string): MiddlewareHandler<Env> =>
  async (c, next) => {
    const why = authorizer.may(c.get('actor'), verb, thing)
    if (why !== null) throw new AppError('forbidden', why)
    await next()
  }

/** One line for each thing that is wrong: `field: what, and the mend`. */
export const issuesText = (where: string, issues: readonly z.core.$ZodIssue[]): string =>
  issues
    .flatMap((issue) => {
      const path = issue.path.map(String).join('.')
      if (issue.code === 'unrecognized_keys')
        return issue.keys.map(
          (key) => `${path ? `${path}.` : ''}${key}: unknown field; check its spelling, or leave it out`,
        )
      return [`${path || where}: ${issue.message}`]
    })
    .join('; ')
