import { afterEach, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type MailServer, startMailServer } from '../../test/kit/mail-server.ts'
import { systemClock as clock } from '../lib/clock.ts'
import { secretSchema } from '../lib/config.ts'
import { instant } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import { createEmail, createEmailPager } from './email.ts'
import { emailGlobalKeys, emailGlobals, emailSchema } from './email-config.ts'
import { escapeHtml } from './html.ts'
import { deliveryOfSmtp } from './smtp.ts'
import { createTemplates } from './templates.ts'

const at = Date.parse('2026-01-01T10:00:00Z')
const notification = (change: Partial<Notification> = {}): Notification => ({
  receiver: 'ops',
  groupKey: '{}:{alertname="Hot"}',
  status: 'firing',
  reason: 'first notification',
  groupLabels: { alertname: 'Hot' },
  commonLabels: { alertname: 'Hot', severity: 'critical' },
  commonAnnotations: {},
  routeLabels: {},
  externalURL: 'http://airboss',
  truncatedAlerts: 0,
  at: instant(at),
  alerts: [
    {
      labels: { alertname: 'Hot', severity: 'critical', unit: '<b>é' },
      annotations: { summary: 'heat & "noise"', runbook_url: 'javascript:alert(1)' },
      startsAt: instant(at - 60_000),
      endsAt: instant(0),
      generatorURL: 'http://airboss/g?a=1&b=2',
      status: 'firing' as const,
      fingerprint: 'f'.repeat(16),
    },
  ],
  ...change,
})

const context: ChannelContext = { secret: secretSchema({}), path: (p) => p }
const globalsOf = (keys: object) =>
  emailGlobals(z.strictObject(emailGlobalKeys(context)).parse(keys), context)
const make = (config: object, globals: object = {}) =>
  createEmail(emailSchema(context).parse(config), {
    globals: globalsOf(globals),
    clock,
    templates: createTemplates([], () => clock.now()),
  })
const live = (): AbortSignal => new AbortController().signal

let server: MailServer
afterEach(() => server?.close())
/** What reaches the server of the test. Its certificate is nobody's. */
const to = (more: object = {}) => ({
  to: 'Ops Team <ops@example.com>, night@example.com',
  from: 'Airboss <boss@example.com>',
  smarthost: `127.0.0.1:${server.port}`,
  tls_config: { insecure_skip_verify: true },
  ...more,
})

test('HTML and text over STARTTLS, escaped, with one id for all attempts', async () => {
  server = await startMailServer()
  const notifier = make(
    to({ headers: { 'x-unit': 'é{{ .CommonLabels.severity }}\nEvil: 1' }, hello: 'boss.example.com' }),
  )
  expect(await notifier.notify(notification(), live())).toEqual({ outcome: 'sent' })
  expect(await notifier.notify(notification(), live())).toEqual({ outcome: 'sent' })
  const [mail, again] = server.mails
  expect(mail).toMatchObject({
    from: 'boss@example.com',
    to: ['ops@example.com', 'night@example.com'],
    secure: true,
    hello: 'boss.example.com',
  })
  expect(mail!.headers).toMatchObject({
    subject: '[FIRING:1] Hot (critical)',
    to: 'Ops Team <ops@example.com>, night@example.com',
    from: 'Airboss <boss@example.com>',
    'x-unit': 'écritical Evil: 1',
    'mime-version': '1.0',
    'content-type': expect.stringMatching(/^multipart\/alternative/),
  })
  expect(mail!.headers).not.toHaveProperty('evil')
  expect(mail!.headers).not.toHaveProperty('references')
  expect(again!.headers['message-id']).toBe(mail!.headers['message-id'])
  expect(mail!.parts.map((p) => p.type)).toEqual(['text/plain', 'text/html'])
  const [text, html] = mail!.parts
  expect(text!.text).toContain('FIRING Hot\n  heat & "noise"\n  severity = critical\n  unit = <b>é\n')
  expect(html!.text).toContain('heat &amp; &#34;noise&#34;')
  expect(html!.text).toContain('unit=&lt;b&gt;é')
  expect(html!.text).toContain('href="http://airboss/g?a=1&amp;b=2"')
  expect(html!.text).toContain('<a class="link" href="#"')
  expect(html!.text).not.toContain('javascript:')
  expect(html!.text).toContain('since 2026-01-01 09:59:00 UTC')
})

