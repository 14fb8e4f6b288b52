// The table of channels: which kinds of receivers there are, and how each is made.
import { globSync, readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Clock } from '../lib/clock.ts'
import type { Secret } from '../lib/config.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { createHttp, type HttpFactory, type HttpSend } from '../lib/http.ts'
import type { Logger } from '../lib/log.ts'
import type { ChannelContext, ChannelGlobals, ChannelKind, ReceiverEntry } from '../model/ports/channel.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import type { Notifier } from '../model/ports/notifier.ts'
import type { Pager } from '../model/ports/pager.ts'
import { deliver, deliverPage } from './deliver.ts'
import { createEmail, createEmailPager } from './email.ts'
import {
  type EmailConfig,
  type EmailGlobals,
  emailGlobalKeys,
  emailGlobals,
  emailSchema,
} from './email-config.ts'
import { type HttpConfig, httpConfigSchema, plainHttp, sendWith } from './http-config.ts'
import { createPagerduty, createPagerdutyPager, type PagerdutyConfig, pagerdutySchema } from './pagerduty.ts'
import { createSlack, createSlackPager } from './slack.ts'
import {
  type SlackConfig,
  type SlackGlobals,
  slackGlobalKeys,
  slackGlobals,
  slackSchema,
} from './slack-config.ts'
import { createTemplates } from './templates.ts'
import { createWebhook, createWebhookPager, type WebhookConfig, webhookSchema } from './webhook.ts'

export const channelKinds: readonly ChannelKind[] = [
  { name: 'pagerduty', schema: (context) => pagerdutySchema(context), sendResolved: true },
  { name: 'webhook', schema: (context) => webhookSchema(context), sendResolved: true },
  { name: 'slack', schema: (context) => slackSchema(context), sendResolved: false },
  { name: 'email', schema: (context) => emailSchema(context), sendResolved: false },
]

/** Schema of Alertmanager's `global.http_config`. */
export const globalHttpSchema = (context: ChannelContext) => httpConfigSchema(context)

/** Schema of the keys of Alertmanager's `global` that belong to channels. */
export const globalKeys = (context: ChannelContext) =>
  z
    .strictObject({ ...slackGlobalKeys(context), ...emailGlobalKeys(context) })
    .superRefine((keys, ctx) => {
      for (const key of [
        'slack_api_url',
        'slack_app_token',
        'smtp_auth_password',
        'smtp_auth_secret',
      ] as const)
        if (keys[key] !== undefined && keys[`${key}_file`] !== undefined)
          ctx.addIssue({ code: 'custom', path: [key], message: `give ${key} or ${key}_file, not both` })
    })
    .transform(
      (keys): OwnGlobals => ({
        slack: slackGlobals(keys, context),
        email: emailGlobals(keys, context),
      }),
    )

interface OwnGlobals {
  readonly slack: SlackGlobals
  readonly email: EmailGlobals
}

/** What holds where no file says anything. */
const noGlobals: OwnGlobals = {
  slack: { url: null, token: null, appURL: null },
  email: {
    ...{ smarthost: undefined, from: undefined, hello: undefined, user: undefined, password: undefined },
    ...{
      secret: undefined,
      identity: undefined,
      requireTls: undefined,
      implicitTls: undefined,
      tls: undefined,
    },
  },
}

export interface ChannelsDeps {
  readonly globals: ChannelGlobals
  readonly send: HttpSend
  readonly clock: Clock
  readonly log: Logger
  readonly metrics: Metrics
  /** Makes senders with TLS settings or a proxy of their own. */
  readonly http?: HttpFactory
}

/** A user's device: one of these. */
export type PagerTarget =
  | { readonly webhook: Secret }
  | { readonly pagerduty: Secret }
  | { readonly slack: Secret }
  | { readonly email: string }

export interface Channels {
  /** A receiver's entry as a notifier with retries. Throws `bad_data` on a template that cannot be read, or an unknown kind. */
  notifier(receiver: string, entry: ReceiverEntry): Notifier
  /** A user's device with retries; one that cannot be made refuses every page. */
  pager(user: string, place: number, target: PagerTarget): Pager
  /** Throws `bad_data` where a device cannot be made: an email address without a mail server. */
  checkPager(target: PagerTarget): void
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

type Make = (entry: ReceiverEntry) => Notifier
type Page = (target: PagerTarget) => Pager

const makers = (deps: ChannelsDeps): { make: Make; page: Page } => {
  const { globals, send, clock, http: factory = createHttp } = deps
  const templates = createTemplates(templateFiles(globals.templates), () => clock.now())
  const globalHttp = (globals.http as HttpConfig | undefined) ?? plainHttp
  const own = (globals.channels as OwnGlobals | undefined) ?? noGlobals
  const over = (http: HttpConfig = globalHttp) => ({ http, send: sendWith(http, send, factory), clock })
  const make: Make = ({ kind, config }) => {
    if (kind === 'pagerduty') {
      const read = config as PagerdutyConfig
      const url = read.url ?? globals.pagerdutyURL
      return createPagerduty(read, { url, ...over(read.http_config), templates })
    }
    if (kind === 'webhook') {
      const read = config as WebhookConfig
      return createWebhook(read, over(read.http_config))
    }
    if (kind === 'slack') {
      const read = config as SlackConfig
      return createSlack(read, { globals: own.slack, ...over(read.http_config), templates })
    }
    if (kind === 'email') return createEmail(config as EmailConfig, { globals: own.email, clock, templates })
    throw new AppError('bad_data', `there is no channel ${kind}`)
  }
  const page: Page = (target) => {
    if ('webhook' in target) return createWebhookPager(target.webhook, over())
    if ('slack' in target) return createSlackPager(target.slack, { globals: own.slack, ...over() })
    if ('email' in target) return createEmailPager(target.email, { globals: own.email, clock })
    return createPagerdutyPager(target.pagerduty, { url: globals.pagerdutyURL, ...over() })
  }
  return { make, page }
}

/** Reads the template files at once: a broken one throws `bad_data`, so that a reload can be refused whole. */
export const createChannels = (deps: ChannelsDeps): Channels => {
  const { make, page } = makers(deps)
  return {
    notifier: (receiver, entry) =>
      deliver(make(entry), { receiver, integration: `${entry.kind}[${entry.index}]` }, deps),
    pager: (user, place, target) => {
      const kind = Object.keys(target)[0]
      const names = { receiver: `user ${user}`, integration: `${kind}[${place}]` }
      try {
        return deliverPage(page(target), names, deps)
      } catch (error) {
        // The user's other devices must still be reached.
        return deliverPage({ page: () => Promise.reject(error) }, names, deps)
      }
    },
    checkPager: (target) => void page(target),
  }
}
