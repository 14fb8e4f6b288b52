// The dashboard of machines: CPU, memory, disks, filesystems, network, load and processes under their OpenTelemetry names.
import type { Board } from './dashboard.ts'
import type { Panel, Steps } from './panel.ts'

const at = 'job=~"$job",instance=~"$instance"'
const share: Steps = [
  [0.8, 'yellow'],
  [0.92, 'red'],
]
const rate = (metric: string, more = ''): string => `rate(${metric}{${at}${more}}[$__rate_interval])`
// Read-only images and memory filesystems are always full or always empty.
const realFilesystems =
  ',system_filesystem_mode!="ro",system_filesystem_type!~"tmpfs|squashfs|iso9660|overlay"'

const now: readonly Panel[] = [
  {
    show: 'number',
    title: 'CPU busy',
    about: 'Share of all processors that is not idle. Work waits when it stays above 90 %.',
    unit: 'percentunit',
    decimals: 1,
    steps: share,
    queries: [
      [
        `1 - sum by (instance) (${rate('system_cpu_time_seconds_total', ',cpu_mode="idle"')}) / sum by (instance) (${rate('system_cpu_time_seconds_total')})`,
        '{{instance}}',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Memory used',
    about: 'Memory in use, caches not counted. The kernel ends processes when nothing is left.',
    unit: 'percentunit',
    decimals: 1,
    steps: share,
    queries: [
      [
        `sum by (instance) (system_memory_usage_bytes{${at},system_memory_state="used"}) / sum by (instance) (system_memory_usage_bytes{${at}})`,
        '{{instance}}',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Fullest filesystem',
    about: 'The share used of the fullest filesystem that can be written to.',
    unit: 'percentunit',
    decimals: 1,
    steps: [
      [0.8, 'yellow'],
      [0.9, 'red'],
    ],
    queries: [
      [
        `max by (instance) (system_filesystem_utilization_ratio{${at},system_filesystem_state="used"${realFilesystems}} or system_filesystem_utilization_ratio{${at},system_filesystem_state="used"})`,
        '{{instance}}',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Load a processor',
    about: 'Tasks that run or wait for each processor, over 5 minutes. Above 1 they queue.',
    unit: 'none',
    decimals: 2,
    steps: [
      [1, 'yellow'],
      [2, 'red'],
    ],
    queries: [
      [
        `max by (instance) (system_cpu_load_average_5m{${at}}) / max by (instance) (system_cpu_logical_count{${at}})`,
        '{{instance}}',
      ],
    ],
  },
  {
    show: 'number',
    title: 'Processes',
    about: 'All processes of the machine.',
    unit: 'none',
    queries: [[`sum by (instance) (system_process_count{${at}})`, '{{instance}}']],
  },
  {
    show: 'number',
    title: 'Up for',
    about: 'Time since the machine started.',
    unit: 's',
    decimals: 0,
    queries: [[`max by (instance) (system_uptime_seconds{${at}})`, '{{instance}}']],
  },
]

const processor: readonly Panel[] = [
  {
    show: 'graph',
    title: 'CPU by mode',
    about:
      'How many processors each mode takes. Much iowait points at a disk, much steal at the machine underneath.',
    unit: 'none',
    min: 0,
    stacked: true,
    queries: [
      [
        `sum by (instance, cpu_mode) (${rate('system_cpu_time_seconds_total', ',cpu_mode!="idle"')})`,
        '{{instance}} {{cpu_mode}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Busy by processor',
    about: 'Each processor by itself: one at 100 % while others rest is a program with one thread.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    queries: [
      [
        `1 - sum by (instance, cpu_logical_number) (${rate('system_cpu_time_seconds_total', ',cpu_mode="idle"')}) / sum by (instance, cpu_logical_number) (${rate('system_cpu_time_seconds_total')})`,
        '{{instance}} cpu {{cpu_logical_number}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Load',
    about: 'Tasks running or waiting, beside the number of processors they run on.',
    unit: 'none',
    min: 0,
    queries: [
      [`system_cpu_load_average_1m{${at}}`, '{{instance}} 1 min'],
      [`system_cpu_load_average_5m{${at}}`, '{{instance}} 5 min'],
      [`system_cpu_load_average_15m{${at}}`, '{{instance}} 15 min'],
      [`system_cpu_logical_count{${at}}`, '{{instance}} processors'],
    ],
  },
  {
    show: 'graph',
    title: 'Processes by status',
    about: 'Many that are blocked wait for a disk; zombies were not collected by their parent.',
    unit: 'none',
    min: 0,
    stacked: true,
    queries: [
      [`sum by (instance, process_status) (system_process_count{${at}})`, '{{instance}} {{process_status}}'],
    ],
  },
  {
    show: 'graph',
    title: 'Processes started',
    about: 'New processes a second.',
    unit: 'ops',
    min: 0,
    queries: [[`sum by (instance) (${rate('system_processes_created_total')})`, '{{instance}}']],
  },
]

const memory: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Memory by state',
    about: 'All of the memory. Cached and reclaimable parts are given up when programs need them.',
    unit: 'bytes',
    min: 0,
    stacked: true,
    queries: [
      [
        `sum by (instance, system_memory_state) (system_memory_usage_bytes{${at}})`,
        '{{instance}} {{system_memory_state}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Memory a new program can get',
    about: 'Without swapping, beside the memory there is.',
    unit: 'bytes',
    min: 0,
    queries: [
      [`system_linux_memory_available_bytes{${at}}`, '{{instance}} available'],
      [`system_memory_limit_bytes{${at}}`, '{{instance}} all'],
    ],
  },
  {
    show: 'graph',
    title: 'Page faults',
    about: 'Major faults need a disk: many of them make everything slow.',
    unit: 'ops',
    min: 0,
    queries: [
      [
        `sum by (instance, system_paging_fault_type) (${rate('system_paging_faults_total')})`,
        '{{instance}} {{system_paging_fault_type}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Swapped in and out',
    about: 'Pages read back from swap and written to it. Steady reading back means that memory is too small.',
    unit: 'ops',
    min: 0,
    queries: [
      [
        `sum by (instance, system_paging_direction) (${rate('system_paging_operations_total', ',system_paging_fault_type="major"')})`,
        '{{instance}} {{system_paging_direction}}',
      ],
    ],
  },
]

const disk: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Disk bytes',
    about: 'Read from and written to each disk.',
    unit: 'Bps',
    min: 0,
    queries: [
      [
        `sum by (instance, system_device, disk_io_direction) (${rate('system_disk_io_bytes_total')})`,
        '{{instance}} {{system_device}} {{disk_io_direction}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Disk operations',
    about: 'Reads and writes of each disk.',
    unit: 'iops',
    min: 0,
    queries: [
      [
        `sum by (instance, system_device, disk_io_direction) (${rate('system_disk_operations_total')})`,
        '{{instance}} {{system_device}} {{disk_io_direction}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Disk busy',
    about: 'Share of the time in which the disk had something to do. At 95 % and more requests wait in line.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [[0.95, 'red']],
    queries: [
      [
        `sum by (instance, system_device) (${rate('system_disk_io_time_seconds_total')})`,
        '{{instance}} {{system_device}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Time of one operation',
    about: 'Mean time that a read or a write takes, waiting in line included.',
    unit: 's',
    min: 0,
    queries: [
      [
        `sum by (instance, system_device, disk_io_direction) (${rate('system_disk_operation_time_seconds_total')}) / (sum by (instance, system_device, disk_io_direction) (${rate('system_disk_operations_total')}) > 0)`,
        '{{instance}} {{system_device}} {{disk_io_direction}}',
      ],
    ],
  },
  {
    show: 'bars',
    title: 'Filesystems, share used',
    about: 'Filled to 90 % with little left is a warning, 97 % a page.',
    unit: 'percentunit',
    min: 0,
    max: 1,
    steps: [
      [0.8, 'yellow'],
      [0.9, 'red'],
    ],
    queries: [
      [
        `max by (instance, system_filesystem_mountpoint) (system_filesystem_utilization_ratio{${at},system_filesystem_state="used"})`,
        '{{instance}} {{system_filesystem_mountpoint}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Filesystems, free space',
    about: 'What users other than root can still write.',
    unit: 'bytes',
    min: 0,
    queries: [
      [
        `max by (instance, system_filesystem_mountpoint) (system_filesystem_usage_bytes{${at},system_filesystem_state="free"})`,
        '{{instance}} {{system_filesystem_mountpoint}}',
      ],
    ],
  },
]

const network: readonly Panel[] = [
  {
    show: 'graph',
    title: 'Network bytes',
    about: 'Received and sent, by interface.',
    unit: 'Bps',
    min: 0,
    queries: [
      [
        `sum by (instance, network_interface_name, network_io_direction) (${rate('system_network_io_bytes_total')})`,
        '{{instance}} {{network_interface_name}} {{network_io_direction}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Network packets',
    about: 'Received and sent, by interface.',
    unit: 'pps',
    min: 0,
    queries: [
      [
        `sum by (instance, network_interface_name, network_io_direction) (${rate('system_network_packet_count_total')})`,
        '{{instance}} {{network_interface_name}} {{network_io_direction}}',
      ],
    ],
  },
  {
    show: 'graph',
    title: 'Packets lost',
    about: 'Dropped packets and errors; both are 0 on a sound network.',
    unit: 'pps',
    min: 0,
    queries: [
      [
        `sum by (instance, network_interface_name, network_io_direction) (${rate('system_network_packet_dropped_total')})`,
        '{{instance}} {{network_interface_name}} {{network_io_direction}} dropped',
      ],
      [
        `sum by (instance, network_interface_name, network_io_direction) (${rate('system_network_errors_total')})`,
        '{{instance}} {{network_interface_name}} {{network_io_direction}} errors',
      ],
    ],
  },
]

export const host: Board = {
  uid: 'airboss-host',
  title: 'Airboss / Hosts',
  about:
    'Machines that report by the OpenTelemetry conventions: the one Airboss runs on, and those with a Collector.',
  tags: ['host'],
  from: 'now-1h',
  variables: [
    { name: 'job', label: 'Job', values: 'label_values(system_cpu_time_seconds_total, job)' },
    {
      name: 'instance',
      label: 'Machine',
      values: 'label_values(system_cpu_time_seconds_total{job=~"$job"}, instance)',
    },
  ],
  rows: [
    { title: 'Now', panels: now },
    { title: 'Processor', panels: processor },
    { title: 'Memory', panels: memory },
    { title: 'Disks and filesystems', panels: disk },
    { title: 'Network', panels: network },
  ],
}
