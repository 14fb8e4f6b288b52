// What of Slack is configured: a receiver's keys, and the global ones.
import { z } from 'zod'
import { durationSchema, fileSecret, type Secret } from '../lib/config.ts'
import { duration } from '../lib/time.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import { httpConfigSchema } from './http-config.ts'
import { templateText as text } from './lenient-text.ts'

const fieldSchema = z.strictObject({
  title: text.min(1, 'a field needs a title'),
  value: text.min(1, 'a field needs a value'),
  short: z.boolean().optional(),
})

const actionSchema = z
  .strictObject({
    type: text.min(1, 'an action needs a type'),
    text: text.min(1, 'an action needs a text'),
    url: text.default(''),
    style: text.default(''),
    name: text.default(''),
    value: text.default(''),
    confirm: z
      .strictObject({
        text: text.min(1, 'a confirmation needs a text'),
        title: text.default(''),
        ok_text: text.default(''),
        dismiss_text: text.default(''),
      })
      .optional(),
  })
  .refine((a) => a.url !== '' || a.name !== '', 'an action needs a url, or a name')
  // A link has nothing to answer with.
  .transform((a) => (a.url === '' ? a : { ...a, name: '', value: '', confirm: undefined }))

const named = (name: string) => text.default(`{{ template "slack.default.${name}" . }}`)

const targetKeys = (context: ChannelContext) => ({
  api_url: context.secret.optional(),
  api_url_file: z.string().optional(),
  app_token: context.secret.optional(),
  app_token_file: z.string().optional(),
  app_url: z.url().optional(),
})

interface TargetKeys {
  readonly api_url?: Secret | undefined
  readonly api_url_file?: string | undefined
  readonly app_token?: Secret | undefined
  readonly app_token_file?: string | undefined
  readonly app_url?: string | undefined
}

/** Where messages go, each as far as it is said. */
interface Target {
  readonly url: Secret | null
  readonly token: Secret | null
  readonly appURL: string | null
}

const targetOf = (keys: TargetKeys, { path }: ChannelContext): Target => ({
  url: keys.api_url ?? (keys.api_url_file === undefined ? null : fileSecret(path(keys.api_url_file))),
  token: keys.app_token ?? (keys.app_token_file === undefined ? null : fileSecret(path(keys.app_token_file))),
  appURL: keys.app_url ?? null,
})

const bothWays = (k: TargetKeys): boolean =>
  (k.api_url ?? k.api_url_file) !== undefined && (k.app_token ?? k.app_token_file) !== undefined
const twice = (k: TargetKeys): boolean =>
  (k.api_url !== undefined && k.api_url_file !== undefined) ||
  (k.app_token !== undefined && k.app_token_file !== undefined)

/** Where an app posts its messages. */
export const postMessage = 'https://slack.com/api/chat.postMessage'

export const slackSchema = (context: ChannelContext) =>
  z
    .strictObject({
      ...targetKeys(context),
      channel: text.default(''),
      username: named('username'),
      color: named('color'),
      title: named('title'),
      title_link: named('titlelink'),
      pretext: named('pretext'),
      text: named('text'),
      message_text: text.default(''),
      fields: z.array(fieldSchema).default([]),
      short_fields: z.boolean().default(false),
      footer: named('footer'),
      fallback: named('fallback'),
      callback_id: named('callbackid'),
      icon_emoji: named('iconemoji'),
      icon_url: named('iconurl'),
      image_url: text.default(''),
      thumb_url: text.default(''),
      link_names: z.boolean().default(false),
      mrkdwn_in: z.array(z.string()).default([]),
      actions: z.array(actionSchema).default([]),
      update_message: z.boolean().default(false),
      http_config: httpConfigSchema(context).optional(),
      timeout: durationSchema.default(duration(0)),
    })
    .refine(
      (c) => !twice(c),
      'give a value or its file, not both: api_url or api_url_file, app_token or app_token_file',
    )
    .refine((c) => !bothWays(c), 'give api_url or app_token, not both')
    .transform((c) => ({ ...c, target: targetOf(c, context) }))

export type SlackConfig = z.output<ReturnType<typeof slackSchema>>

/** The keys of Alertmanager's `global` that are Slack's. */
export const slackGlobalKeys = (context: ChannelContext) => ({
  slack_api_url: context.secret.optional(),
  slack_api_url_file: z.string().optional(),
  slack_app_token: context.secret.optional(),
  slack_app_token_file: z.string().optional(),
  slack_app_url: z.url().default(postMessage),
})

type SlackGlobalKeys = z.output<z.ZodObject<ReturnType<typeof slackGlobalKeys>>>

/** Slack's part of the globals. */
export const slackGlobals = (keys: SlackGlobalKeys, context: ChannelContext): Target =>
  targetOf(
    {
      api_url: keys.slack_api_url,
      api_url_file: keys.slack_api_url_file,
      app_token: keys.slack_app_token,
      app_token_file: keys.slack_app_token_file,
      app_url: keys.slack_app_url,
    },
    context,
  )
export type SlackGlobals = Target
