// Lists and watches one kind of Kubernetes object, for as long as its signal lets it: starts over on 410, goes on after every failure.
import { backoff } from '../../../lib/backoff.ts'
import type { Clock } from '../../../lib/clock.ts'
import { AppError } from '../../../lib/errors.ts'
import type { HttpOpen, HttpSend } from '../../../lib/http.ts'
import { duration, minute, second } from '../../../lib/time.ts'
import type { KubeObject } from './kubernetes-objects.ts'

/** The API server: where it is, and how it is asked. */
export interface KubeApi {
  readonly server: string
  readonly send: HttpSend
  readonly open: HttpOpen
}

export interface WatchDeps {
  readonly api: KubeApi
  readonly clock: Clock
  /** Without namespace in front: `/api/v1/pods`. */
  readonly path: string
  readonly selector: { readonly label: string; readonly field: string }
  /** All there are now; what is not among them is gone. */
  readonly listed: (objects: readonly KubeObject[]) => void
  readonly event: (type: 'ADDED' | 'MODIFIED' | 'DELETED', object: KubeObject) => void
  readonly failed: (error: unknown) => void
  readonly worked: () => void
}

interface Meta {
  readonly resourceVersion?: string
  readonly continue?: string
}
interface WatchEvent {
  readonly type: string
  readonly object: KubeObject & { readonly code?: number; readonly message?: string }
}

const pageSize = 500
const listTime = minute
const longestPage = 256 << 20
/** Watches end by themselves after 5 to 10 minutes, spread so that not all begin again at once. */
const watchTime = (): number => 300 + Math.floor(Math.random() * 300)
// A watch that is still open so long after it should have ended is dead.
const grace = 30
const pause = { first: second, most: duration(30_000) }

/** What was watched is too old to go on from: everything is listed anew. */
class Expired extends Error {}

const urlOf = ({ api, path, selector }: WatchDeps, params: Readonly<Record<string, string>>): string => {
  const url = new URL(api.server.replace(/\/$/, '') + path)
  if (selector.label !== '') url.searchParams.set('labelSelector', selector.label)
  if (selector.field !== '') url.searchParams.set('fieldSelector', selector.field)
  for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
  return url.href
}

const refusal = (path: string, status: number, body: string): Error => {
  if (status === 410) return new Expired()
  let said = body.slice(0, 300)
  try {
    said = (JSON.parse(body) as { message?: string }).message ?? said
  } catch {
    // It answered something else than a Status; that is shown as it is.
  }
  const mend = status === 403 ? '; give the account get, list and watch on it' : ''
  return new AppError('unavailable', `${path} answered ${status}: ${said}${mend}`)
}

const list = async (
  deps: WatchDeps,
  signal: AbortSignal,
): Promise<{ objects: KubeObject[]; version: string }> => {
  const { api, clock, path } = deps
  const objects: KubeObject[] = []
  let next = ''
  for (;;) {
    const url = urlOf(deps, { limit: String(pageSize), ...(next === '' ? {} : { continue: next }) })
    const answer = await api.send({
      url,
      headers: { accept: 'application/json' },
      signal: clock.timeout(listTime, signal),
      maxBytes: longestPage,
    })
    const body = answer.body.toString('utf8')
    if (answer.status !== 200) throw refusal(path, answer.status, body)
    const page = JSON.parse(body) as { metadata?: Meta; items?: KubeObject[] | null }
    objects.push(...(page.items ?? []))
    next = page.metadata?.continue ?? ''
    if (next === '') return { objects, version: page.metadata?.resourceVersion ?? '' }
  }
}

/** Lines of a stream, as they come. */
async function* linesOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const part of body) {
    rest += decoder.decode(part, { stream: true })
    let end = rest.indexOf('\n')
    while (end >= 0) {
      const line = rest.slice(0, end)
      rest = rest.slice(end + 1)
      end = rest.indexOf('\n')
      if (line.trim() !== '') yield line
    }
  }
}

/** One watch, to its end; gives the version to go on from. */
const watchOnce = async (deps: WatchDeps, from: string, signal: AbortSignal): Promise<string> => {
  const { api, clock, path } = deps
  const lasts = watchTime()
  const url = urlOf(deps, {
    watch: '1',
    allowWatchBookmarks: 'true',
    resourceVersion: from,
    timeoutSeconds: String(lasts),
  })
  const answer = await api.open({
    url,
    headers: { accept: 'application/json' },
    signal: clock.timeout(duration((lasts + grace) * 1000), signal),
  })
  if (answer.status !== 200) {
    const parts: Uint8Array[] = []
    for await (const part of answer.body) parts.push(part)
    throw refusal(path, answer.status, Buffer.concat(parts).toString('utf8'))
  }
  deps.worked()
  let version = from
  for await (const line of linesOf(answer.body)) {
    const { type, object } = JSON.parse(line) as WatchEvent
    if (type === 'ERROR') throw refusal(path, object.code ?? 500, JSON.stringify(object))
    version = object.metadata?.resourceVersion ?? version
    if (type === 'ADDED' || type === 'MODIFIED' || type === 'DELETED') deps.event(type, object)
  }
  return version
}

/** Begins to list and watch; what was listed stays while the API does not answer. Resolves when `signal` aborts, and never rejects. */
export const listAndWatch = async (deps: WatchDeps, signal: AbortSignal): Promise<void> => {
  const { clock, failed } = deps
  let version = ''
  let failures = 0
  while (!signal.aborted) {
    try {
      if (version === '') {
        const all = await list(deps, signal)
        deps.listed(all.objects)
        deps.worked()
        version = all.version
      }
      const began = clock.monotonic()
      version = await watchOnce(deps, version, signal)
      failures = 0
      // A server that ends every watch at once is not asked without a pause.
      if (clock.monotonic() - began < second) await clock.sleep(second, signal)
    } catch (error) {
      if (signal.aborted) return
      const expired = error instanceof Expired
      if (expired) version = ''
      else failed(error)
      failures++
      if (!expired || failures > 1) await clock.sleep(backoff(pause, failures), signal).catch(() => undefined)
    }
  }
}
