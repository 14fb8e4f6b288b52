// Targets and __meta_kubernetes_* labels of one Kubernetes object, as Prometheus names them. Pure.
import type { KubernetesRole, KubernetesSdConfig } from '../discovery-config.ts'
import type { TargetGroup } from '../target.ts'
import { hostPort } from './discoverer.ts'
import {
  clean,
  containersOf,
  describe,
  type Labels,
  matchesHost,
  named,
  nodeNamed,
  portLabels,
  prefix,
  secondFamily,
  sliceTarget,
} from './kubernetes-labels.ts'
import type {
  EndpointSlice,
  Endpoints,
  Ingress,
  KubeObject,
  Node,
  ObjectReference,
  Pod,
  Service,
} from './kubernetes-objects.ts'

/** A kind's name in paths and selectors, and what other objects are asked for by. */
export type Kind =
  | 'node'
  | 'pod'
  | 'service'
  | 'endpoints'
  | 'endpointslice'
  | 'ingress'
  | 'namespace'
  | 'replicaset'
  | 'job'

/** Another object by `namespace/name` (or the name, where its kind has no namespace); undefined when there is none. */
export type Find = (kind: Kind, key: string) => KubeObject | undefined

type Attach = KubernetesSdConfig['attach_metadata']
const keyOf = (namespace: string | undefined, name: string): string => `${namespace ?? ''}/${name}`
const controllerOf = (object: KubeObject | undefined) =>
  object?.metadata.ownerReferences?.find((owner) => owner.controller === true)

class Builder {
  readonly #find: Find
  readonly #attach: Attach

  constructor(find: Find, attach: Attach) {
    this.#find = find
    this.#attach = attach
  }

  #namespace(labels: Labels, namespace: string | undefined): void {
    if (!this.#attach.namespace || namespace === undefined) return
    const found = this.#find('namespace', namespace)
    if (found) describe(labels, found.metadata, 'namespace')
  }

  #nodeOf(labels: Labels, name: string | undefined): void {
    if (!this.#attach.node || !name) return
    const node = this.#find('node', name)
    if (node) named(labels, node.metadata, 'node')
  }

