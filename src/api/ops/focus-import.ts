// Takes a bill in FOCUS as it comes over the socket, without keeping it.
import type { Handler } from 'hono'
import { AppError, asAppError } from '../../lib/errors.ts'
import type { Env } from '../mount.ts'

/** Reads a bill; throws `bad_data` when it is none. */
export type TakeBill = (
  body: AsyncIterable<Uint8Array>,
  form: 'csv' | 'json',
  signal: AbortSignal,
) => Promise<{
  readonly accepted: number
  readonly duplicates: number
  readonly uncounted: number
  readonly usd: number
  readonly rejected: number
  readonly problems: readonly { readonly line: number; readonly column: string; readonly error: string }[]
}>

const forms: Readonly<Record<string, 'csv' | 'json'>> = { 'text/csv': 'csv', 'application/json': 'json' }

/** `POST /api/ops/v1/costs/focus`: 200 when a line was taken or known, 400 when none was. */
export const focusImport =
  (take: TakeBill, refuse: (error: AppError) => Response): Handler<Env> =>
  async (c) => {
    try {
      const type = c.req.header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
      const form = forms[type]
      if (!form)
        throw new AppError(
          'unsupported_media',
          `content type ${type || 'is missing and'} is not taken; send text/csv or application/json`,
        )
      const body = c.env.incoming.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
      const taken = await take(body, form, c.req.raw.signal)
      const none = taken.accepted + taken.duplicates === 0 && taken.rejected > 0
      return c.json(taken, none ? 400 : 200)
    } catch (error) {
      return refuse(asAppError(error))
    }
  }
