// `kubernetes:` in airboss.yaml: which cluster, what is looked at in it, and how agents are told from other pods.
import { z } from 'zod'
import { durationSchema } from '../../lib/config.ts'
import { accessProblems, kubernetesAccessShape } from '../../lib/kubernetes.ts'

const span = (text: string) => durationSchema.prefault(text)
const keys = (...otherwise: string[]) => z.array(z.string().min(1)).min(1).default(otherwise)
const labelName = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'not a label name')

/** Schema of `kubernetes:`; `env` is where `{ env: NAME }` secrets are looked up. */
export const kubernetesSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z
    .strictObject({
      ...kubernetesAccessShape(env),
      /** False: the cluster is only acted on, and nothing in it is watched. */
      watch: z.boolean().default(true),
      /** Left out: all. With them a Role in each is enough, and nodes are not looked at. */
      namespaces: z.array(z.string().min(1)).default([]),
      interval: span('30s').refine((d) => d >= 1000, 'at least 1s'),
      /** What was seen last is not believed longer than this once the API server is silent. */
      stale_after: span('5m').refine(
        (d) => d >= 180_000,
        'at least 3m: a quiet watch speaks about once a minute',
      ),
      /** Most series made of the cluster. */
      max_series: z.int().min(1).default(200_000),
      /** The labels `job` and `instance` that rules and dashboards for kube-state-metrics expect. */
      job: z.string().min(1).default('kube-state-metrics'),
      /** Put on every series, such as { cluster: eu-1 }. */
      labels: z.record(labelName, z.string()).default({}),
      agents: z
        .strictObject({
          /** Pod labels or annotations that name the agent; the first that is there counts. */
          name: keys('airboss.dev/agent', 'app.kubernetes.io/name'),
          version: keys('airboss.dev/version', 'app.kubernetes.io/version'),
        })
        .prefault({}),
    })
    .superRefine((config, ctx) => {
      for (const [key, message] of accessProblems(config))
        ctx.addIssue({ code: 'custom', path: [key], message })
    })

export type KubernetesConfig = z.output<ReturnType<typeof kubernetesSchema>>
