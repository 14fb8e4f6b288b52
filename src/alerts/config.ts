// Alertmanager's configuration file as it is: every key of it is read, or refused by name with file and line.
import { dirname, isAbsolute, resolve } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import { durationSchema, secretSchema } from '../lib/config.ts'
import { shownURL } from '../lib/shown-url.ts'
import { type Duration, duration, minute } from '../lib/time.ts'
import { type Problem, parseYaml, problemsError, problemsOf } from '../lib/yaml.ts'
import type { ChannelContext, ChannelGlobals, ChannelKind, ReceiverConfig } from '../model/ports/channel.ts'
import type { InhibitRuleConfig } from './inhibit.ts'
import { type NamedInterval, namedIntervalSchema } from './mute.ts'
import type { RouteConfig } from './route.ts'
import { inhibitRuleSchema, type RawRoute, routeSchema, toRoute } from './route-config.ts'

export interface AlertsConfig {
  readonly globals: ChannelGlobals
  readonly resolveTimeout: Duration
  readonly route: RouteConfig
  readonly inhibitRules: readonly InhibitRuleConfig[]
  readonly intervals: ReadonlyMap<string, NamedInterval>
  readonly receivers: readonly ReceiverConfig[]
  /** The file's text with its secrets hidden. */
  readonly shown: string
}

export interface ReadOptions {
  readonly kinds: readonly ChannelKind[]
  /** Schema of `global.http_config`; without it that key is refused. */
  readonly http?: (context: ChannelContext) => z.ZodType
  /** Schema of the channels' own keys in `global`, an object; without it those are refused. */
  readonly globals?: (context: ChannelContext) => z.ZodType
  readonly env: Readonly<Record<string, string | undefined>>
}

const refused = (what: string) => z.undefined(`${what} is not yet supported; remove it`).optional()
const refusedKeys = (names: readonly string[]) => Object.fromEntries(names.map((n) => [n, refused(n)]))

/** Channels and settings of Alertmanager that Airboss does not have. */
const otherChannels = [
  'discord',
  'email',
  'incidentio',
  'jira',
  'mattermost',
  'msteams',
  'msteamsv2',
  'opsgenie',
  'pushover',
  'rocketchat',
  'slack',
  'sns',
  'telegram',
  'victorops',
  'webex',
  'wechat',
]
const channelPrefixes = /^(slack|smtp)_/
const otherGlobals = [
  ...['victorops_api_url', 'victorops_api_key'],
  ...[
    'victorops_api_key_file',
    'opsgenie_api_url',
    'opsgenie_api_key',
    'opsgenie_api_key_file',
    'hipchat_api_url',
  ],
  ...[
    'hipchat_auth_token',
    'wechat_api_url',
    'wechat_api_secret',
    'wechat_api_secret_file',
    'wechat_api_corp_id',
  ],
  ...['telegram_api_url', 'telegram_bot_token', 'telegram_bot_token_file', 'webex_api_url', 'jira_api_url'],
  ...['rocketchat_api_url', 'rocketchat_token', 'rocketchat_token_file', 'rocketchat_token_id'],
  ...['rocketchat_token_id_file', 'mattermost_webhook_url', 'mattermost_webhook_url_file'],
]

/** The place where PagerDuty takes events, unless the file or the receiver says another. */
export const pagerdutyURL = 'https://events.pagerduty.com/v2/enqueue'

const ownGlobals = ({ http }: ReadOptions, context: ChannelContext) =>
  z.strictObject({
    resolve_timeout: durationSchema.default(duration(5 * minute)),
    pagerduty_url: z.url().default(pagerdutyURL),
    http_config: http ? http(context).optional() : refused('http_config'),
    ...refusedKeys(otherGlobals),
  })

/** Reads part of a value by a schema of its own; what that finds wrong is told at the part's own place. */
const readPart = (schema: z.ZodType, part: unknown, ctx: z.core.ParsePayload): unknown => {
  const read = schema.safeParse(part)
  if (read.success) return read.data
  for (const issue of read.error.issues) ctx.issues.push({ ...issue, input: part } as never)
  return undefined
}

