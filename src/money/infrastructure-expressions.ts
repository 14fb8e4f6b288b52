// How much of machines is there and how much workloads use, in PromQL, over names that host, container and Kubernetes receivers write.

/** Whose a pod is and where it runs: as Airboss's own watch of the cluster says, else by the pod's label `agent` as kube-state-metrics tells it. */
const owners =
  '(max by (namespace, pod, node, agent) (airboss_agent_pod_info) or on (namespace, pod) ' +
  'max by (namespace, pod, node) (kube_pod_info) * on (namespace, pod) group_left (agent) ' +
  'max by (namespace, pod, agent) (label_replace(kube_pod_labels{label_agent!=""}, "agent", "$1", "label_agent", "(.+)")))'
const byAgent = (expr: string): string =>
  `sum by (agent, node) (${expr} * on (namespace, pod) group_left (agent, node) ${owners})`
/** The larger of what was asked for and what was used: what is reserved costs too. */
const larger = (asked: string, used: string): string =>
  `(((${asked}) > (${used})) or (${used}) or (${asked}))`
const pods = 'sum by (namespace, pod)'
const asked = (resource: string): string =>
  `${pods} (kube_pod_container_resource_requests{resource="${resource}"})`
/** From the kubelet's cAdvisor where it is scraped, else from Airboss's own look at the containers of its node. */
const seen = (kubelet: string, own: string): string =>
  `${pods} (${kubelet}) or ${pods} (label_replace(label_replace(${own}, "namespace", "$1", "k8s_namespace_name", "(.+)"), "pod", "$1", "k8s_pod_name", "(.+)"))`

/** `used`: cores, GiB, GPUs, or GB and GiB a second of the window, labelled with `agent`; `has`: the same of whole machines. */
export const defaultExpressions = {
  cpu: {
    used: byAgent(
      larger(
        asked('cpu'),
        seen(
          'rate(container_cpu_usage_seconds_total{container!=""}[5m])',
          'rate(container_cpu_time_seconds_total{k8s_pod_name!=""}[5m])',
        ),
      ),
    ),
    has: 'sum by (node) (kube_node_status_capacity{resource="cpu"}) or system_cpu_logical_count',
  },
  memory: {
    used: byAgent(
      `(${larger(
        asked('memory'),
        seen(
          'container_memory_working_set_bytes{container!=""}',
          'container_memory_working_set_bytes{k8s_pod_name!=""}',
        ),
      )} / 1073741824)`,
    ),
    has: '(sum by (node) (kube_node_status_capacity{resource="memory"}) or system_memory_limit_bytes) / 1073741824',
  },
  gpu: {
    used: byAgent(asked('nvidia_com_gpu')),
    has: 'sum by (node) (kube_node_status_capacity{resource="nvidia_com_gpu"})',
  },
  egress: {
    used: byAgent(`(${pods} (rate(container_network_transmit_bytes_total[5m])) / 1e9)`),
    // Traffic that nobody sends costs nothing: there is no idle part.
    has: '',
  },
  storage: {
    used: byAgent(
      `(${pods} (max by (namespace, persistentvolumeclaim) (kube_persistentvolumeclaim_resource_requests_storage_bytes) * on (namespace, persistentvolumeclaim) group_right () max by (namespace, pod, persistentvolumeclaim) (kube_pod_spec_volumes_persistentvolumeclaims_info)) / 1073741824)`,
    ),
    has: 'sum by (node) (system_filesystem_limit_bytes) / 1073741824',
  },
} as const
