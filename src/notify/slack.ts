// Slack: a group of alerts as one message with an attachment, by incoming webhook or by an app's token.
import type { Clock } from '../lib/clock.ts'
import { type Secret, textSecret } from '../lib/config.ts'
import { AppError } from '../lib/errors.ts'
import type { HttpResponse, HttpSend } from '../lib/http.ts'
import { duration, type Instant, second } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import type { Delivery, Notifier } from '../model/ports/notifier.ts'
import type { Page, Pager } from '../model/ports/pager.ts'
import { deliveryOf, deliveryOfError, retryAfter } from './answer.ts'
import type { HttpConfig } from './http-config.ts'
import { lenientText, truncate } from './lenient-text.ts'
import { postMessage, type SlackConfig, type SlackGlobals } from './slack-config.ts'
import type { NotificationTemplates, NotificationText } from './templates.ts'

export interface SlackDeps {
  readonly globals: SlackGlobals
  readonly http: HttpConfig
  readonly send: HttpSend
  readonly clock: Clock
  readonly templates: NotificationTemplates
}

/** Slack shows no more of a title. */
const mostTitle = 1024
const attemptTime = duration(30 * second)
/** Messages that may be changed later; past it the oldest are forgotten, and a new message is posted for them. */
const mostMessages = 10_000

/** What is Slack's own trouble, or passes: https://docs.slack.dev/reference/methods/chat.postMessage names them. */
const passing = new Set([
  'ratelimited',
  'rate_limited',
  'internal_error',
  'fatal_error',
  'service_unavailable',
  'request_timeout',
  'team_added_to_org',
  'rollup_error',
])

/** What became of a message, and where it is, where Slack says so. Slack says no with 200 too. */
export const slackAnswer = (
  answer: HttpResponse,
  now: Instant,
): { delivery: Delivery; channel: string; ts: string } => {
  const nowhere = { channel: '', ts: '' }
  const words = answer.body.toString('utf8', 0, 400).trim()
  if (answer.status < 200 || answer.status > 299) return { delivery: deliveryOf(answer, now), ...nowhere }
  if (!(answer.headers['content-type'] ?? '').startsWith('application/json'))
    return {
      delivery:
        words === 'ok'
          ? { outcome: 'sent' }
          : { outcome: 'refused', why: `Slack answered ${JSON.stringify(words)}` },
      ...nowhere,
    }
  let said: { ok?: unknown; error?: unknown; channel?: unknown; ts?: unknown }
  try {
    said = JSON.parse(answer.body.toString('utf8'))
  } catch {
    return {
      delivery: { outcome: 'retry', why: `Slack's answer is no JSON: ${words}`, after: null },
      ...nowhere,
    }
  }
  if (said.ok === true)
    return { delivery: { outcome: 'sent' }, channel: String(said.channel ?? ''), ts: String(said.ts ?? '') }
  const why = `Slack answered ${String(said.error ?? words)}`
  const delivery: Delivery = passing.has(String(said.error))
    ? { outcome: 'retry', why, after: retryAfter(answer.headers['retry-after'], now) }
    : { outcome: 'refused', why }
  return { delivery, ...nowhere }
}

type Compiled = (n: Notification) => Record<string, unknown>
type Compile = (value: string, name: string) => NotificationText

/** Keys in Slack's order; what is empty is left out where Slack knows no difference. */
const filled = (record: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(record).filter(([, v]) => v !== '' && v !== undefined && v !== false))

const compileRecord = (record: Record<string, string>, name: string, compile: Compile): Compiled => {
  const texts = Object.entries(record).map(([k, v]) => [k, compile(v, `${name} ${k}`)] as const)
  return (n) => Object.fromEntries(texts.map(([k, render]) => [k, render(n)]))
}

