// Acknowledgement links: signed, expiring, good for one page of one escalation.
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Instant } from '../lib/time.ts'

export interface AckClaim {
  readonly escalation: string
  readonly user: string
  readonly page: string
  readonly expiresAt: Instant
}

export interface AckSigner {
  sign(claim: AckClaim): string
  /** Throws `forbidden` when the token is not ours or has expired. */
  verify(token: string, now: Instant): AckClaim
}

const mac = (key: Buffer, body: string): Buffer =>
  createHmac('sha256', key).update(`airboss-ack ${body}`).digest()

/** HMAC-SHA256 over the claim; compared in constant time. */
export const createAckSigner = (key: Buffer): AckSigner => ({
  sign: ({ escalation, user, page, expiresAt }) => {
    const body = Buffer.from(JSON.stringify([escalation, user, page, expiresAt])).toString('base64url')
    return `${body}.${mac(key, body).toString('base64url')}`
  },
  verify: (token, now) => {
    const [body = '', signature = '', ...rest] = token.split('.')
    const given = Buffer.from(signature, 'base64url')
    const wanted = mac(key, body)
    if (rest.length > 0 || given.length !== wanted.length || !timingSafeEqual(given, wanted))
      throw new AppError('forbidden', 'this acknowledgement link is not valid; use the one in the page')
    const [escalation, user, page, expiresAt] = JSON.parse(
      Buffer.from(body, 'base64url').toString('utf8'),
    ) as [string, string, string, Instant]
    if (expiresAt <= now)
      throw new AppError('forbidden', 'this acknowledgement link has expired; acknowledge in the console')
    return { escalation, user, page, expiresAt }
  },
})

/** The key in a file (0600), made on first use. Throws `bad_data` naming the file. */
export const ackKeyFile = (path: string): Buffer => {
  try {
    mkdirSync(dirname(path), { recursive: true })
    // Fails where there is one already: two processes never make two keys.
    writeFileSync(path, randomBytes(32).toString('hex'), { mode: 0o600, flag: 'wx', flush: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST')
      throw new AppError('bad_data', `acknowledgement key ${path}: ${messageOf(error)}`, { cause: error })
  }
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'hex')
  if (key.length < 32)
    throw new AppError('bad_data', `acknowledgement key ${path} is damaged; remove it and a new one is made`)
  return key
}
