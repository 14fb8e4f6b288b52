import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { FakeClock } from '../../test/kit/clock.ts'
import { type FakeSlack, startFakeSlack } from '../../test/kit/fake-slack.ts'
import { secretSchema, textSecret } from '../lib/config.ts'
import { createHttp } from '../lib/http.ts'
import { instant } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import { plainHttp } from './http-config.ts'
import { createSlack, createSlackPager } from './slack.ts'
import { slackGlobalKeys, slackGlobals, slackSchema } from './slack-config.ts'
import { createTemplates } from './templates.ts'

const at = Date.parse('2026-01-01T00:00:00Z')
const notification = (change: Partial<Notification> = {}): Notification => ({
  receiver: 'ops',
  groupKey: '{}:{alertname="Hot"}',
  status: 'firing',
  reason: 'first notification',
  groupLabels: { alertname: 'Hot' },
  commonLabels: { alertname: 'Hot', severity: 'critical' },
  commonAnnotations: { summary: 'it is <hot>' },
  routeLabels: {},
  externalURL: 'http://airboss',
  truncatedAlerts: 0,
  at: instant(at),
  alerts: ['a', 'b'].map((unit) => ({
    labels: { alertname: 'Hot', severity: 'critical', unit },
    annotations: { summary: 'it is <hot>' },
    startsAt: instant(at - 60_000),
    endsAt: instant(0),
    generatorURL: 'http://airboss/g',
    status: 'firing' as const,
    fingerprint: unit.repeat(16),
  })),
  ...change,
})

const context: ChannelContext = { secret: secretSchema({}), path: (p) => p }
const http = createHttp()
const clock = new FakeClock(at)
let slack: FakeSlack
beforeAll(async () => {
  slack = await startFakeSlack()
})
afterAll(async () => {
  await slack.close()
  await http.close()
})
beforeEach(() => {
  slack.calls.length = 0
})

const globalsOf = (keys: object) =>
  slackGlobals(z.strictObject(slackGlobalKeys(context)).parse(keys), context)
const make = (config: object, globals: object = {}) => {
  const read = slackSchema(context).parse(config)
  return createSlack(read, {
    globals: globalsOf(globals),
    http: read.http_config ?? plainHttp,
    send: http.send,
    clock,
    templates: createTemplates([], () => clock.now()),
  })
}
const live = (): AbortSignal => new AbortController().signal

test('the default message', async () => {
  expect(await make({ api_url: slack.hook }).notify(notification(), live())).toEqual({ outcome: 'sent' })
  expect(slack.calls[0]!.message).toEqual({
    username: 'Airboss',
    attachments: [
      {
        title: '[FIRING:2] Hot (critical)',
        title_link: 'http://airboss/alerts?receiver=ops',
        text: '',
        fallback: '[FIRING:2] Hot (critical) | http://airboss/alerts?receiver=ops',
        callback_id: '',
        footer: '',
        color: 'danger',
        mrkdwn_in: ['fallback', 'pretext', 'text'],
      },
    ],
  })
  await make({}, { slack_api_url: slack.hook }).notify(notification({ status: 'resolved' }), live())
  expect(slack.calls[1]!.message.attachments[0]).toMatchObject({
    title: '[RESOLVED] Hot (critical)',
    color: 'good',
  })
})

test('every key', async () => {
  const config = {
    ...{ api_url: slack.hook, channel: '#{{ .CommonLabels.severity }}', username: 'u', color: '#123456' },
    ...{
      title: 't'.repeat(2000),
      title_link: 'http://l',
      pretext: 'p',
      text: '{{ range .Alerts }}{{ .Labels.unit }}{{ end }}',
    },
    ...{
      message_text: 'm',
      short_fields: true,
      footer: 'f',
      fallback: 'fb',
      callback_id: 'c',
      icon_emoji: ':x:',
    },
    ...{
      icon_url: 'http://i',
      image_url: 'http://im',
      thumb_url: 'http://th',
      link_names: true,
      mrkdwn_in: ['text'],
    },
    fields: [
      { title: 'a', value: '{{ .Status }}' },
      { title: 'b', value: 'w', short: false },
    ],
    actions: [
      {
        type: 'button',
        text: 'Runbook',
        url: 'http://{{ .Receiver }}',
        name: 'lost',
        confirm: { text: 'lost' },
      },
      {
        type: 'button',
        text: 'Do',
        name: 'n',
        value: '{{ .GroupLabels.alertname }}',
        style: 'danger',
        confirm: { text: 'sure?', ok_text: 'Yes' },
      },
    ],
  }
  expect(await make(config).notify(notification(), live())).toEqual({ outcome: 'sent' })
  expect(slack.calls[0]!.message).toEqual({
    ...{
      channel: '#critical',
      username: 'u',
      icon_emoji: ':x:',
      icon_url: 'http://i',
      link_names: true,
      text: 'm',
    },
    attachments: [
      {
        ...{
          title: `${'t'.repeat(1023)}…`,
          title_link: 'http://l',
          pretext: 'p',
          text: 'ab',
          fallback: 'fb',
        },
        ...{
          callback_id: 'c',
          image_url: 'http://im',
          thumb_url: 'http://th',
          footer: 'f',
          color: '#123456',
        },
        fields: [
          { title: 'a', value: 'firing', short: true },
          { title: 'b', value: 'w', short: false },
        ],
        actions: [
          { type: 'button', text: 'Runbook', url: 'http://ops' },
          {
            type: 'button',
            text: 'Do',
            name: 'n',
            value: 'Hot',
            style: 'danger',
            confirm: { text: 'sure?', ok_text: 'Yes' },
          },
        ],
        mrkdwn_in: ['text'],
      },
    ],
  })
})

