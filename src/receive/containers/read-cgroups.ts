// Reads the cgroup tree: finds containers and services, and what each of them uses, in small steps so that nothing else waits.
import { closeSync, openSync, readdirSync, readFileSync, readSync, statSync } from 'node:fs'
import { breathe } from '../../lib/clock.ts'
import { messageOf } from '../../lib/errors.ts'
import {
  type DeviceIo,
  type Identity,
  identityOf,
  isHelper,
  readCpuMax,
  readIoStat,
  readKeyed,
  readLogName,
  readNumber,
} from './decode.ts'

export interface Group {
  /** Below the root of the cgroup tree. */
  readonly path: string
  readonly identity: Identity
}

export interface GroupReading {
  readonly cpu: ReadonlyMap<string, number> | null
  /** CPUs, null where there is no limit. */
  readonly cpuLimit: number | null
  readonly memory: number | null
  readonly memoryStat: ReadonlyMap<string, number> | null
  readonly memoryLimit: number | null
  readonly memoryEvents: ReadonlyMap<string, number> | null
  readonly swap: number | null
  readonly swapLimit: number | null
  readonly pids: number | null
  readonly pidsLimit: number | null
  readonly io: readonly DeviceIo[]
}

export interface Found {
  readonly groups: readonly Group[]
  /** More than `most` were there. */
  readonly left: number
  readonly problems: readonly string[]
}

export interface Named {
  readonly pod: string
  readonly namespace: string
  readonly container: string
}

const deepest = 12
const atOnce = 16
const buffer = Buffer.allocUnsafe(64 << 10)

/** A file's text, '' where it is not there: controllers are on or off for each cgroup, and cgroups go while we look. */
const text = (path: string): string => {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return ''
  }
  try {
    let size = 0
    for (;;) {
      const n = readSync(file, buffer, size, buffer.length - size, null)
      size += n
      if (n === 0 || size === buffer.length) return buffer.toString('latin1', 0, size)
    }
  } catch {
    // ENODEV: its cgroup has gone in between.
    return ''
  } finally {
    closeSync(file)
  }
}

export interface CgroupReader {
  /** Whether version 2 is mounted here. */
  mounted(): boolean
  find(most: number): Promise<Found>
  read(groups: readonly Group[], each: (group: Group, reading: GroupReading) => void): Promise<void>
  /** Names of Kubernetes's containers by id, from the names of their log files; empty elsewhere. */
  names(): ReadonlyMap<string, Named>
  /** The name of a block device, `259:0` where it is not known. */
  device(number: string): string
}

class Tree implements CgroupReader {
  readonly #root: string
  readonly #logs: string
  readonly #sys: string
  readonly #devices = new Map<string, string>()

  constructor(root: string, logs: string, sys: string) {
    this.#root = root
    this.#logs = logs
    this.#sys = sys
  }

  mounted(): boolean {
    try {
      return statSync(`${this.#root}/cgroup.controllers`).isFile()
    } catch {
      return false
    }
  }

  async find(most: number): Promise<Found> {
    const groups: Group[] = []
    const problems: string[] = []
    let left = 0
    let steps = 0
    const take = (group: Group): void => {
      if (groups.length < most) groups.push(group)
      else left++
    }
    /** True when something below it is known: then it is not counted itself, or sums would count it twice. */
    const walk = async (path: string, depth: number): Promise<boolean> => {
      if (depth > deepest) return false
      if (++steps % 64 === 0) await breathe()
      let known = false
      for (const name of this.#children(path, problems)) {
        if (isHelper(name)) continue
        const below = `${path}/${name}`
        const identity = identityOf(below)
        const container = identity !== null && identity.containerId !== ''
        if (container) take({ path: below, identity })
        const inner = !container && (await walk(below, depth + 1))
        if (identity && !container && !inner) take({ path: below, identity })
        known ||= inner || identity !== null
      }
      return known
    }
    await walk('', 0)
    return { groups, left, problems }
  }

  #children(path: string, problems: string[]): string[] {
    try {
      return readdirSync(`${this.#root}${path}`, { withFileTypes: true })
        .filter((entry) => entry.isDirectory())
        .map((entry) => entry.name)
    } catch (error) {
      // One that has gone in between is no problem.
      if (!/ENOENT|ENODEV/.test(messageOf(error))) problems.push(messageOf(error))
      return []
    }
  }

  async read(groups: readonly Group[], each: (group: Group, reading: GroupReading) => void): Promise<void> {
    for (const [i, group] of groups.entries()) {
      if (i > 0 && i % atOnce === 0) await breathe()
      const of = (file: string): string => text(`${this.#root}${group.path}/${file}`)
      const keyed = (file: string): ReadonlyMap<string, number> | null => {
        const read = of(file)
        return read === '' ? null : readKeyed(read)
      }
      const cpu = keyed('cpu.stat')
      // Gone since it was found.
      if (!cpu) continue
      each(group, {
        cpu,
        cpuLimit: readCpuMax(of('cpu.max')),
        memory: readNumber(of('memory.current')),
        memoryStat: keyed('memory.stat'),
        memoryLimit: readNumber(of('memory.max')),
        memoryEvents: keyed('memory.events'),
        swap: readNumber(of('memory.swap.current')),
        swapLimit: readNumber(of('memory.swap.max')),
        pids: readNumber(of('pids.current')),
        pidsLimit: readNumber(of('pids.max')),
        io: readIoStat(of('io.stat')),
      })
    }
  }

  names(): ReadonlyMap<string, Named> {
    const out = new Map<string, Named>()
    let files: string[]
    try {
      files = readdirSync(this.#logs)
    } catch {
      // No node of Kubernetes, or not for us to see.
      return out
    }
    for (const file of files) {
      const named = readLogName(file)
      if (named) out.set(named.id, named)
    }
    return out
  }

  device(number: string): string {
    const known = this.#devices.get(number)
    if (known !== undefined) return known
    let name = number
    try {
      name =
        /^DEVNAME=(.+)$/m.exec(readFileSync(`${this.#sys}/dev/block/${number}/uevent`, 'utf8'))?.[1] ?? number
    } catch {
      // A device that is gone keeps its number.
    }
    this.#devices.set(number, name)
    return name
  }
}

/** A reader of the tree at `root`; the other folders stand elsewhere in tests. */
export const createCgroupReader = (
  root = '/sys/fs/cgroup',
  logs = '/var/log/containers',
  sys = '/sys',
): CgroupReader => new Tree(root, logs, sys)
