// The resources a fake Kubernetes API server knows, each with the schema its objects are checked against.
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { ReplicaSet } from 'kubernetes-models/apps/v1/ReplicaSet'
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet'
import { Scale } from 'kubernetes-models/autoscaling/v1/Scale'
import { Lease } from 'kubernetes-models/coordination.k8s.io/v1/Lease'
import { EndpointSlice } from 'kubernetes-models/discovery.k8s.io/v1/EndpointSlice'
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress'
import { Endpoints } from 'kubernetes-models/v1/Endpoints'
import { Event } from 'kubernetes-models/v1/Event'
import { Namespace } from 'kubernetes-models/v1/Namespace'
import { Node } from 'kubernetes-models/v1/Node'
import { Pod } from 'kubernetes-models/v1/Pod'
import { Service } from 'kubernetes-models/v1/Service'
import { type Json, StatusError } from './fake-kubernetes-status.ts'

export interface Resource {
  /** As in paths: `pods`. */
  readonly plural: string
  readonly kind: string
  /** '' for the core group. */
  readonly group: string
  readonly version: string
  readonly namespaced: boolean
  readonly subresources: readonly string[]
  /** Fields beside metadata.name and metadata.namespace that a fieldSelector may name. */
  readonly fields: readonly string[]
  readonly model: new (data: Json) => { validate(): void }
}

const make = (
  model: Resource['model'],
  plural: string,
  group: string,
  more: Partial<Resource> = {},
): Resource => ({
  model,
  plural,
  kind: model.name,
  group,
  version: 'v1',
  namespaced: true,
  subresources: ['status'],
  fields: [],
  ...more,
})

const workload = { subresources: ['status', 'scale'] }
const podFields = [
  'spec.nodeName',
  'spec.restartPolicy',
  'spec.schedulerName',
  'spec.serviceAccountName',
  'status.phase',
  'status.podIP',
]
const eventFields = [
  'involvedObject.kind',
  'involvedObject.namespace',
  'involvedObject.name',
  'involvedObject.uid',
  'reason',
  'type',
]

export const resources: readonly Resource[] = [
  make(Pod, 'pods', '', { fields: podFields }),
  make(Service, 'services', ''),
  make(Endpoints, 'endpoints', '', { subresources: [] }),
  make(Event, 'events', '', { subresources: [], fields: eventFields }),
  make(Node, 'nodes', '', { namespaced: false, fields: ['spec.unschedulable'] }),
  make(Namespace, 'namespaces', '', { namespaced: false, fields: ['status.phase'] }),
  make(Deployment, 'deployments', 'apps', workload),
  make(ReplicaSet, 'replicasets', 'apps', { ...workload, fields: ['status.replicas'] }),
  make(StatefulSet, 'statefulsets', 'apps', workload),
  make(Lease, 'leases', 'coordination.k8s.io', { subresources: [] }),
  make(EndpointSlice, 'endpointslices', 'discovery.k8s.io', { subresources: [] }),
  make(Ingress, 'ingresses', 'networking.k8s.io'),
]

export const apiVersionOf = ({ group, version }: Resource): string =>
  group === '' ? version : `${group}/${version}`

export const resourceOf = (object: Json): Resource => {
  const found = resources.find((r) => r.kind === object?.kind && apiVersionOf(r) === object?.apiVersion)
  if (!found)
    throw new StatusError(
      404,
      'NotFound',
      `no matches for kind ${JSON.stringify(object?.kind)} in version ${JSON.stringify(object?.apiVersion)}`,
    )
  return found
}

interface SchemaIssue {
  readonly instancePath: string
  readonly keyword: string
  readonly message: string
}

/** Checks against the OpenAPI schema: a wrong type is 400 as when decoding fails, anything else 422. */
export const checkSchema = (model: Resource['model'], object: Json, what: string): void => {
  try {
    new model(object).validate()
  } catch (error) {
    const issues = ((error as { errors?: SchemaIssue[] }).errors ?? []).map(
      (e) => `${e.instancePath.slice(1).replaceAll('/', '.')}: ${e.message}`,
    )
    const said = issues.join(', ') || (error as Error).message
    const typed = (error as { errors?: SchemaIssue[] }).errors?.every((e) => e.keyword === 'type')
    throw typed
      ? new StatusError(400, 'BadRequest', `${what} in version "v1" cannot be handled as a ${what}: ${said}`)
      : new StatusError(
          422,
          'Invalid',
          `${what} ${JSON.stringify(object?.metadata?.name)} is invalid: ${said}`,
        )
  }
}

/** What the schema leaves out and a real server still refuses. */
export const checkMeaning = (resource: Resource, object: Json, before: Json | null): void => {
  const name = JSON.stringify(object.metadata.name)
  const invalid = (why: string): StatusError =>
    new StatusError(
      422,
      'Invalid',
      `${resource.kind}${resource.group && `.${resource.group}`} ${name} is invalid: ${why}`,
    )
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(object.metadata.name))
    throw invalid(
      `metadata.name: Invalid value: ${name}: a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.'`,
    )
  const { spec } = object
  if (!['Deployment', 'ReplicaSet', 'StatefulSet'].includes(resource.kind)) return
  if (spec.replicas < 0)
    throw invalid(`spec.replicas: Invalid value: ${spec.replicas}: must be greater than or equal to 0`)
  const labels = spec.template?.metadata?.labels ?? {}
  for (const [k, v] of Object.entries(spec.selector?.matchLabels ?? {}))
    if (labels[k] !== v)
      throw invalid(
        'spec.template.metadata.labels: Invalid value: `selector` does not match template `labels`',
      )
  if (before && JSON.stringify(before.spec.selector) !== JSON.stringify(spec.selector))
    throw invalid('spec.selector: Invalid value: field is immutable')
  if ((spec.template?.spec?.containers ?? []).length === 0)
    throw invalid('spec.template.spec.containers: Required value')
}

export const checkScale = (object: Json): void => checkSchema(Scale, object, 'Scale')
