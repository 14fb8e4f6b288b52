// What OTLP over HTTP and over gRPC share: decode, translate, wait for the disk, count.
import type { Clock } from '../../lib/clock.ts'
import { AppError } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { Batch } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder, type Rejection } from '../../model/batch-builder.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesTable } from '../../model/series.ts'
import { type ReceiveMetrics, receiveMetrics } from '../receive-metrics.ts'
import type { OtlpConfig } from './config.ts'
import { decodeJson } from './decode-json.ts'
import { decodeProtobuf } from './decode-protobuf.ts'
import type { DeltaState, DeltaTransaction } from './delta.ts'
import type { Exported } from './exported.ts'
import type { Encoding } from './status.ts'
import { Translation } from './translate.ts'
import { TranslationMemory } from './translation-memory.ts'

interface OtlpIngestDeps {
  readonly config: OtlpConfig
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  /** Also handed to the log, as a Producer. */
  readonly delta: DeltaState
  readonly limits: AdmissionLimits
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface OtlpIngest {
  /** Resolves when everything that may pass is on disk. Throws `bad_data` for what is no request, and what the sink rejects with. */
  take(body: Buffer, encoding: Encoding, count: ReceiveMetrics, signal: AbortSignal): Promise<Exported>
  counted(protocol: string): ReceiveMetrics
}

/** One for all OTLP receivers, so that they share what has been learnt of series. */
export const createOtlpIngest = (deps: OtlpIngestDeps): OtlpIngest => {
  const { config, table, sink, delta, limits, clock, log, metrics } = deps
  const memory = new TranslationMemory(config)

  /** Translates into a new builder; null when another request's delta points are under way. */
  const translate = (
    body: Buffer,
    encoding: Encoding,
    held: { tx: DeltaTransaction | null },
  ): { builder: BatchBuilder; translation: Translation } | null => {
    const now = clock.now()
    const builder = new BatchBuilder(table, limits, now, Math.max(64, body.length >> 7))
    const translation = new Translation(memory, builder, () => {
      held.tx ??= delta.tryBegin(now)
      return held.tx
    })
    if (encoding === 'json') decodeJson(body, translation)
    else decodeProtobuf(body, translation)
    return translation.blocked ? null : { builder, translation }
  }

  const take: OtlpIngest['take'] = async (body, encoding, count, signal) => {
    const held: { tx: DeltaTransaction | null } = { tx: null }
    let kept = false
    try {
      let done = translate(body, encoding, held)
      if (done === null) {
        held.tx = await delta.begin(() => clock.now(), signal)
        done = translate(body, encoding, held)
      }
      if (done === null)
        throw new AppError('internal', 'delta points were blocked while the transaction was held')
      const { builder, translation } = done
      if (!builder.empty) {
        const batch = builder.build()
        // A client that goes away must not leave it open whether the totals in the log are the state's.
        await sink.push(batch, held.tx === null ? signal : never)
        memory.metadata.told(batch.metadata)
      }
      kept = true
      count.samples(translation.samples)
      if (builder.exemplarsDropped > 0) count.dropped('exemplars', builder.exemplarsDropped)
      const { rejections } = builder
      count.rejections(rejections)
      if (rejections.length > 0) log.debug({ rejections }, 'otlp request partly refused')
      return { rejected: builder.rejected, message: say(rejections) }
    } finally {
      // Only what is on disk may become the state that later points build on.
      if (kept) held.tx?.commit(clock.now())
      else held.tx?.rollback()
    }
  }
  return { take, counted: (protocol) => receiveMetrics(metrics, protocol) }
}

const never = new AbortController().signal

const say = (rejections: readonly Rejection[]): string =>
  rejections.map((r) => `${r.reason}: ${r.count} points, the first: ${r.example}`).join('; ')
