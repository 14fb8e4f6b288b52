// The fake Kubernetes API server, as the official client sees it: what tests rely on must hold.

import * as client from '@kubernetes/client-node'
import { type AppsV1Api, type CoreV1Api, KubeConfig, Watch } from '@kubernetes/client-node'
import { expect, onTestFinished, test } from 'vitest'
import {
  type FakeKubernetes,
  type FakeKubernetesOptions,
  startFakeKubernetes,
} from '../kit/fake-kubernetes.ts'
import type { Json } from '../kit/fake-kubernetes-status.ts'
import { deploymentOf, nodeOf, podOf, replicaSetOf } from '../kit/kubernetes-objects.ts'
import { until } from '../kit/until.ts'

const started = async (
  options: FakeKubernetesOptions = {},
  auth: Parameters<FakeKubernetes['kubeconfig']>[0] = 'none',
): Promise<{ fake: FakeKubernetes; config: KubeConfig; core: CoreV1Api; apps: AppsV1Api }> => {
  const fake = await startFakeKubernetes(options)
  onTestFinished(() => fake.close())
  const config = new KubeConfig()
  config.loadFromString(fake.kubeconfig(auth))
  return {
    fake,
    config,
    core: config.makeApiClient(client.CoreV1Api),
    apps: config.makeApiClient(client.AppsV1Api),
  }
}

const codeOf = (run: Promise<unknown>): Promise<number> =>
  run.then(
    () => 200,
    (e: { code: number }) => e.code,
  )

test('objects are checked against the schema, and get what a server gives them', async () => {
  const { fake, apps } = await started()
  fake.put(nodeOf('node-1'))
  const deployment = fake.put(deploymentOf('research', '1.0.0', 3))
  fake.put(replicaSetOf(deployment, '1.0.0', 1, 3))
  fake.put(podOf('research-1', 'research', '1.0.0'))
  expect(deployment.metadata).toMatchObject({
    generation: 1,
    resourceVersion: expect.stringMatching(/^\d+$/),
  })
  const body = deploymentOf('other', '1.0.0', 1)
  expect(await codeOf(apps.createNamespacedDeployment({ namespace: 'agents', body }))).toBe(200)
  expect(await codeOf(apps.createNamespacedDeployment({ namespace: 'agents', body }))).toBe(409)
  expect(
    await codeOf(
      apps.createNamespacedDeployment({ namespace: 'nowhere', body: { ...body, metadata: { name: 'x' } } }),
    ),
  ).toBe(404)
  const wrong = { ...body, metadata: { name: 'wrong' }, spec: { ...body.spec, replicas: 'three' } }
  expect(await codeOf(apps.createNamespacedDeployment({ namespace: 'agents', body: wrong }))).toBe(400)
  const negative = { ...body, metadata: { name: 'wrong' }, spec: { ...body.spec, replicas: -1 } }
  expect(await codeOf(apps.createNamespacedDeployment({ namespace: 'agents', body: negative }))).toBe(422)
})

test('a stale resourceVersion is a conflict; scale, dry run and patches change what they should', async () => {
  const { fake, apps } = await started()
  fake.put(deploymentOf('research', '1.0.0', 3))
  const at = { name: 'research', namespace: 'agents' }
  const scale = await apps.readNamespacedDeploymentScale(at)
  const body = { ...scale, spec: { replicas: 5 } }
  await apps.replaceNamespacedDeploymentScale({ ...at, body, dryRun: 'All' })
  expect(fake.get('deployments', 'research', 'agents').spec.replicas).toBe(3)
  await apps.replaceNamespacedDeploymentScale({ ...at, body })
  const now = fake.get('deployments', 'research', 'agents')
  expect([now.spec.replicas, now.metadata.generation, now.status.replicas]).toEqual([5, 2, 3])
  expect(await codeOf(apps.replaceNamespacedDeploymentScale({ ...at, body }))).toBe(409)
  const strategic = client.setHeaderOptions('Content-Type', client.PatchStrategy.StrategicMergePatch)
  const image = { spec: { template: { spec: { containers: [{ name: 'agent', image: 'x:2' }] } } } }
  await apps.patchNamespacedDeployment({ ...at, body: image, fieldManager: 'airboss' }, strategic)
  const [container] = fake.get('deployments', 'research', 'agents').spec.template.spec.containers
  expect(container).toMatchObject({ name: 'agent', image: 'x:2', resources: { limits: { cpu: '1' } } })
  const test = [{ op: 'test', path: '/spec/replicas', value: 9 }]
  expect(await codeOf(apps.patchNamespacedDeployment({ ...at, body: test }))).toBe(422)
  const version = fake.store.version
  await apps.patchNamespacedDeployment({ ...at, body: [{ op: 'replace', path: '/spec/replicas', value: 5 }] })
  expect(fake.store.version).toBe(version)
  const managers = fake.get('deployments', 'research', 'agents').metadata.managedFields
  expect(managers.map((m: Json) => m.manager)).toContain('airboss')
})

