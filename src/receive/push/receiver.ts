// Pushgateway's forms: jobs that are over too soon to be scraped leave their metrics here, which are series until they are deleted.
import { gunzipSync } from 'node:zlib'
import { z } from 'zod'
import { type Clock, every } from '../../lib/clock.ts'
import { durationSchema } from '../../lib/config.ts'
import { AppError, asAppError, messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import type { RowLog } from '../../lib/row-log.ts'
import { type Duration, duration, type Instant, second } from '../../lib/time.ts'
import { type Batch, staleHigh, staleLow } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import { labelsOf, recordOf } from '../../model/labels.ts'
import type { HandlerRequest, HandlerResponse, HttpHandler } from '../../model/ports/http-handler.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesRef, SeriesTable } from '../../model/series.ts'
import { mediaType, textAnswer } from '../answers.ts'
import { type ReceiveMetrics, receiveMetrics } from '../receive-metrics.ts'
import { ToldMetadata, trimmed } from '../told-metadata.ts'
import { decodeText } from './decode.ts'
import { decodeFamilies } from './decode-protobuf.ts'
import { eachSeries, metadataOf, type Pushed } from './family.ts'
import { groupingOf } from './grouping.ts'
import { type Group, Groups } from './groups.ts'
import { type GroupRow, groupOf, rowOf, shownGroup } from './rows.ts'

/** `pushgateway:` in airboss.yaml. */
export const pushConfigSchema = z
  .strictObject({
    enabled: z.boolean().default(true),
    /** How often what was pushed is written as series; left out: global.scrape_interval. */
    interval: durationSchema.refine((d) => d > 0, 'must be above 0').optional(),
    max_groups: z.int().min(1).default(10_000),
    max_series: z.int().min(1).default(200_000),
  })
  .prefault({})

export interface PushDeps {
  readonly config: z.output<typeof pushConfigSchema>
  readonly interval: Duration
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  readonly limits: AdmissionLimits
  readonly openRows: () => Promise<{ readonly rows: RowLog; close(): Promise<void> }>
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface PushReceiver extends HttpHandler, Service {
  /** `GET /api/v1/metrics`. */
  readonly listing: HttpHandler
  /** `PUT /api/v1/admin/wipe`; only for who may. */
  readonly wipe: HttpHandler
}

const maxBytes = 8 << 20
const mostUnpacked = 64 << 20
const writeTime = duration(10 * second)
const compactAbove = 8 << 20

/** A group's series as columns, resolved once. */
interface Columns {
  readonly ref: readonly SeriesRef[]
  readonly value: Float64Array
}

class Pushes implements PushReceiver {
  readonly maxBytes = maxBytes
  readonly #deps: PushDeps
  readonly #groups: Groups
  readonly #columns = new Map<string, Columns>()
  readonly #told = new ToldMetadata()
  readonly #count: ReceiveMetrics
  readonly #held
  readonly #life = new AbortController()
  #rows: RowLog | null = null
  #close = (): Promise<void> => Promise.resolve()
  #turn: Promise<unknown> = Promise.resolve()
  #lastAt = 0
  #compactAt = compactAbove

  constructor(deps: PushDeps) {
    this.#deps = deps
    this.#groups = new Groups({ groups: deps.config.max_groups, series: deps.config.max_series })
    this.#count = receiveMetrics(deps.metrics, 'push')
    this.#held = deps.metrics.gauge('airboss_push_groups', 'Groups of pushed metrics that are held.')
  }

  async start(): Promise<void> {
    const { clock, log, interval } = this.#deps
    const { rows, close } = await this.#deps.openRows()
    this.#rows = rows
    this.#close = close
    for (const row of (await rows.replay()) as GroupRow[]) this.#replay(row)
    for (const group of this.#groups.all()) this.#resolve(group)
    this.#held.set(this.#groups.size)
    every(clock, interval, () => this.#inTurn(() => this.#tick()), {
      signal: this.#life.signal,
      failed: (error) => log.warn({ why: messageOf(error) }, 'pushed metrics not written'),
    })
  }

  #replay(row: GroupRow): void {
    if ('gone' in row) this.#groups.remove(row.gone)
    else if ('wiped' in row) for (const { key } of [...this.#groups.all()]) this.#groups.remove(key)
    else this.#groups.put(groupOf(row))
  }

  async drain(): Promise<void> {
    this.#life.abort()
    await this.#turn.catch(() => undefined)
    this.#rows = null
    await this.#close()
  }

  /** One change at a time: each is looked at together with all that stand. */
  #inTurn<T>(run: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(run)
    this.#turn = done.catch(() => undefined)
    return done
  }

  async handle(request: HandlerRequest): Promise<HandlerResponse> {
    const answer = await this.#answer(request)
    this.#count.answered(answer.status)
    return answer
  }

  async #answer(request: HandlerRequest): Promise<HandlerResponse> {
    try {
      const labels = groupingOf(request.path)
      if (request.method === 'DELETE') {
        await this.#inTurn(() => this.#delete(labels))
        return { status: 202 }
      }
      if (request.method !== 'PUT' && request.method !== 'POST')
        throw new AppError('bad_data', `${request.method} is not taken here; PUT, POST or DELETE`, {
          status: 405,
        })
      const pushed = bodyOf(request)
      await this.#inTurn(() => this.#push(labels, pushed, request.method === 'PUT'))
      return { status: 200 }
    } catch (thrown) {
      const error = asAppError(thrown)
      if (error.status >= 500) this.#deps.log.warn({ why: error.message }, 'push not taken')
      return textAnswer(error)
    }
  }

  async #push(labels: Readonly<Record<string, string>>, pushed: Pushed, whole: boolean): Promise<void> {
    const now = this.#deps.clock.now()
    const group = this.#groups.after(labels, pushed, whole, now)
    try {
      this.#groups.check(group, pushed)
    } catch (error) {
      // The failure is a figure of the group, so that somebody can be told; not past a limit, where there is no room for it.
      if (error instanceof AppError && error.code === 'bad_data') await this.#tellFailure(labels, now)
      throw error
    }
    const samples = await this.#keep(group, now)
    this.#count.samples(samples)
  }

  async #tellFailure(labels: Readonly<Record<string, string>>, now: Instant): Promise<void> {
    const group = this.#groups.afterFailure(labels, now)
    if (this.#groups.overLimit(group) === null) await this.#keep(group, now)
  }

  /** Writes a group's series and an end to those it has no more, then its row; only then it stands. */
  async #keep(group: Group, now: Instant): Promise<number> {
    const { table, limits } = this.#deps
    const at = this.#nextAt(now)
    const builder = new BatchBuilder(table, limits, now)
    const columns = columnsOf(group, builder)
    if (columns === null) throw new AppError('limit_exceeded', builder.lastExample)
    const fresh = new Set(columns.ref)
    for (const ref of this.#columns.get(group.key)?.ref ?? [])
      if (!fresh.has(ref)) builder.addBits(ref, at, staleLow, staleHigh)
    for (const [i, ref] of columns.ref.entries()) builder.add(ref, at, columns.value[i]!)
    for (const family of group.families.values()) {
      const entry = trimmed(metadataOf(family))
      if (this.#told.isNews(entry)) builder.metadata.push(entry)
    }
    await this.#write(builder)
    await this.#append([rowOf(group)])
    this.#groups.put(group)
    this.#columns.set(group.key, columns)
    this.#held.set(this.#groups.size)
    return columns.ref.length
  }

  async #delete(labels: Readonly<Record<string, string>>): Promise<void> {
    const group = this.#groups.get(labels)
    if (!group) return
    await this.#end([group.key], { gone: group.key })
  }

  async #end(keys: readonly string[], row: GroupRow): Promise<void> {
    const { table, limits, clock } = this.#deps
    const now = clock.now()
    const at = this.#nextAt(now)
    const builder = new BatchBuilder(table, limits, now)
    for (const key of keys)
      for (const ref of this.#columns.get(key)?.ref ?? []) builder.addBits(ref, at, staleLow, staleHigh)
    await this.#write(builder)
    await this.#append([row])
    for (const key of keys) {
      this.#groups.remove(key)
      this.#columns.delete(key)
    }
    this.#held.set(this.#groups.size)
  }

  async #tick(): Promise<void> {
    if (this.#groups.size === 0) return
    const { table, limits, clock } = this.#deps
    const now = clock.now()
    const at = this.#nextAt(now)
    const builder = new BatchBuilder(table, limits, now, this.#groups.series)
    for (const { ref, value } of this.#columns.values())
      for (let i = 0; i < ref.length; i++) builder.add(ref[i]!, at, value[i]!)
    await this.#write(builder)
  }

  /** Always later than before, so that no sample is taken for a repetition. */
  #nextAt(now: Instant): number {
    this.#lastAt = now < this.#lastAt - 60_000 ? now : Math.max(now, this.#lastAt + 1)
    return this.#lastAt
  }

  async #write(builder: BatchBuilder): Promise<void> {
    if (builder.length === 0) return
    const batch = builder.build()
    await this.#deps.sink.push(batch, this.#deps.clock.timeout(writeTime))
    this.#told.told(batch.metadata)
  }

  async #append(rows: readonly GroupRow[]): Promise<void> {
    const log = this.#rows
    if (!log) throw new AppError('unavailable', 'not started, or stopping')
    if (log.size() > this.#compactAt) {
      await log.rewrite([...this.#groups.all()].map(rowOf))
      this.#compactAt = Math.max(compactAbove, log.size() * 2)
    }
    await log.append(rows)
  }

  #resolve(group: Group): void {
    const { table, limits, clock, log } = this.#deps
    const builder = new BatchBuilder(table, limits, clock.now(), 1)
    const columns = columnsOf(group, builder)
    if (columns) this.#columns.set(group.key, columns)
    else log.error({ group: group.labels, why: builder.lastExample }, 'pushed group not written as series')
  }

  readonly listing: HttpHandler = {
    maxBytes: 0,
    handle: () =>
      Promise.resolve({
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ status: 'success', data: [...this.#groups.all()].map(shownGroup) }),
      }),
  }

  readonly wipe: HttpHandler = {
    maxBytes: 0,
    handle: async () => {
      try {
        await this.#inTurn(() =>
          this.#end(
            [...this.#groups.all()].map((g) => g.key),
            { wiped: true },
          ),
        )
        return { status: 202 }
      } catch (error) {
        return textAnswer(error)
      }
    },
  }
}

