import { expect, onTestFinished, test } from 'vitest'
import { FakeClock, settle } from '../../../test/kit/clock.ts'
import { CollectingSink } from '../../../test/kit/collecting-sink.ts'
import {
  type FakeKubernetes,
  type FakeKubernetesOptions,
  startFakeKubernetes,
} from '../../../test/kit/fake-kubernetes.ts'
import { deploymentOf, nodeOf, ownedBy, podOf, replicaSetOf } from '../../../test/kit/kubernetes-objects.ts'
import { fakeMetrics } from '../../../test/kit/metrics.ts'
import { until } from '../../../test/kit/until.ts'
import { createHttp } from '../../lib/http.ts'
import { openKubernetes } from '../../lib/kubernetes.ts'
import { silentLogger } from '../../lib/log.ts'
import { defaultAdmission } from '../../model/batch-builder.ts'
import { SeriesTable } from '../../model/series.ts'
import { kubernetesSchema } from './config.ts'
import { createKubernetesReceiver } from './receiver.ts'

const started = async (config: object = {}, options: FakeKubernetesOptions = {}) => {
  const fake = await startFakeKubernetes(options)
  const clock = new FakeClock()
  const table = new SeriesTable(100_000)
  const sink = new CollectingSink(table)
  const metrics = fakeMetrics()
  const settings = kubernetesSchema({}).parse({ api_server: fake.url, ...config })
  const api = await openKubernetes(settings, { http: createHttp, env: {} })
  const receiver = createKubernetesReceiver({
    ...{ api: async () => api, config: settings, table, sink, limits: defaultAdmission, clock, metrics },
    log: silentLogger(),
    random: () => 0.5,
  })
  onTestFinished(async () => {
    await receiver.drain()
    await api.close()
    await fake.close()
  })
  /** What the next look writes, by series without job and instance. */
  const look = async (): Promise<Record<string, number | 'stale'>> => {
    const before = sink.batches.length
    await receiver.look(clock.now())
    await settle()
    const batches = sink.batches.slice(before)
    const short = (s: string): string => s.replace(/(instance|job)="[^"]*",? ?/g, '').replace(/, ?}/, '}')
    return Object.fromEntries(
      batches.flatMap((b) => sink.samplesOf(b)).map((s) => [short(s.series), s.value]),
    )
  }
  return { fake, clock, sink, metrics, receiver, look }
}

const watching = (fake: FakeKubernetes, n = 5): Promise<unknown> =>
  until('the watches', () => fake.watches.count() === n)
const podsIn = (all: Record<string, number | 'stale'>, value: number | 'stale' = 1): string[] =>
  Object.entries(all)
    .filter(([s, v]) => s.startsWith('kube_pod_info{') && v === value)
    .map(([s]) => /pod="([^"]*)"/.exec(s)![1]!)
    .sort()

const cluster = (fake: FakeKubernetes): void => {
  fake.put(nodeOf('node-1'))
  const d = fake.put(deploymentOf('research', '1.0.0', 2))
  const rs = fake.put(replicaSetOf(d, '1.0.0', 1, 2))
  const ownerReferences = [ownedBy('ReplicaSet', rs.metadata.name, rs.metadata.uid)]
  fake.put(podOf('research-a', 'research', '1.0.0', { metadata: { uid: 'u-a', ownerReferences } }))
}

