// What Linux says about itself under /proc, as plain numbers.

/** Seconds by mode, of one CPU. */
interface CpuTimes {
  readonly cpu: number
  readonly seconds: Readonly<Record<CpuMode, number>>
}
export const cpuModes = ['user', 'nice', 'system', 'idle', 'iowait', 'interrupt', 'softirq', 'steal'] as const
export type CpuMode = (typeof cpuModes)[number]

export interface Stat {
  readonly cpus: readonly CpuTimes[]
  readonly forks: number
  readonly running: number
  readonly blocked: number
  /** Seconds since the epoch. */
  readonly bootTime: number
}

// USER_HZ is 100 on every Linux that Node runs on: the kernel's interface is fixed to it whatever its own tick is.
const ticks = 100

const lines = (text: string): string[] => text.split('\n').filter((line) => line !== '')
const words = (line: string): string[] => line.trim().split(/\s+/)

/** `/proc/stat`. Guest time is part of user (guest_nice of nice) there; it is taken out of neither, as node_exporter does. */
export const readStat = (text: string): Stat => {
  const cpus: CpuTimes[] = []
  const single = new Map<string, number>()
  for (const line of lines(text)) {
    const [key = '', ...rest] = words(line)
    const cpu = /^cpu(\d+)$/.exec(key)
    if (cpu) {
      // The kernel's order: user nice system idle iowait irq softirq steal.
      const at = (i: number): number => Number(rest[i] ?? 0) / ticks
      cpus.push({
        cpu: Number(cpu[1]),
        seconds: {
          user: at(0),
          nice: at(1),
          system: at(2),
          idle: at(3),
          iowait: at(4),
          interrupt: at(5),
          softirq: at(6),
          steal: at(7),
        },
      })
    } else single.set(key, Number(rest[0]))
  }
  return {
    cpus,
    forks: single.get('processes') ?? 0,
    running: single.get('procs_running') ?? 0,
    blocked: single.get('procs_blocked') ?? 0,
    bootTime: single.get('btime') ?? 0,
  }
}

/** `/proc/meminfo` in bytes by name. */
export const readMeminfo = (text: string): ReadonlyMap<string, number> =>
  new Map(
    lines(text).map((line) => {
      const [name = '', value = '', unit] = words(line)
      return [name.replace(/:$/, ''), Number(value) * (unit === 'kB' ? 1024 : 1)]
    }),
  )

/** `/proc/vmstat` by name. */
export const readVmstat = (text: string): ReadonlyMap<string, number> =>
  new Map(lines(text).map((line) => [words(line)[0]!, Number(words(line)[1])]))

export interface Disk {
  readonly device: string
  readonly reads: number
  readonly readBytes: number
  readonly readSeconds: number
  readonly writes: number
  readonly writtenBytes: number
  readonly writeSeconds: number
  readonly ioSeconds: number
}
// node_exporter's default: no RAM disks, loop devices, floppies, and no partitions (their disk counts them).
const ignoredDisk = /^(?:z?ram|loop|fd|(?:h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$/
const sector = 512

/** `/proc/diskstats` without RAM disks, loop devices, floppies and partitions. */
export const readDiskstats = (text: string): Disk[] =>
  lines(text).flatMap((line) => {
    const w = words(line)
    const device = w[2]
    if (device === undefined || w.length < 14 || ignoredDisk.test(device)) return []
    const n = (i: number): number => Number(w[i])
    return [
      {
        device,
        reads: n(3),
        readBytes: n(5) * sector,
        readSeconds: n(6) / 1000,
        writes: n(7),
        writtenBytes: n(9) * sector,
        writeSeconds: n(10) / 1000,
        ioSeconds: n(12) / 1000,
      },
    ]
  })

export interface Mount {
  readonly device: string
  readonly mountpoint: string
  readonly type: string
  readonly mode: 'ro' | 'rw'
}
// As node_exporter leaves them out by default: what is no disk, and mount points of the system's own and of containers.
const ignoredTypes =
  /^(?:autofs|binfmt_misc|bpf|cgroup2?|configfs|debugfs|devpts|devtmpfs|efivarfs|fusectl|fuse\.lxcfs|hugetlbfs|iso9660|mqueue|nsfs|overlay|proc|procfs|pstore|ramfs|rpc_pipefs|securityfs|selinuxfs|squashfs|sysfs|tmpfs|tracefs)$/
const ignoredMounts =
  /^\/(?:dev|proc|sys|run\/credentials\/.+|run\/k3s\/containerd\/.+|var\/lib\/(?:docker|containers\/storage)\/.+)(?:$|\/)/

const octal = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))

