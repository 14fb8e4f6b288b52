// The fleet as Kubernetes would run it: an API server with its pods and deployments, and a cgroup tree that says what the fleet's processes really use.
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { startFakeKubernetes } from '../fake-kubernetes.ts'
import { deploymentOf, nodeOf, ownedBy, podOf, replicaSetOf } from '../kubernetes-objects.ts'

export interface Member {
  readonly agent: string
  readonly version: string
  readonly instance: string
  readonly pid: number
}

export interface Cluster {
  /** Of the API server. */
  readonly url: string
  readonly cgroups: string
  /** Tells of the fleet's processes from now on. */
  run(members: readonly Member[]): void
  stop(): Promise<void>
}

const idOf = (name: string): string => createHash('sha256').update(name).digest('hex')
const uidOf = (name: string): string =>
  idOf(`uid ${name}`).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5')
/** A clock tick of /proc, on every Linux that Node runs on. */
const tick = 1 / 100
const cpus = 0.5
const memory = 512 << 20

const pathOf = (name: string): string => {
  const pod = uidOf(name).replaceAll('-', '_')
  return `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${pod}.slice/cri-containerd-${idOf(name)}.scope`
}

interface Use {
  readonly user: number
  readonly system: number
  readonly bytes: number
  readonly threads: number
}

/** What /proc says of a process: seconds of CPU, bytes and threads; null when it is gone. */
const useOf = (pid: number): Use | null => {
  try {
    const words = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')
    return {
      user: Number(words[11]) * tick,
      system: Number(words[12]) * tick,
      threads: Number(words[17]),
      bytes: Number(words[21]) * 4096,
    }
  } catch {
    return null
  }
}

const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}

/** Keeps the files of a process's cgroup as the kernel would under a limit of half a processor. */
const createGroup = (root: string, { pid, instance }: Member): (() => void) => {
  const path = join(root, pathOf(instance))
  const startedAt = Date.now()
  let before = 0
  let throttled = 0
  return () => {
    const use = useOf(pid)
    if (!use) return
    const all = use.user + use.system
    const periods = Math.floor((Date.now() - startedAt) / 100)
    // What went beyond the limit in this second would have waited.
    if (before > 0) throttled += Math.max(0, Math.round((all - before - cpus) * 10))
    before = all
    const usec = (s: number): number => Math.round(s * 1e6)
    const files: Readonly<Record<string, string>> = {
      'cpu.stat': `usage_usec ${usec(all)}\nuser_usec ${usec(use.user)}\nsystem_usec ${usec(use.system)}\nnr_periods ${periods}\nnr_throttled ${throttled}\nthrottled_usec ${throttled * 50_000}\n`,
      'cpu.max': `${cpus * 100_000} 100000\n`,
      'memory.current': `${use.bytes}\n`,
      'memory.stat': `anon ${use.bytes}\nfile 0\ninactive_file 0\npgfault 1000\npgmajfault 1\n`,
      'memory.max': `${memory}\n`,
      'memory.events': 'low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n',
      'pids.current': `${use.threads}\n`,
      'pids.max': 'max\n',
      'io.stat': '259:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n',
    }
    for (const [file, text] of Object.entries(files)) write(join(path, file), text)
  }
}

/** One pod that crashes for want of memory each few seconds. */
const crashing = (restarts: number): object => {
  const name = 'archivist-0'
  const status = podOf(name, 'archivist', '0.1.0').status
  return podOf(name, 'archivist', '0.1.0', {
    metadata: { uid: uidOf(name) },
    status: {
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [
        {
          ...status.containerStatuses[0],
          ready: false,
          restartCount: restarts,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: {
            terminated: { reason: 'OOMKilled', exitCode: 137, finishedAt: new Date().toISOString() },
          },
        },
      ],
    },
  })
}

/** Starts the API server with a node, and makes an empty cgroup tree below `dir`. */
export const startCluster = async (dir: string): Promise<Cluster> => {
  const fake = await startFakeKubernetes()
  const cgroups = join(dir, 'cgroup')
  write(join(cgroups, 'cgroup.controllers'), 'cpuset cpu io memory pids\n')
  fake.put(nodeOf('node-1'))
  let groups: readonly (() => void)[] = []
  let restarts = 0
  let beats = 0
  const beat = setInterval(() => {
    for (const group of groups) group()
    if (++beats % 4 === 0) fake.put(crashing(++restarts))
  }, 1000)
  const put = ({ agent, version, instance }: Member): void => {
    // The archivist's deployment never gets what it wants; the others have all.
    const deployment = fake.put(deploymentOf(agent, version, 1))
    const set = fake.put(replicaSetOf(deployment, version, 1, 1))
    fake.put(
      podOf(instance, agent, version, {
        metadata: {
          uid: uidOf(instance),
          ownerReferences: [ownedBy('ReplicaSet', set.metadata.name, set.metadata.uid)],
        },
        status: {
          containerStatuses: [
            {
              ...podOf(instance, agent, version).status.containerStatuses[0],
              containerID: `containerd://${idOf(instance)}`,
            },
          ],
        },
      }),
    )
  }
  return {
    url: fake.url,
    cgroups,
    run: (members) => {
      for (const member of members) put(member)
      fake.put(deploymentOf('archivist', '0.1.0', 2, { status: { readyReplicas: 0, availableReplicas: 0 } }))
      fake.put(crashing(restarts))
      groups = members.map((member) => createGroup(cgroups, member))
    },
    stop: () => {
      clearInterval(beat)
      return fake.close()
    },
  }
}
