// OTLP over HTTP: protobuf and JSON, plain or gzip, answered in the request's own type.
import { promisify } from 'node:util'
import { gunzip, gunzipSync } from 'node:zlib'
import { AppError, messageOf } from '../../lib/errors.ts'
import { createInFlight, type InFlight } from '../../lib/in-flight.ts'
import type { Logger } from '../../lib/log.ts'
import type { HandlerRequest, HandlerResponse, HttpHandler } from '../../model/ports/http-handler.ts'
import { failureOf, mediaType, retryAfter } from '../answers.ts'
import { type Signal, signals } from './exported.ts'
import type { OtlpIngest } from './ingest.ts'
import type { SignalIngest } from './signal-ingest.ts'
import { type Encoding, exportResponse, statusBytes, statusJson } from './status.ts'

interface OtlpHttpDeps {
  readonly ingest: OtlpIngest
  /** Traces and logs. */
  readonly items: SignalIngest
  readonly log: Logger
  /** Longest request, in bytes, as sent and unpacked; 64 MiB by default. */
  readonly maxBytes?: number
  /** Bytes of requests worked on at once; share one with the other receivers. Four times `maxBytes` by default. */
  readonly inFlight?: InFlight
}

const mediaTypes: Readonly<Record<Encoding, string>> = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
}

/** `/v1/metrics`, `/v1/traces` and `/v1/logs`, wherever they are mounted. */
export const createOtlpHttp = (deps: OtlpHttpDeps): HttpHandler => {
  const { ingest, items, log, maxBytes = 64 << 20, ...rest } = deps
  const inFlight = rest.inFlight ?? createInFlight(maxBytes * 4)
  const count = ingest.counted('otlp_http')

  const take = async (
    request: HandlerRequest,
    encoding: Encoding,
    signal: AbortSignal,
  ): Promise<HandlerResponse> => {
    const what = signalOf(request.path)
    if (request.method !== 'POST')
      throw new AppError('bad_data', `${request.method}: OTLP is sent by POST`, { status: 405 })
    if (request.body.length > maxBytes) throw tooLarge(request.body.length, maxBytes)
    const leave = inFlight.enter(request.body.length)
    // Counted as it is once its true size is known.
    let leaveMore = (): void => {}
    try {
      const body = await unpack(request, maxBytes)
      if (body !== request.body) leaveMore = inFlight.enter(body.length)
      const exported =
        what === 'metrics'
          ? await ingest.take(body, encoding, count, signal)
          : await items.take(what, body, encoding, 'otlp_http', signal)
      return {
        status: 200,
        headers: { 'content-type': mediaTypes[encoding] },
        body: exportResponse(what, encoding, exported),
      }
    } finally {
      leaveMore()
      leave()
    }
  }

  return {
    maxBytes,
    handle: async (request, signal) => {
      let answer: HandlerResponse
      const encoding = encodingOf(request)
      try {
        if (encoding === null)
          throw new AppError(
            'unsupported_media',
            `content type ${request.headers['content-type'] ?? 'missing'}; send application/x-protobuf or application/json`,
          )
        answer = await take(request, encoding, signal)
      } catch (thrown) {
        const error = failureOf(thrown, signal)
        if (error.code === 'internal')
          log.error({ err: messageOf(error.cause ?? error) }, 'otlp request failed')
        answer = {
          status: error.status,
          headers: { 'content-type': mediaTypes[encoding ?? 'json'], ...retryAfter(error) },
          body: encoding === 'protobuf' ? statusBytes(error) : statusJson(error),
        }
      }
      count.answered(answer.status)
      return answer
    },
  }
}

const signalOf = (path: string): Signal => {
  const found = signals.find((signal) => new RegExp(`/v1/${signal}/?$`).test(path))
  if (found === undefined)
    throw new AppError('not_found', `${path}: OTLP is received at /v1/metrics, /v1/traces and /v1/logs`)
  return found
}

const encodingOf = ({ headers }: HandlerRequest): Encoding | null => {
  const { type } = mediaType(headers['content-type'])
  if (type === 'application/x-protobuf' || type === 'application/protobuf') return 'protobuf'
  return type === 'application/json' ? 'json' : null
}

const tooLarge = (size: number, most: number): AppError =>
  new AppError('too_large', `the request is ${size} bytes, at most ${most} are taken; send smaller batches`)

/** Small bodies at once, which is cheaper; from here on beside the event loop, in bytes. */
const largeBody = 256 << 10
const gunzipAside = promisify(gunzip)

const unpack = async ({ headers, body }: HandlerRequest, maxBytes: number): Promise<Buffer> => {
  const encoding = (headers['content-encoding'] ?? 'identity').toLowerCase()
  if (encoding === 'identity' || encoding === '') return body
  if (encoding !== 'gzip')
    throw new AppError('unsupported_media', `content encoding ${encoding}; send gzip or none`)
  try {
    const options = { maxOutputLength: maxBytes }
    return body.length < largeBody ? gunzipSync(body, options) : await gunzipAside(body, options)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE')
      throw new AppError('too_large', `the request is over ${maxBytes} bytes unpacked; send smaller batches`)
    throw new AppError('bad_data', `gzip: ${messageOf(error)}`, { cause: error })
  }
}
