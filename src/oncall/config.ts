// The `oncall:` part of the configuration: users with their devices, and escalation policies.
import { z } from 'zod'
import { durationSchema, type Secret } from '../lib/config.ts'
import { type Duration, duration } from '../lib/time.ts'
import type { ChannelKind } from '../model/ports/channel.ts'

/** One device of a user. */
export type Target =
  | { readonly webhook: Secret }
  | { readonly pagerduty: Secret }
  /** An incoming webhook, or a channel or member to which the Alertmanager file's `slack_app_token` or `slack_api_url` posts. */
  | { readonly slack: Secret }
  /** Through the Alertmanager file's `smtp_smarthost`. */
  | { readonly email: string }

export interface User {
  readonly id: string
  readonly name: string
  readonly notify: readonly Target[]
}

export interface Step {
  /** How long after the step before (for the first: after the alert) its users are paged. */
  readonly after: Duration
  readonly users: readonly string[]
}

export interface Policy {
  readonly name: string
  /** How often the steps are gone through again when nobody answers. */
  readonly repeat: number
  readonly steps: readonly Step[]
}

export interface OncallConfig {
  readonly users: ReadonlyMap<string, User>
  readonly policies: ReadonlyMap<string, Policy>
  /** Where people reach this Airboss: acknowledgement links begin with it. Null = as the server is reached. */
  readonly publicURL: string | null
  readonly ackSecret: Secret | null
  /** How long an acknowledgement link works. */
  readonly ackExpiry: Duration
}

const targetSchema = (secret: z.ZodType<Secret>): z.ZodType<Target> =>
  z.union(
    [
      z.strictObject({ webhook: secret }),
      z.strictObject({ pagerduty: secret }),
      z.strictObject({ slack: secret }),
      z.strictObject({ email: z.email('not an email address') }),
    ],
    {
      error:
        'a device is { webhook: URL }, { pagerduty: ROUTING_KEY }, { slack: CHANNEL, MEMBER or WEBHOOK URL } or { email: ADDRESS }',
    },
  )

const stepSchema = z
  .strictObject({
    after: durationSchema.optional(),
    delay: durationSchema.optional(),
    users: z.array(z.string()).min(1, 'a step needs at least one user'),
  })
  .refine(
    (s) => s.after === undefined || s.delay === undefined,
    'give after or delay, not both: they are the same',
  )
  .transform((s): Step => ({ after: s.after ?? s.delay ?? duration(0), users: s.users }))

const policySchema = z.strictObject({
  repeat: z.number().int().min(0).max(100).default(0),
  steps: z.array(stepSchema).min(1, 'a policy needs at least one step'),
})

/** Who guesses it can acknowledge anything. One that stands in a file may not be there yet. */
const longEnough = (secret: Secret): boolean => {
  try {
    return secret.reveal().length >= 16
  } catch {
    return true
  }
}

/** Schema of `oncall:`. `secret` reads text, `{ env }` and `{ file }`. Users that a step names must exist. */
export const oncallSchema = (secret: z.ZodType<Secret>) =>
  z
    .strictObject({
      users: z
        .record(
          z.string(),
          z.strictObject({
            name: z.string().optional(),
            notify: z.array(targetSchema(secret)).min(1, 'a user needs at least one device'),
          }),
        )
        .default({}),
      policies: z.record(z.string(), policySchema).default({}),
      public_url: z.url().optional(),
      ack_secret: secret.optional(),
      ack_expiry: durationSchema.default(duration(86_400_000)),
    })
    .superRefine((c, ctx) => {
      if (c.ack_secret !== undefined && !longEnough(c.ack_secret))
        ctx.addIssue({
          code: 'custom',
          message: 'has fewer than 16 characters; make one with: openssl rand -hex 32, or leave it out',
          path: ['ack_secret'],
        })
      for (const [name, policy] of Object.entries(c.policies))
        for (const [i, step] of policy.steps.entries())
          for (const [j, user] of step.users.entries())
            if (!Object.hasOwn(c.users, user))
              ctx.addIssue({
                code: 'custom',
                message: `user ${JSON.stringify(user)} is not defined under oncall.users`,
                path: ['policies', name, 'steps', i, 'users', j],
              })
    })
    .transform(
      (c): OncallConfig => ({
        users: new Map(
          Object.entries(c.users).map(([id, u]) => [id, { id, name: u.name ?? id, notify: u.notify }]),
        ),
        policies: new Map(Object.entries(c.policies).map(([name, p]) => [name, { name, ...p }])),
        publicURL: c.public_url?.replace(/\/+$/, '') ?? null,
        ackSecret: c.ack_secret ?? null,
        ackExpiry: c.ack_expiry,
      }),
    )

export const emptyOncallConfig: OncallConfig = {
  users: new Map(),
  policies: new Map(),
  publicURL: null,
  ackSecret: null,
  ackExpiry: duration(86_400_000),
}

/** One entry of a receiver's `oncall_configs`. */
export const oncallReceiverSchema = z.strictObject({
  policy: z.string().min(1, 'name a policy of oncall.policies'),
})
/** The receiver kind `oncall_configs`, for the table of channels. */
export const oncallKind: ChannelKind = {
  name: 'oncall',
  schema: () => oncallReceiverSchema,
  sendResolved: true,
}
