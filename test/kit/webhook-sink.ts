// A receiver of webhooks on loopback that remembers what it was sent, and can be told to hang or to fail.
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly raw: Buffer
  /** Parsed where it is JSON, else the text. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read bodies of many shapes.
  readonly body: any
  /** Milliseconds since the epoch. */
  readonly at: number
}

export interface WebhookSink {
  readonly url: string
  readonly got: Received[]
  /** How requests are answered from now on; `hang` keeps them waiting. */
  answer: (request: Received) => number | 'hang'
  close(): Promise<void>
}

const parsed = (raw: Buffer): unknown => {
  const text = raw.toString('utf8')
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

export const startWebhookSink = async (): Promise<WebhookSink> => {
  const got: Received[] = []
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => {
      const raw = Buffer.concat(parts)
      const one = {
        path: request.url ?? '',
        headers: request.headers,
        raw,
        body: parsed(raw),
        at: Date.now(),
      }
      got.push(one)
      const status = sink.answer(one)
      if (status !== 'hang') response.writeHead(status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const sink: WebhookSink = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    got,
    answer: () => 200,
    close: () =>
      new Promise((done) => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
  return sink
}
