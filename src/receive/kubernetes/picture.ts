// One watched resource: its objects as series, kept as the watch tells, and believed as long as it speaks.
import type { Clock } from '../../lib/clock.ts'
import type { KubernetesApi, KubernetesObject } from '../../lib/kubernetes.ts'
import { createKubernetesWatch, type KubernetesWatch } from '../../lib/kubernetes-watch.ts'
import type { Logger } from '../../lib/log.ts'
import type { Duration, Instant } from '../../lib/time.ts'
import type { BatchBuilder } from '../../model/batch-builder.ts'
import type { Counter, Gauge } from '../../model/ports/metrics.ts'
import type { WatchedResource } from './resources.ts'
import { textOf } from './row.ts'
import { type BookLimits, SeriesBook } from './series-book.ts'

export interface PictureDeps {
  readonly resource: WatchedResource
  readonly path: string
  readonly base: Readonly<Record<string, string>>
  readonly limits: BookLimits
  /** An object that came or changed, null where it went; for what hangs on it beside its own series. */
  readonly also: (key: string, object: KubernetesObject | null) => void
  readonly staleAfter: Duration
  readonly clock: Clock
  readonly log: Logger
  readonly failures: Counter
  readonly objects: Gauge
  readonly random?: () => number
}

const keyOf = ({ metadata }: KubernetesObject): string =>
  `${textOf(metadata?.namespace)}/${textOf(metadata?.name)}`

export class Picture {
  readonly #deps: PictureDeps
  readonly #book: SeriesBook
  readonly #keys = new Set<string>()
  #watch: KubernetesWatch | null = null
  #why = ''
  #saidStale = false

  constructor(deps: PictureDeps) {
    this.#deps = deps
    this.#book = new SeriesBook(deps.base, deps.limits)
  }

  get path(): string {
    return this.#deps.path
  }
  get plural(): string {
    return this.#deps.resource.plural
  }

  run(api: KubernetesApi, signal: AbortSignal): Promise<void> {
    const { path, clock, random } = this.#deps
    this.#watch = createKubernetesWatch({
      api,
      path,
      clock,
      ...(random ? { random } : {}),
      replace: (items) => this.#replace(items),
      changed: (type, object) => (type === 'DELETED' ? this.#gone(keyOf(object)) : this.#came(object)),
      trouble: (why) => this.trouble(why),
    })
    return this.#watch.run(signal)
  }

  #replace(items: readonly KubernetesObject[]): void {
    const keep = new Set(items.map(keyOf))
    for (const key of this.#keys) if (!keep.has(key)) this.#gone(key)
    for (const item of items) this.#came(item)
  }

  #came(object: KubernetesObject): void {
    const { resource, also, objects } = this.#deps
    const key = keyOf(object)
    this.#keys.add(key)
    this.#book.set(key, resource.rowsOf(object))
    also(key, object)
    objects.set(this.#keys.size, { path: this.path })
  }

  #gone(key: string): void {
    if (!this.#keys.delete(key)) return
    this.#book.delete(key)
    this.#deps.also(key, null)
    this.#deps.objects.set(this.#keys.size, { path: this.path })
  }

  /** Said when it begins and when it ends. */
  trouble(why: string): void {
    const { log, path } = this.#deps
    if (why === '') {
      if (this.#why !== '') log.info({ path }, 'cluster is watched again')
      this.#why = ''
      return
    }
    this.#deps.failures.add(1, { path })
    if (this.#why !== why) log.warn({ path, why }, 'cluster could not be watched')
    this.#why = why
  }

  /** Whether the server spoke of this resource lately enough to be believed. */
  fresh(now: Instant): boolean {
    const heardAt = this.#watch?.heardAt() ?? null
    return heardAt !== null && now - heardAt <= this.#deps.staleAfter
  }

  write(builder: BatchBuilder, at: Instant): void {
    const { log, path } = this.#deps
    if (this.fresh(at)) {
      this.#saidStale = false
      this.#book.write(builder, at)
      return
    }
    this.#book.sleep(builder, at)
    // Before the first list there is nothing to end.
    if (this.#saidStale || this.#keys.size === 0) return
    this.#saidStale = true
    log.error(
      { path, objects: this.#keys.size, why: this.#why },
      'cluster is silent: what was known of it ends here',
    )
  }
}