test('lists come in pages of one moment, by selectors, and a forgotten page is 410', async () => {
  const { fake, core } = await started()
  for (let i = 0; i < 5; i++)
    fake.put(podOf(`p-${i}`, i % 2 ? 'odd' : 'even', '1.0.0', { spec: { nodeName: `n-${i}` } }))
  const first = await core.listPodForAllNamespaces({ limit: 2 })
  expect(first.metadata?.remainingItemCount).toBe(3)
  fake.put(podOf('a-new', 'even', '1.0.0'))
  const names = async (_continue: string | undefined): Promise<string[]> => {
    const page = await core.listPodForAllNamespaces({ limit: 2, ...(_continue ? { _continue } : {}) })
    const rest = page.metadata?._continue ? await names(page.metadata._continue) : []
    return [...page.items.map((p) => p.metadata?.name ?? ''), ...rest]
  }
  expect(await names(first.metadata?._continue)).toEqual(['p-2', 'p-3', 'p-4'])
  fake.store.compact()
  expect(await codeOf(names(first.metadata?._continue))).toBe(410)
  const of = async (query: object): Promise<string[]> =>
    (await core.listPodForAllNamespaces(query)).items.map((p) => p.metadata?.name ?? '')
  expect(await of({ labelSelector: 'app.kubernetes.io/name in (odd, x)' })).toEqual(['p-1', 'p-3'])
  expect(await of({ fieldSelector: 'spec.nodeName=n-2' })).toEqual(['p-2'])
  expect(await codeOf(of({ fieldSelector: 'spec.bogus=1' }))).toBe(400)
})

test('watches tell what changes, through selectors; bookmarks, 410 and ends come on demand', async () => {
  const { fake, config, core } = await started()
  fake.put(podOf('p-1', 'a', '1.0.0'))
  const version = (await core.listPodForAllNamespaces()).metadata?.resourceVersion
  const seen: string[] = []
  let ends = 0
  const path = '/api/v1/pods'
  const open = (more: object = {}) =>
    new Watch(config).watch(
      path,
      { resourceVersion: version, allowWatchBookmarks: true, ...more },
      (type, object) => seen.push(`${type} ${object.metadata?.name ?? object.code ?? ''}`.trim()),
      () => ends++,
    )
  await open({ labelSelector: 'app.kubernetes.io/name=a' })
  await until('the watch', () => fake.watches.count('pods') === 1)
  fake.put(podOf('p-2', 'a', '1.0.0'))
  fake.put(podOf('p-2', 'b', '1.0.0'))
  fake.remove('pods', 'p-1', 'agents')
  fake.watches.bookmark()
  await until('the events', () => seen.length === 4)
  expect(seen).toEqual(['ADDED p-2', 'DELETED p-2', 'DELETED p-1', 'BOOKMARK'])
  fake.watches.expire()
  await until('its end', () => ends === 1)
  expect(seen.at(-1)).toBe('ERROR 410')
  fake.store.compact()
  seen.length = 0
  await open()
  await until('the error', () => seen.length === 1 && ends === 2)
  expect(seen).toEqual(['ERROR 410'])
})

test('who may come in, over HTTPS: tokens, certificates, rights; and a server that goes away', async () => {
  const { fake, config, core } = await started(
    { https: true, tokens: { good: 'airboss' } },
    { token: 'good' },
  )
  expect(await codeOf(core.listNode())).toBe(200)
  fake.forbid = ({ resource }) => resource === 'nodes'
  expect(await codeOf(core.listNode())).toBe(403)
  config.loadFromString(fake.kubeconfig({ token: 'bad' }))
  expect(await codeOf(config.makeApiClient(client.CoreV1Api).listPodForAllNamespaces())).toBe(401)
  config.loadFromString(fake.kubeconfig('certificate'))
  expect(await codeOf(config.makeApiClient(client.CoreV1Api).listPodForAllNamespaces())).toBe(200)
  expect(fake.asked.at(-1)?.user).toBe('fake-kubernetes-client')
  await fake.down()
  await expect(config.makeApiClient(client.CoreV1Api).listPodForAllNamespaces()).rejects.toThrow()
  await fake.up()
  expect(await codeOf(config.makeApiClient(client.CoreV1Api).listPodForAllNamespaces())).toBe(200)
  fake.failNext((a) => a.verb === 'list', { status: 429, headers: { 'retry-after': '1' } })
  expect(await codeOf(config.makeApiClient(client.CoreV1Api).listPodForAllNamespaces())).toBe(429)
})
