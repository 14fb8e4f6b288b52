// Request parameters in Prometheus's forms, from the query string and a form body alike.
import type { Context } from 'hono'
import { AppError } from '../../lib/errors.ts'
import { type Duration, duration, fromIso, type Instant, instant, parseDuration } from '../../lib/time.ts'
import type { Span } from '../../model/plan.ts'
import type { TimeSpan } from '../../model/ports/series-index.ts'
import { type Env, readBody } from '../mount.ts'

/** The most points one series of a range query may have, as in Prometheus. */
const mostPoints = 11_000

export const readParams = async (c: Context<Env>): Promise<URLSearchParams> => {
  const params = new URL(c.req.url).searchParams
  if (c.req.method !== 'POST') return params
  const body = await readBody(c.env.incoming, 1 << 20)
  const all = new URLSearchParams(params)
  for (const [k, v] of new URLSearchParams(body.toString('utf8'))) all.append(k, v)
  return all
}

const bad = (name: string, text: string, mend: string): AppError =>
  new AppError('bad_data', `invalid parameter "${name}": cannot parse ${JSON.stringify(text)}; ${mend}`)

/** Unix seconds with fractions, or RFC 3339. */
export const timeOf = (params: URLSearchParams, name: string, otherwise: Instant): Instant => {
  const text = params.get(name)
  if (text === null || text === '') return otherwise
  if (/^[+-]?\d+(\.\d+)?(e[+-]?\d+)?$/i.test(text)) return instant(Math.round(Number(text) * 1000))
  try {
    return fromIso(text)
  } catch {
    throw bad(name, text, 'write it as seconds since 1970 or in RFC 3339')
  }
}

const durationOf = (name: string, text: string): Duration => {
  const seconds = /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDuration(text)
  if (seconds === null || !Number.isFinite(seconds))
    throw bad(name, text, 'write it as seconds or as 15s, 5m, 1h')
  return duration(seconds)
}

export const spanOf = (params: URLSearchParams): Span => {
  for (const name of ['start', 'end', 'step'])
    if (!params.get(name)) throw new AppError('bad_data', `parameter "${name}" is missing`)
  const fromAt = timeOf(params, 'start', instant(0))
  const toAt = timeOf(params, 'end', instant(0))
  const step = durationOf('step', params.get('step')!)
  if (toAt < fromAt) throw new AppError('bad_data', 'invalid parameter "end": end is before start')
  if (step <= 0)
    throw new AppError('bad_data', 'invalid parameter "step": zero or negative; take a positive step')
  if ((toAt - fromAt) / step > mostPoints) {
    throw new AppError(
      'bad_data',
      `over ${mostPoints} points a series; take a longer step or a shorter range`,
    )
  }
  return { fromAt, toAt, step }
}

/** The span of a label call; everything when it names none. */
export const labelSpanOf = (params: URLSearchParams): TimeSpan => ({
  fromAt: timeOf(params, 'start', instant(0)),
  toAt: timeOf(params, 'end', instant(8.64e15)),
})

export const limitOf = (params: URLSearchParams): number => {
  const text = params.get('limit')
  if (!text) return Number.POSITIVE_INFINITY
  const n = Number(text)
  if (!Number.isInteger(n) || n < 0) throw bad('limit', text, 'write a whole number, 0 for no limit')
  return n === 0 ? Number.POSITIVE_INFINITY : n
}

/** The query's own deadline, at most the server's. */
export const timeoutOf = (params: URLSearchParams, most: Duration): Duration => {
  const text = params.get('timeout')
  return text ? duration(Math.min(durationOf('timeout', text), most)) : most
}
