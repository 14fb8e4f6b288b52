// A pod as kube-state-metrics tells of it.
import type { KubernetesObject } from '../../lib/kubernetes.ts'
import { addContainers } from './container-rows.ts'
import {
  addOwners,
  conditionState,
  conditionStates,
  controllerOf,
  listOf,
  type Row,
  Rows,
  secondsOf,
  textOf,
} from './row.ts'

const phases = ['Pending', 'Succeeded', 'Failed', 'Unknown', 'Running']
const reasons = ['Evicted', 'NodeAffinity', 'NodeLost', 'Shutdown', 'UnexpectedAdmissionError']
const qosClasses = ['BestEffort', 'Burstable', 'Guaranteed']

const addConditions = (rows: Rows, conditions: readonly KubernetesObject[]): void => {
  const times: Readonly<Record<string, string>> = {
    Ready: 'kube_pod_status_ready_time',
    ContainersReady: 'kube_pod_status_container_ready_time',
    Initialized: 'kube_pod_status_initialized_time',
    PodScheduled: 'kube_pod_status_scheduled_time',
  }
  for (const { type, status, reason, lastTransitionTime } of conditions) {
    const state = conditionState(status)
    if (type === 'Ready') rows.states('kube_pod_status_ready', 'condition', conditionStates, state)
    if (type === 'PodScheduled') {
      rows.states('kube_pod_status_scheduled', 'condition', conditionStates, state)
      if (state === 'false' && reason === 'Unschedulable') rows.add('kube_pod_status_unschedulable', 1)
    }
    const name = times[textOf(type)]
    if (name !== undefined && state === 'true') rows.add(name, secondsOf(lastTransitionTime))
  }
}

/** When the last container ended, where all have. */
const completedAt = (statuses: readonly KubernetesObject[]): number => {
  const ends = statuses.map((s) => secondsOf(s.state?.terminated?.finishedAt))
  return ends.length > 0 && ends.every(Number.isFinite) ? Math.max(...ends) : Number.NaN
}

const addInfo = (rows: Rows, pod: KubernetesObject): void => {
  const { metadata, spec, status } = pod
  const made = controllerOf(pod)
  rows.add('kube_pod_info', 1, {
    host_ip: textOf(status?.hostIP),
    pod_ip: textOf(status?.podIP),
    node: textOf(spec?.nodeName),
    created_by_kind: made?.kind ?? '',
    created_by_name: made?.name ?? '',
    priority_class: textOf(spec?.priorityClassName),
    host_network: String(spec?.hostNetwork === true),
  })
  rows.add('kube_pod_created', secondsOf(metadata.creationTimestamp))
  rows.add('kube_pod_start_time', secondsOf(status?.startTime))
  rows.add('kube_pod_completion_time', completedAt(listOf(status?.containerStatuses)))
  rows.add('kube_pod_deletion_timestamp', secondsOf(metadata.deletionTimestamp))
  rows.add('kube_pod_restart_policy', 1, { type: textOf(spec?.restartPolicy) || 'Always' })
  rows.add('kube_pod_service_account', 1, { service_account: textOf(spec?.serviceAccountName) })
  addOwners(rows, 'kube_pod_owner', pod)
}

/** The series of a pod by kube-state-metrics' names, labels and values. */
export const podRows = (pod: KubernetesObject): readonly Row[] => {
  const { metadata, status } = pod
  const rows = new Rows({
    namespace: textOf(metadata.namespace),
    pod: textOf(metadata.name),
    uid: textOf(metadata.uid),
  })
  addInfo(rows, pod)
  const phase = textOf(status?.phase)
  if (phase !== '') {
    // A pod on a node that is lost does what nobody knows.
    rows.states('kube_pod_status_phase', 'phase', phases, status?.reason === 'NodeLost' ? 'Unknown' : phase)
  }
  const ended = listOf(status?.containerStatuses).map((s) => s.state?.terminated?.reason)
  for (const reason of reasons)
    rows.add('kube_pod_status_reason', status?.reason === reason || ended.includes(reason) ? 1 : 0, {
      reason,
    })
  if (textOf(status?.qosClass) !== '')
    rows.states('kube_pod_status_qos_class', 'qos_class', qosClasses, status.qosClass)
  addConditions(rows, listOf(status?.conditions))
  addContainers(rows, pod)
  return rows.rows
}
