// The watch streams of a fake Kubernetes API server: one JSON event a line, until the time is over or a test ends them.
import type { ServerResponse } from 'node:http'
import type { Resource } from './fake-kubernetes-resources.ts'
import { apiVersionOf } from './fake-kubernetes-resources.ts'
import type { Matches } from './fake-kubernetes-selector.ts'
import { expired, type Json, StatusError } from './fake-kubernetes-status.ts'
import type { Change, FakeStore } from './fake-kubernetes-store.ts'

interface Stream {
  readonly resource: Resource
  readonly matches: Matches
  readonly response: ServerResponse
  readonly bookmarks: boolean
}

export interface Watches {
  open(resource: Resource, matches: Matches, query: URLSearchParams, response: ServerResponse): void
  count(plural?: string): number
  /** Sends a bookmark to those who asked for them. */
  bookmark(): void
  /** An ERROR event with 410 in every stream, which ends it. */
  expire(): void
  /** Ends every stream: in order, or by breaking the connection. */
  close(how: 'end' | 'reset'): void
}

/** How a change looks through a selector: what begins to match is added, what ceases is deleted. */
const seen = ({ type, object, before }: Change, matches: Matches): string | null => {
  const was = before !== null && matches(before)
  const is = type !== 'DELETED' && matches(object)
  if (type === 'DELETED') return was ? 'DELETED' : null
  if (is) return was ? 'MODIFIED' : 'ADDED'
  return was ? 'DELETED' : null
}

const line = (type: string, object: Json): string => `${JSON.stringify({ type, object })}\n`

export const createWatches = (store: FakeStore): Watches => {
  const streams = new Set<Stream>()
  const send = (stream: Stream, change: Change): void => {
    if (change.resource !== stream.resource) return
    const type = seen(change, stream.matches)
    if (type !== null) stream.response.write(line(type, change.object))
  }
  store.onChange((change) => {
    for (const stream of streams) send(stream, change)
  })
  const begin = (stream: Stream, version: string | null): void => {
    if (version === null || version === '' || version === '0') {
      for (const object of store.list(stream.resource).filter(stream.matches))
        stream.response.write(line('ADDED', object))
      return
    }
    for (const change of store.since(stream.resource, Number(version))) send(stream, change)
  }
  return {
    open: (resource, matches, query, response) => {
      const stream = { resource, matches, response, bookmarks: query.get('allowWatchBookmarks') === 'true' }
      response.writeHead(200, { 'content-type': 'application/json' })
      response.flushHeaders()
      try {
        begin(stream, query.get('resourceVersion'))
      } catch (error) {
        if (!(error instanceof StatusError)) throw error
        response.end(line('ERROR', error.body()))
        return
      }
      streams.add(stream)
      const seconds = Number(query.get('timeoutSeconds') ?? 0)
      const timer = seconds > 0 ? setTimeout(() => response.end(), seconds * 1000) : undefined
      response.on('close', () => {
        clearTimeout(timer)
        streams.delete(stream)
      })
    },
    count: (plural) =>
      [...streams].filter((s) => plural === undefined || s.resource.plural === plural).length,
    bookmark: () => {
      for (const { resource, response, bookmarks } of streams)
        if (bookmarks)
          response.write(
            line('BOOKMARK', {
              kind: resource.kind,
              apiVersion: apiVersionOf(resource),
              metadata: { resourceVersion: String(store.version), creationTimestamp: null },
            }),
          )
    },
    expire: () => {
      for (const { response } of streams)
        response.end(line('ERROR', expired('too old resource version').body()))
      streams.clear()
    },
    close: (how) => {
      for (const { response } of streams) {
        if (how === 'end') response.end()
        else response.destroy()
      }
      streams.clear()
    },
  }
}
