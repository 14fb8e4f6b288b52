// Trust: who asks, at every door.
import type { Authenticate } from '../api/server.ts'
import { AppError } from '../lib/errors.ts'
import type { Actor } from '../model/actor.ts'
import type { Ledger } from '../model/ports/ledger.ts'
import type { Context } from './context.ts'

export interface Access {
  readonly http: Authenticate
  readonly grpc: (headers: Readonly<Record<string, string | undefined>>) => Actor | null
}

const loopback = /^(localhost|127(\.\d{1,3}){3}|\[::1\])(:\d+)?$/i
const anonymous: Actor = { id: 'anonymous:loopback', kind: 'anonymous' }

export const wireAccess = (_context: Context, _ledger: Ledger): Access => ({
  http: ({ host, origin }) => {
    if (!host || !loopback.test(host))
      throw new AppError('forbidden', `host ${host} is not ours; list it under listen.hosts`)
    if (origin && new URL(origin).host !== host)
      throw new AppError('forbidden', `origin ${origin} may not call ${host}`)
    return anonymous
  },
  grpc: () => anonymous,
})