test('an app posts with its token, and changes what it posted', async () => {
  const app = { slack_app_token: slack.token, slack_app_url: `${slack.url}/api/chat.postMessage` }
  const notifier = make({ channel: 'ops', update_message: true }, app)
  expect(await notifier.notify(notification(), live())).toEqual({ outcome: 'sent' })
  expect(await notifier.notify(notification({ status: 'resolved' }), live())).toEqual({ outcome: 'sent' })
  expect(slack.calls.map((c) => [c.path, c.message.channel, c.message.ts])).toEqual([
    ['/api/chat.postMessage', 'ops', undefined],
    ['/api/chat.update', 'C024BE91L', '170000.1'],
  ])
  // Over is over: what fires next is a message of its own.
  await notifier.notify(notification(), live())
  expect(slack.calls[2]!.path).toBe('/api/chat.postMessage')
  // A message that was deleted is posted anew by the next attempt.
  slack.next.push({ status: 200, type: 'application/json', body: '{"ok":false,"error":"message_not_found"}' })
  expect(await notifier.notify(notification(), live())).toMatchObject({ outcome: 'retry' })
  expect(await notifier.notify(notification(), live())).toEqual({ outcome: 'sent' })
  expect(slack.calls[3]!.path).toBe('/api/chat.postMessage')
})

test.each([
  [
    { status: 429, body: 'rate_limited', retryAfter: 30 },
    { outcome: 'retry', after: 30_000 },
  ],
  [{ status: 500, body: 'rollup_error' }, { outcome: 'retry' }],
  [
    { status: 404, body: 'no_service' },
    { outcome: 'refused', why: 'answered 404: no_service' },
  ],
  [{ status: 410, body: 'channel_is_archived' }, { outcome: 'refused' }],
  [
    { status: 200, body: 'no_text' },
    { outcome: 'refused', why: 'Slack answered "no_text"' },
  ],
  [
    { status: 200, type: 'application/json', body: '{"ok":false,"error":"channel_not_found"}' },
    { outcome: 'refused', why: 'Slack answered channel_not_found' },
  ],
  [
    { status: 200, type: 'application/json', body: '{"ok":false,"error":"ratelimited"}', retryAfter: 3 },
    { outcome: 'retry', after: 3000 },
  ],
  [{ status: 200, type: 'application/json', body: '{' }, { outcome: 'retry' }],
])('answer %j', async (scripted, expected) => {
  slack.next.push(scripted)
  expect(await make({ api_url: slack.hook }).notify(notification(), live())).toMatchObject(expected)
})

describe('configuration', () => {
  const why = (config: object): string =>
    slackSchema(context)
      .safeParse(config)
      .error?.issues.map((i) => i.message)
      .join() ?? ''
  test.each([
    [{ api_url: 'http://x', api_url_file: '/x' }, 'not both'],
    [{ api_url: 'http://x', app_token: 't' }, 'not both'],
    [{ actions: [{ type: 'b', text: 't' }] }, 'a url, or a name'],
    [{ fields: [{ title: '', value: 'x' }] }, 'needs a title'],
    [{ text: '{{ .X' }, 'template'],
    [{ chanel: 'x' }, 'chanel'],
  ])('%j', (config, words) => expect(why(config)).toContain(words))
  test('what only the globals make whole', () => {
    expect(() => make({})).toThrow('no Slack address')
    expect(() => make({ app_token: 't', http_config: { authorization: { credentials: 'x' } } })).toThrow(
      'cannot both',
    )
    expect(() => make({ api_url: slack.hook, update_message: true })).toThrow('incoming webhook cannot')
    expect(() => make({ api_url: slack.hook, text: '{{ template "nope" . }}' })).toThrow('not defined')
  })
})

test('pages a person by webhook, or through the app', async () => {
  const page = {
    id: 'e:1',
    user: 'mara',
    notification: notification(),
    escalation: { id: 'e', policy: 'night', step: 0 },
    ackURL: 'http://airboss/oncall/ack/x',
    at: instant(at),
  }
  const deps = { http: plainHttp, send: http.send, clock }
  const none = globalsOf({})
  expect(
    await createSlackPager(textSecret(slack.hook), { ...deps, globals: none }).page(page, live()),
  ).toEqual({ outcome: 'sent' })
  expect(slack.calls[0]!.message.attachments[0]).toMatchObject({
    title: 'PAGE: Hot: it is &lt;hot&gt;',
    actions: [{ text: 'Acknowledge', url: 'http://airboss/oncall/ack/x' }],
  })
  const globals = globalsOf({
    slack_app_token: slack.token,
    slack_app_url: `${slack.url}/api/chat.postMessage`,
  })
  await createSlackPager(textSecret('U024BE7LH'), { ...deps, globals }).page(page, live())
  expect(slack.calls[1]!.message.channel).toBe('U024BE7LH')
  expect(() => createSlackPager(textSecret('#night'), { ...deps, globals: none })).toThrow('slack_app_token')
})
