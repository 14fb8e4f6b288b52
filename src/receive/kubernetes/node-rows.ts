// A node as kube-state-metrics tells of it.
import type { KubernetesObject } from '../../lib/kubernetes.ts'
import { addResources } from './quantity.ts'
import { conditionState, conditionStates, listOf, type Row, Rows, secondsOf, textOf } from './row.ts'

const rolePrefix = 'node-role.kubernetes.io/'

export const nodeRows = ({ metadata, spec, status }: KubernetesObject): readonly Row[] => {
  const rows = new Rows({ node: textOf(metadata.name) })
  const info = status?.nodeInfo
  const address = listOf(status?.addresses).find((a) => a.type === 'InternalIP')
  rows.add('kube_node_info', 1, {
    kernel_version: textOf(info?.kernelVersion),
    os_image: textOf(info?.osImage),
    container_runtime_version: textOf(info?.containerRuntimeVersion),
    kubelet_version: textOf(info?.kubeletVersion),
    kubeproxy_version: textOf(info?.kubeProxyVersion),
    provider_id: textOf(spec?.providerID),
    pod_cidr: textOf(spec?.podCIDR),
    system_uuid: textOf(info?.systemUUID),
    internal_ip: textOf(address?.address),
  })
  rows.add('kube_node_created', secondsOf(metadata.creationTimestamp))
  rows.add('kube_node_deletion_timestamp', secondsOf(metadata.deletionTimestamp))
  rows.add('kube_node_spec_unschedulable', spec?.unschedulable === true ? 1 : 0)
  for (const label of Object.keys(metadata.labels ?? {}))
    if (label.startsWith(rolePrefix)) rows.add('kube_node_role', 1, { role: label.slice(rolePrefix.length) })
  for (const { key, value, effect } of listOf(spec?.taints))
    rows.add('kube_node_spec_taint', 1, { key: textOf(key), value: textOf(value), effect: textOf(effect) })
  addResources(rows, 'kube_node_status_capacity', status?.capacity)
  addResources(rows, 'kube_node_status_allocatable', status?.allocatable)
  for (const c of listOf(status?.conditions)) {
    const condition = { condition: textOf(c.type) }
    rows.states('kube_node_status_condition', 'status', conditionStates, conditionState(c.status), condition)
  }
  return rows.rows
}
