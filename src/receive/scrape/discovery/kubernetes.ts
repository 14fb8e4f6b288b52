// kubernetes_sd_configs: targets from the objects of a cluster, kept by watches.
import { AppError } from '../../../lib/errors.ts'
import { createKubernetesWatch, type KubernetesWatch } from '../../../lib/kubernetes-watch.ts'
import { duration, second } from '../../../lib/time.ts'
import type { Metrics } from '../../../model/ports/metrics.ts'
import type { ClientDeps } from '../client.ts'
import type { KubernetesRole, KubernetesSdConfig } from '../discovery-config.ts'
import type { TargetGroup } from '../target.ts'
import { type Discoverer, noTargets, type RefreshDeps, type Update } from './discoverer.ts'
import { type Cluster, connectCluster } from './kubernetes-api.ts'
import { type Find, groupOf, type Kind } from './kubernetes-groups.ts'
import type { KubeObject } from './kubernetes-objects.ts'

interface Resource {
  readonly group: string
  readonly plural: string
  readonly namespaced: boolean
}

const resources: Readonly<Record<Kind, Resource>> = {
  node: { group: '/api/v1', plural: 'nodes', namespaced: false },
  namespace: { group: '/api/v1', plural: 'namespaces', namespaced: false },
  pod: { group: '/api/v1', plural: 'pods', namespaced: true },
  service: { group: '/api/v1', plural: 'services', namespaced: true },
  endpoints: { group: '/api/v1', plural: 'endpoints', namespaced: true },
  endpointslice: { group: '/apis/discovery.k8s.io/v1', plural: 'endpointslices', namespaced: true },
  ingress: { group: '/apis/networking.k8s.io/v1', plural: 'ingresses', namespaced: true },
  replicaset: { group: '/apis/apps/v1', plural: 'replicasets', namespaced: true },
  job: { group: '/apis/batch/v1', plural: 'jobs', namespaced: true },
}

/** The kinds that are watched for a role: its own first, then those its labels come from. */
const kindsOf = ({ role, attach_metadata: attach }: KubernetesSdConfig): Kind[] => {
  const kinds: Kind[] = [role]
  const pods = role === 'pod' || role === 'endpoints' || role === 'endpointslice'
  if (pods && role !== 'pod') kinds.push('service', 'pod')
  if (pods && attach.node) kinds.push('node')
  if (role !== 'node' && attach.namespace) kinds.push('namespace')
  if (pods && attach.deployment) kinds.push('replicaset')
  if (pods && attach.cronjob) kinds.push('job')
  return kinds
}

const pathOf = (kind: Kind, namespace: string): string => {
  const { group, plural, namespaced } = resources[kind]
  return namespaced && namespace !== ''
    ? `${group}/namespaces/${encodeURIComponent(namespace)}/${plural}`
    : `${group}/${plural}`
}

const keyOf = ({ metadata }: KubeObject): string =>
  metadata.namespace === undefined ? metadata.name : `${metadata.namespace}/${metadata.name}`

// Changes that come together are told together.
const settle = duration(200)
const retry = duration(10 * second)

/** The objects of a cluster, and for each group which of them it was made of. */
class Cache {
  readonly #config: KubernetesSdConfig
  readonly #stores = new Map<Kind, Map<string, KubeObject>>()
  /** By role object: what it was made of; and the other way round. */
  readonly #uses = new Map<string, Set<string>>()
  readonly #usedBy = new Map<string, Set<string>>()
  readonly #sources = new Map<string, string>()
  readonly #dirty = new Set<string>()

  constructor(config: KubernetesSdConfig) {
    this.#config = config
  }