/** `/proc/self/mountinfo`: real filesystems, one a device and mount point (the one mounted last). */
export const readMountinfo = (text: string): Mount[] => {
  const mounts = new Map<string, Mount>()
  for (const line of lines(text)) {
    const [left = '', right = ''] = line.split(' - ')
    const l = left.split(' ')
    const r = right.split(' ')
    const mountpoint = octal(l[4] ?? '')
    const type = r[0] ?? ''
    if (mountpoint === '' || ignoredTypes.test(type) || ignoredMounts.test(mountpoint)) {
      // Something else mounted over it hides what was there.
      mounts.delete(mountpoint)
      continue
    }
    const options = `${l[5] ?? ''},${r[2] ?? ''}`.split(',')
    mounts.set(mountpoint, {
      device: octal(r[1] ?? ''),
      mountpoint,
      type,
      mode: options.includes('ro') ? 'ro' : 'rw',
    })
  }
  return [...mounts.values()]
}

export interface Interface {
  readonly name: string
  readonly received: Traffic
  readonly sent: Traffic
}
interface Traffic {
  readonly bytes: number
  readonly packets: number
  readonly errors: number
  readonly dropped: number
}

/** `/proc/net/dev`. */
export const readNetDev = (text: string): Interface[] =>
  lines(text).flatMap((line) => {
    const colon = line.lastIndexOf(':')
    if (colon < 0) return []
    const n = words(line.slice(colon + 1)).map(Number)
    if (n.length < 16) return []
    const traffic = (i: number): Traffic => ({
      bytes: n[i]!,
      packets: n[i + 1]!,
      errors: n[i + 2]!,
      dropped: n[i + 3]!,
    })
    return [{ name: line.slice(0, colon).trim(), received: traffic(0), sent: traffic(8) }]
  })

/** `/proc/loadavg`: the averages of 1, 5 and 15 minutes. */
export const readLoadavg = (text: string): [number, number, number] => {
  const w = words(text).map(Number)
  return [w[0] ?? 0, w[1] ?? 0, w[2] ?? 0]
}

/** Seconds the machine is up, from `/proc/uptime`. */
export const readUptime = (text: string): number => Number(words(text)[0])

/** The one-letter state of a `/proc/<pid>/stat`; the command's name before it may hold anything, brackets too. */
export const readProcessState = (text: string): string => text[text.lastIndexOf(')') + 2] ?? ''

/** Swap areas of `/proc/swaps`, in bytes. */
export const readSwaps = (text: string): { device: string; size: number; used: number }[] =>
  lines(text)
    .slice(1)
    .map(words)
    .filter((w) => w.length >= 5)
    .map((w) => ({ device: octal(w[0]!), size: Number(w[2]) * 1024, used: Number(w[3]) * 1024 }))

/** Physical cores of `/proc/cpuinfo`, 0 where it does not say. */
export const readCores = (text: string): number => {
  const cores = new Set<string>()
  let physical = ''
  for (const line of text.split('\n')) {
    const [key = '', value = ''] = line.split(':').map((part) => part.trim())
    if (key === 'physical id') physical = value
    if (key === 'core id') cores.add(`${physical}/${value}`)
  }
  return cores.size
}
