// A story on Kubernetes: the cluster is watched, load rises and a Deployment is scaled, a canary breaks and is undone; each once, through conflicts.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { openLedger } from '../../src/ledger/ledger.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { instant } from '../../src/lib/time.ts'
import { system } from '../../src/model/actor.ts'
import { begin } from '../../src/rollout/strategy.ts'
import { type FakeKubernetes, startFakeKubernetes } from '../kit/fake-kubernetes.ts'
import type { Json } from '../kit/fake-kubernetes-status.ts'
import { deploymentOf, nodeOf, ownedBy, podOf, replicaSetOf } from '../kit/kubernetes-objects.ts'
import { fakeMetrics } from '../kit/metrics.ts'
import { type Product, startProduct } from '../kit/product.ts'
import { until } from '../kit/until.ts'

const quiet = 'host: { enabled: false }\ncontainers: { enabled: false }\nrule_files: []\n'
const airboss = `${quiet}
kubernetes: { kubeconfig_file: kubeconfig, interval: 1s }
actions: { mode: live }
autoscale:
  - agent: research
    max_replicas: 12
    interval: 1s
    metrics: [{ query: 'sum(queue_depth)', target: { type: AverageValue, value: 10 } }]
    actuator: kubernetes
    workload: { namespace: agents, name: research }
deployments:
  - { agent: pilot, version: 1.0.0 }
  - agent: pilot
    version: 2.0.0
    canary:
      baseline: 1.0.0
      actuator: kubernetes
      workload: { namespace: agents, name: pilot }
      analysis:
        interval: 1s
        step: 1s
        failures: 2
        duration: 10m
        window: 1m
        metrics: [{ name: errors, query: 'failure_ratio{version="$version"}', direction: increase, critical: true }]
`
let dir: string
let fake: FakeKubernetes
let product: Product
const startedAt = Date.now() - 180_000

/** Three minutes of two versions of which one breaks half-way, sent at once; the watch of them counts as begun then. */
const flown = async (): Promise<void> => {
  const before = await startProduct({ dir, files: { 'airboss.yaml': quiet } })
  const ratio = (version: string, rate: (at: number) => number) => ({
    labels: { __name__: 'failure_ratio', version },
    samples: Array.from({ length: 185 }, (_, i) => {
      const at = startedAt - 5000 + i * 1000
      return [rate(at) * (1 + 0.2 * Math.sin(i * 2.399 + version.charCodeAt(0))), at] as const
    }),
  })
  const breaks = (at: number): number => (at < startedAt + 90_000 ? 0.02 : 0.3)
  await before.remoteWrite([ratio('1.0.0', () => 0.02), ratio('2.0.0', breaks)])
  expect(await before.stop()).toBe(0)
  const deps = { clock: systemClock, log: silentLogger(), metrics: fakeMetrics() }
  const ledger = openLedger({ dir: join(dir, 'data', 'ledger'), ...deps })
  await ledger.start()
  await ledger.put('rollout', 'pilot@2.0.0', begin(instant(startedAt)), {
    by: system('rollout'),
    why: 'begun',
  })
  await ledger.drain()
}

/** The rights of the manifest that users apply, and no others. */
const notAllowed = (): FakeKubernetes['forbid'] => {
  const text = readFileSync(join(import.meta.dirname, '../../collector/airboss-kubernetes.yaml'), 'utf8')
  const rules: { resources: string[]; verbs: string[] }[] = parseAllDocuments(text).flatMap(
    (doc) => doc.toJS().rules ?? [],
  )
  return ({ resource, verb }) => !rules.some((r) => r.resources.includes(resource) && r.verbs.includes(verb))
}

