// The hash chain: each version's hash covers the one before it, its own head and the digest of its value.
import { createHash } from 'node:crypto'
import { AppError, messageOf } from '../lib/errors.ts'
import { instant } from '../lib/time.ts'
import type { LedgerVersion } from '../model/ports/ledger.ts'

/** A version with what its hash was made of; the value may be gone while its digest stays. */
export interface Link extends LedgerVersion {
  readonly digest: string
  readonly deleted: boolean
  readonly erased: boolean
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

/** What stands before the first version. */
export const genesis = '0'.repeat(64)

export const digestOf = (value: unknown): string => sha256(JSON.stringify(value))

type Head = Omit<Link, 'hash' | 'value' | 'erased'>

/** SHA-256 over the hash before, the head as JSON, and the value's digest. */
export const hashOf = (before: string, h: Head): string =>
  sha256(
    JSON.stringify([before, h.sequence, h.kind, h.id, h.version, h.by, h.why, h.at, h.deleted, h.digest]),
  )

export const encodeLink = (link: Link): Buffer => Buffer.from(JSON.stringify(link))

const strings = ['kind', 'id', 'by', 'why', 'hash', 'digest'] as const
const numbers = ['version', 'at', 'sequence'] as const

/** Reads one stored version; throws `bad_data` naming what is wrong with it. */
export const decodeLink = (record: Buffer): Link => {
  let raw: Record<string, unknown>
  try {
    raw = JSON.parse(record.toString('utf8')) as Record<string, unknown>
  } catch (error) {
    throw new AppError('bad_data', `not JSON: ${messageOf(error)}`, { cause: error })
  }
  for (const name of strings)
    if (typeof raw[name] !== 'string') throw new AppError('bad_data', `its ${name} is no text`)
  for (const name of numbers)
    if (typeof raw[name] !== 'number') throw new AppError('bad_data', `its ${name} is no number`)
  const link = raw as unknown as Link
  return { ...link, at: instant(link.at) }
}

/** Null when `link` follows a version with hash `before` at place `sequence`; else what does not hold, in words. */
export const brokenAt = (link: Link, before: string, sequence: number): string | null => {
  if (link.sequence !== sequence) return `its sequence is ${link.sequence}, not ${sequence}`
  if (!link.erased && digestOf(link.value) !== link.digest) return 'its value does not match its digest'
  if (link.erased && link.value !== null) return 'it is marked erased and has a value'
  if (hashOf(before, link) !== link.hash)
    return 'its hash does not follow from the one before it and its own head'
  return null
}

/** The sentence that names where a ledger's chain breaks. */
export const breakMessage = (path: string, link: Link, why: string): string =>
  `${path}: the chain breaks at sequence ${link.sequence} (${link.kind} ${link.id}, version ${link.version}): ${why}`
