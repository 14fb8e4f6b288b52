// How much of machines is there and how much workloads use, in PromQL, over names that host, container and Kubernetes receivers write.

/** Pods are charged to the agent their label names, else to their namespace and pod's owner as far as the series say it. */
const byAgent = (expr: string): string =>
  `sum by (agent, node) (label_replace(${expr} * on (namespace, pod) group_left (label_agent) max by (namespace, pod, label_agent) (kube_pod_labels{label_agent!=""}), "agent", "$1", "label_agent", "(.+)"))`
/** The larger of what was asked for and what was used: what is reserved costs too. */
const larger = (asked: string, used: string): string => `(${asked} > ${used}) or ${used} or ${asked}`
const pods = 'sum by (namespace, pod, node)'

/** `used`: cores, GiB, GPUs, or GB and GiB a second of the window, labelled with `agent`; `has`: the same of whole machines. */
export const defaultExpressions = {
  cpu: {
    used: byAgent(
      `(${larger(`${pods} (kube_pod_container_resource_requests{resource="cpu"})`, `${pods} (rate(container_cpu_usage_seconds_total{container!=""}[5m]))`)})`,
    ),
    has: 'sum by (node) (kube_node_status_capacity{resource="cpu"}) or system_cpu_logical_count',
  },
  memory: {
    used: byAgent(
      `(${larger(`${pods} (kube_pod_container_resource_requests{resource="memory"})`, `${pods} (container_memory_working_set_bytes{container!=""})`)}) / 1073741824`,
    ),
    has: '(sum by (node) (kube_node_status_capacity{resource="memory"}) or system_memory_limit_bytes) / 1073741824',
  },
  gpu: {
    used: byAgent(`${pods} (kube_pod_container_resource_requests{resource="nvidia_com_gpu"})`),
    has: 'sum by (node) (kube_node_status_capacity{resource="nvidia_com_gpu"})',
  },
  egress: {
    used: byAgent(`${pods} (rate(container_network_transmit_bytes_total[5m])) / 1e9`),
    // Traffic that nobody sends costs nothing: there is no idle part.
    has: '',
  },
  storage: {
    used: byAgent(
      'sum by (namespace, pod, node) (max by (namespace, persistentvolumeclaim) (kube_persistentvolumeclaim_resource_requests_storage_bytes) * on (namespace, persistentvolumeclaim) group_right () max by (namespace, pod, node, persistentvolumeclaim) (kube_pod_spec_volumes_persistentvolumeclaims_info)) / 1073741824',
    ),
    has: 'sum by (node) (system_filesystem_limit_bytes) / 1073741824',
  },
} as const
