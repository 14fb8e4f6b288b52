// Deployments, ReplicaSets and StatefulSets as kube-state-metrics tells of them.
import type { KubernetesObject } from '../../lib/kubernetes.ts'
import {
  addOwners,
  conditionState,
  conditionStates,
  countOf,
  listOf,
  type Row,
  Rows,
  secondsOf,
  textOf,
} from './row.ts'

const reasons = new Set([
  'ReplicaSetUpdated',
  'ReplicaSetCreateError',
  'NewReplicaSetCreated',
  'FoundNewReplicaSet',
  'NewReplicaSetAvailable',
  'ProgressDeadlineExceeded',
  'DeploymentPaused',
  'DeploymentResumed',
  'MinimumReplicasAvailable',
  'MinimumReplicasUnavailable',
  '',
])

/** `25%` of the replicas, up or down to a whole one; or the number itself. */
const scaled = (value: KubernetesObject, replicas: number, round: (n: number) => number): number => {
  if (typeof value === 'number') return value
  const percent = /^(\d+)%$/.exec(textOf(value))
  return percent ? round((Number(percent[1]) * replicas) / 100) : Number.NaN
}

const base = (label: string, { metadata }: KubernetesObject): Rows =>
  new Rows({ namespace: textOf(metadata.namespace), [label]: textOf(metadata.name) })

export const deploymentRows = (d: KubernetesObject): readonly Row[] => {
  const rows = base('deployment', d)
  const { metadata, spec, status } = d
  const replicas = spec?.replicas === undefined ? 1 : countOf(spec.replicas)
  const update = spec?.strategy?.rollingUpdate
  rows.add('kube_deployment_created', secondsOf(metadata.creationTimestamp))
  rows.add('kube_deployment_metadata_generation', countOf(metadata.generation))
  rows.add('kube_deployment_spec_replicas', replicas)
  rows.add('kube_deployment_spec_paused', spec?.paused === true ? 1 : 0)
  rows.add(
    'kube_deployment_spec_strategy_rollingupdate_max_unavailable',
    scaled(update?.maxUnavailable, replicas, Math.floor),
  )
  rows.add(
    'kube_deployment_spec_strategy_rollingupdate_max_surge',
    scaled(update?.maxSurge, replicas, Math.ceil),
  )
  rows.add('kube_deployment_status_replicas', countOf(status?.replicas))
  rows.add('kube_deployment_status_replicas_ready', countOf(status?.readyReplicas))
  rows.add('kube_deployment_status_replicas_available', countOf(status?.availableReplicas))
  rows.add('kube_deployment_status_replicas_unavailable', countOf(status?.unavailableReplicas))
  rows.add('kube_deployment_status_replicas_updated', countOf(status?.updatedReplicas))
  rows.add('kube_deployment_status_observed_generation', countOf(status?.observedGeneration))
  for (const c of listOf(status?.conditions)) {
    const reason = reasons.has(textOf(c.reason)) ? textOf(c.reason) : 'unknown'
    const labels = { condition: textOf(c.type), reason }
    rows.states(
      'kube_deployment_status_condition',
      'status',
      conditionStates,
      conditionState(c.status),
      labels,
    )
  }
  addOwners(rows, 'kube_deployment_owner', d)
  return rows.rows
}

export const replicaSetRows = (rs: KubernetesObject): readonly Row[] => {
  const rows = base('replicaset', rs)
  const { metadata, spec, status } = rs
  rows.add('kube_replicaset_created', secondsOf(metadata.creationTimestamp))
  rows.add('kube_replicaset_metadata_generation', countOf(metadata.generation))
  rows.add('kube_replicaset_spec_replicas', spec?.replicas === undefined ? 1 : countOf(spec.replicas))
  rows.add('kube_replicaset_status_replicas', countOf(status?.replicas))
  rows.add('kube_replicaset_status_fully_labeled_replicas', countOf(status?.fullyLabeledReplicas))
  rows.add('kube_replicaset_status_ready_replicas', countOf(status?.readyReplicas))
  rows.add('kube_replicaset_status_observed_generation', countOf(status?.observedGeneration))
  addOwners(rows, 'kube_replicaset_owner', rs)
  return rows.rows
}

export const statefulSetRows = (s: KubernetesObject): readonly Row[] => {
  const rows = base('statefulset', s)
  const { metadata, spec, status } = s
  rows.add('kube_statefulset_created', secondsOf(metadata.creationTimestamp))
  rows.add('kube_statefulset_metadata_generation', countOf(metadata.generation))
  rows.add('kube_statefulset_replicas', spec?.replicas === undefined ? 1 : countOf(spec.replicas))
  rows.add('kube_statefulset_status_replicas', countOf(status?.replicas))
  rows.add('kube_statefulset_status_replicas_available', countOf(status?.availableReplicas))
  rows.add('kube_statefulset_status_replicas_current', countOf(status?.currentReplicas))
  rows.add('kube_statefulset_status_replicas_ready', countOf(status?.readyReplicas))
  rows.add('kube_statefulset_status_replicas_updated', countOf(status?.updatedReplicas))
  rows.add('kube_statefulset_status_observed_generation', countOf(status?.observedGeneration))
  rows.add('kube_statefulset_status_current_revision', 1, { revision: textOf(status?.currentRevision) })
  rows.add('kube_statefulset_status_update_revision', 1, { revision: textOf(status?.updateRevision) })
  return rows.rows
}
