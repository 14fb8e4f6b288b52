// Watches the containers and services of the machine Airboss runs on, by their cgroups.
import { hostname } from 'node:os'
import { z } from 'zod'
import { type Clock, every } from '../../lib/clock.ts'
import { durationSchema } from '../../lib/config.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { type Duration, type Instant, second } from '../../lib/time.ts'
import { staleHigh, staleLow } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import { labelsOf, metricName } from '../../model/labels.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'
import { receiveMetrics } from '../receive-metrics.ts'
import type { CgroupReader, Group, GroupReading, Named } from './read-cgroups.ts'
import { containerMetrics, emitGroup, groupLabels } from './series.ts'

/** `containers:` in airboss.yaml. */
export const containersConfigSchema = z
  .strictObject({
    enabled: z.boolean().default(true),
    interval: durationSchema
      .refine((d) => d >= 1000, 'must be at least 1s')
      .default((10 * second) as Duration),
    /** Most containers and services looked at. */
    max: z.int().min(1).default(1000),
    /** Where cgroup version 2 is mounted; in a pod, where the node's is. */
    root: z.string().min(1).default('/sys/fs/cgroup'),
    /** systemd's services too. */
    services: z.boolean().default(true),
  })
  .prefault({})

export type ContainersConfig = z.output<typeof containersConfigSchema>

export interface ContainerReceiverDeps {
  readonly config: ContainersConfig
  readonly reader: CgroupReader
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

interface Known {
  /** By path: the same container under the same names. */
  readonly labels: Readonly<Record<string, string>>
  readonly named: boolean
  readonly refs: Map<string, SeriesRef>
}

class ContainerReceiver implements Service {
  readonly #deps: ContainerReceiverDeps
  readonly #stop = new AbortController()
  readonly #known = new Map<string, Known>()
  readonly #identity = { job: 'containers', instance: hostname() }
  readonly #received
  readonly #count
  readonly #left
  #said = ''
  #told = false
  #running: Promise<void> = Promise.resolve()

  constructor(deps: ContainerReceiverDeps) {
    this.#deps = deps
    this.#received = receiveMetrics(deps.metrics, 'containers')
    this.#count = deps.metrics.gauge('airboss_containers', 'Containers and services looked at.')
    this.#left = deps.metrics.gauge(
      'airboss_containers_left_out',
      'Containers and services over containers.max.',
    )
  }

  async start(): Promise<void> {
    const { clock, config, log, metrics, reader } = this.#deps
    if (!reader.mounted()) {
      log.info({}, 'containers are not looked at: cgroup version 2 is not mounted')
      return
    }
    const failures = metrics.counter('airboss_containers_failures_total', 'Looks at containers that failed.')
    const failed = (error: unknown): void => {
      failures.add()
      log.warn({ why: messageOf(error) }, 'container metrics not taken')
    }
    const look = (at: Instant): Promise<void> => {
      this.#running = this.#collect(at)
      return this.#running
    }
    await look(clock.now()).catch(failed)
    every(clock, config.interval, look, { signal: this.#stop.signal, failed })
  }

  async drain(): Promise<void> {
    this.#stop.abort()
    await this.#running.catch(() => undefined)
  }

  async #collect(at: Instant): Promise<void> {
    const { table, limits, sink, clock, config, reader } = this.#deps
    const found = await reader.find(config.max)
    const wanted = found.groups.filter((g) => config.services || g.identity.unit === '')
    const names = this.#namesFor(wanted)
    const builder = new BatchBuilder(table, limits, at)
    const seen = new Set<string>()
    await reader.read(wanted, (group, reading) => {
      seen.add(group.path)
      this.#write(builder, at, group, reading, names.get(group.identity.containerId))
    })
    for (const [path, known] of this.#known) {
      if (seen.has(path)) continue
      this.#end(builder, at, known.refs.values())
      this.#known.delete(path)
    }
    this.#count.set(seen.size)
    this.#left.set(found.left)
    this.#say(found.left, found.problems[0], builder)
    if (!this.#told)
      for (const [metric, about] of Object.entries(containerMetrics))
        builder.metadata.push({ metric, ...about })
    await sink.push(builder.build(), clock.timeout(config.interval, this.#stop.signal))
    this.#received.samples(builder.length)
    this.#told = true
  }

  /** Log files are looked at only while a container of Kubernetes has no name yet. */
  #namesFor(groups: readonly Group[]): ReadonlyMap<string, Named> {
    const nameless = groups.some(
      ({ path, identity }) => identity.podUid !== '' && !(this.#known.get(path)?.named ?? false),
    )
    return nameless ? this.#deps.reader.names() : new Map()
  }

  #write(
    builder: BatchBuilder,
    at: Instant,
    group: Group,
    reading: GroupReading,
    named: Named | undefined,
  ): void {
    let known = this.#known.get(group.path)
    // A name that comes late makes other series of it.
    if (known && !known.named && named) {
      this.#end(builder, at, known.refs.values())
      known = undefined
    }
    if (!known) {
      known = { labels: groupLabels(group, named), named: named !== undefined, refs: new Map() }
      this.#known.set(group.path, known)
    }
    const { refs, labels } = known
    const written = new Set<string>()
    const emit = (
      name: string,
      value: number | null | undefined,
      more: Readonly<Record<string, string>> = {},
    ): void => {
      if (value === null || value === undefined || !Number.isFinite(value)) return
      const key = `${name}\u00ff${Object.values(more).join('\u00ff')}`
      let ref = refs.get(key)
      if (ref === undefined) {
        ref = builder.series(labelsOf({ ...labels, ...more, ...this.#identity, [metricName]: name }))
        if (ref < 0) {
          builder.reject(builder.lastReason, builder.lastExample)
          return
        }
        refs.set(key, ref)
      }
      written.add(key)
      builder.add(ref, at, value)
    }
    emitGroup(emit, reading, (number) => this.#deps.reader.device(number))
    // A limit that was lifted, a device that went.
    for (const [key, ref] of refs) {
      if (written.has(key)) continue
      this.#end(builder, at, [ref])
      refs.delete(key)
    }
  }

  #end(builder: BatchBuilder, at: Instant, refs: Iterable<SeriesRef>): void {
    for (const ref of refs) builder.addBits(ref, at, staleLow, staleHigh)
  }

  /** Said when it begins or becomes another. */
  #say(left: number, problem: string | undefined, builder: BatchBuilder): void {
    const { rejections } = builder
    this.#received.rejections(rejections)
    const why =
      left > 0
        ? `more than containers.max (${this.#deps.config.max}) containers and services`
        : (problem ?? rejections[0]?.example ?? '')
    if (why !== '' && why !== this.#said)
      this.#deps.log.warn({ why, left }, 'part of the containers is left out')
    this.#said = why
  }
}

/** Pushes the series of this machine's containers at once when started, and then every interval; does nothing where cgroup version 2 is not mounted. */
export const createContainerReceiver = (deps: ContainerReceiverDeps): Service => new ContainerReceiver(deps)