const globalSchema = (options: ReadOptions, context: ChannelContext) => {
  const own = ownGlobals(options, context)
  const channels = options.globals?.(context) ?? z.record(z.string(), refused('this setting'))
  return z
    .record(z.string(), z.unknown())
    .transform((raw, ctx) => {
      const of = (channel: boolean) =>
        Object.fromEntries(Object.entries(raw).filter(([key]) => channelPrefixes.test(key) === channel))
      const globals = readPart(own, of(false), ctx) as z.output<typeof own> | undefined
      const theirs = readPart(channels, of(true), ctx)
      return globals === undefined || ctx.issues.length > 0 ? z.NEVER : { ...globals, channels: theirs }
    })
    .prefault({})
}

interface Entry {
  readonly sendResolved: boolean
  readonly config: unknown
}

const receiverSchema = (kinds: readonly ChannelKind[], context: ChannelContext) => {
  const lists = Object.fromEntries(
    kinds.map((kind) => [
      `${kind.name}_configs`,
      z
        .array(
          z
            .looseObject({ send_resolved: z.boolean().default(kind.sendResolved) })
            .transform((raw, ctx): Entry => {
              const { send_resolved: sendResolved, ...config } = raw
              const read = readPart(kind.schema(context), config, ctx)
              return ctx.issues.length > 0 ? z.NEVER : { sendResolved, config: read }
            }),
        )
        .default([]),
    ]),
  )
  const others = otherChannels
    .filter((name) => !kinds.some((k) => k.name === name))
    .map((n) => `${n}_configs`)
  return z
    .strictObject({ name: z.string().min(1, 'a receiver needs a name'), ...lists, ...refusedKeys(others) })
    .transform((raw): ReceiverConfig => {
      const record = raw as Record<string, unknown>
      return {
        name: String(record['name']),
        entries: kinds.flatMap((kind) =>
          (record[`${kind.name}_configs`] as Entry[]).map((entry, index) => ({
            kind: kind.name,
            index,
            ...entry,
          })),
        ),
      }
    })
}

const fileSchema = (options: ReadOptions, context: ChannelContext) =>
  z.strictObject({
    global: globalSchema(options, context),
    templates: z.array(z.string()).nullish(),
    route: routeSchema,
    inhibit_rules: z.array(inhibitRuleSchema).nullish(),
    receivers: z.array(receiverSchema(options.kinds, context)).min(1, 'at least one receiver is needed'),
    time_intervals: z.array(namedIntervalSchema).nullish(),
    mute_time_intervals: z.array(namedIntervalSchema).nullish(),
    tracing: refused('tracing'),
  })

type File = z.output<ReturnType<typeof fileSchema>>
type Report = (path: readonly PropertyKey[], message: string) => void

const doubles = (
  names: readonly string[],
  at: readonly PropertyKey[],
  what: string,
  report: Report,
): void => {
  const seen = new Set<string>()
  names.forEach((name, i) => {
    if (seen.has(name)) report([...at, i, 'name'], `${what} ${JSON.stringify(name)} is defined twice`)
    seen.add(name)
  })
}

const checkRoute = (
  route: RawRoute,
  path: readonly PropertyKey[],
  known: { receivers: ReadonlySet<string>; intervals: ReadonlySet<string> },
  report: Report,
): void => {
  if (route.receiver && !known.receivers.has(route.receiver))
    report([...path, 'receiver'], `receiver ${JSON.stringify(route.receiver)} is not defined under receivers`)
  for (const key of ['mute_time_intervals', 'active_time_intervals'] as const)
    route[key].forEach((name, i) => {
      if (!known.intervals.has(name))
        report([...path, key, i], `time interval ${JSON.stringify(name)} is not defined under time_intervals`)
    })
  for (const [i, child] of route.routes.entries()) checkRoute(child, [...path, 'routes', i], known, report)
}

