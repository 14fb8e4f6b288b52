// The whole configuration's schema: every room's own section, under the keys that users know from Prometheus.
import { z } from 'zod'
import { accessSchema } from '../access/access.ts'
import { actionsSchema } from '../act/config.ts'
import { deploymentsSchema } from '../fleet/config.ts'
import { durationSchema, secretSchema } from '../lib/config.ts'
import { defaultAdmission } from '../model/batch-builder.ts'
import { budgetsSchema } from '../money/budget-config.ts'
import { costsSchema } from '../money/costs-config.ts'
import { pricesConfigSchema } from '../money/prices-config.ts'
import { oncallSchema } from '../oncall/config.ts'
import { queryConfig } from '../query/config.ts'
import { containersConfigSchema } from '../receive/containers/receiver.ts'
import { eventsConfigSchema } from '../receive/events/receiver.ts'
import { hooksSchema } from '../receive/hooks/config.ts'
import { hostConfigSchema } from '../receive/host/receiver.ts'
import { kubernetesSchema } from '../receive/kubernetes/config.ts'
import { otlpSchema } from '../receive/otlp/config.ts'
import { pushConfigSchema } from '../receive/push/receiver.ts'
import { globalScrapeShape, scrapeConfigsSchema } from '../receive/scrape/config.ts'
import { statsdConfigSchema } from '../receive/statsd/receiver.ts'
import { autoscaleSchema } from '../scale/config.ts'
import { clickhouseSchema, engineSchema } from '../store/config.ts'
import { retentionSchema } from '../store/schema.ts'

export type Environment = Readonly<Record<string, string | undefined>>

const address = z
  .string()
  .regex(/^(\[[^\]]+\]|[^:]*):\d{1,5}$/, 'not an address; write it as host:port, for example 127.0.0.1:9900')
