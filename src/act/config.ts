// What an operator may set about actions: whether they are real, how often, who approves, and where they go.
import { z } from 'zod'
import { durationSchema, secretSchema } from '../lib/config.ts'
import type { Duration } from '../lib/time.ts'

const kinds = ['rollback', 'promote', 'scale', 'budget', 'model'] as const

/** The actuator that is the cluster of `kubernetes:`; no webhook may have this name. */
export const kubernetesName = 'kubernetes'

const span = (text: string) => durationSchema.prefault(text)

const webhookSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z.strictObject({
    url: z.url({
      protocol: /^https?$/,
      error: 'an http or https address, such as https://deploy.example.com/airboss',
    }),
    /** Signs each call (HMAC-SHA256); the receiver checks it with the same secret. */
    secret: secretSchema(env).optional(),
    headers: z.record(z.string(), secretSchema(env)).default({}),
    /** One attempt. */
    timeout: span('10s'),
    /** How long attempts go on while the receiver is away. */
    give_up_after: span('15m'),
  })

const kubernetesSchema = z
  .strictObject({
    /** One request. */
    timeout: span('10s').refine((d) => d > 0, 'must be above 0'),
    /** How long attempts go on while the API server is away or asks for patience. */
    give_up_after: span('5m'),
  })
  .prefault({})

/** Schema of `actions:`; `env` is where `{ env: NAME }` secrets are looked up. */
export const actionsSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z
    .strictObject({
      /** `dry_run` records what would be done and does nothing; `live` does it. */
      mode: z.enum(['dry_run', 'live']).default('dry_run'),
      webhooks: z.record(z.string().min(1), webhookSchema(env)).default({}),
      kubernetes: kubernetesSchema,
      /** Where an action without an actuator goes: a webhook, or `kubernetes`; needed only where there are several. */
      default: z.string().default(''),
      /** The shortest time between two actions of one kind on one subject. */
      cooldown: z
        .strictObject({
          rollback: span('5m'),
          promote: span('5m'),
          scale: span('0s'),
          budget: span('5m'),
          model: span('5m'),
        })
        .prefault({}),
      /** Kinds that wait for a person even when live. */
      approvals: z.array(z.enum(kinds)).default([]),
      /** Actions an hour, of all kinds together. */
      limit_per_hour: z.int().min(1).default(60),
      /** A held action older than this is not done any more. */
      expire_after: span('24h'),
    })
    .superRefine((c, ctx) => {
      const names = Object.keys(c.webhooks)
      if (names.includes(kubernetesName))
        ctx.addIssue({
          code: 'custom',
          path: ['webhooks', kubernetesName],
          message: 'this name stands for the cluster itself; give the webhook another',
        })
      if (c.default !== kubernetesName && c.default !== '' && !names.includes(c.default))
        ctx.addIssue({
          code: 'custom',
          path: ['default'],
          message: `no webhook is named ${JSON.stringify(c.default)}; there is ${[...names, kubernetesName].join(', ')}`,
        })
    })

export type ActionsConfig = z.output<ReturnType<typeof actionsSchema>>
export type KubernetesActConfig = ActionsConfig['kubernetes']
export type WebhookConfig = ActionsConfig['webhooks'][string]
export type GuardConfig = Pick<ActionsConfig, 'mode' | 'approvals' | 'limit_per_hour'> & {
  readonly cooldown: Readonly<Record<(typeof kinds)[number], Duration>>
}
