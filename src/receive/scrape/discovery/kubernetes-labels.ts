// The pieces that Kubernetes's meta labels are made of. Pure.
import type { KubernetesRole } from '../discovery-config.ts'
import { hostPort } from './discoverer.ts'
import type {
  Container,
  ContainerStatus,
  EndpointSlice,
  ObjectMeta,
  ObjectReference,
  Pod,
  Service,
} from './kubernetes-objects.ts'

export type Labels = Record<string, string>

export const prefix = '__meta_kubernetes_'

/** Characters that no label name has become underscores. */
export const clean = (name: string): string => name.replace(/[^a-zA-Z0-9_]/g, '_')

export const describe = (labels: Labels, meta: ObjectMeta, resource: string): Labels => {
  for (const [kind, pairs] of [
    ['label', meta.labels],
    ['annotation', meta.annotations],
  ] as const)
    for (const [name, value] of Object.entries(pairs ?? {})) {
      labels[`${prefix}${resource}_${kind}_${clean(name)}`] = value
      labels[`${prefix}${resource}_${kind}present_${clean(name)}`] = 'true'
    }
  return labels
}

export const named = (labels: Labels, meta: ObjectMeta, role: KubernetesRole): Labels => {
  labels[`${prefix}${role}_name`] = meta.name
  return describe(labels, meta, role)
}

export const nodeNamed = (ref: ObjectReference | undefined): string | undefined =>
  ref?.kind === 'Node' ? ref.name : undefined

export const containersOf = ({ spec = {}, status = {} }: Pod) => {
  const all = (containers: readonly Container[] = [], statuses: readonly ContainerStatus[], init: boolean) =>
    containers.map((container) => ({
      container,
      init,
      id: statuses.find((s) => s.name === container.name)?.containerID ?? '',
    }))
  return [
    ...all(spec.containers, status.containerStatuses ?? [], false),
    ...all(spec.initContainers, status.initContainerStatuses ?? [], true),
  ]
}

export const portLabels = (
  container: Container,
  init: boolean,
  port: { containerPort: number; name?: string },
  protocol: string | undefined,
): Labels => ({
  [`${prefix}pod_container_name`]: container.name,
  [`${prefix}pod_container_image`]: container.image ?? '',
  [`${prefix}pod_container_port_name`]: port.name ?? '',
  [`${prefix}pod_container_port_number`]: String(port.containerPort),
  [`${prefix}pod_container_port_protocol`]: protocol ?? '',
  [`${prefix}pod_container_init`]: String(init),
})

type SliceEndpoint = NonNullable<EndpointSlice['endpoints']>[number]
type SlicePort = NonNullable<EndpointSlice['ports']>[number]

export const sliceTarget = (address: string, endpoint: SliceEndpoint, port: SlicePort): Labels => {
  const slice = `${prefix}endpointslice_`
  const { conditions = {} } = endpoint
  const target: Labels = { __address__: port.port === undefined ? address : hostPort(address, port.port) }
  const put = (name: string, value: string | number | boolean | undefined | null): void => {
    if (value !== undefined && value !== null) target[`${slice}${name}`] = String(value)
  }
  put('port_name', port.name)
  put('port_protocol', port.protocol)
  put('port', port.port)
  put('port_app_protocol', port.appProtocol)
  put('endpoint_conditions_ready', conditions.ready)
  put('endpoint_conditions_serving', conditions.serving)
  put('endpoint_conditions_terminating', conditions.terminating)
  put('endpoint_hostname', endpoint.hostname)
  put('endpoint_node_name', endpoint.nodeName)
  put('endpoint_zone', endpoint.zone)
  for (const [name, value] of Object.entries(endpoint.deprecatedTopology ?? {})) {
    put(`endpoint_topology_${clean(name)}`, value)
    put(`endpoint_topology_present_${clean(name)}`, 'true')
  }
  return target
}

/** A dual-stack service has a slice for each family; those of its first one are enough. */
export const secondFamily = (service: Service | undefined, slice: EndpointSlice): boolean => {
  const { ipFamilyPolicy: policy, ipFamilies = [] } = service?.spec ?? {}
  if (policy !== 'PreferDualStack' && policy !== 'RequireDualStack') return false
  return ipFamilies.length > 0 && slice.addressType !== ipFamilies[0]
}

/** Whether a TLS host, which may begin with one wildcard part, covers a rule's host. */
export const matchesHost = (pattern: string, host: string): boolean => {
  if (pattern === host) return true
  const want = pattern.split('.')
  const have = host.split('.')
  return (
    want[0] === '*' && want.length === have.length && want.slice(1).every((part, i) => part === have[i + 1])
  )
}
