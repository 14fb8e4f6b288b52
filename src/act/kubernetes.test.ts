import { expect, onTestFinished, test } from 'vitest'
import { type FakeKubernetes, startFakeKubernetes } from '../../test/kit/fake-kubernetes.ts'
import type { Json } from '../../test/kit/fake-kubernetes-status.ts'
import { deploymentOf, replicaSetOf } from '../../test/kit/kubernetes-objects.ts'
import { fakeMetrics } from '../../test/kit/metrics.ts'
import { systemClock } from '../lib/clock.ts'
import { createHttp } from '../lib/http.ts'
import { openKubernetes } from '../lib/kubernetes.ts'
import { silentLogger } from '../lib/log.ts'
import { duration } from '../lib/time.ts'
import type { Action } from '../model/decision.ts'
import type { Actuator } from '../model/ports/actuator.ts'
import { createKubernetesActuator } from './kubernetes.ts'

const by = { id: 'system:scale', kind: 'system' } as const
const signal = new AbortController().signal

const started = async (config: object = {}): Promise<{ fake: FakeKubernetes; actuator: Actuator }> => {
  const fake = await startFakeKubernetes()
  const api = await openKubernetes(
    { api_server: fake.url, tls_config: { insecure_skip_verify: false } },
    { http: createHttp, env: {} },
  )
  onTestFinished(async () => {
    await api.close()
    await fake.close()
  })
  const actuator = createKubernetesActuator({
    api: async () => api,
    config: { timeout: duration(2000), give_up_after: duration(60_000), ...config },
    // Waits between attempts take no time here.
    clock: { ...systemClock, sleep: async () => {} },
    log: silentLogger(),
    metrics: fakeMetrics(),
  })
  return { fake, actuator }
}

let made = 0
const action = (kind: Action['kind'], params: Action['params'], id = `a-${++made}`): Action => ({
  id,
  kind,
  subject: 'research',
  params: { workload: 'Deployment/agents/research', ...params },
  reason: 'load rose',
  causes: [],
  actuator: 'kubernetes',
})
const research = (fake: FakeKubernetes): Json => fake.get('deployments', 'research', 'agents')
const imageOf = (fake: FakeKubernetes): string => research(fake).spec.template.spec.containers[0].image

test('scales once, says who and why, and does nothing the second time', async () => {
  const { fake, actuator } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  const scale = action('scale', { from: 3, replicas: 5 })
  expect(await actuator.act(scale, by, signal)).toEqual({
    outcome: 'done',
    detail: 'Deployment agents/research scaled from 3 to 5 replicas',
  })
  expect(research(fake).spec.replicas).toBe(5)
  expect(research(fake).metadata.annotations).toMatchObject({
    'airboss.dev/action-id': scale.id,
    'kubernetes.io/change-cause': 'system:scale: load rose',
  })
  expect(research(fake).metadata.managedFields.map((m: Json) => m.manager)).toContain('airboss')
  // A person changes it; the same action again leaves that alone.
  const body = research(fake)
  body.spec.replicas = 9
  fake.put(body)
  const writes = fake.writes().length
  expect(await actuator.act(scale, by, signal)).toMatchObject({ outcome: 'done' })
  expect([research(fake).spec.replicas, fake.writes().length]).toEqual([9, writes])
})

test('a conflict is read anew and tried again; one that never ends fails, retryable', async () => {
  const { fake, actuator } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  let times = 1
  fake.fault = ({ verb, resource }) => {
    if (verb === 'update' && resource === 'deployments/scale' && times-- > 0) {
      const body = research(fake)
      body.metadata.labels['touched'] = String(times)
      fake.put(body)
    }
    return null
  }
  const puts = (): number => fake.writes().filter((a) => a.verb === 'update').length
  expect(await actuator.act(action('scale', { replicas: 4 }), by, signal)).toMatchObject({ outcome: 'done' })
  expect([research(fake).spec.replicas, puts()]).toEqual([4, 2])
  times = 100
  expect(await actuator.act(action('scale', { replicas: 6 }), by, signal)).toMatchObject({
    outcome: 'failed',
    retryable: true,
    why: expect.stringMatching(/tried 8 times and was overtaken each time.*409/),
  })
  expect(research(fake).spec.replicas).toBe(4)
})