test('tells of a cluster as kube-state-metrics does, and ties pods to agents', async () => {
  const { fake, receiver, look } = await started({ labels: { cluster: 'eu' } })
  cluster(fake)
  await receiver.start()
  await watching(fake)
  const all = await look()
  const pod = 'cluster="eu", namespace="agents", pod="research-a"'
  expect(all).toMatchObject({
    [`kube_pod_status_phase{cluster="eu", namespace="agents", phase="Running", pod="research-a", uid="u-a"}`]: 1,
    [`kube_pod_status_phase{cluster="eu", namespace="agents", phase="Failed", pod="research-a", uid="u-a"}`]: 0,
    [`kube_pod_status_ready{cluster="eu", condition="true", namespace="agents", pod="research-a", uid="u-a"}`]: 1,
    [`kube_pod_container_status_restarts_total{cluster="eu", container="agent", namespace="agents", pod="research-a", uid="u-a"}`]: 0,
    [`kube_pod_container_resource_requests{cluster="eu", container="agent", namespace="agents", node="node-1", pod="research-a", resource="cpu", uid="u-a", unit="core"}`]: 0.25,
    [`kube_pod_container_resource_limits{cluster="eu", container="agent", namespace="agents", node="node-1", pod="research-a", resource="memory", uid="u-a", unit="byte"}`]: 536_870_912,
    [`kube_pod_owner{${pod.replace(', pod', ', owner_is_controller="true", owner_kind="ReplicaSet", owner_name="research-5d8f1", pod')}, uid="u-a"}`]: 1,
    'kube_deployment_spec_replicas{cluster="eu", deployment="research", namespace="agents"}': 2,
    'kube_deployment_spec_strategy_rollingupdate_max_surge{cluster="eu", deployment="research", namespace="agents"}': 1,
    'kube_deployment_spec_strategy_rollingupdate_max_unavailable{cluster="eu", deployment="research", namespace="agents"}': 0,
    'kube_deployment_status_condition{cluster="eu", condition="Available", deployment="research", namespace="agents", reason="MinimumReplicasAvailable", status="true"}': 1,
    'kube_replicaset_owner{cluster="eu", namespace="agents", owner_is_controller="true", owner_kind="Deployment", owner_name="research", replicaset="research-5d8f1"}': 1,
    'kube_node_status_allocatable{cluster="eu", node="node-1", resource="cpu", unit="core"}': 3.92,
    'kube_node_status_condition{cluster="eu", condition="Ready", node="node-1", status="true"}': 1,
    'kube_node_status_condition{cluster="eu", condition="DiskPressure", node="node-1", status="unknown"}': 1,
    'kube_node_role{cluster="eu", node="node-1", role="control-plane"}': 1,
    'airboss_agent_pod_info{agent="research", cluster="eu", container="agent", namespace="agents", node="node-1", owner_kind="Deployment", owner_name="research", pod="research-a", uid="u-a", version="1.0.0"}': 1,
    'up{cluster="eu"}': 1,
  })
  expect(receiver.list('research')).toMatchObject([
    { pod: 'research-a', version: '1.0.0', ready: true, ownerKind: 'Deployment', ownerName: 'research' },
  ])
  expect(receiver.list('other')).toEqual([])
})

test('what breaks in a pod is told as it comes, and what is over ends', async () => {
  const { fake, receiver, look } = await started()
  cluster(fake)
  await receiver.start()
  await watching(fake)
  await look()
  const broken = podOf('research-a', 'research', '1.0.0', {
    metadata: { uid: 'u-a' },
    status: {
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [
        {
          ...podOf('x', 'research', '1').status.containerStatuses[0],
          ready: false,
          restartCount: 3,
          state: { waiting: { reason: 'CrashLoopBackOff' } },
          lastState: {
            terminated: { reason: 'OOMKilled', exitCode: 137, finishedAt: '2026-01-01T00:01:00Z' },
          },
        },
      ],
    },
  })
  fake.put(broken)
  await until('the change', () => receiver.list()[0]?.restarts === 3)
  const labels = 'container="agent", namespace="agents", pod="research-a"'
  const all = await look()
  expect(all).toMatchObject({
    [`kube_pod_container_status_waiting_reason{${labels}, reason="CrashLoopBackOff", uid="u-a"}`]: 1,
    [`kube_pod_container_status_last_terminated_reason{${labels}, reason="OOMKilled", uid="u-a"}`]: 1,
    [`kube_pod_container_status_last_terminated_exitcode{${labels}, uid="u-a"}`]: 137,
    [`kube_pod_container_status_restarts_total{${labels}, uid="u-a"}`]: 3,
    [`kube_pod_container_state_started{${labels}, uid="u-a"}`]: 'stale',
  })
  expect(receiver.list()[0]).toMatchObject({ ready: false, reason: 'CrashLoopBackOff' })
  fake.remove('pods', 'research-a', 'agents')
  await until('its end', () => receiver.list().length === 0)
  expect(podsIn(await look(), 'stale')).toEqual(['research-a'])
  expect(podsIn(await look(), 'stale')).toEqual([])
})

