// Keeps the alerts of all rules over restarts: one small file, replaced whole, so that it is never half written.
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { z } from 'zod'
import { AppError, messageOf } from '../lib/errors.ts'
import type { Instant } from '../lib/time.ts'
import type { AlertEntry } from './alerting.ts'

const at = z.number().transform((v) => v as Instant)
const entrySchema = z.strictObject({
  labels: z.array(z.string()),
  annotations: z.record(z.string(), z.string()),
  state: z.enum(['pending', 'firing', 'inactive']),
  // JSON has no NaN and no infinities: they are kept as text.
  value: z.union([z.number(), z.string()]).transform(Number),
  activeAt: at,
  firedAt: at.nullable(),
  resolvedAt: at.nullable(),
  keepFiringSinceAt: at.nullable(),
  lastSentAt: at.nullable(),
})
const stateSchema = z.strictObject({
  version: z.literal(1),
  groups: z.record(
    z.string(),
    z.strictObject({
      evaluatedAt: at,
      rules: z.array(z.strictObject({ identity: z.string(), alerts: z.array(entrySchema) })),
    }),
  ),
})

export interface SavedGroup {
  readonly evaluatedAt: Instant
  readonly rules: readonly { readonly identity: string; readonly alerts: readonly AlertEntry[] }[]
}
export type SavedGroups = Readonly<Record<string, SavedGroup>>

const errorCode = (error: unknown): string | undefined => (error as { code?: string } | null)?.code

/** The saved groups; null when there is no file. A file that cannot be read is set aside as `.broken` and throws. */
export const loadState = async (path: string): Promise<SavedGroups | null> => {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null
    throw error
  }
  try {
    return stateSchema.parse(JSON.parse(text)).groups
  } catch (cause) {
    await rename(path, `${path}.broken`)
    throw new AppError(
      'internal',
      `the alerts kept in ${path} cannot be read (${messageOf(cause)}); the file is now ${path}.broken`,
      { cause },
    )
  }
}

const plain = (_: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isFinite(value) ? String(value) : value

/** Writes the file whole: aside, to disk, then in place. */
const saveState = async (path: string, groups: SavedGroups): Promise<void> => {
  await mkdir(dirname(path), { recursive: true })
  const aside = `${path}.new`
  const file = await open(aside, 'w')
  try {
    await file.writeFile(JSON.stringify({ version: 1, groups }, plain))
    await file.datasync()
  } finally {
    await file.close()
  }
  await rename(aside, path)
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}

/** Saves what `current` gives, one save at a time; calls while one is under way share the next. */
export const createSaver = (path: string, current: () => SavedGroups): (() => Promise<void>) => {
  let last: Promise<void> = Promise.resolve()
  let waiting: Promise<void> | null = null
  return () => {
    if (waiting) return waiting
    const mine = last.then(async () => {
      waiting = null
      await saveState(path, current())
    })
    waiting = mine
    last = mine.catch(() => {})
    return mine
  }
}
