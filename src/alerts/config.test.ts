import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import type { ChannelKind } from '../model/ports/channel.ts'
import { readAlertsConfig } from './config.ts'

const hook: ChannelKind = {
  name: 'webhook',
  schema: ({ secret, path }) => z.strictObject({ url: secret, file: z.string().transform(path).optional() }),
  sendResolved: true,
}
const read = (text: string, env: Record<string, string> = {}) =>
  readAlertsConfig(text, '/etc/am/am.yml', { kinds: [hook], env })

test('a whole file, with merge keys, anchors and secrets', () => {
  const config = read(
    `
global: { resolve_timeout: 1m }
templates: ['t/*.tmpl']
x: &none
route: { receiver: r, group_by: [alertname], routes: [{ receiver: r, matchers: ['a="b"', 'c!=d'], mute_time_intervals: [w] }] }
time_intervals: [{ name: w, time_intervals: [{ weekdays: [saturday] }] }]
inhibit_rules: [{ source_matchers: [a=b], target_match: { c: d }, equal: [e] }]
receivers:
- name: r
  webhook_configs:
  - &hook { url: { env: HOOK }, file: f.txt }
  - { <<: *hook, send_resolved: false }
`.replace('x: &none\n', ''),
    { HOOK: 'http://hidden' },
  )
  expect(config.resolveTimeout).toBe(60_000)
  expect(config.globals.templates).toEqual(['/etc/am/t/*.tmpl'])
  const [first, second] = config.receivers[0]!.entries
  expect(first).toMatchObject({
    kind: 'webhook',
    index: 0,
    sendResolved: true,
    config: { file: '/etc/am/f.txt' },
  })
  expect(second).toMatchObject({ index: 1, sendResolved: false })
  expect((second!.config as { url: { reveal(): string } }).url.reveal()).toBe('http://hidden')
  expect(JSON.stringify(config)).not.toContain('hidden')
  expect(config.shown).not.toContain('hidden')
})

test('the shown text hides secrets', () => {
  const { shown } = read(
    'route: { receiver: r }\nreceivers: [{ name: r, webhook_configs: [{ url: http://x/secret-path }] }]',
  )
  expect(shown).toContain('url: http://secret.invalid/')
  expect(shown).not.toContain('secret-path')
})

test('the shown text hides the password in an address', () => {
  const { shown } = read(
    'global: { pagerduty_url: "http://me:sesame@proxy:1" }\nroute: { receiver: r }\nreceivers: [{ name: r }]',
  )
  expect(shown).toContain('proxy:1')
  expect(shown).not.toContain('sesame')
})

describe('refused, with file, line and mend', () => {
  const base = 'route:\n  receiver: r\nreceivers:\n- name: r\n'
  test.each([
    [
      'a receiver kind that is not there',
      `${base}  slack_configs:\n  - {}\n`,
      /am\.yml:5: receivers\[0\]\.slack_configs: .*not yet supported/,
    ],
    ['an unknown key', `${base}  webhok_configs: []\n`, /am\.yml:5: .*webhok_configs: unknown key/],
    [
      'an unknown key in an entry',
      `${base}  webhook_configs:\n  - url: http://x\n    urll: y\n`,
      /am\.yml:7: receivers\[0\]\.webhook_configs\[0\]\.urll: unknown key/,
    ],
    [
      'an unset variable',
      `${base}  webhook_configs:\n  - url: { env: NOPE }\n`,
      /am\.yml:6: .*NOPE is not set/,
    ],
    [
      'mail settings',
      `global:\n  smtp_from: x\n${base}`,
      /am\.yml:2: global\.smtp_from: .*not yet supported/,
    ],
    [
      'a receiver nobody defined',
      `${base}`.replace('receiver: r', 'receiver: q'),
      /am\.yml:2: route\.receiver: receiver "q" is not defined/,
    ],
    [
      'a receiver twice',
      `${base}- name: r\n`,
      /am\.yml:5: receivers\.1\.name: receiver "r" is defined twice/,
    ],
    [
      'matchers at the root',
      'route:\n  receiver: r\n  matchers: [a=b]\nreceivers: [{ name: r }]',
      /am\.yml:1: route: .*no matchers/,
    ],
    [
      'an interval nobody defined',
      'route:\n  receiver: r\n  routes:\n  - mute_time_intervals: [w]\nreceivers: [{ name: r }]',
      /am\.yml:4: .*"w" is not defined/,
    ],
    [
      'a bad matcher',
      'route:\n  receiver: r\n  routes:\n  - matchers:\n    - a=b\n    - "a=~("\nreceivers: [{ name: r }]',
      /am\.yml:6: .*regular expression/,
    ],
    [
      'a bad duration',
      'route:\n  receiver: r\n  group_wait: soon\nreceivers: [{ name: r }]',
      /am\.yml:3: route\.group_wait: not a duration/,
    ],
    [
      'no interval',
      'route: { receiver: r, group_interval: 0s }\nreceivers: [{ name: r }]',
      /group_interval must be longer than 0/,
    ],
    [
      '... among others',
      'route: { receiver: r, group_by: [..., a] }\nreceivers: [{ name: r }]',
      /must stand alone/,
    ],
    ['no root receiver', 'route: {}\nreceivers: [{ name: r }]', /needs a receiver/],
  ])('%s', (_, text, wanted) => expect(() => read(text)).toThrow(wanted))
})