const compileParts = (config: SlackConfig, compile: Compile) => {
  const { fields, actions } = config
  const renderFields = fields.map(({ short, ...f }, i) => ({
    short: short ?? config.short_fields,
    texts: compileRecord(f, `fields ${i}`, compile),
  }))
  const renderActions = actions.map(({ confirm, ...a }, i) => ({
    texts: compileRecord(a, `actions ${i}`, compile),
    confirm: confirm ? compileRecord(confirm, `actions ${i} confirm`, compile) : null,
  }))
  return (n: Notification) => ({
    fields: renderFields.map((f) => ({ ...f.texts(n), short: f.short })),
    actions: renderActions.map((a) => ({
      ...filled(a.texts(n)),
      ...(a.confirm ? { confirm: filled(a.confirm(n)) } : {}),
    })),
  })
}

/** The message as Slack takes it. A field that Alertmanager always writes is written here too. */
const compileMessage = (config: SlackConfig, templates: NotificationTemplates) => {
  const compile: Compile = (value, name) => lenientText(templates, value, `slack ${name}`)
  const { channel, username, icon_emoji, icon_url, message_text } = config
  const head = compileRecord({ channel, username, icon_emoji, icon_url, text: message_text }, '', compile)
  const { title, title_link, pretext, fallback, callback_id, image_url, thumb_url, footer, color } = config
  const texts = compileRecord(
    {
      ...{ title, title_link, pretext, text: config.text, fallback, callback_id },
      ...{ image_url, thumb_url, footer, color },
    },
    '',
    compile,
  )
  const parts = compileParts(config, compile)
  const marked = config.mrkdwn_in.length > 0 ? config.mrkdwn_in : ['fallback', 'pretext', 'text']
  return (n: Notification) => {
    const said = texts(n)
    const { fields, actions } = parts(n)
    const attachment = {
      ...filled({ ...said, title: truncate(String(said['title']), mostTitle) }),
      ...{ text: said['text'], fallback: said['fallback'] },
      ...{ callback_id: said['callback_id'], footer: said['footer'] },
      ...(fields.length > 0 ? { fields } : {}),
      ...(actions.length > 0 ? { actions } : {}),
      mrkdwn_in: marked,
    }
    return { ...filled({ ...head(n), link_names: config.link_names }), attachments: [attachment] }
  }
}

/** Where a receiver's messages go, its own word before the global one. Throws `bad_data` where nobody says. */
const aim = (config: SlackConfig, globals: SlackGlobals): { url: Secret; token: Secret | null } => {
  const { url, token, appURL } = config.target
  const own = token ?? (url || config.http_config?.authorized ? null : globals.token)
  if (own) {
    if (config.http_config?.authorized)
      throw new AppError(
        'bad_data',
        'http_config.authorization and an app token cannot both be given: remove one',
      )
    return { url: textSecret(appURL ?? globals.appURL ?? postMessage), token: own }
  }
  const hook = url ?? globals.url
  if (!hook)
    throw new AppError(
      'bad_data',
      'no Slack address: give api_url or app_token here, or slack_api_url or slack_app_token under global',
    )
  return { url: hook, token: null }
}