const checkRoot = (root: RawRoute, report: Report): void => {
  const at = (key: string): PropertyKey[] => ['route', key]
  if (!root.receiver) report(['route'], 'the root route needs a receiver')
  if (root.matchers.length > 0) report(['route'], 'the root route takes every alert: it may have no matchers')
  if (root.continue) report(at('continue'), 'the root route has no siblings to continue with')
  if (root.mute_time_intervals.length > 0)
    report(at('mute_time_intervals'), 'the root route may not be muted')
  if (root.active_time_intervals.length > 0)
    report(at('active_time_intervals'), 'the root route must always be active')
}

const check = (file: File, report: Report): void => {
  const intervals = [...(file.time_intervals ?? []), ...(file.mute_time_intervals ?? [])]
  doubles(
    file.receivers.map((r) => r.name),
    ['receivers'],
    'receiver',
    report,
  )
  doubles(
    intervals.map((i) => i.name),
    ['time_intervals'],
    'time interval',
    report,
  )
  checkRoot(file.route, report)
  checkRoute(
    file.route,
    ['route'],
    {
      receivers: new Set(file.receivers.map((r) => r.name)),
      intervals: new Set(intervals.map((i) => i.name)),
    },
    report,
  )
}

const secretKeys = new Set([
  'routing_key',
  'service_key',
  'password',
  'credentials',
  'bearer_token',
  'secrets',
  'key',
  'auth_password',
  'auth_secret',
  'smtp_auth_password',
  'smtp_auth_secret',
  'app_token',
  'slack_app_token',
])
/** These are URLs that amtool wants to read as such. */
const secretURLs = new Set(['api_url', 'slack_api_url'])
/** A webhook's address is a secret, but clients that read the text want a URL in its place. */
const hiddenURL = 'http://secret.invalid/'

/** The document with every secret's text replaced, for showing. */
const hide = (value: unknown, key = '', list = ''): unknown => {
  if (typeof value === 'string') {
    if (secretKeys.has(key)) return '<secret>'
    if (secretURLs.has(key)) return hiddenURL
    return key === 'url' && list === 'webhook_configs' ? hiddenURL : shownURL(value, 'xxxxx')
  }
  if (Array.isArray(value)) return value.map((item) => hide(item, key, key))
  if (value === null || typeof value !== 'object') return value
  if (key === 'proxy_connect_header')
    return Object.fromEntries(Object.keys(value).map((name) => [name, ['<secret>']]))
  return Object.fromEntries(Object.entries(value).map(([name, v]) => [name, hide(v, name, list)]))
}

/** Reads the file's text; throws `bad_data` with every problem as `file:line: path: what and how to mend it`. */
export const readAlertsConfig = (text: string, file: string, options: ReadOptions): AlertsConfig => {
  const yaml = parseYaml(text, file)
  const path = (written: string): string => (isAbsolute(written) ? written : resolve(dirname(file), written))
  const context: ChannelContext = { secret: secretSchema(options.env), path }
  const read = fileSchema(options, context).safeParse(yaml.value ?? {})
  if (!read.success) throw problemsError(problemsOf(yaml, read.error))
  const problems: Problem[] = []
  check(read.data, (at, message) =>
    problems.push({ file, line: yaml.lineOf(at), path: at.map(String).join('.'), message }),
  )
  if (problems.length > 0) throw problemsError(problems)
  const { global, route, receivers } = read.data
  const intervals = [...(read.data.time_intervals ?? []), ...(read.data.mute_time_intervals ?? [])]
  return {
    globals: {
      resolveTimeout: global.resolve_timeout,
      pagerdutyURL: global.pagerduty_url,
      http: global.http_config,
      channels: global.channels,
      templates: (read.data.templates ?? []).map(path),
    },
    resolveTimeout: global.resolve_timeout,
    route: toRoute(route),
    inhibitRules: read.data.inhibit_rules ?? [],
    intervals: new Map(intervals.map((i) => [i.name, i])),
    receivers,
    shown: stringify(hide(yaml.value), { lineWidth: 0 }),
  }
}

/** What holds where no file is given: everything goes to a receiver without entries. */
export const emptyAlertsConfig = (): AlertsConfig =>
  readAlertsConfig('route: { receiver: none }\nreceivers: [{ name: none }]\n', 'built-in', {
    kinds: [],
    env: {},
  })
