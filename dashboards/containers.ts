// The dashboard of containers and pods: what they use of what they may, what holds them back or kills them, and which agents run in which.
import type { Board } from './dashboard.ts'
import { toBoard, toConsole } from './links.ts'
import type { Panel, Steps } from './panel.ts'

/** Of cgroups, as OpenTelemetry names them. */
const at = 'k8s_namespace_name=~"$namespace",k8s_pod_name=~"$pod"'
/** Of the API server, as kube-state-metrics names them. */
const kube = 'namespace=~"$namespace",pod=~"$pod"'
const inNamespace = 'namespace=~"$namespace"'
const group = 'instance, k8s_namespace_name, k8s_pod_name, k8s_container_name, systemd_unit, container_id'
const named = '{{k8s_namespace_name}} {{k8s_pod_name}} {{k8s_container_name}}{{systemd_unit}}'
const rate = (metric: string, more = ''): string => `rate(${metric}{${at}${more}}[$__rate_interval])`
const sum = (expr: string): string => `sum by (${group}) (${expr})`
/** Series of cgroups under the labels that the API server's series have, by the id of the container. */
const asKube = (expr: string): string =>
  `sum by (container_id) (${expr}) * on (container_id) group_left (namespace, pod, container) max by (container_id, namespace, pod, container) (label_replace(kube_pod_container_info{${kube}}, "container_id", "$1", "container_id", ".+://(.+)"))`
