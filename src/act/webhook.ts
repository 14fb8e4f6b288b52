// Carries an action out by a signed POST: retried while the receiver is away, one idempotency key for all attempts.
import { createHmac } from 'node:crypto'
import { type Backoff, backoff } from '../lib/backoff.ts'
import type { Clock } from '../lib/clock.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { HttpResponse, HttpSend } from '../lib/http.ts'
import type { Logger } from '../lib/log.ts'
import { type Duration, duration, formatDuration, second } from '../lib/time.ts'
import type { Actor } from '../model/actor.ts'
import type { Action, Decision } from '../model/decision.ts'
import type { ActOutcome, Actuator } from '../model/ports/actuator.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { WebhookConfig } from './config.ts'

interface WebhookDeps {
  readonly webhooks: Readonly<Record<string, WebhookConfig>>
  /** The webhook for actions that name none; '' = the only one there is. */
  readonly default: string
  readonly send: HttpSend
  /** The decision an action came from, to send along. */
  readonly decisionOf: (action: Action) => Decision | null
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  readonly random?: () => number
}

const waits: Backoff = { first: second, most: duration(60_000) }

/**
 * The value of `X-Airboss-Signature`: `t=<unix seconds>,v1=<hex>`, where v1 is HMAC-SHA256 of `<t>.<body>` under the shared secret. The
 * receiver refuses a t that is minutes old.
 */
export const signature = (secret: string, unixSeconds: number, body: string): string =>
  `t=${unixSeconds},v1=${createHmac('sha256', secret).update(`${unixSeconds}.${body}`).digest('hex')}`

/** How long a receiver asked to be left alone, in its Retry-After header in seconds; null when it did not say. */
const retryAfter = (answer: HttpResponse): Duration | null => {
  const seconds = Number(answer.headers['retry-after'] ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? duration(seconds * 1000) : null
}

type Tried = { readonly end: ActOutcome } | { readonly again: string; readonly after: Duration | null }

class Webhooks implements Actuator {
  readonly #deps: WebhookDeps
  readonly #attempts

  constructor(deps: WebhookDeps) {
    this.#deps = deps
    this.#attempts = deps.metrics.counter(
      'airboss_webhook_attempts_total',
      'Calls of action webhooks by what came of them.',
      ['webhook', 'outcome'],
    )
  }

  async act(action: Action, by: Actor, signal: AbortSignal): Promise<ActOutcome> {
    const { webhooks, clock, log, random } = this.#deps
    const names = Object.keys(webhooks)
    const name = action.actuator || this.#deps.default || (names.length === 1 ? names[0]! : '')
    const hook = webhooks[name]
    if (!hook) {
      const why = name === '' ? 'no webhook is set for it' : `no webhook is named ${JSON.stringify(name)}`
      return {
        outcome: 'failed',
        why: `${why}; actions.webhooks has ${names.join(', ') || 'none'}`,
        retryable: false,
      }
    }
    const body = JSON.stringify({ version: '1', action, decision: this.#deps.decisionOf(action), by: by.id })
    const startedAt = clock.monotonic()
    for (let attempt = 1; ; attempt++) {
      const tried = await this.#try(name, hook, action, body, signal)
      if ('end' in tried) return tried.end
      const wait = duration(Math.max(tried.after ?? 0, backoff(waits, attempt, random)))
      if (clock.monotonic() - startedAt + wait > hook.give_up_after)
        return {
          outcome: 'failed',
          why: `${name} did not take it in ${attempt} attempts over ${formatDuration(hook.give_up_after)}: ${tried.again}`,
          retryable: true,
        }
      log.debug(
        { webhook: name, action: action.id, attempt, wait, why: tried.again },
        'webhook will be called again',
      )
      await clock.sleep(wait, signal)
    }
  }

  async #try(
    name: string,
    hook: WebhookConfig,
    action: Action,
    body: string,
    signal: AbortSignal,
  ): Promise<Tried> {
    const { clock, send } = this.#deps
    let answer: HttpResponse
    try {
      answer = await send({
        url: hook.url,
        method: 'POST',
        headers: this.#headers(hook, action, body),
        body,
        signal: clock.timeout(hook.timeout, signal),
        maxBytes: 64 << 10,
      })
    } catch (error) {
      if (signal.aborted)
        throw new AppError('canceled', `the call of ${name} was interrupted`, { cause: error })
      this.#attempts.add(1, { webhook: name, outcome: 'no_answer' })
      if (error instanceof AppError && !error.retryable)
        return { end: { outcome: 'failed', why: error.message, retryable: false } }
      return { again: messageOf(error), after: null }
    }
    const { status } = answer
    this.#attempts.add(1, { webhook: name, outcome: status < 300 ? 'ok' : 'refused' })
    if (status >= 200 && status < 300)
      return { end: { outcome: 'done', detail: `${name} answered ${status}` } }
    const said = answer.body.toString('utf8', 0, 200).trim()
    const why = `${name} answered ${status}${said === '' ? '' : `: ${said}`}`
    if (status >= 500 || status === 429 || status === 408) return { again: why, after: retryAfter(answer) }
    return { end: { outcome: 'failed', why, retryable: false } }
  }

  #headers(hook: WebhookConfig, action: Action, body: string): Record<string, string> {
    const headers: Record<string, string> = { 'content-type': 'application/json' }
    for (const [header, value] of Object.entries(hook.headers)) headers[header.toLowerCase()] = value.reveal()
    // A header holds visible ASCII only; subjects may be in any script.
    headers['idempotency-key'] = action.id.replace(/[^\x21-\x7e]+/gu, encodeURIComponent)
    // Signed anew each attempt, so that a receiver may refuse old times.
    if (hook.secret)
      headers['x-airboss-signature'] = signature(
        hook.secret.reveal(),
        Math.floor(this.#deps.clock.now() / 1000),
        body,
      )
    return headers
  }
}

/** An actuator that calls the webhook an action names. Network failures, 408, 429 and 5xx are retried; any other answer is final. */
export const createWebhooks = (deps: WebhookDeps): Actuator => new Webhooks(deps)
