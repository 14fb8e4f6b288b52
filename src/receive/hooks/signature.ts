// Whether a delivery comes from who knows the secret: the signatures of GitHub, Slack, Grafana and Airboss, others declared, or a bearer token.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { durationSchema, type Secret } from '../../lib/config.ts'
import { AppError } from '../../lib/errors.ts'
import { type Duration, duration, type Instant, minute } from '../../lib/time.ts'

type Headers = Readonly<Record<string, string | undefined>>

const schemes = {
  /** `X-Hub-Signature-256: sha256=<hex>` over the body. */
  github: { header: 'x-hub-signature-256', prefix: 'sha256=', timestamp_header: '', signed: '{body}' },
  /** `X-Slack-Signature: v0=<hex>` over `v0:<seconds>:<body>`. */
  slack: {
    header: 'x-slack-signature',
    prefix: 'v0=',
    timestamp_header: 'x-slack-request-timestamp',
    signed: 'v0:{timestamp}:{body}',
  },
  /** `X-Grafana-Alerting-Signature: <hex>` over the body, or, with a timestamp header, over `<seconds>:<body>`. */
  grafana: { header: 'x-grafana-alerting-signature', prefix: '', timestamp_header: '', signed: '' },
  /** `X-Airboss-Signature: t=<seconds>,v1=<hex>` over `<seconds>.<body>`. */
  airboss: { header: 'x-airboss-signature', prefix: '', timestamp_header: '', signed: '{timestamp}.{body}' },
  custom: { header: '', prefix: '', timestamp_header: '', signed: '' },
} as const

const headerName = z
  .string()
  .regex(/^[\w-]+$/, 'not a header name')
  .toLowerCase()

/** One in a file is looked at when it is needed. */
const isEmpty = (secret: Secret): boolean => {
  try {
    return secret.reveal() === ''
  } catch {
    return false
  }
}
const filled = (secret: z.ZodType<Secret>) =>
  secret.refine((s) => !isEmpty(s), 'the secret is empty; make one with: openssl rand -hex 32')

const hmacSchema = (secret: z.ZodType<Secret>) =>
  z
    .strictObject({
      secret: filled(secret),
      scheme: z.enum(['github', 'slack', 'grafana', 'airboss', 'custom']).default('airboss'),
      header: headerName.optional(),
      prefix: z.string().optional(),
      encoding: z.enum(['hex', 'base64']).default('hex'),
      algorithm: z.enum(['sha256', 'sha1', 'sha512']).default('sha256'),
      timestamp_header: headerName.optional(),
      /** What is signed, of `{timestamp}` and `{body}`. */
      signed: z.string().includes('{body}', 'must hold {body}').optional(),
      /** How old or how far ahead a signed time may be. */
      tolerance: durationSchema.default(duration(5 * minute)),
    })
    .transform((c, ctx) => {
      const base = schemes[c.scheme]
      const header = c.header ?? base.header
      const timestampHeader = c.timestamp_header ?? base.timestamp_header
      const signed = c.signed ?? (base.signed || (timestampHeader === '' ? '{body}' : '{timestamp}:{body}'))
      if (header === '') ctx.addIssue('scheme custom needs header: where the signature stands')
      if (signed.includes('{timestamp}') && timestampHeader === '' && c.scheme !== 'airboss')
        ctx.addIssue('signed holds {timestamp}: say in timestamp_header where that stands')
      return { ...c, header, prefix: c.prefix ?? base.prefix, timestampHeader, signed }
    })

/** `access` asks for what every call to the API needs: a token of access.tokens, or this machine. */
export const authSchema = (secret: z.ZodType<Secret>) =>
  z
    .union(
      [
        z.literal('access'),
        z.strictObject({ bearer: filled(secret) }),
        z.strictObject({ hmac: hmacSchema(secret) }),
      ],
      { error: 'auth is access, { bearer: SECRET } or { hmac: { secret: SECRET, scheme: github } }' },
    )
    .default('access')

export type Auth = z.output<ReturnType<typeof authSchema>>
type Hmac = z.output<ReturnType<typeof hmacSchema>>

/** Throws `unavailable` when there is none to compare with: whoever signs with nothing would know it. Why is for our own log. */
const keyOf = (secret: Secret): string => {
  let key = ''
  let cause: unknown = new Error('the secret is empty')
  try {
    key = secret.reveal()
  } catch (error) {
    cause = error
  }
  if (key === '') throw new AppError('unavailable', 'the secret of this hook cannot be read here', { cause })
  return key
}

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
/** How long it takes tells nothing, not even the length. */
const same = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b))

const fresh = (seconds: string, tolerance: Duration, now: Instant): string | null => {
  if (!/^\d{1,12}$/.test(seconds)) return 'the signed time is no number of seconds'
  if (Math.abs(now - Number(seconds) * 1000) <= tolerance) return null
  return 'the signed time is too far from now: an old delivery, or a clock that is wrong'
}

const checkHmac = (c: Hmac, headers: Headers, body: Buffer, now: Instant): string | null => {
  const given = headers[c.header]
  if (given === undefined) return `the header ${c.header} is missing`
  let signature = given.startsWith(c.prefix) ? given.slice(c.prefix.length) : null
  let timestamp = c.timestampHeader === '' ? '' : (headers[c.timestampHeader] ?? '')
  if (c.scheme === 'airboss') {
    const parts = new Map(given.split(',').map((part) => part.trim().split(/=(.*)/s, 2) as [string, string]))
    timestamp = parts.get('t') ?? ''
    signature = parts.get('v1') ?? null
  }
  if (signature === null) return `the header ${c.header} is not of the form ${c.prefix}<signature>`
  if (c.timestampHeader !== '' && timestamp === '') return `the header ${c.timestampHeader} is missing`
  if (c.signed.includes('{timestamp}')) {
    const why = fresh(timestamp, c.tolerance, now)
    if (why !== null) return why
  }
  const hmac = createHmac(c.algorithm, keyOf(c.secret))
  for (const part of c.signed.split(/(\{body\}|\{timestamp\})/))
    hmac.update(part === '{body}' ? body : part === '{timestamp}' ? timestamp : part)
  const wanted = hmac.digest(c.encoding)
  const shown = c.encoding === 'hex' ? signature.toLowerCase() : signature
  return same(shown, wanted) ? null : `the signature in ${c.header} does not fit the body`
}

/** Null when the delivery is who it says; else why not. `access` is looked at elsewhere. */
export const checkAuth = (auth: Auth, headers: Headers, body: Buffer, now: Instant): string | null => {
  if (auth === 'access') return null
  if ('hmac' in auth) return checkHmac(auth.hmac, headers, body, now)
  const given = /^Bearer +(\S+) *$/i.exec(headers['authorization'] ?? '')?.[1]
  if (given === undefined) return 'a bearer token is needed: Authorization: Bearer <token>'
  return same(given, keyOf(auth.bearer)) ? null : 'this bearer token is not the one of the hook'
}
