// Email: a group of alerts as one message in HTML and plain text.
import { createHash } from 'node:crypto'
import addressParser from 'nodemailer/lib/addressparser'
import type { Clock } from '../lib/clock.ts'
import { AppError } from '../lib/errors.ts'
import { type Duration, duration, iso, second } from '../lib/time.ts'
import type { Notification } from '../model/alert.ts'
import type { Delivery, Notifier } from '../model/ports/notifier.ts'
import type { Page, Pager } from '../model/ports/pager.ts'
import { deliveryOfError } from './answer.ts'
import { type EmailConfig, type EmailGlobals, sendingOf } from './email-config.ts'
import { escapeHtml } from './html.ts'
import { lenientText } from './lenient-text.ts'
import { type Mail, type Smarthost, sendMail } from './smtp.ts'
import type { NotificationTemplates, NotificationText } from './templates.ts'
import { idempotencyKey } from './webhook.ts'

export interface EmailDeps {
  readonly globals: EmailGlobals
  readonly clock: Clock
  readonly templates: NotificationTemplates
}

const attemptTime: Duration = duration(60 * second)

/** Bare addresses of a header's text; throws `bad_data` when there is none. */
const addressesOf = (written: string, what: string): string[] => {
  const found = addressParser(written, { flatten: true }).map((a) => a.address)
  const bad = found.find((a) => !/^[^\s@]+@[^\s@]+$/.test(a))
  if (found.length === 0 || bad !== undefined)
    throw new AppError('bad_data', `${what}: ${JSON.stringify(bad ?? written)} is no email address`)
  return found
}

/** A header is one line: what an alert says may not begin another. */
const oneLine = (value: string): string => value.replaceAll(/\s*[\r\n]+\s*/g, ' ')

/**
 * The message that a thread hangs on: there is none of this id, but readers gather what refers to it. The form is Alertmanager's, so that
 * threads go on over a change from one to the other.
 */
const threadRoot = (n: Notification, daily: boolean): string => {
  const key = createHash('sha256').update(n.groupKey).digest('hex').slice(0, 16)
  return `<alert-${key}-${daily ? iso(n.at).slice(0, 10) : ''}@alertmanager>`
}

const compileMail = (config: EmailConfig, from: string, templates: NotificationTemplates) => {
  const compile = (value: string, name: string): NotificationText => templates.compile(value, `email ${name}`)
  // An empty part is a page without words: the default says what there is.
  const failed = (_: Notification, why: string): string => `This text could not be made: ${why}`
  const subject = '{{ template "email.default.subject" . }}'
  const headers = Object.entries({ Subject: subject, To: config.to, From: from, ...config.headers }).map(
    ([name, value]) =>
      [
        name,
        lenientText(
          templates,
          value,
          `email header ${name}`,
          name === 'Subject' ? compile(subject, 'subject') : undefined,
        ),
      ] as const,
  )
  const to = compile(config.to, 'to')
  const sender = compile(from, 'from')
  const html = lenientText(
    templates,
    config.html,
    'email html',
    (n, why) => escapeHtml(failed(n, why), ''),
    'html',
  )
  const plain = lenientText(templates, config.text, 'email text', failed)
  return (n: Notification): Mail => {
    const senders = addressesOf(sender(n), 'from')
    if (senders.length !== 1)
      throw new AppError('bad_data', `from: ${senders.length} addresses, one is needed`)
    const said = Object.fromEntries(headers.map(([name, render]) => [name, oneLine(render(n))]))
    const { enabled, thread_by_date: by } = config.threading
    const root = threadRoot(n, by === 'daily')
    return {
      from: senders[0]!,
      to: [...new Set(addressesOf(to(n), 'to'))],
      headers: {
        // The same for every attempt at one notification: who gets it twice shows it once.
        'Message-Id': `<${idempotencyKey(n)}.${n.at}@airboss>`,
        ...(enabled ? { References: root, 'In-Reply-To': root } : {}),
        ...said,
      },
      text: config.text === '' ? '' : plain(n),
      html: config.html === '' ? '' : html(n),
    }
  }
}