  #podLabels(pod: Pod): Labels {
    const { status = {}, spec = {}, metadata } = pod
    const ready = status.conditions?.find((c) => c.type === 'Ready')?.status ?? 'Unknown'
    const labels: Labels = {
      [`${prefix}pod_ip`]: status.podIP ?? '',
      [`${prefix}pod_ready`]: ready.toLowerCase(),
      [`${prefix}pod_phase`]: status.phase ?? '',
      [`${prefix}pod_node_name`]: spec.nodeName ?? '',
      [`${prefix}pod_host_ip`]: status.hostIP ?? '',
      [`${prefix}pod_uid`]: metadata.uid ?? '',
    }
    named(labels, metadata, 'pod')
    const owner = controllerOf(pod)
    if (!owner) return labels
    if (owner.kind) labels[`${prefix}pod_controller_kind`] = owner.kind
    if (owner.name) labels[`${prefix}pod_controller_name`] = owner.name
    const above = (kind: Kind) => controllerOf(this.#find(kind, keyOf(metadata.namespace, owner.name)))
    if (owner.kind === 'ReplicaSet' && this.#attach.deployment) {
      const deployment = above('replicaset')
      if (deployment?.kind === 'Deployment') labels[`${prefix}pod_deployment_name`] = deployment.name
    }
    if (owner.kind === 'Job' && this.#attach.job) labels[`${prefix}pod_job_name`] = owner.name
    if (owner.kind === 'Job' && this.#attach.cronjob) {
      const cronJob = above('job')
      if (cronJob?.kind === 'CronJob') labels[`${prefix}pod_cronjob_name`] = cronJob.name
    }
    return labels
  }

  node(node: Node): TargetGroup {
    const { status = {}, spec = {}, metadata } = node
    const source = `node/${metadata.name}`
    const labels: Labels = { [`${prefix}node_provider_id`]: spec.providerID ?? '' }
    for (const { type, status: is } of status.conditions ?? [])
      labels[`${prefix}node_condition_${clean(type.toLowerCase())}`] = is.toLowerCase()
    named(labels, metadata, 'node')
    const addresses = new Map<string, string>()
    for (const { type, address } of status.addresses ?? [])
      if (!addresses.has(type)) addresses.set(type, address)
    const kinds = ['InternalIP', 'InternalDNS', 'ExternalIP', 'ExternalDNS', 'LegacyHostIP', 'Hostname']
    const address = kinds.map((kind) => addresses.get(kind)).find((a) => a !== undefined)
    if (address === undefined) return { source, targets: [], labels: {} }
    const target: Labels = {
      __address__: hostPort(address, status.daemonEndpoints?.kubeletEndpoint?.Port ?? 0),
      instance: metadata.name,
    }
    for (const [type, a] of addresses) target[clean(`${prefix}node_address_${type}`)] = a
    return { source, targets: [target], labels }
  }

  pod(pod: Pod): TargetGroup {
    const { status = {}, spec = {}, metadata } = pod
    const source = `pod/${keyOf(metadata.namespace, metadata.name)}`
    const ip = status.podIP
    if (!ip) return { source, targets: [], labels: {} }
    // Nodes are listed by their selector: a pod on another one is not wanted.
    if (this.#attach.node && !this.#find('node', spec.nodeName ?? ''))
      return { source, targets: [], labels: {} }
    const labels = this.#podLabels(pod)
    labels[`${prefix}namespace`] = metadata.namespace ?? ''
    this.#nodeOf(labels, spec.nodeName)
    this.#namespace(labels, metadata.namespace)
    const targets = containersOf(pod).flatMap(({ container, init, id }) => {
      const base: Labels = {
        [`${prefix}pod_container_name`]: container.name,
        [`${prefix}pod_container_id`]: id,
        [`${prefix}pod_container_image`]: container.image ?? '',
        [`${prefix}pod_container_init`]: String(init),
      }
      // A container without ports is a target by its address alone; whoever wants it adds the port.
      if (!container.ports?.length) return [{ __address__: ip, ...base }]
      return container.ports.map((port) => ({
        __address__: hostPort(ip, port.containerPort),
        ...base,
        [`${prefix}pod_container_port_number`]: String(port.containerPort),
        [`${prefix}pod_container_port_name`]: port.name ?? '',
        [`${prefix}pod_container_port_protocol`]: port.protocol ?? '',
      }))
    })
    return { source, targets, labels }
  }

  #serviceLabels(service: Service): Labels {
    return named({ [`${prefix}namespace`]: service.metadata.namespace ?? '' }, service.metadata, 'service')
  }

  service(service: Service): TargetGroup {
    const { spec = {}, status = {}, metadata } = service
    const labels = this.#serviceLabels(service)
    this.#namespace(labels, metadata.namespace)
    const type = spec.type ?? ''
    const balanced = (status.loadBalancer?.ingress ?? []).flatMap((i) => (i.ip ? [i.ip] : []))
    const targets = (spec.ports ?? []).map((port) => ({
      __address__: hostPort(`${metadata.name}.${metadata.namespace}.svc`, port.port),
      [`${prefix}service_port_name`]: port.name ?? '',
      [`${prefix}service_port_number`]: String(port.port),
      [`${prefix}service_port_protocol`]: port.protocol ?? '',
      [`${prefix}service_type`]: type,
      ...(type === 'ExternalName'
        ? { [`${prefix}service_external_name`]: spec.externalName ?? '' }
        : { [`${prefix}service_cluster_ip`]: spec.clusterIP ?? '' }),
      ...(type === 'LoadBalancer'
        ? { [`${prefix}service_loadbalancer_ip`]: balanced.join(',') || (spec.loadBalancerIP ?? '') }
        : {}),
    }))
    return { source: `svc/${keyOf(metadata.namespace, metadata.name)}`, targets, labels }
  }

  ingress(ingress: Ingress): TargetGroup {
    const { spec = {}, metadata } = ingress
    const labels: Labels = { [`${prefix}namespace`]: metadata.namespace ?? '' }
    if (spec.ingressClassName !== undefined) labels[`${prefix}ingress_class_name`] = spec.ingressClassName
    named(labels, metadata, 'ingress')
    this.#namespace(labels, metadata.namespace)
    const secure = (spec.tls ?? []).flatMap((tls) => tls.hosts ?? [])
    const targets = (spec.rules ?? []).flatMap(({ host = '', http }) => {
      const scheme = secure.some((pattern) => matchesHost(pattern, host)) ? 'https' : 'http'
      const paths = http ? (http.paths ?? []).map((p) => p.path || '/') : ['/']
      return paths.map((path) => ({
        __address__: host,
        [`${prefix}ingress_scheme`]: scheme,
        [`${prefix}ingress_host`]: host,
        [`${prefix}ingress_path`]: path,
      }))
    })
    return { source: `ingress/${keyOf(metadata.namespace, metadata.name)}`, targets, labels }
  }

  /** A pod behind an address, with its labels on the target and the container whose port it is. */
  #podTarget(
    target: Labels,
    pod: Pod,
    port: { port?: number | undefined; protocol?: string | undefined },
  ): Labels {
    const labels = { ...target, ...this.#podLabels(pod) }
    for (const { container, init } of containersOf(pod)) {
      const found = container.ports?.find((p) => p.containerPort === port.port)
      if (!found) continue
      Object.assign(labels, portLabels(container, init, found, port.protocol ?? found.protocol))
    }
    return labels
  }

  /** Ports of the pods seen that no endpoint named. */
  #otherPorts(seen: ReadonlyMap<string, { pod: Pod; ports: Set<number> }>): Labels[] {
    const targets: Labels[] = []
    for (const { pod, ports } of seen.values()) {
      const ip = pod.status?.podIP
      if (!ip) continue
      for (const { container, init } of containersOf(pod))
        for (const port of container.ports ?? []) {
          if (ports.has(port.containerPort)) continue
          targets.push({
            __address__: hostPort(ip, port.containerPort),
            ...portLabels(container, init, port, port.protocol),
            ...this.#podLabels(pod),
          })
        }
    }
    return targets
  }