test('threads gather what is about one group', async () => {
  server = await startMailServer()
  const daily = make(to({ threading: { enabled: true } }))
  await daily.notify(notification(), live())
  await daily.notify(notification({ status: 'resolved', at: instant(at + 3_600_000) }), live())
  await daily.notify(notification({ at: instant(at + 86_400_000) }), live())
  await make(to({ threading: { enabled: true, thread_by_date: 'none' } })).notify(notification(), live())
  const roots = server.mails.map((m) => m.headers['references'])
  expect(roots[0]).toMatch(/^<alert-[0-9a-f]{16}-2026-01-01@alertmanager>$/)
  expect(roots[1]).toBe(roots[0])
  expect(roots[2]).toMatch(/-2026-01-02@alertmanager>$/)
  expect(roots[3]).toMatch(/^<alert-[0-9a-f]{16}-@alertmanager>$/)
  expect(server.mails[0]!.headers['in-reply-to']).toBe(roots[0])
  expect(new Set(server.mails.map((m) => m.headers['message-id'])).size).toBe(3)
})

test.each([
  ['PLAIN', ['PLAIN', 'LOGIN', 'CRAM-MD5'], { auth_password: 'pass word' }],
  ['LOGIN', ['LOGIN'], { auth_password: 'pass word' }],
  ['CRAM-MD5', ['PLAIN', 'CRAM-MD5'], { auth_secret: 'pass word' }],
  ['CRAM-MD5', ['PLAIN', 'CRAM-MD5'], { auth_secret: 'pass word', auth_password: 'other' }],
])('logs in by %s where the server offers %j', async (method, authMethods, secrets) => {
  server = await startMailServer({ know: { user: 'boss', password: 'pass word' }, authMethods })
  const answer = await make(to({ auth_username: 'boss', ...secrets })).notify(notification(), live())
  expect(answer).toEqual({ outcome: 'sent' })
  expect(server.mails[0]).toMatchObject({ login: `${method} boss`, secure: true })
})

test('a wrong password is refused, and no way to log in says so', async () => {
  server = await startMailServer({ know: { user: 'boss', password: 'right' }, authMethods: ['CRAM-MD5'] })
  const login = { auth_username: 'boss' }
  expect(await make(to({ ...login, auth_secret: 'wrong' })).notify(notification(), live())).toMatchObject({
    outcome: 'refused',
    why: expect.stringContaining('Invalid username or password'),
  })
  expect(await make(to({ ...login, auth_password: 'right' })).notify(notification(), live())).toMatchObject({
    outcome: 'refused',
    why: expect.stringContaining('CRAM-MD5 needs auth_secret'),
  })
})

test('TLS at once, TLS never, and a certificate that is nobody’s', async () => {
  server = await startMailServer({ secure: true })
  expect(await make(to({ force_implicit_tls: true })).notify(notification(), live())).toEqual({
    outcome: 'sent',
  })
  await server.close()
  server = await startMailServer({ disabledCommands: ['AUTH', 'STARTTLS'] })
  expect(await make(to()).notify(notification(), live())).toMatchObject({
    outcome: 'refused',
    why: expect.stringContaining('require_tls'),
  })
  expect(await make(to({ require_tls: false })).notify(notification(), live())).toEqual({ outcome: 'sent' })
  expect(server.mails[0]!.secure).toBe(false)
  await server.close()
  server = await startMailServer()
  expect(await make(to({ tls_config: {} })).notify(notification(), live())).toMatchObject({
    outcome: 'retry',
    why: expect.stringMatching(/certificate/i),
  })
  expect(server.mails).toEqual([])
})

test('4xx is tried again and 5xx is not, each recipient once', async () => {
  server = await startMailServer()
  const only = 'night@example.com'
  const n = notification()
  const notifier = make(to())
  server.refuse.push({ code: 451, text: 'try later', only })
  expect(await notifier.notify(n, live())).toMatchObject({
    outcome: 'retry',
    why: expect.stringContaining('try later'),
  })
  expect(await notifier.notify(n, live())).toEqual({ outcome: 'sent' })
  expect(server.mails.map((m) => m.to)).toEqual([['ops@example.com'], [only]])
  server.refuse.push({ code: 550, text: 'no such user', only })
  expect(await notifier.notify(notification(), live())).toMatchObject({
    outcome: 'refused',
    why: expect.stringContaining('no such user'),
  })
  await server.close()
  expect(await notifier.notify(notification(), live())).toMatchObject({ outcome: 'retry' })
  expect(
    deliveryOfSmtp({
      message: 'x',
      rejectedErrors: [
        { message: 'a', responseCode: 550 },
        { message: 'b', responseCode: 450 },
      ],
    }),
  ).toMatchObject({ outcome: 'retry' })
})

