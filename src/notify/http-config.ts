// Alertmanager's `http_config`: how a channel identifies itself over HTTP.
import { z } from 'zod'
import { fileSecret, type Secret } from '../lib/config.ts'
import type { ChannelContext } from '../model/ports/channel.ts'

export interface HttpConfig {
  /** Headers to send; asked for each request, so that a rotated secret file is picked up. */
  readonly headers: () => Record<string, string>
  readonly follow: boolean
}

export const plainHttp: HttpConfig = { headers: () => ({}), follow: true }

const refused = (what: string) => z.undefined(`${what} is not yet supported; remove it`).optional()

/** One of a secret and its file, or neither; both is an error. */
const one = (
  inline: Secret | undefined,
  file: string | undefined,
  context: ChannelContext,
): Secret | undefined => inline ?? (file === undefined ? undefined : fileSecret(context.path(file)))

const both = (a: unknown, b: unknown): boolean => a !== undefined && b !== undefined

const authorizationSchema = (context: ChannelContext) =>
  z
    .strictObject({
      type: z.string().default('Bearer'),
      credentials: context.secret.optional(),
      credentials_file: z.string().optional(),
    })
    .refine((a) => !both(a.credentials, a.credentials_file), 'give credentials or credentials_file, not both')
    .refine((a) => a.type.toLowerCase() !== 'basic', 'type Basic is written as basic_auth')
    .transform((a) => ({ type: a.type, secret: one(a.credentials, a.credentials_file, context) }))

const basicSchema = (context: ChannelContext) =>
  z
    .strictObject({
      username: z.string().optional(),
      username_file: z.string().optional(),
      password: context.secret.optional(),
      password_file: z.string().optional(),
    })
    .refine((b) => !both(b.username, b.username_file), 'give username or username_file, not both')
    .refine((b) => !both(b.password, b.password_file), 'give password or password_file, not both')
    .transform((b) => ({
      username: (): string =>
        b.username ?? (b.username_file ? fileSecret(context.path(b.username_file)).reveal() : ''),
      password: one(b.password, b.password_file, context),
    }))

const headerSchema = (context: ChannelContext) =>
  z.strictObject({
    values: z.array(z.string()).default([]),
    secrets: z.array(context.secret).default([]),
    files: z.array(z.string()).default([]),
  })

/** Schema of `http_config`. TLS settings, proxies and OAuth 2 are refused by name. */
export const httpConfigSchema = (context: ChannelContext) =>
  z
    .strictObject({
      authorization: authorizationSchema(context).optional(),
      basic_auth: basicSchema(context).optional(),
      bearer_token: context.secret.optional(),
      bearer_token_file: z.string().optional(),
      follow_redirects: z.boolean().default(true),
      // Whatever it says, HTTP/1.1 is spoken: what is sent and answered is the same.
      enable_http2: z.boolean().optional(),
      http_headers: z.record(z.string(), headerSchema(context)).default({}),
      oauth2: refused('oauth2'),
      tls_config: refused('tls_config'),
      proxy_url: refused('proxy_url'),
      no_proxy: refused('no_proxy'),
      proxy_from_environment: z.literal(false, 'a proxy is not yet supported; remove it').optional(),
      proxy_connect_header: refused('proxy_connect_header'),
    })
    .refine(
      (c) =>
        [c.authorization, c.basic_auth, c.bearer_token, c.bearer_token_file].filter((v) => v !== undefined)
          .length < 2,
      'give only one of authorization, basic_auth, bearer_token and bearer_token_file',
    )
    .transform((c): HttpConfig => {
      const bearer = one(c.bearer_token, c.bearer_token_file, context)
      const headers = (): Record<string, string> => {
        const out: Record<string, string> = {}
        for (const [name, h] of Object.entries(c.http_headers)) {
          const files = h.files.map((f) => fileSecret(context.path(f)).reveal())
          out[name.toLowerCase()] = [...h.values, ...h.secrets.map((s) => s.reveal()), ...files].join(', ')
        }
        if (c.authorization)
          out['authorization'] = `${c.authorization.type} ${c.authorization.secret?.reveal() ?? ''}`
        if (bearer) out['authorization'] = `Bearer ${bearer.reveal()}`
        if (c.basic_auth) {
          const pair = `${c.basic_auth.username()}:${c.basic_auth.password?.reveal() ?? ''}`
          out['authorization'] = `Basic ${Buffer.from(pair).toString('base64')}`
        }
        return out
      }
      return { headers, follow: c.follow_redirects }
    })