  #podOf(ref: ObjectReference | undefined): Pod | undefined {
    if (ref?.kind !== 'Pod') return undefined
    return this.#find('pod', keyOf(ref.namespace, ref.name ?? '')) as Pod | undefined
  }

  #see(seen: Map<string, { pod: Pod; ports: Set<number> }>, pod: Pod, port: number | undefined): void {
    const key = keyOf(pod.metadata.namespace, pod.metadata.name)
    const entry = seen.get(key) ?? { pod, ports: new Set<number>() }
    if (port !== undefined) entry.ports.add(port)
    seen.set(key, entry)
  }

  endpoints(endpoints: Endpoints): TargetGroup {
    const { metadata } = endpoints
    const labels: Labels = { [`${prefix}namespace`]: metadata.namespace ?? '' }
    const service = this.#find('service', keyOf(metadata.namespace, metadata.name)) as Service | undefined
    if (service) Object.assign(labels, this.#serviceLabels(service))
    named(labels, metadata, 'endpoints')
    this.#namespace(labels, metadata.namespace)
    const targets: Labels[] = []
    const seen = new Map<string, { pod: Pod; ports: Set<number> }>()
    for (const { ports = [], addresses = [], notReadyAddresses = [] } of endpoints.subsets ?? [])
      for (const port of ports)
        for (const [list, ready] of [
          [addresses, 'true'],
          [notReadyAddresses, 'false'],
        ] as const)
          for (const address of list) {
            const target: Labels = {
              __address__: hostPort(address.ip, port.port),
              [`${prefix}endpoint_port_name`]: port.name ?? '',
              [`${prefix}endpoint_port_protocol`]: port.protocol ?? '',
              [`${prefix}endpoint_ready`]: ready,
            }
            this.#refLabels(target, address.targetRef, 'endpoint_address')
            if (address.nodeName !== undefined) target[`${prefix}endpoint_node_name`] = address.nodeName
            if (address.hostname) target[`${prefix}endpoint_hostname`] = address.hostname
            this.#nodeOf(target, address.nodeName ?? nodeNamed(address.targetRef))
            const pod = this.#podOf(address.targetRef)
            if (pod) this.#see(seen, pod, port.port)
            targets.push(pod ? this.#podTarget(target, pod, port) : target)
          }
    targets.push(...this.#otherPorts(seen))
    return { source: `endpoints/${keyOf(metadata.namespace, metadata.name)}`, targets, labels }
  }

  #refLabels(target: Labels, ref: ObjectReference | undefined, what: string): void {
    if (!ref) return
    target[`${prefix}${what}_target_kind`] = ref.kind ?? ''
    target[`${prefix}${what}_target_name`] = ref.name ?? ''
  }

  endpointslice(slice: EndpointSlice): TargetGroup {
    const { metadata } = slice
    const source = `endpointslice/${keyOf(metadata.namespace, metadata.name)}`
    const labels: Labels = {
      [`${prefix}namespace`]: metadata.namespace ?? '',
      [`${prefix}endpointslice_address_type`]: slice.addressType ?? '',
    }
    named(labels, metadata, 'endpointslice')
    const of = metadata.labels?.['kubernetes.io/service-name']
    const service =
      of === undefined
        ? undefined
        : (this.#find('service', keyOf(metadata.namespace, of)) as Service | undefined)
    if (service) Object.assign(labels, this.#serviceLabels(service))
    this.#namespace(labels, metadata.namespace)
    if (secondFamily(service, slice)) return { source, targets: [], labels: {} }
    const targets: Labels[] = []
    const seen = new Map<string, { pod: Pod; ports: Set<number> }>()
    for (const endpoint of slice.endpoints ?? [])
      for (const port of slice.ports ?? [])
        for (const address of endpoint.addresses ?? []) {
          const target = sliceTarget(address, endpoint, port)
          this.#refLabels(target, endpoint.targetRef, 'endpointslice_address')
          this.#nodeOf(target, nodeNamed(endpoint.targetRef) ?? endpoint.nodeName)
          const pod = this.#podOf(endpoint.targetRef)
          if (pod) this.#see(seen, pod, port.port)
          // Here the protocol is the container's own.
          targets.push(pod ? this.#podTarget(target, pod, { port: port.port }) : target)
        }
    targets.push(...this.#otherPorts(seen))
    return { source, targets, labels }
  }
}

/** The group of one object of a role; without targets when there is nothing to scrape. */
export const groupOf = (
  role: KubernetesRole,
  object: KubeObject,
  find: Find,
  attach: Attach,
): TargetGroup => {
  const builder = new Builder(find, attach)
  return builder[role](object as never)
}
