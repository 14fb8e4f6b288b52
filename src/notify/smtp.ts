// One message to a mail server: STARTTLS or TLS at once, the login it offers, and what its answer means.

import { createHmac } from 'node:crypto'
import { isIP } from 'node:net'
import nodemailer from 'nodemailer'
import type SMTPConnection from 'nodemailer/lib/smtp-connection/index.js'
import type { Secret } from '../lib/config.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import type { TlsOptions } from '../lib/http.ts'
import type { Delivery } from '../model/ports/notifier.ts'

export interface Smarthost {
  readonly host: string
  readonly port: number
  /** What we call ourselves. */
  readonly hello: string
  /** `starttls` refuses a server that does not offer it; `none` never encrypts. */
  readonly tls: 'implicit' | 'starttls' | 'none'
  /** Reads its files anew each time. */
  readonly tlsOptions: () => TlsOptions
  readonly login: Login | null
}

export interface Login {
  readonly user: string
  /** For PLAIN and LOGIN. */
  readonly password: Secret | null
  /** For CRAM-MD5. */
  readonly secret: Secret | null
  /** On whose behalf, for PLAIN; '' = one's own. */
  readonly identity: string
}

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  /** In this order; `From`, `To`, `Subject` and `Message-Id` among them. */
  readonly headers: Readonly<Record<string, string>>
  /** '' leaves the part out. */
  readonly text: string
  readonly html: string
}

export interface MailOutcome {
  readonly delivery: Delivery
  /** Recipients that the server took, also where it refused others. */
  readonly taken: readonly string[]
}

const connectTime = 10_000
const silentTime = 30_000

const reveal = (secret: Secret | null): string => secret?.reveal() ?? ''

/** The strongest way that both sides know and for which there are credentials. */
const logIn =
  (login: Login) =>
  async (auth: SMTPConnection.CustomAuthenticationContext): Promise<void> => {
    const offered = auth.authMethods
    const ask = async (line: string): Promise<string> => {
      const answer = await auth.sendCommand(line)
      if (answer.status >= 200 && answer.status < 400) return answer.text
      throw new LoginError(answer.status, answer.response)
    }
    const base64 = (text: string): string => Buffer.from(text).toString('base64')
    const secret = reveal(login.secret)
    const password = reveal(login.password)
    if (secret && offered.includes('CRAM-MD5')) {
      const challenge = Buffer.from(await ask('AUTH CRAM-MD5'), 'base64')
      await ask(base64(`${login.user} ${createHmac('md5', secret).update(challenge).digest('hex')}`))
    } else if (password && offered.includes('PLAIN')) {
      await ask(`AUTH PLAIN ${base64([login.identity, login.user, password].join('\0'))}`)
    } else if (password && offered.includes('LOGIN')) {
      await ask('AUTH LOGIN')
      await ask(base64(login.user))
      await ask(base64(password))
    } else {
      throw new LoginError(
        504,
        `the server offers ${offered.join(', ') || 'no login'}; PLAIN and LOGIN need auth_password, CRAM-MD5 needs auth_secret`,
      )
    }
  }

class LoginError extends Error {
  override readonly name = 'LoginError'
  readonly responseCode: number
  constructor(responseCode: number, message: string) {
    super(message)
    this.responseCode = responseCode
  }
}

const tlsOf = (host: string, t: TlsOptions) => ({
  // An address has no name to ask for; it is checked as it is.
  ...(t.serverName !== undefined
    ? { servername: t.serverName }
    : isIP(host) === 0
      ? { servername: host }
      : {}),
  rejectUnauthorized: t.verify !== false,
  ...(t.ca === undefined ? {} : { ca: t.ca }),
  ...(t.cert === undefined ? {} : { cert: t.cert }),
  ...(t.key === undefined ? {} : { key: t.key }),
  ...(t.minVersion === undefined ? {} : { minVersion: t.minVersion }),
  ...(t.maxVersion === undefined ? {} : { maxVersion: t.maxVersion }),
})

const transportOf = (to: Smarthost) =>
  nodemailer.createTransport({
    host: to.host,
    port: to.port,
    name: to.hello,
    secure: to.tls === 'implicit',
    requireTLS: to.tls === 'starttls',
    ignoreTLS: to.tls === 'none',
    tls: tlsOf(to.host, to.tlsOptions()),
    connectionTimeout: connectTime,
    greetingTimeout: connectTime,
    socketTimeout: silentTime,
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(to.login
      ? {
          auth: { type: 'custom' as const, user: to.login.user, pass: '', method: 'AIRBOSS' },
          customAuth: { AIRBOSS: logIn(to.login) },
        }
      : {}),
  })

interface SmtpError {
  readonly code?: string
  readonly responseCode?: number
  readonly rejectedErrors?: readonly SmtpError[]
  readonly message: string
}

/** 4xx and what the network did is worth another try; 5xx and a server without STARTTLS is not. */
export const deliveryOfSmtp = (error: SmtpError): Delivery => {
  const codes = [error, ...(error.rejectedErrors ?? [])].flatMap((e) => e.responseCode ?? [])
  const why = error.message.replaceAll(/\s+/g, ' ').slice(0, 400)
  const last = codes.at(-1)
  const hint = /STARTTLS/i.test(why) ? '; it does not offer STARTTLS, which require_tls wants' : ''
  // One recipient that may be taken later is worth trying for, whatever was said of the others.
  if (codes.some((c) => c >= 400 && c < 500)) return { outcome: 'retry', why, after: null }
  if (last !== undefined && last >= 500) return { outcome: 'refused', why: why + hint }
  return { outcome: 'retry', why, after: null }
}

/** Sends one message. Never rejects: what went wrong is in the outcome. */
export const sendMail = async (to: Smarthost, mail: Mail, signal: AbortSignal): Promise<MailOutcome> => {
  const cut = Promise.withResolvers<never>()
  const stop = (): void =>
    cut.reject(new AppError('timeout', 'the mail was not taken in time', { cause: signal.reason }))
  signal.addEventListener('abort', stop, { once: true })
  try {
    signal.throwIfAborted()
    const transport = transportOf(to)
    const { From: from, To: shown, Subject: subject, 'Message-Id': messageId, ...headers } = mail.headers
    const sent = await Promise.race([
      transport.sendMail({
        envelope: { from: mail.from, to: [...mail.to] },
        from: from ?? mail.from,
        to: shown ?? mail.to.join(', '),
        ...(subject === undefined ? {} : { subject }),
        ...(messageId === undefined ? {} : { messageId }),
        headers,
        ...(mail.text === '' ? {} : { text: mail.text }),
        ...(mail.html === '' ? {} : { html: mail.html }),
        textEncoding: 'quoted-printable',
      }),
      cut.promise,
    ])
    const taken = sent.accepted.map(String)
    if (sent.rejected.length === 0) return { delivery: { outcome: 'sent' }, taken }
    const errors = (sent as unknown as { rejectedErrors?: readonly SmtpError[] }).rejectedErrors ?? []
    const why = `refused for ${sent.rejected.map(String).join(', ')}: ${errors.map((e) => e.message).join('; ')}`
    return { delivery: deliveryOfSmtp({ message: why, rejectedErrors: errors }), taken }
  } catch (error) {
    return {
      delivery: deliveryOfSmtp(error instanceof Error ? error : { message: messageOf(error) }),
      taken: [],
    }
  } finally {
    signal.removeEventListener('abort', stop)
  }
}
