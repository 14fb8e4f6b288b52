// `costs:` in airboss.yaml: how bills are read and written.
import { z } from 'zod'

const keys = (...names: string[]) => z.array(z.string().min(1)).default(names)

export const costsSchema = z
  .strictObject({
    /** Tags of a bill that name whose a charge is; the first that is there. */
    tags: z
      .strictObject({
        agent: keys('agent', 'gen_ai.agent.name', 'app.kubernetes.io/name', 'app'),
        version: keys('version', 'app.kubernetes.io/version'),
        owner: keys('owner', 'team'),
      })
      .prefault({}),
    /** Which cost of a bill's line counts. */
    column: z.enum(['EffectiveCost', 'BilledCost', 'ContractedCost', 'ListCost']).default('EffectiveCost'),
    /** US dollars for one of another currency; without it charges in that currency are refused. */
    currencies: z
      .record(z.string().regex(/^[A-Z]{3}$/, 'not a code such as EUR'), z.number().positive())
      .default({}),
    /** Who bills, as exports say it; left out, the name of this installation. */
    billing_account_id: z.string().min(1).optional(),
    billing_account_name: z.string().min(1).optional(),
  })
  .prefault({})
