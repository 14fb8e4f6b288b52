// Schemas over YAML whose scalars are left as they were written: a label's value `1.10` must not become 1.1.
import { z } from 'zod'

const nothing = (value: unknown): boolean =>
  value === '' || value === '~' || value === 'null' || value === undefined

/** Any scalar as its text. */
export const textSchema = z.string({ error: 'must be text; put it in quotes' })

/** A map of texts; one that is left empty is {}. */
export const textsSchema = z.preprocess((v) => (nothing(v) ? {} : v), z.record(z.string(), textSchema))

/** A list; one that is left empty is []. */
export const listSchema = <S extends z.ZodType>(item: S) =>
  z.preprocess((v) => (nothing(v) ? [] : v), z.array(item))

export const wholeSchema = z
  .string()
  .regex(/^\d{1,15}$/, 'must be a whole number from 0')
  .transform(Number)

export const flagSchema = z
  .enum(['true', 'false'], { error: 'must be true or false' })
  .transform((v) => v === 'true')
