// `scrape_configs` in Prometheus's own form: what is supported, and what is refused by its name.
import { z } from 'zod'
import { durationSchema, fileSecret, type Secret, secretSchema } from '../../lib/config.ts'
import { formatDuration } from '../../lib/time.ts'
import { relabelRuleSchema } from './relabel.ts'

const discoveries = [
  'azure',
  'consul',
  'digitalocean',
  'dns',
  'docker',
  'dockerswarm',
  'ec2',
  'eureka',
  'file',
  'gce',
  'hetzner',
  'http',
  'ionos',
  'kubernetes',
  'kuma',
  'lightsail',
  'linode',
  'marathon',
  'nerve',
  'nomad',
  'openstack',
  'ovhcloud',
  'puppetdb',
  'scaleway',
  'serverset',
  'stackit',
  'triton',
  'uyuni',
  'vultr',
].map((name) => `${name}_sd_configs`)

const refused: Readonly<Record<string, string>> = {
  ...Object.fromEntries(discoveries.map((key) => [key, 'list the targets under static_configs'])),
  tls_config:
    'a target with a private certificate authority cannot be scraped; use http or a public certificate',
  oauth2: 'use authorization with a token',
  sigv4: 'use authorization with a token',
  azuread: 'use authorization with a token',
  google_iam: 'use authorization with a token',
  proxy_url: 'scrape the target directly',
  no_proxy: 'scrape the target directly',
  proxy_from_environment: 'scrape the target directly',
  proxy_connect_header: 'scrape the target directly',
  native_histogram_bucket_limit: 'native histograms are not scraped',
  native_histogram_min_bucket_factor: 'native histograms are not scraped',
  scrape_native_histograms: 'native histograms are not scraped',
  always_scrape_classic_histograms: 'classic histograms are always scraped',
  scrape_classic_histograms: 'classic histograms are always scraped',
  convert_classic_histograms_to_nhcb: 'native histograms are not scraped',
  track_timestamps_staleness: 'samples with their own timestamps never end with a stale marker',
  target_limit: 'static_configs have as many targets as are listed',
  keep_dropped_targets: 'dropped targets are not kept',
  scrape_protocols: 'OpenMetrics 1.0 and text 0.0.4 are negotiated',
  metric_name_validation_scheme: 'names are taken as UTF-8',
  metric_name_escaping_scheme: 'names are taken as UTF-8',
  scrape_failure_log_file: 'see /api/v1/targets for the last error',
  extra_scrape_metrics: 'the usual scrape_* series are always written',
}

/** Keys Prometheus knows and Airboss does not: each is an error with its own words. */
const refusedShape = Object.fromEntries(
  Object.entries(refused).map(([key, mend]) => [
    key,
    z.undefined({ error: `not yet supported; ${mend}, and remove ${key}` }).optional(),
  ]),
)

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

const labelName = z.string().min(1)
const params = z.record(z.string(), z.union([z.string().transform((v) => [v]), z.array(z.coerce.string())]))
const staticConfig = z.strictObject({
  targets: z.array(z.string().min(1)),
  labels: z.record(labelName, z.coerce.string()).default({}),
})

const jobShape = (env: Readonly<Record<string, string | undefined>>) => {
  const secret = secretSchema(env)
  return {
    job_name: z.string().min(1),
    scrape_interval: durationSchema.optional(),
    scrape_timeout: durationSchema.optional(),
    metrics_path: z.string().startsWith('/').default('/metrics'),
    scheme: z.enum(['http', 'https']).default('http'),
    params: params.default({}),
    honor_labels: z.boolean().default(false),
    honor_timestamps: z.boolean().default(true),
    enable_compression: z.boolean().default(true),
    follow_redirects: z.boolean().default(true),
    enable_http2: z.boolean().optional(),
    fallback_scrape_protocol: z
      .enum(['PrometheusText0.0.4', 'PrometheusText1.0.0', 'OpenMetricsText0.0.1', 'OpenMetricsText1.0.0'])
      .optional(),
    static_configs: z.array(staticConfig).default([]),
    basic_auth: z
      .strictObject({
        username: z.string().default(''),
        username_file: z.string().optional(),
        password: secret.optional(),
        password_file: z.string().optional(),
      })
      .optional(),
    authorization: z
      .strictObject({
        type: z.string().min(1).default('Bearer'),
        credentials: secret.optional(),
        credentials_file: z.string().optional(),
      })
      .optional(),
    bearer_token: secret.optional(),
    bearer_token_file: z.string().optional(),
    http_headers: z
      .record(
        z.string(),
        z.strictObject({
          values: z.array(z.string()).default([]),
          secrets: z.array(secret).default([]),
          files: z.array(z.string()).default([]),
        }),
      )
      .default({}),
    sample_limit: z.int().min(0).default(0),
    label_limit: z.int().min(0).default(0),
    label_name_length_limit: z.int().min(0).default(0),
    label_value_length_limit: z.int().min(0).default(0),
    body_size_limit: sizeSchema.default(0),
    relabel_configs: z.array(relabelRuleSchema).default([]),
    metric_relabel_configs: z.array(relabelRuleSchema).default([]),
    ...refusedShape,
  }
}

const jobSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z.strictObject(jobShape(env)).superRefine((job, ctx) => {
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
    const ways = [job.basic_auth, job.authorization, job.bearer_token ?? job.bearer_token_file].filter(
      (way) => way !== undefined,
    )
    if (ways.length > 1) {
      ctx.addIssue({
        code: 'custom',
        message: 'at most one of basic_auth, authorization and bearer_token may be given',
      })
    }
  })

/** Schema of `scrape_configs`; `env` is the environment that `{ env: NAME }` secrets are read from. */
export const scrapeConfigsSchema = (env: Readonly<Record<string, string | undefined>>) =>
  z.array(jobSchema(env)).superRefine((jobs, ctx) => {
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

export type ScrapeConfig = z.output<ReturnType<typeof scrapeConfigsSchema>>[number]

const read = (secret: Secret | undefined, file: string | undefined): string =>
  secret?.reveal() ?? (file === undefined ? '' : fileSecret(file).reveal())

/** The request headers a job asks for; secrets are read anew, so that rotated files are picked up. Throws `bad_data` naming an unreadable file. */
export const headersOf = (job: ScrapeConfig): Record<string, string> => {
  const headers: Record<string, string> & { authorization?: string } = {}
  for (const [name, { values, secrets, files }] of Object.entries(job.http_headers)) {
    headers[name.toLowerCase()] = [
      ...values,
      ...secrets.map((s) => s.reveal()),
      ...files.map((f) => fileSecret(f).reveal()),
    ].join(', ')
  }
  const { basic_auth: basic, authorization: auth } = job
  if (basic) {
    const user = basic.username_file === undefined ? basic.username : fileSecret(basic.username_file).reveal()
    const pair = `${user}:${read(basic.password, basic.password_file)}`
    headers.authorization = `Basic ${Buffer.from(pair).toString('base64')}`
  }
  if (auth) headers.authorization = `${auth.type} ${read(auth.credentials, auth.credentials_file)}`
  if (job.bearer_token || job.bearer_token_file)
    headers.authorization = `Bearer ${read(job.bearer_token, job.bearer_token_file)}`
  return headers
}
