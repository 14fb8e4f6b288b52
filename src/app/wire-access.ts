// Trust: who asks, and whether they may, at every door.
import { createAccess, type Access as Room } from '../access/access.ts'
import type { Authenticate } from '../api/server.ts'
import { AppError } from '../lib/errors.ts'
import type { Actor } from '../model/actor.ts'
import type { Authorizer, Verb } from '../model/ports/authorizer.ts'
import type { Context } from './context.ts'

export interface Access {
  readonly http: Authenticate
  readonly grpc: (headers: Readonly<Record<string, string | undefined>>) => Actor | null
  /** For clients that bring a user and password: the password is a token. */
  readonly byPassword: (password: string) => boolean
  readonly authorizer: Authorizer
  /** Whether callers from this machine need no token. */
  readonly passwordless: boolean
}

/** Questions that come by POST because they are long. */
const asked =
  /^\/api\/v1\/(query|query_range|query_exemplars|labels|series|format_query|label\/[^/]+\/values)$/
const samples =
  /^\/(v1\/(metrics|traces|logs)|api\/v1\/(write|otlp\/.*)|api\/ops\/v1\/(events|costs)|metrics\/job.*)$/
const acting = /^\/api\/ops\/v1\/(actions|decisions|rollouts|escalations)\b/
/** Probes, links that carry their own right, and hooks, which look at their own signatures. */
const open = /^\/(-\/(healthy|ready)|oncall\/ack\/[^/]+|api\/ops\/v1\/hooks\/[^/]+)$/

/** What a request does, to what: the terms in which roles are written. */
const meaning = (method: string, path: string): { verb: Verb; thing: string } => {
  if (method === 'GET' || method === 'HEAD' || asked.test(path)) return { verb: 'read', thing: 'data' }
  if (samples.test(path)) return { verb: 'write', thing: 'samples' }
  if (path.startsWith('/api/v1/admin/')) return { verb: 'write', thing: 'process' }
  if (path.startsWith('/-/')) return { verb: 'write', thing: 'config' }
  return acting.test(path) ? { verb: 'act', thing: 'actions' } : { verb: 'write', thing: 'records' }
}

const hostOf = (url: string | null | undefined): string[] => (url ? [new URL(url).hostname] : [])

/** Who comes to an open door without a token. */
export const anonymous: Actor = { id: 'anonymous:link', kind: 'anonymous' }

const httpGate =
  (room: Room): Authenticate =>
  ({ authorization, host, origin, remoteAddress, forwarded, method, path }) => {
    const actor = room.authenticate({ authorization, remoteAddress, host, origin, forwarded })
    if (actor instanceof AppError) {
      // A foreign host or origin is turned away here too.
      if (actor.code === 'unauthorized' && open.test(path)) return anonymous
      throw actor
    }
    const { verb, thing } = meaning(method, path)
    const why = open.test(path) ? null : room.may(actor, verb, thing)
    if (why !== null) throw new AppError('forbidden', why)
    return actor
  }

export const wireAccess = (context: Context): Access => {
  const { config } = context.settings
  const log = context.log.child({ room: 'access' })
  const hosts = [
    ...config.access.hosts,
    ...hostOf(context.externalURL()),
    ...hostOf(config.oncall?.publicURL),
  ]
  const room = createAccess({ config: { ...config.access, hosts }, log, metrics: context.metrics })
  if (room.open) log.warn('whoever calls from this machine needs no token (access.anonymous_loopback)')
  return {
    http: httpGate(room),
    authorizer: room,
    passwordless: room.open,
    grpc: (headers) => {
      const actor = room.authenticate({
        authorization: headers['authorization'],
        remoteAddress: headers['x-peer-address'],
        host: headers[':authority'] ?? headers['host'],
        origin: undefined,
      })
      return actor instanceof AppError || room.may(actor, 'write', 'samples') !== null ? null : actor
    },
    byPassword: (password) => {
      const actor = room.authenticate({
        authorization: `Bearer ${password}`,
        remoteAddress: undefined,
        host: '127.0.0.1',
        origin: undefined,
      })
      return !(actor instanceof AppError) && room.may(actor, 'read', 'data') === null
    },
  }
}
