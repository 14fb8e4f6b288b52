// Prometheus remote write 1.0 and 2.0 over HTTP: checks the envelope, decodes, waits for the disk, answers as the specification says.
import { breathe, type Clock } from '../../lib/clock.ts'
import { AppError, messageOf } from '../../lib/errors.ts'
import { createInFlight, type InFlight } from '../../lib/in-flight.ts'
import type { Logger } from '../../lib/log.ts'
import { snappyDecode, snappyLength } from '../../lib/snappy.ts'
import type { Batch } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder, type Rejection } from '../../model/batch-builder.ts'
import type { HandlerRequest, HandlerResponse, HttpHandler } from '../../model/ports/http-handler.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'
import { failureOf, mediaType, textAnswer } from '../answers.ts'
import { ByteCache } from '../byte-cache.ts'
import { receiveMetrics } from '../receive-metrics.ts'
import { ToldMetadata, trimmed } from '../told-metadata.ts'
import { WriteRequestDecoder } from './decode.ts'
import { WriteRequestV2Decoder, type Written } from './decode-v2.ts'

interface RemoteWriteDeps {
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Longest body, in bytes, compressed and uncompressed; 64 MiB by default. */
  readonly maxBytes?: number
  /** Bytes of requests, compressed and not, worked on at once; share one with the other receivers. Four times `maxBytes` by default. */
  readonly inFlight?: InFlight
}

/** Series met for the first time before others have their turn: a few tens of milliseconds. */
const newAtOnce = 5000

/** `POST /api/v1/write`. 204 when everything is on disk; 400 naming what was refused while the rest was kept. */
export const createRemoteWrite = (deps: RemoteWriteDeps): HttpHandler => {
  const { table, sink, limits, clock, log, metrics, maxBytes = 64 << 20 } = deps
  const inFlight = deps.inFlight ?? createInFlight(maxBytes * 4)
  const known = new ByteCache<SeriesRef>(1 << 20, 256 << 20)
  const told = new ToldMetadata()
  const count = receiveMetrics(metrics, 'remote_write')
  const uncompressed = reused()
  let bytesEach = 128

  const take = async (request: HandlerRequest, signal: AbortSignal): Promise<HandlerResponse> => {
    const version = versionOf(request)
    if (request.body.length > maxBytes)
      throw new AppError(
        'too_large',
        `the body is ${request.body.length} bytes, at most ${maxBytes} are taken`,
      )
    const leave = inFlight.enter(request.body.length + Math.min(snappyLength(request.body), maxBytes))
    try {
      const body = snappyDecode(request.body, maxBytes, uncompressed)
      const builder = new BatchBuilder(
        table,
        limits,
        clock.now(),
        Math.max(64, Math.ceil(body.length / bytesEach)),
      )
      const decoder =
        version === 1
          ? new WriteRequestDecoder(body, builder, known)
          : new WriteRequestV2Decoder(body, builder)
      while (!decoder.run(newAtOnce)) await breathe()
      const { length: samples, histograms } = builder
      // A little less than it was, so that a request like the last one does not grow its columns.
      if (samples > 0) bytesEach = Math.max(leastEach, (body.length / samples) * 0.95)
      const metadata = builder.metadata.map(trimmed).filter((m) => told.isNews(m))
      const batch = { ...builder.build(), metadata }
      if (samples > 0 || histograms > 0 || metadata.length > 0 || batch.exemplars) {
        await sink.push(batch, signal)
        told.told(metadata)
      }
      count.samples(samples + histograms)
      if (builder.exemplarsDropped > 0) count.dropped('exemplars', builder.exemplarsDropped)
      const headers = 'written' in decoder ? writtenHeaders(decoder.written) : {}
      const rejections = builder.rejections
      count.rejections(rejections)
      if (rejections.length > 0)
        log.debug({ rejections, kept: samples + histograms }, 'remote write partly refused')
      return answerOf(rejections, samples + histograms, headers)
    } finally {
      leave()
    }
  }

  const handle = async (request: HandlerRequest, signal: AbortSignal): Promise<HandlerResponse> => {
    let answer: HandlerResponse
    try {
      answer = await take(request, signal)
    } catch (thrown) {
      const error = failureOf(thrown, signal)
      if (error.code === 'internal')
        log.error({ err: messageOf(error.cause ?? error) }, 'remote write failed')
      answer = textAnswer(error)
    }
    count.answered(answer.status)
    return answer
  }
  return { maxBytes, handle }
}

/** The answer when everything that could be kept is on disk. */
const answerOf = (
  rejections: readonly Rejection[],
  kept: number,
  headers: Record<string, string>,
): HandlerResponse => {
  if (rejections.length === 0) return { status: 204, headers }
  return {
    status: 400,
    headers: { ...headers, 'content-type': 'text/plain; charset=utf-8' },
    body: sayRejections(rejections, kept),
  }
}

/** Fewest bytes a sample takes. */
const leastEach = 16
/** Largest memory kept between requests. */
const mostKept = 8 << 20

/**
 * Memory that each request writes over again: a body is decoded before the next one is looked at, and fresh memory for each would set off
 * one full collection after the other.
 */
const reused = (): ((size: number) => Buffer) => {
  let kept = Buffer.alloc(0)
  return (size) => {
    if (size > mostKept) return Buffer.allocUnsafeSlow(size)
    if (size > kept.length) kept = Buffer.allocUnsafeSlow(Math.min(mostKept, Math.max(size, kept.length * 2)))
    return kept
  }
}

const messages: Readonly<Record<string, 1 | 2>> = {
  'prometheus.WriteRequest': 1,
  'io.prometheus.write.v2.Request': 2,
}

/** What a sender of version 2 must be told, or it takes the receiver for one that knows only version 1. */
const writtenHeaders = ({ samples, histograms, exemplars }: Written): Record<string, string> => ({
  'x-prometheus-remote-write-samples-written': String(samples),
  'x-prometheus-remote-write-histograms-written': String(histograms),
  'x-prometheus-remote-write-exemplars-written': String(exemplars),
})

/** Which version the body is. Throws `unsupported_media` where it is neither, naming what to send. */
const versionOf = ({ method, headers }: HandlerRequest): 1 | 2 => {
  if (method !== 'POST') throw new AppError('bad_data', `${method}: remote write is POST`, { status: 405 })
  const { type, params } = mediaType(headers['content-type'])
  // Left out, it is version 1: what the first senders do.
  if (type !== '' && type !== 'application/x-protobuf')
    throw new AppError('unsupported_media', `content type ${type}; send application/x-protobuf`)
  const proto = params.get('proto') ?? 'prometheus.WriteRequest'
  const version = messages[proto]
  if (version === undefined)
    throw new AppError(
      'unsupported_media',
      `message ${proto}; ${Object.keys(messages).join(' and ')} are taken`,
    )
  const encoding = (headers['content-encoding'] ?? 'snappy').toLowerCase()
  if (encoding !== 'snappy')
    throw new AppError('unsupported_media', `content encoding ${encoding}; send snappy (block format)`)
  return version
}

const sayRejections = (rejections: readonly Rejection[], kept: number): string => {
  const refused = rejections.reduce((n, r) => n + r.count, 0)
  const lines = rejections.map((r) => `${r.reason}: ${r.count}, the first: ${r.example}`)
  return `${refused} samples refused, ${kept} kept\n${lines.join('\n')}\n`
}
