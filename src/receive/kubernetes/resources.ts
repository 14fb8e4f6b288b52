// The resources that are watched, and what each of their objects tells.
import type { KubernetesObject } from '../../lib/kubernetes.ts'
import { nodeRows } from './node-rows.ts'
import { podRows } from './pod-rows.ts'
import type { Row } from './row.ts'
import { deploymentRows, replicaSetRows, statefulSetRows } from './workload-rows.ts'

export interface WatchedResource {
  readonly plural: string
  readonly prefix: string
  readonly namespaced: boolean
  readonly rowsOf: (object: KubernetesObject) => readonly Row[]
}

export const watchedResources: readonly WatchedResource[] = [
  // Before pods, so that what a pod's ReplicaSet belongs to is mostly known when it comes.
  { plural: 'replicasets', prefix: '/apis/apps/v1', namespaced: true, rowsOf: replicaSetRows },
  { plural: 'deployments', prefix: '/apis/apps/v1', namespaced: true, rowsOf: deploymentRows },
  { plural: 'statefulsets', prefix: '/apis/apps/v1', namespaced: true, rowsOf: statefulSetRows },
  { plural: 'pods', prefix: '/api/v1', namespaced: true, rowsOf: podRows },
  { plural: 'nodes', prefix: '/api/v1', namespaced: false, rowsOf: nodeRows },
]

/** Where each resource is listed: cluster-wide, or once a namespace. */
export const pathsOf = (
  namespaces: readonly string[],
): readonly { readonly resource: WatchedResource; readonly path: string; readonly namespace: string }[] =>
  watchedResources.flatMap((resource) => {
    const { prefix, plural, namespaced } = resource
    if (namespaces.length === 0) return [{ resource, path: `${prefix}/${plural}`, namespace: '' }]
    if (!namespaced) return []
    return namespaces.map((namespace) => ({
      resource,
      path: `${prefix}/namespaces/${encodeURIComponent(namespace)}/${plural}`,
      namespace,
    }))
  })
