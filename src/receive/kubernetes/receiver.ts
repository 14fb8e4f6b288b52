// Watches a Kubernetes cluster: its objects become kube-state-metrics' series, and pods are tied to the agents they run.
import { type Backoff, backoff } from '../../lib/backoff.ts'
import { type Clock, every } from '../../lib/clock.ts'
import { messageOf } from '../../lib/errors.ts'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes.ts'
import type { Logger } from '../../lib/log.ts'
import { duration, type Instant, second } from '../../lib/time.ts'
import type { AgentPod, AgentPods } from '../../model/agent-pod.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesTable } from '../../model/series.ts'
import { receiveMetrics } from '../receive-metrics.ts'
import { agentPodOf, agentRow } from './agents.ts'
import type { KubernetesConfig } from './config.ts'
import { Picture } from './picture.ts'
import { pathsOf } from './resources.ts'
import { controllerOf, type Owner } from './row.ts'
import { type BookLimits, SeriesBook } from './series-book.ts'

export interface KubernetesReceiverDeps {
  /** The connection; asked for until it is there. */
  readonly api: () => Promise<KubernetesApi>
  readonly config: KubernetesConfig
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly random?: () => number
}

export interface KubernetesReceiver extends Service, AgentPods {
  /** Writes what is known now, as the timer does. */
  look(at: Instant): Promise<void>
}

const waits: Backoff = { first: second, most: duration(60_000) }

class Receiver implements KubernetesReceiver {
  readonly #deps: KubernetesReceiverDeps
  readonly #life = new AbortController()
  readonly #limits: BookLimits
  readonly #received
  readonly #pods = new Map<string, { readonly pod: KubernetesObject; agent: AgentPod | null }>()
  readonly #owners = new Map<string, Owner | null>()
  /** Pods by the ReplicaSet that made them. */
  readonly #podsOf = new Map<string, Set<string>>()
  #pictures: readonly Picture[] = []
  #agents: SeriesBook | null = null
  #self: SeriesBook | null = null
  #running: Promise<unknown> = Promise.resolve()
  #writing: Promise<void> = Promise.resolve()
  #limited = false

  constructor(deps: KubernetesReceiverDeps) {
    this.#deps = deps
    this.#limits = { room: deps.config.max_series, told: new Set() }
    this.#received = receiveMetrics(deps.metrics, 'kubernetes')
  }

