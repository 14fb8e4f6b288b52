// The answer to a request of items: what was taken, what was not, and why.
import { AppError, asAppError } from '../lib/errors.ts'
import type { HandlerResponse } from '../model/ports/http-handler.ts'
import type { ItemProblem } from './item.ts'

const json = (
  status: number,
  value: unknown,
  headers: Readonly<Record<string, string>> = {},
): HandlerResponse => ({
  status,
  headers: { 'content-type': 'application/json', ...headers },
  body: JSON.stringify(value),
})

/**
 * `{ accepted, duplicates, rejected: [{ index, id, field, error }] }`: 200 when at least one item was taken or known, 400 when all were bad.
 * Duplicates are items whose id had been seen; sending again after an answer that got lost is safe.
 */
export const itemAnswer = (
  accepted: number,
  duplicates: number,
  problems: readonly ItemProblem[],
): HandlerResponse => {
  const rejected = [...problems].sort((a, b) => a.index - b.index)
  const allBad = accepted + duplicates === 0 && rejected.length > 0
  return json(allBad ? 400 : 200, { accepted, duplicates, rejected })
}

export const errorAnswer = (thrown: unknown): HandlerResponse => {
  const error = asAppError(thrown)
  const after = error.retryAfter ?? (error.retryable ? 1000 : undefined)
  return json(
    error.status,
    { error: { code: error.code, message: error.message } },
    after === undefined ? {} : { 'retry-after': String(Math.ceil(after / 1000)) },
  )
}

/** Refuses what is no POST of JSON. */
export const checkPost = (method: string, contentType: string | undefined): void => {
  if (method !== 'POST')
    throw new AppError('bad_data', `${method} is not taken here; send a POST`, { status: 405 })
  const type = (contentType ?? 'application/json').split(';')[0]!.trim().toLowerCase()
  if (type !== 'application/json')
    throw new AppError('unsupported_media', `content type ${type} is not taken; send application/json`)
}
