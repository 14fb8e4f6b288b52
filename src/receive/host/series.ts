// From a reading of this machine to series under their OpenTelemetry names as Prometheus spells them.
import type { MetricType } from '../../model/batch.ts'
import { type CpuMode, cpuModes, type Stat } from './decode.ts'
import type { Filesystem, LinuxReading } from './read-linux.ts'

export type Emit = (name: string, value: number, labels?: Readonly<Record<string, string>>) => void

interface About {
  readonly type: MetricType
  readonly unit: string
  readonly help: string
}
const counter = (unit: string, help: string): About => ({ type: 'counter', unit, help })
const gauge = (unit: string, help: string): About => ({ type: 'gauge', unit, help })

/** Every metric this receiver may write. A sum that can fall is a gauge, without `_total`. */
export const hostMetrics: Readonly<Record<string, About>> = {
  system_cpu_time_seconds_total: counter('seconds', 'Seconds each logical CPU spent on each mode.'),
  system_cpu_utilization_ratio: gauge(
    'ratio',
    'Share of its time each logical CPU spent on each mode since the last look.',
  ),
  system_cpu_logical_count: gauge('', 'Logical CPUs.'),
  system_cpu_physical_count: gauge('', 'Physical CPU cores.'),
  system_cpu_load_average_1m: gauge('', 'Average number of tasks running or waiting, over 1 minute.'),
  system_cpu_load_average_5m: gauge('', 'Average number of tasks running or waiting, over 5 minutes.'),
  system_cpu_load_average_15m: gauge('', 'Average number of tasks running or waiting, over 15 minutes.'),
  system_memory_usage_bytes: gauge('bytes', 'Memory in use by state; the states add up to the limit.'),
  system_memory_limit_bytes: gauge('bytes', 'Memory of the machine.'),
  system_memory_utilization_ratio: gauge('ratio', 'Share of memory in each state.'),
  system_linux_memory_available_bytes: gauge('bytes', 'Memory a new application can get without swapping.'),
  system_paging_usage_bytes: gauge('bytes', 'Swap by state.'),
  system_paging_utilization_ratio: gauge('ratio', 'Share of swap in each state.'),
  system_paging_faults_total: counter('', 'Page faults.'),
  system_paging_operations_total: counter('', 'Paging operations.'),
  system_disk_io_bytes_total: counter('bytes', 'Bytes read from and written to each disk.'),
  system_disk_operations_total: counter('', 'Reads and writes of each disk.'),
  system_disk_io_time_seconds_total: counter('seconds', 'Time each disk was busy.'),
  system_disk_operation_time_seconds_total: counter('seconds', 'Time of all reads and writes added up.'),
  system_filesystem_usage_bytes: gauge('bytes', 'Filesystem space by state; the states add up to the limit.'),
  system_filesystem_utilization_ratio: gauge('ratio', 'Share of filesystem space in each state.'),
  system_filesystem_limit_bytes: gauge('bytes', 'Size of the filesystem.'),
  system_network_io_bytes_total: counter('bytes', 'Bytes received and sent.'),
  system_network_packet_count_total: counter('', 'Packets received and sent.'),
  system_network_packet_dropped_total: counter('', 'Packets dropped.'),
  system_network_errors_total: counter('', 'Network errors.'),
  system_process_count: gauge('', 'Processes by status.'),
  system_processes_created_total: counter('', 'Processes started since the machine did.'),
  system_uptime_seconds: gauge('seconds', 'Time the machine has been running.'),
  target_info: gauge('', 'Attributes of this machine.'),
}

/** Shares of the time between two readings, by CPU and mode. Null for a CPU that was not there before, or whose clock stood still. */
export const cpuShares = (before: Stat, now: Stat): Map<number, Readonly<Record<CpuMode, number>>> => {
  const old = new Map(before.cpus.map((c) => [c.cpu, c.seconds]))
  const out = new Map<number, Readonly<Record<CpuMode, number>>>()
  for (const { cpu, seconds } of now.cpus) {
    const was = old.get(cpu)
    if (!was) continue
    // The kernel's iowait and idle can step back a little.
    const spent = cpuModes.map((mode) => Math.max(seconds[mode] - was[mode], 0))
    const all = spent.reduce((a, b) => a + b, 0)
    if (all <= 0) continue
    out.set(cpu, Object.fromEntries(cpuModes.map((m, i) => [m, spent[i]! / all])) as Record<CpuMode, number>)
  }
  return out
}

const cpu = (emit: Emit, now: LinuxReading, before: LinuxReading | null): void => {
  if (!now.stat) return
  for (const { cpu: number, seconds } of now.stat.cpus)
    for (const mode of cpuModes)
      emit('system_cpu_time_seconds_total', seconds[mode], {
        cpu_mode: mode,
        cpu_logical_number: String(number),
      })
  emit('system_cpu_logical_count', now.stat.cpus.length)
  if (now.cores > 0) emit('system_cpu_physical_count', now.cores)
  emit('system_processes_created_total', now.stat.forks)
  if (!before?.stat) return
  for (const [number, shares] of cpuShares(before.stat, now.stat))
    for (const mode of cpuModes)
      emit('system_cpu_utilization_ratio', shares[mode], {
        cpu_mode: mode,
        cpu_logical_number: String(number),
      })
}