/** Null where a label set may not pass; the builder says why. */
const columnsOf = (group: Group, builder: BatchBuilder): Columns | null => {
  const refs: SeriesRef[] = []
  const values: number[] = []
  let good = true
  for (const family of group.families.values())
    for (const metric of family.metrics) {
      const own = recordOf(metric.labels)
      eachSeries(family, metric, (name, label, text, value) => {
        const ref = builder.series(
          labelsOf({ ...own, ...(label === '' ? {} : { [label]: text }), __name__: name }),
        )
        if (ref < 0) good = false
        refs.push(ref)
        values.push(value)
      })
    }
  return good ? { ref: refs, value: Float64Array.from(values) } : null
}

const unpacked = ({ body, headers }: HandlerRequest): Buffer => {
  const encoding = (headers['content-encoding'] ?? 'identity').toLowerCase()
  if (encoding === 'identity') return body
  if (encoding !== 'gzip')
    throw new AppError('unsupported_media', `content encoding ${encoding} is not taken; send gzip or none`)
  try {
    return gunzipSync(body, { maxOutputLength: mostUnpacked })
  } catch (error) {
    throw new AppError('bad_data', `the body cannot be unpacked: ${messageOf(error)}`, { cause: error })
  }
}

const bodyOf = (request: HandlerRequest): Pushed => {
  const body = unpacked(request)
  const { type, params } = mediaType(request.headers['content-type'])
  const delimited = type === 'application/vnd.google.protobuf' && params.get('encoding') === 'delimited'
  if (delimited && params.get('proto') === 'io.prometheus.client.MetricFamily') return decodeFamilies(body)
  return decodeText(body.toString('utf8'))
}

/** `PUT`, `POST` and `DELETE /metrics/job/…` as Pushgateway takes them. */
export const createPush = (deps: PushDeps): PushReceiver => new Pushes(deps)
