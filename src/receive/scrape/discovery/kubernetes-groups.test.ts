import { expect, test } from 'vitest'
import type { KubernetesRole } from '../discovery-config.ts'
import { groupOf, type Kind } from './kubernetes-groups.ts'
import type { KubeObject } from './kubernetes-objects.ts'

const none = { node: false, namespace: false, deployment: false, job: false, cronjob: false }
const make = (
  role: KubernetesRole,
  object: object,
  others: Partial<Record<Kind, Record<string, object>>> = {},
  attach: Partial<typeof none> = {},
) =>
  groupOf(role, object as KubeObject, (kind, key) => others[kind]?.[key] as KubeObject | undefined, {
    ...none,
    ...attach,
  })
const meta = (name: string, more: object = {}) => ({ name, namespace: 'ns', ...more })
const short = (labels: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(labels).map(([k, v]) => [k.replace('__meta_kubernetes_', ''), v]))

const pod = {
  metadata: meta('p', {
    uid: 'u1',
    labels: { 'a.b/c': 'd' },
    ownerReferences: [
      { kind: 'Other', name: 'x' },
      { kind: 'Job', name: 'nightly-1', controller: true },
    ],
  }),
  spec: {
    nodeName: 'n1',
    containers: [
      {
        name: 'main',
        image: 'i:1',
        ports: [
          { name: 'web', containerPort: 80, protocol: 'TCP' },
          { containerPort: 9090, protocol: 'TCP' },
        ],
      },
      { name: 'side', image: 'i:2' },
    ],
    initContainers: [
      { name: 'init', image: 'i:0', ports: [{ name: 'x', containerPort: 1, protocol: 'UDP' }] },
    ],
  },
  status: {
    podIP: 'fd00::1',
    hostIP: '10.0.0.1',
    phase: 'Pending',
    conditions: [{ type: 'Ready', status: 'False' }],
    containerStatuses: [{ name: 'main', containerID: 'docker://m' }],
    initContainerStatuses: [{ name: 'init', containerID: 'docker://i' }],
  },
}

test('a pod is a target for each port, for each container without one, and for init containers', () => {
  const group = make('pod', pod)
  expect(group.source).toBe('pod/ns/p')
  expect(short(group.labels)).toEqual({
    namespace: 'ns',
    pod_name: 'p',
    pod_ip: 'fd00::1',
    pod_ready: 'false',
    pod_phase: 'Pending',
    pod_node_name: 'n1',
    pod_host_ip: '10.0.0.1',
    pod_uid: 'u1',
    pod_label_a_b_c: 'd',
    pod_labelpresent_a_b_c: 'true',
    pod_controller_kind: 'Job',
    pod_controller_name: 'nightly-1',
  })
  expect(group.targets.map(short)).toEqual([
    {
      __address__: '[fd00::1]:80',
      pod_container_name: 'main',
      pod_container_id: 'docker://m',
      pod_container_image: 'i:1',
      pod_container_init: 'false',
      pod_container_port_name: 'web',
      pod_container_port_number: '80',
      pod_container_port_protocol: 'TCP',
    },
    {
      __address__: '[fd00::1]:9090',
      pod_container_name: 'main',
      pod_container_id: 'docker://m',
      pod_container_image: 'i:1',
      pod_container_init: 'false',
      pod_container_port_name: '',
      pod_container_port_number: '9090',
      pod_container_port_protocol: 'TCP',
    },
    {
      __address__: 'fd00::1',
      pod_container_name: 'side',
      pod_container_id: '',
      pod_container_image: 'i:2',
      pod_container_init: 'false',
    },
    {
      __address__: '[fd00::1]:1',
      pod_container_name: 'init',
      pod_container_id: 'docker://i',
      pod_container_image: 'i:0',
      pod_container_init: 'true',
      pod_container_port_name: 'x',
      pod_container_port_number: '1',
      pod_container_port_protocol: 'UDP',
    },
  ])
})

test('a pod without an address, or on a node that is not selected, is no target', () => {
  expect(make('pod', { ...pod, status: {} }).targets).toEqual([])
  expect(make('pod', pod, {}, { node: true }).targets).toEqual([])
  const nodes = { n1: { metadata: { name: 'n1', annotations: { rack: '7' } } } }
  expect(short(make('pod', pod, { node: nodes }, { node: true }).labels)).toMatchObject({
    node_name: 'n1',
    node_annotation_rack: '7',
    node_annotationpresent_rack: 'true',
  })
})

test('a job and its cron job stand on the pod where they are asked for', () => {
  const job = {
    metadata: meta('nightly-1', {
      ownerReferences: [{ kind: 'CronJob', name: 'nightly', controller: true }],
    }),
  }
  const labels = short(
    make('pod', pod, { job: { 'ns/nightly-1': job } }, { job: true, cronjob: true }).labels,
  )
  expect(labels).toMatchObject({ pod_job_name: 'nightly-1', pod_cronjob_name: 'nightly' })
  expect(short(make('pod', pod, { job: { 'ns/nightly-1': job } }).labels)).not.toHaveProperty(
    'pod_cronjob_name',
  )
})

