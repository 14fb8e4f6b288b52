// Kubernetes discovery against an API server on the wire: every role, watches that end, expire and break, and the ways to reach it.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  type FakeKubernetes,
  type FakeKubernetesOptions,
  startFakeKubernetes,
} from '../kit/fake-kubernetes.ts'
import { type Scraping, startScraping } from '../kit/scraping.ts'
import { tempDir } from '../kit/temp-dir.ts'
import { until } from '../kit/until.ts'

const patience = 30_000

const start = async (options: FakeKubernetesOptions = {}): Promise<FakeKubernetes> => {
  const kube = await startFakeKubernetes(options)
  onTestFinished(() => kube.close())
  return kube
}

const pod = (
  name: string,
  ip: string,
  more: { namespace?: string; labels?: object; node?: string } = {},
) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    name,
    namespace: more.namespace ?? 'default',
    labels: { app: 'shop', 'app.kubernetes.io/name': 'shop', ...more.labels },
    annotations: { 'prometheus.io/scrape': 'true' },
    ownerReferences: [
      { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'shop-1', uid: 'u', controller: true },
    ],
  },
  spec: {
    nodeName: more.node ?? 'n1',
    containers: [
      { name: 'main', image: 'shop:1', ports: [{ name: 'web', containerPort: 80, protocol: 'TCP' }] },
    ],
  },
  status: {
    podIP: ip,
    hostIP: '10.0.0.1',
    phase: 'Running',
    conditions: [{ type: 'Ready', status: 'True' }],
  },
})
const node = (name: string) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { zone: 'a' } },
  spec: { providerID: `cloud:///${name}` },
  status: {
    addresses: [
      { type: 'InternalIP', address: '10.0.0.1' },
      { type: 'Hostname', address: name },
    ],
    conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: null, lastTransitionTime: null }],
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
  },
})

const addresses = ({ scraper }: Scraping, job: string): string[] =>
  scraper
    .targets()
    .filter((t) => t.scrapePool === job)
    .map((t) => t.discoveredLabels['__address__']!)
    .sort()
const shows = (s: Scraping, job: string, ...wanted: string[]): Promise<unknown> =>
  until(
    `${job}: ${wanted.join(', ')} (there are ${addresses(s, job).join(', ')})`,
    () => JSON.stringify(addresses(s, job)) === JSON.stringify(wanted.sort()),
    patience,
  )
const meta = (s: Scraping, job: string, address: string): Record<string, string> => {
  const found = s.scraper
    .targets()
    .find((t) => t.scrapePool === job && t.discoveredLabels['__address__'] === address)!
  return Object.fromEntries(
    Object.entries(found.discoveredLabels)
      .filter(([k]) => k.startsWith('__meta_kubernetes_'))
      .map(([k, v]) => [k.slice('__meta_kubernetes_'.length), v]),
  )
}

