import { expect, test } from 'vitest'
import { identityOf, isHelper, readCpuMax, readIoStat, readKeyed, readLogName, readNumber } from './decode.ts'

const id = 'a1b2'.repeat(16)
const uid = '0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0'
const under = uid.replaceAll('-', '_')

test.each([
  ['docker, systemd', `/system.slice/docker-${id}.scope`, { runtime: 'docker' }],
  ['docker, cgroupfs', `/docker/${id}`, { runtime: 'docker' }],
  [
    'containerd in a pod, systemd',
    `/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod${under}.slice/cri-containerd-${id}.scope`,
    { runtime: 'containerd', podUid: uid },
  ],
  [
    'containerd in a guaranteed pod',
    `/kubepods.slice/kubepods-pod${under}.slice/cri-containerd-${id}.scope`,
    { runtime: 'containerd', podUid: uid },
  ],
  ['a pod, cgroupfs', `/kubepods/besteffort/pod${uid}/${id}`, { runtime: '', podUid: uid }],
  [
    'a static pod',
    `/kubepods/burstable/pod${'ab'.repeat(16)}/${id}`,
    { runtime: '', podUid: 'ab'.repeat(16) },
  ],
  [
    'kind',
    `/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/kubelet-kubepods-besteffort-pod${under}.slice/cri-containerd-${id}.scope`,
    { runtime: 'containerd', podUid: uid },
  ],
  ['CRI-O', `/kubepods.slice/kubepods-pod${under}.slice/crio-${id}.scope`, { runtime: 'cri-o', podUid: uid }],
  ['CRI-O, cgroupfs', `/kubepods/pod${uid}/crio-${id}`, { runtime: 'cri-o', podUid: uid }],
  ['podman, root', `/machine.slice/libpod-${id}.scope`, { runtime: 'podman' }],
  [
    'podman, a user',
    `/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-${id}.scope`,
    { runtime: 'podman' },
  ],
  ['podman, cgroupfs', `/libpod_parent/libpod-${id}`, { runtime: 'podman' }],
  ['nerdctl', `/system.slice/nerdctl-${id}.scope`, { runtime: 'containerd' }],
  ['containerd, cgroupfs', `/default/${id}`, { runtime: 'containerd' }],
] as const)('%s', (_, path, expected) => {
  expect(identityOf(path)).toEqual({ ...{ containerId: id, podUid: '', unit: '' }, ...expected })
})

test('services are known by their unit; slices and scopes of sessions are nobody', () => {
  expect(identityOf('/system.slice/nginx.service')).toMatchObject({ unit: 'nginx.service', containerId: '' })
  for (const path of [
    '/',
    '/system.slice',
    `/kubepods.slice/kubepods-pod${under}.slice`,
    '/user.slice/user-0.slice/session-1.scope',
    `/docker/${id.slice(1)}`,
  ])
    expect(identityOf(path)).toBeNull()
  expect([
    isHelper(`crio-conmon-${id}.scope`),
    isHelper(`libpod-conmon-${id}.scope`),
    isHelper(`crio-${id}.scope`),
  ]).toEqual([true, true, false])
})

test('the small files', () => {
  expect(readKeyed('usage_usec 5\nuser_usec 3\n')).toEqual(
    new Map([
      ['usage_usec', 5],
      ['user_usec', 3],
    ]),
  )
  expect([readNumber('12\n'), readNumber('max\n'), readNumber('')]).toEqual([12, null, null])
  expect([readCpuMax('150000 100000\n'), readCpuMax('max 100000\n'), readCpuMax('')]).toEqual([
    1.5,
    null,
    null,
  ])
  expect(readIoStat('259:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n8:16 \n')).toEqual([
    { device: '259:0', readBytes: 10, writtenBytes: 20, reads: 1, writes: 2 },
    { device: '8:16', readBytes: 0, writtenBytes: 0, reads: 0, writes: 0 },
  ])
  expect(readLogName(`research-7d-x_agents_agent-${id}.log`)).toEqual({
    pod: 'research-7d-x',
    namespace: 'agents',
    container: 'agent',
    id,
  })
  expect(readLogName('x.log')).toBeNull()
})
