// `prices:` in airboss.yaml: own prices of models, price maps, service tiers, and what machines cost.
import { z } from 'zod'
import { durationSchema } from '../lib/config.ts'
import { fromIso, type Instant } from '../lib/time.ts'

import { matcherSchema } from './budget-config.ts'
import { defaultExpressions } from './infrastructure-expressions.ts'

const price = z.number().min(0)
/** A day, or a moment in RFC 3339. */
const moment = z.string().transform((text, ctx): Instant => {
  try {
    return fromIso(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text)
  } catch {
    ctx.addIssue(`not a time: ${text}; write it as 2026-01-31 or 2026-01-31T12:00:00Z`)
    return z.NEVER
  }
})

const ownModel = z
  .strictObject({
    /** The model's name as it is reported; a `*` at its end stands for any rest. */
    model: z.string().min(1),
    /** Only for this provider; left out = for every one. */
    provider: z.string().default(''),
    /** Only for calls served in this tier (batch, flex, priority …). */
    service_tier: z.string().default(''),
    /** In force from here, until before there. */
    from: moment.optional(),
    until: moment.optional(),
    input_mtok: price,
    output_mtok: price,
    cache_read_mtok: price.optional(),
    cache_write_mtok: price.optional(),
    output_reasoning_mtok: price.optional(),
    input_audio_mtok: price.optional(),
    cache_audio_read_mtok: price.optional(),
    output_audio_mtok: price.optional(),
    input_image_mtok: price.optional(),
    output_image_mtok: price.optional(),
    /** US dollars for a thousand requests. */
    requests_kcount: price.optional(),
  })
  .refine((m) => m.from === undefined || m.until === undefined || m.from < m.until, {
    path: ['until'],
    message: 'must be later than from',
  })

/** What machines cost; each left out costs nothing. */
const rates = z.strictObject({
  /** Which series these are for, by labels: `node=~"gpu-.*"`; the first that fits holds. */
  match: z.array(matcherSchema).default([]),
  cpu_core_hour: price.optional(),
  memory_gib_hour: price.optional(),
  gpu_hour: price.optional(),
  egress_gb: price.optional(),
  storage_gib_month: price.optional(),
})

/** Two expressions of a resource: what workloads use, with a label `agent`, and what there is. */
const measured = (used: string, has: string) =>
  z.strictObject({ used: z.string().default(used), has: z.string().default(has) }).prefault({})

const infrastructureSchema = z
  .strictObject({
    rates: z.array(rates).default([]),
    interval: durationSchema.prefault('5m').refine((d) => d >= 60_000, 'at least 1m'),
    /** Who is paid, in rows. */
    provider: z.string().default(''),
    cpu: measured(defaultExpressions.cpu.used, defaultExpressions.cpu.has),
    memory: measured(defaultExpressions.memory.used, defaultExpressions.memory.has),
    gpu: measured(defaultExpressions.gpu.used, defaultExpressions.gpu.has),
    egress: measured(defaultExpressions.egress.used, defaultExpressions.egress.has),
    storage: measured(defaultExpressions.storage.used, defaultExpressions.storage.has),
  })
  .prefault({})

/** `prices:`; prices in USD per million tokens. */
export const pricesConfigSchema = z
  .strictObject({
    models: z.array(ownModel).default([]),
    /** Files in the form of LiteLLM's model_prices_and_context_window.json; the first that knows a model holds. */
    files: z.array(z.string()).default([]),
    /** What a price is multiplied by for calls served in a tier that no list has prices of its own for. */
    service_tiers: z.record(z.string(), price).default({ batch: 0.5, flex: 0.5 }),
    infrastructure: infrastructureSchema,
  })
  .prefault({})
export type InfrastructureConfig = z.output<typeof infrastructureSchema>
export type PricesConfig = z.output<typeof pricesConfigSchema>