test('a node takes its address by kind, and has all of them as labels', () => {
  const status = (addresses: object[]) => ({ metadata: { name: 'n' }, status: { addresses } })
  const ext = { type: 'ExternalIP', address: '1.1.1.1' }
  expect(make('node', status([{ type: 'Hostname', address: 'h' }, ext])).targets).toEqual([
    {
      __address__: '1.1.1.1:0',
      instance: 'n',
      __meta_kubernetes_node_address_Hostname: 'h',
      __meta_kubernetes_node_address_ExternalIP: '1.1.1.1',
    },
  ])
  expect(make('node', status([{ type: 'Odd', address: 'x' }])).targets).toEqual([])
})

test('services: cluster address, load balancer, external name', () => {
  const service = (spec: object, status: object = {}) =>
    make('service', {
      metadata: meta('s'),
      spec: { ports: [{ port: 80, name: 'w', protocol: 'TCP' }], ...spec },
      status,
    }).targets.map(short)[0]
  expect(service({ type: 'ClusterIP', clusterIP: '10.0.0.9' })).toEqual({
    __address__: 's.ns.svc:80',
    service_port_name: 'w',
    service_port_number: '80',
    service_port_protocol: 'TCP',
    service_type: 'ClusterIP',
    service_cluster_ip: '10.0.0.9',
  })
  expect(service({ type: 'ExternalName', externalName: 'x.test' })).toMatchObject({
    service_external_name: 'x.test',
  })
  const balanced = { loadBalancer: { ingress: [{ ip: '2.2.2.2' }, { ip: '3.3.3.3' }] } }
  expect(service({ type: 'LoadBalancer' }, balanced)).toMatchObject({
    service_loadbalancer_ip: '2.2.2.2,3.3.3.3',
  })
})

test('endpoints of a pod bring the ports no endpoint named', () => {
  const ref = { kind: 'Pod', name: 'p', namespace: 'ns' }
  const endpoints = {
    metadata: meta('s'),
    subsets: [
      {
        addresses: [{ ip: 'fd00::1', targetRef: ref, hostname: 'h' }],
        ports: [{ port: 80, name: 'web', protocol: 'TCP' }],
      },
    ],
  }
  const targets = make('endpoints', endpoints, { pod: { 'ns/p': pod } }).targets.map(short)
  expect(targets.map((t) => [t['__address__'], t['endpoint_ready'], t['pod_container_port_number']])).toEqual(
    [
      ['[fd00::1]:80', 'true', '80'],
      ['[fd00::1]:9090', undefined, '9090'],
      ['[fd00::1]:1', undefined, '1'],
    ],
  )
  expect(targets[0]).toMatchObject({
    endpoint_hostname: 'h',
    endpoint_port_name: 'web',
    endpoint_address_target_kind: 'Pod',
    endpoint_address_target_name: 'p',
    pod_name: 'p',
    pod_container_port_name: 'web',
  })
})

test('an endpoint slice has the labels of its conditions; that of the second address family has no targets', () => {
  const slice = {
    metadata: meta('s-1', { labels: { 'kubernetes.io/service-name': 's' } }),
    addressType: 'IPv6',
    endpoints: [
      {
        addresses: ['fd00::2'],
        conditions: { ready: true, serving: true, terminating: false },
        zone: 'z',
        nodeName: 'n1',
        deprecatedTopology: { 'a/b': 'c' },
      },
    ],
    ports: [{ name: 'web', port: 80, protocol: 'TCP', appProtocol: 'http' }],
  }
  expect(short(make('endpointslice', slice).targets[0]!)).toEqual({
    __address__: '[fd00::2]:80',
    endpointslice_port_name: 'web',
    endpointslice_port_protocol: 'TCP',
    endpointslice_port: '80',
    endpointslice_port_app_protocol: 'http',
    endpointslice_endpoint_conditions_ready: 'true',
    endpointslice_endpoint_conditions_serving: 'true',
    endpointslice_endpoint_conditions_terminating: 'false',
    endpointslice_endpoint_node_name: 'n1',
    endpointslice_endpoint_zone: 'z',
    endpointslice_endpoint_topology_a_b: 'c',
    endpointslice_endpoint_topology_present_a_b: 'true',
  })
  const service = (families: string[]) => ({
    service: {
      'ns/s': { metadata: meta('s'), spec: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: families } },
    },
  })
  expect(make('endpointslice', slice, service(['IPv4', 'IPv6'])).targets).toEqual([])
  expect(make('endpointslice', slice, service(['IPv6', 'IPv4'])).targets).toHaveLength(1)
})

test('an ingress is a target for each path, secure where a TLS host covers it', () => {
  const group = make('ingress', {
    metadata: meta('i'),
    spec: {
      ingressClassName: 'nginx',
      tls: [{ hosts: ['*.a.test', 'b.test'] }],
      rules: [
        { host: 'x.a.test', http: { paths: [{ path: '/one' }, {}] } },
        { host: 'y.x.a.test', http: { paths: [{ path: '/two' }] } },
        { host: 'b.test' },
      ],
    },
  })
  expect(short(group.labels)).toEqual({ namespace: 'ns', ingress_name: 'i', ingress_class_name: 'nginx' })
  expect(
    group.targets.map(short).map((t) => `${t['ingress_scheme']} ${t['ingress_host']} ${t['ingress_path']}`),
  ).toEqual(['https x.a.test /one', 'https x.a.test /', 'http y.x.a.test /two', 'https b.test /'])
})
