// `POST /api/ops/v1/hooks/{name}`: checked, understood, done once.
import type { Clock } from '../../lib/clock.ts'
import { AppError, asAppError, messageOf } from '../../lib/errors.ts'
import type { Logger } from '../../lib/log.ts'
import { RecentIds } from '../../lib/recent-ids.ts'
import type { RowLog } from '../../lib/row-log.ts'
import { duration, second } from '../../lib/time.ts'
import { fingerprint } from '../../model/alert.ts'
import type { Batch } from '../../model/batch.ts'
import { type AdmissionLimits, BatchBuilder } from '../../model/batch-builder.ts'
import { labelsOf } from '../../model/labels.ts'
import type { AlertManager, PostedAlert } from '../../model/ports/alert-manager.ts'
import type { HandlerRequest, HandlerResponse, HttpHandler } from '../../model/ports/http-handler.ts'
import type { Metrics } from '../../model/ports/metrics.ts'
import type { Service } from '../../model/ports/service.ts'
import type { Sink } from '../../model/ports/sink.ts'
import type { SeriesTable } from '../../model/series.ts'
import { errorAnswer } from '../item-answer.ts'
import type { Hook, Hooks } from './config.ts'
import { type Delivery, decodeDelivery, deliveryId, type HookEvent, type HookSample } from './decode.ts'
import { checkAuth } from './signature.ts'

export interface HooksDeps {
  readonly hooks: Hooks
  /** Takes `POST /api/ops/v1/events`. */
  readonly events: HttpHandler
  readonly alerts: Pick<AlertManager, 'post'>
  readonly table: SeriesTable
  readonly sink: Sink<Batch>
  readonly limits: AdmissionLimits
  /** Where names of deliveries are kept over a restart. */
  readonly openRows: () => Promise<{ readonly rows: RowLog; close(): Promise<void> }>
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

export interface HookReceiver extends HttpHandler, Service {
  /** Whether a hook has no secret of its own, so that the caller needs access as for any other call. */
  needsAccess(name: string): boolean
  apply(hooks: Hooks): void
}

const maxBytes = 1 << 20
const remembered = 65_536
const pushTime = duration(10 * second)
const compactAbove = 8 << 20
const prefix = '/api/ops/v1/hooks/'

type Outcome = 'taken' | 'duplicate' | 'ignored' | 'unknown' | 'forbidden' | 'bad_data' | 'failed'

const json = (status: number, value: unknown): HandlerResponse => ({
  status,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(value),
})

class Receiver implements HookReceiver {
  readonly maxBytes = maxBytes
  readonly #deps: HooksDeps
  readonly #seen = new RecentIds(remembered)
  readonly #working = new Map<string, Promise<HandlerResponse>>()
  readonly #deliveries
  #hooks: Hooks
  #rows: RowLog | null = null
  #close = (): Promise<void> => Promise.resolve()

  constructor(deps: HooksDeps) {
    this.#deps = deps
    this.#hooks = deps.hooks
    this.#deliveries = deps.metrics.counter(
      'airboss_hook_deliveries_total',
      'Webhooks that came in, by outcome.',
      ['hook', 'outcome'],
    )
  }

  async start(): Promise<void> {
    const { rows, close } = await this.#deps.openRows()
    this.#rows = rows
    this.#close = close
    for (const row of await rows.replay()) {
      const { ids, id } = row as { ids?: string; id?: string }
      if (ids !== undefined) this.#seen.load(ids)
      if (id !== undefined) this.#seen.add(id)
    }
  }