test('every role, with labels of other objects that come later', async () => {
  const kube = await start()
  kube.put(node('n1'))
  kube.put(pod('shop-1-a', '10.1.0.1'))
  kube.put({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'shop', namespace: 'default', labels: { tier: 'front' } },
    spec: { type: 'ClusterIP', clusterIP: '10.2.0.1', ports: [{ name: 'web', port: 8080, protocol: 'TCP' }] },
  })
  kube.put({
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'shop', namespace: 'default' },
    subsets: [
      {
        addresses: [
          {
            ip: '10.1.0.1',
            nodeName: 'n1',
            targetRef: { kind: 'Pod', name: 'shop-1-a', namespace: 'default' },
          },
        ],
        notReadyAddresses: [{ ip: '10.1.0.2' }],
        ports: [{ name: 'web', port: 80, protocol: 'TCP' }],
      },
    ],
  })
  kube.put({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'shop-x', namespace: 'default', labels: { 'kubernetes.io/service-name': 'shop' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.1.0.3'], conditions: { ready: true }, nodeName: 'n1' }],
    ports: [{ name: 'web', port: 80, protocol: 'TCP' }],
  })
  kube.put({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: 'front', namespace: 'default' },
    spec: {
      tls: [{ hosts: ['*.example.test'] }],
      rules: [
        {
          host: 'shop.example.test',
          http: {
            paths: [
              {
                path: '/buy',
                pathType: 'Prefix',
                backend: { service: { name: 'shop', port: { number: 80 } } },
              },
            ],
          },
        },
      ],
    },
  })
  const job = (role: string, more = ''): string =>
    `- {job_name: ${role}, kubernetes_sd_configs: [{role: ${role}, api_server: '${kube.url}'${more}}]}\n`
  const s = await startScraping(
    job('node') +
      job('pod', ', attach_metadata: {node: true, namespace: true, deployment: true}') +
      job('service') +
      job('endpoints') +
      job('endpointslice') +
      job('ingress'),
  )
  await shows(s, 'node', '10.0.0.1:10250')
  await shows(s, 'pod', '10.1.0.1:80')
  await shows(s, 'service', 'shop.default.svc:8080')
  await shows(s, 'endpoints', '10.1.0.1:80', '10.1.0.2:80')
  await shows(s, 'endpointslice', '10.1.0.3:80')
  await shows(s, 'ingress', 'shop.example.test')
  expect(meta(s, 'node', '10.0.0.1:10250')).toEqual({
    node_name: 'n1',
    node_provider_id: 'cloud:///n1',
    node_condition_ready: 'true',
    node_label_zone: 'a',
    node_labelpresent_zone: 'true',
    node_address_InternalIP: '10.0.0.1',
    node_address_Hostname: 'n1',
  })
  expect(s.scraper.targets().find((t) => t.scrapePool === 'node')!.labels['instance']).toBe('n1')
  expect(meta(s, 'pod', '10.1.0.1:80')).toMatchObject({
    namespace: 'default',
    pod_name: 'shop-1-a',
    pod_ready: 'true',
    pod_label_app_kubernetes_io_name: 'shop',
    pod_annotation_prometheus_io_scrape: 'true',
    pod_controller_kind: 'ReplicaSet',
    pod_container_port_number: '80',
    node_label_zone: 'a',
  })
  expect(meta(s, 'endpoints', '10.1.0.1:80')).toMatchObject({
    endpoints_name: 'shop',
    service_label_tier: 'front',
    pod_container_name: 'main',
    endpoint_ready: 'true',
    endpoint_address_target_kind: 'Pod',
  })
  expect(meta(s, 'endpoints', '10.1.0.2:80')).toMatchObject({ endpoint_ready: 'false' })
  expect(meta(s, 'endpointslice', '10.1.0.3:80')).toMatchObject({
    service_name: 'shop',
    endpointslice_endpoint_conditions_ready: 'true',
    endpointslice_port: '80',
  })
  expect(meta(s, 'ingress', 'shop.example.test')).toMatchObject({
    ingress_scheme: 'https',
    ingress_path: '/buy',
  })

  // What a target's labels come from may be told of later than the target.
  kube.put({
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: {
      name: 'shop-1',
      namespace: 'default',
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shop', uid: 'd', controller: true },
      ],
    },
    spec: {
      replicas: 1,
      selector: { matchLabels: { app: 'shop' } },
      template: {
        metadata: { labels: { app: 'shop' } },
        spec: { containers: [{ name: 'main', image: 'x' }] },
      },
    },
  })
  kube.put({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels: { owner: 'mara' } } })
  await until(
    'labels of the deployment and the namespace',
    () => {
      const labels = meta(s, 'pod', '10.1.0.1:80')
      return labels['pod_deployment_name'] === 'shop' && labels['namespace_label_owner'] === 'mara'
    },
    patience,
  )
  kube.remove('nodes', 'n1')
  await shows(s, 'pod')
})

test('pods come, change and go; watches end, break and expire; the API goes away and comes back', async () => {
  const kube = await start()
  for (let i = 0; i < 3; i++) kube.put(pod(`p${i}`, `10.1.0.${i}`))
  const s = await startScraping(
    `- {job_name: pods, kubernetes_sd_configs: [{role: pod, api_server: '${kube.url}', namespaces: {names: [default, other]}, selectors: [{role: pod, label: app=shop, field: status.phase=Running}]}]}`,
  )
  const watching = (): Promise<unknown> => until('watches', () => kube.watches.count('pods') === 2, patience)
  await shows(s, 'pods', '10.1.0.0:80', '10.1.0.1:80', '10.1.0.2:80')
  await watching()
  kube.put(pod('far', '10.3.0.1', { namespace: 'elsewhere' }))
  kube.put(pod('alien', '10.3.0.2', { labels: { app: 'other' } }))
  kube.put(pod('next', '10.1.0.9', { namespace: 'other' }))
  kube.remove('pods', 'p0')
  await shows(s, 'pods', '10.1.0.1:80', '10.1.0.2:80', '10.1.0.9:80')

  kube.watches.close('reset')
  kube.put(pod('p3', '10.1.0.3'))
  await shows(s, 'pods', '10.1.0.1:80', '10.1.0.2:80', '10.1.0.3:80', '10.1.0.9:80')

  await watching()
  const lists = (): number => kube.asked.filter((a) => a.verb === 'list').length
  const before = lists()
  kube.watches.expire()
  kube.remove('pods', 'p1')
  await until('new lists', () => lists() >= before + 2, patience)
  await shows(s, 'pods', '10.1.0.2:80', '10.1.0.3:80', '10.1.0.9:80')

  await watching()
  await kube.down()
  await until(
    'word of the failure',
    () => (s.metrics.values.get('airboss_sd_failing_sources{mechanism="kubernetes"}') ?? 0) > 0,
    patience,
  )
  expect(addresses(s, 'pods')).toEqual(['10.1.0.2:80', '10.1.0.3:80', '10.1.0.9:80'])
  kube.remove('pods', 'p2')
  await kube.up()
  await shows(s, 'pods', '10.1.0.3:80', '10.1.0.9:80')
  await until(
    'word that it works',
    () => s.metrics.values.get('airboss_sd_failing_sources{mechanism="kubernetes"}') === 0,
    patience,
  )
  expect(
    s.metrics.values.get('airboss_sd_kubernetes_events_total{role="pod",event="delete"}'),
  ).toBeGreaterThan(2)
})

