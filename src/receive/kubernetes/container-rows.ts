// The containers of a pod as kube-state-metrics tells of them.
import type { KubernetesObject } from '../../lib/kubernetes.ts'
import { addResources } from './quantity.ts'
import { countOf, listOf, type Rows, secondsOf, textOf } from './row.ts'

const addState = (rows: Rows, prefix: string, status: KubernetesObject): void => {
  const { state, lastState } = status
  const container = { container: textOf(status.name) }
  const name = `${prefix}_status`
  rows.add(`${name}_waiting`, state?.waiting ? 1 : 0, container)
  rows.add(`${name}_running`, state?.running ? 1 : 0, container)
  rows.add(`${name}_terminated`, state?.terminated ? 1 : 0, container)
  if (state?.waiting)
    rows.add(`${name}_waiting_reason`, 1, { ...container, reason: textOf(state.waiting.reason) })
  if (state?.terminated)
    rows.add(`${name}_terminated_reason`, 1, { ...container, reason: textOf(state.terminated.reason) })
  const last = lastState?.terminated
  if (!last) return
  rows.add(`${name}_last_terminated_reason`, 1, { ...container, reason: textOf(last.reason) })
  if (prefix !== 'kube_pod_container') return
  rows.add(`${name}_last_terminated_exitcode`, countOf(last.exitCode), container)
  rows.add(`${name}_last_terminated_timestamp`, secondsOf(last.finishedAt), container)
}

const addStatus = (rows: Rows, prefix: string, status: KubernetesObject, spec: KubernetesObject): void => {
  const container = { container: textOf(status.name) }
  rows.add(`${prefix}_info`, 1, {
    ...container,
    image_spec: textOf(spec?.image),
    image: textOf(status.image),
    image_id: textOf(status.imageID),
    container_id: textOf(status.containerID),
  })
  addState(rows, prefix, status)
  rows.add(`${prefix}_status_ready`, status.ready === true ? 1 : 0, container)
  rows.add(`${prefix}_status_restarts_total`, countOf(status.restartCount), container)
  if (prefix === 'kube_pod_container')
    rows.add(
      `${prefix}_state_started`,
      secondsOf(status.state?.running?.startedAt ?? status.state?.terminated?.startedAt),
      container,
    )
}

/** Series of the containers and init containers: what they are, how they fare, what they asked for. */
export const addContainers = (rows: Rows, { spec, status }: KubernetesObject): void => {
  const node = textOf(spec?.nodeName)
  for (const [prefix, specs, statuses] of [
    ['kube_pod_container', listOf(spec?.containers), listOf(status?.containerStatuses)],
    ['kube_pod_init_container', listOf(spec?.initContainers), listOf(status?.initContainerStatuses)],
  ] as const) {
    for (const s of statuses)
      addStatus(
        rows,
        prefix,
        s,
        specs.find((c) => c.name === s.name),
      )
    for (const c of specs) {
      const labels = { container: textOf(c.name), node }
      addResources(rows, `${prefix}_resource_requests`, c.resources?.requests, labels)
      addResources(rows, `${prefix}_resource_limits`, c.resources?.limits, labels)
    }
  }
}
