// What a cgroup (version 2) says of itself in its files, and who it is by its path.

/** `key value` lines, as of cpu.stat, memory.stat and memory.events. */
export const readKeyed = (text: string): ReadonlyMap<string, number> => {
  const out = new Map<string, number>()
  for (const line of text.split('\n')) {
    const space = line.indexOf(' ')
    if (space > 0) out.set(line.slice(0, space), Number(line.slice(space + 1)))
  }
  return out
}

/** A single number; null for `max`, which is no limit, and for what is none. */
export const readNumber = (text: string): number | null => {
  const word = text.trim()
  const n = Number(word)
  return word === '' || word === 'max' || !Number.isFinite(n) ? null : n
}

/** `cpu.max`: CPUs that may be used, null where there is no limit. */
export const readCpuMax = (text: string): number | null => {
  const [quota = 'max', period = '100000'] = text.trim().split(/\s+/)
  const cpus = Number(quota) / Number(period)
  return quota === 'max' || !Number.isFinite(cpus) || cpus <= 0 ? null : cpus
}

export interface DeviceIo {
  /** `259:0`. */
  readonly device: string
  readonly readBytes: number
  readonly writtenBytes: number
  readonly reads: number
  readonly writes: number
}

/** `io.stat`: one line a device. */
export const readIoStat = (text: string): DeviceIo[] =>
  text.split('\n').flatMap((line) => {
    const [device = '', ...pairs] = line.trim().split(/\s+/)
    if (!/^\d+:\d+$/.test(device)) return []
    const of = new Map(pairs.map((p) => [p.slice(0, p.indexOf('=')), Number(p.slice(p.indexOf('=') + 1))]))
    const n = (key: string): number => of.get(key) ?? 0
    return [
      { device, readBytes: n('rbytes'), writtenBytes: n('wbytes'), reads: n('rios'), writes: n('wios') },
    ]
  })

export type Runtime = 'docker' | 'containerd' | 'cri-o' | 'podman' | ''

export interface Identity {
  /** 64 hexadecimal digits; '' for a service. */
  readonly containerId: string
  readonly runtime: Runtime
  /** Of Kubernetes, '' elsewhere. */
  readonly podUid: string
  /** `nginx.service`; '' for a container. */
  readonly unit: string
}

const hex = '[0-9a-f]{64}'
const scopes: readonly (readonly [RegExp, Runtime])[] = [
  [new RegExp(`^docker-(${hex})\\.scope$`), 'docker'],
  [new RegExp(`^cri-containerd-(${hex})\\.scope$`), 'containerd'],
  [new RegExp(`^nerdctl-(${hex})\\.scope$`), 'containerd'],
  [new RegExp(`^crio-(${hex})(?:\\.scope)?$`), 'cri-o'],
  [new RegExp(`^libpod-(${hex})(?:\\.scope)?$`), 'podman'],
  // containerd's cgroupfs form under systemd's names: <slice>:cri-containerd:<id>
  [new RegExp(`^[^:]*:cri-containerd:(${hex})$`), 'containerd'],
]
const bare = new RegExp(`^(${hex})$`)
const podSegment =
  /(?:^|[-/])pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12}|[0-9a-f]{32})(?:\.slice)?$/

/** The pod a path goes through. systemd writes the uid with underscores. */
const podOf = (segments: readonly string[]): string => {
  for (const segment of segments) {
    const m = podSegment.exec(segment)
    if (m) return m[1]!.replaceAll('_', '-')
  }
  return ''
}

/**
 * Who a cgroup is by its path below the root (`/system.slice/docker-….scope`); null for slices and whatever else is no container and no
 * service. Knows Docker, containerd, CRI-O and Podman under systemd and cgroupfs drivers, and systemd's services.
 */
export const identityOf = (path: string): Identity | null => {
  const segments = path.split('/').filter((s) => s !== '')
  const last = segments.at(-1) ?? ''
  const podUid = podOf(segments.slice(0, -1))
  for (const [pattern, runtime] of scopes) {
    const m = pattern.exec(last)
    if (m) return { containerId: m[1]!, runtime, podUid, unit: '' }
  }
  const id = bare.exec(last)?.[1]
  if (id !== undefined) {
    const under = segments.at(-2) ?? ''
    // Under kubepods with the cgroupfs driver the path does not say which runtime it is.
    const runtime: Runtime = under === 'docker' ? 'docker' : podUid === '' ? 'containerd' : ''
    return { containerId: id, runtime, podUid, unit: '' }
  }
  return last.endsWith('.service') ? { containerId: '', runtime: '', podUid: '', unit: last } : null
}

/** What helps a container to run and is none itself; nothing below it is looked at. */
export const isHelper = (name: string): boolean => /^(?:crio-conmon|libpod-conmon)-/.test(name)

/** A file name under /var/log/containers: `<pod>_<namespace>_<container>-<id>.log`. */
export const readLogName = (
  name: string,
): {
  readonly id: string
  readonly pod: string
  readonly namespace: string
  readonly container: string
} | null => {
  const m = new RegExp(`^([^_]+)_([^_]+)_(.+)-(${hex})\\.log$`).exec(name)
  return m ? { pod: m[1]!, namespace: m[2]!, container: m[3]!, id: m[4]! } : null
}
