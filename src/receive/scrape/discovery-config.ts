// The keys of service discovery, as Prometheus has them, and the discoveries that are refused by name.
import { basename } from 'node:path'
import { z } from 'zod'
import { durationSchema } from '../../lib/config.ts'
import { checkHttp, httpShape, type Place, pathSchema, refusedKey, withEnvironment } from './http-config.ts'

const others = [
  'aws',
  'azure',
  'consul',
  'digitalocean',
  'docker',
  'dockerswarm',
  'ec2',
  'ecs',
  'elasticache',
  'eureka',
  'gce',
  'hetzner',
  'ionos',
  'kuma',
  'lightsail',
  'linode',
  'marathon',
  'msk',
  'nerve',
  'nomad',
  'openstack',
  'outscale',
  'ovhcloud',
  'puppetdb',
  'rds',
  'scaleway',
  'serverset',
  'stackit',
  'triton',
  'uyuni',
  'vultr',
].map((name) => `${name}_sd_configs`)

/** Discoveries that Prometheus has and Airboss has not. */
export const refusedDiscoveries = Object.fromEntries(
  others.map((key) => [
    key,
    refusedKey(
      key,
      'let file_sd_configs or http_sd_configs give its targets (static, file, HTTP, DNS and Kubernetes discovery are there)',
    ),
  ]),
)

const interval = (text: string) =>
  durationSchema.prefault(text).refine((d) => d > 0, 'must be above 0; write it as 30s')

const labelName = z.string().min(1)
export const staticSchema = z.strictObject({
  targets: z.array(z.string().min(1)).default([]),
  labels: z.record(labelName, z.coerce.string()).default({}),
})

/** What a discovery file or an HTTP answer holds. */
export const targetGroupsSchema = z.array(
  z.strictObject({
    targets: z.array(z.string()).default([]),
    labels: z.record(labelName, z.coerce.string()).nullable().default({}),
  }),
)

const fileSchema = (place: Place) =>
  z.strictObject({
    files: z
      .array(
        pathSchema(place).refine((path) => {
          const [, before = '', after = ''] = /^([^*]*)(.*)$/.exec(path) ?? []
          return (
            /\.(json|ya?ml)$/i.test(path) &&
            !after.includes('/') &&
            !/[*]$/.test(before) &&
            basename(path) !== ''
          )
        }, 'not a path of discovery files; it ends in .json, .yml or .yaml, and * may stand in its last part'),
      )
      .min(1, 'name at least one file'),
    refresh_interval: interval('5m'),
  })

const httpSdSchema = (place: Place) =>
  z
    .strictObject({
      url: z.url({ protocol: /^https?$/, error: 'not a URL; write it as http://host/path' }),
      refresh_interval: interval('1m'),
      ...httpShape(place),
    })
    .superRefine(checkHttp)
    .transform(withEnvironment(place))

const dnsSchema = z
  .strictObject({
    names: z.array(z.string().min(1)).min(1, 'give at least one name to look up'),
    refresh_interval: interval('30s'),
    type: z
      .preprocess(
        (v) => (typeof v === 'string' ? v.toUpperCase() : v),
        z.enum(['SRV', 'A', 'AAAA', 'MX', 'NS']),
      )
      .default('SRV'),
    port: z.int().min(0).max(65_535).default(0),
  })
  .refine(({ type, port }) => type === 'SRV' || port > 0, {
    path: ['port'],
    error: 'is needed for every type but SRV, whose records have one',
  })

const roles = ['node', 'pod', 'service', 'endpoints', 'endpointslice', 'ingress'] as const
export type KubernetesRole = (typeof roles)[number]

/** Which selectors a role looks at. */
const selectable: Readonly<Record<KubernetesRole, readonly KubernetesRole[]>> = {
  node: ['node'],
  pod: ['pod', 'node'],
  service: ['service'],
  endpoints: ['pod', 'service', 'endpoints'],
  endpointslice: ['pod', 'service', 'endpointslice'],
  ingress: ['ingress'],
}

const kubernetesShape = (place: Place) => ({
  role: z.enum(roles, { error: `is needed: one of ${roles.join(', ')}` }),
  api_server: z.url({ protocol: /^https?$/ }).optional(),
  kubeconfig_file: pathSchema(place).optional(),
  namespaces: z
    .strictObject({
      own_namespace: z.boolean().default(false),
      names: z.array(z.string().min(1)).default([]),
    })
    .prefault({}),
  selectors: z
    .array(
      z.strictObject({ role: z.enum(roles), label: z.string().default(''), field: z.string().default('') }),
    )
    .default([]),
  attach_metadata: z
    .strictObject({
      node: z.boolean().default(false),
      namespace: z.boolean().default(false),
      deployment: z.boolean().default(false),
      job: z.boolean().default(false),
      cronjob: z.boolean().default(false),
    })
    .prefault({}),
  ...httpShape(place),
})

const kubernetesObject = (place: Place) => z.strictObject(kubernetesShape(place))
type KubernetesKeys = z.output<ReturnType<typeof kubernetesObject>>

const customHttp = (k: KubernetesKeys): boolean =>
  [
    k.basic_auth,
    k.authorization,
    k.bearer_token,
    k.bearer_token_file,
    k.oauth2,
    k.tls_config,
    k.proxy_url,
  ].some((way) => way !== undefined) ||
  k.proxy_from_environment ||
  !k.follow_redirects ||
  !k.enable_http2 ||
  Object.keys(k.http_headers).length > 0

const checkKubernetes = (k: KubernetesKeys, wrong: (key: string, message: string) => void): void => {
  if (k.api_server !== undefined && k.kubeconfig_file !== undefined)
    wrong('kubeconfig_file', 'does not go with api_server; remove one')
  if (k.api_server === undefined && customHttp(k))
    wrong(
      k.kubeconfig_file === undefined ? 'api_server' : 'kubeconfig_file',
      'credentials, TLS and proxy settings go with api_server only; give it, or remove them',
    )
  if (k.namespaces.own_namespace && (k.api_server !== undefined || k.kubeconfig_file !== undefined))
    wrong(
      'namespaces',
      'own_namespace is known only inside the cluster, without api_server and kubeconfig_file',
    )
  const seen = new Set<string>()
  for (const { role } of k.selectors) {
    if (seen.has(role)) wrong('selectors', `role ${role} stands twice; join the two selectors`)
    seen.add(role)
    if (!selectable[k.role].includes(role))
      wrong('selectors', `role ${k.role} takes selectors of ${selectable[k.role].join(', ')}, not of ${role}`)
  }
}

const kubernetesSchema = (place: Place) =>
  kubernetesObject(place)
    .superRefine((k, ctx) => {
      checkHttp(k, ctx)
      checkKubernetes(k, (key, message) => ctx.addIssue({ code: 'custom', path: [key], message }))
    })
    .transform(withEnvironment(place))

/** The discovery keys of a job. */
export const discoveryShape = (place: Place) => ({
  static_configs: z.array(staticSchema).default([]),
  file_sd_configs: z.array(fileSchema(place)).default([]),
  http_sd_configs: z.array(httpSdSchema(place)).default([]),
  dns_sd_configs: z.array(dnsSchema).default([]),
  kubernetes_sd_configs: z.array(kubernetesSchema(place)).default([]),
  ...refusedDiscoveries,
})

export type FileSdConfig = z.output<ReturnType<typeof fileSchema>>
export type HttpSdConfig = z.output<ReturnType<typeof httpSdSchema>>
export type DnsSdConfig = z.output<typeof dnsSchema>
export type KubernetesSdConfig = z.output<ReturnType<typeof kubernetesSchema>>
