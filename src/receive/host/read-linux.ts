// Reads what /proc and the filesystems say; never waits for a filesystem that does not answer.
import { readdir, readFile, statfs } from 'node:fs/promises'
import type { Clock, Timer } from '../../lib/clock.ts'
import { messageOf } from '../../lib/errors.ts'
import { type Duration, second } from '../../lib/time.ts'
import {
  type Disk,
  type Interface,
  type Mount,
  readCores,
  readDiskstats,
  readLoadavg,
  readMeminfo,
  readMountinfo,
  readNetDev,
  readProcessState,
  readStat,
  readSwaps,
  readUptime,
  readVmstat,
  type Stat,
} from './decode.ts'

export interface Filesystem extends Mount {
  readonly size: number
  readonly free: number
  /** Free for anyone, not only for root. */
  readonly available: number
}

export interface LinuxReading {
  readonly stat: Stat | null
  readonly memory: ReadonlyMap<string, number> | null
  readonly vm: ReadonlyMap<string, number> | null
  readonly disks: readonly Disk[]
  readonly filesystems: readonly Filesystem[]
  readonly interfaces: readonly Interface[]
  readonly load: readonly [number, number, number] | null
  readonly uptime: number | null
  readonly swaps: readonly { device: string; size: number; used: number }[]
  readonly cores: number
  /** Processes by OpenTelemetry's status. */
  readonly processes: ReadonlyMap<string, number>
  /** What could not be read, by file. */
  readonly problems: ReadonlyMap<string, string>
}

const patience = (2 * second) as Duration
const statuses: Readonly<Record<string, string>> = {
  R: 'running',
  S: 'sleeping',
  D: 'blocked',
  T: 'stopped',
  t: 'stopped',
  Z: 'zombies',
  X: 'dead',
  I: 'idle',
}
const processesAtOnce = 64

type StatFs = (path: string) => Promise<{ blocks: number; bfree: number; bavail: number; bsize: number }>

/** Asks filesystems for their space. One that hangs is left alone until it has answered. */
class Filesystems {
  readonly #clock: Clock
  readonly #statfs: StatFs
  readonly #hanging = new Set<string>()
  constructor(clock: Clock, ask: StatFs) {
    this.#clock = clock
    this.#statfs = ask
  }

  async ask(mount: Mount, problems: Map<string, string>): Promise<Filesystem | null> {
    const { mountpoint } = mount
    if (this.#hanging.has(mountpoint)) {
      problems.set(mountpoint, 'the filesystem still does not answer')
      return null
    }
    this.#hanging.add(mountpoint)
    const asked = this.#statfs(mountpoint)
      .then(
        (s) => ({
          ...mount,
          size: s.blocks * s.bsize,
          free: s.bfree * s.bsize,
          available: s.bavail * s.bsize,
        }),
        (error: unknown) => {
          // Not for us to see, or gone in between: nothing is wrong with the machine.
          if (!/EACCES|EPERM|ENOENT/.test(messageOf(error))) problems.set(mountpoint, messageOf(error))
          return null
        },
      )
      .finally(() => this.#hanging.delete(mountpoint))
    let timer: Timer | undefined
    const late = new Promise<null>((resolve) => {
      timer = this.#clock.after(patience, () => {
        problems.set(mountpoint, `the filesystem did not answer within ${patience / 1000} s`)
        resolve(null)
      })
    })
    try {
      return await Promise.race([asked, late])
    } finally {
      timer?.cancel()
    }
  }
}

const countProcesses = async (root: string, problems: Map<string, string>): Promise<Map<string, number>> => {
  const counts = new Map<string, number>()
  try {
    const pids = (await readdir(`${root}/proc`)).filter((name) => /^\d+$/.test(name))
    for (let i = 0; i < pids.length; i += processesAtOnce) {
      const texts = await Promise.all(
        // A process that ends while we look is no error.
        pids
          .slice(i, i + processesAtOnce)
          .map((pid) => readFile(`${root}/proc/${pid}/stat`, 'utf8').catch(() => '')),
      )
      for (const text of texts) {
        if (text === '') continue
        const status = statuses[readProcessState(text)] ?? 'unknown'
        counts.set(status, (counts.get(status) ?? 0) + 1)
      }
    }
  } catch (error) {
    problems.set('/proc', messageOf(error))
  }
  return counts
}

/** A reader of this machine; `root` stands before /proc, and `ask` for the system call, in tests. */
export const createLinuxReader = (
  clock: Clock,
  root = '',
  ask: StatFs = statfs,
): (() => Promise<LinuxReading>) => {
  const spaces = new Filesystems(clock, ask)
  return async (): Promise<LinuxReading> => {
    const problems = new Map<string, string>()
    const read = async <T>(file: string, parse: (text: string) => T): Promise<T | null> => {
      try {
        return parse(await readFile(`${root}${file}`, 'utf8'))
      } catch (error) {
        problems.set(file, messageOf(error))
        return null
      }
    }
    const mounts = (await read('/proc/self/mountinfo', readMountinfo)) ?? []
    const [stat, memory, vm, disks, interfaces, load, uptime, swaps, cores, states, filesystems] =
      await Promise.all([
        read('/proc/stat', readStat),
        read('/proc/meminfo', readMeminfo),
        read('/proc/vmstat', readVmstat),
        read('/proc/diskstats', readDiskstats),
        read('/proc/net/dev', readNetDev),
        read('/proc/loadavg', readLoadavg),
        read('/proc/uptime', readUptime),
        read('/proc/swaps', readSwaps),
        read('/proc/cpuinfo', readCores),
        countProcesses(root, problems),
        Promise.all(mounts.map((mount) => spaces.ask(mount, problems))),
      ])
    return {
      stat,
      memory,
      vm,
      disks: disks ?? [],
      filesystems: filesystems.filter((f) => f !== null),
      interfaces: interfaces ?? [],
      load,
      uptime,
      swaps: swaps ?? [],
      cores: cores ?? 0,
      processes: states,
      problems,
    }
  }
}