test('a lost answer is no second change; 429 and 5xx are waited for; silence ends in time', async () => {
  const { fake, actuator } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  fake.failNext((a) => a.verb === 'update', 'lose')
  fake.failNext((a) => a.verb === 'get', { status: 503 }, 2)
  fake.failNext((a) => a.verb === 'patch', { status: 429, headers: { 'retry-after': '1' } })
  expect(await actuator.act(action('scale', { replicas: 4 }), by, signal)).toMatchObject({ outcome: 'done' })
  const changes = fake.store.changes.filter(
    (c) => c.before?.spec?.replicas === 3 && c.object.spec.replicas === 4,
  )
  expect([changes.length, research(fake).spec.replicas]).toEqual([1, 4])

  const hasty = await started({ timeout: duration(50), give_up_after: duration(1) })
  hasty.fake.put(deploymentOf('research', '1.0.0', 3))
  hasty.fake.fault = () => 'hang'
  expect(await hasty.actuator.act(action('scale', { replicas: 4 }), by, signal)).toMatchObject({
    outcome: 'failed',
    retryable: true,
  })
})

test.each([
  [401, true, /check the token/],
  [403, false, /bind the ClusterRole/],
  [404, false, /correct workload/],
  [422, false, /422/],
  [400, false, /400/],
] as const)('%d is final for this attempt; retryable: %s', async (status, retryable, why) => {
  const { fake, actuator } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  fake.fault = () => ({ status })
  expect(await actuator.act(action('scale', { replicas: 4 }), by, signal)).toMatchObject({
    outcome: 'failed',
    retryable,
    why: expect.stringMatching(why),
  })
  expect(fake.asked).toHaveLength(1)
})

test('without the right to annotate, the scaling still counts', async () => {
  const { fake, actuator } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  fake.forbid = ({ verb }) => verb === 'patch'
  expect(await actuator.act(action('scale', { replicas: 4 }), by, signal)).toMatchObject({
    outcome: 'done',
    detail: expect.stringMatching(/scaled from 3 to 4.*not annotated.*cannot patch/),
  })
})

const rollback = (params: Action['params'] = {}): Action =>
  action('rollback', { version: '2.0.0', from: '2.0.0', to: '1.0.0', ...params })

test('rolls back as kubectl does, to the revision of the version asked for, under the version that was read', async () => {
  const { fake, actuator } = await started()
  const d = fake.put(deploymentOf('research', '2.0.0', 3))
  fake.put(replicaSetOf(d, '0.9.0', 1, 0))
  fake.put(replicaSetOf(d, '1.0.0', 2, 0))
  fake.put(replicaSetOf(d, '1.1.0', 3, 0))
  fake.put(replicaSetOf(d, '2.0.0', 4, 3))
  fake.put(replicaSetOf({ metadata: { ...d.metadata, uid: 'other', name: 'other' } }, '1.0.0', 9, 0))
  const undo = rollback()
  expect(await actuator.rehearse?.(undo, by, signal)).toBe(
    'the cluster would take it: Deployment agents/research rolled back to revision 2 (1.0.0)',
  )
  expect(imageOf(fake)).toMatch(/:2.0.0$/)
  expect(await actuator.act(undo, by, signal)).toMatchObject({
    outcome: 'done',
    detail: expect.stringMatching(/revision 2/),
  })
  expect(imageOf(fake)).toBe('registry.example.com/research:1.0.0')
  expect(research(fake).spec.template.metadata.labels).not.toHaveProperty('pod-template-hash')
  expect(research(fake).spec.replicas).toBe(3)
  // Once more under another id: it runs already.
  expect(await actuator.act(rollback(), by, signal)).toMatchObject({
    outcome: 'done',
    detail: expect.stringMatching(/already/),
  })
  expect(fake.writes().filter((w) => !w.query.has('dryRun'))).toHaveLength(1)
})

