// A receiver of HTTP calls on loopback that remembers each one as it came: path, headers and the very bytes.
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface SunkCall {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly raw: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever was posted
  readonly body: any
  /** Milliseconds since 1970. */
  readonly at: number
}

export interface HttpSink {
  readonly url: string
  readonly calls: SunkCall[]
  /** Calls of one path. */
  to(path: string): SunkCall[]
  close(): Promise<void>
}

const parsed = (raw: string): unknown => {
  try {
    return JSON.parse(raw)
  } catch {
    return raw
  }
}

/** `status` says what each call is answered with; 200 when left out. */
export const startSink = async (status: (call: SunkCall) => number = () => 200): Promise<HttpSink> => {
  const calls: SunkCall[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const raw = Buffer.concat(parts).toString('utf8')
      const { method = '', url: path = '', headers } = request
      const call: SunkCall = { method, path, headers, raw, body: parsed(raw), at: Date.now() }
      calls.push(call)
      response.writeHead(status(call), { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    to: (path) => calls.filter((c) => c.path === path),
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
