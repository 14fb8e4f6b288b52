import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { tempDir } from '../../../test/kit/temp-dir.ts'
import { until } from '../../../test/kit/until.ts'
import { silentLogger } from '../../lib/log.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { createCgroupReader } from './read-cgroups.ts'
import { containersConfigSchema, createContainerReceiver } from './receiver.ts'
import { containerMetrics } from './series.ts'

const id = (n: number): string => n.toString(16).padStart(64, '0')
const uid = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0'

const write = (path: string, text: string): void => {
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, text)
}
/** The files of a cgroup with every controller on, in their real form. */
const cgroup = (root: string, path: string, more: Readonly<Record<string, string>> = {}): void => {
  const files: Record<string, string> = {
    'cpu.stat':
      'usage_usec 3000000\nuser_usec 2000000\nsystem_usec 1000000\nnr_periods 100\nnr_throttled 7\nthrottled_usec 250000\n',
    'cpu.max': '150000 100000\n',
    'memory.current': '1000000\n',
    'memory.stat': 'anon 600000\nfile 400000\ninactive_file 300000\npgfault 50\npgmajfault 5\n',
    'memory.max': '2000000\n',
    'memory.events': 'low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n',
    'memory.swap.current': '0\n',
    'memory.swap.max': 'max\n',
    'pids.current': '12\n',
    'pids.max': 'max\n',
    'io.stat': '259:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n',
    ...more,
  }
  for (const [file, text] of Object.entries(files)) write(join(root, path, file), text)
}

const started = (config: object = {}) => {
  const dir = tempDir()
  const root = join(dir, 'cgroup')
  write(join(root, 'cgroup.controllers'), 'cpuset cpu io memory pids\n')
  write(join(dir, 'sys/dev/block/259:0/uevent'), 'MAJOR=259\nMINOR=0\nDEVNAME=nvme0n1\nDEVTYPE=disk\n')
  const clock = new FakeClock()
  const table = new SeriesTable(1_000_000)
  const sink = new CollectingSink(table)
  const metrics = fakeMetrics()
  const reader = createCgroupReader(root, join(dir, 'logs'), join(dir, 'sys'))
  const receiver = createContainerReceiver({
    ...{ config: containersConfigSchema.parse(config), reader, table, sink, limits: defaultAdmission },
    ...{ clock, log: silentLogger(), metrics },
  })
  /** What the next look writes, without job and instance. */
  const look = async (): Promise<Record<string, number | 'stale'>> => {
    const n = sink.batches.length
    if (n === 0) await receiver.start()
    else await clock.advance(10_000)
    await until('a look', () => sink.batches.length > n)
    const short = (s: string): string => s.replace(/(instance|job)="[^"]*",? ?/g, '').replace(/, ?}/, '}')
    return Object.fromEntries(sink.samplesOf(sink.batches.at(-1)!).map((s) => [short(s.series), s.value]))
  }
  return { dir, root, clock, sink, metrics, receiver, look }
}

test('a container: what it uses, may use and was denied, under the conventions of OpenTelemetry', async () => {
  const { root, look, receiver, sink } = started()
  cgroup(root, `system.slice/docker-${id(1)}.scope`)
  const all = await look()
  const who = `container_id="${id(1)}", container_runtime_name="docker"`
  expect(all).toEqual({
    [`container_cpu_time_seconds_total{${who}, cpu_mode="user"}`]: 2,
    [`container_cpu_time_seconds_total{${who}, cpu_mode="system"}`]: 1,
    [`container_cpu_limit_cpus{${who}}`]: 1.5,
    [`container_cpu_periods_total{${who}}`]: 100,
    [`container_cpu_throttled_periods_total{${who}}`]: 7,
    [`container_cpu_throttled_time_seconds_total{${who}}`]: 0.25,
    [`container_memory_usage_bytes{${who}}`]: 1_000_000,
    [`container_memory_working_set_bytes{${who}}`]: 700_000,
    [`container_memory_available_bytes{${who}}`]: 1_300_000,
    [`container_memory_limit_bytes{${who}}`]: 2_000_000,
    [`container_memory_rss_bytes{${who}}`]: 600_000,
    [`container_memory_swap_usage_bytes{${who}}`]: 0,
    [`container_memory_paging_faults_total{${who}, system_paging_fault_type="major"}`]: 5,
    [`container_memory_paging_faults_total{${who}, system_paging_fault_type="minor"}`]: 45,
    [`container_memory_oom_kills_total{${who}}`]: 1,
    [`container_process_count{${who}}`]: 12,
    [`container_disk_io_bytes_total{${who}, disk_io_direction="read", system_device="nvme0n1"}`]: 10,
    [`container_disk_io_bytes_total{${who}, disk_io_direction="write", system_device="nvme0n1"}`]: 20,
    [`container_disk_operations_total{${who}, disk_io_direction="read", system_device="nvme0n1"}`]: 1,
    [`container_disk_operations_total{${who}, disk_io_direction="write", system_device="nvme0n1"}`]: 2,
  })
  for (const series of Object.keys(all)) expect(containerMetrics).toHaveProperty(series.split('{')[0]!)
  expect(sink.samples().every((s) => s.series.includes('job="containers"'))).toBe(true)
  await receiver.drain()
})

