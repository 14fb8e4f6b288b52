// Takes an address before anything answers on it: what it is (a free port, a name for every interface) can stand in links from then on.
import { createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { AppError } from '../lib/errors.ts'

export interface TakenAddress {
  /** Holds the port; connections are closed until a server listens on it. */
  readonly held: Server
  readonly port: number
  /** `http://host:port` by which the same machine reaches it. */
  readonly local: string
  /** The same for others: with this machine's name where every interface is listened on. */
  readonly reachable: string
  release(): void
}

/** Splits `host:port`, with `[::1]:port` for IPv6; throws `bad_data` with the mend. */
export const splitAddress = (address: string): { host: string; port: number } => {
  const m = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(address)
  const port = Number(m?.[3])
  if (!m || port > 65_535)
    throw new AppError(
      'bad_data',
      `address ${JSON.stringify(address)}: write it as host:port, for example 127.0.0.1:9900`,
    )
  return { host: m[1] ?? m[2] ?? '', port }
}

const everywhere = new Set(['', '0.0.0.0', '::'])
const urlOf = (host: string, port: number): string =>
  `http://${host.includes(':') ? `[${host}]` : host}:${port}`

/** Rejects `unavailable` when somebody else has it. `name` says in errors what it is for. */
export const takeAddress = (name: string, listen: string): Promise<TakenAddress> => {
  const { host, port: wanted } = splitAddress(listen)
  return new Promise((resolve, reject) => {
    const held = createServer((socket) => socket.destroy())
    held.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new AppError(
          'unavailable',
          `${name}: cannot listen on ${listen}: ${error.code ?? error.message}; choose another address or stop what holds it`,
          { cause: error },
        ),
      ),
    )
    held.listen(wanted, host || undefined, () => {
      const bound = held.address()
      const port = typeof bound === 'object' && bound !== null ? bound.port : wanted
      const all = everywhere.has(host)
      resolve({
        held,
        port,
        local: urlOf(host || '127.0.0.1', port),
        reachable: urlOf(all ? hostname() : host, port),
        release: () => void held.close(),
      })
    })
  })
}
