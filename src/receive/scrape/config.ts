// `scrape_configs` in Prometheus's own form: what is supported, what is refused by its name, and what `global` gives to every job.
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { durationSchema, Secret } from '../../lib/config.ts'
import { type Duration, duration, formatDuration } from '../../lib/time.ts'
import { discoveryShape } from './discovery-config.ts'
import { checkHttp, httpShape, type Place, refusedKey, withEnvironment } from './http-config.ts'
import { relabelRuleSchema } from './relabel.ts'

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1024,
  MB: 1024 ** 2,
  GB: 1024 ** 3,
  KIB: 1024,
  MIB: 1024 ** 2,
  GIB: 1024 ** 3,
}
const sizeSchema = z.union([z.string(), z.number()]).transform((value, ctx): number => {
  const m = /^(\d+)\s*([A-Za-z]*)$/.exec(String(value))
  const unit = m ? sizeUnits[(m[2] || 'B').toUpperCase()] : undefined
  if (!m || unit === undefined) {
    ctx.addIssue(`not a size: ${JSON.stringify(value)}; write it as 10MB`)
    return z.NEVER
  }
  return Number(m[1]) * unit
})

const protocols = [
  'PrometheusProto',
  'PrometheusText0.0.4',
  'PrometheusText1.0.0',
  'OpenMetricsText0.0.1',
  'OpenMetricsText1.0.0',
] as const
export type Protocol = (typeof protocols)[number]

const textFirst: readonly Protocol[] = [
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusText1.0.0',
  'PrometheusText0.0.4',
]

const protocolsSchema = z
  .array(z.enum(protocols))
  .min(1, 'name at least one protocol, or leave the key out')
  .refine((list) => new Set(list).size === list.length, 'a protocol stands twice; remove one')

/** Keys that stand in `global` for every job and in a job for itself. 0 and left out mean what `global` says. */
const shared = {
  body_size_limit: sizeSchema.default(0),
  sample_limit: z.int().min(0).default(0),
  target_limit: z.int().min(0).default(0),
  label_limit: z.int().min(0).default(0),
  label_name_length_limit: z.int().min(0).default(0),
  label_value_length_limit: z.int().min(0).default(0),
  keep_dropped_targets: z.int().min(0).default(0),
  scrape_protocols: protocolsSchema.optional(),
  metric_name_validation_scheme: z.enum(['utf8', 'legacy']).optional(),
  metric_name_escaping_scheme: z.enum(['allow-utf-8', 'underscores', 'dots', 'values']).optional(),
  scrape_native_histograms: z.boolean().optional(),
  always_scrape_classic_histograms: z.boolean().optional(),
  convert_classic_histograms_to_nhcb: z
    .literal(false, {
      error:
        'classic histograms are not turned into native ones with custom buckets; they are kept as they are, so set it to false or remove it',
    })
    .optional(),
  extra_scrape_metrics: z.boolean().optional(),
  scrape_failure_log_file: refusedKey(
    'scrape_failure_log_file',
    'failures are in the log and in /api/v1/targets',
  ),
}

/** The keys of `global` that are about scraping. */
export const globalScrapeShape = {
  scrape_interval: durationSchema.prefault('1m').refine((d) => d > 0, 'must be above 0'),
  scrape_timeout: durationSchema.optional(),
  ...shared,
}
const globalObject = z.strictObject(globalScrapeShape)
export type ScrapeGlobal = z.output<typeof globalObject>
/** What holds where `global` says nothing. */
export const defaultScrapeGlobal: ScrapeGlobal = globalObject.parse({})

const params = z.record(z.string(), z.union([z.string().transform((v) => [v]), z.array(z.coerce.string())]))

const jobShape = (place: Place) => ({
  job_name: z.string().min(1),
  scrape_interval: durationSchema.optional(),
  scrape_timeout: durationSchema.optional(),
  metrics_path: z.string().startsWith('/').default('/metrics'),
  scheme: z.enum(['http', 'https']).default('http'),
  params: params.default({}),
  honor_labels: z.boolean().default(false),
  honor_timestamps: z.boolean().default(true),
  track_timestamps_staleness: z.boolean().default(false),
  enable_compression: z.boolean().default(true),
  fallback_scrape_protocol: z.enum(protocols).optional(),
  relabel_configs: z.array(relabelRuleSchema).default([]),
  metric_relabel_configs: z.array(relabelRuleSchema).default([]),
  ...shared,
  ...discoveryShape(place),
  ...httpShape(place),
  scrape_classic_histograms: refusedKey(
    'scrape_classic_histograms',
    'it is called always_scrape_classic_histograms now',
  ),
  native_histogram_bucket_limit: refusedKey(
    'native_histogram_bucket_limit',
    'native histograms are kept with all their buckets',
  ),
  native_histogram_min_bucket_factor: refusedKey(
    'native_histogram_min_bucket_factor',
    'native histograms are kept with all their buckets',
  ),
})

