// Outgoing HTTP over undici: one call, a deadline, a capped answer, no retries (they belong to the caller).
import { Agent, interceptors, request } from 'undici'
import { AppError, messageOf } from './errors.ts'

export interface HttpRequest {
  readonly url: string
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
  /** Aborts the call; make it with `clock.timeout`. */
  readonly signal: AbortSignal
  /** Longest answer kept, in bytes; a longer one is an error. */
  readonly maxBytes?: number
  /** Whether redirects are followed (at most 5). */
  readonly follow?: boolean
}

export interface HttpResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}

export type HttpSend = (request: HttpRequest) => Promise<HttpResponse>

/** A sender with a connection pool of its own. Network failures and time-outs are `unavailable`, retryable. */
export const createHttp = (
  options: { connections?: number } = {},
): { send: HttpSend; close(): Promise<void> } => {
  const plain = new Agent({ connections: options.connections ?? 16, keepAliveTimeout: 30_000 })
  const following = plain.compose(interceptors.redirect({ maxRedirections: 5 }))
  const send: HttpSend = async ({
    url,
    method = 'GET',
    headers,
    body,
    signal,
    maxBytes = 4 << 20,
    follow,
  }) => {
    try {
      const answer = await request(url, {
        method,
        headers: { 'user-agent': 'airboss', ...headers },
        body: body ?? null,
        signal,
        dispatcher: follow ? following : plain,
      })
      const parts: Buffer[] = []
      let size = 0
      for await (const part of answer.body) {
        size += (part as Buffer).length
        if (size > maxBytes)
          throw new AppError('too_large', `answer of ${new URL(url).host} is over ${maxBytes} bytes`)
        parts.push(part as Buffer)
      }
      const flat = Object.fromEntries(
        Object.entries(answer.headers).map(([k, v]) => [k, Array.isArray(v) ? v.join(', ') : (v ?? '')]),
      )
      return { status: answer.statusCode, headers: flat, body: Buffer.concat(parts) }
    } catch (error) {
      if (error instanceof AppError) throw error
      const host = URL.canParse(url) ? new URL(url).host : url
      throw new AppError('unavailable', `${method} ${host}: ${messageOf(error)}`, {
        cause: error,
        retryable: true,
      })
    }
  }
  return { send, close: () => plain.close() }
}
