// Carries a framework-free HttpHandler on hono, reading the body in pieces from the socket and counting them.
import type { IncomingMessage } from 'node:http'
import type { HttpBindings } from '@hono/node-server'
import type { Context, Handler } from 'hono'
import { AppError, asAppError } from '../lib/errors.ts'
import type { InFlight } from '../lib/in-flight.ts'
import type { Actor } from '../model/actor.ts'
import type { HttpHandler } from '../model/ports/http-handler.ts'

export interface Env {
  Bindings: HttpBindings
  Variables: { actor: Actor }
}

/** So much of a body that is refused is still listened to. */
const mostUnheard = 256 << 20

/**
 * Reads the rest of a refused body and forgets it; false when it is too much, and the connection has to go. A client that is cut off while
 * it still sends never hears why.
 */
export const hearOut = (incoming: IncomingMessage): Promise<boolean> => {
  if (incoming.readableEnded || incoming.complete) return Promise.resolve(true)
  const declared = Number(incoming.headers['content-length'] ?? Number.NaN)
  if (incoming.destroyed || !(declared <= mostUnheard)) return Promise.resolve(false)
  return new Promise((resolve) => {
    incoming.once('end', () => resolve(true))
    incoming.once('close', () => resolve(incoming.complete))
    incoming.once('error', () => resolve(false))
    // Whoever began to read holds it back, and keeps what comes.
    incoming.removeAllListeners('data')
    incoming.removeAllListeners('readable')
    incoming.resume()
  })
}

const step = 1 << 20

/** Takes room for a body as it comes, a step at a time; a sender that only announces much holds none. */
const bodyRoom = (room: InFlight, declared: number): { reach(size: number): void; leave(): void } => {
  const left: (() => void)[] = []
  let held = 0
  const take = (bytes: number): void => {
    left.push(room.enter(bytes))
    held += bytes
  }
  take(Math.min(declared, step))
  return {
    reach: (size) => {
      if (size > held) take(Math.max(step, size - held))
    },
    leave: () => {
      for (const leave of left) leave()
    },
  }
}

/** The whole body, or `too_large` when it passes `maxBytes`: no more than that is ever kept. `reach` is told its size as it grows. */
export const readBody = async (
  incoming: IncomingMessage,
  maxBytes: number,
  reach?: (size: number) => void,
): Promise<Buffer> => {
  const declared = Number(incoming.headers['content-length'] ?? 0)
  if (declared > maxBytes)
    throw new AppError('too_large', `body of ${declared} bytes, at most ${maxBytes} are taken`)
  const parts: Buffer[] = []
  let size = 0
  for await (const part of incoming.iterator({ destroyOnReturn: false })) {
    size += (part as Buffer).length
    if (size > mostUnheard) break
    if (size <= maxBytes) {
      reach?.(size)
      parts.push(part as Buffer)
    } else parts.length = 0
  }
  if (size > maxBytes) throw new AppError('too_large', `body over ${maxBytes} bytes`)
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

/**
 * `room` bounds the bodies, finished or not, that are held at once; without any the answer is 503. `refuse` says what goes wrong before the
 * handler sees it, such as a body that is too long, in the surface's own form.
 */
export const mount =
  (handler: HttpHandler, room: InFlight, refuse: (error: AppError) => Response = plainError): Handler<Env> =>
  async (c: Context<Env>) => {
    const url = new URL(c.req.url)
    let leave = (): void => {}
    try {
      const { incoming } = c.env
      const held = bodyRoom(room, Number(incoming.headers['content-length'] ?? 0) || 0)
      leave = held.leave
      const body = await readBody(incoming, handler.maxBytes, held.reach)
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
      return refuse(asAppError(error))
    } finally {
      leave()
    }
  }