test('a signal ends an attempt', async () => {
  server = await startMailServer({ onConnect: () => undefined })
  const stop = new AbortController()
  const answer = make(to()).notify(notification(), stop.signal)
  stop.abort(new Error('stopping'))
  expect(await answer).toMatchObject({ outcome: 'retry' })
})

describe('configuration', () => {
  const why = (config: object): string =>
    emailSchema(context)
      .safeParse(config)
      .error?.issues.map((i) => i.message)
      .join() ?? ''
  test.each([
    [{}, 'expected string'],
    [{ to: '' }, 'to whom'],
    [{ to: 'a@b', smarthost: 'mail' }, 'host:port'],
    [{ to: 'a@b', headers: { 'X-a': '1', 'x-A': '2' } }, 'given twice'],
    [{ to: 'a@b', headers: { references: '1' }, threading: { enabled: true } }, 'threading writes'],
    [{ to: 'a@b', auth_password: 'x', auth_password_file: 'y' }, 'not both'],
    [{ to: 'a@b', html: '', text: '' }, 'both empty'],
    [{ to: 'a@b', tls_config: { cert: 'x' } }, 'needs its key'],
  ])('%j', (config, words) => expect(why(config)).toContain(words))
  test('what only the globals make whole', () => {
    const all = { smtp_smarthost: 'mail.example.com:587', smtp_from: 'a@b' }
    expect(() => make({ to: 'a@b' }, { smtp_from: 'a@b' })).toThrow('no mail server')
    expect(() => make({ to: 'a@b' }, { smtp_smarthost: 'h:25' })).toThrow('no sender')
    expect(() =>
      make({ to: 'a@b', require_tls: false }, { ...all, smtp_auth_username: 'u', smtp_auth_password: 'p' }),
    ).toThrow('in the clear')
    expect(() => make({ to: 'a@b', text: '{{ template "nope" . }}' }, all)).toThrow('not defined')
    expect(() => make({ to: 'a@b' }, all)).not.toThrow()
  })
})

test('addresses that run something become harmless', () => {
  expect(escapeHtml('java\nscript:x', '<a href="')).toBe('#')
  expect(escapeHtml('https://a/?b=1&c', '<a href="')).toBe('https://a/?b=1&amp;c')
  expect(escapeHtml('/a:b', '<a href=')).toBe('/a:b')
  expect(escapeHtml('javascript:x', '<p>')).toBe('javascript:x')
})

test('pages a person', async () => {
  server = await startMailServer()
  const globals = globalsOf({
    smtp_smarthost: `127.0.0.1:${server.port}`,
    smtp_from: 'boss@example.com',
    smtp_tls_config: { insecure_skip_verify: true },
  })
  const page = {
    id: 'e:1',
    user: 'mara',
    notification: notification({ commonAnnotations: { summary: 'it is <hot>' } }),
    escalation: { id: 'e', policy: 'night', step: 0 },
    ackURL: 'http://airboss/oncall/ack/x?y=1&z',
    at: instant(at),
  }
  const pager = createEmailPager('mara@example.com', { globals, clock })
  expect(await pager.page(page, live())).toEqual({ outcome: 'sent' })
  const [mail] = server.mails
  expect(mail!.headers).toMatchObject({
    subject: 'PAGE: Hot: it is <hot>',
    to: 'mara@example.com',
    importance: 'high',
  })
  expect(mail!.parts[0]!.text).toContain('Acknowledge: http://airboss/oncall/ack/x?y=1&z')
  expect(mail!.parts[1]!.text).toContain('href="http://airboss/oncall/ack/x?y=1&amp;z"')
  expect(() => createEmailPager('mara@example.com', { globals: globalsOf({}), clock })).toThrow(
    'no mail server',
  )
})
