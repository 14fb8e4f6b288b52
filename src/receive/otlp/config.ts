// The `otlp:` block of the configuration, in Prometheus's own keys.
import { z } from 'zod'
import { durationSchema } from '../../lib/config.ts'
import { spanMetricsSchema } from '../span-metrics/config.ts'
import { maskRuleSchema } from './masks.ts'
import type { TranslationStrategy } from './names.ts'

const strategies = [
  'UnderscoreEscapingWithSuffixes',
  'UnderscoreEscapingWithoutSuffixes',
  'NoUTF8EscapingWithSuffixes',
  'NoTranslation',
] as const satisfies readonly TranslationStrategy[]

/** What of a span or log record is kept at most; past a limit the rest is left out or cut, and counted. */
const limitsSchema = z
  .strictObject({
    /** Of a resource, scope, span, event, link or log record each. */
    attributes: z.int().min(1).max(10_000).default(256),
    /** Bytes of one value, name or message. */
    value_length: z.int().min(16).max(4_194_304).default(65_536),
    /** Bytes of a log record's body. */
    body_length: z.int().min(16).max(16_777_216).default(262_144),
    /** Events and links of a span, each. */
    events: z.int().min(0).max(10_000).default(256),
  })
  .prefault({})

/** Prompts, completions, and what tools were given and gave back. */
const contentSchema = z
  .strictObject({
    /** Kept for all, for none, or for the named agents and services (gen_ai.agent.name, service.name). */
    keep: z.union([z.boolean(), z.array(z.string().min(1)).min(1)]).default(false),
    mask: z.array(maskRuleSchema).default([]),
    /** `content`: what is kept of it is masked; `everything`: every attribute and log body too. */
    apply_to: z.enum(['content', 'everything']).default('content'),
  })
  .prefault({})

export const otlpSchema = z
  .strictObject({
    /** Resource attributes that become labels of every series. */
    promote_resource_attributes: z.array(z.string().min(1)).default([]),
    promote_all_resource_attributes: z.boolean().default(false),
    /** With `promote_all_resource_attributes`: those that do not. */
    ignore_resource_attributes: z.array(z.string().min(1)).default([]),
    translation_strategy: z.enum(strategies).default('UnderscoreEscapingWithSuffixes'),
    /** Keeps service.name, service.namespace and service.instance.id on target_info too. */
    keep_identifying_resource_attributes: z.boolean().default(false),
    /** Puts otel_scope_name, otel_scope_version, otel_scope_schema_url and scope attributes on every series. */
    promote_scope_metadata: z.boolean().default(false),
    label_name_underscore_sanitization: z.boolean().default(true),
    label_name_preserve_multiple_underscores: z.boolean().default(true),
    traces: z
      .strictObject({
        /** How long an accepted span is remembered, so that one sent again counts once. */
        dedup_window: durationSchema.prefault('10m').refine((d) => d > 0, 'must be above 0'),
        /** Most spans remembered; about 32 bytes each. */
        dedup_spans: z.int().min(1000).max(50_000_000).default(2_000_000),
        metrics: spanMetricsSchema,
      })
      .prefault({}),
    limits: limitsSchema,
    content: contentSchema,
  })
  .superRefine((otlp, ctx) => {
    if (otlp.promote_all_resource_attributes && otlp.promote_resource_attributes.length > 0) {
      ctx.addIssue({
        code: 'custom',
        path: ['promote_resource_attributes'],
        message: 'promote_all_resource_attributes already promotes them; keep one of the two',
      })
    }
    if (!otlp.promote_all_resource_attributes && otlp.ignore_resource_attributes.length > 0) {
      ctx.addIssue({
        code: 'custom',
        path: ['ignore_resource_attributes'],
        message: 'it says what promote_all_resource_attributes leaves out; set that too, or remove it',
      })
    }
  })

export type OtlpConfig = z.output<typeof otlpSchema>
