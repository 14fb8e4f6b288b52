// Prometheus remote write 1.0 over HTTP: checks the envelope, decodes, waits for the disk, answers as the specification says.
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
    checkEnvelope(request)
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
      const left = new WriteRequestDecoder(body, builder, known)
      while (!left.run(newAtOnce)) await breathe()
      const samples = builder.length
      // A little less than it was, so that a request like the last one does not grow its columns.
      if (samples > 0) bytesEach = Math.max(leastEach, (body.length / samples) * 0.95)
      const metadata = builder.metadata.map(trimmed).filter((m) => told.isNews(m))
      const batch = { ...builder.build(), metadata }
      if (samples > 0 || metadata.length > 0 || batch.exemplars) {
        await sink.push(batch, signal)
        told.told(metadata)
      }
      count.samples(samples)
      if (builder.exemplarsDropped > 0) count.dropped('exemplars', builder.exemplarsDropped)
      const rejections = builder.rejections
      count.rejections(rejections)
      if (rejections.length === 0) return { status: 204 }
      log.debug({ rejections, kept: samples }, 'remote write partly refused')
      return {
        status: 400,
        headers: { 'content-type': 'text/plain; charset=utf-8' },
        body: sayRejections(rejections, samples),
      }
    } finally {
      leave()
    }
  }

  return {
    maxBytes,
    handle: async (request, signal) => {
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
    },
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

/** Throws `unsupported_media` where the body is no remote write 1.0, naming what to send. */
const checkEnvelope = ({ method, headers }: HandlerRequest): void => {
  if (method !== 'POST') throw new AppError('bad_data', `${method}: remote write is POST`, { status: 405 })
  const { type, params } = mediaType(headers['content-type'])
  // Left out, it is version 1: what the first senders do.
  if (type !== '' && type !== 'application/x-protobuf')
    throw new AppError('unsupported_media', `content type ${type}; send application/x-protobuf`)
  const proto = params.get('proto') ?? 'prometheus.WriteRequest'
  if (proto !== 'prometheus.WriteRequest')
    throw new AppError(
      'unsupported_media',
      `message ${proto}; remote write 1.0 (prometheus.WriteRequest) is taken`,
    )
  const encoding = (headers['content-encoding'] ?? 'snappy').toLowerCase()
  if (encoding !== 'snappy')
    throw new AppError('unsupported_media', `content encoding ${encoding}; send snappy (block format)`)
}

const sayRejections = (rejections: readonly Rejection[], kept: number): string => {
  const refused = rejections.reduce((n, r) => n + r.count, 0)
  const lines = rejections.map((r) => `${r.reason}: ${r.count}, the first: ${r.example}`)
  return `${refused} samples refused, ${kept} kept\n${lines.join('\n')}\n`
}