const addressOf = (secret: Secret): string => {
  const url = secret.reveal().trim()
  if (!/^https?:\/\//.test(url)) throw new AppError('bad_data', 'the Slack address must begin with https://')
  return url
}

const post = async (
  deps: Pick<SlackDeps, 'http' | 'send' | 'clock'>,
  to: { url: string; token: Secret | null },
  message: unknown,
  signal: AbortSignal,
  time = attemptTime,
) => {
  const { http, send, clock } = deps
  const answer = await send({
    url: to.url,
    method: 'POST',
    headers: {
      'content-type': 'application/json; charset=utf-8',
      ...http.headers(),
      ...(to.token ? { authorization: `Bearer ${to.token.reveal()}` } : {}),
    },
    body: JSON.stringify(message),
    signal: clock.timeout(time, signal),
    follow: http.follow,
  })
  return slackAnswer(answer, clock.now())
}

/** Throws `bad_data` on a template that cannot be read, or where no address is given. */
export const createSlack = (config: SlackConfig, deps: SlackDeps): Notifier => {
  const to = aim(config, deps.globals)
  const message = compileMessage(config, deps.templates)
  const posted = new Map<string, { channel: string; ts: string }>()
  const update = config.update_message
  if (update && !safely(() => addressOf(to.url)).endsWith('/chat.postMessage'))
    throw new AppError(
      'bad_data',
      'update_message needs an app: an incoming webhook cannot change what it posted',
    )
  const time = config.timeout > 0 ? config.timeout : attemptTime
  return {
    notify: async (n, signal) => {
      try {
        const url = addressOf(to.url)
        const old = update ? posted.get(n.groupKey) : undefined
        const where = old ? { ...to, url: url.replace(/chat\.postMessage$/, 'chat.update') } : { ...to, url }
        const { delivery, channel, ts } = await post(deps, where, { ...message(n), ...old }, signal, time)
        if (update && delivery.outcome === 'sent' && ts !== '') {
          posted.delete(n.groupKey)
          if (n.status === 'firing') posted.set(n.groupKey, { channel, ts })
          if (posted.size > mostMessages) posted.delete(posted.keys().next().value ?? '')
        }
        // The message was removed meanwhile: the next attempt posts anew.
        if (old && delivery.outcome === 'refused') {
          posted.delete(n.groupKey)
          return { outcome: 'retry', why: delivery.why, after: null }
        }
        return delivery
      } catch (error) {
        return deliveryOfError(error)
      }
    },
  }
}

const safely = (read: () => string): string => {
  try {
    return read()
  } catch {
    return ''
  }
}

/** Signs that Slack reads as its own. */
const plain = (words: string): string =>
  words.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

const pageMessage = (page: Page) => {
  const n = page.notification
  const { summary, description } = n.commonAnnotations
  const name = n.groupLabels['alertname'] ?? n.commonLabels['alertname'] ?? n.groupKey
  const firing = n.status === 'firing'
  const title = `${firing ? 'PAGE' : 'OVER'}: ${[name, summary].filter(Boolean).join(': ')}`
  const labels = Object.entries(n.commonLabels).filter(([k]) => k !== 'alertname')
  return {
    attachments: [
      {
        title: truncate(plain(title), mostTitle),
        title_link: page.ackURL ?? n.externalURL,
        text: plain(description ?? ''),
        fallback: `${title} ${page.ackURL ?? ''}`.trim(),
        color: firing ? 'danger' : 'good',
        fields: labels.map(([k, v]) => ({ title: k, value: plain(v), short: true })),
        ...(page.ackURL
          ? { actions: [{ type: 'button', text: 'Acknowledge', url: page.ackURL, style: 'primary' }] }
          : {}),
        footer: `${page.escalation.policy}, step ${page.escalation.step + 1}`,
        mrkdwn_in: ['pretext', 'text'],
      },
    ],
  }
}

/**
 * Pages one user in Slack. `target` is an incoming webhook's address, or a channel or member (`#night`, `U024BE7LH`) to which the app of
 * `global.slack_app_token`, or the webhook of `global.slack_api_url`, posts. Throws `bad_data` where neither is there.
 */
export const createSlackPager = (target: Secret, deps: Omit<SlackDeps, 'templates'>): Pager => {
  const hook = /^https?:\/\//.test(safely(() => target.reveal()))
  const { token, url, appURL } = deps.globals
  if (!hook && !token && !url)
    throw new AppError(
      'bad_data',
      "a user's Slack needs slack_app_token or slack_api_url under global in the Alertmanager file, or an incoming webhook's address",
    )
  return {
    page: async (page, signal) => {
      try {
        const to = hook
          ? { url: addressOf(target), token: null }
          : { url: token ? (appURL ?? postMessage) : addressOf(url!), token }
        const channel = hook ? {} : { channel: target.reveal() }
        return (await post(deps, to, { ...channel, ...pageMessage(page) }, signal)).delivery
      } catch (error) {
        return deliveryOfError(error)
      }
    },
  }
}
