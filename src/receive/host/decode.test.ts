import { expect, test } from 'vitest'
import {
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
} from './decode.ts'
import { cpuShares } from './series.ts'

const stat = `cpu  7790 1442 4799 270208 588 0 126 17 0 0
cpu0 3338 689 2076 136301 62 0 31 7 0 0
cpu1 4451 752 2723 133907 525 0 95 9 0 0
intr 1234 0 0
ctxt 99
btime 1700000000
processes 8889
procs_running 3
procs_blocked 1
`

test('/proc/stat: seconds by CPU and mode, forks, boot', () => {
  const read = readStat(stat)
  expect(read).toMatchObject({ forks: 8889, running: 3, blocked: 1, bootTime: 1_700_000_000 })
  expect(read.cpus).toHaveLength(2)
  expect(read.cpus[1]).toEqual({
    cpu: 1,
    seconds: {
      user: 44.51,
      nice: 7.52,
      system: 27.23,
      idle: 1339.07,
      iowait: 5.25,
      interrupt: 0,
      softirq: 0.95,
      steal: 0.09,
    },
  })
})

test('shares of CPU time add up to one, and a counter that steps back counts as standing', () => {
  const before = readStat(stat)
  const now = readStat(stat.replace('cpu0 3338 689 2076 136301 62', 'cpu0 3438 689 2126 136351 60'))
  const shares = cpuShares(before, now)
  expect([...shares.keys()]).toEqual([0])
  expect(shares.get(0)).toMatchObject({ user: 0.5, system: 0.25, idle: 0.25, iowait: 0, nice: 0 })
})

test('/proc/meminfo and /proc/vmstat', () => {
  expect(readMeminfo('MemTotal:       100 kB\nHugePages_Total:       3\n')).toEqual(
    new Map([
      ['MemTotal', 102_400],
      ['HugePages_Total', 3],
    ]),
  )
  expect(readVmstat('pgfault 5\npgmajfault 2\n').get('pgmajfault')).toBe(2)
})

test('/proc/diskstats: sectors of 512 bytes, no loop devices, no partitions', () => {
  const line = (name: string) => `   8       0 ${name} 10 1 200 3000 20 2 400 5000 0 7000 8000 0 0 0 0 0 0\n`
  const read = readDiskstats(
    ['loop0', 'ram1', 'sda', 'sda1', 'nvme0n1', 'nvme0n1p2', 'vda', 'dm-0', 'md0'].map(line).join(''),
  )
  expect(read.map((d) => d.device)).toEqual(['sda', 'nvme0n1', 'vda', 'dm-0', 'md0'])
  expect(read[0]).toEqual({
    device: 'sda',
    reads: 10,
    readBytes: 102_400,
    readSeconds: 3,
    writes: 20,
    writtenBytes: 204_800,
    writeSeconds: 5,
    ioSeconds: 7,
  })
})

test('/proc/self/mountinfo: real filesystems, optional fields, escapes, what is mounted last', () => {
  const read = readMountinfo(`22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard
28 27 8:1 / /mnt/my\\040disk ro,nosuid - xfs /dev/sda1 ro
29 27 0:5 / /tmp rw - tmpfs tmpfs rw
30 27 8:2 / /var/lib/docker/overlay2/x/merged rw - ext4 /dev/sdb rw
31 27 8:3 / /data rw - ext4 /dev/sdc rw
32 27 8:4 / /data rw - btrfs /dev/sdd rw
`)
  expect(read).toEqual([
    { device: '/dev/vda', mountpoint: '/', type: 'ext4', mode: 'rw' },
    { device: '/dev/sda1', mountpoint: '/mnt/my disk', type: 'xfs', mode: 'ro' },
    { device: '/dev/sdd', mountpoint: '/data', type: 'btrfs', mode: 'rw' },
  ])
})

test('/proc/net/dev, also where the name touches the number', () => {
  const read = readNetDev(`Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    3193      29    0    0    0     0          0         0     3194      30    0    0    0     0       0          0
eth0.1:1 2 3 4 0 0 0 0 5 6 7 8 0 0 0 0
`)
  expect(read).toEqual([
    {
      name: 'lo',
      received: { bytes: 3193, packets: 29, errors: 0, dropped: 0 },
      sent: { bytes: 3194, packets: 30, errors: 0, dropped: 0 },
    },
    {
      name: 'eth0.1',
      received: { bytes: 1, packets: 2, errors: 3, dropped: 4 },
      sent: { bytes: 5, packets: 6, errors: 7, dropped: 8 },
    },
  ])
})

test('the small files', () => {
  expect(readLoadavg('0.86 0.37 0.15 3/109 8889\n')).toEqual([0.86, 0.37, 0.15])
  expect(readUptime('1234.56 2000.00\n')).toBe(1234.56)
  expect(readProcessState('12 (a) b (R) S 1 12')).toBe('S')
  expect(readProcessState('')).toBe('')
  expect(readSwaps('Filename Type Size Used Priority\n/dev/sda2 partition 100 40 -2\n')).toEqual([
    { device: '/dev/sda2', size: 102_400, used: 40_960 },
  ])
  expect(
    readCores(
      'processor: 0\nphysical id\t: 0\ncore id\t: 0\nprocessor: 1\nphysical id\t: 0\ncore id\t: 0\nphysical id: 1\ncore id: 0\n',
    ),
  ).toBe(2)
})