test('does not undo what somebody else has done since, nor what is paused or forgotten', async () => {
  const { fake, actuator } = await started()
  const d = fake.put(deploymentOf('research', '3.0.0', 3))
  fake.put(replicaSetOf(d, '1.0.0', 1, 0))
  const why = async (): Promise<string> => {
    const outcome = await actuator.act(rollback(), by, signal)
    expect(outcome).toMatchObject({ outcome: 'failed', retryable: false })
    return outcome.outcome === 'failed' ? outcome.why : ''
  }
  expect(await why()).toMatch(/runs 3.0.0 by now, not 2.0.0/)
  fake.put(deploymentOf('research', '2.0.0', 3, { spec: { paused: true } }))
  expect(await why()).toMatch(/is paused/)
  fake.put(deploymentOf('research', '2.0.0', 3))
  fake.remove('replicasets', 'research-5d8f1', 'agents')
  expect(await why()).toMatch(/keeps no revision of 1.0.0/)
  expect(fake.writes()).toEqual([])
})

test('sets the image of one container, and takes the canary beside it away', async () => {
  const { fake, actuator } = await started()
  const sidecar = { name: 'proxy', image: 'proxy:7' }
  const d = deploymentOf('research', '1.0.0', 3)
  d.spec.template.spec.containers.push(sidecar)
  fake.put(d)
  fake.put(deploymentOf('research-canary', '2.0.0', 1))
  const params = { image: 'registry.example.com/research:2.0.0', to: '2.0.0', canary: 'research-canary' }
  expect(await actuator.act(action('promote', params), by, signal)).toMatchObject({
    outcome: 'failed',
    why: expect.stringMatching(/has the containers agent, proxy; say which/),
  })
  const promote = action('promote', { ...params, container: 'agent' })
  expect(await actuator.act(promote, by, signal)).toMatchObject({ outcome: 'done' })
  expect(research(fake).spec.template.spec.containers).toMatchObject([
    { name: 'agent', image: 'registry.example.com/research:2.0.0', resources: { limits: { cpu: '1' } } },
    sidecar,
  ])
  expect(research(fake).spec.template.metadata.labels['app.kubernetes.io/version']).toBe('2.0.0')
  expect(fake.get('deployments', 'research-canary', 'agents').spec.replicas).toBe(0)
  const version = fake.store.version
  expect(await actuator.act(promote, by, signal)).toMatchObject({ outcome: 'done' })
  expect(fake.store.version).toBe(version)
  // A rollback only takes the canary away: the old version was never touched.
  fake.put(deploymentOf('research-canary', '2.0.0', 1))
  await actuator.act(rollback({ canary: 'research-canary' }), by, signal)
  expect(fake.get('deployments', 'research-canary', 'agents').spec.replicas).toBe(0)
})

test('restarts with a model; refuses what is no business of a cluster', async () => {
  const { fake, actuator } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  expect(await actuator.act(action('model', { model: 'm-2' }), by, signal)).toMatchObject({ outcome: 'done' })
  expect(research(fake).spec.template.metadata.annotations).toMatchObject({
    'airboss.dev/model': 'm-2',
    'kubectl.kubernetes.io/restartedAt': expect.stringMatching(/Z$/),
  })
  for (const [bad, why] of [
    [action('budget', {}), /send it to a webhook/],
    [action('scale', { workload: 'x' }), /written as Deployment\/namespace\/name/],
    [{ ...action('scale', {}), params: { replicas: 1 } }, /names no workload/],
  ] as const)
    expect(await actuator.act(bad, by, signal)).toMatchObject({
      outcome: 'failed',
      retryable: false,
      why: expect.stringMatching(why),
    })
})

test('a rehearsal has the server check it, and says what it would refuse', async () => {
  const { fake, actuator } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  const scale = action('scale', { replicas: 4 })
  expect(await actuator.rehearse?.(scale, by, signal)).toMatch(/^the cluster would take it: .* from 3 to 4/)
  expect(fake.writes().map((w) => w.query.get('dryRun'))).toEqual(['All', 'All'])
  expect(research(fake).spec.replicas).toBe(3)
  fake.forbid = ({ resource }) => resource === 'deployments/scale'
  expect(await actuator.rehearse?.(scale, by, signal)).toMatch(/would not take it: .*403/)
})