const jobSchema = (place: Place) =>
  z
    .strictObject(jobShape(place))
    .superRefine((job, ctx) => {
      const { scrape_interval: interval, scrape_timeout: timeout } = job
      if (interval === 0)
        ctx.addIssue({ code: 'custom', path: ['scrape_interval'], message: 'must be above 0' })
      if (interval && timeout && timeout > interval) {
        ctx.addIssue({
          code: 'custom',
          path: ['scrape_timeout'],
          message: `is longer than scrape_interval (${formatDuration(interval)}); make it shorter`,
        })
      }
      if (job.metric_name_validation_scheme === 'legacy' && job.metric_name_escaping_scheme === 'allow-utf-8')
        ctx.addIssue({
          code: 'custom',
          path: ['metric_name_escaping_scheme'],
          message: 'does not go with metric_name_validation_scheme legacy; use underscores, dots or values',
        })
      checkHttp(job, ctx)
    })
    .transform(withEnvironment(place))

/** Schema of `scrape_configs`; `env` is the environment that `{ env: NAME }` secrets are read from, `base` what relative paths are meant from. */
export const scrapeConfigsSchema = (env: Readonly<Record<string, string | undefined>>, base = '.') =>
  z.array(jobSchema({ env, base })).superRefine((jobs, ctx) => {
    const names = new Set<string>()
    jobs.forEach((job, i) => {
      if (names.has(job.job_name)) {
        ctx.addIssue({
          code: 'custom',
          path: [i, 'job_name'],
          message: `${job.job_name} is used twice; every job needs a name of its own`,
        })
      }
      names.add(job.job_name)
    })
  })

/** Schema of a file that `scrape_config_files` names. */
export const scrapeFileSchema = (env: Readonly<Record<string, string | undefined>>, base: string) =>
  z.strictObject({ scrape_configs: scrapeConfigsSchema(env, base).default([]) })

export type ScrapeConfig = z.output<ReturnType<typeof scrapeConfigsSchema>>[number]

/** A job as it runs: what it leaves open comes from `global`. */
export interface ScrapeJob extends ScrapeConfig {
  readonly scrape_interval: Duration
  readonly scrape_timeout: Duration
  readonly scrape_protocols: Protocol[]
  readonly scrape_native_histograms: boolean
  readonly always_scrape_classic_histograms: boolean
  readonly extra_scrape_metrics: boolean
  readonly metric_name_validation_scheme: 'utf8' | 'legacy'
  readonly metric_name_escaping_scheme: 'allow-utf-8' | 'underscores' | 'dots' | 'values'
  /** Equal for jobs that scrape their targets in the same way, secrets aside. */
  readonly key: string
}

const outsideKey: ReadonlySet<string> = new Set([
  'compiled',
  'environment',
  'relabel_configs',
  'keep_dropped_targets',
  'target_limit',
])

const keyOf = (job: object): string =>
  JSON.stringify(job, (key, value) =>
    outsideKey.has(key) || key.endsWith('_sd_configs') || key === 'static_configs' ? undefined : value,
  )

/** A text that differs when a configuration does, in its secrets too. Holds no secret. */
export const fingerprint = (config: unknown): string => {
  const secret = (value: Secret): string => {
    try {
      return createHash('sha256').update(value.reveal()).digest('hex')
    } catch {
      // A file that is not there: it is read again, and its error told, by who needs it.
      return 'unreadable'
    }
  }
  return JSON.stringify(config, function (this: Record<string, unknown>, key, value) {
    const whole = this[key]
    return whole instanceof Secret ? secret(whole) : key === 'compiled' ? undefined : value
  })
}

const least = (interval: Duration, global: ScrapeGlobal): Duration =>
  duration(Math.min(global.scrape_timeout ?? 10_000, interval))

/** The jobs as they run. */
export const jobsOf = (configs: readonly ScrapeConfig[], global: ScrapeGlobal): ScrapeJob[] =>
  configs.map((config) => {
    const interval = config.scrape_interval ?? global.scrape_interval
    const native = config.scrape_native_histograms ?? global.scrape_native_histograms ?? false
    const validation = config.metric_name_validation_scheme ?? global.metric_name_validation_scheme ?? 'utf8'
    const ownEscaping =
      config.metric_name_validation_scheme === undefined && global.metric_name_escaping_scheme
    const job = {
      ...config,
      scrape_interval: interval,
      scrape_timeout: config.scrape_timeout ?? least(interval, global),
      scrape_protocols:
        config.scrape_protocols ??
        global.scrape_protocols ??
        (native ? (['PrometheusProto', ...textFirst] as const) : textFirst).slice(),
      body_size_limit: config.body_size_limit || global.body_size_limit,
      sample_limit: config.sample_limit || global.sample_limit,
      target_limit: config.target_limit || global.target_limit,
      label_limit: config.label_limit || global.label_limit,
      label_name_length_limit: config.label_name_length_limit || global.label_name_length_limit,
      label_value_length_limit: config.label_value_length_limit || global.label_value_length_limit,
      keep_dropped_targets: config.keep_dropped_targets || global.keep_dropped_targets,
      scrape_native_histograms: native,
      always_scrape_classic_histograms:
        config.always_scrape_classic_histograms ?? global.always_scrape_classic_histograms ?? false,
      extra_scrape_metrics: config.extra_scrape_metrics ?? global.extra_scrape_metrics ?? false,
      metric_name_validation_scheme: validation,
      metric_name_escaping_scheme:
        config.metric_name_escaping_scheme ??
        (ownEscaping || (validation === 'legacy' ? 'underscores' : 'allow-utf-8')),
    }
    return { ...job, key: keyOf(job) }
  })
