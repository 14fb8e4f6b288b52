// Objects of a small cluster in their real form, for tests to put into a fake Kubernetes API server.
import type { Json } from './fake-kubernetes-status.ts'

const merged = (base: Json, more: Json): Json => {
  if (typeof base !== 'object' || base === null || Array.isArray(base)) return more ?? base
  const out = { ...base }
  for (const [key, value] of Object.entries(more ?? {}))
    out[key] = key in out ? merged(out[key], value) : value
  return out
}

const labelsOf = (app: string, version: string): Json => ({
  'app.kubernetes.io/name': app,
  'app.kubernetes.io/version': version,
})

const templateOf = (app: string, version: string): Json => ({
  metadata: { labels: labelsOf(app, version) },
  spec: {
    containers: [
      {
        name: 'agent',
        image: `registry.example.com/${app}:${version}`,
        resources: { requests: { cpu: '250m', memory: '256Mi' }, limits: { cpu: '1', memory: '512Mi' } },
      },
    ],
  },
})

/** A running, ready pod of an agent; `more` is laid over it. */
export const podOf = (name: string, app: string, version: string, more: Json = {}): Json =>
  merged(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'agents', labels: labelsOf(app, version) },
      spec: { ...templateOf(app, version).spec, nodeName: 'node-1', serviceAccountName: 'default' },
      status: {
        phase: 'Running',
        podIP: '10.1.0.7',
        hostIP: '192.168.0.5',
        qosClass: 'Burstable',
        startTime: '2026-01-01T00:00:00Z',
        conditions: [
          { type: 'PodScheduled', status: 'True' },
          { type: 'Ready', status: 'True' },
        ],
        containerStatuses: [
          {
            name: 'agent',
            image: `registry.example.com/${app}:${version}`,
            imageID: `registry.example.com/${app}@sha256:1111`,
            containerID: `containerd://${'a'.repeat(64)}`,
            ready: true,
            started: true,
            restartCount: 0,
            state: { running: { startedAt: '2026-01-01T00:00:05Z' } },
          },
        ],
      },
    },
    more,
  )

export const ownedBy = (kind: string, name: string, uid: string): Json => ({
  apiVersion: 'apps/v1',
  kind,
  name,
  uid,
  controller: true,
  blockOwnerDeletion: true,
})

export const deploymentOf = (app: string, version: string, replicas: number, more: Json = {}): Json =>
  merged(
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: {
        name: app,
        namespace: 'agents',
        labels: labelsOf(app, version),
        annotations: { 'deployment.kubernetes.io/revision': '1' },
      },
      spec: {
        replicas,
        selector: { matchLabels: { 'app.kubernetes.io/name': app } },
        template: templateOf(app, version),
        strategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: '25%', maxUnavailable: '25%' } },
      },
      status: {
        observedGeneration: 1,
        replicas,
        readyReplicas: replicas,
        availableReplicas: replicas,
        updatedReplicas: replicas,
        conditions: [{ type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable' }],
      },
    },
    more,
  )

/** A ReplicaSet as a Deployment makes it for one revision. */
export const replicaSetOf = (
  deployment: Json,
  version: string,
  revision: number,
  replicas: number,
  more: Json = {},
): Json => {
  const { name, namespace, uid } = deployment.metadata
  const hash = `5d8f${revision}`
  const template = merged(templateOf(name, version), { metadata: { labels: { 'pod-template-hash': hash } } })
  return merged(
    {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      metadata: {
        name: `${name}-${hash}`,
        namespace,
        labels: { ...labelsOf(name, version), 'pod-template-hash': hash },
        annotations: { 'deployment.kubernetes.io/revision': String(revision) },
        ownerReferences: [ownedBy('Deployment', name, uid)],
      },
      spec: {
        replicas,
        selector: { matchLabels: { 'app.kubernetes.io/name': name, 'pod-template-hash': hash } },
        template,
      },
      status: {
        replicas,
        readyReplicas: replicas,
        availableReplicas: replicas,
        fullyLabeledReplicas: replicas,
      },
    },
    more,
  )
}

export const nodeOf = (name: string, more: Json = {}): Json =>
  merged(
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: {
        name,
        labels: { 'kubernetes.io/os': 'linux', 'node-role.kubernetes.io/control-plane': '' },
      },
      spec: { podCIDR: '10.1.0.0/24', providerID: `kind://${name}` },
      status: {
        capacity: { cpu: '4', memory: '8145280Ki', pods: '110' },
        allocatable: { cpu: '3920m', memory: '7Gi', pods: '110' },
        conditions: [
          { type: 'Ready', status: 'True', reason: 'KubeletReady' },
          { type: 'MemoryPressure', status: 'False' },
          { type: 'DiskPressure', status: 'Unknown' },
        ],
        addresses: [{ type: 'InternalIP', address: '192.168.0.5' }],
        nodeInfo: {
          architecture: 'amd64',
          bootID: 'b',
          containerRuntimeVersion: 'containerd://2.1.0',
          kernelVersion: '6.12.0',
          kubeProxyVersion: '',
          kubeletVersion: 'v1.34.1',
          machineID: 'm',
          operatingSystem: 'linux',
          osImage: 'Debian GNU/Linux 13',
          systemUUID: 'u',
        },
      },
    },
    more,
  )
