// What of email is configured: a receiver's keys, the global ones, and the two together.
import { z } from 'zod'
import { fileSecret, type Secret } from '../lib/config.ts'
import { AppError } from '../lib/errors.ts'
import type { TlsOptions } from '../lib/http.ts'
import type { ChannelContext } from '../model/ports/channel.ts'
import { templateText as text } from './lenient-text.ts'
import type { Smarthost } from './smtp.ts'
import { tlsConfigSchema } from './tls-config.ts'

/** `host:port`, as Alertmanager writes it; `[::1]:25` for IPv6. */
const hostPort = z.string().transform((value, ctx) => {
  const m = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(value)
  const port = Number(m?.[3])
  if (m && port > 0 && port < 65_536) return { host: m[1] ?? m[2]!, port }
  ctx.addIssue(
    `not a mail server: ${JSON.stringify(value)}; write it as host:port, for example mail.example.com:587`,
  )
  return z.NEVER
})

/** `X-Odd-name` as a header's name is usually written; names that differ only in case are the same. */
const canonical = (name: string): string =>
  name.toLowerCase().replaceAll(/(^|-)([a-z])/g, (_, dash: string, c: string) => dash + c.toUpperCase())

const headersSchema = z
  .record(z.string().regex(/^[!-9;-~]+$/, 'not a header name'), text)
  .transform((all, ctx) => {
    const out: Record<string, string> = {}
    for (const [name, value] of Object.entries(all)) {
      const key = canonical(name)
      if (Object.hasOwn(out, key)) ctx.addIssue(`header ${key} is given twice`)
      out[key] = value
    }
    return out
  })

const threadingSchema = z
  .strictObject({
    enabled: z.boolean().default(false),
    thread_by_date: z.enum(['daily', 'none']).default('daily'),
  })
  .prefault({})

/** How the server is reached and told who we are, each as far as it is said. */
interface Sending {
  readonly smarthost: { readonly host: string; readonly port: number } | undefined
  readonly from: string | undefined
  readonly hello: string | undefined
  readonly user: string | undefined
  readonly password: Secret | undefined
  readonly secret: Secret | undefined
  readonly identity: string | undefined
  readonly requireTls: boolean | undefined
  readonly implicitTls: boolean | undefined
  readonly tls: (() => TlsOptions) | undefined
}

const one = (
  inline: Secret | undefined,
  file: string | undefined,
  { path }: ChannelContext,
): Secret | undefined => inline ?? (file === undefined ? undefined : fileSecret(path(file)))

const notBoth = (a: string, b: string) => ({
  check: (c: object) =>
    (c as Record<string, unknown>)[a] === undefined || (c as Record<string, unknown>)[b] === undefined,
  words: `give ${a} or ${b}, not both`,
})
const passwordTwice = notBoth('auth_password', 'auth_password_file')
const secretTwice = notBoth('auth_secret', 'auth_secret_file')

export const emailSchema = (context: ChannelContext) =>
  z
    .strictObject({
      to: text.min(1, 'say to whom it goes'),
      from: text.optional(),
      smarthost: hostPort.optional(),
      hello: z.string().optional(),
      auth_username: z.string().optional(),
      auth_password: context.secret.optional(),
      auth_password_file: z.string().optional(),
      auth_secret: context.secret.optional(),
      auth_secret_file: z.string().optional(),
      auth_identity: z.string().optional(),
      headers: headersSchema.default({}),
      html: text.default('{{ template "email.default.html" . }}'),
      text: text.default('{{ template "email.default.text" . }}'),
      require_tls: z.boolean().optional(),
      force_implicit_tls: z.boolean().optional(),
      tls_config: tlsConfigSchema(context).optional(),
      threading: threadingSchema,
    })
    .refine(passwordTwice.check, passwordTwice.words)
    .refine(secretTwice.check, secretTwice.words)
    .refine(
      (c) => !c.threading.enabled || !('References' in c.headers || 'In-Reply-To' in c.headers),
      'threading writes References and In-Reply-To itself: take them out of headers, or turn it off',
    )
    .refine((c) => c.html !== '' || c.text !== '', 'html and text are both empty: give one')
    .transform((c) => ({
      ...{ to: c.to, headers: c.headers, html: c.html, text: c.text, threading: c.threading },
      sending: {
        ...{ smarthost: c.smarthost, from: c.from, hello: c.hello },
        ...{ user: c.auth_username, identity: c.auth_identity },
        password: one(c.auth_password, c.auth_password_file, context),
        secret: one(c.auth_secret, c.auth_secret_file, context),
        ...{ requireTls: c.require_tls, implicitTls: c.force_implicit_tls, tls: c.tls_config },
      } satisfies Sending,
    }))