  async start(): Promise<void> {
    const { clock, config, log } = this.#deps
    // Airboss starts without its cluster: it is looked for until it is there.
    this.#running = this.#run().catch((error: unknown) => {
      if (!this.#life.signal.aborted) log.error({ err: error }, 'watching the cluster ended')
    })
    every(clock, config.interval, (at) => this.look(at), {
      signal: this.#life.signal,
      failed: (error) => log.warn({ why: messageOf(error) }, 'series of the cluster could not be written'),
    })
  }

  async drain(): Promise<void> {
    this.#life.abort(new Error('watching stops'))
    await this.#running
    await this.#writing.catch(() => undefined)
  }

  async #run(): Promise<void> {
    const { clock, log, random } = this.#deps
    const { signal } = this.#life
    for (let attempt = 1; !signal.aborted; attempt++) {
      try {
        const api = await this.#deps.api()
        this.#open(api)
        await Promise.all(this.#pictures.map((p) => p.run(api, signal)))
        return
      } catch (error) {
        if (signal.aborted) return
        if (attempt === 1) log.warn({ why: messageOf(error) }, 'there is no cluster to watch; looking again')
        await clock.sleep(backoff(waits, attempt, random), signal).catch(() => undefined)
      }
    }
  }

  #open(api: KubernetesApi): void {
    const { config, metrics, clock, log, random } = this.#deps
    const base = { ...config.labels, job: config.job, instance: new URL(api.server).host }
    const failures = metrics.counter(
      'airboss_kubernetes_watch_failures_total',
      'Lists and watches of the Kubernetes API that failed.',
      ['path'],
    )
    const objects = metrics.gauge('airboss_kubernetes_objects', 'Objects known of the cluster.', ['path'])
    this.#agents = new SeriesBook(base, this.#limits)
    this.#self = new SeriesBook(base, this.#limits)
    this.#pictures = pathsOf(config.namespaces).map(
      ({ resource, path }) =>
        new Picture({
          resource,
          path,
          base,
          limits: this.#limits,
          also: (key, object) => this.#also(resource.plural, key, object),
          staleAfter: config.stale_after,
          clock,
          log,
          failures,
          objects,
          ...(random ? { random } : {}),
        }),
    )
    log.info({ server: api.server, namespaces: config.namespaces }, 'cluster is watched')
  }

  #also(plural: string, key: string, object: KubernetesObject | null): void {
    if (plural === 'pods') this.#pod(key, object)
    if (plural !== 'replicasets') return
    const before = this.#owners.get(key)
    const owner = object ? controllerOf(object) : null
    if (object) this.#owners.set(key, owner)
    else this.#owners.delete(key)
    if (!object) this.#podsOf.delete(key)
    if (before?.name === owner?.name) return
    // Its pods came before it: they are told anew.
    for (const podKey of this.#podsOf.get(key) ?? []) {
      const pod = this.#pods.get(podKey)
      if (pod) this.#pod(podKey, pod.pod)
    }
  }

  #pod(key: string, pod: KubernetesObject | null): void {
    const { agents } = this.#deps.config
    const of = (namespace: string, name: string): Owner | null =>
      this.#owners.get(`${namespace}/${name}`) ?? null
    const agent = pod ? agentPodOf(pod, agents, of) : null
    this.#tie(key, this.#pods.get(key)?.pod, agent ? pod : null)
    // Pods of no agent are not kept: a cluster has many.
    if (!pod || !agent) {
      this.#pods.delete(key)
      this.#agents?.delete(key)
      return
    }
    const { managedFields: _, ...metadata } = pod.metadata
    this.#pods.set(key, { pod: { ...pod, metadata }, agent })
    this.#agents?.set(key, [agentRow(agent)])
  }

  #tie(key: string, before: KubernetesObject | undefined, pod: KubernetesObject | null): void {
    const setOf = (p: KubernetesObject): string | null => {
      const made = controllerOf(p)
      return made?.kind === 'ReplicaSet' ? `${p.metadata.namespace}/${made.name}` : null
    }
    const old = before ? setOf(before) : null
    if (old !== null) this.#podsOf.get(old)?.delete(key)
    const now = pod ? setOf(pod) : null
    if (now === null) return
    const keys = this.#podsOf.get(now) ?? new Set<string>()
    this.#podsOf.set(now, keys.add(key))
  }

  look(at: Instant): Promise<void> {
    this.#writing = this.#look(at)
    return this.#writing
  }

  async #look(at: Instant): Promise<void> {
    if (this.#pictures.length === 0) return
    const { table, limits, sink, clock, config, metrics } = this.#deps
    const builder = new BatchBuilder(table, limits, at)
    const freshness = metrics.gauge(
      'airboss_kubernetes_fresh',
      'Whether the Kubernetes API was heard of lately.',
      ['path'],
    )
    let up = true
    for (const picture of this.#pictures) {
      picture.write(builder, at)
      const fresh = picture.fresh(at)
      freshness.set(fresh ? 1 : 0, { path: picture.path })
      up &&= fresh
    }
    if (this.#podsFresh(at)) this.#agents?.write(builder, at)
    else this.#agents?.sleep(builder, at)
    this.#self?.set('up', [{ name: 'up', labels: {}, value: up ? 1 : 0 }])
    this.#self?.write(builder, at)
    this.#say(builder)
    await sink.push(builder.build(), clock.timeout(config.interval, this.#life.signal))
    this.#received.samples(builder.length)
  }

  #say(builder: BatchBuilder): void {
    const { rejections } = builder
    this.#received.rejections(rejections)
    const limited = rejections.find((r) => r.reason === 'series_limit')
    if (limited && !this.#limited)
      this.#deps.log.warn({ why: limited.example }, 'part of the cluster is left out')
    this.#limited = limited !== undefined
  }

  #podsFresh(now: Instant): boolean {
    return this.#pictures.filter((p) => p.plural === 'pods').every((p) => p.fresh(now))
  }

  list(agent?: string): readonly AgentPod[] {
    return [...this.#pods.values()]
      .flatMap((p) => p.agent ?? [])
      .filter((p) => agent === undefined || p.agent === agent)
      .sort((a, b) => a.namespace.localeCompare(b.namespace, 'en') || a.pod.localeCompare(b.pod, 'en'))
  }

  fresh(): boolean {
    return this.#pictures.length > 0 && this.#podsFresh(this.#deps.clock.now())
  }
}

/**
 * Watches the cluster once started and writes its series every interval. An API server that is away is looked for with growing waits; its
 * series end by stale markers `stale_after` after it was heard of last.
 */
export const createKubernetesReceiver = (deps: KubernetesReceiverDeps): KubernetesReceiver =>
  new Receiver(deps)
