// What runs: an agent in a version, what it can do and what it needs.
import { z } from 'zod'
import { canarySchema } from './canary.ts'

export const deploymentSchema = z.strictObject({
  agent: z.string().min(1),
  version: z.string().min(1),
  capabilities: z.array(z.string()).default([]),
  resources: z
    .strictObject({
      cpu: z.union([z.string(), z.number()]).optional(),
      memory: z.union([z.string(), z.number()]).optional(),
      gpu: z.union([z.string(), z.number()]).optional(),
      replicas: z.int().min(0).optional(),
    })
    .default({}),
  /** Agent or service name → semver range it must satisfy. */
  dependencies: z.record(z.string(), z.string()).default({}),
  model: z.string().default(''),
  owner: z.string().default(''),
  /** Compared with a baseline version, and promoted or rolled back. */
  canary: canarySchema.optional(),
})

export type Deployment = z.output<typeof deploymentSchema>