test('a list of many pages, one of which expires', async () => {
  const kube = await start()
  for (let i = 0; i < 1100; i++) kube.put(pod(`p${i}`, `10.${1 + (i >> 8)}.0.${i & 255}`))
  kube.failNext((a) => a.verb === 'list' && a.query.has('continue'), { status: 410 })
  const s = await startScraping(
    `- {job_name: pods, scrape_interval: 1h, kubernetes_sd_configs: [{role: pod, api_server: '${kube.url}'}]}`,
  )
  await until('all pods', () => addresses(s, 'pods').length === 1100, patience)
  // As client-go does: by pages, and all at once where a page's moment was forgotten.
  const lists = kube.asked.filter((a) => a.verb === 'list')
  expect(lists.map((a) => [a.query.get('limit'), a.query.has('continue')])).toEqual([
    ['500', false],
    ['500', true],
    [null, false],
  ])
})

test('reached by kubeconfig (token, client certificate), by the pod account, by credentials of its own; a refusal is told', async () => {
  const kube = await start({ https: true, tokens: { sesame: 'system:serviceaccount:default:airboss' } })
  kube.put(pod('a', '10.1.0.1'))
  kube.put(pod('b', '10.1.0.2', { namespace: 'home' }))
  const dir = tempDir()
  writeFileSync(join(dir, 'token.yaml'), kube.kubeconfig({ token: 'sesame' }))
  writeFileSync(join(dir, 'certificate.yaml'), kube.kubeconfig('certificate'))
  writeFileSync(join(dir, 'token'), 'sesame')
  writeFileSync(join(dir, 'ca.crt'), kube.ca)
  writeFileSync(join(dir, 'namespace'), 'home')
  const job = (name: string, more: string): string =>
    `- {job_name: ${name}, kubernetes_sd_configs: [{role: pod, ${more}}]}\n`
  const { hostname, port } = new URL(kube.url)
  const s = await startScraping(
    job('token', 'kubeconfig_file: token.yaml') +
      job('certificate', 'kubeconfig_file: certificate.yaml') +
      job('account', 'namespaces: {own_namespace: true}') +
      job(
        'own',
        `api_server: '${kube.url}', authorization: {credentials_file: token}, tls_config: {ca_file: ca.crt}`,
      ) +
      job('stranger', `api_server: '${kube.url}', tls_config: {ca_file: ca.crt}`),
    {
      base: dir,
      env: { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port },
      deps: { serviceAccount: dir },
    },
  )
  await shows(s, 'token', '10.1.0.1:80', '10.1.0.2:80')
  await shows(s, 'certificate', '10.1.0.1:80', '10.1.0.2:80')
  await shows(s, 'own', '10.1.0.1:80', '10.1.0.2:80')
  await shows(s, 'account', '10.1.0.2:80')
  await until(
    'word of the one refused',
    () => s.metrics.values.get('airboss_sd_failing_sources{mechanism="kubernetes"}') === 1,
    patience,
  )
  expect(addresses(s, 'stranger')).toEqual([])
})

test('what cannot go together is refused with its place', async () => {
  const why = (config: string): Promise<string> =>
    startScraping(`- job_name: k\n  kubernetes_sd_configs: [{${config}}]`).then(
      () => '',
      (error: unknown) => (error as Error).message,
    )
  expect(await why('namespaces: {names: [a]}')).toContain('role')
  expect(await why("role: pod, api_server: 'http://x', kubeconfig_file: y")).toContain('remove one')
  expect(await why('role: pod, bearer_token: x')).toContain('api_server')
  expect(await why("role: pod, api_server: 'http://x', namespaces: {own_namespace: true}")).toContain(
    'own_namespace',
  )
  expect(await why("role: service, api_server: 'http://x', selectors: [{role: pod, label: a=b}]")).toMatch(
    /^airboss.yaml:2: \[0\]\.kubernetes_sd_configs\[0\]\.selectors: role service takes selectors of service/,
  )
})

test('many namespaces, each watched, over HTTP/1.1', async () => {
  const kube = await start()
  const names = Array.from({ length: 24 }, (_, i) => `n${i}`)
  const s = await startScraping(
    `- {job_name: pods, kubernetes_sd_configs: [{role: pod, api_server: '${kube.url}', namespaces: {names: [${names.join(', ')}]}}]}`,
  )
  const watches = (): number => kube.asked.filter(({ verb }) => verb === 'watch').length
  await until(`24 watches (there are ${watches()})`, () => watches() >= 24, patience)
  for (const [i, namespace] of names.entries()) kube.put(pod('p', `10.1.0.${i + 1}`, { namespace }))
  await shows(s, 'pods', ...names.map((_, i) => `10.1.0.${i + 1}:80`))
})
