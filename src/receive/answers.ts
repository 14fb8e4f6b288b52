// How a receiver's AppError is said over HTTP in plain text.
import { AppError, asAppError } from '../lib/errors.ts'
import type { HandlerResponse } from '../model/ports/http-handler.ts'

/** `Retry-After` in whole seconds, at least one, for what may be tried again. */
export const retryAfter = (error: AppError): Record<string, string> =>
  error.retryable ? { 'retry-after': String(Math.max(1, Math.ceil((error.retryAfter ?? 1000) / 1000))) } : {}

/** What was thrown as an AppError; `canceled` where the client went away, which is no failure of ours. */
export const failureOf = (thrown: unknown, signal: AbortSignal): AppError =>
  signal.aborted && !(thrown instanceof AppError)
    ? new AppError('canceled', 'the client went away', { cause: thrown })
    : asAppError(thrown)

export const textAnswer = (thrown: unknown): HandlerResponse => {
  const error = asAppError(thrown)
  return {
    status: error.status,
    headers: { 'content-type': 'text/plain; charset=utf-8', ...retryAfter(error) },
    body: `${error.message}\n`,
  }
}

/** The media type of a header's value, lower case, and its parameters. */
export const mediaType = (
  value: string | undefined,
): { type: string; params: ReadonlyMap<string, string> } => {
  const [type = '', ...rest] = (value ?? '').split(';').map((part) => part.trim())
  const params = new Map<string, string>()
  for (const part of rest) {
    const at = part.indexOf('=')
    if (at > 0) params.set(part.slice(0, at).toLowerCase(), part.slice(at + 1).replace(/^"|"$/g, ''))
  }
  return { type: type.toLowerCase(), params }
}
