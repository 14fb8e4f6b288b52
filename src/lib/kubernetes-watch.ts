// Keeps a picture of one Kubernetes resource: lists it, watches it, and lists again when the server has forgotten where we were.
import { type Backoff, backoff } from './backoff.ts'
import type { Clock } from './clock.ts'
import { messageOf } from './errors.ts'
import { type KubernetesApi, type KubernetesObject, statusWords } from './kubernetes.ts'
import { type Duration, duration, type Instant, minute, second } from './time.ts'

export interface KubernetesWatchDeps {
  readonly api: KubernetesApi
  /** `/api/v1/pods`. */
  readonly path: string
  readonly query?: Readonly<Record<string, string>>
  /** Everything there is, after a list; what is not in it has gone. */
  readonly replace: (items: readonly KubernetesObject[]) => void
  readonly changed: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubernetesObject) => void
  /** Called when a list or watch fails, with how often in a row; and with '' once it works again. */
  readonly trouble: (why: string, failures: number) => void
  readonly clock: Clock
  readonly random?: () => number
}

export interface KubernetesWatch {
  /** Lists and watches until `signal` is aborted; resolves then. */
  run(signal: AbortSignal): Promise<void>
  /** When the server last said something about this resource; null before the first list. */
  heardAt(): Instant | null
  readonly lists: number
}

const waits: Backoff = { first: second, most: duration(60_000) }
const pageSize = 500
const listTime = duration(60_000)
/** A bookmark comes about every minute: after this much silence the connection is taken for dead. */
const silence = duration(150_000)
/** The server ends a watch by itself after this, up to twice as long. */
const watchTime = duration(300_000)

/** Why a list or watch was refused, with the mend that Kubernetes does not name. */
const refused = (what: string, path: string, status: number, why: string): Error =>
  new Error(`${what} ${path}: ${why}${status === 403 ? '; give the account get, list and watch on it' : ''}`)

/** The server has forgotten the version asked for. */
class Gone extends Error {}

class Reflector implements KubernetesWatch {
  readonly #deps: KubernetesWatchDeps
  #version = ''
  #heardAt: Instant | null = null
  #failures = 0
  #listedAt = Number.NEGATIVE_INFINITY
  lists = 0

  constructor(deps: KubernetesWatchDeps) {
    this.#deps = deps
  }

  heardAt(): Instant | null {
    return this.#heardAt
  }

  async run(signal: AbortSignal): Promise<void> {
    const { clock, trouble, random } = this.#deps
    while (!signal.aborted) {
      try {
        if (this.#version === '') await this.#list(signal)
        await this.#watch(signal)
      } catch (error) {
        if (signal.aborted) return
        // Once is the way of things and costs a new list; over and over is trouble as any other.
        const gone = error instanceof Gone
        if (gone) this.#version = ''
        if (gone && clock.monotonic() - this.#listedAt > minute) continue
        this.#failures++
        trouble(messageOf(error), this.#failures)
        await clock.sleep(backoff(waits, this.#failures, random), signal).catch(() => undefined)
      }
    }
  }

  #heard(): void {
    this.#heardAt = this.#deps.clock.now()
    if (this.#failures === 0) return
    this.#failures = 0
    this.#deps.trouble('', 0)
  }

  /** All pages of one moment. A page whose moment is forgotten makes it begin again, then in one piece. */
  async #list(signal: AbortSignal): Promise<void> {
    const { api, clock, path, query } = this.#deps
    let items: KubernetesObject[] = []
    let limit = pageSize
    let next = ''
    for (;;) {
      const page = next === '' ? {} : { continue: next }
      const size = limit > 0 ? { limit } : {}
      const answer = await api.send({
        path,
        query: { ...query, ...size, ...page },
        signal: clock.timeout(listTime, signal),
      })
      if (answer.status === 410 && next !== '') {
        items = []
        limit = 0
        next = ''
        continue
      }
      if (answer.status !== 200) throw refused('list', path, answer.status, statusWords(answer))
      const { metadata, items: found } = answer.body
      if (!Array.isArray(found) || typeof metadata?.resourceVersion !== 'string')
        throw new Error(`list ${path}: the answer is no list`)
      items.push(...found)
      next = typeof metadata.continue === 'string' ? metadata.continue : ''
      if (next !== '') continue
      this.#version = metadata.resourceVersion
      this.lists++
      this.#listedAt = clock.monotonic()
      this.#heardAt = clock.now()
      this.#deps.replace(items)
      return
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { api, clock, path, query, random = Math.random } = this.#deps
    const dead = new AbortController()
    let timer = clock.after(silence, () => dead.abort(new Error('the watch fell silent')))
    const life = AbortSignal.any([signal, dead.signal])
    const seconds = Math.round((watchTime * (1 + random())) / second)
    const asked = {
      ...query,
      resourceVersion: this.#version,
      allowWatchBookmarks: true,
      timeoutSeconds: seconds,
    }
    const openedAt = clock.monotonic()
    let events = 0
    try {
      const stream = await api.watch(path, asked, life)
      if (stream.status === 410) throw new Gone(stream.why)
      if (stream.status !== 200) throw refused('watch', path, stream.status, stream.why)
      this.#heard()
      for await (const line of stream.lines) {
        timer.cancel()
        timer = clock.after(silence, () => dead.abort(new Error('the watch fell silent')))
        this.#event(line)
        events++
      }
    } finally {
      timer.cancel()
      // What is still open of it ends here.
      dead.abort()
    }
    // A server that ends watches as soon as they are opened is not to be asked in a tight loop.
    if (events === 0 && clock.monotonic() - openedAt < second)
      await clock.sleep(second as Duration, signal).catch(() => undefined)
  }

  #event(line: string): void {
    if (line.trim() === '') return
    const { type, object } = JSON.parse(line) as { type: string; object: KubernetesObject }
    if (type === 'ERROR') {
      if (object?.code === 410) throw new Gone(String(object.message ?? 'the version is too old'))
      throw new Error(
        `watch ${this.#deps.path}: ${statusWords({ status: Number(object?.code ?? 0), body: object })}`,
      )
    }
    const version = object?.metadata?.resourceVersion
    if (type !== 'BOOKMARK') this.#deps.changed(type as 'ADDED' | 'MODIFIED' | 'DELETED', object)
    if (typeof version === 'string' && version !== '') this.#version = version
    this.#heard()
  }
}

/** A watch of one resource. It never ends by itself: what fails is tried again, with growing waits of at most a minute. */
export const createKubernetesWatch = (deps: KubernetesWatchDeps): KubernetesWatch => new Reflector(deps)