  #store(kind: Kind): Map<string, KubeObject> {
    let store = this.#stores.get(kind)
    if (!store) {
      store = new Map()
      this.#stores.set(kind, store)
    }
    return store
  }

  set(kind: Kind, key: string, object: KubeObject | null): void {
    if (object) this.#store(kind).set(key, object)
    else this.#store(kind).delete(key)
    if (kind === this.#config.role) this.#dirty.add(key)
    for (const user of this.#usedBy.get(`${kind} ${key}`) ?? []) this.#dirty.add(user)
  }

  keys(kind: Kind, namespace: string): string[] {
    const keys = [...this.#store(kind).keys()]
    return namespace === '' ? keys : keys.filter((key) => key.startsWith(`${namespace}/`))
  }

  #make(key: string, object: KubeObject): TargetGroup {
    const uses = new Set<string>()
    const find: Find = (kind, other) => {
      const use = `${kind} ${other}`
      uses.add(use)
      const users = this.#usedBy.get(use)
      if (users) users.add(key)
      else this.#usedBy.set(use, new Set([key]))
      return this.#store(kind).get(other)
    }
    const group = groupOf(this.#config.role, object, find, this.#config.attach_metadata)
    this.#forget(key, uses)
    this.#uses.set(key, uses)
    return group
  }

  #forget(key: string, but: ReadonlySet<string>): void {
    for (const use of this.#uses.get(key) ?? []) {
      if (but.has(use)) continue
      const users = this.#usedBy.get(use)
      users?.delete(key)
      if (users?.size === 0) this.#usedBy.delete(use)
    }
  }

  /** The groups that have changed since the last call. */
  changed(): TargetGroup[] {
    const groups: TargetGroup[] = []
    for (const key of this.#dirty) {
      const object = this.#store(this.#config.role).get(key)
      if (object) {
        const group = this.#make(key, object)
        this.#sources.set(key, group.source)
        groups.push(group)
        continue
      }
      const source = this.#sources.get(key)
      this.#forget(key, new Set())
      this.#uses.delete(key)
      this.#sources.delete(key)
      if (source !== undefined) groups.push(noTargets(source))
    }
    this.#dirty.clear()
    return groups
  }
}

type KubernetesDeps = RefreshDeps &
  ClientDeps & { readonly serviceAccount: string; readonly metrics: Metrics }

/** Watches everything a configuration needs into a cache; calls `ready` once all of it was listed, and `touched` at each change. */
const watchAll = (
  config: KubernetesSdConfig,
  deps: KubernetesDeps,
  cluster: Cluster,
  cache: Cache,
  touched: () => void,
  signal: AbortSignal,
): void => {
  const { clock, report, metrics } = deps
  const events = metrics.counter(
    'airboss_sd_kubernetes_events_total',
    'Objects of Kubernetes that were told of.',
    ['role', 'event'],
  )
  const { names } = config.namespaces
  const wanted = cluster.ownNamespace === '' ? names : [...names, cluster.ownNamespace]
  const namespaces = wanted.length === 0 ? [''] : [...new Set(wanted)]
  const waiting = new Set<string>()
  const watches: KubernetesWatch[] = []
  for (const kind of kindsOf(config))
    for (const namespace of resources[kind].namespaced ? namespaces : ['']) {
      const path = pathOf(kind, namespace)
      const { label = '', field = '' } =
        config.selectors.find((s) => s.role === (kind as KubernetesRole)) ?? {}
      const source = `${cluster.api.server}${path}`
      waiting.add(path)
      const set = (event: string, key: string, object: KubeObject | null): void => {
        cache.set(kind, key, object)
        if (kind === config.role) events.add(1, { role: kind, event })
      }
      const told = (): void => {
        if (waiting.size === 0) touched()
      }
      watches.push(
        createKubernetesWatch({
          api: cluster.api,
          clock,
          path,
          query: {
            ...(label === '' ? {} : { labelSelector: label }),
            ...(field === '' ? {} : { fieldSelector: field }),
          },
          replace: (objects: readonly KubeObject[]) => {
            const gone = new Set(cache.keys(kind, namespace))
            for (const object of objects) {
              const key = keyOf(object)
              set(gone.delete(key) ? 'update' : 'add', key, object)
            }
            for (const key of gone) set('delete', key, null)
            waiting.delete(path)
            report.worked(source)
            told()
          },
          changed: (type, object: KubeObject) => {
            const event = type === 'ADDED' ? 'add' : type === 'DELETED' ? 'delete' : 'update'
            set(event, keyOf(object), type === 'DELETED' ? null : object)
            told()
          },
          trouble: (why) =>
            why === '' ? report.worked(source) : report.failed(source, new AppError('unavailable', why)),
        }),
      )
    }
  // All are known before one of them is told of.
  for (const watch of watches) void watch.run(signal)
}

/** While the API does not answer, the targets last known stay. */
export const createKubernetesDiscovery = (config: KubernetesSdConfig, deps: KubernetesDeps): Discoverer => {
  const { clock, report } = deps
  const where = config.kubeconfig_file ?? config.api_server ?? (config.environment.apiServer || 'in-cluster')
  const connect = async (signal: AbortSignal): Promise<Cluster | null> => {
    while (!signal.aborted) {
      try {
        const cluster = await connectCluster(config, deps)
        report.worked(where)
        return cluster
      } catch (error) {
        report.failed(where, error)
        await clock.sleep(retry, signal).catch(() => undefined)
      }
    }
    return null
  }
  return {
    start: async (update: Update, signal: AbortSignal) => {
      const cluster = await connect(signal)
      if (!cluster) return
      const cache = new Cache(config)
      let timer: { cancel(): void } | null = null
      const touched = (): void => {
        timer ??= clock.after(settle, () => {
          timer = null
          update(cache.changed())
        })
      }
      signal.addEventListener(
        'abort',
        () => {
          timer?.cancel()
          void cluster.api.close().catch(() => undefined)
        },
        { once: true },
      )
      watchAll(config, deps, cluster, cache, touched, signal)
    },
  }
}