const units: Record<string, number> = {
  '': 1,
  B: 1,
  KB: 2 ** 10,
  MB: 2 ** 20,
  GB: 2 ** 30,
  TB: 2 ** 40,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** Bytes as a number or as Prometheus writes them: `512MB`, `4GB` (powers of two). */
const bytes = (otherwise: string) =>
  z
    .union([z.string(), z.number()])
    .default(otherwise)
    .transform((value, ctx): number => {
      const m = /^(\d+)\s*([KMGT]?i?B)?$/.exec(String(value))
      const size = m ? Number(m[1]) * (units[m[2] ?? ''] ?? Number.NaN) : Number.NaN
      if (Number.isSafeInteger(size) && size > 0) return size
      ctx.addIssue({
        code: 'custom',
        message: `not a size: ${JSON.stringify(value)}; write it as 512MB or 4GB`,
      })
      return z.NEVER
    })
const span = (text: string) => durationSchema.prefault(text)

const globalSchema = z
  .strictObject({
    ...globalScrapeShape,
    evaluation_interval: span('1m').refine((d) => d > 0, 'must be above 0'),
    rule_query_offset: span('0s'),
    external_labels: z.record(z.string(), z.string()).default({}),
    query_log_file: z
      .undefined({ error: 'not supported; slow queries are in the log, so remove query_log_file' })
      .optional(),
    runtime: z
      .undefined({ error: 'is about the Go runtime, which Airboss does not have; remove it' })
      .optional(),
  })
  .prefault({})

/** Sections of prometheus.yml that Airboss has not: each is an error with its own words. */
const refusedSection = (key: string, mend: string) =>
  z.undefined({ error: `not supported; ${mend}, and remove ${key}` }).optional()

const storageSchema = (env: Environment) =>
  z
    .strictObject({
      /** Most series ever known; new ones past it are refused and counted. */
      max_series: z.int().min(1000).default(2_000_000),
      /** Most active series (those in memory) of one metric, and of one source: a job, or a protocol where there is none. */
      cardinality: z
        .strictObject({
          per_metric: z.int().min(1).default(200_000),
          per_source: z.int().min(1).default(500_000),
          overrides: z
            .strictObject({
              metrics: z.record(z.string(), z.int().min(0)).default({}),
              sources: z.record(z.string(), z.int().min(0)).default({}),
            })
            .prefault({}),
        })
        .prefault({}),
      /** How old a sample may be when it arrives. */
      out_of_order_time_window: span('1h'),
      /** How far ahead of this machine's clock a sample may be. */
      max_ahead: span('10m'),
      max_labels: z.int().min(1).default(defaultAdmission.labels),
      tsdb: refusedSection(
        'tsdb',
        'write out_of_order_time_window under storage itself, and how long samples are kept in storage.retention',
      ),
      log: z.strictObject({ max_size: bytes('4GB') }).prefault({}),
      head: z.strictObject({ window: span('10m'), max_size: bytes('1GB') }).prefault({}),
      exemplars: z
        .strictObject({
          /** Most exemplars in memory; older ones are read from ClickHouse. */
          max: z.int().min(0).max(10_000_000).default(100_000),
        })
        .prefault({}),
      engine: engineSchema,
      retention: retentionSchema,
      /** A ClickHouse server instead of the embedded engine. */
      clickhouse: clickhouseSchema(env).optional(),
    })
    .prefault({})

const listenSchema = z
  .strictObject({
    http: address.default('127.0.0.1:9900'),
    otlp_http: address.default('127.0.0.1:4318'),
    otlp_grpc: address.default('127.0.0.1:4317'),
    clickhouse: address.default('127.0.0.1:8123'),
    /** How people reach this Airboss: stands in pages and links. */
    external_url: z
      .url()
      .transform((url) => url.replace(/\/+$/, ''))
      .optional(),
  })
  .prefault({})

/** `base` is the directory that relative paths in `scrape_configs` are meant from. */
export const configSchema = (env: Environment, base = '.') =>
  z.strictObject({
    /** What this installation calls itself. */
    name: z.string().default('airboss'),
    global: globalSchema,
    listen: listenSchema,
    storage: storageSchema(env),
    query: queryConfig.prefault({}),
    host: hostConfigSchema,
    containers: containersConfigSchema,
    /** A cluster to watch and to act in; `{}` is the one Airboss runs in. */
    kubernetes: kubernetesSchema(env).optional(),
    otlp: otlpSchema.prefault({}),
    events: eventsConfigSchema,
    /** Webhooks that come in, by name. */
    hooks: hooksSchema(secretSchema(env)),
    /** Pushgateway's forms, on the main address. */
    pushgateway: pushConfigSchema,
    /** Left out = nothing listens. */
    statsd: statsdConfigSchema.optional(),
    prices: pricesConfigSchema,
    costs: costsSchema,
    scrape_configs: scrapeConfigsSchema(env, base).default([]),
    /** Further files with `scrape_configs`; patterns may match nothing. */
    scrape_config_files: z.array(z.string().min(1)).default([]),
    alerting: refusedSection(
      'alerting',
      'Airboss routes alerts itself: name your Alertmanager file under alertmanager',
    ),
    remote_write: refusedSection(
      'remote_write',
      'what Airboss has is in ClickHouse, and in its Prometheus API',
    ),
    remote_read: refusedSection('remote_read', 'Airboss reads from its own store only'),
    /** Rule files in Prometheus's form; left out = the packs that come with Airboss, `[]` = none. */
    rule_files: z.array(z.string()).optional(),
    /** A file in Alertmanager's form. */
    alertmanager: z.string().optional(),
    deployments: deploymentsSchema,
    autoscale: autoscaleSchema,
    budgets: budgetsSchema,
    access: accessSchema(env),
    actions: actionsSchema(env).prefault({}),
    oncall: oncallSchema(secretSchema(env)).optional(),
    /** Own traces: where they go (OTLP/HTTP), left out = nowhere. */
    tracing: z.strictObject({ endpoint: z.url(), sample: z.number().min(0).max(1).default(1) }).optional(),
    /** How often Airboss collects its own metrics. */
    self: z.strictObject({ interval: span('15s') }).prefault({}),
  })

export type Config = z.output<ReturnType<typeof configSchema>>
