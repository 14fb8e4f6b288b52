// `hooks:` in airboss.yaml: what comes in by webhook, from whom, and what each payload becomes.
import { z } from 'zod'
import { durationSchema, type Secret } from '../../lib/config.ts'
import { AppError } from '../../lib/errors.ts'
import { createTemplate, type Template } from '../../lib/template/template.ts'
import { textFunctions } from '../../lib/template/text-functions.ts'
import { duration, hour } from '../../lib/time.ts'
import { type Path, parsePath, readPath } from './path.ts'
import { authSchema } from './signature.ts'

/** What a value is made from: the item it is about and the whole payload. */
export interface Source {
  readonly item: unknown
  readonly payload: unknown
}
/** Gives the value, or `missing` with the path that led nowhere. */
export type Value = (source: Source) => { readonly value: unknown } | { readonly missing: string }

const pathSchema = z.string().transform((text, ctx): Path => {
  const path = parsePath(text)
  if (typeof path !== 'string') return path
  ctx.addIssue(path)
  return z.NEVER
})

const templateSchema = z.string().transform((text, ctx): Template => {
  try {
    return createTemplate(text, 'template', textFunctions, { missingKey: 'error', variables: ['$payload'] })
  } catch (error) {
    ctx.addIssue(error instanceof AppError ? error.message : String(error))
    return z.NEVER
  }
})

const constant =
  (value: unknown): Value =>
  () => ({ value })
const atPath =
  (path: Path, otherwise: unknown): Value =>
  ({ item, payload }) => {
    const value = readPath(path, item, payload)
    if (value !== undefined && value !== null) return { value }
    return otherwise === undefined ? { missing: path.text } : { value: otherwise }
  }
const rendered =
  (template: Template): Value =>
  ({ item, payload }) => {
    try {
      return { value: template.render(item, { $payload: payload }) }
    } catch (error) {
      return { missing: error instanceof Error ? error.message : String(error) }
    }
  }

const scalar = z.union([z.string(), z.number(), z.boolean()])

/** A text that begins with `$` is a path, one with `{{` a template, anything else stands as it is. */
const valueSchema = z
  .union([
    scalar,
    z.strictObject({ value: scalar }),
    z.strictObject({ path: pathSchema, default: scalar.optional() }),
    z.strictObject({ template: templateSchema }),
  ])
  .transform((said, ctx): Value => {
    if (typeof said === 'object') {
      if ('value' in said) return constant(said.value)
      return 'path' in said ? atPath(said.path, said.default) : rendered(said.template)
    }
    if (typeof said !== 'string' || !/^\$|\{\{/.test(said)) return constant(said)
    const schema = said.startsWith('$') ? pathSchema : templateSchema
    const read = schema.safeParse(said)
    if (read.success)
      return read.data instanceof Object && 'steps' in read.data
        ? atPath(read.data, undefined)
        : rendered(read.data as Template)
    for (const issue of read.error.issues) ctx.addIssue(issue.message)
    return z.NEVER
  })

const labelName = z.string().regex(/^[a-zA-Z_][a-zA-Z0-9_]*$/, 'not a label name')
const values = z.record(z.string().min(1), valueSchema)

const eventSchema = z.strictObject({
  name: valueSchema,
  id: valueSchema.optional(),
  value: valueSchema.optional(),
  time: valueSchema.optional(),
  agent: valueSchema.optional(),
  version: valueSchema.optional(),
  outcome: valueSchema.optional(),
  attributes: values.default({}),
})

const alertSchema = z.strictObject({
  labels: z
    .record(labelName, valueSchema)
    .refine((labels) => Object.hasOwn(labels, 'alertname'), 'an alert needs the label alertname'),
  annotations: z.record(labelName, valueSchema).default({}),
  /** Compared with `resolved`; left out: it fires. */
  status: valueSchema.optional(),
  resolved: z.array(z.string()).default(['resolved', 'ok', 'closed', 'recovered']),
  starts_at: valueSchema.optional(),
  ends_at: valueSchema.optional(),
  generator_url: valueSchema.optional(),
})

const sampleSchema = z.strictObject({
  metric: valueSchema,
  labels: z.record(labelName, valueSchema).default({}),
  value: valueSchema,
  time: valueSchema.optional(),
})

const matchSchema = z.record(z.string(), z.union([scalar, z.array(scalar)])).transform((all, ctx) =>
  Object.entries(all).map(([text, wanted]) => {
    const path = parsePath(text)
    if (typeof path === 'string') ctx.addIssue(path)
    const list = (Array.isArray(wanted) ? wanted : [wanted]).map(String)
    return { path: path as Path, wanted: list }
  }),
)

const idSchema = z.union([
  z.strictObject({ header: z.string().toLowerCase() }),
  pathSchema.transform((path) => ({ path })),
])

const hookSchema = (secret: z.ZodType<Secret>) =>
  z
    .strictObject({
      /** Whose payload it is; `generic` is mapped as declared here. */
      source: z.enum(['generic', 'alertmanager', 'grafana']).default('generic'),
      auth: authSchema(secret),
      /** What names a delivery, so that a repeated one counts once. */
      id: idSchema.default({ header: 'idempotency-key' }),
      /** All must hold, else the payload, or the item, is passed over. */
      match: matchSchema.default([]),
      /** A list in the payload, each of whose items is mapped by itself. */
      items: pathSchema.optional(),
      event: eventSchema.optional(),
      alert: alertSchema.optional(),
      sample: sampleSchema.optional(),
      /** Labels that every alert of a built-in source gets. */
      labels: z.record(labelName, z.coerce.string()).default({}),
      /** An alert that fires and is not heard of again ends after this. */
      expires: durationSchema.default(duration(24 * hour)),
    })
    .superRefine((h, ctx) => {
      const made = [h.event, h.alert, h.sample].filter((m) => m !== undefined).length
      if (h.source === 'generic' && made === 0)
        ctx.addIssue('say what the payload becomes: event, alert or sample')
      if (h.source !== 'generic' && (made > 0 || h.items !== undefined))
        ctx.addIssue(`source ${h.source} has its own mapping: take out event, alert, sample and items`)
      if (h.source === 'generic' && Object.keys(h.labels).length > 0)
        ctx.addIssue('labels are for a built-in source; write them under alert or sample')
    })

/** Schema of `hooks:`; names stand in addresses. */
export const hooksSchema = (secret: z.ZodType<Secret>) =>
  z
    .record(
      z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/i, 'letters, digits, - and _ only, at most 64'),
      hookSchema(secret),
    )
    .default({})

export type Hook = z.output<ReturnType<typeof hookSchema>>
export type Hooks = Readonly<Record<string, Hook>>
