// Does one step in a cluster: reads, changes under the version that was read, and leaves word of who and why.
import { AppError } from '../lib/errors.ts'
import {
  type KubernetesAnswer,
  type KubernetesApi,
  type KubernetesObject,
  type KubernetesRequest,
  statusWords,
} from '../lib/kubernetes.ts'
import { type Instant, iso } from '../lib/time.ts'
import type { Place, Step } from './kubernetes-plan.ts'
import { undoOf } from './kubernetes-undo.ts'

/** What the API server answered that is no success. */
export class Refusal extends AppError {
  readonly answer: KubernetesAnswer
  constructor(what: string, answer: KubernetesAnswer) {
    super('execution', `${what}: ${statusWords(answer)}`, { status: answer.status })
    this.answer = answer
  }
}

export interface StepContext {
  readonly api: KubernetesApi
  /** The action's id: kept on what it changed. */
  readonly id: string
  /** Who and why, in a line. */
  readonly cause: string
  /** Everything is checked by the server and nothing is kept. */
  readonly dryRun: boolean
  readonly now: Instant
  /** A signal for one request. */
  readonly signal: () => AbortSignal
}

const idKey = 'airboss.dev/action-id'
const causeKey = 'kubernetes.io/change-cause'
const restartKey = 'kubectl.kubernetes.io/restartedAt'
const versionLabel = 'app.kubernetes.io/version'
const merge = 'application/merge-patch+json'
const strategic = 'application/strategic-merge-patch+json'
const jsonPatch = 'application/json-patch+json'

const plurals: Readonly<Record<string, string>> = { Deployment: 'deployments', StatefulSet: 'statefulsets' }

const nameOf = ({ api }: StepContext, { kind, namespace, name }: Place): string =>
  `${kind} ${namespace || api.namespace}/${name}`
const pathOf = ({ api }: StepContext, { kind, namespace, name }: Place): string =>
  `/apis/apps/v1/namespaces/${encodeURIComponent(namespace || api.namespace)}/${plurals[kind]}/${encodeURIComponent(name)}`

const ask = async (
  c: StepContext,
  what: string,
  request: Omit<KubernetesRequest, 'signal'>,
): Promise<KubernetesObject> => {
  const writes =
    request.method === undefined ? {} : { fieldManager: 'airboss', ...(c.dryRun ? { dryRun: 'All' } : {}) }
  const answer = await c.api.send({ ...request, query: { ...request.query, ...writes }, signal: c.signal() })
  if (answer.status >= 300) throw new Refusal(what, answer)
  return answer.body
}

const read = (c: StepContext, at: Place): Promise<KubernetesObject> =>
  ask(c, `reading ${nameOf(c, at)}`, { path: pathOf(c, at) })

const wordOf = (c: StepContext): Record<string, string> => ({ [idKey]: c.id, [causeKey]: c.cause })
const isDone = (c: StepContext, object: KubernetesObject): boolean =>
  object?.metadata?.annotations?.[idKey] === c.id

const scale = async (c: StepContext, { at, replicas }: Step & { do: 'scale' }): Promise<string> => {
  const what = nameOf(c, at)
  const object = await read(c, at)
  if (isDone(c, object)) return `${what} was scaled by this action before`
  const path = pathOf(c, at)
  const now = await ask(c, `reading the scale of ${what}`, { path: `${path}/scale` })
  const from = now.spec?.replicas ?? 0
  if (from !== replicas)
    await ask(c, `scaling ${what}`, {
      method: 'PUT',
      path: `${path}/scale`,
      body: { ...now, spec: { ...now.spec, replicas } },
    })
  const done =
    from === replicas
      ? `${what} has ${replicas} replicas already`
      : `${what} scaled from ${from} to ${replicas} replicas`
  try {
    // The scale subresource keeps no word of why; without a right to leave it, the scaling still counts.
    const body = { metadata: { annotations: wordOf(c) } }
    await ask(c, `annotating ${what}`, { method: 'PATCH', path, contentType: merge, body })
  } catch (error) {
    if (error instanceof Refusal && error.answer.status === 403)
      return `${done}; not annotated: ${error.message}`
    throw error
  }
  return done
}

const containerOf = (object: KubernetesObject, wanted: string, what: string): KubernetesObject => {
  const containers: KubernetesObject[] = object.spec?.template?.spec?.containers ?? []
  const names = containers.map((k) => k.name).join(', ')
  const found =
    wanted === '' && containers.length === 1 ? containers[0] : containers.find((k) => k.name === wanted)
  if (found) return found
  throw new AppError(
    'bad_data',
    wanted === ''
      ? `${what} has the containers ${names}; say which is the agent's (workload.container)`
      : `${what} has no container ${wanted}; it has ${names}`,
  )
}