export type EmailConfig = z.output<ReturnType<typeof emailSchema>>

/** The keys of Alertmanager's `global` that are email's. */
export const emailGlobalKeys = (context: ChannelContext) => ({
  smtp_from: text.optional(),
  smtp_hello: z.string().default('localhost'),
  smtp_smarthost: hostPort.optional(),
  smtp_auth_username: z.string().optional(),
  smtp_auth_password: context.secret.optional(),
  smtp_auth_password_file: z.string().optional(),
  smtp_auth_secret: context.secret.optional(),
  smtp_auth_secret_file: z.string().optional(),
  smtp_auth_identity: z.string().optional(),
  smtp_require_tls: z.boolean().default(true),
  smtp_tls_config: tlsConfigSchema(context).optional(),
  smtp_force_implicit_tls: z.boolean().optional(),
})

type EmailGlobalKeys = z.output<z.ZodObject<ReturnType<typeof emailGlobalKeys>>>

/** Email's part of the globals. */
export const emailGlobals = (keys: EmailGlobalKeys, context: ChannelContext): Sending => ({
  smarthost: keys.smtp_smarthost,
  from: keys.smtp_from,
  hello: keys.smtp_hello,
  user: keys.smtp_auth_username,
  password: one(keys.smtp_auth_password, keys.smtp_auth_password_file, context),
  secret: one(keys.smtp_auth_secret, keys.smtp_auth_secret_file, context),
  identity: keys.smtp_auth_identity,
  requireTls: keys.smtp_require_tls,
  implicitTls: keys.smtp_force_implicit_tls,
  tls: keys.smtp_tls_config,
})
export type EmailGlobals = Sending

const implicitPort = 465
const isHere = (host: string): boolean => /^(localhost|127\.[\d.]+|::1)$/.test(host)

/** A receiver's own word before the global one. Throws `bad_data` where server or sender are not said, or a password would go in the clear. */
export const sendingOf = (own: Sending | null, globals: Sending): { smarthost: Smarthost; from: string } => {
  const say = <K extends keyof Sending>(key: K): Sending[K] => own?.[key] ?? globals[key]
  const at = say('smarthost')
  const from = say('from')
  if (!at)
    throw new AppError(
      'bad_data',
      'no mail server: give smarthost here, or smtp_smarthost under global, as host:port',
    )
  if (!from) throw new AppError('bad_data', 'no sender: give from here, or smtp_from under global')
  const implicit = say('implicitTls') ?? at.port === implicitPort
  const startTls = say('requireTls') ?? true
  const user = say('user')
  const password = say('password')
  if (user && password && !implicit && !startTls && !isHere(at.host))
    throw new AppError('bad_data', `the password would go to ${at.host} in the clear: leave require_tls on`)
  return {
    from,
    smarthost: {
      ...at,
      hello: say('hello') ?? 'localhost',
      tls: implicit ? 'implicit' : startTls ? 'starttls' : 'none',
      tlsOptions: say('tls') ?? (() => ({})),
      login: user
        ? { user, password: password ?? null, secret: say('secret') ?? null, identity: say('identity') ?? '' }
        : null,
    },
  }
}
