// A Slack that speaks the true wire format: incoming webhooks answer in text, the Web API in JSON with 200 even for a refusal.
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'

const actionSchema = z.strictObject({
  type: z.string().min(1),
  text: z.string().min(1),
  url: z.string().optional(),
  style: z.string().optional(),
  name: z.string().optional(),
  value: z.string().optional(),
  confirm: z
    .strictObject({
      text: z.string().min(1),
      title: z.string().optional(),
      ok_text: z.string().optional(),
      dismiss_text: z.string().optional(),
    })
    .optional(),
})
const messageSchema = z.strictObject({
  channel: z.string().min(1).optional(),
  ts: z.string().optional(),
  username: z.string().optional(),
  icon_emoji: z.string().optional(),
  icon_url: z.string().optional(),
  link_names: z.boolean().optional(),
  text: z.string().optional(),
  attachments: z
    .array(
      z.strictObject({
        title: z.string().max(1024).optional(),
        title_link: z.string().optional(),
        pretext: z.string().optional(),
        text: z.string().optional(),
        fallback: z.string().optional(),
        callback_id: z.string().optional(),
        fields: z
          .array(z.strictObject({ title: z.string(), value: z.string(), short: z.boolean().optional() }))
          .optional(),
        actions: z.array(actionSchema).max(5).optional(),
        image_url: z.string().optional(),
        thumb_url: z.string().optional(),
        footer: z.string().optional(),
        color: z.string().optional(),
        mrkdwn_in: z.array(z.string()).optional(),
      }),
    )
    .min(1),
})

export type SlackMessage = z.output<typeof messageSchema>

export interface SlackCall {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly message: SlackMessage
}

interface Scripted {
  readonly status: number
  readonly body: string
  readonly type?: string
  readonly retryAfter?: number
}

export interface FakeSlack {
  readonly url: string
  /** An incoming webhook's address. */
  readonly hook: string
  /** The token the Web API knows. */
  readonly token: string
  /** Messages that were taken, in order. */
  readonly calls: SlackCall[]
  /** Bodies that were refused, with the reason. */
  readonly refused: string[]
  /** The next answers, before anything is looked at. */
  readonly next: Scripted[]
  attempts(): number
  close(): Promise<void>
}

const token = 'xoxb-not-a-real-token'

const read = async (request: IncomingMessage): Promise<string> => {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts).toString('utf8')
}

export const startFakeSlack = async (): Promise<FakeSlack> => {
  const calls: SlackCall[] = []
  const refused: string[] = []
  const next: Scripted[] = []
  let attempts = 0
  const json = (response: ServerResponse, body: unknown): void => {
    response.writeHead(200, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body))
  }
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    attempts++
    const body = await read(request)
    const scripted = next.shift()
    if (scripted) {
      const { status, type = 'text/html', retryAfter } = scripted
      const headers = {
        'content-type': type,
        ...(retryAfter === undefined ? {} : { 'retry-after': String(retryAfter) }),
      }
      response.writeHead(status, headers).end(scripted.body)
      return
    }
    const path = request.url ?? ''
    const parsed = messageSchema.safeParse(JSON.parse(body))
    const why = parsed.success ? '' : z.prettifyError(parsed.error)
    if (path.startsWith('/services/')) {
      if (parsed.success) {
        calls.push({ path, headers: request.headers, message: parsed.data })
        response.writeHead(200, { 'content-type': 'text/html' }).end('ok')
      } else {
        refused.push(why)
        response.writeHead(400, { 'content-type': 'text/html' }).end('invalid_payload')
      }
    } else if (path === '/api/chat.postMessage' || path === '/api/chat.update') {
      if (request.headers.authorization !== `Bearer ${token}`)
        json(response, { ok: false, error: 'invalid_auth' })
      else if (!parsed.success || !parsed.data.channel) {
        refused.push(why || 'no channel')
        json(response, { ok: false, error: why ? 'invalid_arguments' : 'channel_not_found' })
      } else {
        calls.push({ path, headers: request.headers, message: parsed.data })
        json(response, { ok: true, channel: 'C024BE91L', ts: parsed.data.ts ?? `170000.${calls.length}` })
      }
    } else response.writeHead(404, { 'content-type': 'text/html' }).end('no_service')
  }
  const server = createServer((request, response) => {
    handle(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    ...{ url, hook: `${url}/services/T000/B000/xyz`, token, calls, refused, next },
    attempts: () => attempts,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => resolve())
      }),
  }
}