/** Sends to those who have not got it yet: a server may take a message for some of its recipients. */
const deliverTo = (smarthost: Smarthost, clock: Clock) => {
  const had = new WeakMap<object, Set<string>>()
  return async (about: object, mail: Mail, signal: AbortSignal): Promise<Delivery> => {
    const done = had.get(about) ?? new Set<string>()
    const left = mail.to.filter((address) => !done.has(address))
    const { delivery, taken } = await sendMail(
      smarthost,
      { ...mail, to: left },
      clock.timeout(attemptTime, signal),
    )
    for (const address of taken) done.add(address)
    had.set(about, done)
    return delivery
  }
}

/** Throws `bad_data` on a template that cannot be read, or where no server or sender is given. */
export const createEmail = (config: EmailConfig, deps: EmailDeps): Notifier => {
  const { smarthost, from } = sendingOf(config.sending, deps.globals)
  const compose = compileMail(config, from, deps.templates)
  const send = deliverTo(smarthost, deps.clock)
  return {
    notify: async (notification, signal) => {
      try {
        return await send(notification, compose(notification), signal)
      } catch (error) {
        return deliveryOfError(error)
      }
    },
  }
}

const pageTexts = (page: Page): { subject: string; text: string; html: string } => {
  const n = page.notification
  const firing = n.status === 'firing'
  const { summary, description } = n.commonAnnotations
  const name = n.groupLabels['alertname'] ?? n.commonLabels['alertname'] ?? n.groupKey
  const title = [name, summary].filter(Boolean).join(': ')
  const lines = [
    title,
    ...(description ? [description] : []),
    ...n.alerts.map(
      (a) =>
        `${a.status}: ${Object.entries(a.labels)
          .map(([k, v]) => `${k}=${v}`)
          .join(' ')}`,
    ),
    `Escalation ${page.escalation.policy}, step ${page.escalation.step + 1}.`,
  ]
  const safe = (value: string): string => escapeHtml(value, '')
  const button = page.ackURL
    ? `<p style="margin:20px 0"><a href="${escapeHtml(page.ackURL, 'href="')}" style="display:inline-block;padding:14px 28px;border-radius:6px;background:#0b63b0;color:#ffffff;font-weight:700;text-decoration:none">Acknowledge</a></p>`
    : ''
  const body = lines.map(
    (line, i) =>
      `<p style="margin:0 0 8px 0;${i === 0 ? 'font-size:18px;font-weight:700' : ''}">${safe(line)}</p>`,
  )
  return {
    subject: `${firing ? 'PAGE' : 'OVER'}: ${title}`,
    text: `${lines.join('\n')}\n${page.ackURL ? `\nAcknowledge: ${page.ackURL}\n` : ''}`,
    html: `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark"></head><body style="font-family:-apple-system,'Segoe UI',Roboto,Arial,sans-serif;font-size:15px;line-height:22px;padding:12px;max-width:600px"><div style="border-left:4px solid ${firing ? '#d13438' : '#1e8e4e'};padding:0 0 0 14px">${body.join('')}${button}</div></body></html>`,
  }
}

/** Pages one user by email, through the server of Alertmanager's globals. Throws `bad_data` where those name none. */
export const createEmailPager = (address: string, deps: Omit<EmailDeps, 'templates'>): Pager => {
  const { smarthost, from } = sendingOf(null, deps.globals)
  const to = addressesOf(address, 'email')
  const sender = addressesOf(from, 'from')[0]!
  const send = deliverTo(smarthost, deps.clock)
  return {
    page: async (page, signal) => {
      const { subject, text, html } = pageTexts(page)
      const root = `<escalation-${createHash('sha256').update(page.escalation.id).digest('hex').slice(0, 16)}@airboss>`
      const headers = {
        'Message-Id': `<${createHash('sha256').update(page.id).digest('hex').slice(0, 32)}@airboss>`,
        References: root,
        'In-Reply-To': root,
        From: from,
        To: address,
        Subject: oneLine(subject),
        // What wakes a person should stand out where a reader knows how.
        ...(page.ackURL ? { 'X-Priority': '1', Importance: 'high' } : {}),
      }
      return send(page, { from: sender, to, headers, text, html }, signal)
    },
  }
}
