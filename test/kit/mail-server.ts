// A real SMTP server on loopback that keeps what it was sent, taken apart into headers and parts.
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

export interface MailPart {
  readonly type: string
  readonly text: string
}

export interface ReceivedMail {
  readonly from: string
  readonly to: readonly string[]
  /** Who logged in and how, '' when nobody did. */
  readonly login: string
  readonly secure: boolean
  readonly hello: string
  /** By lower-case name, encoded words decoded. */
  readonly headers: Readonly<Record<string, string>>
  readonly parts: readonly MailPart[]
  readonly raw: string
}

export interface MailServer {
  readonly port: number
  readonly mails: ReceivedMail[]
  /** The next refusals, one an attempt, at RCPT. */
  readonly refuse: { code: number; text: string; only?: string }[]
  close(): Promise<void>
}

const quotedPrintable = (text: string): string =>
  Buffer.from(
    text
      .replaceAll(/=\r?\n/g, '')
      .replaceAll(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
    'latin1',
  ).toString('utf8')

const decodeWords = (text: string): string =>
  text
    .replaceAll(/\?=\s+=\?/g, '?==?')
    .replaceAll(/=\?utf-8\?([qb])\?([^?]*)\?=/gi, (_, kind: string, body: string) =>
      kind.toLowerCase() === 'b'
        ? Buffer.from(body, 'base64').toString('utf8')
        : quotedPrintable(body.replaceAll('_', ' ')),
    )

const entity = (raw: string): { headers: Record<string, string>; body: string } => {
  const at = raw.indexOf('\r\n\r\n')
  const lines = raw
    .slice(0, at)
    .replaceAll(/\r\n[ \t]+/g, ' ')
    .split('\r\n')
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), decodeWords(line.slice(colon + 1).trim())]
    }),
  )
  return { headers, body: raw.slice(at + 4) }
}

const bodyOf = (headers: Record<string, string>, body: string): string => {
  const encoding = (headers['content-transfer-encoding'] ?? '').toLowerCase()
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString('utf8')
  const text = encoding === 'quoted-printable' ? quotedPrintable(body) : body
  return text.replaceAll('\r\n', '\n')
}

const partsOf = (headers: Record<string, string>, body: string): MailPart[] => {
  const type = headers['content-type'] ?? 'text/plain'
  const boundary = /boundary="?([^";]+)"?/.exec(type)?.[1]
  if (boundary === undefined) return [{ type: type.split(';')[0]!, text: bodyOf(headers, body) }]
  return `\r\n${body}`
    .split(`\r\n--${boundary}`)
    .slice(1, -1)
    .flatMap((part) => {
      const inner = entity(part.replace(/^\r\n/, ''))
      return partsOf(inner.headers, inner.body)
    })
}

/** `know` is the user's password (and CRAM-MD5 secret); left out: nobody has to log in. */
export const startMailServer = async (
  options: SMTPServerOptions & { readonly know?: { readonly user: string; readonly password: string } } = {},
): Promise<MailServer> => {
  const { know, ...more } = options
  const mails: ReceivedMail[] = []
  const refuse: MailServer['refuse'] = []
  const logins = new Map<string, string>()
  const server = new SMTPServer({
    authOptional: know === undefined,
    ...(know ? {} : { disabledCommands: ['AUTH'] }),
    logger: false,
    onAuth: (auth, session, done) => {
      const good =
        know !== undefined &&
        auth.username === know.user &&
        (auth.method === 'CRAM-MD5' ? auth.validatePassword(know.password) : auth.password === know.password)
      if (!good) return done(Object.assign(new Error('Invalid username or password'), { responseCode: 535 }))
      logins.set(session.id, `${auth.method} ${auth.username}`)
      done(null, { user: auth.username })
    },
    onRcptTo: (address, _session, done) => {
      const first = refuse[0]
      if (!first || (first.only !== undefined && first.only !== address.address)) return done()
      refuse.shift()
      done(Object.assign(new Error(first.text), { responseCode: first.code }))
    },
    onData: (stream, session, done) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const raw = Buffer.concat(chunks).toString('utf8')
        const { headers, body } = entity(raw)
        const { mailFrom, rcptTo } = session.envelope
        mails.push({
          from: mailFrom ? mailFrom.address : '',
          to: rcptTo.map((a) => a.address),
          login: logins.get(session.id) ?? '',
          secure: session.secure,
          hello: session.hostNameAppearsAs,
          headers,
          parts: partsOf(headers, body),
          raw,
        })
        done()
      })
    },
    ...more,
  })
  // A client that does not trust us hangs up in the middle of a word.
  server.on('error', () => undefined)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  return { port, mails, refuse, close: () => new Promise((resolve) => server.close(() => resolve())) }
}
