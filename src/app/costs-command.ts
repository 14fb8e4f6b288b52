// `airboss costs import FILE` and `airboss costs export`: bills in FOCUS in and out of a running Airboss.
import { readFileSync, writeFileSync } from 'node:fs'
import { systemClock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { createHttp, type HttpResponse } from '../lib/http.ts'
import { duration } from '../lib/time.ts'
import type { Arguments } from './arguments.ts'
import { environment } from './config.ts'

const patience = duration(30 * 60_000)

interface Taken {
  readonly accepted: number
  readonly duplicates: number
  readonly uncounted: number
  readonly usd: number
  readonly rejected: number
  readonly problems: readonly { readonly line: number; readonly column: string; readonly error: string }[]
}

const tokenOf = (name: string | undefined): Record<string, string> => {
  if (name === undefined) return {}
  const token = environment()[name]
  if (token === undefined)
    throw new AppError('bad_data', `the environment variable ${name} is not set; put Airboss's token there`)
  return { authorization: `Bearer ${token}` }
}

const errorOf = ({ status, body }: HttpResponse): AppError => {
  try {
    const { error } = JSON.parse(body.toString('utf8')) as { error?: { message?: string } }
    if (error?.message) return new AppError('execution', error.message)
  } catch {
    // No JSON: the status says what there is to say.
  }
  return new AppError('execution', `the server answered ${status}`)
}

const read = (path: string): Buffer => {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new AppError('bad_data', `${path}: ${messageOf(error)}`, { cause: error })
  }
}

type Ask = (request: {
  path: string
  method: 'GET' | 'POST'
  headers?: Record<string, string>
  body?: Uint8Array
}) => Promise<HttpResponse>

const importFile = async (file: string, ask: Ask, out: (line: string) => void): Promise<number> => {
  const type = /\.json$/i.test(file) ? 'application/json' : 'text/csv'
  const answer = await ask({
    path: '/api/ops/v1/costs/focus',
    method: 'POST',
    headers: { 'content-type': type },
    body: read(file),
  })
  const said = JSON.parse(answer.body.toString('utf8')) as Partial<Taken>
  if (said.accepted === undefined) throw errorOf(answer)
  const { accepted, duplicates = 0, uncounted = 0, usd = 0, rejected = 0, problems = [] } = said
  for (const p of problems) out(`${file}:${p.line}: ${p.column}: ${p.error}`)
  const old = uncounted > 0 ? `, ${uncounted} of them too old to raise airboss_cost_usd_total` : ''
  out(`${accepted} lines taken ($${usd.toFixed(2)}${old}), ${duplicates} known already, ${rejected} refused`)
  return rejected > 0 ? 1 : 0
}

const exportFile = async (
  options: Arguments['options'],
  ask: Ask,
  out: (line: string) => void,
): Promise<number> => {
  const { from, to, format = 'csv', out: file } = options
  const query = new URLSearchParams({ format, ...(from ? { from } : {}), ...(to ? { to } : {}) })
  const answer = await ask({ path: `/api/ops/v1/costs/focus?${query}`, method: 'GET' })
  if (answer.status !== 200) throw errorOf(answer)
  if (file === undefined) out(answer.body.toString('utf8').trimEnd())
  else writeFileSync(file, answer.body)
  return 0
}

/** Gives the exit code: 1 when lines were refused. Throws `bad_data` when it is called wrongly. */
export const costsCommand = async (
  { rest, options }: Arguments,
  stop: AbortSignal,
  out: (line: string) => void,
): Promise<number> => {
  const [what, file] = rest
  if (
    !(what === 'import' && file !== undefined && rest.length === 2) &&
    !(what === 'export' && rest.length === 1)
  )
    throw new AppError(
      'bad_data',
      'write it as: airboss costs import FILE.csv, or airboss costs export --from 2026-01-01',
    )
  const server = options['server'] ?? 'http://127.0.0.1:9900'
  const token = tokenOf(options['tokenEnv'])
  const http = createHttp()
  const ask: Ask = ({ path, headers, ...request }) =>
    http.send({
      ...request,
      url: `${server}${path}`,
      headers: { ...token, ...headers },
      signal: systemClock.timeout(patience, stop),
      maxBytes: 1 << 30,
    })
  try {
    return what === 'import' ? await importFile(file!, ask, out) : await exportFile(options, ask, out)
  } finally {
    await http.close()
  }
}
