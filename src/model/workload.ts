// Where an agent runs on Kubernetes: what an action of the kubernetes actuator is done to.
import { z } from 'zod'

const name = (what: string) =>
  z
    .string()
    .regex(
      /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/,
      `not a name of a ${what}; it has lower-case letters, digits, - and .`,
    )

const place = {
  kind: z.enum(['Deployment', 'StatefulSet']).default('Deployment'),
  /** Left out: the namespace of the pod or the kubeconfig's context. */
  namespace: name('namespace').optional(),
  name: name('workload'),
}

/** What is scaled, as a scaleTargetRef. */
export const scaleTargetSchema = z.strictObject(place)

/** What is rolled back or promoted. */
export const workloadSchema = z
  .strictObject({
    ...place,
    /** The agent's container; needed where there are several. */
    container: z.string().min(1).optional(),
    /** `registry.example.com/research:$version`: set on promotion and rollback. Left out, a rollback is `kubectl rollout undo`. */
    image: z
      .string()
      .refine(
        (text) => text.includes('$version'),
        'must say where the version stands: registry.example.com/research:$version',
      )
      .optional(),
    /** A Deployment that runs the new version alone, beside this one: scaled to 0 when it is rolled back or has been promoted. */
    canary: name('Deployment').optional(),
  })
  .refine((w) => w.kind === 'Deployment' || w.image !== undefined, {
    path: ['image'],
    message: 'is needed for a StatefulSet: only a Deployment keeps what it was before',
  })
  .refine((w) => w.canary !== w.name, { path: ['canary'], message: 'is the workload itself' })

type Place = z.output<typeof scaleTargetSchema>
export type Workload = z.output<typeof workloadSchema>

/** `Deployment/agents/research`, as it stands in an action's parameters; the namespace may be empty. */
export const placeText = ({ kind, namespace = '', name: called }: Place): string =>
  `${kind}/${namespace}/${called}`

/** Reads `placeText` back; null for what is none. */
export const placeOf = (
  text: string,
): { readonly kind: string; readonly namespace: string; readonly name: string } | null => {
  const [kind = '', namespace = '', called = '', ...more] = text.split('/')
  return ['Deployment', 'StatefulSet'].includes(kind) && called !== '' && more.length === 0
    ? { kind, namespace, name: called }
    : null
}

/** A workload as parameters of an action that makes `version` the one that runs. */
export const workloadParams = (
  workload: Workload | undefined,
  version: string,
): Readonly<Record<string, string>> => {
  if (!workload) return {}
  const { container, image, canary } = workload
  return {
    workload: placeText(workload),
    ...(container === undefined ? {} : { container }),
    ...(image === undefined ? {} : { image: image.replaceAll('$version', version) }),
    ...(canary === undefined ? {} : { canary }),
  }
}