  async drain(): Promise<void> {
    await Promise.allSettled(this.#working.values())
    this.#rows = null
    await this.#close()
  }

  needsAccess(name: string): boolean {
    const hook = this.#find(name)
    return hook === null || hook.auth === 'access'
  }

  apply(hooks: Hooks): void {
    this.#hooks = hooks
  }

  #find(name: string): Hook | null {
    return Object.hasOwn(this.#hooks, name) ? this.#hooks[name]! : null
  }

  async handle(request: HandlerRequest, signal: AbortSignal): Promise<HandlerResponse> {
    const name = request.path.startsWith(prefix) ? request.path.slice(prefix.length) : ''
    const hook = this.#find(name)
    const say = (outcome: Outcome): void =>
      // An unknown name is whatever somebody made up: it may not become a label.
      this.#deliveries.add(1, { hook: hook ? name : '', outcome })
    try {
      if (!hook)
        throw new AppError(
          'not_found',
          `there is no hook ${JSON.stringify(name)}; hooks in airboss.yaml declares them`,
        )
      if (request.method !== 'POST')
        throw new AppError('bad_data', `${request.method} is not taken here; send a POST`, { status: 405 })
      const why = checkAuth(hook.auth, request.headers, request.body, this.#deps.clock.now())
      if (why !== null) throw new AppError('unauthorized', why)
      const { answer, outcome } = await this.#once(name, hook, request, signal)
      say(outcome)
      return answer
    } catch (thrown) {
      const error = asAppError(thrown)
      const outcomes: Partial<Record<string, Outcome>> = { not_found: 'unknown', unauthorized: 'forbidden' }
      say(outcomes[error.code] ?? (error.status < 500 ? 'bad_data' : 'failed'))
      if (hook) this.#deps.log.warn({ hook: name, why: wholeWhy(error) }, 'webhook not taken')
      return errorAnswer(error)
    }
  }

  /** A delivery that is under way, or was taken, is not done again. */
  async #once(
    name: string,
    hook: Hook,
    request: HandlerRequest,
    signal: AbortSignal,
  ): Promise<{ answer: HandlerResponse; outcome: Outcome }> {
    const payload = payloadOf(request)
    const id = deliveryId(hook, payload, request.headers)
    const key = `${name}\u0000${id}`
    const duplicate = { answer: json(200, { duplicate: true, id }), outcome: 'duplicate' as const }
    if (id !== '' && this.#seen.has(key)) return duplicate
    const before = id === '' ? undefined : this.#working.get(key)
    if (before) {
      const answer = await before
      return answer.status === 200 ? duplicate : { answer, outcome: 'failed' }
    }
    const delivery = decodeDelivery(hook, payload, id, this.#deps.clock.now())
    const work = this.#take(delivery, name, signal)
    if (id !== '') this.#working.set(key, work)
    try {
      const answer = await work
      if (id !== '') await this.#remember(key)
      const made = delivery.alerts.length + delivery.events.length + delivery.samples.length
      return { answer, outcome: made === 0 ? 'ignored' : 'taken' }
    } finally {
      this.#working.delete(key)
    }
  }

  async #take(delivery: Delivery, name: string, signal: AbortSignal): Promise<HandlerResponse> {
    const { ignored } = delivery
    const alerts = this.#current(delivery.alerts, name)
    if (delivery.samples.length > 0) await this.#samples(delivery.samples)
    if (delivery.events.length > 0) await this.#events(delivery.events, signal)
    if (alerts.length > 0) {
      await this.#deps.alerts.post(alerts, signal)
      for (const a of alerts) if (isOver(a, this.#deps.clock.now())) await this.#remember(overKey(a, name))
    }
    const made = { alerts: alerts.length, events: delivery.events.length, samples: delivery.samples.length }
    return json(200, { accepted: made, ignored: ignored + delivery.alerts.length - alerts.length })
  }

  /** Without what is late: an alert that was over is not raised again by an older word of the same start. */
  #current(alerts: readonly PostedAlert[], name: string): PostedAlert[] {
    const now = this.#deps.clock.now()
    return alerts.filter((a) => a.startsAt === null || isOver(a, now) || !this.#seen.has(overKey(a, name)))
  }

  async #remember(key: string): Promise<void> {
    if (this.#seen.has(key)) return
    this.#seen.add(key)
    const rows = this.#rows
    if (!rows) return
    try {
      await rows.append([{ id: key }])
      if (rows.size() > compactAbove) await rows.rewrite([{ ids: this.#seen.save() }])
    } catch (error) {
      // It is done and may not be refused: what is lost is that a repetition after a restart counts twice.
      this.#deps.log.error({ why: messageOf(error) }, 'name of a delivery not written')
    }
  }

  async #samples(samples: readonly HookSample[]): Promise<void> {
    const { table, limits, sink, clock } = this.#deps
    const builder = new BatchBuilder(table, limits, clock.now(), samples.length)
    for (const { labels, value, at } of samples) {
      const ref = builder.series(labelsOf(labels))
      if (ref < 0) throw new AppError('limit_exceeded', `sample: ${builder.lastExample}`)
      builder.add(ref, at, value)
    }
    const [refused] = builder.rejections
    if (refused) throw new AppError('bad_data', `sample: ${refused.example}`)
    await sink.push(builder.build(), clock.timeout(pushTime))
  }

  async #events(events: readonly HookEvent[], signal: AbortSignal): Promise<void> {
    const answer = await this.#deps.events.handle(
      {
        method: 'POST',
        path: '/api/ops/v1/events',
        query: new URLSearchParams(),
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify(events)),
      },
      signal,
    )
    const said = JSON.parse(String(answer.body ?? '{}')) as {
      rejected?: { field: string; error: string }[]
      error?: { message: string }
    }
    const first = said.rejected?.[0]
    if (first) throw new AppError('bad_data', `event.${first.field}: ${first.error}`)
    if (answer.status !== 200)
      throw new AppError(
        answer.status >= 500 ? 'unavailable' : 'bad_data',
        said.error?.message ?? `${answer.status}`,
      )
  }
}

/** What the caller is told, and what only we are. */
const wholeWhy = (error: AppError): string =>
  error.status < 500 || error.cause === undefined
    ? error.message
    : `${error.message}: ${messageOf(error.cause)}`

const isOver = (alert: PostedAlert, now: number): boolean => alert.endsAt !== null && alert.endsAt <= now
const overKey = (a: PostedAlert, name: string): string =>
  `${name}\u0000over\u0000${fingerprint(a.labels)}\u0000${a.startsAt}`

const payloadOf = ({ body, headers }: HandlerRequest): unknown => {
  const type = (headers['content-type'] ?? 'application/json').split(';')[0]!.trim().toLowerCase()
  const form = type === 'application/x-www-form-urlencoded'
  if (!form && !/[/+]json$/.test(type) && type !== 'text/plain')
    throw new AppError('unsupported_media', `content type ${type} is not taken; send application/json`)
  // GitHub and Slack can wrap their JSON in a form field.
  const text = form ? new URLSearchParams(body.toString('utf8')).get('payload') : body.toString('utf8')
  if (text === null)
    throw new AppError('bad_data', 'the form has no field payload; send JSON as application/json')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new AppError('bad_data', `the body is no JSON: ${messageOf(error)}`, { cause: error })
  }
}

export const createHooks = (deps: HooksDeps): HookReceiver => new Receiver(deps)
