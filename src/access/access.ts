// Who is asking, and what they may do: bearer tokens, roles, and the machine's own loopback.
import { createHash, timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import { type Secret, secretSchema } from '../lib/config.ts'
import { AppError } from '../lib/errors.ts'
import type { Logger } from '../lib/log.ts'
import type { Actor } from '../model/actor.ts'
import type { Authorizer, Verb } from '../model/ports/authorizer.ts'
import type { Metrics } from '../model/ports/metrics.ts'
import { checkHost, checkOrigin, isLoopback, isLoopbackHost } from './hosts.ts'
import { mayAs, type Role, roleNames } from './roles.ts'

const shortest = 16

/** A secret that stands in a file may not be there yet: its token is locked out until it is. */
const lengthOf = (token: Secret): number => {
  try {
    return token.reveal().length
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

/** Schema of `access:`; `env` is where `{ env: NAME }` secrets are looked up. */
export const accessSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z
    .strictObject({
      tokens: z
        .array(
          z
            .strictObject({
              name: z.string().regex(/^[\w.@-]{1,64}$/, 'letters, digits and . _ @ - only, at most 64'),
              token: secretSchema(env).optional(),
              /** Instead of the token: its SHA-256 in hexadecimal (`printf %s "$TOKEN" | sha256sum`). */
              sha256: z
                .string()
                .regex(/^[0-9a-f]{64}$/i, '64 hexadecimal digits')
                .optional(),
              roles: z.array(z.enum(roleNames)).min(1),
            })
            .refine(
              (t) => (t.token === undefined) !== (t.sha256 === undefined),
              'give either token or sha256',
            ),
        )
        .max(1000)
        .default([]),
      /** Whoever calls from this machine without a token is an admin. Turn it off behind a proxy on the same machine that sends neither its own Host nor X-Forwarded-For. */
      anonymous_loopback: z.boolean().default(true),
      /** Names under which browsers and clients reach this, besides loopback and bare addresses; `*.example.com` and `*` too. */
      hosts: z.array(z.string().min(1)).default([]),
    })
    .prefault({})
    .superRefine(({ tokens }, ctx) => {
      const names = tokens.map((t) => t.name)
      names.forEach((name, i) => {
        if (names.indexOf(name) !== i)
          ctx.addIssue({ code: 'custom', path: ['tokens', i, 'name'], message: `${name} is used twice` })
      })
      tokens.forEach(({ token }, i) => {
        if (token !== undefined && lengthOf(token) < shortest)
          ctx.addIssue({
            code: 'custom',
            path: ['tokens', i, 'token'],
            message: `has fewer than ${shortest} characters; make one with: openssl rand -hex 32`,
          })
      })
    })

type AccessConfig = z.output<ReturnType<typeof accessSchema>>

interface AccessDeps {
  readonly config: AccessConfig
  readonly log: Logger
  readonly metrics: Metrics
}

/** What of a request says who it is from. */
export interface Credentials {
  readonly authorization: string | undefined
  readonly remoteAddress: string | undefined
  readonly host: string | undefined
  readonly origin: string | undefined
  /** Whether a proxy says that it passes the request on for somebody else. */
  readonly forwarded?: boolean
}

export interface Access extends Authorizer {
  /**
   * Who it is; or the error to answer: `forbidden` for a foreign Host or Origin, `unauthorized` for a token that is missing, malformed or unknown.
   */
  authenticate(credentials: Credentials): Actor | AppError
  /** Whether anybody on this machine is let in without a token: to be said aloud at the start. */
  readonly open: boolean
}

const anonymous: Actor = { id: 'anonymous:loopback', kind: 'anonymous' }

const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

class TokenAccess implements Access {
  readonly #config: AccessConfig
  readonly #refused
  readonly #log: Logger

  constructor({ config, log, metrics }: AccessDeps) {
    this.#config = config
    this.#log = log
    this.#refused = metrics.counter(
      'airboss_access_refused_total',
      'Requests refused before they were looked at.',
      ['reason'],
    )
  }

  get open(): boolean {
    return this.#config.anonymous_loopback
  }

  authenticate({ authorization, remoteAddress, host, origin, forwarded }: Credentials): Actor | AppError {
    const foreign = checkHost(host, this.#config.hosts)
    if (foreign) return this.#refuse('host', new AppError('forbidden', foreign))
    const page = checkOrigin(origin, host)
    if (page) return this.#refuse('origin', new AppError('forbidden', page))
    if (authorization !== undefined) return this.#byToken(authorization)
    // Behind a proxy on this machine everybody seems to come from here: what was asked for by another name, or says so, does not.
    const here = isLoopback(remoteAddress) && isLoopbackHost(host) && !forwarded
    if (this.#config.anonymous_loopback && here) return anonymous
    return this.#refuse(
      'no_token',
      new AppError(
        'unauthorized',
        'a bearer token is needed: send Authorization: Bearer <token>; access.tokens lists who has one',
      ),
    )
  }

  #byToken(authorization: string): Actor | AppError {
    const given = /^Bearer +([\x21-\x7e]{1,4096}) *$/i.exec(authorization)?.[1]
    if (given === undefined)
      return this.#refuse(
        'malformed',
        new AppError('unauthorized', 'the Authorization header is not of the form Bearer <token>'),
      )
    const hashed = digest(given)
    let found: string | null = null
    // All are compared, whichever fits: how long it takes tells nothing.
    for (const { name, token, sha256 } of this.#config.tokens) {
      const known = sha256 === undefined ? this.#hashOf(name, token) : Buffer.from(sha256, 'hex')
      if (known && timingSafeEqual(hashed, known)) found ??= name
    }
    if (found !== null) return { id: `token:${found}`, kind: 'token' }
    return this.#refuse('unknown', new AppError('unauthorized', 'this bearer token is not known here'))
  }

  /** Read each time, so that a rotated file is picked up; one that cannot be read locks out its own token only. */
  #hashOf(name: string, token: Secret | undefined): Buffer | null {
    try {
      const text = token?.reveal() ?? ''
      return text.length < shortest ? null : digest(text)
    } catch (error) {
      this.#log.error({ err: error, name }, 'an access token cannot be read')
      return null
    }
  }

  #refuse(reason: string, error: AppError): AppError {
    this.#refused.add(1, { reason })
    return error
  }

  may(actor: Actor, verb: Verb, thing: string): string | null {
    return mayAs(this.#rolesOf(actor), verb, thing)
  }

  #rolesOf(actor: Actor): readonly Role[] {
    if (actor.kind === 'system') return ['admin']
    if (actor.kind === 'anonymous') return this.#config.anonymous_loopback ? ['admin'] : []
    return this.#config.tokens.find((t) => `token:${t.name}` === actor.id)?.roles ?? []
  }
}

/** Access by the configuration. */
export const createAccess = (deps: AccessDeps): Access => new TokenAccess(deps)
