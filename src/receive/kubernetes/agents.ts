// Tells which pods run agents: by labels and annotations, in an order that operators may set.
import type { KubernetesObject } from '../../lib/kubernetes.ts'
import { instant } from '../../lib/time.ts'
import type { AgentPod } from '../../model/agent-pod.ts'
import type { KubernetesConfig } from './config.ts'
import { controllerOf, countOf, listOf, type Owner, type Row, secondsOf, textOf } from './row.ts'

const first = (pod: KubernetesObject, keys: readonly string[]): string => {
  const { labels, annotations } = pod.metadata
  for (const key of keys) {
    const found = textOf(labels?.[key]) || textOf(annotations?.[key])
    if (found !== '') return found
  }
  return ''
}

/** The agent's container: the one an annotation names, as kubectl has it, else the first. */
const containerOf = (pod: KubernetesObject): string => {
  const named = first(pod, ['airboss.dev/container', 'kubectl.kubernetes.io/default-container'])
  const names = listOf(pod.spec?.containers).map((c) => textOf(c.name))
  return names.includes(named) ? named : (names[0] ?? '')
}

/** A Deployment's ReplicaSet is called after it and the pod's template hash: known without looking at the ReplicaSet. */
const deploymentBy = (owner: Owner, pod: KubernetesObject): Owner => {
  const suffix = `-${textOf(pod.metadata.labels?.['pod-template-hash'])}`
  return owner.kind === 'ReplicaSet' && suffix !== '-' && owner.name.endsWith(suffix)
    ? { kind: 'Deployment', name: owner.name.slice(0, -suffix.length) }
    : owner
}

/**
 * The agent of a pod, null where it runs none. `ownerOfReplicaSet` knows what a ReplicaSet of the pod's namespace belongs to; null where it
 * has not been seen.
 */
export const agentPodOf = (
  pod: KubernetesObject,
  { name, version }: KubernetesConfig['agents'],
  ownerOfReplicaSet: (namespace: string, name: string) => Owner | null,
): AgentPod | null => {
  const agent = first(pod, name)
  if (agent === '') return null
  const { metadata, spec, status } = pod
  const namespace = textOf(metadata.namespace)
  const container = containerOf(pod)
  const made = controllerOf(pod)
  const above = made?.kind === 'ReplicaSet' ? ownerOfReplicaSet(namespace, made.name) : null
  const owner = above ?? (made ? deploymentBy(made, pod) : null)
  const state = listOf(status?.containerStatuses).find((s) => s.name === container)
  const ready = listOf(status?.conditions).find((c) => c.type === 'Ready')?.status === 'True'
  const seconds = secondsOf(status?.startTime)
  return {
    agent,
    version: first(pod, version),
    namespace,
    pod: textOf(metadata.name),
    uid: textOf(metadata.uid),
    container,
    node: textOf(spec?.nodeName),
    ownerKind: owner?.kind ?? '',
    ownerName: owner?.name ?? '',
    phase: textOf(status?.phase),
    ready,
    restarts: countOf(state?.restartCount),
    reason:
      textOf(state?.state?.waiting?.reason) ||
      textOf(state?.state?.terminated?.reason) ||
      (ready ? '' : textOf(state?.lastState?.terminated?.reason)) ||
      textOf(status?.reason),
    startedAt: Number.isFinite(seconds) ? instant(seconds * 1000) : null,
  }
}

/** One series a pod, to join others on by namespace and pod. */
export const agentRow = (p: AgentPod): Row => ({
  name: 'airboss_agent_pod_info',
  labels: {
    agent: p.agent,
    version: p.version,
    namespace: p.namespace,
    pod: p.pod,
    uid: p.uid,
    container: p.container,
    node: p.node,
    owner_kind: p.ownerKind,
    owner_name: p.ownerName,
  },
  value: 1,
})
