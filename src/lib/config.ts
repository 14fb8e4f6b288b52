// The small schemas that every room's configuration is made of.
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { AppError, messageOf } from './errors.ts'
import { type Duration, parseDuration } from './time.ts'

/** A duration in Prometheus's form (`30s`, `1h30m`). */
export const durationSchema = z.union([z.string(), z.number()]).transform((value, ctx): Duration => {
  const parsed = parseDuration(String(value))
  if (parsed === null) {
    ctx.addIssue(`not a duration: ${JSON.stringify(value)}; write it as 30s, 5m or 1h30m`)
    return z.NEVER
  }
  return parsed
})

/** A secret: text, `{ env: NAME }` or `{ file: PATH }`. It prints as `<secret>` wherever it is shown. */
export class Secret {
  readonly #read: () => string
  constructor(read: () => string) {
    this.#read = read
  }
  /** The secret itself: for the wire only. A file is read each time, so that a rotated one is picked up. */
  reveal(): string {
    return this.#read()
  }
  toString(): string {
    return '<secret>'
  }
  toJSON(): string {
    return '<secret>'
  }
}

export const textSecret = (text: string): Secret => new Secret(() => text)

/** Reads a secret's file, without the final newline; throws `bad_data` naming the file. */
export const fileSecret = (path: string): Secret =>
  new Secret(() => {
    try {
      return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
    } catch (error) {
      throw new AppError('bad_data', `secret file ${path}: ${messageOf(error)}`, { cause: error })
    }
  })

/** Schema of a secret; `env` gives the environment (only `app/config.ts` reads the real one). */
export const secretSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z.union([
    z.string().transform(textSecret),
    z.strictObject({ env: z.string() }).transform(({ env: name }, ctx) => {
      const value = env[name]
      if (value === undefined) {
        ctx.addIssue(`the environment variable ${name} is not set`)
        return z.NEVER
      }
      return textSecret(value)
    }),
    z.strictObject({ file: z.string() }).transform(({ file }) => fileSecret(file)),
  ])
