// Traces and logs on their way in: decoded, what was accepted before left out, waited for until on disk, counted.
import { breathe, type Clock } from '../../lib/clock.ts'
import type { Logger } from '../../lib/log.ts'
import type { Instant } from '../../lib/time.ts'
import type { Batch } from '../../model/batch.ts'
import { countRows, sliceRows } from '../../model/packed-rows.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SpanRows } from '../../model/span.ts'
import type { Wanted } from '../../model/span-rows.ts'
import type { OtlpConfig } from './config.ts'
import { decodeLogs } from './decode-logs.ts'
import { type Accepted, decodeSpans } from './decode-spans.ts'
import { SignalMemory, type SignalRules, type TimeLimits } from './envelope.ts'
import type { Exported } from './exported.ts'
import { logsRequest, traceRequest } from './json-shapes.ts'
import { jsonToWire } from './json-wire.ts'
import { createMask } from './masks.ts'
import type { Encoding } from './status.ts'
import { Tally } from './tally.ts'

export type ItemSignal = 'traces' | 'logs'

export interface SignalIngestDeps {
  readonly config: OtlpConfig
  /** How long rows are kept, in milliseconds: what is older when it comes is refused. */
  readonly maxAge: Readonly<Record<ItemSignal, number>>
  readonly maxAhead: number
  /** Attributes that are reckoned with. */
  readonly wanted: Wanted
  readonly accepted: Accepted
  readonly sink: Sink<Batch>
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface SignalIngest {
  /** Resolves when everything that may pass is on disk. Throws `bad_data` for what is no request, and what the sink rejects with. */
  take(
    signal: ItemSignal,
    body: Buffer,
    encoding: Encoding,
    protocol: string,
    abort: AbortSignal,
  ): Promise<Exported>
}

const requests = { traces: traceRequest, logs: logsRequest }

export const rulesOf = ({ limits, content }: OtlpConfig, wanted: Wanted): SignalRules => ({
  limits: {
    attributes: limits.attributes,
    valueLength: limits.value_length,
    bodyLength: limits.body_length,
    events: limits.events,
  },
  wanted,
  keep: Array.isArray(content.keep) ? new Set(content.keep) : content.keep,
  mask: createMask(content.mask),
  maskAll: content.apply_to === 'everything',
})

const emptyBatch = (part: Pick<Batch, 'spans' | 'logs'>): Batch => ({
  ref: new Uint32Array(0),
  at: new Float64Array(0),
  value: new Float64Array(0),
  metadata: [],
  events: [],
  costs: [],
  ...part,
})

/** Spans that are counted and priced in one go: some tens of milliseconds of work that nothing else gets done in. */
const mostAtOnce = 2000

/** Many spans go on in several batches. Whoever sends a request again because one failed finds the others known, span by span. */
const piecesOf = (batch: Batch): readonly Batch[] => {
  const { spans } = batch
  const all = countRows(spans)
  if (!spans || all <= mostAtOnce) return [batch]
  const pieces: Batch[] = []
  for (let from = 0; from < all; from += mostAtOnce) {
    const to = Math.min(all, from + mostAtOnce)
    const rows = sliceRows(spans, from, to)!
    const piece: SpanRows = spans.read ? { ...rows, read: spans.read.slice(from, to) } : rows
    pieces.push({ ...batch, spans: piece })
  }
  return pieces
}

const nanosOf = (now: Instant): { low: number; high: number } => {
  const nanos = BigInt(Math.floor(now)) * 1_000_000n
  return { low: Number(nanos & 0xffffffffn), high: Number(nanos >> 32n) }
}

/** One for all doors, so that they share what has been learnt of keys and resources. */
export const createSignalIngest = (deps: SignalIngestDeps): SignalIngest => {
  const { config, maxAge, maxAhead, wanted, accepted, sink, clock, log, metrics } = deps
  const rules = rulesOf(config, wanted)
  const memories = { traces: new SignalMemory(rules), logs: new SignalMemory(rules) }
  const counted = { traces: countsOf(metrics, 'spans'), logs: countsOf(metrics, 'log_records') }

  const decode = (signal: ItemSignal, body: Buffer, now: Instant): { batch: Batch; tally: Tally } => {
    const times: TimeLimits = { oldestAt: now - maxAge[signal], newestAt: now + maxAhead }
    if (signal === 'logs') {
      const { rows, tally } = decodeLogs(body, memories.logs, times, nanosOf(now))
      tally.taken = countRows(rows)
      return { batch: emptyBatch({ logs: rows }), tally }
    }
    const { rows, tally } = decodeSpans(body, memories.traces, times, accepted)
    tally.taken = countRows(rows)
    return { batch: emptyBatch({ spans: rows }), tally }
  }

  const push = async (
    signal: ItemSignal,
    batch: Batch,
    protocol: string,
    abort: AbortSignal,
  ): Promise<void> => {
    let safe = 0
    try {
      for (const piece of piecesOf(batch)) {
        if (safe > 0) await breathe()
        await sink.push(piece, abort)
        safe += countRows(piece.spans)
      }
    } catch (error) {
      // What is safe was accepted, and will be known when the request comes again.
      if (safe > 0) counted[signal](Object.assign(new Tally(), { taken: safe }), protocol)
      throw error
    }
  }

  const take: SignalIngest['take'] = async (signal, body, encoding, protocol, abort) => {
    const wire = encoding === 'json' ? jsonToWire(body, requests[signal]) : body
    const { batch, tally } = decode(signal, wire, clock.now())
    if (tally.taken > 0) await push(signal, batch, protocol, abort)
    counted[signal](tally, protocol)
    const { refused, rejected } = tally
    if (rejected > 0) log.debug({ signal, refused: [...refused] }, 'otlp request partly refused')
    const what = signal === 'traces' ? 'spans' : 'log records'
    const message = [...refused].map(([why, r]) => `${why}: ${r.count} ${what}, the first: ${r.example}`)
    return { rejected, message: message.join('; ') }
  }
  return { take }
}

const countsOf = (metrics: Metrics, what: 'spans' | 'log_records') => {
  const words = what === 'spans' ? 'Spans' : 'Log records'
  const name = (rest: string): string => `airboss_receive_${what}_${rest}`
  const taken = metrics.counter(name('total'), `${words} accepted and safe on disk.`, ['protocol'])
  const refused = metrics.counter(name('refused_total'), `${words} refused, by reason.`, [
    'protocol',
    'reason',
  ])
  const repeated = metrics.counter(
    name('repeated_total'),
    `${words} left out because they were accepted before.`,
    ['protocol'],
  )
  const changed = metrics.counter(
    name('changed_total'),
    `Parts of ${words.toLowerCase()} left out, cut or repaired, by what was done (otlp.limits).`,
    ['protocol', 'what'],
  )
  const content = metrics.counter(
    'airboss_content_dropped_total',
    'Prompts, completions and the like that were not kept (otlp.content), by attribute.',
    ['key'],
  )
  return (tally: Tally, protocol: string): void => {
    taken.add(tally.taken, { protocol })
    if (tally.repeated > 0) repeated.add(tally.repeated, { protocol })
    for (const [reason, { count }] of tally.refused) refused.add(count, { protocol, reason })
    for (const [part, count] of tally.changed) changed.add(count, { protocol, what: part })
    for (const [key, count] of tally.content) content.add(count, { key })
  }
}