test('no pod is lost or doubled over ended watches, broken connections, 410 and pages', async () => {
  const { fake, clock, receiver, look } = await started()
  cluster(fake)
  for (let i = 0; i < 700; i++) fake.put(podOf(`p-${i}`, 'crowd', '1.0.0'))
  await receiver.start()
  await watching(fake)
  expect(podsIn(await look())).toHaveLength(701)
  const names = (): string[] => receiver.list().map((p) => p.pod)
  const turns: readonly (readonly [string, () => void])[] = [
    ['ended', () => fake.watches.close('end')],
    ['broken', () => fake.watches.close('reset')],
    ['too old, in the stream', () => fake.watches.expire()],
    [
      'too old, when it comes back',
      () => {
        fake.watches.close('end')
        fake.put(podOf('between', 'crowd', '1.0.0'))
        fake.remove('pods', 'between', 'agents')
        fake.remove('pods', 'p-1', 'agents')
        fake.store.compact()
      },
    ],
  ]
  for (const [turn, happens] of turns) {
    happens()
    const added = `after-${turn.replaceAll(/[^a-z]+/g, '-')}`
    fake.put(podOf(added, 'crowd', '1.0.0'))
    await until(`the watches after one that ${turn}`, async () => {
      await clock.advance(1000)
      return fake.watches.count() === 5 && names().includes(added)
    })
    const known = names()
    expect([turn, known.length]).toEqual([turn, new Set(known).size])
  }
  const all = await look()
  expect(podsIn(all)).toHaveLength(701 - 1 + turns.length)
  expect(podsIn(all, 'stale')).toEqual(['p-1'])
  expect(podsIn(await look(), 'stale')).toEqual([])
})

test('a page that is forgotten makes it begin again; who may not see nodes still sees pods', async () => {
  const { fake, receiver, look, metrics } = await started()
  for (let i = 0; i < 600; i++) fake.put(podOf(`p-${i}`, 'crowd', '1.0.0'))
  let once = true
  fake.fault = ({ query, resource }) => {
    if (resource === 'pods' && query.has('continue') && once) {
      once = false
      fake.store.compact()
    }
    return null
  }
  fake.forbid = ({ resource }) => resource === 'nodes'
  await receiver.start()
  await watching(fake, 4)
  const all = await look()
  expect([podsIn(all).length, all['up'] ?? all['up{}']]).toEqual([600, 0])
  expect(metrics.values.get('airboss_kubernetes_watch_failures_total{path="/api/v1/nodes"}')).toBeGreaterThan(
    0,
  )
})

test('an API server that is away is looked for; its series end after five minutes, and come back with it', async () => {
  const { fake, clock, receiver, look } = await started()
  cluster(fake)
  await receiver.start()
  await watching(fake)
  expect(podsIn(await look())).toEqual(['research-a'])
  await fake.down()
  await clock.advance(240_000)
  const still = await look()
  expect([podsIn(still), receiver.fresh()]).toEqual([['research-a'], true])
  await clock.advance(61_000)
  const ended = await look()
  expect([podsIn(ended, 'stale'), receiver.fresh()]).toEqual([['research-a'], false])
  expect(Object.entries(ended).find(([s]) => s.startsWith('up'))?.[1]).toBe(0)
  expect(podsIn(await look(), 'stale')).toEqual([])
  await fake.up()
  await until('the watches', async () => {
    await clock.advance(5000)
    return fake.watches.count() === 5
  })
  const back = await look()
  expect([podsIn(back), receiver.fresh()]).toEqual([['research-a'], true])
})

test('a limit of series is kept and said; namespaces can be chosen', async () => {
  const { fake, receiver, look, metrics } = await started({ max_series: 40 })
  cluster(fake)
  await receiver.start()
  await watching(fake)
  expect(Object.keys(await look()).length).toBeLessThanOrEqual(40)
  expect(
    metrics.values.get('airboss_receive_refused_total{protocol="kubernetes",reason="series_limit"}'),
  ).toBeGreaterThan(0)

  const few = await started({ namespaces: ['agents', 'other'] })
  cluster(few.fake)
  few.fake.put(podOf('x', 'x', '1', { metadata: { namespace: 'secret' } }))
  await few.receiver.start()
  await watching(few.fake, 8)
  expect(podsIn(await few.look())).toEqual(['research-a'])
  expect(few.fake.asked.some((a) => a.resource === 'nodes' || a.namespace === '')).toBe(false)
})