test('nobody is counted twice; what goes ends, what is lifted ends', async () => {
  const { root, look, receiver } = started()
  const pod = `kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${uid.replaceAll('-', '_')}.slice`
  cgroup(root, pod)
  cgroup(root, `${pod}/cri-containerd-${id(1)}.scope`)
  cgroup(root, 'system.slice/nginx.service')
  // A service that holds a container is not told beside it.
  cgroup(root, 'user.slice/user-1000.slice/user@1000.service')
  cgroup(root, `user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id(2)}.scope`)
  cgroup(root, `user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id(2)}.scope/container`)
  cgroup(root, `user.slice/user-1000.slice/user@1000.service/user.slice/libpod-conmon-${id(2)}.scope`)
  const users = (all: Record<string, number | 'stale'>, value: number | 'stale'): string[] =>
    Object.entries(all)
      .filter(([s, v]) => s.startsWith('container_memory_usage_bytes') && v === value)
      .map(([s]) => s.slice('container_memory_usage_bytes'.length))
      .sort()
  const first = await look()
  expect(users(first, 1_000_000)).toEqual([
    `{container_id="${id(1)}", container_runtime_name="containerd", k8s_pod_uid="${uid}"}`,
    `{container_id="${id(2)}", container_runtime_name="podman"}`,
    '{systemd_unit="nginx.service"}',
  ])
  rmSync(join(root, 'user.slice'), { recursive: true })
  cgroup(root, 'system.slice/nginx.service', { 'memory.max': 'max\n' })
  const second = await look()
  expect(users(second, 'stale')).toEqual([`{container_id="${id(2)}", container_runtime_name="podman"}`])
  expect(
    Object.entries(second)
      .filter(([s, v]) => s.includes('nginx') && v === 'stale')
      .map(([s]) => s.split('{')[0]),
  ).toEqual(['container_memory_limit_bytes', 'container_memory_available_bytes'])
  expect(Object.values(await look())).not.toContain('stale')
  await receiver.drain()
})

test('containers of Kubernetes have their names from the log files, also when those come late', async () => {
  const { dir, root, look, receiver } = started()
  cgroup(root, `kubepods/burstable/pod${uid}/${id(7)}`)
  const named = (all: Record<string, number | 'stale'>, value: number | 'stale'): string[] =>
    Object.entries(all)
      .filter(([s, v]) => s.startsWith('container_process_count') && v === value)
      .map(([s]) => s)
  const nameless = `container_process_count{container_id="${id(7)}", k8s_pod_uid="${uid}"}`
  expect(named(await look(), 12)).toEqual([nameless])
  write(join(dir, 'logs', `research-x_agents_agent-${id(7)}.log`), '')
  const second = await look()
  expect(named(second, 'stale')).toEqual([nameless])
  expect(named(second, 12)).toEqual([
    `container_process_count{container_id="${id(7)}", k8s_container_name="agent", k8s_namespace_name="agents", k8s_pod_name="research-x", k8s_pod_uid="${uid}"}`,
  ])
  await receiver.drain()
})

test('controllers that are off leave their series out; a bound is kept and said; hundreds are one batch', async () => {
  const { root, look, receiver, metrics } = started({ max: 300, services: false })
  for (let i = 0; i < 310; i++) {
    const path = `system.slice/docker-${id(i)}.scope`
    if (i % 2) cgroup(root, path)
    else write(join(root, path, 'cpu.stat'), 'usage_usec 1000000\nuser_usec 600000\nsystem_usec 400000\n')
  }
  cgroup(root, 'init.scope')
  const all = await look()
  expect(new Set(Object.keys(all).map((s) => /container_id="([^"]*)"/.exec(s)?.[1])).size).toBe(300)
  expect([
    metrics.values.get('airboss_containers{}'),
    metrics.values.get('airboss_containers_left_out{}'),
  ]).toEqual([300, 10])
  await receiver.drain()
})

test('where cgroup version 2 is not mounted nothing is looked at; this machine is read as it is', async () => {
  const none = started()
  rmSync(join(none.root, 'cgroup.controllers'))
  await none.receiver.start()
  await none.receiver.drain()
  expect(none.sink.batches).toEqual([])
  for (const root of ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']) {
    const reader = createCgroupReader(root)
    if (!reader.mounted()) continue
    const { groups, problems } = await reader.find(1000)
    expect(problems).toEqual([])
    await reader.read(groups, (_, reading) =>
      expect(reading.cpu?.get('usage_usec')).toBeGreaterThanOrEqual(0),
    )
  }
})
