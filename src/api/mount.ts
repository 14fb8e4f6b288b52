// Carries a framework-free HttpHandler on hono, reading the body in pieces from the socket and counting them.
import type { IncomingMessage } from 'node:http'
import type { HttpBindings } from '@hono/node-server'
import type { Context, Handler } from 'hono'
import { AppError, asAppError } from '../lib/errors.ts'
import type { Actor } from '../model/actor.ts'
import type { HttpHandler } from '../model/ports/http-handler.ts'

export interface Env {
  Bindings: HttpBindings
  Variables: { actor: Actor }
}

/** The whole body, or `too_large` as soon as it passes `maxBytes`. */
export const readBody = async (incoming: IncomingMessage, maxBytes: number): Promise<Buffer> => {
  const declared = Number(incoming.headers['content-length'] ?? 0)
  if (declared > maxBytes)
    throw new AppError('too_large', `body of ${declared} bytes, at most ${maxBytes} are taken`)
  const parts: Buffer[] = []
  let size = 0
  for await (const part of incoming) {
    size += (part as Buffer).length
    if (size > maxBytes) throw new AppError('too_large', `body over ${maxBytes} bytes`)
    parts.push(part as Buffer)
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
}

/** `Retry-After` in whole seconds, at least one, for errors that know how long to wait. */
export const retryHeaders = (error: AppError): Record<string, string> =>
  error.retryAfter === undefined
    ? {}
    : { 'retry-after': String(Math.max(1, Math.ceil(error.retryAfter / 1000))) }

/** An error as text, for surfaces without an error form of their own. */
export const plainError = (error: AppError): Response =>
  new Response(`${error.message}\n`, {
    status: error.status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...retryHeaders(error) },
  })

export const mount =
  (handler: HttpHandler): Handler<Env> =>
  async (c: Context<Env>) => {
    const url = new URL(c.req.url)
    try {
      const body = await readBody(c.env.incoming, handler.maxBytes)
      const answer = await handler.handle(
        {
          method: c.req.method,
          path: url.pathname,
          query: url.searchParams,
          headers: c.req.header(),
          body,
        },
        c.req.raw.signal,
      )
      const payload = answer.body === undefined || answer.status === 204 ? null : answer.body
      return new Response(payload as string | Uint8Array<ArrayBuffer> | null, {
        status: answer.status,
        headers: { ...answer.headers },
      })
    } catch (error) {
      return plainError(asAppError(error))
    }
  }
