// From what a cgroup uses to series under their OpenTelemetry names as Prometheus spells them.
import type { MetricType } from '../../model/batch.ts'
import type { Group, GroupReading, Named } from './read-cgroups.ts'

type Labels = Readonly<Record<string, string>>
export type Emit = (name: string, value: number | null | undefined, labels?: Labels) => void

interface About {
  readonly type: MetricType
  readonly unit: string
  readonly help: string
}
const counter = (unit: string, help: string): About => ({ type: 'counter', unit, help })
const gauge = (unit: string, help: string): About => ({ type: 'gauge', unit, help })

/** Every metric this receiver may write. */
export const containerMetrics: Readonly<Record<string, About>> = {
  container_cpu_time_seconds_total: counter(
    'seconds',
    'CPU time used, by mode; user and system add up to all.',
  ),
  container_cpu_limit_cpus: gauge('cpus', 'CPUs that may be used; not there without a limit.'),
  container_cpu_periods_total: counter('', 'Periods in which the CPU limit was looked at.'),
  container_cpu_throttled_periods_total: counter('', 'Periods in which it was held back by its CPU limit.'),
  container_cpu_throttled_time_seconds_total: counter('seconds', 'Time it was held back by its CPU limit.'),
  container_memory_usage_bytes: gauge('bytes', 'Memory in use, cache included.'),
  container_memory_working_set_bytes: gauge(
    'bytes',
    'Memory in use without inactive file cache: what counts against the limit.',
  ),
  container_memory_available_bytes: gauge('bytes', 'What is left of the limit; not there without one.'),
  container_memory_limit_bytes: gauge('bytes', 'Memory that may be used; not there without a limit.'),
  container_memory_rss_bytes: gauge('bytes', 'Anonymous memory.'),
  container_memory_swap_usage_bytes: gauge('bytes', 'Swap in use.'),
  container_memory_swap_limit_bytes: gauge('bytes', 'Swap that may be used; not there without a limit.'),
  container_memory_paging_faults_total: counter('', 'Page faults.'),
  container_memory_oom_kills_total: counter('', 'Processes killed because memory ran out.'),
  container_process_count: gauge('', 'Processes and threads.'),
  container_process_limit: gauge('', 'Processes and threads that may be; not there without a limit.'),
  container_disk_io_bytes_total: counter('bytes', 'Bytes read from and written to each device.'),
  container_disk_operations_total: counter('', 'Reads and writes of each device.'),
}

/** The labels that tell a container or service; names where Kubernetes's log files tell them. */
export const groupLabels = ({ identity }: Group, named: Named | undefined): Labels => ({
  container_id: identity.containerId,
  container_runtime_name: identity.runtime,
  systemd_unit: identity.unit,
  k8s_pod_uid: identity.podUid,
  k8s_pod_name: named?.pod ?? '',
  k8s_namespace_name: named?.namespace ?? '',
  k8s_container_name: named?.container ?? '',
})

const cpu = (emit: Emit, { cpu: stat, cpuLimit }: GroupReading): void => {
  const seconds = (key: string): number | undefined => {
    const usec = stat?.get(key)
    return usec === undefined ? undefined : usec / 1e6
  }
  const user = seconds('user_usec')
  const system = seconds('system_usec')
  emit('container_cpu_time_seconds_total', user, { cpu_mode: 'user' })
  emit('container_cpu_time_seconds_total', system, { cpu_mode: 'system' })
  emit('container_cpu_limit_cpus', cpuLimit)
  emit('container_cpu_periods_total', stat?.get('nr_periods'))
  emit('container_cpu_throttled_periods_total', stat?.get('nr_throttled'))
  emit('container_cpu_throttled_time_seconds_total', seconds('throttled_usec'))
}

const memory = (emit: Emit, r: GroupReading): void => {
  const { memory: used, memoryStat: stat, memoryLimit: limit } = r
  emit('container_memory_usage_bytes', used)
  emit('container_memory_limit_bytes', limit)
  emit('container_memory_rss_bytes', stat?.get('anon'))
  if (used !== null && stat) {
    // As the kubelet reckons it.
    const working = Math.max(used - (stat.get('inactive_file') ?? 0), 0)
    emit('container_memory_working_set_bytes', working)
    if (limit !== null) emit('container_memory_available_bytes', Math.max(limit - working, 0))
  }
  const faults = stat?.get('pgfault')
  const major = stat?.get('pgmajfault') ?? 0
  if (faults !== undefined) {
    emit('container_memory_paging_faults_total', major, { system_paging_fault_type: 'major' })
    emit('container_memory_paging_faults_total', Math.max(faults - major, 0), {
      system_paging_fault_type: 'minor',
    })
  }
  emit('container_memory_swap_usage_bytes', r.swap)
  emit('container_memory_swap_limit_bytes', r.swapLimit)
  emit('container_memory_oom_kills_total', r.memoryEvents?.get('oom_kill'))
}

/** All series of one cgroup. What its controllers do not tell is left out. */
export const emitGroup = (
  emit: Emit,
  reading: GroupReading,
  deviceName: (number: string) => string,
): void => {
  cpu(emit, reading)
  memory(emit, reading)
  emit('container_process_count', reading.pids)
  emit('container_process_limit', reading.pidsLimit)
  for (const { device, readBytes, writtenBytes, reads, writes } of reading.io) {
    const system_device = deviceName(device)
    const read = { system_device, disk_io_direction: 'read' }
    const write = { system_device, disk_io_direction: 'write' }
    emit('container_disk_io_bytes_total', readBytes, read)
    emit('container_disk_io_bytes_total', writtenBytes, write)
    emit('container_disk_operations_total', reads, read)
    emit('container_disk_operations_total', writes, write)
  }
}
