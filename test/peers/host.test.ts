import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { minute } from '../../src/lib/time.ts'
import { defaultAdmission } from '../../src/model/batch-builder.ts'
import { SeriesTable } from '../../src/model/series.ts'
import { createHostReceiver } from '../../src/receive/host/receiver.ts'
import { CollectingSink } from '../kit/collecting-sink.ts'
import { fakeMetrics } from '../kit/metrics.ts'

const peer = 'prometheus-node-exporter'
const there = ((): boolean => {
  try {
    execFileSync('which', [peer], { stdio: 'ignore' })
    return true
  } catch {
    process.stderr.write(`SKIPPED: ${peer} is not installed; host metrics are not compared with it\n`)
    return false
  }
})()

let child: ChildProcess
let url = ''
const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })

beforeAll(async () => {
  if (!there) return
  const port = await freePort()
  url = `http://127.0.0.1:${port}/metrics`
  child = spawn(peer, [`--web.listen-address=127.0.0.1:${port}`], { stdio: 'ignore' })
  for (let i = 0; i < 200; i++) {
    if (
      await fetch(url).then(
        (r) => r.ok,
        () => false,
      )
    )
      return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`${peer} did not answer`)
})
afterAll(() => void child?.kill())

const peerValues = async (): Promise<Map<string, number>> => {
  const lines = (await (await fetch(url)).text()).split('\n').filter((l) => l !== '' && !l.startsWith('#'))
  return new Map(lines.map((l) => [l.slice(0, l.lastIndexOf(' ')), Number(l.slice(l.lastIndexOf(' ') + 1))]))
}
const ours = async (): Promise<Map<string, number>> => {
  const table = new SeriesTable(10_000)
  const sink = new CollectingSink(table)
  const host = createHostReceiver({
    interval: minute,
    table,
    sink,
    limits: defaultAdmission,
    clock: systemClock,
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  await host.start()
  await host.drain()
  return new Map(
    sink.samples().map((s) => [s.series.replace(/instance="[^"]*", job="host"(, )?/, ''), Number(s.value)]),
  )
}
type Found = Partial<
  Record<
    | 'device'
    | 'mountpoint'
    | 'system_device'
    | 'network_interface_name'
    | 'network_io_direction'
    | 'cpu_logical_number'
    | 'cpu_mode'
    | 'disk_io_direction'
    | 'system_filesystem_type'
    | 'system_filesystem_mountpoint',
    string
  >
>
const modes: Record<string, string> = { interrupt: 'irq' }

test.runIf(there)(
  'CPU, memory, disks, filesystems, network and load lie between two looks of node_exporter',
  async () => {
    const before = await peerValues()
    const mine = await ours()
    const after = await peerValues()
    let compared = 0
    const between = (value: number | undefined, name: string, slack = 0): void => {
      const [a, b] = [before.get(name), after.get(name)]
      if (a === undefined || b === undefined || value === undefined) return
      compared++
      expect(value, name).toBeGreaterThanOrEqual(Math.min(a, b) - slack - 1e-6)
      expect(value, name).toBeLessThanOrEqual(Math.max(a, b) + slack + 1e-6)
    }
    const labelsIn = (series: string): Found =>
      Object.fromEntries([...series.matchAll(/(\w+)="([^"]*)"/g)].map((m) => [m[1]!, m[2]!]))
    for (const [series, value] of mine) {
      const l = labelsIn(series)
      const name = series.split('{')[0]
      const device = l.system_device ?? l.network_interface_name
      const way = l.network_io_direction
      if (name === 'system_cpu_time_seconds_total')
        between(
          value,
          `node_cpu_seconds_total{cpu="${l.cpu_logical_number}",mode="${modes[l.cpu_mode!] ?? l.cpu_mode}"}`,
          0.02,
        )
      if (name === 'system_disk_io_bytes_total')
        between(
          value,
          `node_disk_${l.disk_io_direction === 'read' ? 'read' : 'written'}_bytes_total{device="${device}"}`,
        )
      if (name === 'system_disk_operations_total')
        between(
          value,
          `node_disk_${l.disk_io_direction === 'read' ? 'reads' : 'writes'}_completed_total{device="${device}"}`,
        )
      if (name === 'system_disk_io_time_seconds_total')
        between(value, `node_disk_io_time_seconds_total{device="${device}"}`)
      if (name === 'system_network_io_bytes_total')
        between(value, `node_network_${way}_bytes_total{device="${device}"}`)
      if (name === 'system_network_packet_count_total')
        between(value, `node_network_${way}_packets_total{device="${device}"}`)
      if (name === 'system_filesystem_limit_bytes')
        between(
          value,
          `node_filesystem_size_bytes{device="${device}",fstype="${l.system_filesystem_type}",mountpoint="${l.system_filesystem_mountpoint}"}`,
        )
    }
    between(
      mine.get('system_memory_limit_bytes{}') ?? mine.get('system_memory_limit_bytes'),
      'node_memory_MemTotal_bytes',
    )
    between(
      mine.get('system_cpu_load_average_5m{}') ?? mine.get('system_cpu_load_average_5m'),
      'node_load5',
      0.1,
    )
    between(
      mine.get('system_processes_created_total{}') ?? mine.get('system_processes_created_total'),
      'node_forks_total',
    )
    const disks = (name: RegExp, values: Iterable<string>) =>
      new Set(
        [...values].filter((s) => name.test(s)).map((s) => labelsIn(s).device ?? labelsIn(s).system_device),
      )
    // Newer releases leave zram out, the one here may not.
    expect(disks(/^system_disk_io_bytes/, mine.keys())).toEqual(
      disks(/^node_disk_read_bytes_total\{device="(?!zram)/, before.keys()),
    )
    const mounts = (name: RegExp, values: Iterable<string>) => [
      ...new Set(
        [...values]
          .filter((s) => name.test(s))
          .map((s) => labelsIn(s).mountpoint ?? labelsIn(s).system_filesystem_mountpoint),
      ),
    ]
    const theirs = mounts(/^node_filesystem_size_bytes\{.*fstype="(?!tmpfs)/, before.keys())
    expect(mounts(/^system_filesystem_limit_bytes/, mine.keys()).sort()).toEqual(theirs.sort())
    expect(compared).toBeGreaterThan(20)
  },
)
