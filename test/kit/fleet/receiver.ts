// A small receiver of pages, chat messages and action webhooks: it remembers, tells, and acknowledges after a while.
import { createHmac, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Call {
  readonly path: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever was posted
  readonly body: any
}

export interface ReceiverOptions {
  readonly secret: string
  readonly say: (line: string) => void
  /** Who answers pages, and how long they take, in milliseconds; others never do. */
  readonly answers: Readonly<Record<string, number>>
  /** Carries out a signed action. */
  readonly act: (action: { kind: string; subject: string; params: Record<string, unknown> }) => void
}

const maxBytes = 4 << 20
const bodyOf = async (request: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = []
  let size = 0
  for await (const part of request) {
    size += (part as Buffer).length
    if (size > maxBytes) throw new Error('too large')
    parts.push(part as Buffer)
  }
  return Buffer.concat(parts).toString()
}

/** Whether `X-Airboss-Signature` is ours and not older than five minutes. */
const signed = (header: string | undefined, body: string, secret: string): boolean => {
  const m = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(header ?? '')
  if (!m || Math.abs(Date.now() / 1000 - Number(m[1])) > 300) return false
  const expected = createHmac('sha256', secret).update(`${m[1]}.${body}`).digest()
  return timingSafeEqual(expected, Buffer.from(m[2]!, 'hex'))
}

const summaryOf = (body: Call['body']): string =>
  [
    ...new Set(
      (body.alerts as { annotations: Record<string, string>; labels: Record<string, string> }[]).map(
        (a) => a.annotations['summary'] ?? a.labels['alertname'],
      ),
    ),
  ].join('; ')

/** What it got, as a scrape reads it. */
const exposition = (calls: readonly Call[]): string => {
  const counts = new Map<string, number>()
  for (const { path } of calls) counts.set(path, (counts.get(path) ?? 0) + 1)
  const lines = [...counts].map(([path, n]) => `demo_receiver_calls_total{path="${path}"} ${n}`)
  return ['# TYPE demo_receiver_calls_total counter', ...lines, ''].join('\n')
}

export const startReceiver = async ({ secret, say, answers, act }: ReceiverOptions) => {
  const calls: Call[] = []
  const done = new Set<string>()
  const timers = new Set<NodeJS.Timeout>()
  let stumbled = false

  const acknowledge = async (user: string, url: string): Promise<void> => {
    const answer = await fetch(url, { method: 'POST' })
    await answer.arrayBuffer()
    say(
      answer.ok
        ? `${user} acknowledges; nobody else is paged`
        : `${user} could not acknowledge: ${answer.status}`,
    )
  }
  const page = (user: string, body: Call['body']): number => {
    const resolved = body.status === 'resolved'
    say(
      resolved
        ? `${user} is told that it is over: ${summaryOf(body)}`
        : `page to ${user}: ${summaryOf(body)}`,
    )
    const after = answers[user]
    if (!resolved && after !== undefined && body.ack_url) {
      const timer = setTimeout(() => {
        timers.delete(timer)
        acknowledge(user, body.ack_url).catch((error: Error) =>
          say(`${user} could not acknowledge: ${error.message}`),
        )
      }, after)
      timers.add(timer)
    }
    return 200
  }
  const action = (request: IncomingMessage, text: string, body: Call['body']): number => {
    if (!signed(request.headers['x-airboss-signature'] as string | undefined, text, secret)) return 401
    const key = String(request.headers['idempotency-key'])
    if (done.has(key)) return 200
    done.add(key)
    const { kind, subject, params, reason } = body.action
    say(`${kind} of ${subject} called: ${reason}`)
    act({ kind, subject, params })
    return 200
  }
  const answer = (request: IncomingMessage, text: string): number => {
    const path = request.url ?? '/'
    const body = text === '' ? {} : JSON.parse(text)
    calls.push({ path, body })
    if (path.startsWith('/page/')) return page(path.slice(6), body)
    if (path === '/act') return action(request, text, body)
    if (path === '/chat') {
      // The chat is away for its first message: it is tried again.
      if (!stumbled) {
        stumbled = true
        return 503
      }
      say(`chat: ${body.status === 'resolved' ? 'over: ' : ''}${summaryOf(body)}`)
      return 200
    }
    // A webhook that was given up and that nobody removed from the routes.
    return path === '/retired' ? 410 : 404
  }
  const server = createServer((request, response) => {
    if (request.url === '/metrics') return void response.end(exposition(calls))
    bodyOf(request).then(
      (text) => response.writeHead(answer(request, text), { 'content-type': 'application/json' }).end('{}'),
      () => response.destroy(),
    )
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    close: (): Promise<void> => {
      for (const timer of timers) clearTimeout(timer)
      server.closeAllConnections()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