const populate = (): void => {
  fake.put(nodeOf('node-1'))
  const research = fake.put(deploymentOf('research', '1.0.0', 3))
  const rs = fake.put(replicaSetOf(research, '1.0.0', 1, 3))
  const ownerReferences = [ownedBy('ReplicaSet', rs.metadata.name, rs.metadata.uid)]
  fake.put(podOf('research-a', 'research', '1.0.0', { metadata: { ownerReferences } }))
  const pilot = fake.put(deploymentOf('pilot', '2.0.0', 2))
  fake.put(replicaSetOf(pilot, '1.0.0', 1, 0))
  fake.put(replicaSetOf(pilot, '2.0.0', 2, 2))
}

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'airboss-kubernetes-'))
  fake = await startFakeKubernetes({ https: true })
  populate()
  fake.forbid = notAllowed()
  // Somebody else writes in between, once before each change.
  const touched = new Set<string>()
  fake.fault = ({ verb, name, resource, query }) => {
    const changes = (verb === 'update' || verb === 'patch') && !query.has('dryRun')
    if (!changes || touched.has(resource + name)) return null
    touched.add(resource + name)
    const body = fake.get('deployments', name, 'agents')
    body.metadata.labels['touched-by'] = resource.replace('/', '-')
    fake.put(body)
    return null
  }
  await flown()
  product = await startProduct({
    dir,
    files: { 'airboss.yaml': airboss, kubeconfig: fake.kubeconfig('certificate') },
  })
})
afterAll(async () => {
  await product?.dispose()
  await fake?.close()
  rmSync(dir, { recursive: true, force: true })
})

const deployment = (name: string): Json => fake.get('deployments', name, 'agents')
interface Listed {
  readonly subject: string
  readonly action: { readonly state: string; readonly detail: string; readonly id: string } | null
}
const done = async (subject: string): Promise<Listed['action']> => {
  const answer = (await (await product.fetch('/api/ops/v1/decisions')).json()) as { decisions: Listed[] }
  const found = answer.decisions.find((d) => d.subject === subject && d.action)?.action
  return found?.state === 'done' ? found : null
}

it('knows the cluster by the names of kube-state-metrics, and which pods run an agent', async () => {
  const query =
    'kube_pod_status_ready{condition="true"} * on (namespace, pod) group_left (agent, version) airboss_agent_pod_info'
  const [row] = await until(
    'the pods',
    async () => {
      const rows = await product.query(query)
      return rows.length > 0 ? rows : null
    },
    15_000,
  )
  expect(row!.metric).toMatchObject({
    agent: 'research',
    version: '1.0.0',
    job: 'kube-state-metrics',
    pod: 'research-a',
  })
  const pods = await (await product.fetch('/api/ops/v1/agents/research/pods')).json()
  expect(pods).toMatchObject({
    fresh: true,
    pods: [{ pod: 'research-a', ready: true, owner: { kind: 'Deployment', name: 'research' } }],
  })
})

it('scales the Deployment when load rises: once, though somebody was there in between', async () => {
  const send = () =>
    product.remoteWrite([{ labels: { __name__: 'queue_depth' }, samples: [[50, Date.now()]] }])
  const action = await until(
    'the scaling',
    async () => {
      await send()
      return done('research')
    },
    20_000,
  )
  expect(action!.detail).toBe('Deployment agents/research scaled from 3 to 5 replicas')
  expect(deployment('research').metadata.annotations['airboss.dev/action-id']).toBe(action!.id)
  const counts = fake.store.changes
    .filter((c) => c.object.kind === 'Deployment' && c.object.metadata.name === 'research' && c.before)
    .filter((c) => c.before.spec.replicas !== c.object.spec.replicas)
    .map((c) => c.object.spec.replicas)
  expect(counts).toEqual([5])
  const puts = fake.writes().filter((a) => a.resource === 'deployments/scale')
  expect(puts).toHaveLength(2)
  expect(puts[0]!.user).toBe('fake-kubernetes-client')
  expect(
    await until(
      'the series',
      () => product.value('kube_deployment_spec_replicas{deployment="research"} == 5'),
      10_000,
    ),
  ).toBe(5)
})

it('undoes the rollout of the version that broke: once, back to the revision before', async () => {
  const action = await until('the rollback', () => done('pilot'), 20_000)
  expect(action!.detail).toBe('Deployment agents/pilot rolled back to revision 1 (1.0.0)')
  const { spec, metadata } = deployment('pilot')
  expect(spec.template.spec.containers[0].image).toBe('registry.example.com/pilot:1.0.0')
  expect(metadata.annotations['kubernetes.io/change-cause']).toMatch(
    /^system:rollout: pilot 2.0.0 is rolled back to 1.0.0/,
  )
  expect(metadata.labels['touched-by']).toBe('deployments')
  const patches = fake.writes().filter((a) => a.resource === 'deployments' && a.name === 'pilot')
  // The first met the other's change and was made anew.
  expect(patches).toHaveLength(2)
})