const memory = (emit: Emit, info: ReadonlyMap<string, number>): void => {
  const get = (name: string): number => info.get(name) ?? 0
  const total = get('MemTotal')
  const states = {
    free: get('MemFree'),
    buffers: get('Buffers'),
    cached: get('Cached'),
    slab_reclaimable: get('SReclaimable'),
  }
  const used = Math.max(total - Object.values(states).reduce((a, b) => a + b, 0), 0)
  emit('system_memory_limit_bytes', total)
  for (const [state, bytes] of Object.entries({ used, ...states })) {
    emit('system_memory_usage_bytes', bytes, { system_memory_state: state })
    if (total > 0) emit('system_memory_utilization_ratio', bytes / total, { system_memory_state: state })
  }
  if (info.has('MemAvailable')) emit('system_linux_memory_available_bytes', get('MemAvailable'))
}

const paging = (emit: Emit, now: LinuxReading): void => {
  for (const { device, size, used } of now.swaps) {
    for (const [state, bytes] of [['used', used] as const, ['free', size - used] as const]) {
      const labels = { system_device: device, system_paging_state: state }
      emit('system_paging_usage_bytes', bytes, labels)
      if (size > 0) emit('system_paging_utilization_ratio', bytes / size, labels)
    }
  }
  const { vm } = now
  const get = (name: string): number => vm?.get(name) ?? 0
  if (!vm) return
  const major = get('pgmajfault')
  emit('system_paging_faults_total', major, { system_paging_fault_type: 'major' })
  emit('system_paging_faults_total', Math.max(get('pgfault') - major, 0), {
    system_paging_fault_type: 'minor',
  })
  // Swapping is what needs a disk, reading files is what moves pages besides it.
  for (const [direction, swap, page] of [
    ['in', 'pswpin', 'pgpgin'],
    ['out', 'pswpout', 'pgpgout'],
  ] as const) {
    const labels = { system_paging_direction: direction }
    emit('system_paging_operations_total', get(swap), { ...labels, system_paging_fault_type: 'major' })
    emit('system_paging_operations_total', get(page), { ...labels, system_paging_fault_type: 'minor' })
  }
}

const disks = (emit: Emit, now: LinuxReading): void => {
  for (const d of now.disks) {
    const device = { system_device: d.device }
    const read = { ...device, disk_io_direction: 'read' }
    const write = { ...device, disk_io_direction: 'write' }
    emit('system_disk_io_bytes_total', d.readBytes, read)
    emit('system_disk_io_bytes_total', d.writtenBytes, write)
    emit('system_disk_operations_total', d.reads, read)
    emit('system_disk_operations_total', d.writes, write)
    emit('system_disk_operation_time_seconds_total', d.readSeconds, read)
    emit('system_disk_operation_time_seconds_total', d.writeSeconds, write)
    emit('system_disk_io_time_seconds_total', d.ioSeconds, device)
  }
}

const filesystems = (emit: Emit, all: readonly Filesystem[]): void => {
  for (const f of all) {
    if (f.size <= 0) continue
    const labels = {
      system_device: f.device,
      system_filesystem_mountpoint: f.mountpoint,
      system_filesystem_type: f.type,
      system_filesystem_mode: f.mode,
    }
    emit('system_filesystem_limit_bytes', f.size, labels)
    const states = { used: f.size - f.free, free: f.available, reserved: f.free - f.available }
    for (const [state, bytes] of Object.entries(states)) {
      emit('system_filesystem_usage_bytes', bytes, { ...labels, system_filesystem_state: state })
      emit('system_filesystem_utilization_ratio', bytes / f.size, {
        ...labels,
        system_filesystem_state: state,
      })
    }
  }
}

const network = (emit: Emit, now: LinuxReading): void => {
  for (const { name, received, sent } of now.interfaces) {
    for (const [direction, t] of [['receive', received] as const, ['transmit', sent] as const]) {
      const labels = { network_interface_name: name, network_io_direction: direction }
      emit('system_network_io_bytes_total', t.bytes, labels)
      emit('system_network_packet_count_total', t.packets, labels)
      emit('system_network_packet_dropped_total', t.dropped, labels)
      emit('system_network_errors_total', t.errors, labels)
    }
  }
}

export const emitLoad = (emit: Emit, load: readonly number[]): void => {
  ;['1m', '5m', '15m'].forEach((span, i) => {
    if (load[i] !== undefined) emit(`system_cpu_load_average_${span}`, load[i])
  })
}

/** All series of one reading; shares of CPU time need the reading before it. */
export const emitLinux = (emit: Emit, now: LinuxReading, before: LinuxReading | null): void => {
  cpu(emit, now, before)
  if (now.memory) memory(emit, now.memory)
  paging(emit, now)
  disks(emit, now)
  filesystems(emit, now.filesystems)
  network(emit, now)
  if (now.load) emitLoad(emit, now.load)
  for (const [status, count] of now.processes) emit('system_process_count', count, { process_status: status })
  if (now.uptime !== null) emit('system_uptime_seconds', now.uptime)
}
