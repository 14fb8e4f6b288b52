// The deployments an operator declares in the configuration file.
import { z } from 'zod'
import { deploymentSchema } from '../model/deployment.ts'

/** Schema of `deployments:`. */
export const deploymentsSchema = z
  .array(
    deploymentSchema.refine((d) => d.canary?.baseline !== d.version, {
      path: ['canary', 'baseline'],
      message: 'is the version itself; name the version it shall replace',
    }),
  )
  .default([])
  .superRefine((all, ctx) => {
    const seen = new Set<string>()
    all.forEach((d, i) => {
      const id = `${d.agent}@${d.version}`
      if (seen.has(id))
        ctx.addIssue({ code: 'custom', path: [i, 'version'], message: `${id} is declared twice` })
      seen.add(id)
    })
  })
