// Watches the machine Airboss runs on.
import {
  arch,
  availableParallelism,
  cpus,
  freemem,
  hostname,
  loadavg,
  platform,
  release,
  totalmem,
  uptime,
} from 'node:os'
import { z } from 'zod'
import { type Clock, every } from '../../lib/clock.ts'
import { durationSchema } from '../../lib/config.ts'
import { messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { type Duration, type Instant, second } from '../../lib/time.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import { labelsOf } from '../../model/labels.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'
import { createLinuxReader, type LinuxReading } from './read-linux.ts'
import { type Emit, emitLinux, emitLoad, hostMetrics } from './series.ts'

/** `host:` in airboss.yaml. */
export const hostConfigSchema = z
  .strictObject({
    enabled: z.boolean().default(true),
    interval: durationSchema
      .refine((d) => d >= 1000, 'must be at least 1s')
      .default((10 * second) as Duration),
  })
  .prefault({})

export interface HostReceiverDeps {
  readonly interval: Duration
  readonly table: SeriesTable
  readonly sink: Sink
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** What Node knows of a machine that is not Linux. */
const emitOther = (emit: Emit): void => {
  cpus().forEach((cpu, i) => {
    const { user, nice, sys, idle, irq } = cpu.times
    for (const [mode, ms] of Object.entries({ user, nice, system: sys, idle, interrupt: irq }))
      emit('system_cpu_time_seconds_total', ms / 1000, { cpu_mode: mode, cpu_logical_number: String(i) })
  })
  const total = totalmem()
  const free = freemem()
  emit('system_cpu_logical_count', availableParallelism())
  emit('system_memory_limit_bytes', total)
  for (const [state, bytes] of [['used', total - free] as const, ['free', free] as const]) {
    emit('system_memory_usage_bytes', bytes, { system_memory_state: state })
    emit('system_memory_utilization_ratio', bytes / total, { system_memory_state: state })
  }
  if (platform() !== 'win32') emitLoad(emit, loadavg())
  emit('system_uptime_seconds', uptime())
}

class HostReceiver implements Service {
  readonly #deps: HostReceiverDeps
  readonly #stop = new AbortController()
  readonly #read: (() => Promise<LinuxReading>) | null
  readonly #refs = new Map<string, SeriesRef>()
  readonly #said = new Set<string>()
  readonly #identity = { job: 'host', instance: hostname() }
  #before: LinuxReading | null = null
  #told = false
  #running: Promise<void> = Promise.resolve()

  constructor(deps: HostReceiverDeps) {
    this.#deps = deps
    this.#read = platform() === 'linux' ? createLinuxReader(deps.clock) : null
  }

  async start(): Promise<void> {
    const { clock, interval, log, metrics } = this.#deps
    const failures = metrics.counter('airboss_host_failures_total', 'Looks at this machine that failed.')
    const failed = (error: unknown): void => {
      failures.add()
      log.warn({ why: messageOf(error) }, 'host metrics not taken')
    }
    if (!this.#read)
      log.info(
        { platform: platform() },
        'host metrics: only what Node knows; disks, network and processes need Linux',
      )
    const look = (at: Instant): Promise<void> => {
      this.#running = this.#collect(at)
      return this.#running
    }
    await look(clock.now()).catch(failed)
    if (this.#stop.signal.aborted) return
    // Shares of CPU time need two looks; the second comes soon, whatever the interval is.
    const soon = clock.after(second, () => void look(clock.now()).catch(failed))
    this.#stop.signal.addEventListener('abort', () => soon.cancel(), { once: true })
    every(clock, interval, look, { signal: this.#stop.signal, failed })
  }

  async drain(): Promise<void> {
    this.#stop.abort()
    await this.#running.catch(() => undefined)
  }

  async #collect(at: Instant): Promise<void> {
    const { table, limits, sink, clock } = this.#deps
    const now = this.#read ? await this.#read() : null
    const builder = new BatchBuilder(table, limits, at)
    const emit: Emit = (name, value, labels) => this.#emit(builder, at, name, value, labels)
    if (now) {
      emitLinux(emit, now, this.#before)
      this.#say(now)
    } else emitOther(emit)
    emit('target_info', 1, {
      host_name: hostname(),
      host_arch: arch(),
      os_type: platform(),
      os_version: release(),
    })
    if (!this.#told)
      for (const [metric, about] of Object.entries(hostMetrics)) builder.metadata.push({ metric, ...about })
    for (const r of builder.rejections) this.#once(r.reason, r.example)
    await sink.push(builder.build(), clock.timeout(this.#deps.interval, this.#stop.signal))
    this.#told = true
    this.#before = now
  }

  #emit(
    builder: BatchBuilder,
    at: Instant,
    name: string,
    value: number,
    labels: Readonly<Record<string, string>> = {},
  ): void {
    if (!Number.isFinite(value)) return
    const key = `${name}\u00ff${Object.values(labels).join('\u00ff')}`
    let ref = this.#refs.get(key)
    if (ref === undefined) {
      ref = builder.series(labelsOf({ ...labels, ...this.#identity, __name__: name }))
      if (ref < 0) {
        builder.reject(builder.lastReason, builder.lastExample)
        return
      }
      this.#refs.set(key, ref)
    }
    builder.add(ref, at, value)
  }

  #say(now: LinuxReading): void {
    for (const [what, why] of now.problems) this.#once(what, why)
    for (const what of this.#said)
      if (what.startsWith('/') && !now.problems.has(what)) this.#said.delete(what)
  }

  // Said when it begins; said again only after it had gone.
  #once(what: string, why: string): void {
    if (this.#said.has(what)) return
    this.#said.add(what)
    this.#deps.log.warn({ what, why }, 'part of the host metrics is missing')
  }
}

/** Pushes this machine's series at once when started, and then every interval. Samples carry `job="host"` and `instance="<host name>"`. */
export const createHostReceiver = (deps: HostReceiverDeps): Service => new HostReceiver(deps)
