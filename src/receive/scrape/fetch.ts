// One request to a target: negotiated format, deadline, size limit, decompression.
import { promisify } from 'node:util'
import { gunzip, gunzipSync } from 'node:zlib'
import type { Clock } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import type { HttpResponse, HttpSend } from '../../lib/http.ts'
import type { Protocol, ScrapeJob } from './config.ts'
import type { Format } from './line.ts'
import type { Target } from './target.ts'

export type BodyFormat = Format | 'protobuf'

const types: Readonly<Record<Protocol, string>> = {
  PrometheusProto:
    'application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited',
  'PrometheusText0.0.4': 'text/plain;version=0.0.4',
  'PrometheusText1.0.0': 'text/plain;version=1.0.0',
  'OpenMetricsText0.0.1': 'application/openmetrics-text;version=0.0.1',
  'OpenMetricsText1.0.0': 'application/openmetrics-text;version=1.0.0',
}
/** Only the newer text formats know how names may be escaped. */
const escapes: ReadonlySet<Protocol> = new Set(['PrometheusText1.0.0', 'OpenMetricsText1.0.0'])

/** The Accept header of a job: its protocols by falling weight, then anything. */
export const acceptOf = ({
  scrape_protocols: protocols,
  metric_name_escaping_scheme: scheme,
}: ScrapeJob): string => {
  let weight = Object.keys(types).length + 1
  const wanted = protocols.map(
    (protocol) => `${types[protocol]}${escapes.has(protocol) ? `;escaping=${scheme}` : ''};q=0.${weight--}`,
  )
  return [...wanted, `*/*;q=0.${weight}`].join(',')
}

const defaultMaxBytes = 64 << 20
// Below this the thread pool costs more than it frees.
const inlineBytes = 128 << 10
const gunzipAsync = promisify(gunzip)

const formatOf = (response: HttpResponse, { job }: Target): BodyFormat => {
  const [first = '', ...rest] = (response.headers['content-type'] ?? '').split(';')
  const type = first.trim().toLowerCase()
  if (type === 'application/openmetrics-text') return 'openmetrics'
  if (type === 'text/plain') return 'text'
  const params = new Map(rest.map((p) => p.trim().split('=') as [string, string]))
  if (
    type === 'application/vnd.google.protobuf' &&
    params.get('proto') === 'io.prometheus.client.MetricFamily' &&
    (params.get('encoding') ?? 'delimited') === 'delimited'
  )
    return 'protobuf'
  const fallback = job.fallback_scrape_protocol
  if (fallback === 'PrometheusProto') return 'protobuf'
  if (fallback) return fallback.startsWith('OpenMetrics') ? 'openmetrics' : 'text'
  if (type === '') return 'text'
  throw new AppError(
    'unsupported_media',
    `the answer is ${type}, not text/plain, application/openmetrics-text or a delimited application/vnd.google.protobuf; check metrics_path, or set fallback_scrape_protocol`,
  )
}

const tooLarge = (maxBytes: number, cause: unknown): AppError =>
  new AppError('too_large', `the answer is over ${maxBytes} bytes; raise body_size_limit`, { cause })

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
    if ((error as { code?: string }).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes, error)
    throw new AppError('bad_data', `the answer is no valid gzip: ${messageOf(error)}`, { cause: error })
  }
}

/** Fetches a target's metrics. Throws AppErrors in words for people: a time-out, a status that is not 200, a wrong content type, a body too large. */
export const fetchTarget = async (
  target: Target,
  send: HttpSend,
  clock: Clock,
  stop: AbortSignal,
): Promise<{ body: Buffer; format: BodyFormat }> => {
  const { job, url, timeout } = target
  const maxBytes = job.body_size_limit || defaultMaxBytes
  const signal = clock.timeout(timeout, stop)
  const headers = {
    accept: acceptOf(job),
    'accept-encoding': job.enable_compression ? 'gzip' : 'identity',
    'x-prometheus-scrape-timeout-seconds': String(timeout / 1000),
  }
  let response: HttpResponse
  try {
    response = await send({ url, headers, signal, maxBytes, follow: job.follow_redirects })
  } catch (error) {
    if (signal.aborted && !stop.aborted)
      throw new AppError('timeout', `no whole answer within scrape_timeout (${timeout / 1000} s)`, {
        cause: error,
      })
    if (error instanceof AppError && error.code === 'too_large') throw tooLarge(maxBytes, error)
    throw error
  }
  if (response.status !== 200)
    throw new AppError('unavailable', `the target answered ${response.status}, not 200`)
  const format = formatOf(response, target)
  return { body: await unpack(response, maxBytes), format }
}
