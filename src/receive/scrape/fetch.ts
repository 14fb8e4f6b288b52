// One request to a target: negotiated format, deadline, size limit, decompression.
import { promisify } from 'node:util'
import { gunzip, gunzipSync } from 'node:zlib'
import type { Clock } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import type { HttpResponse, HttpSend } from '../../lib/http.ts'
import { headersOf } from './config.ts'
import type { Format } from './line.ts'
import type { Target } from './target.ts'

const accept =
  'application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.1'
const defaultMaxBytes = 64 << 20
// Below this the thread pool costs more than it frees.
const inlineBytes = 128 << 10
const gunzipAsync = promisify(gunzip)

const formatOf = (response: HttpResponse, target: Target): Format => {
  const type = (response.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  if (type === 'application/openmetrics-text') return 'openmetrics'
  if (type === 'text/plain') return 'text'
  const fallback = target.job.fallback_scrape_protocol
  if (fallback) return fallback.startsWith('OpenMetrics') ? 'openmetrics' : 'text'
  if (type === '') return 'text'
  throw new AppError(
    'unsupported_media',
    `the answer is ${type}, not text/plain or application/openmetrics-text; check metrics_path, or set fallback_scrape_protocol`,
  )
}

const unpack = async (response: HttpResponse, maxBytes: number): Promise<Buffer> => {
  const encoding = (response.headers['content-encoding'] ?? '').trim().toLowerCase()
  if (encoding === '' || encoding === 'identity') return response.body
  if (encoding !== 'gzip')
    throw new AppError('unsupported_media', `the answer is packed as ${encoding}, not gzip`)
  try {
    const options = { maxOutputLength: maxBytes }
    return response.body.length < inlineBytes
      ? gunzipSync(response.body, options)
      : await gunzipAsync(response.body, options)
  } catch (error) {
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE')
      throw new AppError('too_large', `the answer is over ${maxBytes} bytes; raise body_size_limit`, {
        cause: error,
      })
    throw new AppError('bad_data', `the answer is no valid gzip: ${messageOf(error)}`, { cause: error })
  }
}

/** Fetches a target's metrics. Throws AppErrors in words for people: a time-out, a status that is not 200, a wrong content type, a body too large. */
export const fetchTarget = async (
  target: Target,
  send: HttpSend,
  clock: Clock,
  stop: AbortSignal,
): Promise<{ text: string; format: Format }> => {
  const { job, url, timeout } = target
  const maxBytes = job.body_size_limit || defaultMaxBytes
  const signal = clock.timeout(timeout, stop)
  const headers = {
    accept,
    'accept-encoding': job.enable_compression ? 'gzip' : 'identity',
    'x-prometheus-scrape-timeout-seconds': String(timeout / 1000),
    ...headersOf(job),
  }
  let response: HttpResponse
  try {
    response = await send({ url, headers, signal, maxBytes, follow: job.follow_redirects })
  } catch (error) {
    if (signal.aborted && !stop.aborted)
      throw new AppError('timeout', `no whole answer within scrape_timeout (${timeout / 1000} s)`, {
        cause: error,
      })
    throw error
  }
  if (response.status !== 200)
    throw new AppError('unavailable', `the target answered ${response.status}, not 200`)
  const format = formatOf(response, target)
  return { text: (await unpack(response, maxBytes)).toString('utf8'), format }
}
