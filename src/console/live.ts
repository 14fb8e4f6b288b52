// The stream behind open pages: one look every five seconds for each page that somebody has open, only what changed is sent.
import type { Clock, Timer } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import { duration } from '../lib/time.ts'
import type { Fragment } from './fragment.ts'

export interface StreamEvent {
  readonly event: 'fragment' | 'beat'
  readonly data: string
}
interface Watcher {
  /** Digest of each fragment that the browser has. */
  readonly has: Map<string, string>
  readonly send: (events: readonly StreamEvent[]) => void
}
interface LiveDeps {
  readonly clock: Clock
  readonly log: Logger
  /** All pieces of a page, as they are now. */
  readonly render: (page: string) => Promise<readonly Fragment[]>
  /** What a beat carries. */
  readonly beat: () => unknown
}

const beatEvery = duration(5000)
const mostWatchers = 256

export class Live {
  readonly #deps: LiveDeps
  readonly #pages = new Map<string, Set<Watcher>>()
  #watchers = 0
  #timer: Timer | null = null

  constructor(deps: LiveDeps) {
    this.#deps = deps
  }

  get watchers(): number {
    return this.#watchers
  }

  /** Begins to send to one browser; ends with the returned function. Throws `too_many`. */
  watch(page: string, has: ReadonlyMap<string, string>, send: Watcher['send']): () => void {
    if (this.#watchers >= mostWatchers)
      throw new AppError('too_many', `${mostWatchers} pages are open already; close some`)
    const watcher: Watcher = { has: new Map(has), send }
    const all = this.#pages.get(page) ?? new Set()
    this.#pages.set(page, all.add(watcher))
    this.#watchers++
    send([{ event: 'beat', data: JSON.stringify(this.#deps.beat()) }])
    this.#arm()
    return () => {
      if (!all.delete(watcher)) return
      this.#watchers--
      if (all.size === 0 && this.#pages.get(page) === all) this.#pages.delete(page)
    }
  }

  #arm(): void {
    if (this.#timer) return
    this.#timer = this.#deps.clock.after(beatEvery, () => void this.#tick())
  }

  async #tick(): Promise<void> {
    await Promise.all([...this.#pages].map(([page, watchers]) => this.#look(page, watchers)))
    this.#timer = null
    if (this.#watchers > 0) this.#arm()
  }

  async #look(page: string, watchers: ReadonlySet<Watcher>): Promise<void> {
    let fragments: readonly Fragment[] = []
    try {
      fragments = await this.#deps.render(page)
    } catch (error) {
      // No beat either: the page then says by itself that it is stale.
      this.#deps.log.error({ err: error, page }, 'page could not be kept current')
      return
    }
    const beat: StreamEvent = { event: 'beat', data: JSON.stringify(this.#deps.beat()) }
    for (const watcher of watchers) {
      const news = fragments.filter((f) => watcher.has.get(f.id) !== f.digest)
      for (const f of news) watcher.has.set(f.id, f.digest)
      watcher.send([
        ...news.map(
          (f): StreamEvent => ({ event: 'fragment', data: JSON.stringify({ id: f.id, html: f.html }) }),
        ),
        beat,
      ])
    }
  }
}
