// Reads the configuration: file, environment and flags, the later over the earlier. The only place that reads the environment.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { basename, dirname, isAbsolute, join, relative, resolve } from 'node:path'
import { type AlertsConfig, emptyAlertsConfig, readAlertsConfig } from '../alerts/config.ts'
import { AppError, messageOf } from '../lib/errors.ts'
import { hash64 } from '../lib/hash.ts'
import { parseYaml, problemAt, problemsError, problemsOf, readYaml, type YamlText } from '../lib/yaml.ts'
import type { ChannelKind } from '../model/ports/channel.ts'
import { readPriceMap } from '../money/price-map.ts'
import type { PriceMapFile } from '../money/prices.ts'
import { channelKinds, globalHttpSchema, globalKeys } from '../notify/channels.ts'
import { oncallReceiverSchema } from '../oncall/config.ts'
import { type ScrapeConfig, scrapeFileSchema } from '../receive/scrape/config.ts'
import { mappingSchema, type StatsdMapping } from '../receive/statsd/mapping.ts'
import type { RuleText } from '../rules/rules.ts'
import { type Config, configSchema, type Environment } from './config-schema.ts'
import { packageRoot } from './package-root.ts'

/** What the command line says; a flag left out is undefined. */
export interface Flags {
  readonly config?: string | undefined
  readonly data?: string | undefined
  readonly listen?: string | undefined
  readonly otlpHttp?: string | undefined
  readonly otlpGrpc?: string | undefined
  readonly clickhouse?: string | undefined
  readonly logLevel?: string | undefined
}

export interface Settings {
  readonly config: Config
  readonly alerts: AlertsConfig
  readonly rules: readonly RuleText[]
  /** Null where no mapping file is given. */
  readonly statsdMapping: StatsdMapping | null
  /** Own price maps, the first that knows a model first. */
  readonly priceMaps: readonly PriceMapFile[]
  /** Absolute. */
  readonly dataDir: string
  /** The file read, '' where built-in defaults hold. */
  readonly file: string
  readonly logLevel: string
  /** Sections as written, to tell what changed on reload. */
  readonly written: Readonly<Record<string, unknown>>
  /** The texts, to say where in them a problem is; null where there is no Alertmanager file. */
  readonly yaml: YamlText
  readonly alertsYaml: YamlText | null
}

export const environment = (): Environment => process.env

const text = (path: string, what: string): string => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new AppError('bad_data', `${what} ${path}: ${messageOf(error)}`, { cause: error })
  }
}

