// The table of channels: which kinds of receivers there are, and how each is made.
import { globSync, readFileSync } from 'node:fs'
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/config.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { HttpSend } from '../lib/http.ts'
import type { Logger } from '../lib/log.ts'
import type { ChannelContext, ChannelGlobals, ChannelKind, ReceiverEntry } from '../model/ports/channel.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Notifier } from '../model/ports/notifier.ts'
import type { Pager } from '../model/ports/pager.ts'
import { deliver, deliverPage } from './deliver.ts'
import { type HttpConfig, httpConfigSchema, plainHttp } from './http-config.ts'
import { createPagerduty, createPagerdutyPager, type PagerdutyConfig, pagerdutySchema } from './pagerduty.ts'
import { createTemplates } from './templates.ts'
import { createWebhook, createWebhookPager, type WebhookConfig, webhookSchema } from './webhook.ts'

export const channelKinds: readonly ChannelKind[] = [
  { name: 'pagerduty', schema: (context) => pagerdutySchema(context), sendResolved: true },
  { name: 'webhook', schema: (context) => webhookSchema(context), sendResolved: true },
]

/** Schema of Alertmanager's `global.http_config`. */
export const globalHttpSchema = (context: ChannelContext) => httpConfigSchema(context)

export interface ChannelsDeps {
  readonly globals: ChannelGlobals
  readonly send: HttpSend
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
}

/** A user's device: one of the two. */
export type PagerTarget = { readonly webhook: Secret } | { readonly pagerduty: Secret }

export interface Channels {
  /** A receiver's entry as a notifier with retries. Throws `bad_data` on a template that cannot be read, or an unknown kind. */
  notifier(receiver: string, entry: ReceiverEntry): Notifier
  /** A user's device with retries. */
  pager(user: string, place: number, target: PagerTarget): Pager
}

/** User template files; a pattern may match none, a plain path must be there. */
const templateFiles = (patterns: readonly string[]): { name: string; text: string }[] =>
  patterns.flatMap((pattern) => {
    const paths = /[*?[{]/.test(pattern) ? globSync(pattern).sort() : [pattern]
    return paths.map((path) => {
      try {
        return { name: path, text: readFileSync(path, 'utf8') }
      } catch (error) {
        throw new AppError('bad_data', `template file ${path}: ${messageOf(error)}`, { cause: error })
      }
    })
  })

/** Reads the template files at once: a broken one throws `bad_data`, so that a reload can be refused whole. */
export const createChannels = (deps: ChannelsDeps): Channels => {
  const { globals, send, clock } = deps
  const templates = createTemplates(templateFiles(globals.templates), () => clock.now())
  const globalHttp = (globals.http as HttpConfig | undefined) ?? plainHttp
  const make = (entry: ReceiverEntry): Notifier => {
    if (entry.kind === 'pagerduty') {
      const config = entry.config as PagerdutyConfig
      const url = config.url ?? globals.pagerdutyURL
      return createPagerduty(config, { url, http: config.http_config ?? globalHttp, send, clock, templates })
    }
    if (entry.kind === 'webhook') {
      const config = entry.config as WebhookConfig
      return createWebhook(config, { http: config.http_config ?? globalHttp, send, clock })
    }
    throw new AppError('bad_data', `there is no channel ${entry.kind}`)
  }
  return {
    notifier: (receiver, entry) =>
      deliver(make(entry), { receiver, integration: `${entry.kind}[${entry.index}]` }, deps),
    pager: (user, place, target) => {
      const pager =
        'webhook' in target
          ? createWebhookPager(target.webhook, { http: globalHttp, send, clock })
          : createPagerdutyPager(target.pagerduty, {
              url: globals.pagerdutyURL,
              http: globalHttp,
              send,
              clock,
            })
      const kind = 'webhook' in target ? 'webhook' : 'pagerduty'
      return deliverPage(pager, { receiver: `user ${user}`, integration: `${kind}[${place}]` }, deps)
    },
  }
}
