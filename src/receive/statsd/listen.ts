// Sockets that lines come in by: datagrams, and streams cut at the end of each line.
import { createSocket } from 'node:dgram'
import { createServer, isIPv6, type Socket } from 'node:net'
import { AppError } from '../../lib/errors.ts'

export interface HostPort {
  readonly host: string
  readonly port: number
}

export interface Listener {
  readonly port: number
  close(): Promise<void>
}

const mostConnections = 1000
/** A line that grows past this without an end is cut off with its connection. */
const mostOpen = 64 << 10
/** Room that the kernel keeps for datagrams while the process is busy. */
const kernelRoom = 4 << 20

const failedToListen = ({ host, port }: HostPort, error: NodeJS.ErrnoException): AppError =>
  new AppError(
    'unavailable',
    `statsd: cannot listen on ${host}:${port}: ${error.code ?? error.message}; choose another address or stop what holds it`,
    { cause: error },
  )

export const listenUdp = (
  at: HostPort,
  data: (bytes: Buffer) => void,
  failed: (error: unknown) => void,
): Promise<Listener> =>
  new Promise((resolve, reject) => {
    const socket = createSocket({ type: isIPv6(at.host) ? 'udp6' : 'udp4' })
    const refuse = (error: NodeJS.ErrnoException): void => reject(failedToListen(at, error))
    socket.once('error', refuse)
    socket.on('message', data)
    socket.bind(at.port, at.host || undefined, () => {
      socket.off('error', refuse)
      socket.on('error', failed)
      try {
        socket.setRecvBufferSize(kernelRoom)
      } catch (error) {
        failed(error)
      }
      resolve({ port: socket.address().port, close: () => new Promise((done) => socket.close(() => done())) })
    })
  })

const newline = 10

/** Whole lines of one connection. */
const cutter = (socket: Socket, data: (bytes: Buffer) => void, tooLong: () => void) => {
  let open: Buffer = Buffer.alloc(0)
  socket.on('data', (bytes: Buffer) => {
    const all = open.length === 0 ? bytes : Buffer.concat([open, bytes])
    const end = all.lastIndexOf(newline) + 1
    if (end > 0) data(all.subarray(0, end))
    open = Buffer.from(all.subarray(end))
    if (open.length <= mostOpen) return
    tooLong()
    socket.destroy()
  })
  // The last line needs no newline where the sender hangs up after it.
  socket.on('end', () => {
    if (open.length > 0) data(open)
  })
}

export const listenTcp = (
  at: HostPort,
  data: (bytes: Buffer) => void,
  failed: (error: unknown) => void,
  tooLong: () => void,
): Promise<Listener> =>
  new Promise((resolve, reject) => {
    const sockets = new Set<Socket>()
    const server = createServer((socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      // A sender that breaks off has only itself to blame.
      socket.on('error', () => socket.destroy())
      cutter(socket, data, tooLong)
    })
    server.maxConnections = mostConnections
    const refuse = (error: NodeJS.ErrnoException): void => reject(failedToListen(at, error))
    server.once('error', refuse)
    server.listen(at.port, at.host || undefined, () => {
      server.off('error', refuse)
      server.on('error', failed)
      const bound = server.address()
      resolve({
        port: typeof bound === 'object' && bound !== null ? bound.port : at.port,
        close: () =>
          new Promise((done) => {
            for (const socket of sockets) socket.destroy()
            server.close(() => done())
          }),
      })
    })
  })