/** Every file a pattern names; a plain path that is not there is an error, a pattern may match nothing. */
const filesOf = (pattern: string, base: string): string[] | null => {
  const full = isAbsolute(pattern) ? pattern : join(base, pattern)
  if (/[*?[{]/.test(pattern)) return globSync(full).sort()
  return existsSync(full) ? [full] : null
}

const readRules = (yaml: YamlText, patterns: readonly string[] | undefined, base: string): RuleText[] => {
  const missing = (patterns ?? []).flatMap((pattern, i) =>
    filesOf(pattern, base) === null
      ? [
          problemAt(
            yaml,
            ['rule_files', i],
            `there is no file ${resolve(base, pattern)}; correct the path, or write a pattern`,
          ),
        ]
      : [],
  )
  if (missing.length > 0) throw problemsError(missing)
  const paths =
    patterns === undefined
      ? filesOf('rules/*.yaml', packageRoot)!
      : patterns.flatMap((p) => filesOf(p, base) ?? [])
  return [...new Set(paths)].map((path) => ({
    file: relative('.', path).startsWith('..') ? path : relative('.', path),
    text: text(path, 'rule file'),
  }))
}

/** The jobs of `scrape_config_files`; names are one's own over all files. */
const readScrapes = (yaml: YamlText, read: Config, base: string, env: Environment): ScrapeConfig[] => {
  const jobs: ScrapeConfig[] = []
  const names = new Map(read.scrape_configs.map((job) => [job.job_name, yaml.file]))
  for (const [i, pattern] of read.scrape_config_files.entries()) {
    const wrong = (message: string): AppError =>
      problemsError([problemAt(yaml, ['scrape_config_files', i], message)])
    const files = filesOf(pattern, base)
    if (files === null)
      throw wrong(`there is no file ${resolve(base, pattern)}; correct the path, or write a pattern`)
    for (const file of files) {
      const found = readYaml(scrapeFileSchema(env, dirname(file)), text(file, 'scrape file'), file)
      for (const job of found.scrape_configs) {
        const other = names.get(job.job_name)
        if (other !== undefined)
          throw wrong(`job ${job.job_name} of ${file} is in ${other} too; every job needs a name of its own`)
        names.set(job.job_name, file)
        jobs.push(job)
      }
    }
  }
  return jobs
}

/** The files named under prices.files; each is known in rows by its name and a digest. */
const readPriceMaps = (yaml: YamlText, paths: readonly string[], base: string): PriceMapFile[] =>
  paths.map((path, i) => {
    const full = isAbsolute(path) ? path : join(base, path)
    if (!existsSync(full))
      throw problemsError([
        problemAt(yaml, ['prices', 'files', i], `there is no file ${resolve(full)}; correct the path`),
      ])
    const written = text(full, 'price map')
    return { version: `${basename(full)}@${hash64([written])}`, models: readPriceMap(written, full) }
  })

/** Policies that receivers name must be there. */
const oncallKind = (policies: ReadonlyMap<string, unknown>): ChannelKind => ({
  name: 'oncall',
  sendResolved: true,
  schema: () =>
    oncallReceiverSchema.refine(({ policy }) => policies.has(policy), {
      path: ['policy'],
      error: ({ input }) =>
        `policy ${JSON.stringify((input as { policy: string }).policy)} is not defined; add it under oncall.policies, which has ${[...policies.keys()].join(', ') || 'none'}`,
    }),
})

const readAlerts = (
  yaml: YamlText,
  config: Config,
  base: string,
  env: Environment,
): { alerts: AlertsConfig; alertsYaml: YamlText | null } => {
  const path = config.alertmanager
  if (path === undefined) return { alerts: emptyAlertsConfig(), alertsYaml: null }
  const file = isAbsolute(path) ? path : join(base, path)
  if (!existsSync(file))
    throw problemsError([
      problemAt(yaml, ['alertmanager'], `there is no file ${resolve(file)}; correct the path`),
    ])
  const written = text(file, 'alertmanager file')
  const alerts = readAlertsConfig(written, file, {
    kinds: [...channelKinds, oncallKind(config.oncall?.policies ?? new Map())],
    http: globalHttpSchema,
    globals: globalKeys,
    env,
  })
  return { alerts, alertsYaml: parseYaml(written, file) }
}

const readMapping = (yaml: YamlText, config: Config, base: string): StatsdMapping | null => {
  const path = config.statsd?.mapping
  if (path === undefined) return null
  const file = isAbsolute(path) ? path : join(base, path)
  if (!existsSync(file))
    throw problemsError([
      problemAt(yaml, ['statsd', 'mapping'], `there is no file ${resolve(file)}; correct the path`),
    ])
  return readYaml(mappingSchema, text(file, 'statsd mapping'), file)
}

/** Reads everything; throws `bad_data` with every problem as `file:line: path: message`. */
export const readSettings = (flags: Flags, env: Environment = environment()): Settings => {
  const named = flags.config ?? env['AIRBOSS_CONFIG']
  const file = named ?? (existsSync('airboss.yaml') ? 'airboss.yaml' : '')
  const base = file === '' ? resolve('.') : dirname(resolve(file))
  const yaml = parseYaml(file === '' ? '' : text(file, 'configuration'), file || 'built-in defaults')
  const written = (yaml.value ?? {}) as Record<string, unknown>
  const parsed = configSchema(env, base).safeParse(written)
  if (!parsed.success) throw problemsError(problemsOf(yaml, parsed.error))
  const read = parsed.data
  const listen = {
    ...read.listen,
    http: flags.listen ?? env['AIRBOSS_LISTEN'] ?? read.listen.http,
    otlp_http: flags.otlpHttp ?? env['AIRBOSS_OTLP_HTTP'] ?? read.listen.otlp_http,
    otlp_grpc: flags.otlpGrpc ?? env['AIRBOSS_OTLP_GRPC'] ?? read.listen.otlp_grpc,
    clickhouse: flags.clickhouse ?? env['AIRBOSS_CLICKHOUSE'] ?? read.listen.clickhouse,
  }
  const scrape_configs = [...read.scrape_configs, ...readScrapes(yaml, read, base, env)]
  const config = { ...read, listen, scrape_configs }
  return {
    config,
    ...readAlerts(yaml, config, base, env),
    statsdMapping: readMapping(yaml, config, base),
    rules: readRules(yaml, config.rule_files, base),
    priceMaps: readPriceMaps(yaml, config.prices.files, base),
    dataDir: resolve(flags.data ?? env['AIRBOSS_DATA'] ?? 'data'),
    file,
    logLevel: flags.logLevel ?? env['AIRBOSS_LOG_LEVEL'] ?? 'info',
    written,
    yaml,
  }
}