const image = async (c: StepContext, step: Step & { do: 'image' }): Promise<string> => {
  const { at, version } = step
  const what = nameOf(c, at)
  const object = await read(c, at)
  if (isDone(c, object)) return `${what} was changed by this action before`
  const container = containerOf(object, step.container, what)
  if (container.image === step.image) return `${what} runs ${step.image} already`
  // A template that says its version goes on telling the truth.
  const labelled = version !== '' && object.spec.template.metadata?.labels?.[versionLabel] !== undefined
  // The selector may hold on to that label; then it is left alone.
  const selected = object.spec.selector?.matchLabels?.[versionLabel] !== undefined
  const metadata = labelled && !selected ? { metadata: { labels: { [versionLabel]: version } } } : {}
  const spec = { containers: [{ name: container.name, image: step.image }] }
  await ask(c, `setting the image of ${what}`, {
    method: 'PATCH',
    path: pathOf(c, at),
    contentType: strategic,
    body: {
      metadata: { resourceVersion: object.metadata.resourceVersion, annotations: wordOf(c) },
      spec: { template: { ...metadata, spec } },
    },
  })
  return `${what}: ${container.name} set from ${container.image} to ${step.image}`
}

const selectorText = (selector: KubernetesObject): string => {
  const equal = Object.entries(selector?.matchLabels ?? {}).map(([k, v]) => `${k}=${v}`)
  const sets = (selector?.matchExpressions ?? []).map(({ key, operator, values = [] }: KubernetesObject) => {
    if (operator === 'Exists') return key
    if (operator === 'DoesNotExist') return `!${key}`
    return `${key} ${operator === 'In' ? 'in' : 'notin'} (${values.join(',')})`
  })
  return [...equal, ...sets].join(',')
}

const undo = async (c: StepContext, { at, container, from, to }: Step & { do: 'undo' }): Promise<string> => {
  const what = nameOf(c, at)
  const deployment = await read(c, at)
  if (isDone(c, deployment)) return `${what} was rolled back by this action before`
  const namespace = encodeURIComponent(at.namespace || c.api.namespace)
  const list = await ask(c, `reading the revisions of ${what}`, {
    path: `/apis/apps/v1/namespaces/${namespace}/replicasets`,
    query: { labelSelector: selectorText(deployment.spec?.selector) },
  })
  const found = undoOf({ deployment, replicaSets: list.items ?? [], container, from, to })
  if ('already' in found) return found.already
  if ('refused' in found) throw new AppError('bad_data', found.refused)
  const annotations = { ...deployment.metadata.annotations, ...wordOf(c) }
  await ask(c, `rolling back ${what}`, {
    method: 'PATCH',
    path: pathOf(c, at),
    contentType: jsonPatch,
    body: [
      // The server compares it: a change in between is a conflict.
      { op: 'replace', path: '/metadata/resourceVersion', value: deployment.metadata.resourceVersion },
      { op: 'add', path: '/metadata/annotations', value: annotations },
      { op: 'replace', path: '/spec/template', value: found.template },
    ],
  })
  return `${what} rolled back to revision ${found.revision}${found.version && ` (${found.version})`}`
}

const restart = async (c: StepContext, { at, model }: Step & { do: 'restart' }): Promise<string> => {
  const what = nameOf(c, at)
  const object = await read(c, at)
  if (isDone(c, object)) return `${what} was restarted by this action before`
  const annotations = { [restartKey]: iso(c.now), ...(model === '' ? {} : { 'airboss.dev/model': model }) }
  await ask(c, `restarting ${what}`, {
    method: 'PATCH',
    path: pathOf(c, at),
    contentType: strategic,
    body: {
      metadata: { resourceVersion: object.metadata.resourceVersion, annotations: wordOf(c) },
      spec: { template: { metadata: { annotations } } },
    },
  })
  return `${what} is restarted${model && ` with model ${model}`}`
}

/** Does one step and says what was done. Throws `Refusal`, `bad_data` for what cannot be done, `unavailable` without an answer. */
export const doStep = (c: StepContext, step: Step): Promise<string> => {
  if (step.do === 'scale') return scale(c, step)
  if (step.do === 'image') return image(c, step)
  if (step.do === 'undo') return undo(c, step)
  return restart(c, step)
}