const byContainer = 'sum by (namespace, pod, container)'
const container = '{{namespace}}/{{pod}} {{container}}'
const share: Steps = [
  [0.8, 'yellow'],
  [0.95, 'red'],
]
const oneIsBad: Steps = [[1, 'red']]
const agents = toBoard('Agents', 'airboss-agents')

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'Containers and services',
    about: 'Control groups that are looked at: containers of any runtime, and services of systemd.',
    unit: 'none',
    queries: [[`count(count by (${group}) (container_memory_usage_bytes{${at}}))`, 'groups']],
  },
  {
    show: 'number',
    title: 'Pods running',
    about: 'Pods in phase Running.',
    unit: 'none',
    queries: [[`sum(kube_pod_status_phase{${kube},phase="Running"})`, 'pods']],
  },
  {
    show: 'number',
    title: 'Pods not ready',
    about: 'Pods that should work and are not ready: no requests reach them.',
    unit: 'none',
    steps: oneIsBad,
    queries: [
      [
        `sum(kube_pod_status_ready{${kube},condition="false"} * on (namespace, pod, uid) group_left () max by (namespace, pod, uid) (kube_pod_status_phase{phase=~"Pending|Running|Unknown"})) or vector(0)`,
        'pods',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Killed for memory',
    about: 'Processes that the kernel ended within an hour because their container had used up its memory.',
    unit: 'none',
    decimals: 0,
    steps: oneIsBad,
    queries: [[`sum(increase(container_memory_oom_kills_total{${at}}[1h]))`, 'killed']],
  },
  {
    show: 'number',
    title: 'Restarts in an hour',
    about: 'Containers of pods that were started again.',
    unit: 'none',
    decimals: 0,
    steps: [
      [1, 'yellow'],
      [5, 'red'],
    ],
    queries: [[`sum(increase(kube_pod_container_status_restarts_total{${kube}}[1h]))`, 'restarts']],
  },
  {
    show: 'number',
    title: 'Fullest of its memory',
    about: 'Share of its memory limit that the fullest container uses. At 100 % it is killed.',
    unit: 'percentunit',
    decimals: 0,
    steps: share,
    queries: [
      [`max(container_memory_working_set_bytes{${at}} / container_memory_limit_bytes{${at}})`, 'used'],
    ],
  },
]

const processor: readonly Panel[] = [
  {
    show: 'graph',
    title: 'CPU',
    about: 'Processors used, by container or service.',
    unit: 'none',
    min: 0,
    stacked: true,
    queries: [[sum(rate('container_cpu_time_seconds_total')), named]],
  },
  {
    show: 'graph',
    title: 'CPU of its limit',
    about: 'Share of the CPU limit that is used; containers without a limit are not here.',
    unit: 'percentunit',
    min: 0,
    steps: share,
    queries: [
      [`${sum(rate('container_cpu_time_seconds_total'))} / ${sum(`container_cpu_limit_cpus{${at}}`)}`, named],
    ],
  },
  {
    show: 'graph',
    title: 'Held back by the CPU limit',
    about:
      'Share of periods in which a container had to wait though it had work. Agents answer late; 25 % is a warning.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.25, 'yellow']],
    queries: [
      [
        `${sum(rate('container_cpu_throttled_periods_total'))} / (${sum(rate('container_cpu_periods_total'))} > 0)`,
        named,
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Processes',
    about: 'Processes and threads of each container.',
    unit: 'none',
    min: 0,
    queries: [[sum(`container_process_count{${at}}`), named]],
  },
]

const memory: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Memory',
    about: 'Memory in use without file cache that can be given up: what counts against the limit.',
    unit: 'bytes',
    min: 0,
    queries: [[sum(`container_memory_working_set_bytes{${at}}`), named]],
  },
  {
    show: 'graph',
    title: 'Memory of its limit',
    about: 'Share of the memory limit that is used. At 100 % the kernel kills.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: share,
    queries: [
      [
        `${sum(`container_memory_working_set_bytes{${at}}`)} / ${sum(`container_memory_limit_bytes{${at}}`)}`,
        named,
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Killed for memory',
    about: 'Processes that the kernel ended, in all.',
    unit: 'none',
    min: 0,
    queries: [[sum(`container_memory_oom_kills_total{${at}}`), named]],
  },
  {
    show: 'graph',
    title: 'Disk bytes',
    about: 'Read and written by each container.',
    unit: 'Bps',
    min: 0,
    queries: [
      [
        `sum by (${group}, disk_io_direction) (${rate('container_disk_io_bytes_total')})`,
        `${named} {{disk_io_direction}}`,
      ],
    ],
  },
]

const pods: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Pods by phase',
    about: 'Pending ones wait for a node or an image; failed ones are over.',
    unit: 'none',
    min: 0,
    stacked: true,
    queries: [[`sum by (namespace, phase) (kube_pod_status_phase{${kube}}) > 0`, '{{namespace}} {{phase}}']],
  },
  {
    show: 'graph',
    title: 'Restarts',
    about: 'Containers that were started again, in all. A staircase is a crash loop.',
    unit: 'none',
    min: 0,
    queries: [[`${byContainer} (kube_pod_container_status_restarts_total{${kube}})`, container]],
  },
  {
    show: 'table',
    title: 'Containers that do not run',
    about: 'What a container waits for, or what ended it last.',
    unit: 'none',
    width: 12,
    none: 'all run',
    queries: [
      [
        `max by (namespace, pod, container, reason) (kube_pod_container_status_waiting_reason{${kube}} or kube_pod_container_status_last_terminated_reason{${kube}})`,
        'Now',
      ],
    ],
  },
  {
    show: 'table',
    title: 'Agents and their pods',
    about: 'Which agent in which version runs in which pod, and how often its containers were started again.',
    unit: 'none',
    width: 12,
    columns: { agent: { link: agents } },
    queries: [
      [
        `max by (agent, version, namespace, pod, node, owner_name) (airboss_agent_pod_info{${kube}}) * on (namespace, pod) group_left () sum by (namespace, pod) (kube_pod_container_status_restarts_total{${kube}})`,
        'Restarts',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'CPU asked for and used',
    about:
      'Processors that containers asked for, beside what they use: what is asked for and never used is paid for.',
    unit: 'none',
    min: 0,
    queries: [
      [
        `${byContainer} (kube_pod_container_resource_requests{${kube},resource="cpu"})`,
        `${container} asked for`,
      ],
      [
        `${byContainer} (${asKube('rate(container_cpu_time_seconds_total{container_id!=""}[$__rate_interval])')})`,
        `${container} used`,
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Memory asked for and used',
    about: 'Memory that containers asked for, beside what they use.',
    unit: 'bytes',
    min: 0,
    queries: [
      [
        `${byContainer} (kube_pod_container_resource_requests{${kube},resource="memory"})`,
        `${container} asked for`,
      ],
      [
        `${byContainer} (${asKube('container_memory_working_set_bytes{container_id!=""}')})`,
        `${container} used`,
      ],
    ],
  },
]

const workloads: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Deployments, wanted and available',
    about:
      'Replicas that are wanted, beside those that are available. A gap that stays is a rollout that hangs.',
    unit: 'none',
    min: 0,
    links: [toConsole('Decisions in the console', '/decisions')],
    queries: [
      [
        `sum by (namespace, deployment) (kube_deployment_spec_replicas{${inNamespace}})`,
        '{{namespace}}/{{deployment}} wanted',
      ],
      [
        `sum by (namespace, deployment) (kube_deployment_status_replicas_available{${inNamespace}})`,
        '{{namespace}}/{{deployment}} available',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Nodes: asked for, of what can be given',
    about: 'Share of each node’s CPU and memory that pods have asked for. At 100 % new pods wait.',
    unit: 'percentunit',
    min: 0,
    steps: share,
    queries: [
      [
        'sum by (node, resource) (kube_pod_container_resource_requests{resource=~"cpu|memory",node!=""}) / on (node, resource) max by (node, resource) (kube_node_status_allocatable{resource=~"cpu|memory"})',
        '{{node}} {{resource}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Nodes that are not well',
    about: 'Conditions of nodes: Ready must be 1, pressure 0.',
    unit: 'none',
    min: 0,
    max: 1,
    queries: [
      ['max by (node, condition) (kube_node_status_condition{status="true"})', '{{node}} {{condition}}'],
    ],
  },
  {
    show: 'graph',
    title: 'The cluster is watched',
    about: 'Objects that are known, by kind, and whether what is known is fresh.',
    unit: 'none',
    min: 0,
    queries: [
      ['sum by (kind) (airboss_kubernetes_objects)', '{{kind}}'],
      ['min(airboss_kubernetes_fresh)', 'fresh'],
    ],
  },
]

export const containers: Board = {
  uid: 'airboss-containers',
  title: 'Airboss / Containers and pods',
  about:
    'Containers, services and pods: what they use of what they may, what holds them back or kills them, and which agents run in which.',
  tags: ['containers'],
  from: 'now-1h',
  links: [
    toBoard('Hosts', 'airboss-host'),
    toBoard('Agents', 'airboss-agents'),
    toConsole('Decisions', '/decisions'),
  ],
  variables: [
    { name: 'namespace', label: 'Namespace', values: 'label_values(kube_pod_info, namespace)' },
    { name: 'pod', label: 'Pod', values: 'label_values(kube_pod_info{namespace=~"$namespace"}, pod)' },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Processor', panels: processor },
    { title: 'Memory and disk', panels: memory },
    { title: 'Pods', panels: pods },
    { title: 'Workloads and nodes', panels: workloads },
  ],
}
